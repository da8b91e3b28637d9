//! Signal types that a site's own operator, or whoever sits in that seat, switches: the engine makes a signal of each,
//! `integration.changed`. What is watched is watched itself.

use logystera_schemas::avro::{DecodeError, Writer};
use logystera_schemas::batch::{Frame, Value, write_frame};
use logystera_schemas::catalogue::{FieldDef, FieldKind, SignalType, SignalTypes};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::SpoolId;
use logystera_schemas::time::SiteMs;

use super::head::Version;
use super::site::Site;

/// The signal type that is made here.
const CHANGED: &str = "integration.changed";

/// What a spool's word changes for its site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Switched {
    /// Types that it has on now, and that no live spool had.
    on: SignalTypes,
    /// Types that it has on no more, and that no other live spool has.
    off: SignalTypes,
}

impl Site {
    /// What it changes that this spool now has these types on. A spool's silence, its end and its beginning switch nothing: only
    /// a sender that said one thing and says another does.
    pub(super) fn switched_by(&self, spool: SpoolId, enabled: SignalTypes) -> Switched {
        let version = self.head.version();
        let Some(before) = self.spools.get(&spool).filter(|_| version >= Version::Two) else {
            return Switched::default();
        };
        let others =
            self.spools.iter().filter(|(id, other)| **id != spool && other.is_live(self.head.heard_open, version));
        let others = others.fold(0, |bits, (_, other)| bits | other.enabled.0);
        let newly = |now: SignalTypes, then: SignalTypes| SignalTypes(now.0 & !then.0 & !others);
        Switched { on: newly(enabled, before.enabled), off: newly(before.enabled, enabled) }
    }

    /// Judges a signal for each type that was switched, at site time `now`.
    pub(super) fn judge_switched(
        &mut self,
        switched: Switched,
        now: SiteMs,
        out: &mut Vec<Detection>,
    ) -> Result<(), DecodeError> {
        let Some(kind) = SignalType::from_name(CHANGED).filter(|kind| self.board.watches(*kind)) else {
            return Ok(());
        };
        for (types, action) in [(switched.off, "disabled"), (switched.on, "enabled")] {
            for switched in types.iter() {
                let signal = signal(kind, switched, action);
                self.board.judge(&Frame::of(&signal, 0)?, now, now, &mut self.head.voice, out)?;
            }
        }
        self.head.outcomes.evicted = self.board.evicted;
        Ok(())
    }
}

/// The signal's bytes.
fn signal(kind: SignalType, switched: SignalType, action: &str) -> Vec<u8> {
    let value = |field: &FieldDef| match &field.kind {
        FieldKind::Enum(symbols) => {
            symbols.iter().position(|symbol| symbol == action).map_or(Value::Absent, |place| Value::Enum(place as u8))
        }
        FieldKind::Ident { .. } => Value::Ident(switched.name()),
        _ => Value::Absent,
    };
    let values: Vec<Value<'_>> = kind.def().fields.iter().map(value).collect();
    let mut to = Writer::new();
    write_frame(&mut to, kind, 0, &values);
    to.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_the_type_and_which_way_it_was_switched() {
        let kind = SignalType::from_name(CHANGED).unwrap();
        for switched in SignalType::all() {
            for (action, symbol) in [("enabled", 0), ("disabled", 1)] {
                let bytes = signal(kind, switched, action);
                let read = Frame::of(&bytes, 0).unwrap().signal().unwrap();
                assert_eq!(read.fields[..2], [Value::Ident(switched.name()), Value::Enum(symbol)]);
            }
        }
    }
}

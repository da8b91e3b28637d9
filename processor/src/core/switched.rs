//! The types of signals that the operator of a site, or an intruder in the operator's seat, switches on or off: the
//! engine makes a signal of each, `integration.changed`, so that rules can watch the watching.

use logystera_schemas::avro::{DecodeError, Writer};
use logystera_schemas::batch::{Frame, Value, write_frame};
use logystera_schemas::catalogue::{FieldDef, FieldKind, SignalType, SignalTypes};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::SpoolId;
use logystera_schemas::time::SiteMs;

use super::site::Site;
use super::version::Version;

/// The signal type that is made here.
const CHANGED: &str = "integration.changed";

/// What a spool's declaration changes for its site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switched {
    /// Types that the spool has on now, and that no live spool had on.
    on: SignalTypes,
    /// Types that the spool no longer has on, and that no other live spool has on.
    off: SignalTypes,
}

impl Site {
    /// What changes for the site if this spool declares these types. Only a sender that declared one thing and now
    /// declares another switches: the beginning of a spool, its silence and its end do not.
    pub(crate) fn switched_by(&self, spool: SpoolId, enabled: SignalTypes) -> Switched {
        let version = self.record.version();
        let Some(before) = self.spools.get(&spool).filter(|_| version >= Version::Two) else {
            return Switched::default();
        };
        let others =
            self.spools.iter().filter(|(id, other)| **id != spool && other.is_live(self.record.heard_open, version));
        let others = others.fold(0, |bits, (_, other)| bits | other.enabled.0);
        let newly = |now: SignalTypes, then: SignalTypes| SignalTypes(now.0 & !then.0 & !others);
        Switched { on: newly(enabled, before.enabled), off: newly(before.enabled, enabled) }
    }

    /// Judges a signal for each type that was switched, at site time `now`.
    pub(crate) fn judge_switched(
        &mut self,
        switched: Switched,
        now: SiteMs,
        out: &mut Vec<Detection>,
    ) -> Result<(), DecodeError> {
        let Some(kind) = SignalType::from_name(CHANGED).filter(|kind| self.groups.program.looks_at(*kind)) else {
            return Ok(());
        };
        for (types, action) in [(switched.off, "disabled"), (switched.on, "enabled")] {
            for switched in types.iter() {
                let signal = signal(kind, switched, action);
                let signal = Frame::of(&signal, 0)?;
                self.measure(&signal, now, false)?;
                self.groups.judge(&signal, now, now, &mut self.record.chain, out)?;
            }
        }
        self.record.outcomes.evicted = self.groups.evicted;
        Ok(())
    }
}

/// The bytes of the signal.
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

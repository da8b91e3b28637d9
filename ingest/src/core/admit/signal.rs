//! One signal: its names found in the catalogue, its values checked, its bytes written.

use std::fmt;

use logystera_schemas::batch::Value;
use logystera_schemas::catalogue::{CATALOGUE, FieldKind, SignalType, TYPE_FIELDS_MAX, TypeDef};
use logystera_schemas::limits::{BATCH_SIGNALS_MAX, SIGNAL_FIELDS_MAX, TIME_MS_MAX, TIME_MS_MIN};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::any::{AnySeed, NameSeed};
use super::encoded::{find, hash};
use super::raw::{Raw, text};
use super::walk::{Names, Walk, plausible};
use crate::core::refusal::{Refusal, SignalRefusal};

pub(super) struct SignalsSeed<'w, 'de>(pub(super) &'w mut Walk<'de>);

impl<'de> DeserializeSeed<'de> for SignalsSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.fault = Some((Refusal::HeadInvalid, Some("signals")));
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for SignalsSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let walk = self.0;
        walk.fault = None;
        let mut index = 0;
        let mut hint = 0;
        loop {
            walk.scratch.clear();
            walk.items.clear();
            if seq.next_element_seed(SignalSeed { walk: &mut *walk, index, hint: &mut hint })?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }
}

struct SignalSeed<'w, 'de> {
    walk: &'w mut Walk<'de>,
    index: usize,
    /// Index in the catalogue of the last signal's type: the next one's is often the same.
    hint: &'w mut usize,
}

impl<'de> DeserializeSeed<'de> for SignalSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.index >= BATCH_SIGNALS_MAX {
            return Err(self.walk.fail(Refusal::TooManySignals));
        }
        deserializer.deserialize_any(self)
    }
}

impl SignalSeed<'_, '_> {
    fn not_an_object(self) {
        self.walk.refused.push(Some(self.index), SignalRefusal::ValueInvalid, None);
    }
}

macro_rules! not_an_object {
    ($($visit:ident($($type:ty)?)),*) => {$(
        fn $visit<E: Error>(self $(, _: $type)?) -> Result<(), E> {
            self.not_an_object();
            Ok(())
        }
    )*};
}

impl<'de> Visitor<'de> for SignalSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a signal")
    }

    not_an_object!(visit_unit(), visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        AnySeed { walk: &mut *self.walk, depth: 3, keep_items: false }.visit_seq(seq)?;
        self.not_an_object();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { walk, index, hint } = self;
        let mut draft = Draft::default();
        while let Some(name) = map.next_key_seed(NameSeed(&mut walk.scratch))? {
            let place = draft.place(&walk.scratch, &name);
            let keep_items = !matches!(place, Member::Other) || draft.kind.is_none();
            let value = map.next_value_seed(AnySeed { walk: &mut *walk, depth: 4, keep_items })?;
            if let Err(refusal) = draft.put(&walk.scratch, place, name, value, hint) {
                return Err(walk.fail(refusal));
            }
        }
        if let Err(refusal) = draft.settle(&walk.scratch) {
            return Err(walk.fail(refusal));
        }
        match draft.judge(walk) {
            Ok(()) => {}
            Err((code, field)) => walk.refused.push(Some(index), code, field.as_deref()),
        }
        Ok(())
    }
}

/// Where a member of a signal belongs.
#[derive(Clone, Copy)]
enum Member {
    Type,
    At,
    Field(usize),
    /// Not in the catalogue, or the type is not known yet.
    Other,
}

/// A signal while its members are read, in any order.
#[derive(Default)]
struct Draft<'de> {
    type_seen: bool,
    kind: Option<SignalType>,
    at: Option<Raw<'de>>,
    /// In the catalogue's order.
    fields: [Option<Raw<'de>>; TYPE_FIELDS_MAX],
    others: Names<'de, Raw<'de>>,
    /// Index after that of the last field read: senders keep an order.
    next: usize,
}

/// The type of this name that senders may send, tried first at `hint`.
fn find_type(name: &str, hint: &mut usize) -> Option<SignalType> {
    let types = &CATALOGUE.types;
    if types.get(*hint).is_none_or(|t| t.name != name) {
        *hint = types.iter().position(|t| t.name.len() == name.len() && t.name == name)?;
    }
    SignalType::from_index(*hint).filter(|kind| kind.is_sent())
}

impl<'de> Draft<'de> {
    fn place(&mut self, scratch: &str, name: &Raw<'de>) -> Member {
        let name = text(scratch, name).unwrap_or_default();
        match name {
            "type" => return Member::Type,
            "at" => return Member::At,
            _ => {}
        }
        let found = self.kind.and_then(|kind| find(&kind.def().fields, name, self.next));
        found.map_or(Member::Other, |i| {
            self.next = i + 1;
            Member::Field(i)
        })
    }

    fn put(
        &mut self,
        scratch: &str,
        place: Member,
        name: Raw<'de>,
        value: Raw<'de>,
        hint: &mut usize,
    ) -> Result<(), Refusal> {
        let twice = match place {
            Member::Type => {
                self.kind = text(scratch, &value).and_then(|t| find_type(t, hint));
                std::mem::replace(&mut self.type_seen, true)
            }
            Member::At => self.at.replace(value).is_some(),
            Member::Field(i) => self.fields[i].replace(value).is_some(),
            Member::Other => {
                let new = text(scratch, &name);
                let twice = self.others.iter().any(|(known, _)| text(scratch, known) == new);
                if self.others.len() >= SIGNAL_FIELDS_MAX {
                    return Err(Refusal::JsonTooManyNames);
                }
                self.others.push((name, value));
                twice
            }
        };
        if twice { Err(Refusal::JsonDuplicateName) } else { Ok(()) }
    }

    /// Puts what came before the type in its place.
    fn settle(&mut self, scratch: &str) -> Result<(), Refusal> {
        let Some(kind) = self.kind else { return Ok(()) };
        let def = kind.def();
        let mut twice = false;
        let fields = &mut self.fields;
        self.others.retain(|(name, value)| {
            let found = find(&def.fields, text(scratch, name).unwrap_or_default(), 0);
            if let Some(i) = found {
                twice |= fields[i].replace(std::mem::replace(value, Raw::Null)).is_some();
            }
            found.is_none()
        });
        if twice { Err(Refusal::JsonDuplicateName) } else { Ok(()) }
    }

    /// Checks the signal against the catalogue and encodes it, or says why not: the type first, then names that are not
    /// in the catalogue, then the time, then the fields in the catalogue's order, and its age last.
    fn judge(&self, walk: &mut Walk<'de>) -> Result<(), (SignalRefusal, Option<String>)> {
        let about = |code, field: &str| (code, Some(field.to_owned()));
        let Some(kind) = self.kind else {
            let code = if self.type_seen { SignalRefusal::TypeUnknown } else { SignalRefusal::FieldMissing };
            return Err(about(code, "type"));
        };
        if let Some((name, _)) = self.others.first() {
            let name = text(&walk.scratch, name).and_then(plausible);
            return Err((SignalRefusal::FieldNotAllowed, name.map(str::to_owned)));
        }
        let at = match self.at {
            None | Some(Raw::Null) => return Err(about(SignalRefusal::FieldMissing, "at")),
            Some(Raw::Int(at)) if (TIME_MS_MIN..=TIME_MS_MAX).contains(&at) => at,
            Some(Raw::Int(0..TIME_MS_MIN)) => return Err(about(SignalRefusal::AtNotMs, "at")),
            Some(_) => return Err(about(SignalRefusal::ValueInvalid, "at")),
        };
        let def: &TypeDef = kind.def();
        let mut hashes = [[0; 16]; TYPE_FIELDS_MAX];
        let mut values = [Value::Absent; TYPE_FIELDS_MAX];
        let mut hashes_left = hashes.iter_mut();
        for ((field, raw), value) in def.fields.iter().zip(&self.fields).zip(&mut values) {
            match raw {
                None | Some(Raw::Null) if field.optional => {}
                None | Some(Raw::Null) => return Err(about(SignalRefusal::FieldMissing, &field.name)),
                Some(raw) => {
                    let room = hashes_left.next();
                    *value = check(&walk.scratch, &walk.items, &field.kind, raw, room)
                        .ok_or_else(|| about(SignalRefusal::ValueInvalid, &field.name))?;
                }
            }
        }
        let span = walk.terms.span(walk.head.clock_offset_ms);
        if at < span.oldest_at {
            return Err(about(SignalRefusal::TooOld, "at"));
        }
        walk.signals.push(kind, at, &values[..def.fields.len()], &span);
        Ok(())
    }
}

/// The value, if the catalogue allows it. `room` is for the bytes of a hash.
fn check<'a>(
    scratch: &'a str,
    items: &[Raw<'_>],
    kind: &FieldKind,
    raw: &'a Raw<'_>,
    room: Option<&'a mut [u8; 16]>,
) -> Option<Value<'a>> {
    match (kind, raw) {
        (FieldKind::Int { min, max }, Raw::Int(n)) if (min..=max).contains(&n) => Some(Value::Int(*n)),
        (FieldKind::Bool, Raw::Bool(truth)) => Some(Value::Bool(*truth)),
        (FieldKind::EnumList(symbols), Raw::List(range)) => {
            let mut bits = 0_u32;
            for item in &items[range.start as usize..range.end as usize] {
                let bit = 1 << symbol(symbols, text(scratch, item)?)?;
                if bits & bit != 0 {
                    return None;
                }
                bits |= bit;
            }
            Some(Value::List(bits))
        }
        (kind, raw) => {
            let text = text(scratch, raw)?;
            match kind {
                FieldKind::Enum(symbols) => symbol(symbols, text).map(Value::Enum),
                FieldKind::Ident { class, max } => {
                    (text.len() <= *max && class.admits(text)).then_some(Value::Ident(text))
                }
                FieldKind::Hash => {
                    let room = room?;
                    hash(text, room).then_some(Value::Hash(room))
                }
                FieldKind::Int { .. } | FieldKind::Bool | FieldKind::EnumList(_) => None,
            }
        }
    }
}

fn symbol(symbols: &[String], text: &str) -> Option<u8> {
    symbols.iter().position(|s| s.len() == text.len() && s == text).map(|i| i as u8)
}

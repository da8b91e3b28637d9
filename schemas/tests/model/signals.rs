//! Signals drawn from the catalogue, each with its Apache Avro value.

use apache_avro::types::Value as Avro;
use logystera_schemas::batch::Value;
use logystera_schemas::catalogue::{FieldDef, FieldKind, SignalType};

use super::{Entropy, Model};

/// A value that owns what [`Value`] borrows.
#[derive(Clone, Debug)]
pub(crate) enum Drawn {
    Absent,
    Enum(u8),
    List(u32),
    Int(i64),
    Bool(bool),
    Hash([u8; 16]),
    Ident(String),
}

impl Drawn {
    fn draw(kind: &FieldKind, from: &mut Entropy<'_>) -> Self {
        match kind {
            FieldKind::Enum(symbols) => Self::Enum(from.below(symbols.len()) as u8),
            FieldKind::EnumList(symbols) => Self::List(u32::from(from.byte()) & ((1 << symbols.len()) - 1)),
            // The codec carries any long; the gateway keeps to the range.
            FieldKind::Int { .. } => Self::Int(i64::draw(from)),
            FieldKind::Bool => Self::Bool(bool::draw(from)),
            FieldKind::Hash => Self::Hash(from.array()),
            FieldKind::Ident { .. } => Self::Ident(String::draw(from)),
        }
    }

    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Absent => Value::Absent,
            Self::Enum(place) => Value::Enum(*place),
            Self::List(bits) => Value::List(*bits),
            Self::Int(number) => Value::Int(*number),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Hash(hash) => Value::Hash(hash),
            Self::Ident(text) => Value::Ident(text),
        }
    }

    fn avro(&self, kind: &FieldKind) -> Avro {
        let symbol = |place: usize, symbols: &[String]| Avro::Enum(place as u32, symbols[place].clone());
        match (self, kind) {
            (Self::Enum(place), FieldKind::Enum(symbols)) => symbol(usize::from(*place), symbols),
            (Self::List(bits), FieldKind::EnumList(symbols)) => {
                Avro::Array((0..symbols.len()).filter(|i| bits & 1 << i != 0).map(|i| symbol(i, symbols)).collect())
            }
            (Self::Int(number), _) => Avro::Long(*number),
            (Self::Bool(truth), _) => Avro::Boolean(*truth),
            (Self::Hash(hash), _) => Avro::Fixed(16, hash.to_vec()),
            (Self::Ident(text), _) => Avro::String(text.clone()),
            (Self::Absent, _) => Avro::Null,
            (Self::Enum(_) | Self::List(_), _) => unreachable!("drawn for another kind"),
        }
    }
}

/// One signal of a batch to be.
#[derive(Clone, Debug)]
pub(crate) struct DrawnSignal {
    pub(crate) kind: SignalType,
    pub(crate) at: i64,
    pub(crate) fields: Vec<Drawn>,
}

impl DrawnSignal {
    /// A signal of this type, within a century of `base_at`.
    pub(crate) fn draw(kind: SignalType, base_at: i64, from: &mut Entropy<'_>) -> Self {
        let at = base_at + i64::draw(from) % 3_155_760_000_000;
        let field = |f: &FieldDef| {
            let absent = f.optional && bool::draw(from);
            if absent { Drawn::Absent } else { Drawn::draw(&f.kind, from) }
        };
        Self { kind, at, fields: kind.def().fields.iter().map(field).collect() }
    }

    /// The union's branch with the signal's record.
    pub(crate) fn avro(&self, base_at: i64) -> Avro {
        let mut record = vec![("at".to_owned(), Avro::Long(self.at - base_at))];
        for (field, drawn) in self.kind.def().fields.iter().zip(&self.fields) {
            let value = drawn.avro(&field.kind);
            let present = u32::from(value != Avro::Null);
            let value = if field.optional { Avro::Union(present, Box::new(value)) } else { value };
            record.push((field.name.clone(), value));
        }
        Avro::Union(self.kind.index() as u32, Box::new(Avro::Record(record)))
    }
}

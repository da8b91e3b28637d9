//! A signal type that a sender switched, as a signal, so that rules see who stops watching.

use logystera_schemas::catalogue::{FieldKind, SignalType};

use crate::input::{Field, SignalIn};

/// What rules are told of it.
#[expect(clippy::expect_used, reason = "the catalogue has it")]
pub(super) fn signal(switched: SignalType, action: &str, at: i64) -> SignalIn {
    let kind = SignalType::from_name("integration.changed").expect("a signal type");
    let fields = kind.def().fields.iter().map(|field| match &field.kind {
        FieldKind::Enum(symbols) => symbols
            .iter()
            .position(|symbol| symbol.as_str() == action)
            .map_or(Field::Absent, |place| Field::Enum(place as u8)),
        FieldKind::Ident { .. } => Field::Ident(switched.name().to_owned()),
        _ => Field::Absent,
    });
    SignalIn { kind, at, fields: fields.collect() }
}

//! A refusal as a signal, so that rules see what a site sends in vain.

use logystera_schemas::catalogue::{FieldKind, SignalType};
use logystera_schemas::signals_topic::Refused;

use crate::input::{Field, SignalIn};

/// The type, which only the engine makes.
#[expect(clippy::expect_used, reason = "the catalogue has it")]
fn kind() -> SignalType {
    SignalType::from_name("integration.refused").expect("a signal type")
}

/// What rules are told of the refusal; nothing if the batch had been taken before, only its clock was wrong, or the
/// gateway was in trouble itself.
pub(super) fn signal(refused: &Refused, at: i64) -> Option<SignalIn> {
    let reason = match refused.reason.as_str() {
        "duplicate" | "clock_skew" | "log_away" | "busy" | "shutting_down" | "clock_differs" => return None,
        reason @ ("conflict" | "below_window" | "too_many_spools" | "nothing_acceptable") => reason,
        "quota_exceeded" | "rate_limited" => "quota",
        "body_too_large" | "inflated_too_large" | "too_many_signals" => "too_large",
        "content_type_unsupported"
        | "content_encoding_unsupported"
        | "gzip_malformed"
        | "not_utf8"
        | "head_invalid"
        | "through_invalid" => "malformed",
        reason if reason.starts_with("json_") => "malformed",
        "type_unknown" | "field_not_allowed" | "field_missing" | "value_invalid" | "too_old" => "signal",
        _ => "other",
    };
    let kind = kind();
    let fields = kind.def().fields.iter().map(|field| match &field.kind {
        FieldKind::Enum(symbols) => symbols
            .iter()
            .position(|symbol| symbol.as_str() == reason)
            .map_or(Field::Absent, |place| Field::Enum(place as u8)),
        FieldKind::Int { max, .. } => Field::Int(i64::try_from(refused.count).unwrap_or(i64::MAX).min(*max)),
        _ => Field::Absent,
    });
    Some(SignalIn { kind, at, fields: fields.collect() })
}

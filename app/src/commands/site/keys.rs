//! A key, as it is shown.

use logystera_schemas::control::Key;
use serde_json::{Value, json};

use crate::when;

/// Where a key is in its life.
pub(super) fn state(key: &Key, now: i64) -> &'static str {
    match key {
        Key { stolen: true, .. } => "stolen",
        Key { revoked_at: Some(_), .. } => "revoked",
        key if key.is_valid(now) => "valid",
        key if key.is_live(now) => "not_yet_valid",
        _ => "expired",
    }
}

/// What JSON says of a key.
pub(super) fn key_object(key: &Key, now: i64) -> Value {
    json!({
        "key": key.key, "state": state(key, now), "created_at": key.created_at, "not_before": key.not_before,
        "not_after": key.not_after, "revoked_at": key.revoked_at,
    })
}

/// In a list.
pub(super) fn describe(key: &Key, now: i64) -> String {
    match (state(key, now), key.not_after) {
        ("valid", Some(end)) => format!("{} (until {})", key.key, when::show(end)),
        ("valid", None) => key.key.to_string(),
        (state, _) => format!("{} ({})", key.key, state.replace('_', " ")),
    }
}

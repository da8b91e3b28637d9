//! The body of a batch.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a batch says before its signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchHead<'a> {
    /// Its watermark.
    pub through: i64,
    /// Server minus sender, in milliseconds.
    pub clock_offset_ms: i64,
    /// How often the sender promises a batch, in seconds.
    pub flush_every_s: u32,
    /// Whether it is the last batch of its spool, as far as the sender knows.
    pub ends: bool,
    /// Signal types that are switched on.
    pub enabled: &'a [&'a str],
}

#[derive(Serialize)]
struct Integration<'a> {
    platform: &'static str,
    version: &'static str,
    enabled: &'a [&'a str],
}

/// The body: `signals` are JSON objects.
pub fn body<'a>(head: &BatchHead<'_>, signals: impl IntoIterator<Item = &'a str>) -> String {
    let integration = Integration { platform: "other", version: env!("CARGO_PKG_VERSION"), enabled: head.enabled };
    let mut text = format!(
        "{{\"through\":{},\"clock_offset_ms\":{},\"flush_every_s\":{},{}\"integration\":{},\"signals\":[",
        head.through,
        head.clock_offset_ms,
        head.flush_every_s,
        if head.ends { "\"ends\":true," } else { "" },
        serde_json::to_string(&integration).unwrap_or_default(),
    );
    for (i, signal) in signals.into_iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(signal);
    }
    text.push_str("]}");
    text
}

#[derive(Deserialize, Serialize)]
struct Parts<'a> {
    through: i64,
    clock_offset_ms: i64,
    flush_every_s: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ends: bool,
    #[serde(borrow)]
    integration: &'a RawValue,
    #[serde(borrow)]
    signals: Vec<&'a RawValue>,
}

/// Type and time of a signal in a body.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Brief {
    /// Type.
    pub r#type: String,
    /// Time, milliseconds since the epoch.
    pub at: i64,
}

/// Type and time of each signal in a body that [`body`] made.
pub fn briefs(body: &str) -> Result<Vec<Brief>, serde_json::Error> {
    let parts: Parts<'_> = serde_json::from_str(body)?;
    parts.signals.iter().map(|s| serde_json::from_str(s.get())).collect()
}

/// A body in two halves, for a batch that was too large: all else is kept, except that the first half's `through` is
/// just before the second's first signal, and that it does not end the spool. None for a body with fewer than two
/// signals, which cannot be halved.
pub fn halves(body: &str) -> Result<Option<[(String, usize); 2]>, serde_json::Error> {
    let mut first: Parts<'_> = serde_json::from_str(body)?;
    if first.signals.len() < 2 {
        return Ok(None);
    }
    let rest = first.signals.split_off(first.signals.len() / 2);
    let next: Brief = serde_json::from_str(rest[0].get())?;
    let second = Parts { signals: rest, ..first };
    first = Parts { through: next.at - 1, ends: false, signals: first.signals, ..second };
    Ok(Some([
        (serde_json::to_string(&first)?, first.signals.len()),
        (serde_json::to_string(&second)?, second.signals.len()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_halved_and_keeps_its_watermark() {
        let head = BatchHead { through: 30, clock_offset_ms: -2_000, flush_every_s: 60, ends: true, enabled: &["a"] };
        let signals: Vec<String> =
            [1, 2, 30].iter().map(|at| format!(r#"{{"type":"a","at":{at},"n":1.50}}"#)).collect();
        let whole = body(&head, signals.iter().map(String::as_str));
        let [(first, n), (second, m)] = halves(&whole).unwrap().unwrap();
        assert_eq!((n, m), (1, 2));
        assert_eq!(first, body(&BatchHead { through: 1, ends: false, ..head.clone() }, [signals[0].as_str()]));
        assert_eq!(second, body(&head, signals[1..].iter().map(String::as_str)));
        assert_eq!(halves(&first).unwrap(), None);
        assert_eq!(halves(&body(&head, [])).unwrap(), None);
        let times: Vec<_> = briefs(&second).unwrap().into_iter().map(|b| (b.r#type, b.at)).collect();
        assert_eq!(times, [("a".to_owned(), 2), ("a".to_owned(), 30)]);
    }
}

//! One line of the input: a signal, or a reason why it is none.
//!
//! What would make the gateway refuse a whole batch (a key twice, too deep a nesting, no time) is found here, so that
//! one bad line does not take 999 good ones with it. Whether type and fields are allowed is the gateway's to say.

use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;

use logystera_schemas::limits::{JSON_DEPTH_MAX, LINE_BYTES_MAX, SIGNAL_FIELDS_MAX, TIME_MS_MAX};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels that a batch puts around a signal: the body and its list.
const FRAME_DEPTH: usize = 2;

/// Seconds since 1970 from 2000 to 2100. As milliseconds they would all lie in the first weeks of 1970, where no signal
/// is from.
const SECONDS: RangeInclusive<i64> = 946_684_800..=4_102_444_800;

/// A signal as it will be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Line of the input that it came from, from 1; 0 if the sender made it.
    pub line: u64,
    /// When, by the sender's clock, milliseconds since the epoch.
    pub at: i64,
    /// Its type's name.
    pub kind: String,
    /// Its other fields as JSON: empty, or `,"name":value` for each.
    pub fields: String,
}

impl Signal {
    /// The signal as JSON.
    pub fn json(&self) -> String {
        format!("{{\"type\":{},\"at\":{}{}}}", Value::from(self.kind.as_str()), self.at, self.fields)
    }
}

/// Why a line is not a signal. Says nothing of the values in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Over [`LINE_BYTES_MAX`].
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("not UTF-8, at byte {0}")]
    NotUtf8(usize),
    /// Not JSON, or with a key twice.
    #[error("not JSON: {what} at column {column}")]
    NotJson {
        /// What is wrong.
        what: String,
        /// Where, from 1.
        column: usize,
    },
    /// JSON, but not an object.
    #[error("not a JSON object: a signal looks like {{\"type\":\"cron.run\",\"at\":1767225599000,…}}")]
    NotObject,
    /// Nested too deeply for a batch.
    #[error("nested more than {} levels deep", JSON_DEPTH_MAX - FRAME_DEPTH)]
    TooDeep,
    /// `type` is missing or not text.
    #[error("no `type`: the name of a signal type, such as \"cron.run\"")]
    NoType,
    /// `at` is missing or out of range.
    #[error("no `at`: milliseconds since 1970 as a whole number from 0 to {TIME_MS_MAX}")]
    NoAt,
    /// `at` is text or something else that is no number.
    #[error("`at` must be milliseconds since 1970 as a whole number, such as 1767225599000; this is {0}")]
    AtKind(&'static str),
    /// `at` counts something finer.
    #[error("`at` must be milliseconds since 1970; this looks like {what}: divided by {by}")]
    AtFiner {
        /// What it counts.
        what: &'static str,
        /// How many of it a millisecond has.
        by: &'static str,
    },
    /// `at` counts seconds.
    #[error("`at` must be milliseconds since 1970; this looks like seconds: times 1,000")]
    Seconds,
}

/// Reads one line, without its line feed.
pub fn read(line: u64, bytes: &[u8]) -> Result<Signal, LineError> {
    if bytes.len() > LINE_BYTES_MAX {
        return Err(LineError::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|e| LineError::NotUtf8(e.valid_up_to() + 1))?;
    let Strict(value) = serde_json::from_str(text).map_err(|e| not_json(&e))?;
    let Value::Object(mut object) = value else { return Err(LineError::NotObject) };
    if object.values().map(depth).max().unwrap_or(0) + 1 > JSON_DEPTH_MAX - FRAME_DEPTH {
        return Err(LineError::TooDeep);
    }
    let Some(Value::String(kind)) = object.remove("type") else { return Err(LineError::NoType) };
    let at = time(object.remove("at").as_ref())?;
    Ok(Signal { line, at, kind, fields: fields_json(&object) })
}

/// The time that a signal says.
fn time(at: Option<&Value>) -> Result<i64, LineError> {
    let at = match at {
        Some(Value::Number(number)) => number.as_i64().ok_or_else(|| of_number(number))?,
        Some(Value::String(text)) => return Err(of_text(text)),
        Some(Value::Null) | None => return Err(LineError::NoAt),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => return Err(LineError::AtKind("none")),
    };
    match at {
        at if SECONDS.contains(&at) => Err(LineError::Seconds),
        0..=TIME_MS_MAX => Ok(at),
        at if SECONDS.contains(&(at / 1_000_000)) => Err(LineError::AtFiner { what: "microseconds", by: "1,000" }),
        at if SECONDS.contains(&(at / 1_000_000_000)) => {
            Err(LineError::AtFiner { what: "nanoseconds", by: "1,000,000" })
        }
        _ => Err(LineError::NoAt),
    }
}

fn of_number(number: &Number) -> LineError {
    match number.as_f64() {
        Some(number) if number.fract() != 0.0 && number < 1e11 => LineError::AtKind("one of seconds with a fraction"),
        Some(number) if number.fract() != 0.0 => LineError::AtKind("one with a fraction"),
        _ => LineError::NoAt,
    }
}

/// Tells what the text looks like, and never the text.
fn of_text(text: &str) -> LineError {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_date = text.split_once('-').is_some_and(|(year, _)| year.len() == 4 && digits(year));
    LineError::AtKind(match text {
        _ if is_date => "a date as text (of a date, `date -d DATE +%s%3N` makes it)",
        _ if digits(text) => "a number in quotes: leave them out",
        _ => "text",
    })
}

/// An object's members as they follow others: each with a comma before it.
pub fn fields_json(object: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in object {
        // Writing to a string cannot fail.
        let _ = write!(text, ",{}:{value}", Value::from(name.as_str()));
    }
    text
}

fn not_json(error: &serde_json::Error) -> LineError {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default().to_owned();
    LineError::NotJson { what, column: error.column() }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Any JSON value in which no object has a key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = members.next_entry::<String, Strict>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a key that stands twice"));
            }
            if object.len() > SIGNAL_FIELDS_MAX {
                return Err(A::Error::custom("an object with more than 32 keys"));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &str) {
        let got = match read(1, bytes) {
            Ok(signal) => signal.json(),
            Err(error) => error.to_string(),
        };
        let got = got.split(" at column ").next().unwrap();
        assert_eq!(got, expected, "{}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn a_line_is_a_signal_or_a_reason() {
        check(
            br#"{"at":5,"type":"cron.run","job":"a","z":[1,"x"]}"#,
            r#"{"type":"cron.run","at":5,"job":"a","z":[1,"x"]}"#,
        );
        check(br#" {"type":"x","at":0} "#, r#"{"type":"x","at":0}"#);
        check(
            "{\"type\":\"x\",\"at\":1,\"n\":\"\u{e9}\\u0000\"}".as_bytes(),
            "{\"type\":\"x\",\"at\":1,\"n\":\"\u{e9}\\u0000\"}",
        );
        check(b"{\"type\":\"\xff\"}", "not UTF-8, at byte 10");
        check(b"", "not JSON: EOF while parsing a value");
        check(br#"{"type":"x""#, "not JSON: EOF while parsing an object");
        check(br#"{"type":"x","at":1} {}"#, "not JSON: trailing characters");
        check(br#"{"type":"x","at":1,"at":2}"#, "not JSON: a key that stands twice");
        check(br#"{"type":"x","at":1,"n":{"a":1,"a":1}}"#, "not JSON: a key that stands twice");
        check(br#"{"type":"x","at":1,"n":1e400}"#, "not JSON: number out of range");
        check(br#"{"type":"x","at":1,"n":"\ud800"}"#, "not JSON: unexpected end of hex escape");
        check(br#"{"type":"x","at":1,"n":NaN}"#, "not JSON: expected value");
        for no_at in ["", ",\"at\":-1", ",\"at\":253402300800000", ",\"at\":null", ",\"at\":1e300"] {
            check(format!("{{\"type\":\"x\"{no_at}}}").as_bytes(), &LineError::NoAt.to_string());
        }
        for (at, says) in [
            ("1767225599", "seconds: times 1,000"),
            ("1767225599.25", "one of seconds with a fraction"),
            ("1767225599000.5", "one with a fraction"),
            ("1767225599000000", "microseconds: divided by 1,000"),
            ("1767225599000000000", "nanoseconds: divided by 1,000,000"),
            ("\"2026-01-01T00:00:00Z\"", "a date as text (of a date, `date -d DATE +%s%3N`"),
            ("\"2026-01-01 00:00\"", "a date as text"),
            ("\"1767225599000\"", "a number in quotes: leave them out"),
            ("\"hunter2\"", "this is text"),
            ("true", "this is none"),
        ] {
            let error = read(1, format!("{{\"type\":\"x\",\"at\":{at}}}").as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("`at` must be milliseconds since 1970") && error.contains(says), "{at}: {error}");
        }
        check(br#"{"at":1}"#, &LineError::NoType.to_string());
        check(br#"{"at":1,"type":7}"#, &LineError::NoType.to_string());
        assert_eq!(
            read(1, br#"{"type":"x",?}"#).unwrap_err().to_string(),
            "not JSON: key must be a string at column 13"
        );
        check(b"[1]", &LineError::NotObject.to_string());
    }

    #[test]
    fn long_and_deep_lines_are_refused_at_their_limits() {
        let line = |pad: usize| format!("{{\"type\":\"x\",\"at\":1,\"n\":\"{}\"}}", "a".repeat(pad));
        let frame = line(0).len();
        assert!(read(1, line(LINE_BYTES_MAX - frame).as_bytes()).is_ok());
        assert_eq!(read(1, line(LINE_BYTES_MAX - frame + 1).as_bytes()), Err(LineError::TooLong));

        let nested =
            |levels: usize| format!("{{\"type\":\"x\",\"at\":1,\"n\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(1, nested(JSON_DEPTH_MAX - FRAME_DEPTH - 1).as_bytes()).is_ok());
        assert_eq!(read(1, nested(JSON_DEPTH_MAX - FRAME_DEPTH).as_bytes()), Err(LineError::TooDeep));

        let wide = |keys: usize| {
            let more = (0..keys - 2).map(|i| format!(",\"k{i}\":0")).collect::<Vec<_>>().concat();
            read(1, format!("{{\"type\":\"x\",\"at\":1{more}}}").as_bytes())
        };
        assert!(wide(SIGNAL_FIELDS_MAX).is_ok());
        assert!(matches!(wide(SIGNAL_FIELDS_MAX + 1), Err(LineError::NotJson { .. })));
    }

    #[test]
    fn an_error_does_not_repeat_a_value() {
        for bytes in [&br#"{"type":"x","at":"hunter2"}"#[..], br#""hunter2""#, br#"{"type":"x","p":"hunter2" 1}"#] {
            let error = read(1, bytes).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}

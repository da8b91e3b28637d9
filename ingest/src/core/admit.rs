//! From a body's JSON to the log's bytes in one pass: the allowlist. Strings are borrowed from the body, signals are
//! encoded as they are read, and nothing is allocated per signal. There are two ways: a quick one for bodies in which
//! there is nothing unusual, and the careful one, which knows all of JSON and all refusals.
//!
//! A fault of the body (it is not the JSON that it should be) refuses the whole batch. A fault of one signal (it is not
//! in the catalogue) refuses that signal only. No value is ever kept for an answer.

mod any;
mod encoded;
mod head;
mod outcome;
mod plain;
mod raw;
mod signal;
mod walk;

use logystera_schemas::avro::Writer;
use logystera_schemas::catalogue::IdentClass;
use logystera_schemas::limits::{
    CLOCK_OFFSET_MS_MAX, FLUSH_EVERY_S_DEFAULT, FLUSH_EVERY_S_MAX, INTEGRATION_VERSION_CHARS_MAX, TIME_MS_MAX,
    TIME_MS_MIN,
};
use serde::de::DeserializeSeed;
use serde_json::error::Category;

use super::refusal::Refusal;
pub use outcome::{Admitted, BodyFault, RefusedItem, RefusedSignals, Terms};
use raw::Raw;
use walk::Walk;

/// Reads a body. A signal is too old if its site time lies further back than `terms` allow.
pub fn admit(body: &[u8], terms: &Terms) -> Result<Admitted, BodyFault> {
    let text = std::str::from_utf8(body).map_err(|_| BodyFault::of(Refusal::NotUtf8))?;
    plain::admit(text, terms).map_or_else(|| carefully(text, terms), Ok)
}

/// Reads any body; says why a refused one is refused.
fn carefully(text: &str, terms: &Terms) -> Result<Admitted, BodyFault> {
    let first = parse(text, terms, 0)?;
    // A signal's age depends on `clock_offset_ms`. If that comes after the signals, they are read once more.
    if first.assumed_wrongly {
        return parse(text, terms, first.admitted.clock_offset_ms).map(|p| p.admitted);
    }
    Ok(first.admitted)
}

struct Parsed {
    admitted: Admitted,
    assumed_wrongly: bool,
}

fn parse(text: &str, terms: &Terms, assumed_offset_ms: i64) -> Result<Parsed, BodyFault> {
    let mut walk = Walk {
        fault: None,
        terms: *terms,
        head: walk::BodyHead { clock_offset_ms: assumed_offset_ms, ..walk::BodyHead::default() },
        scratch: String::new(),
        items: Vec::new(),
        signals: encoded::Encoded::new(Writer::with(Vec::with_capacity(text.len() / 2))),
        refused: RefusedSignals::default(),
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let walked = head::HeadSeed(&mut walk).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if let Err(error) = walked {
        let (refusal, field) = walk.fault.unwrap_or(match error.classify() {
            Category::Data => (Refusal::HeadInvalid, None),
            Category::Syntax | Category::Eof | Category::Io => (Refusal::JsonMalformed, None),
        });
        let place = |n: usize| (n > 0).then_some(n);
        return Err(BodyFault { refusal, field, line: place(error.line()), column: place(error.column()) });
    }
    finish(walk, assumed_offset_ms)
}

fn finish(walk: Walk<'_>, assumed_offset_ms: i64) -> Result<Parsed, BodyFault> {
    let invalid = |field| BodyFault { field: Some(field), ..BodyFault::of(Refusal::HeadInvalid) };
    let head = &walk.head;
    let int = |raw: &Option<Raw<'_>>, default: Option<i64>, range: std::ops::RangeInclusive<i64>, field| match raw {
        None => default.ok_or(invalid(field)),
        Some(Raw::Int(n)) if range.contains(n) => Ok(*n),
        Some(_) => Err(invalid(field)),
    };
    let through = int(&head.through, None, 0..=TIME_MS_MAX, "through")?;
    let offset_range = -CLOCK_OFFSET_MS_MAX..=CLOCK_OFFSET_MS_MAX;
    let clock_offset_ms = int(&head.clock_offset, Some(0), offset_range, "clock_offset_ms")?;
    let flush_range = 1..=i64::from(FLUSH_EVERY_S_MAX);
    let flush_every_s = int(&head.flush_every, Some(i64::from(FLUSH_EVERY_S_DEFAULT)), flush_range, "flush_every_s")?;
    let ends = match head.ends {
        None => false,
        Some(Raw::Bool(ends)) => ends,
        Some(_) => return Err(invalid("ends")),
    };
    let platform = head.platform.ok_or(invalid("integration.platform"))?;
    let enabled = head.enabled.ok_or(invalid("integration.enabled"))?;
    let version = head.version.clone().unwrap_or_default();
    let version_holds = version.len() <= INTEGRATION_VERSION_CHARS_MAX && IdentClass::Version.admits(&version);
    if !version.is_empty() && !version_holds {
        return Err(invalid("integration.version"));
    }
    if !head.signals_seen {
        return Err(invalid("signals"));
    }
    let assumed_wrongly = head.signals_before_offset && clock_offset_ms != assumed_offset_ms;
    // If the offset was assumed wrongly, it is not known yet which signals lie ahead of the gateway's clock.
    if through < TIME_MS_MIN || !(assumed_wrongly || walk.signals.allows(through)) {
        return Err(BodyFault { field: Some("through"), ..BodyFault::of(Refusal::ThroughInvalid) });
    }
    let (base_at, accepted, signals) = walk.signals.finish(through);
    let admitted = Admitted {
        through,
        clock_offset_ms,
        flush_every_s: flush_every_s as u32,
        platform,
        integration_version: version,
        enabled,
        base_at,
        ends,
        accepted,
        signals,
        refused: walk.refused,
    };
    Ok(Parsed { admitted, assumed_wrongly })
}

#[cfg(test)]
mod tests;

//! From a body's JSON to the log's bytes in one pass: the allowlist. Strings are borrowed from the body, signals are
//! encoded as they are read, and nothing is allocated per signal. There are two ways: a quick one for bodies in which there is
//! nothing unusual, and the careful one, which knows all of JSON and all refusals.
//!
//! Whole-batch faults (it is not the JSON that it should be) and single refusals (one signal is not in the catalogue) are
//! apart: the latter do not take the other signals with them. No value is ever kept for an answer.

mod any;
mod head;
mod plain;
mod signal;

use logystera_schemas::avro::Writer;
use logystera_schemas::batch::Platform;
use logystera_schemas::catalogue::{IdentClass, SignalTypes};
use logystera_schemas::limits::{
    AHEAD_MS_MAX, CLOCK_OFFSET_MS_MAX, FLUSH_EVERY_S_DEFAULT, FLUSH_EVERY_S_MAX, INTEGRATION_VERSION_CHARS_MAX,
    REFUSED_LISTED_MAX, TIME_MS_MAX, TIME_MS_MIN,
};
use serde::de::DeserializeSeed;
use serde_json::error::Category;
use smallvec::SmallVec;

use super::refusal::{Refusal, SignalRefusal};
use any::Raw;

/// What the gateway adds to the judgement of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The gateway's clock, milliseconds since the epoch.
    pub received_at: i64,
    /// Milliseconds before `received_at` at which a signal is too old, in site time.
    pub signal_age_ms_max: i64,
}

/// Times of signals by their sender's clock.
struct Span {
    /// What lies before is too old.
    oldest_at: i64,
    /// What lies after is ahead of the gateway's clock.
    ahead_at: i64,
}

impl Terms {
    /// The times that signals may have, by a clock that is this far behind the gateway's.
    fn span(&self, clock_offset_ms: i64) -> Span {
        let by_sender = |at: i64| at.saturating_sub(clock_offset_ms);
        Span {
            oldest_at: by_sender(self.received_at.saturating_sub(self.signal_age_ms_max)),
            ahead_at: by_sender(self.received_at.saturating_add(AHEAD_MS_MAX)),
        }
    }
}

/// A body that was taken, at least in part.
#[derive(Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The spool's watermark by the sender's clock.
    pub through: i64,
    /// Server minus sender, in milliseconds.
    pub clock_offset_ms: i64,
    /// How often the sender promises to speak.
    pub flush_every_s: u32,
    /// What the integration runs on.
    pub platform: Platform,
    /// Its version; empty where it was not said.
    pub integration_version: String,
    /// Signal types that are switched on at the site.
    pub enabled: SignalTypes,
    /// Time that the encoded signals' `at` is counted from.
    pub base_at: i64,
    /// Whether the sender says that this is its spool's last batch.
    pub ends: bool,
    /// How many signals were taken.
    pub accepted: usize,
    /// The signals, each as [`logystera_schemas::batch::write_signal`] has it.
    pub signals: Vec<u8>,
    /// What was left out.
    pub refused: RefusedSignals,
}

/// What was left out of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RefusedSignals {
    /// The first of them, in the order of the body.
    pub listed: Vec<RefusedItem>,
    /// How many more there are.
    pub more: usize,
    /// Signals left out, by reason in the order of [`SignalRefusal::ALL`].
    pub signals: [u32; SignalRefusal::ALL.len()],
}

impl RefusedSignals {
    /// How many signals were left out.
    pub fn total(&self) -> u32 {
        self.signals.iter().sum()
    }

    fn push(&mut self, index: Option<usize>, code: SignalRefusal, field: Option<&str>) {
        if index.is_some() {
            self.signals[code as usize] += 1;
        }
        if self.listed.len() >= REFUSED_LISTED_MAX {
            self.more += 1;
            return;
        }
        self.listed.push(RefusedItem { index, code, field: field.map(str::to_owned) });
    }
}

/// One thing that was left out.
#[derive(Debug, PartialEq, Eq)]
pub struct RefusedItem {
    /// Place of the signal in the body, from 0; none for a name in the head.
    pub index: Option<usize>,
    /// Why.
    pub code: SignalRefusal,
    /// Field that it is about. A name of the sender's own stands here only if it is a plausible one.
    pub field: Option<String>,
}

/// Why a body is refused whole, and where. It holds no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyFault {
    /// Why.
    pub refusal: Refusal,
    /// Field of the head that it is about.
    pub field: Option<&'static str>,
    /// Line of the body, from 1.
    pub line: Option<usize>,
    /// Byte in the line, from 1.
    pub column: Option<usize>,
}

impl BodyFault {
    /// A fault whose place is not known.
    pub fn of(refusal: Refusal) -> Self {
        Self { refusal, field: None, line: None, column: None }
    }
}

/// The name of a field that the catalogue does not have, where it may be repeated in an answer: a name can carry content too.
fn plausible(name: &str) -> Option<&str> {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    (plain && (1..=64).contains(&name.len())).then_some(name)
}

/// Reads a body. Times are judged by `terms`; too old is what lies further back in site time.
pub fn admit(body: &[u8], terms: &Terms) -> Result<Admitted, BodyFault> {
    let text = std::str::from_utf8(body).map_err(|_| BodyFault::of(Refusal::NotUtf8))?;
    plain::admit(text, terms).map_or_else(|| carefully(text, terms), Ok)
}

/// Reads any body, and says of one that is refused why.
fn carefully(text: &str, terms: &Terms) -> Result<Admitted, BodyFault> {
    let first = parse(text, terms, 0)?;
    // A signal's age needs the clock's offset. Where that stands behind the signals they are read once more.
    if first.assumed_wrongly {
        return parse(text, terms, first.admitted.clock_offset_ms).map(|p| p.admitted);
    }
    Ok(first.admitted)
}

struct Parsed {
    admitted: Admitted,
    assumed_wrongly: bool,
}

/// What the visitors share while they walk a body.
struct Walk<'de> {
    /// Set before the walk is broken off with an error of serde's, which cannot carry it.
    fault: Option<(Refusal, Option<&'static str>)>,
    terms: Terms,
    head: head::Head<'de>,
    /// Unescaped text of the object that is being read; [`Raw::Scratch`] points into it.
    scratch: String,
    /// Items of lists of the object that is being read; [`Raw::List`] points into it.
    items: Vec<Raw<'de>>,
    signals: signal::Encoded,
    refused: RefusedSignals,
}

impl<'de> Walk<'de> {
    /// Breaks the walk off.
    fn fail<E: serde::de::Error>(&mut self, refusal: Refusal) -> E {
        self.fault.get_or_insert((refusal, None));
        E::custom("")
    }

    fn text<'a>(&'a self, raw: &'a Raw<'de>) -> Option<&'a str> {
        any::text(&self.scratch, raw)
    }
}

fn parse(text: &str, terms: &Terms, assumed_offset_ms: i64) -> Result<Parsed, BodyFault> {
    let mut walk = Walk {
        fault: None,
        terms: *terms,
        head: head::Head { clock_offset_ms: assumed_offset_ms, ..head::Head::default() },
        scratch: String::new(),
        items: Vec::new(),
        signals: signal::Encoded::new(Writer::with(Vec::with_capacity(text.len() / 2))),
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
    // Where the offset was assumed wrongly, which signals lie ahead is not known yet.
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

/// Names of one object that are neither known nor wanted, kept to find repetitions.
type Names<'de, T> = SmallVec<[(Raw<'de>, T); 8]>;

#[cfg(test)]
mod tests;

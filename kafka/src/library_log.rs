//! Keeps what librdkafka says again and again from filling the log: while a broker is away, each client of a process
//! complains about it several times a second.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_schemas::limits::LIBRARY_KINDS_MAX;
use rdkafka::config::RDKafkaLogLevel;

/// How often one kind of line is written; those between are counted.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// What was heard of each kind of line.
#[derive(Debug, Default)]
struct Heard(BTreeMap<String, (Duration, u64)>);

impl Heard {
    /// How many lines of this kind were left out before one at `now` (counted from some start); none: it is left out
    /// too.
    fn hear(&mut self, kind: &str, now: Duration) -> Option<u64> {
        let is_full = self.0.len() >= LIBRARY_KINDS_MAX;
        let Some((told, more)) = self.0.get_mut(kind) else {
            if is_full {
                return None;
            }
            self.0.insert(kind.to_owned(), (now, 0));
            return Some(0);
        };
        if now.saturating_sub(*told) < TELL_EVERY {
            *more += 1;
            return None;
        }
        *told = now;
        Some(std::mem::take(more))
    }
}

/// Of all clients of the process: they say the same.
static HEARD: Mutex<Option<(Stopwatch, Heard)>> = Mutex::new(None);

fn hear(kind: &str) -> Option<u64> {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    let (since, heard) = heard.get_or_insert_with(|| (Stopwatch::start(), Heard::default()));
    heard.hear(kind, since.elapsed())
}

/// Writes a line of the library, or counts it. Its kinds are what it is about: `FAIL`, `REQTMOUT`, …
pub(crate) fn line(level: RDKafkaLogLevel, kind: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(kind, "librdkafka: {text}"),
        RDKafkaLogLevel::Debug => tracing::debug!(kind, "librdkafka: {text}"),
        _ => {
            if let Some(more) = hear(kind) {
                tracing::warn!(kind, unwritten = more, "librdkafka: {text}");
            }
        }
    }
}

/// The same, of what it calls an error; it goes on by itself.
pub(crate) fn error(what: &str, text: &str) {
    if let Some(more) = hear(what) {
        tracing::warn!(unwritten = more, "librdkafka: {what}: {text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_twice_a_minute_and_counted_between() {
        let mut heard = Heard::default();
        let told: Vec<Option<u64>> = (0..90).map(|s| heard.hear("FAIL", Duration::from_secs(s))).collect();
        let lines: Vec<(usize, u64)> = told.iter().enumerate().filter_map(|(s, told)| Some((s, (*told)?))).collect();
        assert_eq!(lines, [(0, 0), (30, 29), (60, 29)]);
        assert_eq!(heard.hear("REQTMOUT", Duration::from_secs(61)), Some(0), "each kind for itself");
        for kind in 0..2 * LIBRARY_KINDS_MAX {
            heard.hear(&kind.to_string(), Duration::ZERO);
        }
        assert_eq!(heard.0.len(), LIBRARY_KINDS_MAX);
    }
}

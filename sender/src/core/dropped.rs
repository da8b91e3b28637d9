//! What could not be kept or delivered, until the site is told of it by `integration.dropped` signals.

use logystera_schemas::catalogue::IdentClass;
use serde::{Deserialize, Serialize};

use super::line::Signal;

/// The type that tells of dropped signals. It is not counted itself: a refused report must not give birth to another.
pub const DROPPED_TYPE: &str = "integration.dropped";
/// Kinds of drop that are told apart; more types than this are counted as `other`.
const DROPS_MAX: usize = 64;
/// Largest count of one signal, as the catalogue has it.
const COUNT_MAX: u64 = 1_000_000_000;

/// Why signals were dropped, by the catalogue's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The spool was full.
    Overflow,
    /// The gateway refused their batch for good.
    Refused,
}

/// Signals of one type that were dropped for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Drop {
    kind: String,
    reason: Reason,
    count: u64,
    since: i64,
}

/// Counts of what was dropped and not told yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dropped(Vec<Drop>);

impl Dropped {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many signals [`Self::take`] would give.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Counts one signal.
    pub fn add(&mut self, kind: &str, reason: Reason, at: i64) {
        if kind == DROPPED_TYPE {
            return;
        }
        let sayable = IdentClass::Name.admits(kind) && kind.len() <= 64;
        let known = |drops: &[Drop], kind: &str| drops.iter().position(|d| d.kind == kind && d.reason == reason);
        let mut kind = if sayable { kind } else { "other" };
        if self.0.len() >= DROPS_MAX && known(&self.0, kind).is_none() {
            kind = "other";
        }
        if let Some(place) = known(&self.0, kind) {
            let drop = &mut self.0[place];
            drop.count = COUNT_MAX.min(drop.count + 1);
            drop.since = drop.since.min(at);
        } else {
            self.0.push(Drop { kind: kind.to_owned(), reason, count: 1, since: at });
        }
    }

    /// Takes the counts as signals of time `at`.
    pub fn take(&mut self, at: i64) -> Vec<Signal> {
        std::mem::take(&mut self.0).into_iter().map(|drop| drop.signal(at)).collect()
    }
}

impl Drop {
    fn signal(self, at: i64) -> Signal {
        let Self { kind, reason, count, since } = self;
        let fields = serde_json::json!({ "dropped_type": kind, "count": count, "since": since, "reason": reason });
        let fields = fields.as_object().map(super::line::fields_json).unwrap_or_default();
        Signal { line: 0, at, kind: DROPPED_TYPE.to_owned(), fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_told_once_and_bounded() {
        let mut dropped = Dropped::default();
        dropped.add("cron.run", Reason::Refused, 20);
        dropped.add("cron.run", Reason::Refused, 10);
        dropped.add("cron.run", Reason::Overflow, 15);
        dropped.add("a type with\nno name", Reason::Refused, 7);
        dropped.add(DROPPED_TYPE, Reason::Refused, 1);
        let told: Vec<String> = dropped.take(99).iter().map(Signal::json).collect();
        assert_eq!(
            told,
            [
                r#"{"type":"integration.dropped","at":99,"count":2,"dropped_type":"cron.run","reason":"refused","since":10}"#,
                r#"{"type":"integration.dropped","at":99,"count":1,"dropped_type":"cron.run","reason":"overflow","since":15}"#,
                r#"{"type":"integration.dropped","at":99,"count":1,"dropped_type":"other","reason":"refused","since":7}"#,
            ]
        );
        assert!(dropped.is_empty());

        (0..1_000).for_each(|i| dropped.add(&format!("t{i}"), Reason::Overflow, i));
        assert_eq!(dropped.0.len(), DROPS_MAX + 1);
        assert_eq!(dropped.0.iter().map(|d| d.count).sum::<u64>(), 1_000);
    }
}

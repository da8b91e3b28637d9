//! What a write lease says, and what follows from it. Pure.

use std::collections::BTreeMap;

use logystera_schemas::control::{GrowingTopic, Lease, ProcessRole};
use logystera_schemas::limits::{LEASE_MS, LEASE_RENEW_MS};
use logystera_schemas::partition::Generation;
use logystera_schemas::topic::Topic;

use super::layout::Layouts;

/// How long a lease that could not be written is left alone, milliseconds.
pub(super) const RETRY_PAUSE_MS: i64 = 500;

/// What a lease says, and what follows from it. Times are monotonic milliseconds.
#[derive(Debug)]
pub(super) struct LeaseState {
    pub(super) instance: String,
    incarnation: i64,
    pub(super) layouts: Layouts,
    /// Renewals asked for so far.
    renewal: u64,
    /// When each renewal was asked for that topic `control` has not shown yet, and the newest that it has shown.
    asked_ms: BTreeMap<u64, i64>,
    /// Until when the lease holds.
    until_ms: i64,
    /// Appends under way.
    pub(super) inside: usize,
    /// The newest generation that was left.
    left: Option<u32>,
    /// Whether the gateway would write ticks, and what of that was told last.
    pub(super) ticks: bool,
    told_ticks: Option<bool>,
    /// Whether topic `control` has shown a lease of this process: only then is one of another incarnation newer than
    /// its own, and not what an earlier process under the name has left.
    was_seen: bool,
    /// Whether another process has the name.
    is_superseded: bool,
}

impl LeaseState {
    /// Of a process that has asked for no lease yet. `incarnation` differs from process to process.
    pub(super) fn new(instance: &str, incarnation: i64, layouts: Layouts) -> Self {
        Self {
            instance: instance.to_owned(),
            incarnation,
            layouts,
            renewal: 0,
            asked_ms: BTreeMap::new(),
            until_ms: i64::MIN,
            inside: 0,
            left: None,
            ticks: false,
            told_ticks: None,
            was_seen: false,
            is_superseded: false,
        }
    }

    /// What has to be written now: the next renewal, or that the closing generation was left.
    pub(super) fn due(&mut self, now_ms: i64) -> Option<Lease> {
        let written = self.layouts.written(Topic::Signals).number;
        let leaves = self.layouts.is_closing(GrowingTopic::Signals) && self.inside == 0 && self.left < Some(written);
        let last_ms = self.asked_ms.get(&self.renewal).copied();
        let pause_ms = if now_ms < self.until_ms { LEASE_RENEW_MS } else { RETRY_PAUSE_MS };
        let renews = last_ms.is_none_or(|last_ms| now_ms - last_ms >= pause_ms);
        // The other gateways elect by it.
        let turns = self.told_ticks != Some(self.ticks);
        if self.is_superseded || !(leaves || renews || turns) {
            return None;
        }
        self.told_ticks = Some(self.ticks);
        if leaves {
            self.left = Some(written);
        }
        self.renewal += 1;
        self.asked_ms.retain(|_, asked_ms| now_ms - *asked_ms < LEASE_MS);
        self.asked_ms.insert(self.renewal, now_ms);
        Some(self.lease(false))
    }

    pub(super) fn lease(&self, released: bool) -> Lease {
        let (role, instance, incarnation) = (ProcessRole::Gateway, self.instance.clone(), self.incarnation);
        let Self { renewal, left, ticks, .. } = *self;
        Lease { role, instance, incarnation, renewal, left, released, at: None, ticks: ticks && !released }
    }

    /// Takes in what topic `control` says.
    pub(super) fn see(&mut self, layouts: Layouts, lease: Option<&Lease>) {
        self.layouts = layouts;
        let Some(lease) = lease else {
            // The process that had the name has given it back.
            self.is_superseded = false;
            return;
        };
        let is_own = lease.incarnation == self.incarnation;
        self.was_seen |= is_own;
        self.is_superseded = self.was_seen && !is_own;
        // While a growth is closing, a renewal does not prolong the lease.
        if !is_own || self.layouts.is_closing(GrowingTopic::Signals) {
            return;
        }
        if let Some(asked_ms) = self.asked_ms.get(&lease.renewal) {
            self.until_ms = asked_ms + LEASE_MS;
            self.asked_ms = self.asked_ms.split_off(&lease.renewal);
        }
    }

    /// The generation to write to, if that may be done now.
    pub(super) fn writes(&self, now_ms: i64) -> Result<Generation, &'static str> {
        if self.is_superseded {
            return Err("another process has this one's name: give each its own --instance");
        }
        if self.layouts.is_closing(GrowingTopic::Signals) {
            return Err("the partitions of topic signals are growing");
        }
        self.holds(now_ms)?;
        Ok(self.layouts.written(Topic::Signals))
    }

    fn holds(&self, now_ms: i64) -> Result<(), &'static str> {
        if now_ms < self.until_ms { Ok(()) } else { Err("the lease to write to topic signals is over") }
    }

    /// Whether what the broker has acknowledged now, in this generation, may be acknowledged to the sender.
    pub(super) fn counts(&self, generation: Generation, now_ms: i64) -> Result<(), &'static str> {
        let before = "it was written to partitions that have grown since";
        if self.layouts.written(Topic::Signals) == generation { self.holds(now_ms) } else { Err(before) }
    }
}

#[cfg(test)]
mod tests {
    use logystera_schemas::control::{Entity, GrowthPhase, Partitions};

    use super::*;
    use crate::config::KafkaConfig;
    use logystera_infra::directory::Directory;

    fn layouts(generations: &[u32], phase: GrowthPhase) -> Layouts {
        let mut directory = Directory::default();
        let (topic, generations) = (GrowingTopic::Signals, generations.to_vec());
        directory.put(Entity::Partitions(Partitions { topic, generations, phase }));
        Layouts::of(&KafkaConfig::new("b"), &directory)
    }

    /// A state of incarnation 1 that has seen its first lease, asked for at 0.
    fn state() -> LeaseState {
        let mut state = LeaseState::new("g", 1, Layouts::initial(&KafkaConfig::new("b")));
        assert!(state.writes(0).is_err(), "shut at first");
        let lease = state.due(0).unwrap();
        state.see(layouts(&[4], GrowthPhase::Open), Some(&lease));
        state
    }

    #[test]
    fn a_lease_holds_from_when_it_was_asked_for() {
        let mut state = state();
        assert!(state.writes(LEASE_MS - 1).is_ok() && state.writes(LEASE_MS).is_err());
        assert_eq!(state.due(LEASE_RENEW_MS - 1), None);
        let second = state.due(LEASE_RENEW_MS).unwrap();
        // Seen late: it counts from the asking.
        state.see(layouts(&[4], GrowthPhase::Open), Some(&second));
        assert!(state.writes(LEASE_RENEW_MS + LEASE_MS - 1).is_ok());
        assert!(state.writes(LEASE_RENEW_MS + LEASE_MS).is_err());
        // Seen again it renews nothing; and one that is seen when the next is on its way counts.
        let third = state.due(2 * LEASE_RENEW_MS).unwrap();
        state.see(layouts(&[4], GrowthPhase::Open), Some(&second));
        assert!(state.writes(LEASE_RENEW_MS + LEASE_MS).is_err());
        let fourth = state.due(3 * LEASE_RENEW_MS).unwrap();
        state.see(layouts(&[4], GrowthPhase::Open), Some(&third));
        assert!(state.writes(2 * LEASE_RENEW_MS + LEASE_MS - 1).is_ok());
        assert_eq!((second.renewal, third.renewal, fourth.renewal), (2, 3, 4));
    }

    #[test]
    fn a_growth_shuts_the_door_and_is_answered_when_nobody_is_inside() {
        let mut state = state();
        let before = state.writes(0).unwrap();
        state.inside = 1;
        let asked = state.due(LEASE_RENEW_MS).unwrap();
        state.see(layouts(&[4, 16], GrowthPhase::Closing), Some(&asked));
        assert!(state.writes(LEASE_RENEW_MS).is_err(), "nobody gets in");
        assert!(state.counts(before, LEASE_RENEW_MS).is_ok(), "who is inside still counts");
        assert!(state.counts(before, LEASE_MS).is_err(), "the lease was not renewed");
        state.inside = 0;
        let left = state.due(LEASE_RENEW_MS + 1).unwrap();
        assert_eq!((left.left, left.released), (Some(0), false));
        assert_eq!(state.due(LEASE_RENEW_MS + 2), None, "said once");

        // It goes on in the new generation, with a lease asked for anew.
        state.see(layouts(&[4, 16], GrowthPhase::Moving), Some(&left));
        let after = state.writes(LEASE_RENEW_MS + 2).unwrap();
        assert_eq!((after.number, after.partitions), (1, 16));
        assert!(state.counts(before, LEASE_RENEW_MS + 2).is_err(), "too late for the old one");
        assert!(state.writes(LEASE_RENEW_MS + 1 + LEASE_MS).is_err());
    }

    #[test]
    fn a_second_process_under_the_name_is_the_one() {
        let mut state = state();
        let other = Lease { incarnation: 2, ..state.lease(false) };
        state.see(layouts(&[4], GrowthPhase::Open), Some(&other));
        assert!(state.writes(1).unwrap_err().contains("--instance") && state.due(LEASE_MS).is_none());
        // It ends, and gives the lease back: this one asks anew.
        state.see(layouts(&[4], GrowthPhase::Open), None);
        let again = state.due(LEASE_MS).expect("it asks again");
        state.see(layouts(&[4], GrowthPhase::Open), Some(&again));
        assert!(state.writes(LEASE_MS + 1).is_ok());
    }

    #[test]
    fn that_it_would_write_ticks_or_not_any_more_is_told_at_once() {
        let mut state = state();
        assert_eq!(state.due(1), None);
        state.ticks = true;
        assert!(state.due(2).unwrap().ticks);
        assert_eq!(state.due(3), None, "said once");
        assert!(!state.lease(true).ticks, "who has ended writes none");
        state.ticks = false;
        assert_eq!(state.due(4).map(|lease| lease.ticks), Some(false));
    }

    #[test]
    fn what_an_earlier_process_left_behind_does_not_shut_the_door() {
        let mut state = LeaseState::new("g", 1, Layouts::initial(&KafkaConfig::new("b")));
        let older = Lease { incarnation: 7, ..state.lease(false) };
        state.see(layouts(&[4], GrowthPhase::Open), Some(&older));
        let first = state.due(0).unwrap();
        // Read before the first one is there.
        state.see(layouts(&[4], GrowthPhase::Open), Some(&older));
        assert!(state.writes(0).is_err());
        state.see(layouts(&[4], GrowthPhase::Open), Some(&first));
        assert!(state.writes(0).is_ok());
    }

    /// The first lease gets lost on its way while topic `control` shows what an earlier process has left.
    #[test]
    fn a_first_lease_that_was_not_written_is_asked_for_again() {
        let mut state = LeaseState::new("g", 1, Layouts::initial(&KafkaConfig::new("b")));
        let older = Lease { incarnation: 7, ..state.lease(false) };
        state.due(0).unwrap();
        state.see(layouts(&[4], GrowthPhase::Open), Some(&older));
        assert!(!state.writes(0).unwrap_err().contains("--instance"), "nobody has its name");
        let pause_ms = RETRY_PAUSE_MS;
        let second = state.due(pause_ms).expect("it asks again");
        state.see(layouts(&[4], GrowthPhase::Open), Some(&second));
        assert!(state.writes(pause_ms).is_ok());
        let other = Lease { incarnation: 2, ..second };
        state.see(layouts(&[4], GrowthPhase::Open), Some(&other));
        assert!(state.writes(pause_ms).unwrap_err().contains("--instance"), "now somebody has");
    }
}

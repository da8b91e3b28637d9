//! What waits to be written behind the commits of one task, and of all tasks of a process.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::state_store::{Changes, Claim};

/// Bytes that an entry is counted for beside its key and value.
const ENTRY_BYTES: usize = 64;

/// What is written together, and what holds when all of it is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) changes: Changes,
    pub(super) claim: Claim,
}

/// How much may wait in all queues of a process together.
#[derive(Debug)]
pub(super) struct Budget {
    bytes_max: usize,
    bytes: AtomicUsize,
}

impl Budget {
    /// One of which nothing is used, full at `bytes_max`.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: AtomicUsize::new(0) }
    }

    /// A queue that had `before` bytes has `after`.
    pub(super) fn change(&self, before: usize, after: usize) {
        if after >= before {
            self.bytes.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.bytes.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// Whether so much waits that the input of every task has to.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.bytes_max
    }
}

/// Commits that wait, and how much of them is being written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Option<Round>,
    waiting_bytes: usize,
    waiting_since_ms: i64,
    /// Bytes of the round that is being written, and since when its oldest commit has waited.
    writing: Option<(usize, i64)>,
}

fn entry_bytes(key: &[u8], value: Option<&Vec<u8>>) -> usize {
    key.len() + value.map_or(0, Vec::len) + ENTRY_BYTES
}

impl Queue {
    /// Takes a commit in. Of each key only the newest change waits on.
    pub(super) fn push(&mut self, changes: Changes, claim: Claim, now_ms: i64) {
        let Some(round) = &mut self.waiting else {
            self.waiting_bytes = changes.iter().map(|(key, change)| entry_bytes(key, change.value.as_ref())).sum();
            self.waiting_since_ms = now_ms;
            self.waiting = Some(Round { changes, claim });
            return;
        };
        for (key, change) in changes {
            self.waiting_bytes += entry_bytes(&key, change.value.as_ref());
            let key_bytes = key.len();
            if let Some(before) = round.changes.insert(key, change) {
                self.waiting_bytes -= key_bytes + entry_bytes(&[], before.value.as_ref());
            }
        }
        round.claim = claim;
    }

    /// What is to be written next. Everything before it has been written.
    pub(super) fn take(&mut self) -> Option<Round> {
        let round = self.waiting.take()?;
        self.writing = Some((std::mem::take(&mut self.waiting_bytes), self.waiting_since_ms));
        Some(round)
    }

    /// What was taken is in the store.
    pub(super) fn written(&mut self) {
        self.writing = None;
    }

    /// Bytes that wait or are being written.
    pub(super) fn bytes(&self) -> usize {
        self.waiting_bytes + self.writing.map_or(0, |(bytes, _)| bytes)
    }

    /// Since when the oldest commit waits that is not yet in the store.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        let waiting = self.waiting.as_ref().map(|_| self.waiting_since_ms);
        self.writing.map(|(_, since)| since).or(waiting)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::state_store::Change;
    use crate::state_store::claim::Layout;

    fn claim(version: u64) -> Claim {
        Claim {
            committed_at_ms: version as i64,
            version,
            position: version,
            layout: Layout { log: String::new(), incarnation: String::new(), changelog_partitions: 1, partitions: 1 },
            offsets: BTreeMap::from([(0, version)]),
        }
    }

    fn changes(version: u64, entries: &[(&str, Option<&str>)]) -> Changes {
        let change = |value: Option<&str>| Change { version, value: value.map(|v| v.as_bytes().to_vec()) };
        entries.iter().map(|(key, value)| (key.as_bytes().to_vec(), change(*value))).collect()
    }

    #[test]
    fn of_each_key_the_newest_change_is_written() {
        let mut queue = Queue::default();
        assert_eq!((queue.take(), queue.bytes(), queue.oldest_ms()), (None, 0, None));
        queue.push(changes(1, &[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]), claim(1), 100);
        queue.push(changes(2, &[("a", Some("two")), ("b", None)]), claim(2), 200);
        assert_eq!((queue.bytes(), queue.oldest_ms()), (3 * ENTRY_BYTES + 3 + 4, Some(100)));

        let round = queue.take().unwrap();
        let mut expected = changes(2, &[("a", Some("two")), ("b", None)]);
        expected.extend(changes(1, &[("c", Some("1"))]));
        assert_eq!((round.changes, round.claim), (expected, claim(2)));

        // What comes while it is being written waits behind it and counts too.
        queue.push(changes(3, &[("a", None)]), claim(3), 300);
        assert_eq!((queue.bytes(), queue.oldest_ms()), (3 * ENTRY_BYTES + 3 + 4 + ENTRY_BYTES + 1, Some(100)));
        queue.written();
        assert_eq!((queue.bytes(), queue.oldest_ms()), (ENTRY_BYTES + 1, Some(300)));
        assert_eq!(queue.take().map(|round| round.claim), Some(claim(3)));
        queue.written();
        assert_eq!((queue.bytes(), queue.oldest_ms()), (0, None));
    }

    #[test]
    fn a_commit_without_changes_moves_the_position() {
        let mut queue = Queue::default();
        queue.push(Changes::new(), claim(1), 0);
        assert_eq!(queue.take(), Some(Round { changes: Changes::new(), claim: claim(1) }));
    }

    #[test]
    fn what_is_being_written_counts() {
        let mut queue = Queue::default();
        queue.push(changes(1, &[("a", Some("1"))]), claim(1), 0);
        queue.take();
        queue.push(changes(2, &[("a", Some("2"))]), claim(2), 0);
        assert_eq!(queue.bytes(), 2 * (ENTRY_BYTES + 2));
        queue.written();
        assert_eq!(queue.bytes(), ENTRY_BYTES + 2);
    }

    #[test]
    fn all_queues_together_are_full_at_the_bound_until_enough_is_written() {
        let budget = Budget::new(100);
        budget.change(0, 60);
        assert!(!budget.is_full());
        budget.change(0, 40);
        assert!(budget.is_full(), "of two queues neither is");
        budget.change(60, 59);
        assert!(!budget.is_full());
        budget.change(40, 0);
        budget.change(59, 0);
        assert_eq!(budget.bytes.load(Ordering::Relaxed), 0);
    }

    proptest! {
        #[test]
        fn bytes_agree_with_what_waits(steps in prop::collection::vec((0..6u8, prop::option::of(0..9usize)), 0..60)) {
            let mut queue = Queue::default();
            for (at, (key, length)) in steps.into_iter().enumerate() {
                let change = Change { version: at as u64, value: length.map(|length| vec![0; length]) };
                queue.push(Changes::from([(vec![key; usize::from(key)], change)]), claim(at as u64), 0);
                let waiting = queue.waiting.as_ref().map_or(0, |round| {
                    round.changes.iter().map(|(key, change)| entry_bytes(key, change.value.as_ref())).sum()
                });
                prop_assert_eq!(queue.bytes(), waiting);
            }
        }
    }
}

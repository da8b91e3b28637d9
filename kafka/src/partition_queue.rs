//! Sends a record at once if none of its partition is in flight; otherwise queues it until the last one is
//! acknowledged. Pure.
//!
//! librdkafka alone would hold an idempotent producer's next request back too, but its thread busy-waits until then: it
//! looks at how long a record has waited, not at what it waits for. A record that it has not been given yet causes no
//! busy wait, and the next request then carries all that has come in the meantime.

use std::collections::VecDeque;

/// The records of one partition that wait, oldest first, and how many are under way.
#[derive(Debug)]
pub(crate) struct PartitionQueue<T> {
    under_way: usize,
    waiting: VecDeque<(i64, T)>,
}

impl<T> Default for PartitionQueue<T> {
    fn default() -> Self {
        Self { under_way: 0, waiting: VecDeque::new() }
    }
}

impl<T> PartitionQueue<T> {
    /// A record comes: given back if it sets out at once.
    pub(crate) fn enter(&mut self, record: T, now_ms: i64) -> Option<T> {
        if self.under_way == 0 && self.waiting.is_empty() {
            return Some(record);
        }
        self.waiting.push_back((now_ms, record));
        None
    }

    /// One has set out.
    pub(crate) fn set_out(&mut self) {
        self.under_way += 1;
    }

    /// One that was under way has arrived, or never will: the records that set out now.
    pub(crate) fn arrived(&mut self) -> VecDeque<(i64, T)> {
        self.under_way = self.under_way.saturating_sub(1);
        if self.under_way == 0 { std::mem::take(&mut self.waiting) } else { VecDeque::new() }
    }

    /// The records that set out now although others are under way still: those of a queue of which one came before
    /// `since_ms`.
    pub(crate) fn overdue(&mut self, since_ms: i64) -> VecDeque<(i64, T)> {
        let is_overdue = self.waiting.front().is_some_and(|(came_ms, _)| *came_ms < since_ms);
        if is_overdue { std::mem::take(&mut self.waiting) } else { VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(of: VecDeque<(i64, u32)>) -> Vec<u32> {
        of.into_iter().map(|(_, number)| number).collect()
    }

    #[test]
    fn what_comes_while_others_are_under_way_sets_out_together_and_in_order_when_the_last_has_arrived() {
        let mut queue = PartitionQueue::default();
        assert_eq!(queue.enter(1, 0), Some(1));
        queue.set_out();
        assert_eq!((queue.enter(2, 1), queue.enter(3, 2)), (None, None));
        assert_eq!(numbers(queue.arrived()), [2, 3]);
        queue.set_out();
        queue.set_out();
        assert_eq!(queue.enter(4, 3), None);
        assert_eq!(numbers(queue.arrived()), [0; 0], "one is under way still");
        assert_eq!(numbers(queue.arrived()), [4]);
        queue.set_out();
        assert_eq!(numbers(queue.arrived()), [0; 0]);
        assert_eq!(queue.enter(5, 4), Some(5), "the queue is free again");
    }

    #[test]
    fn none_waits_for_long_whatever_becomes_of_those_before_it() {
        let mut queue = PartitionQueue::default();
        assert_eq!(queue.enter(1, 0), Some(1));
        queue.set_out();
        assert_eq!((queue.enter(2, 100), queue.enter(3, 149)), (None, None));
        assert_eq!(numbers(queue.overdue(100)), [0; 0]);
        assert_eq!(numbers(queue.overdue(101)), [2, 3]);
    }

    #[test]
    fn one_that_could_not_set_out_is_not_waited_for() {
        let mut queue = PartitionQueue::default();
        assert_eq!(queue.enter(1, 0), Some(1));
        // It was refused: set_out was not said.
        assert_eq!(queue.enter(2, 1), Some(2));
    }
}

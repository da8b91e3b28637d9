//! The time of the log, for those who read topic `detections`: once a second a process that judges signals appends one mark to each of
//! its partitions, and not each of its tasks each of its ticks. A mark is outside of the tasks' commits: it says nothing but what time
//! it is, so that it may come a moment before or after what was found at that time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logystera_infra::directory::DirectoryView;
use logystera_infra::log::{Entry, Log};
use logystera_infra::shutdown::Shutdown;
use logystera_kafka::{KafkaConfig, KafkaLog, Layouts};
use logystera_processor::task;
use logystera_schemas::control::GrowingTopic;
use logystera_schemas::limits::TICK_MS;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::Topic;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// The newest tick of each partition that the process reads.
#[derive(Debug, Default)]
struct Times {
    newest: BTreeMap<PartitionRef, WallMs>,
    /// What the mark before said.
    told: Option<Tick>,
}

impl Times {
    /// The next mark: the newest of the partitions' ticks, under the name of the lowest partition. None: no time has passed, and to say so
    /// would be taken for a clock that was set back.
    fn next(&mut self) -> Option<Tick> {
        let lowest = self.newest.keys().map(|place| place.partition).min()?;
        let next = Tick { partition: lowest, at: self.newest.values().copied().max()?, open_ms: 0 };
        if self.told.as_ref().is_some_and(|told| told.at == next.at) {
            return None;
        }
        self.told = Some(next.clone());
        Some(next)
    }
}

/// What a process knows of the log's time; its clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Marks(Arc<Mutex<Times>>);

impl Marks {
    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the task of a partition, as long as it runs.
    pub(super) fn of(&self, place: PartitionRef) -> PartitionMarks {
        PartitionMarks { marks: self.clone(), place }
    }

    /// Appends a mark a second to each partition of `detections`, until `shutdown`. One that has no leader holds up no other.
    pub(super) async fn forward(self, config: KafkaConfig, log: KafkaLog, view: DirectoryView, shutdown: Shutdown) {
        let missed = metrics::counter!("logystera_processor_marks_missed_total");
        let mut every = tokio::time::interval(Duration::from_millis(TICK_MS));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut under_way: JoinSet<(u32, bool)> = JoinSet::new();
        let mut busy = BTreeSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.wait() => return,
                Some(done) = under_way.join_next() => {
                    // One that panicked has said so.
                    if let Ok((partition, is_there)) = done {
                        busy.remove(&partition);
                        missed.increment(u64::from(!is_there));
                    }
                    continue;
                }
                _ = every.tick() => {}
            }
            let layouts = Layouts::of(&config, &view.current());
            // Nobody reads what stands behind a seal.
            if layouts.is_closing(GrowingTopic::Detections) {
                continue;
            }
            let Some(mark) = self.times().next() else { continue };
            let log = log.with_layouts(layouts);
            for partition in 0..log.partitions(Topic::Detections) {
                if !busy.insert(partition) {
                    missed.increment(1);
                    continue;
                }
                let (topic, key, value) = (Topic::Detections, Vec::new(), schema::encode(&mark));
                let log = log.clone();
                under_way.spawn(async move {
                    let done = log.append(vec![Entry { topic, partition, key, value }]).await;
                    (partition, done.is_ok())
                });
            }
        }
    }
}

/// A partition's part in the marks; dropped, it has none.
#[derive(Debug)]
pub(super) struct PartitionMarks {
    marks: Marks,
    place: PartitionRef,
}

impl task::Marks for PartitionMarks {
    fn passed(&self, at: WallMs) {
        self.marks.times().newest.insert(self.place, at);
    }
}

impl Drop for PartitionMarks {
    fn drop(&mut self) {
        self.marks.times().newest.remove(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use logystera_processor::task::Marks as _;

    use super::*;

    fn place(partition: u32) -> PartitionRef {
        let layouts = Layouts::initial(&KafkaConfig { signals_partitions: 8, ..KafkaConfig::new("b") });
        PartitionRef { generation: layouts.written(Topic::Signals), partition }
    }

    #[test]
    fn one_mark_a_process_says_what_the_newest_of_its_partitions_has() {
        let marks = Marks::default();
        let next = || marks.times().next().map(|mark| (mark.partition, mark.at.0));
        assert_eq!(next(), None, "it reads nothing");
        let (third, fifth) = (marks.of(place(3)), marks.of(place(5)));
        assert_eq!(next(), None, "it has read no tick");
        third.passed(WallMs(1_000));
        assert_eq!((next(), next()), (Some((3, 1_000)), None), "told once");
        // One that works off a backlog does not hold the time back.
        fifth.passed(WallMs(200));
        assert_eq!(next(), None);
        fifth.passed(WallMs(2_000));
        assert_eq!(next(), Some((3, 2_000)));
        // The partition goes to another process; its time does not stay.
        drop(third);
        fifth.passed(WallMs(3_000));
        assert_eq!(next(), Some((5, 3_000)));
        let again = marks.of(place(0));
        again.passed(WallMs(2_500));
        assert_eq!(next(), None);
        // A clock that ran ahead is right again: the mark goes back with it.
        fifth.passed(WallMs(100));
        again.passed(WallMs(100));
        assert_eq!(next(), Some((0, 100)));
    }
}

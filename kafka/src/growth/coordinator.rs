//! Gives a topic more partitions while traffic flows.
//!
//! Each step leaves a record in topic `control`, so that a growth that is asked for again after a crash goes on where
//! it ended:
//!
//! 1. The next generation's topic is made.
//! 2. *Closing* is recorded. Gateways see it, take no more batches, and say when nothing of theirs is on its way.
//!    Processors and alerters, which write to `detections`, are fenced.
//! 3. A seal into every old partition, and *moving*, in one transaction. From here on the new generation is written.
//! 4. When every old partition was applied to its seal, *open* is recorded, and nobody reads the old ones any more.

use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::directory::{self, DirectoryWatch};
use logystera_infra::log::{Entry, Log, LogError, scan};
use logystera_schemas::control::{Entity, GrowingTopic, GrowthPhase, Lease, Partitions};
use logystera_schemas::limits::{GROWTH_WAIT_MS, READ_BYTES_MAX};
use logystera_schemas::partition::{Generation, PartitionRef};
use logystera_schemas::schema;
use logystera_schemas::signals_topic::Seal;
use logystera_schemas::topic::Topic;
use tokio::runtime::Runtime;

use super::layout::Layouts;
use super::plan::{Plan, plan, processes, stragglers};
use crate::changelog::Committed;
use crate::cluster::Kafka;
use crate::log::KafkaLog;

/// How often the coordinator looks at what others have done.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long what was recorded may take until it can be read.
const VISIBLE_WAIT: Duration = Duration::from_secs(30);
/// Time between two reports while it waits for the readers.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How far a growth is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The topic has as many partitions as were asked for.
    Nothing {
        /// Partitions that it has.
        partitions: u32,
    },
    /// An earlier growth goes on.
    Resumed {
        /// How far that one came.
        phase: GrowthPhase,
    },
    /// The next generation's topic is there.
    Created {
        /// Its number.
        generation: u32,
        /// Its partitions.
        partitions: u32,
        /// How many processes it takes to own them.
        processes: u32,
    },
    /// Nobody begins to write to the old one any more.
    Closing {
        /// Gateways that have not said yet that they stopped.
        waiting_for: Vec<String>,
    },
    /// These did not say that they stopped; their leases are over.
    Overdue {
        /// Their names.
        instances: Vec<String>,
    },
    /// Every old partition has its seal, and the new ones are written.
    Sealed {
        /// Old partitions.
        partitions: u32,
        /// How long nobody could write, milliseconds.
        held_ms: u64,
    },
    /// So many old partitions were applied to their seals.
    Reading {
        /// Old partitions that were applied.
        done: u32,
        /// All old partitions.
        partitions: u32,
    },
    /// It is done. So many records came behind the seals: none of them was acknowledged, and nobody reads them.
    Done {
        /// Partitions that the topic has now.
        partitions: u32,
        /// Records behind the seals.
        ignored: u64,
    },
}

/// Why a topic did not grow.
#[derive(Debug, thiserror::Error)]
pub enum GrowthError {
    /// The topic cannot grow so, or not now.
    #[error("{0}")]
    Refused(String),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The applications that read the topics which grow.
#[derive(Clone, Copy, Debug)]
pub struct Readers {
    /// Reads `signals`.
    pub signals: &'static str,
    /// Reads `detections`.
    pub detections: &'static str,
}

/// Grows a topic. `log` is the sole writer's; the next one to become that ends this with [`LogError::Fenced`].
#[expect(missing_debug_implementations, reason = "it holds a closure")]
pub struct Growth<'a> {
    /// The cluster.
    pub kafka: &'a Kafka,
    /// The one writer's log.
    pub log: &'a KafkaLog,
    /// Runs what appends.
    pub runtime: &'a Runtime,
    /// The topic that grows.
    pub topic: GrowingTopic,
    /// Who reads the topics.
    pub apps: Readers,
    /// Hears how far it is.
    pub tell: &'a mut dyn FnMut(Step),
}

impl Growth<'_> {
    /// Grows to so many partitions, or goes on with that.
    pub fn to(&mut self, partitions: u32) -> Result<(), GrowthError> {
        let mut layouts = self.layouts()?;
        let others = GrowingTopic::ALL.iter().filter(|other| **other != self.topic);
        let mut others = others.map(|other| layouts.of_growing(*other));
        if let Some(Partitions { topic, generations, .. }) = others.find(|other| other.phase != GrowthPhase::Open) {
            let wanted = generations.last().copied().unwrap_or(0);
            return Err(GrowthError::Refused(format!(
                "{topic} is growing: finish that first, with `partitions grow {wanted} --topic {topic}`"
            )));
        }
        let now = layouts.of_growing(self.topic).clone();
        match plan(&now, partitions).map_err(GrowthError::Refused)? {
            Plan::Nothing => {
                (self.tell)(Step::Nothing { partitions });
                return Ok(());
            }
            Plan::Resume => (self.tell)(Step::Resumed { phase: now.phase }),
            Plan::Begin(next) => {
                let next_layouts = layouts.clone().with(next.clone());
                // What is written as soon as it no longer closes.
                let moved = Partitions { phase: GrowthPhase::Moving, ..next.clone() };
                let generation = layouts.clone().with(moved).written(self.input());
                self.kafka.create_generation(self.topic, generation)?;
                let Generation { number, partitions, .. } = generation;
                (self.tell)(Step::Created { generation: number, partitions, processes: processes(partitions) });
                self.record(&layouts, next, Vec::new())?;
                layouts = next_layouts;
            }
        }
        let held = Stopwatch::start();
        if layouts.is_closing(self.topic) {
            let old = layouts.written(self.input());
            match self.topic {
                GrowingTopic::Signals => self.wait_for_gateways(old)?,
                GrowingTopic::Detections => self.fence_writers(&layouts)?,
            }
            let seals = (0..old.partitions).map(|partition| self.seal(old, partition, partitions)).collect();
            let moving = Partitions { phase: GrowthPhase::Moving, ..layouts.of_growing(self.topic).clone() };
            self.record(&layouts, moving.clone(), seals)?;
            let held_ms = u64::try_from(held.elapsed().as_millis()).unwrap_or(u64::MAX);
            (self.tell)(Step::Sealed { partitions: old.partitions, held_ms });
            layouts = layouts.with(moving);
        }
        let ignored = self.wait_for_readers(&layouts)?;
        let open = Partitions { phase: GrowthPhase::Open, ..layouts.of_growing(self.topic).clone() };
        self.record(&layouts, open, Vec::new())?;
        (self.tell)(Step::Done { partitions, ignored });
        Ok(())
    }

    fn input(&self) -> Topic {
        self.topic.into()
    }

    fn reader(&self) -> &'static str {
        match self.topic {
            GrowingTopic::Signals => self.apps.signals,
            GrowingTopic::Detections => self.apps.detections,
        }
    }

    fn layouts(&self) -> Result<Layouts, LogError> {
        let directory = DirectoryWatch::load(self.log.clone())?.view().current();
        Ok(Layouts::of(self.kafka.config(), &directory))
    }

    fn seal(&self, old: Generation, partition: u32, next_partitions: u32) -> Entry {
        let value = schema::encode(&Seal { generation: old.number, partition, next_partitions });
        Entry { topic: self.input(), partition, key: Vec::new(), value }
    }

    /// Records a step, and what belongs to it, in one transaction. `layouts` is what holds until then.
    fn record(&self, layouts: &Layouts, next: Partitions, with: Vec<Entry>) -> Result<(), LogError> {
        let mut entries = with;
        entries.push(directory::entry(&Entity::Partitions(next)));
        self.runtime.block_on(self.log.with_layouts(layouts.clone()).append(entries))
    }

    /// Waits until every gateway has said that it left, or two leases have passed: a gateway that says nothing has none
    /// by then.
    fn wait_for_gateways(&mut self, old: Generation) -> Result<(), LogError> {
        let (waited, watch) = (Stopwatch::start(), DirectoryWatch::load(self.log.clone())?);
        let mut told: Option<Vec<String>> = None;
        loop {
            let directory = watch.view().current();
            let leases: Vec<&Lease> = directory.leases().map(AsRef::as_ref).collect();
            let waiting_for: Vec<String> =
                stragglers(leases.into_iter(), old.number).into_iter().map(str::to_owned).collect();
            if told.as_ref() != Some(&waiting_for) {
                (self.tell)(Step::Closing { waiting_for: waiting_for.clone() });
                told = Some(waiting_for.clone());
            }
            if waiting_for.is_empty() {
                return Ok(());
            }
            if waited.elapsed() >= Duration::from_millis(GROWTH_WAIT_MS as u64) {
                (self.tell)(Step::Overdue { instances: waiting_for });
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
            watch.refresh()?;
        }
    }

    /// Fences all writers of `detections`. A task that takes over after that sees that the topic is closing, and waits.
    fn fence_writers(&mut self, layouts: &Layouts) -> Result<(), LogError> {
        // A commit can be read only a moment later, and a task that takes over after the fence has to find it.
        let waited = Stopwatch::start();
        while !self.layouts()?.is_closing(self.topic) {
            if waited.elapsed() >= VISIBLE_WAIT {
                return Err(LogError::Away("what was recorded in topic control cannot be read yet".to_owned()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        (self.tell)(Step::Closing { waiting_for: Vec::new() });
        for (app, input) in [(self.apps.signals, Topic::Signals), (self.apps.detections, Topic::Detections)] {
            let generation = layouts.written(input);
            for partition in 0..generation.partitions {
                self.kafka.fence(app, PartitionRef { generation, partition })?;
            }
        }
        Ok(())
    }

    /// Waits until every old partition was applied to its seal. Gives how many records stand behind the seals.
    fn wait_for_readers(&mut self, layouts: &Layouts) -> Result<u64, LogError> {
        let old = layouts.read(self.input());
        let (app, Some(generation)) = (self.reader(), old.first().copied()) else { return Ok(0) };
        let mut ignored = 0;
        let mut left: Vec<PartitionRef> =
            (0..generation.partitions).map(|partition| PartitionRef { generation, partition }).collect();
        let mut told = Stopwatch::start();
        loop {
            let mut still = Vec::new();
            for place in left {
                match self.kafka.committed(app, place)? {
                    Committed { position, sealed: true } => ignored += self.count(place, position)?,
                    _ => still.push(place),
                }
            }
            left = still;
            if left.is_empty() {
                return Ok(ignored);
            }
            if told.elapsed() >= TELL_EVERY {
                let done = generation.partitions - left.len() as u32;
                (self.tell)(Step::Reading { done, partitions: generation.partitions });
                told = Stopwatch::start();
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// How many records stand in a partition from an offset on.
    fn count(&self, place: PartitionRef, from: u64) -> Result<u64, LogError> {
        let mut count = 0;
        let read = |from| self.log.read_at(self.input(), place, from, READ_BYTES_MAX);
        scan(from, read, |records| {
            count += records.len() as u64;
            Ok(())
        })?;
        Ok(count)
    }
}

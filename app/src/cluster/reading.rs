//! The log of an installation, for commands that change nothing: no topic is made, no group joined, no key needed.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

use logystera_infra::control::{Directory, DirectoryWatch};
use logystera_infra::kafka::{Kafka, KafkaLog, Layouts, Place};
use logystera_infra::log::{LogError, Record};
use logystera_processor::task::APP;
use logystera_schemas::topic::Topic;

use super::config::Config;
use crate::cli::CliError;
use crate::reading::{Part, Reading};

/// An installation's log.
pub(crate) struct ClusterLog {
    kafka: Kafka,
    log: KafkaLog,
    layouts: RefCell<Layouts>,
}

impl ClusterLog {
    /// Connects to the cluster that a file describes.
    pub(crate) fn open(file: &Path) -> Result<Self, CliError> {
        let kafka = Kafka::new(Config::read(file)?.kafka());
        let log = kafka.log()?;
        let layouts = RefCell::new(Layouts::initial(kafka.config()));
        let log = Self { kafka, log, layouts };
        log.directory()?;
        Ok(log)
    }

    fn place(&self, topic: Topic, part: Part) -> Place {
        let generation = self.layouts.borrow().generations(topic)[part.generation as usize];
        Place { generation, partition: part.partition }
    }
}

impl Reading for ClusterLog {
    fn generations(&self, topic: Topic) -> Vec<u32> {
        let layouts = self.layouts.borrow();
        let read = layouts.generations(topic).into_iter();
        // One that is about to begin may have no topic yet.
        read.take_while(|g| g.number <= layouts.written(topic).number).map(|g| g.partitions).collect()
    }

    fn bounds(&self, topic: Topic, part: Part) -> Result<Range<u64>, LogError> {
        self.log.bounds_at(topic, self.place(topic, part))
    }

    fn read(&self, topic: Topic, part: Part, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        self.log.read_at(topic, self.place(topic, part), from, bytes_max)
    }

    fn directory(&self) -> Result<Directory, LogError> {
        let directory = Directory::clone(&DirectoryWatch::load(self.log.clone())?.view().current());
        *self.layouts.borrow_mut() = Layouts::of(self.kafka.config(), &directory);
        Ok(directory)
    }

    fn position(&self, part: Part) -> Result<u64, LogError> {
        Ok(self.kafka.committed(APP, self.place(Topic::Signals, part))?.position)
    }
}

//! The log as commands read it that change nothing: a data folder's, or that of an installation on Kafka.

use std::ops::Range;

use logystera_alerter::core::Planner;
use logystera_infra::directory::{Directory, Skips};
use logystera_infra::embedded::EmbeddedReader;
use logystera_infra::log::{LogError, Record};
use logystera_processor::core::{Gathering, SiteView};
use logystera_processor::task::APP;
use logystera_schemas::control::Site;
use logystera_schemas::ids::{KeyGroup, SiteId};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::text::Shown;
use logystera_schemas::topic::{DetectionsRecord, Topic};

use crate::cli::CliError;

/// A partition of a generation of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    /// How often the topic had grown.
    pub(crate) generation: u32,
    /// Partition.
    pub(crate) partition: u32,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.generation {
            0 => write!(f, "{}", self.partition),
            generation => write!(f, "{generation}/{}", self.partition),
        }
    }
}

/// A log that is only read.
pub(crate) trait Reading {
    /// Partitions of each generation of a topic, the oldest first.
    fn generations(&self, topic: Topic) -> Vec<u32>;

    /// Offsets from the oldest record to one past the newest committed one.
    fn bounds(&self, topic: Topic, part: Part) -> Result<Range<u64>, LogError>;

    /// Committed records from offset `from` on, at least one if there is one, then as many as fit `bytes_max`.
    fn read(&self, topic: Topic, part: Part, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError>;

    /// As [`Self::read`], but a record that is passed over and whose checksum is wrong is given empty, in place of an
    /// error.
    fn read_on(&self, topic: Topic, part: Part, from: u64, skips: &Skips) -> Result<Vec<Record>, LogError> {
        match self.read(topic, part, from, READ_BYTES_MAX) {
            Err(LogError::Checksum { offset, .. }) if skips.has(offset) => {
                Ok(vec![Record { offset, ..Record::default() }])
            }
            read => read,
        }
    }

    /// What is configured now, and how the topics are laid out: from here on this log knows the generations that there
    /// are.
    fn directory(&self) -> Result<Directory, LogError>;

    /// The planner of deliveries as it would be at the log's end; of a cluster, as its alerters have committed it.
    /// None: that is more than a command should read.
    fn planner(&self) -> Result<Option<Planner>, LogError> {
        Ok(None)
    }

    /// What the engine has of a site.
    fn site_view(&self, _site: &SiteId) -> Result<EngineView, LogError> {
        Ok(EngineView::Elsewhere)
    }

    /// Offset of `signals` that the processor of a partition reads next.
    fn position(&self, part: Part) -> Result<u64, LogError>;
}

/// What is known here of a site at the engine.
pub(crate) enum EngineView {
    /// What its stored state says.
    Stored(Box<SiteView>),
    /// It has no configuration of the site yet, or the site is closed.
    Nothing,
    /// This log does not give it to readers, as a cluster's, whose state is spread over the partitions of a changelog.
    Elsewhere,
}

/// The site with this id, or that there is none.
pub(crate) fn site_of<'a>(directory: &'a Directory, site: &str) -> Result<&'a Site, CliError> {
    let missing = || CliError::wrong_use(format!("there is no site {}; `logystera site list` shows them", Shown(site)));
    directory.site(site).map(|site| &**site).ok_or_else(missing)
}

impl dyn Reading + '_ {
    /// Every partition of a topic, the oldest generation first.
    pub(crate) fn parts(&self, topic: Topic) -> Vec<Part> {
        let generations = (0..).zip(self.generations(topic));
        generations
            .flat_map(|(generation, count)| (0..count).map(move |partition| Part { generation, partition }))
            .collect()
    }

    /// The partitions of a topic that a key is in, the oldest generation first.
    pub(crate) fn parts_of(&self, topic: Topic, key_group: KeyGroup) -> Vec<Part> {
        let generations = (0..).zip(self.generations(topic));
        generations.map(|(generation, count)| Part { generation, partition: key_group.partition(count) }).collect()
    }
}

/// A folder has one partition of each topic.
impl Reading for EmbeddedReader {
    fn generations(&self, _: Topic) -> Vec<u32> {
        vec![1]
    }

    fn bounds(&self, topic: Topic, _: Part) -> Result<Range<u64>, LogError> {
        Self::bounds(self, topic)
    }

    fn read(&self, topic: Topic, _: Part, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        Self::read(self, topic, from, bytes_max)
    }

    fn directory(&self) -> Result<Directory, LogError> {
        Directory::read_from(self)
    }

    fn planner(&self) -> Result<Option<Planner>, LogError> {
        let (mut planner, mut outcome) = (Planner::new(), Ok(()));
        self.state(logystera_alerter::task::APP, &mut |entry| {
            if outcome.is_ok() {
                outcome = planner.restore(entry.key, entry.value);
            }
        })?;
        outcome.map_err(|e| LogError::Unusable(format!("state of the alerter: {e}")))?;
        let mut from = Self::position(self, logystera_alerter::task::APP)?.unwrap_or(0);
        let skips = Reading::directory(self)?.skips(Topic::Detections, 0, 0);
        // Behind that stands what it has not applied yet: while nothing runs, a command's own record too.
        loop {
            let records = self.read_on(Topic::Detections, Part { generation: 0, partition: 0 }, from, &skips)?;
            let Some(last) = records.last() else { return Ok(Some(planner)) };
            from = last.offset + 1;
            for record in records.iter().filter(|record| !skips.has(record.offset)) {
                let decoded = DetectionsRecord::decode(&record.value)
                    .map_err(|e| LogError::Unusable(format!("topic detections offset {}: {e}", record.offset)))?;
                planner.apply(decoded, &mut Vec::new());
            }
        }
    }

    fn site_view(&self, site: &SiteId) -> Result<EngineView, LogError> {
        let (mut gathering, mut outcome) = (Gathering::new(site.clone()), Ok(()));
        for prefix in gathering.prefixes() {
            self.state_of(APP, &prefix, &mut |entry| {
                if outcome.is_ok() {
                    outcome = gathering.take(entry.key, entry.value);
                }
            })?;
        }
        outcome.map_err(|e| LogError::Unusable(format!("state of the processor: {e}")))?;
        Ok(gathering.view().map_or(EngineView::Nothing, |view| EngineView::Stored(Box::new(view))))
    }

    fn position(&self, _: Part) -> Result<u64, LogError> {
        Ok(Self::position(self, APP)?.unwrap_or(0))
    }
}

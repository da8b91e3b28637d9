//! What commands read of an installation besides its log: what its alerters and its engine have in their state.

use logystera_alerter::core::Planner;
use logystera_infra::directory::Directory;
use logystera_infra::embedded::EmbeddedReader;
use logystera_infra::log::{LogError, scan};
use logystera_infra::reading::{PartitionId, Reading};
use logystera_processor::core::{Gathering, SiteView};
use logystera_processor::task::APP;
use logystera_schemas::avro::DecodeError;
use logystera_schemas::control::Site;
use logystera_schemas::ids::SiteId;
use logystera_schemas::text::Shown;
use logystera_schemas::topic::{DetectionsRecord, Topic};

use crate::cli::CliError;

/// Takes a state entry: its key and its value.
pub type TakeEntry<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), DecodeError> + 'a;

/// The log of an installation, and the state that stands beside it.
pub trait InstallationLog: Reading {
    /// The planner of deliveries as it would be at the log's end; of a cluster, as its alerters have committed it.
    /// None: that is more than a command should read.
    fn planner(&self) -> Result<Option<Planner>, LogError> {
        Ok(None)
    }

    /// Gives the entries of the engine's state whose keys begin so, those of the partition itself only as far as this log gives
    /// them. All are of the site. False: it gives none, because that is more than a command should read.
    fn engine_state(&self, site: &SiteId, prefixes: &[Vec<u8>], take: &mut TakeEntry<'_>) -> Result<bool, LogError>;

    /// What the engine has of a site.
    fn site_view(&self, _site: &SiteId) -> Result<EngineView, LogError> {
        Ok(EngineView::Elsewhere)
    }
}

/// What is known here of a site at the engine.
pub enum EngineView {
    /// What its stored state says.
    Stored(Box<SiteView>),
    /// It has no configuration of the site yet, or the site is closed.
    Nothing,
    /// This log does not give it to readers, as a cluster's, whose state is spread over the partitions of a changelog.
    Elsewhere,
}

/// The site with this id, or that there is none.
pub fn site_of<'a>(directory: &'a Directory, site: &str) -> Result<&'a Site, CliError> {
    let missing = || CliError::wrong_use(format!("there is no site {}; `logystera site list` shows them", Shown(site)));
    directory.site(site).map(|site| &**site).ok_or_else(missing)
}

impl InstallationLog for EmbeddedReader {
    fn planner(&self) -> Result<Option<Planner>, LogError> {
        let (mut planner, mut outcome) = (Planner::new(), Ok(()));
        self.state(logystera_alerter::task::APP, &mut |entry| {
            if outcome.is_ok() {
                outcome = planner.restore(entry.key, entry.value);
            }
        })?;
        outcome.map_err(|e| LogError::Unusable(format!("state of the alerter: {e}")))?;
        let from = Self::position(self, logystera_alerter::task::APP)?.unwrap_or(0);
        let skips = Reading::directory(self)?.skips(Topic::Detections, 0, 0);
        let read = |from| self.read_on(Topic::Detections, PartitionId { generation: 0, partition: 0 }, from, &skips);
        // Behind that stands what it has not applied yet: while nothing runs, a command's own record too.
        scan(from, read, |records| {
            for record in records.iter().filter(|record| !skips.has(record.offset)) {
                let decoded = DetectionsRecord::decode(&record.value)
                    .map_err(|e| LogError::Unusable(format!("topic detections offset {}: {e}", record.offset)))?;
                planner.apply(decoded, &mut Vec::new());
            }
            Ok(())
        })?;
        Ok(Some(planner))
    }

    fn site_view(&self, site: &SiteId) -> Result<EngineView, LogError> {
        let mut gathering = Gathering::new(site.clone());
        self.engine_state(site, &gathering.prefixes(), &mut |key, value| gathering.take(key, value))?;
        Ok(gathering.view().map_or(EngineView::Nothing, |view| EngineView::Stored(Box::new(view))))
    }

    fn engine_state(&self, _: &SiteId, prefixes: &[Vec<u8>], take: &mut TakeEntry<'_>) -> Result<bool, LogError> {
        let mut outcome = Ok(());
        for prefix in prefixes {
            self.state_of(APP, prefix, &mut |entry| {
                if outcome.is_ok() {
                    outcome = take(entry.key, entry.value);
                }
            })?;
        }
        outcome.map_err(unreadable)?;
        Ok(true)
    }
}

/// A state entry of the engine can't be read.
pub fn unreadable(error: DecodeError) -> LogError {
    LogError::Unusable(format!("state of the processor: {error}"))
}

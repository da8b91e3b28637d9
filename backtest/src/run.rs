//! Reads the log, and hands on what both revisions find.

use std::collections::VecDeque;

use logystera_infra::directory::Directory;
use logystera_replay::{Asked, Found, ReplayError, Step, Together};
use logystera_schemas::delivery::{ChannelRef, ChannelsConfigured};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::TenantId;
use logystera_schemas::labels::SiteLabelled;
use logystera_schemas::noise::{ChannelSettings, Silence};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;

use crate::core::{Alerts, Difference, Messages, Side};

/// What people have configured, as the planners of both revisions are told of it.
#[derive(Debug, Default)]
pub struct Configured {
    /// Channels and labels: they hold all the time, as they are now.
    records: Vec<DetectionsRecord>,
    /// Silences as they were made and ended, the oldest first.
    silences: VecDeque<(WallMs, Silence)>,
    /// Tenants that have no channel.
    without_channel: usize,
}

/// The channel that a tenant is given if it has none.
const STAND_IN: &str = "none";

impl Configured {
    /// What the directory has. A tenant without a channel is counted as if it had one that takes everything.
    pub fn of(directory: &Directory) -> Self {
        let mut configured = Self::default();
        for tenant in directory.tenants() {
            let mut channels: Vec<ChannelRef> =
                directory.channels(&tenant.tenant).map(|channel| channel.for_planner()).collect();
            if channels.is_empty() {
                configured.without_channel += 1;
                channels.extend(stand_in());
            }
            configured.channels(&tenant.tenant, channels);
        }
        for site in directory.sites().filter(|site| !site.labels.is_empty()) {
            let (tenant, site, labels) = (site.tenant.clone(), site.site.clone(), site.labels.clone());
            configured.records.push(DetectionsRecord::SiteLabelled(SiteLabelled { tenant, site, labels }));
        }
        directory.silences().for_each(|silence| configured.silence(Silence::clone(silence)));
        configured
    }

    /// These are the tenant's channels.
    pub fn channels(&mut self, tenant: &TenantId, channels: Vec<ChannelRef>) {
        let record = ChannelsConfigured { tenant: tenant.clone(), channels };
        self.records.push(DetectionsRecord::ChannelsConfigured(record));
    }

    /// This was silenced, from when it was made on.
    pub fn silence(&mut self, silence: Silence) {
        let ended = silence.ended_at.map(|at| (at, silence.clone()));
        let made = (silence.created_at, Silence { ended_at: None, ..silence });
        self.silences.extend([made].into_iter().chain(ended));
        self.silences.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    /// Tenants that are counted as if they had a channel.
    pub fn without_channel(&self) -> usize {
        self.without_channel
    }
}

/// A channel that takes everything.
fn stand_in() -> Option<ChannelRef> {
    let (kind, settings) = ("webhook".to_owned(), ChannelSettings::default());
    Some(ChannelRef { channel: STAND_IN.parse().ok()?, kind, settings, fallback: false, labels: Vec::new() })
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Backtest {
    /// The alerts of both, compared.
    pub alerts: Alerts,
    /// The messages of the old revision and of the new one.
    pub messages: [Messages; 2],
    /// Records of `signals` that were read.
    pub records: u64,
    /// Of those, batches that concern what was asked for.
    pub batches: u64,
}

/// Is told how far it is, and of each difference.
pub trait Watch {
    /// Why it may end.
    type Error: From<ReplayError>;

    /// It has got on.
    fn show(&mut self, at: &Together<'_, 2>);

    /// Something differs.
    fn differs(&mut self, difference: &Difference) -> Result<(), Self::Error>;
}

/// Judges by both revisions what `old` and `new` ask for, which differ in their rules alone.
///
/// # Errors
///
/// If the log can't be read, or `watch` says so.
pub fn run<W: Watch>(
    old: &Asked<'_>,
    new: &Asked<'_>,
    mut configured: Configured,
    watch: &mut W,
) -> Result<Backtest, W::Error> {
    let mut backtest = Backtest::default();
    for record in &configured.records {
        backtest.messages.iter_mut().for_each(|messages| messages.configure(record.clone()));
    }
    let mut together = Together::new([old, new])?;
    let mut waiting: [VecDeque<Found>; 2] = Default::default();
    let mut differences = Vec::new();
    while let Some(Step { found, reached }) = together.step()? {
        for (waiting, found) in waiting.iter_mut().zip(found) {
            waiting.extend(found);
            // Of several partitions each is in order; of one time the sort leaves them as they come.
            waiting.make_contiguous().sort_by_key(|found| found.wall);
        }
        // Others may still find something at the very time that all have reached.
        while let Some(wall) = next(&waiting).filter(|wall| reached.is_none_or(|reached| *wall < reached)) {
            backtest.moment(wall, old, &mut waiting, &mut configured.silences, &mut differences);
            for difference in differences.drain(..) {
                watch.differs(&difference)?;
            }
        }
        watch.show(&together);
    }
    backtest.messages.iter_mut().for_each(Messages::finish);
    backtest.alerts.finish(&mut differences);
    for difference in differences {
        watch.differs(&difference)?;
    }
    (backtest.records, backtest.batches) = (together.records(), together.batches());
    Ok(backtest)
}

/// The first time at which something was found.
fn next(waiting: &[VecDeque<Found>; 2]) -> Option<WallMs> {
    waiting.iter().filter_map(|waiting| Some(waiting.front()?.wall)).min()
}

impl Backtest {
    /// Takes what both found at one wall time.
    fn moment(
        &mut self,
        wall: WallMs,
        asked: &Asked<'_>,
        waiting: &mut [VecDeque<Found>; 2],
        silences: &mut VecDeque<(WallMs, Silence)>,
        differences: &mut Vec<Difference>,
    ) {
        while let Some((at, silence)) = silences.pop_front_if(|(at, _)| *at <= wall) {
            for messages in &mut self.messages {
                messages.reach(at);
                messages.configure(DetectionsRecord::Silence(silence.clone()));
            }
        }
        self.messages.iter_mut().for_each(|messages| messages.reach(wall));
        let mut told = Vec::new();
        for ((side, messages), waiting) in [Side::Old, Side::New].into_iter().zip(&mut self.messages).zip(waiting) {
            while let Some(Found { detection, .. }) = waiting.pop_front_if(|found| found.wall == wall) {
                if asked.wants(&detection) {
                    messages.tell(detection.clone());
                    told.push((side, detection));
                }
            }
        }
        // A backlog brings a day in one moment: what is compared is what both told of one time of the site.
        told.sort_by(|(side, one), (other_side, other)| {
            let of = |side, found: &Detection| (found.site.clone(), found.last_evaluated_at, side);
            of(*side, one).cmp(&of(*other_side, other))
        });
        let mut before = None;
        for (side, detection) in &told {
            let now = Some((&detection.site, detection.last_evaluated_at));
            if std::mem::replace(&mut before, now) != now {
                self.alerts.settle(differences);
            }
            self.alerts.take(*side, detection, differences);
        }
        self.alerts.settle(differences);
    }
}

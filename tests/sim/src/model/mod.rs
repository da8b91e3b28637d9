//! The naive model: what the design says, with no thought of cost. It keeps every match, recomputes each window by
//! scanning, derives each deadline anew and looks for the next one among all of them.

mod absences;
mod clock_reset;
pub mod counts;
mod course;
mod each;
pub mod group;
pub mod log_time;
mod measured;
mod measures;
mod metrics;
mod refusals;
mod room;
mod scarce;
pub mod show;
pub mod silence;
pub mod site;
pub mod spool;
mod spools;
mod switches;
mod threshold;
mod told;
mod waiting;
mod worse;

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_processor::core::RuleSet;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{Sha256Digest, SiteId};
use logystera_schemas::series::Points;
use logystera_schemas::signals_topic::Tick;

use crate::input::Input;
use counts::Counts;
use log_time::LogTime;
use site::Site;

/// What a record brings about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A detection.
    Detection(Box<Detection>),
    /// The clock, forwarded.
    Tick(Tick),
    /// What the metrics of a site counted within a minute.
    Points(Box<Points>),
}

/// The model of one partition. What comes for a site before its configuration is stored, not judged.
#[derive(Debug, Default)]
pub struct Model {
    bodies: BTreeMap<Sha256Digest, Arc<RuleSet>>,
    clock: LogTime,
    sites: BTreeMap<SiteId, Site>,
}

impl Model {
    /// Makes a configuration's body known.
    pub fn learn(&mut self, rules: Arc<RuleSet>) {
        self.bodies.insert(rules.digest, rules);
    }

    /// Applies one record.
    pub fn apply(&mut self, input: &Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        match input {
            Input::Tick(tick) => {
                outputs.push(Output::Tick(Tick { open_ms: 0, ..tick.clone() }));
                let (before, is_first) = (self.clock.wall(), self.clock.is_untold());
                self.clock.tick(tick.at.0, tick.open_ms);
                let now = self.clock.wall();
                if is_first {
                    self.sites.values_mut().for_each(|site| site.heard_at_the_first_tick(now));
                } else if now < before {
                    self.sites.values_mut().for_each(|site| site.set_back(before, now));
                    self.take_said(&mut outputs);
                }
                self.sites.values_mut().for_each(|site| site.tick(&self.clock));
            }
            Input::Batch(batch) => {
                if let Some(site) = self.sites.get_mut(&batch.site) {
                    site.batch(batch, &self.clock);
                }
            }
            Input::Refused(refused) => {
                if let Some(site) = self.sites.get_mut(&refused.site) {
                    site.refused(refused, &self.clock);
                }
            }
            Input::KeyRevoked(revoked) => {
                if let Some(site) = self.sites.get_mut(&revoked.site) {
                    site.key_revoked(&revoked.key, revoked.stolen);
                }
            }
            Input::Configured(config) => {
                if let Some(rules) = self.bodies.get(&config.digest) {
                    if let Some(site) = self.sites.get_mut(&config.site) {
                        site.configure(config, rules);
                    } else {
                        let site = Site::new(config, Arc::clone(rules), &self.clock);
                        self.sites.insert(config.site.clone(), site);
                    }
                }
            }
            Input::Closed(closed) => {
                if let Some(site) = self.sites.get_mut(&closed.site) {
                    site.close();
                }
            }
        }
        self.take_said(&mut outputs);
        for site in self.sites.values_mut() {
            outputs.extend(site.take_points().into_iter().map(|points| Output::Points(Box::new(points))));
        }
        if let Input::Closed(closed) = input {
            self.sites.remove(&closed.site);
        }
        outputs
    }

    fn take_said(&mut self, outputs: &mut Vec<Output>) {
        for site in self.sites.values_mut() {
            outputs.extend(site.take().into_iter().map(|d| Output::Detection(Box::new(d))));
        }
    }

    /// What became of each site's batches.
    pub fn counts(&self) -> impl Iterator<Item = (&SiteId, Counts)> {
        self.sites.iter().map(|(id, site)| (id, site.counts()))
    }
}

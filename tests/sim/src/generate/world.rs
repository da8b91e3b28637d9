//! The world of a run: it lets senders send. What spoils that stands in `trouble` and `spool_trouble`.

use std::sync::Arc;

use logystera_processor::core::{RuleSet, SEMANTICS};
use logystera_schemas::ids::{SiteId, TenantId};
use logystera_schemas::signals_topic::{SiteConfigured, Tick};
use logystera_schemas::time::WallMs;

use super::Log;
use super::backup::Backup;
use super::rules::{self, Palette};
use super::sender::Sender;
use super::turn::Turn;
use super::weather::Weather;
use crate::input::{Input, START_MS};
use crate::rng::Rng;

/// Runs in which the first ticks come late, in percent, and within how many records.
const TICKS_LATE_PERCENT: u64 = 10;
const TICKS_LATE: usize = 60;

/// A site in the making.
#[derive(Debug)]
pub(super) struct SiteState {
    pub(super) id: SiteId,
    pub(super) tenant: TenantId,
    pub(super) rules: Arc<RuleSet>,
    /// The version of the semantics that its configurations ask for.
    pub(super) semantics: u32,
    pub(super) senders: Vec<Sender>,
}

/// A gateway whose clock is wrong for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stray {
    pub(super) gateway: usize,
    pub(super) by: i64,
    pub(super) steps: u64,
}

/// A run in the making.
#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) palette: Palette,
    pub(super) weather: Weather,
    pub(super) now: i64,
    pub(super) gateway_skews: Vec<i64>,
    pub(super) stray: Option<Stray>,
    pub(super) sites: Vec<SiteState>,
    pub(super) log: Log,
    pub(super) backup: Option<Backup>,
    /// Keys that senders had.
    pub(super) keys: u64,
}

/// The log of `seed`.
pub fn log_of(seed: u64) -> Log {
    let mut rng = Rng::new(seed);
    let palette = Palette::draw(&mut rng);
    let weather = Weather::draw(&mut rng);
    let gateway_skews = (0..rng.range(1, 2)).map(|_| gateway_skew(&mut rng)).collect();
    let steps = *rng.pick(&[30, 60, 120, 240]);
    let (semantics, raised_at) = match rng.below(10) {
        0..5 => (SEMANTICS, u64::MAX),
        5..8 => (1, steps / 4 + rng.below(steps / 2)),
        _ => (1, u64::MAX),
    };
    let log = Log::new(Vec::new(), Vec::new());
    let (sites, backup) = (Vec::new(), Backup::draw(seed, steps));
    let (stray, now, keys) = (None, START_MS, 1);
    let mut world = World { rng, palette, weather, now, gateway_skews, stray, sites, log, backup, keys };
    if let Some(backup) = &world.backup {
        backup.for_thieves(&mut world.weather);
    }
    let turns = Turn::draw(seed, steps, &mut world.weather);
    world.found_sites(semantics);
    for step in 0..steps {
        if step == raised_at {
            world.raise();
        }
        turns.iter().filter(|turn| turn.step == step).for_each(|turn| world.turn(turn));
        world.back_up(step);
        world.step();
    }
    world.idle(60);
    let mut late = Rng::new(seed).part(14);
    if late.chance(TICKS_LATE_PERCENT) { without_ticks(&world.log, late.index(TICKS_LATE)) } else { world.log }
}

/// The log, of whose first records the ticks are left out.
fn without_ticks(log: &Log, records: usize) -> Log {
    let first = log.inputs.iter().take(records).enumerate();
    let ticks: Vec<usize> =
        first.filter(|(_, input)| matches!(input, Input::Tick(_))).map(|(place, _)| place).collect();
    ticks.iter().rev().fold(log.clone(), |log, place| log.without(*place..place + 1))
}

/// Mostly right, or some seconds off, or minutes.
fn gateway_skew(rng: &mut Rng) -> i64 {
    match rng.below(10) {
        0..7 => 0,
        7..9 => rng.range(-20_000, 20_000),
        _ => 1_000 * rng.range(-300, 300),
    }
}

impl World {
    fn found_sites(&mut self, semantics: u32) {
        if self.rng.chance(90) {
            self.tick();
        }
        for n in 0..self.rng.range(1, 2) {
            let (Ok(id), Ok(tenant)) = (format!("site{n}").parse::<SiteId>(), "t".parse::<TenantId>()) else {
                continue;
            };
            let rules = rules::draw_set(&self.palette, &mut self.rng);
            let spools = *self.rng.pick(&[1, 1, 2, 3]);
            let senders =
                (0..spools).map(|_| Sender::new(&id, &tenant, &self.palette, self.now, &mut self.rng)).collect();
            self.sites.push(SiteState { id, tenant, rules, semantics, senders });
            self.configure(n as usize);
        }
    }

    pub(super) fn configure(&mut self, site: usize) {
        let site = &self.sites[site];
        if self.log.bodies.iter().all(|b| b.digest != site.rules.digest) {
            self.log.bodies.push(Arc::clone(&site.rules));
        }
        let name = if self.rng.chance(90) { "The site".to_owned() } else { "Another name".to_owned() };
        self.log.inputs.push(Input::Configured(SiteConfigured {
            site: site.id.clone(),
            tenant: site.tenant.clone(),
            name,
            digest: site.rules.digest,
            semantics: site.semantics,
        }));
    }

    /// Another version of the engine configures all sites.
    fn raise(&mut self) {
        self.sites.iter_mut().for_each(|site| site.semantics = SEMANTICS);
        (0..self.sites.len()).for_each(|site| self.configure(site));
    }

    pub(super) fn tick(&mut self) {
        self.tick_that_tells(0);
    }

    /// The gateways' ticks, which say that the door was open for `open_ms`.
    fn tick_that_tells(&mut self, open_ms: i64) {
        for skew in &self.gateway_skews {
            if self.gateway_skews.len() == 1 || self.rng.chance(90) {
                let at = WallMs(self.now + skew);
                self.log.inputs.push(Input::Tick(Tick { partition: 0, at, open_ms }));
            }
        }
    }

    /// One second in which things go their way, or do not.
    fn step(&mut self) {
        self.now += self.palette.pace_ms();
        if self.rng.chance(95) {
            self.tick();
        }
        for site in 0..self.sites.len() {
            for sender in 0..self.sites[site].senders.len() {
                self.act(site, sender);
            }
        }
        let site = self.rng.index(self.sites.len());
        self.trouble_time();
        self.trouble_site(site);
        self.trouble_spools(site);
    }

    pub(super) fn act(&mut self, site: usize, place: usize) {
        let sender = &mut self.sites[site].senders[place];
        let rate = sender.rate;
        for _ in 0..3 {
            if self.rng.chance(rate / 2) {
                sender.emit(&self.palette, self.now, &mut self.rng);
            }
        }
        if self.now < sender.next_flush || self.now < sender.cut_off_until {
            return;
        }
        sender.next_flush = self.now + 1_000 * i64::from(sender.flush_every_s);
        loop {
            let sender = &mut self.sites[site].senders[place];
            if sender.claimed.is_none() {
                let most = if self.rng.chance(70) { 100 } else { 1 + self.rng.index(4) };
                sender.claim(&self.palette, self.now, most);
            }
            if self.rng.rarely(self.weather.lost_request) {
                return;
            }
            self.deliver(site, place);
            if self.rng.rarely(self.weather.lost_answer) {
                return;
            }
            self.answer(site, place);
            if self.rng.chance(60) {
                return;
            }
        }
    }

    /// What a sender has claimed stands in the log.
    pub(super) fn deliver(&mut self, site: usize, place: usize) {
        let gateway = self.rng.index(self.gateway_skews.len());
        let sender = &mut self.sites[site].senders[place];
        let Some(mut batch) = sender.claimed.clone() else { return };
        batch.received_at = self.now + self.gateway_skews[gateway];
        self.log.inputs.push(Input::Batch(Box::new(batch)));
        // The answer carries the gateway's clock.
        let is_wrong = self.stray.is_some_and(|stray| stray.gateway == gateway);
        if self.rng.rarely(if is_wrong { 5_000 } else { self.weather.learns }) {
            sender.clock_offset_ms = self.gateway_skews[gateway] - sender.skew_ms;
        }
    }

    /// A sender hears that its batch was taken.
    fn answer(&mut self, site: usize, place: usize) {
        let sender = &mut self.sites[site].senders[place];
        let ends = sender.claimed.as_ref().is_some_and(|batch| batch.ends);
        sender.finish();
        if ends {
            sender.is_done = false;
            // Mostly nothing comes any more.
            if self.rng.chance(75) {
                (sender.rate, sender.next_flush) = (0, i64::MAX);
            }
        }
    }

    /// Time goes by, two seconds a tick, and nobody sends.
    pub(super) fn idle(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.now += 2_000;
            self.tick();
        }
    }

    /// Nobody sends for long, and ticks come seldom: most say how long the door was open.
    pub(super) fn rest(&mut self, ticks: usize) {
        for _ in 0..ticks {
            let passed = *self.rng.pick(&[10_000, 10_000, 10_000, 1_000, 25_000, 45_000, 61_000]);
            self.now += passed;
            let open_ms = match self.rng.below(10) {
                0..7 => passed,
                7 => 0,
                8 => self.rng.range(0, passed),
                _ => self.rng.range(-1_000, 100_000),
            };
            self.tick_that_tells(open_ms);
        }
    }
}

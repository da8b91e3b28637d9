//! The world of a run: it lets senders send, and spoils what arrives.

use std::sync::Arc;

use logystera_processor::core::rule::RuleSet;
use logystera_schemas::ids::{SiteId, SpoolId, TenantId};
use logystera_schemas::signals_topic::{Refused, SiteClosed, SiteConfigured, Tick};
use logystera_schemas::time::WallMs;

use super::Log;
use super::rules::{self, Palette};
use super::sender::Sender;
use crate::input::{BatchIn, Input, START_MS};
use crate::rng::Rng;

/// How bad a run is: how often, of 10,000 steps, each thing happens.
#[derive(Clone, Debug)]
struct Weather {
    lost_answer: u64,
    lost_request: u64,
    cut_off: u64,
    door_shut: u64,
    hostile: u64,
    configure: u64,
    switch: u64,
    clock_jump: u64,
    refused: u64,
    new_spool: u64,
    idle: u64,
}

impl Weather {
    fn draw(rng: &mut Rng) -> Self {
        let mut some = |most: u64| if rng.chance(50) { rng.below(most) } else { 0 };
        Self {
            lost_answer: some(3_000),
            lost_request: some(3_000),
            cut_off: some(200),
            door_shut: some(100),
            hostile: some(500),
            configure: some(150),
            switch: some(150),
            clock_jump: some(150),
            refused: some(200),
            new_spool: some(100),
            idle: some(150),
        }
    }
}

#[derive(Debug)]
struct SiteState {
    id: SiteId,
    tenant: TenantId,
    rules: Arc<RuleSet>,
    senders: Vec<Sender>,
}

/// A run in the making.
#[derive(Debug)]
struct World {
    rng: Rng,
    palette: Palette,
    weather: Weather,
    now: i64,
    gateway_skews: Vec<i64>,
    sites: Vec<SiteState>,
    log: Log,
}

/// The log of `seed`.
pub fn log_of(seed: u64) -> Log {
    let mut rng = Rng::new(seed);
    let palette = Palette::draw(&mut rng);
    let weather = Weather::draw(&mut rng);
    let gateway_skews =
        (0..rng.range(1, 2)).map(|_| if rng.chance(70) { 0 } else { rng.range(-20_000, 20_000) }).collect();
    let steps = *rng.pick(&[30, 60, 120, 240]);
    let log = Log { bodies: Vec::new(), inputs: Vec::new() };
    let mut world = World { rng, palette, weather, now: START_MS, gateway_skews, sites: Vec::new(), log };
    world.found_sites();
    for _ in 0..steps {
        world.step();
    }
    world.idle(60);
    world.log
}

impl World {
    fn found_sites(&mut self) {
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
            self.sites.push(SiteState { id, tenant, rules, senders });
            self.configure(n as usize);
        }
    }

    fn configure(&mut self, site: usize) {
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
            semantics: 1,
        }));
    }

    fn tick(&mut self) {
        for skew in &self.gateway_skews {
            if self.gateway_skews.len() == 1 || self.rng.chance(90) {
                let at = WallMs(self.now + skew);
                self.log.inputs.push(Input::Tick(Tick { partition: 0, at }));
            }
        }
    }

    /// One second in which things go their way, or do not.
    fn step(&mut self) {
        self.now += self.palette.pace_ms();
        if self.rng.chance(95) {
            self.tick();
        }
        let weather = self.weather.clone();
        for site in 0..self.sites.len() {
            for sender in 0..self.sites[site].senders.len() {
                self.act(site, sender);
            }
        }
        let site = self.rng.index(self.sites.len());
        if self.rng.rarely(weather.cut_off) {
            let sender = self.rng.index(self.sites[site].senders.len());
            let whole = self.rng.chance(40);
            let until = self.now + 1_000 * *self.rng.pick(&[5, 20, 100, 200, 4_000]);
            for (n, s) in self.sites[site].senders.iter_mut().enumerate() {
                if whole || n == sender {
                    s.cut_off_until = until;
                }
            }
        }
        if self.rng.rarely(weather.door_shut) {
            let slow = self.palette.is_slow();
            let away =
                *self.rng.pick(&[3_000, 30_000, 59_000, 60_000, 61_000, if slow { 4 * 3_600_000 } else { 300_000 }]);
            self.now += away;
            if slow && self.rng.chance(5) {
                self.now += 9 * 86_400_000;
            }
        }
        if self.rng.rarely(weather.idle) {
            let ticks = *self.rng.pick(&[10, 40, 61, 130, 200]);
            self.idle(ticks);
        }
        if self.palette.is_slow() && self.rng.rarely(weather.idle / 4) {
            self.idle(1_900);
        }
        if self.rng.rarely(weather.clock_jump) {
            self.jump(site);
        }
        if self.rng.rarely(weather.switch) {
            let sender = self.rng.index(self.sites[site].senders.len());
            let kind = *self.rng.pick(&self.palette.types);
            self.sites[site].senders[sender].enabled.0 ^= 1 << kind.index();
        }
        if self.rng.rarely(weather.refused) {
            self.refuse(site);
        }
        if self.rng.rarely(weather.new_spool) {
            self.renew_spool(site);
        }
        if self.rng.rarely(weather.configure) {
            self.reconfigure(site);
        }
        if self.rng.rarely(weather.hostile) {
            self.attack(site);
        }
    }

    fn act(&mut self, site: usize, place: usize) {
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
            let Some(mut batch) = self.sites[site].senders[place].claimed.clone() else { return };
            batch.received_at = self.now + *self.rng.pick(&self.gateway_skews.clone());
            self.log.inputs.push(Input::Batch(Box::new(batch)));
            if self.rng.rarely(self.weather.lost_answer) {
                return;
            }
            self.sites[site].senders[place].finish();
            if self.rng.chance(60) {
                return;
            }
        }
    }

    /// Time goes by, two seconds a tick, and nobody sends.
    fn idle(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.now += 2_000;
            self.tick();
        }
    }

    fn jump(&mut self, site: usize) {
        let far = if self.palette.is_slow() { 3_600_000 } else { 300_000 };
        let by = *self.rng.pick(&[-far, -30_000, -1_000, 1_000, 30_000, 100_000, far]);
        if self.rng.chance(50) {
            let gateway = self.rng.index(self.gateway_skews.len());
            self.gateway_skews[gateway] += by;
            if self.rng.chance(50) {
                self.tick();
                self.gateway_skews[gateway] -= by;
            }
        } else {
            let place = self.rng.index(self.sites[site].senders.len());
            let sender = &mut self.sites[site].senders[place];
            sender.skew_ms += by;
            if self.rng.chance(50) {
                sender.clock_offset_ms = -sender.skew_ms;
            }
        }
    }

    fn refuse(&mut self, site: usize) {
        let site = &self.sites[site];
        let spool = match self.rng.below(4) {
            0 => None,
            1 => Some(SpoolId(self.rng.word().to_be_bytes())),
            _ => Some(self.rng.pick(&site.senders).spool),
        };
        let authenticated = self.rng.chance(70);
        self.log.inputs.push(Input::Refused(Refused {
            site: site.id.clone(),
            spool,
            reason: "rate_limited".to_owned(),
            count: 1,
            authenticated,
        }));
    }

    fn renew_spool(&mut self, site: usize) {
        let SiteState { id, tenant, senders, .. } = &mut self.sites[site];
        let many = if self.rng.chance(3) { 66 } else { 1 };
        for _ in 0..many {
            let sender = Sender::new(id, tenant, &self.palette, self.now, &mut self.rng);
            if senders.len() < 3 && self.rng.chance(50) {
                senders.push(sender);
            } else {
                let place = self.rng.index(senders.len());
                senders[place] = sender;
            }
            if many > 1 {
                let place = senders.len() - 1;
                senders[place] = Sender::new(id, tenant, &self.palette, self.now, &mut self.rng);
                senders[place].claim(&self.palette, self.now, 0);
                if let Some(mut batch) = senders[place].claimed.clone() {
                    batch.received_at = self.now;
                    self.log.inputs.push(Input::Batch(Box::new(batch)));
                }
                senders[place].finish();
            }
        }
    }

    fn reconfigure(&mut self, site: usize) {
        if self.rng.chance(10) {
            let SiteState { id, tenant, .. } = &self.sites[site];
            self.log.inputs.push(Input::Closed(SiteClosed { site: id.clone(), tenant: tenant.clone() }));
            if self.rng.chance(30) {
                return;
            }
            if self.rng.chance(30) {
                self.configure(site);
                let closed = SiteClosed { site: self.sites[site].id.clone(), tenant: self.sites[site].tenant.clone() };
                self.log.inputs.push(Input::Closed(closed));
            }
        } else if self.rng.chance(80) {
            let old = Arc::clone(&self.sites[site].rules);
            self.sites[site].rules = rules::edit_set(&old, &self.palette, &mut self.rng);
        }
        self.configure(site);
    }

    /// Batches that no sender of ours would send.
    fn attack(&mut self, site: usize) {
        let place = self.rng.index(self.sites[site].senders.len());
        let received_at = self.now;
        let mut rng = self.rng.clone();
        self.rng = self.rng.part(1);
        let sender = &mut self.sites[site].senders[place];
        let old = if sender.answered.is_empty() { None } else { Some(rng.pick(&sender.answered).clone()) };
        let mut forged = sender.clone();
        forged.emit(&self.palette, self.now, &mut rng);
        forged.claim(&self.palette, self.now, 10);
        let fresh = forged.claimed.clone();
        let batch = match (rng.below(6), old, fresh) {
            (0, Some(old), _) => old,
            (1, Some(old), Some(mut fresh)) => {
                fresh.seq = old.seq;
                fresh
            }
            (2, Some(old), Some(mut fresh)) => {
                fresh.seq = (old.seq + rng.below(5)).saturating_sub(2).max(1);
                fresh
            }
            (3, _, Some(fresh)) => {
                sender.skip(*rng.pick(&[1, 62, 63, 64, 1_022, 1_023, 1_024, 1_025]));
                fresh
            }
            (4, _, Some(mut fresh)) => {
                spoil(&mut fresh, &self.palette, &mut rng);
                fresh
            }
            (_, _, Some(mut fresh)) => {
                // A backup was restored: the numbers go on from where they were once.
                fresh.through += self.palette.step_ms * rng.range(-20, 20);
                for signal in &mut fresh.signals {
                    signal.at += self.palette.step_ms * rng.range(-20, 5);
                }
                fresh
            }
            _ => return,
        };
        let mut batch = BatchIn { received_at, ..batch };
        batch.digest = batch.content_digest();
        self.log.inputs.push(Input::Batch(Box::new(batch)));
    }
}

/// Signals out of order, past the `through`, from another day, or from the future.
fn spoil(batch: &mut BatchIn, palette: &Palette, rng: &mut Rng) {
    let far = *rng.pick(&[5_000, 5_001, 60_000, if palette.is_slow() { 86_400_000 } else { 600_000 }]);
    for signal in &mut batch.signals {
        signal.at += palette.step_ms * rng.range(-10, 10);
    }
    match rng.below(4) {
        0 => batch.through += far,
        1 => batch.through -= far,
        2 => batch.clock_offset_ms += if rng.chance(50) { far } else { -far },
        _ => {
            if let Some(signal) = batch.signals.first_mut() {
                signal.at += far;
            }
        }
    }
    batch.flush_every_s = *rng.pick(&[0, 1, 60, 600, 86_400]);
}

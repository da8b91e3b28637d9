//! A site: what it holds back, its watermark, its groups (design, sections 5 and 6).

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_processor::core::rule::{Condition, Expected, Rule, RuleSet};
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::ids::{Sha256Digest, SiteId, SpoolId};
use logystera_schemas::signals_topic::SiteConfigured;

use super::group::{Group, Timer, leaves_at};
use super::log_time::LogTime;
use super::show;
use super::silence::Silence;
use super::spool::{Spool, Verdict};
use crate::input::{BatchIn, SignalIn};

/// Spools that a site may have.
const SPOOLS: usize = 64;
/// A batch may lie so far ahead of the gateway's clock.
const AHEAD: i64 = 5_000;

/// Where a held signal stands in its site's order.
type Place = (i64, SpoolId, u64, usize);

/// What waits until the watermark passes it.
#[derive(Debug)]
enum Waiting {
    /// A signal.
    Signal(SignalIn),
    /// From here on the spool has these types switched on.
    Switch(SignalTypes),
}

/// A configured site.
#[derive(Debug)]
pub struct Site {
    pub(super) id: SiteId,
    pub(super) config: SiteConfigured,
    pub(super) rules: Arc<RuleSet>,
    pub(super) spools: BTreeMap<SpoolId, Spool>,
    /// What lies above the watermark.
    held: BTreeMap<Place, Waiting>,
    /// Signals up to here were released.
    watermark: Option<i64>,
    /// Groups by rule's name, then key.
    pub(super) groups: BTreeMap<(String, Vec<u8>), Group>,
    /// For each rule, until when it says no more that it overflowed, and how many groups it dropped since it last did.
    pub(super) overflows: BTreeMap<String, (Option<i64>, u64)>,
    pub(super) silence: Silence,
    pub(super) seq: u64,
    pub(super) chain: Sha256Digest,
    pub(super) said: Vec<Detection>,
}

impl Site {
    /// A site from its first configuration on.
    pub fn new(config: &SiteConfigured, rules: Arc<RuleSet>, clock: &LogTime) -> Self {
        let mut site = Self {
            id: config.site.clone(),
            config: config.clone(),
            rules,
            spools: BTreeMap::new(),
            held: BTreeMap::new(),
            watermark: None,
            groups: BTreeMap::new(),
            overflows: BTreeMap::new(),
            silence: Silence::new(clock),
            seq: 0,
            chain: Detection::genesis(&config.site),
            said: Vec::new(),
        };
        site.expect();
        site
    }

    /// The detections since the last call.
    pub fn take(&mut self) -> Vec<Detection> {
        std::mem::take(&mut self.said)
    }

    // ---- records

    /// A batch.
    pub fn batch(&mut self, batch: &BatchIn, clock: &LogTime) {
        self.forget_spools(clock);
        let verdict = self.spools.get(&batch.spool).map_or(Verdict::New, |s| s.judge(batch.seq, batch.digest));
        let is_first = !self.spools.contains_key(&batch.spool);
        if verdict != Verdict::New || (is_first && self.spools.len() >= SPOOLS) {
            return;
        }
        self.hear(Some(batch.spool), clock);
        let latest = batch.signals.iter().map(|s| s.at).max().unwrap_or(i64::MIN).max(batch.through);
        let ahead = (latest + batch.clock_offset_ms - batch.received_at - AHEAD).max(0);
        let site_time = |at: i64| at + batch.clock_offset_ms - ahead;

        let spool = self.spools.entry(batch.spool).or_insert_with(Spool::unheard);
        spool.accept(batch.seq, batch.digest);
        let previous = spool.through;
        spool.through = previous.max(site_time(batch.through));
        spool.flush_every_s = i64::from(batch.flush_every_s);
        spool.last_batch_wall = clock.wall();
        let differs = std::mem::replace(&mut spool.said_enabled, batch.enabled) != batch.enabled;
        let now = self.watermark.unwrap_or(i64::MIN);
        if is_first || (differs && previous < now) {
            self.switch(batch.spool, batch.enabled, now);
        } else if differs {
            // A switch holds for what comes after the spool's last word.
            self.held.insert((previous + 1, batch.spool, batch.seq, 0), Waiting::Switch(batch.enabled));
        }
        let mut late = BTreeMap::new();
        for (index, signal) in batch.signals.iter().enumerate() {
            let at = site_time(signal.at);
            if self.watermark.is_some_and(|w| at <= w) {
                late.insert((at, index), signal);
            } else {
                self.held.insert((at, batch.spool, batch.seq, index + 1), Waiting::Signal(signal.clone()));
            }
        }
        for ((at, _), signal) in late {
            self.judge(at, signal, now);
        }
        self.advance();
    }

    /// A refusal after the signature held: a sign of life.
    pub fn refused(&mut self, spool: Option<SpoolId>, clock: &LogTime) {
        self.forget_spools(clock);
        self.hear(spool.filter(|id| self.spools.contains_key(id)), clock);
        if self.watermark.is_some() {
            self.advance();
        }
    }

    /// A tick, after the clocks took it.
    pub fn tick(&mut self, clock: &LogTime) {
        if self.watermark.is_some_and(|w| self.lowest_through().is_some_and(|lowest| w < lowest)) {
            self.advance();
        }
        let longest_flush = self.spools.values().map(|s| s.flush_every_s).max().unwrap_or(0);
        for rule in &Arc::clone(&self.rules).rules {
            let Condition::Blind { after_ms } = rule.condition else { continue };
            if self.silence.deadline(after_ms, longest_flush, clock) <= clock.open
                && self.silence.begin(rule.name.as_str())
            {
                let said = self.silence.said(DetectionState::Firing, DetectionReason::Blind, clock.wall());
                self.emit(rule, &[], &Group::default(), said);
            }
        }
    }

    /// A configuration.
    pub fn configure(&mut self, config: &SiteConfigured, rules: &Arc<RuleSet>) {
        let now = self.watermark.unwrap_or(0);
        let before = self.enabled();
        let old = std::mem::replace(&mut self.rules, Arc::clone(rules));
        for rule in &old.rules {
            match rules.rules.iter().find(|r| r.name == rule.name) {
                Some(new) if new.counts == rule.counts => {
                    let edited = new.evidence != rule.evidence;
                    for (_, group) in self.groups.iter_mut().filter(|((of, _), _)| edited && of == rule.name.as_str()) {
                        group.evidence_from = group.matches.len();
                    }
                }
                Some(_) => self.end_rule(rule, DetectionReason::RuleChanged, now),
                None => self.end_rule(rule, DetectionReason::RuleRemoved, now),
            }
        }
        self.config = config.clone();
        self.expect();
        self.switched(before, now);
        while let Some((at, key, timer)) = self.next_deadline().filter(|(at, ..)| *at <= now) {
            self.run(&key, timer, at);
        }
        self.run_until(now);
    }

    /// What is always expected has its one group from the start.
    fn expect(&mut self) {
        for rule in &self.rules.rules {
            if let Condition::Absent { expected: Expected::Always, .. } = rule.condition {
                self.groups.entry((rule.name.as_str().to_owned(), Vec::new())).or_default();
            }
        }
    }

    /// The site's end.
    pub fn close(&mut self) {
        let now = self.watermark.unwrap_or(0);
        let rules = Arc::clone(&self.rules);
        for rule in &rules.rules {
            self.end_rule(rule, DetectionReason::SiteClosed, now);
        }
    }

    fn end_rule(&mut self, rule: &Rule, reason: DetectionReason, now: i64) {
        let keys: Vec<_> = self.groups.keys().filter(|(name, _)| name == rule.name.as_str()).cloned().collect();
        for key in keys {
            if let Some(mut group) = self.groups.remove(&key) {
                for said in group.end(reason, now) {
                    self.emit(rule, &key.1, &group, said);
                }
            }
        }
        // What a blindness says is in wall time, which must not run backwards.
        let at = self.silence.began(rule.name.as_str()).map_or(now, |began| now.max(began));
        if let Some(said) = self.silence.end(rule.name.as_str(), reason, at) {
            self.emit(rule, &[], &Group::default(), said);
        }
        self.overflows.remove(rule.name.as_str());
    }

    fn forget_spools(&mut self, clock: &LogTime) {
        let before = self.enabled();
        self.spools.retain(|_, spool| !spool.is_forgotten(clock.wall()));
        self.switched(before, self.watermark.unwrap_or(i64::MIN));
    }

    /// A sign of life ends blindness, and starts the silence of the other spools.
    fn hear(&mut self, spool: Option<SpoolId>, clock: &LogTime) {
        let rules = Arc::clone(&self.rules);
        for rule in &rules.rules {
            if let Some(said) = self.silence.end(rule.name.as_str(), DetectionReason::Resolved, clock.wall()) {
                self.emit(rule, &[], &Group::default(), said);
            }
        }
        if let Some(heard) = spool {
            let last = self.silence.heard_open();
            let after_outage = clock.open - last > 2 * 60_000 || clock.gap_end.is_some_and(|end| end > last);
            for (_, other) in self.spools.iter_mut().filter(|(id, _)| **id != heard) {
                let comes_back = after_outage && !other.after_outage && other.is_live(last);
                if other.silent_from.is_none() || comes_back {
                    (other.silent_from, other.after_outage) = (Some(clock.open), after_outage);
                }
            }
            if let Some(spool) = self.spools.get_mut(&heard) {
                (spool.silent_from, spool.after_outage) = (None, false);
            }
        }
        self.silence.heard(clock);
    }

    // ---- site time

    /// The lowest `through` of the live spools.
    fn lowest_through(&self) -> Option<i64> {
        self.spools.values().filter(|s| s.is_live(self.silence.heard_open())).map(|s| s.through).min()
    }

    /// Moves the watermark to the lowest `through` of the live spools and runs what lies at or below it, in the order of
    /// time: at one time the signals, then the deadlines, then the switches.
    fn advance(&mut self) {
        let Some(lowest) = self.lowest_through() else { return };
        // It never goes back; but a late signal may have made a deadline of the very time that was reached.
        let to = self.watermark.map_or(lowest, |w| w.max(lowest));
        let moved = self.watermark.is_none_or(|w| w < to);
        self.run_until(to);
        self.watermark = Some(to);
        if moved {
            self.end_wait(to);
        }
        self.settle(to);
    }

    /// Runs what lies at or below `to`.
    fn run_until(&mut self, to: i64) {
        loop {
            let held = self.held.keys().next().map(|place| (place.0, false));
            let deadline = self.next_deadline().map(|d| (d.0, true));
            match [held, deadline].into_iter().flatten().min() {
                Some((at, _)) if at > to => break,
                None => break,
                Some((at, false)) => match self.held.pop_first() {
                    Some((_, Waiting::Signal(signal))) => self.judge(at, &signal, at),
                    Some((place, Waiting::Switch(enabled))) => self.switch(place.1, enabled, at),
                    None => {}
                },
                Some((at, true)) => {
                    if let Some((_, key, timer)) = self.next_deadline() {
                        self.run(&key, timer, at);
                    }
                }
            }
        }
    }

    fn switch(&mut self, spool: SpoolId, enabled: SignalTypes, now: i64) {
        let before = self.enabled();
        if let Some(spool) = self.spools.get_mut(&spool) {
            spool.enabled = enabled;
        }
        self.switched(before, now);
    }

    /// What is switched on by a spool and not disabled by the configuration.
    pub(super) fn enabled(&self) -> SignalTypes {
        let said = self.spools.values().fold(0, |all, s| all | s.enabled.0);
        SignalTypes(said & !self.rules.disabled.0)
    }

    /// The first deadline in the order of time, rule, group.
    fn next_deadline(&self) -> Option<(i64, (String, Vec<u8>), Timer)> {
        let next = |rule: &Rule, group: &Group| group.next_timer(rule, !self.silence.holds_absences());
        let deadlines = self.groups.iter().filter_map(|(key, group)| {
            let rule = self.rules.rules.iter().find(|r| r.name.as_str() == key.0)?;
            next(rule, group).map(|(at, timer)| (at, key.clone(), timer))
        });
        deadlines.min()
    }

    fn run(&mut self, key: &(String, Vec<u8>), timer: Timer, now: i64) {
        let rules = Arc::clone(&self.rules);
        let Some(rule) = rules.rules.iter().find(|r| r.name.as_str() == key.0) else { return };
        let Some(mut group) = self.groups.remove(key) else { return };
        for said in group.run(timer, rule, now) {
            self.emit(rule, &key.1, &group, said);
        }
        if timer != Timer::Empty {
            self.groups.insert(key.clone(), group);
        }
    }

    // ---- rules

    /// Shows a signal to every rule, at site time `now`.
    fn judge(&mut self, at: i64, signal: &SignalIn, now: i64) {
        let rules = Arc::clone(&self.rules);
        if rules.disabled.contains(signal.kind) {
            return;
        }
        for rule in rules.rules.iter().filter(|r| show::matches(r, signal)) {
            if leaves_at(rule, at) <= now || lacks_value(rule, signal) {
                continue;
            }
            let key = (rule.name.as_str().to_owned(), show::key(rule, signal));
            if !self.groups.contains_key(&key) {
                self.make_room(rule, now);
            }
            let is_on = self.enabled().contains(signal.kind);
            let mut group = self.groups.remove(&key).unwrap_or_default();
            group.labels = show::labels(rule, signal);
            for said in group.add(rule, at, signal, now) {
                self.emit(rule, &key.1, &group, said);
            }
            if !is_on {
                group.absent_since = None;
            }
            self.groups.insert(key, group);
        }
    }
}

/// Whether the signal lacks the field whose different values the rule counts.
fn lacks_value(rule: &Rule, signal: &SignalIn) -> bool {
    matches!(rule.condition, Condition::Distinct { field, .. } if signal.fields[field] == crate::input::Field::Absent)
}

//! A site and the records that change it (design, sections 5 and 6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_processor::core::{Condition, Rule, RuleSet};
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::detection::{Detection, DetectionReason};
use logystera_schemas::ids::{KeyId, Sha256Digest, SiteId, SpoolId};
use logystera_schemas::series::Points;
use logystera_schemas::signals_topic::{Refused, SiteConfigured};

use super::counts::Counts;
use super::group::{Group, Timer};
use super::log_time::LogTime;
use super::measured::Measured;
use super::silence::Silence;
use super::spool::{Spool, Verdict};
use super::waiting::{Place, Waiting};
use super::{refusals, scarce};
use crate::input::{BatchIn, SignalIn};

/// A batch may lie so far ahead of the gateway's clock.
pub(super) const AHEAD: i64 = 5_000;

/// A configured site.
#[derive(Debug)]
pub struct Site {
    pub(super) id: SiteId,
    pub(super) config: SiteConfigured,
    pub(super) rules: Arc<RuleSet>,
    pub(super) spools: BTreeMap<SpoolId, Spool>,
    /// The types that spools had on when that was last looked at.
    pub(super) on: SignalTypes,
    /// What lies above the watermark.
    pub(super) held: BTreeMap<Place, Waiting>,
    /// Signals up to here were released.
    pub(super) watermark: Option<i64>,
    /// Groups by rule's name, then key.
    pub(super) groups: BTreeMap<(String, Vec<u8>), Group>,
    /// For each rule, until when it says no more that it overflowed, and how many groups it dropped since it last did.
    pub(super) overflows: BTreeMap<String, (Option<i64>, u64)>,
    pub(super) silence: Silence,
    pub(super) seq: u64,
    pub(super) chain: Sha256Digest,
    pub(super) said: Vec<Detection>,
    pub(super) counts: Counts,
    /// What its metrics counted in minutes that are not over, signal by signal.
    pub(super) measured: Vec<Measured>,
    /// Minutes that are over.
    pub(super) points: Vec<Points>,
    /// Keys of which the log said that they are stolen.
    stolen: BTreeSet<KeyId>,
}

impl Site {
    /// A site from its first configuration on.
    pub fn new(config: &SiteConfigured, rules: Arc<RuleSet>, clock: &LogTime) -> Self {
        let mut site = Self {
            id: config.site.clone(),
            config: config.clone(),
            rules,
            spools: BTreeMap::new(),
            on: SignalTypes::default(),
            held: BTreeMap::new(),
            watermark: None,
            groups: BTreeMap::new(),
            overflows: BTreeMap::new(),
            silence: Silence::new(clock),
            seq: 0,
            chain: Detection::genesis(&config.site),
            said: Vec::new(),
            counts: Counts::default(),
            measured: Vec::new(),
            points: Vec::new(),
            stolen: BTreeSet::new(),
        };
        site.expect();
        site
    }

    /// The detections since the last call.
    pub fn take(&mut self) -> Vec<Detection> {
        std::mem::take(&mut self.said)
    }

    /// The minutes that are over since the last call.
    pub fn take_points(&mut self) -> Vec<Points> {
        std::mem::take(&mut self.points)
    }

    /// What became of its batches.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the second version of the semantics holds.
    pub(super) fn is_second(&self) -> bool {
        self.config.semantics >= 2
    }

    /// The site's time; the start of time before there is one.
    pub(super) fn now(&self) -> i64 {
        self.watermark.unwrap_or(i64::MIN)
    }

    /// A batch.
    pub fn batch(&mut self, batch: &BatchIn, clock: &LogTime) {
        self.forget_spools(clock);
        if self.is_new(batch, clock) {
            self.take_batch(batch, clock);
        }
        self.settle_switches();
    }

    fn is_new(&mut self, batch: &BatchIn, clock: &LogTime) -> bool {
        if self.is_second() && self.stolen.contains(&batch.key) {
            self.counts.stolen += 1;
            return false;
        }
        let verdict = self.spools.get(&batch.spool).map_or(Verdict::New, |s| s.judge(batch.seq, batch.digest));
        match verdict {
            Verdict::Conflict => self.counts.conflicts += 1,
            Verdict::Duplicate => self.counts.duplicates += 1,
            Verdict::BelowWindow => self.counts.below_window += 1,
            Verdict::New if self.has_room(batch.spool, clock) => return true,
            Verdict::New => self.counts.spool_overflows += 1,
        }
        false
    }

    fn take_batch(&mut self, batch: &BatchIn, clock: &LogTime) {
        self.counts.batches += 1;
        let is_first = !self.spools.contains_key(&batch.spool);
        self.hear(Some(batch.spool), is_first, clock);
        let (through, times) = self.site_times(batch);

        let is_second = self.is_second();
        let spool = self.spools.entry(batch.spool).or_insert_with(Spool::unheard);
        spool.accept(is_second.then(|| batch.key.clone()), batch.seq, batch.digest);
        let previous = spool.through;
        spool.through = previous.max(through);
        spool.flush_every_s = i64::from(batch.flush_every_s);
        spool.last_batch_wall = clock.wall();
        // Whoever goes on has not ended, also where nobody asks for that.
        spool.ended = batch.ends && is_second;
        let differs = std::mem::replace(&mut spool.said_enabled, batch.enabled) != batch.enabled;
        let now = self.now();
        if is_first || (differs && previous < now) {
            self.switch(batch.spool, batch.enabled, now, is_first);
            if let Some(reached) = self.watermark.filter(|_| self.is_second()) {
                self.run_until(reached);
            }
        } else if differs {
            // A switch holds for what comes after the spool's last word.
            self.held.insert((previous + 1, batch.spool, batch.seq, 0), Waiting::Switch(batch.enabled));
        }
        self.settle_switches();
        let mut by_time: Vec<(i64, &SignalIn)> = times.into_iter().zip(&batch.signals).collect();
        by_time.sort_by_key(|(at, _)| *at);
        let (late, fresh): (Vec<_>, Vec<_>) = by_time.into_iter().partition(|(at, _)| *at <= now);
        // Signals wait under the number that they have among those of their batch that wait: should the spool have been
        // forgotten meanwhile, and the number come again, the new one takes the place of the old one.
        for (index, (at, signal)) in fresh.into_iter().enumerate() {
            self.held.insert((at, batch.spool, batch.seq, index + 1), Waiting::Signal(signal.clone()));
        }
        self.counts.late += late.len() as u64;
        for (at, signal) in late {
            self.judge(at, signal, now);
        }
        self.advance(Some(batch.spool));
    }

    /// The batch's `through` and its signals' times as the site's: what lies ahead of the gateway's clock is cut, or shifts
    /// the whole batch back.
    fn site_times(&mut self, batch: &BatchIn) -> (i64, Vec<i64>) {
        let limit = batch.received_at + AHEAD;
        let through = batch.through + batch.clock_offset_ms;
        let times: Vec<i64> = batch.signals.iter().map(|s| s.at + batch.clock_offset_ms).collect();
        let ahead = times.iter().filter(|at| **at > limit).count();
        if self.is_second() && through <= limit && 2 * ahead <= times.len() {
            self.counts.cut += ahead as u64;
            let cut = |at: i64| if at > limit { batch.received_at } else { at };
            return (through, times.into_iter().map(cut).collect());
        }
        let latest = times.iter().copied().fold(through, i64::max);
        let excess = (latest - limit).max(0);
        self.counts.shifted += u64::from(excess > 0);
        (through - excess, times.into_iter().map(|at| at - excess).collect())
    }

    /// A refusal. After the signature held it is a sign of life, and what rules may look for.
    pub fn refused(&mut self, refused: &Refused, clock: &LogTime) {
        if !refused.authenticated {
            return;
        }
        self.forget_spools(clock);
        // Under the first rules a spool that is not known is nobody.
        let spool = refused.spool.filter(|id| self.is_second() || self.spools.contains_key(id));
        self.hear(spool, false, clock);
        self.settle_switches();
        if self.watermark.is_some() {
            self.advance(None);
        }
        if self.is_second()
            && let Some(signal) = refusals::signal(refused, self.watermark.unwrap_or(clock.wall()))
        {
            self.run_until(signal.at - 1);
            self.judge(signal.at, &signal, signal.at);
            if let Some(reached) = self.watermark {
                self.run_until(reached);
            }
        }
        self.settle_switches();
    }

    /// A key was revoked.
    pub fn key_revoked(&mut self, key: &KeyId, stolen: bool) {
        if !self.is_second() {
            return;
        }
        if stolen {
            self.stolen.insert(key.clone());
        }
        let gone = self.spools.iter_mut().filter_map(|(id, spool)| spool.revoke(key, stolen).then_some(*id));
        for id in gone.collect::<Vec<SpoolId>>() {
            self.spools.remove(&id);
            self.held.retain(|place, _| place.1 != id);
        }
        self.settle_switches();
    }

    /// A tick, after the clocks took it.
    pub fn tick(&mut self, clock: &LogTime) {
        let longest_flush = self.spools.values().map(|s| s.flush_every_s).max().unwrap_or(0);
        let all_ended = self.is_second() && !self.spools.is_empty() && self.spools.values().all(|s| s.ended);
        for rule in &Arc::clone(&self.rules).rules {
            let Condition::Blind { after_ms } = rule.condition else { continue };
            let is_due = !all_ended && self.silence.deadline(after_ms, longest_flush, clock) <= clock.open;
            let begun = if is_due { self.silence.begin(rule, clock.wall()) } else { None };
            let reminded = if self.is_second() { self.silence.remind(rule, clock.wall()) } else { None };
            for said in begun.into_iter().chain(reminded) {
                self.emit(rule, &[], &Group::default(), said);
            }
        }
    }

    /// A configuration. The same one again changes nothing.
    pub fn configure(&mut self, config: &SiteConfigured, rules: &Arc<RuleSet>) {
        if self.config == *config {
            return;
        }
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
                    self.forget_overdue(new, now);
                }
                Some(_) => self.end_rule(rule, DetectionReason::RuleChanged, now),
                None => self.end_rule(rule, DetectionReason::RuleRemoved, now),
            }
        }
        self.config = config.clone();
        self.expect();
        self.switched(before, self.now());
        self.run_until(now);
        // Whichever rules hold now say what is on.
        self.derive(self.now());
    }

    /// The span after which a rule forgets may be shorter than it was: what it has missed for longer is forgotten now.
    fn forget_overdue(&mut self, rule: &Rule, now: i64) {
        let is_due = |group: &Group| group.absence_timers(rule).iter().any(|t| t.1 == Timer::Forget && t.0 <= now);
        let of_rule = self.groups.iter().filter(|((name, _), _)| name == rule.name.as_str());
        let due: Vec<_> = of_rule.filter(|(_, group)| is_due(group)).map(|(key, _)| key.clone()).collect();
        if self.silence.holds_absences() {
            return;
        }
        for key in &due {
            if let Some(mut group) = self.groups.remove(key) {
                for said in group.end(DetectionReason::Forgotten, now) {
                    self.emit(rule, &key.1, &group, said);
                }
            }
        }
    }

    /// What is expected from the start has its groups from the start.
    fn expect(&mut self) {
        for rule in &self.rules.rules {
            for (key, group) in scarce::standing(rule) {
                self.groups.entry((rule.name.as_str().to_owned(), key)).or_insert(group);
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
        self.end_minutes(i64::MAX);
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
        self.silence.forget(rule.name.as_str());
        self.overflows.remove(rule.name.as_str());
    }
}

//! The groups of a site's rules, and the deadlines that wait for site time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::avro::{DecodeError, Writer};
use logystera_schemas::avro_record;
use logystera_schemas::batch::{Fields, Frame, Value};
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::detection::{Detection, DetectionReason};
use logystera_schemas::ids::RuleName;
use logystera_schemas::time::SiteMs;

use super::chain::DetectionChain;
use super::conditions::blind;
use super::conditions::kind::Match;
use super::eviction_order::EvictionOrder;
use super::group::{Group, Matched};
use super::group_key::GroupKey;
use super::program::{Program, RuleIndex};

/// What one rule keeps for a site.
#[derive(Debug, Default)]
pub(crate) struct RuleState {
    /// Its groups.
    pub(crate) groups: BTreeMap<GroupKey, Group>,
    /// The order in which they make room, from the first time on that one has to.
    pub(crate) order: EvictionOrder,
    /// What is not kept by group.
    pub(crate) extras: RuleExtras,
    /// Whether `extras` has changed since it was put.
    pub(crate) extras_dirty: bool,
}

avro_record! {
    /// What a rule keeps for a site besides its groups.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct RuleExtras {
        /// Until when no other overflow is emitted.
        pub(crate) overflow_until: Option<SiteMs>,
        /// Groups dropped since the last overflow that was emitted.
        pub(crate) dropped: u64,
        /// The site's own silence, if the rule watches for that.
        pub(crate) blind: blind::State,
    }
}

/// The rules of a site at work.
#[derive(Debug)]
pub(crate) struct RuleGroups {
    /// What runs.
    pub(crate) program: Arc<Program>,
    /// For each rule of the program.
    pub(crate) rules: Vec<RuleState>,
    /// (time, rule, group): at most one of each group, at or before its next deadline.
    pub(crate) deadlines: BTreeSet<(SiteMs, RuleIndex, GroupKey)>,
    /// Signal types that the site's senders say are switched on.
    pub(crate) declared_types: SignalTypes,
    /// The types that are on: those that the senders declare or only the engine makes, without those that the
    /// configuration disables.
    pub(crate) enabled: SignalTypes,
    /// Whether absences stand still until the watermark moves: since a blindness ended, or the time of the site started
    /// anew.
    pub(crate) absences_wait: bool,
    /// Whether an absence waits for the next watermark to be counted from.
    pub(crate) absences_unset: bool,
    /// Groups of all rules.
    pub(crate) count: usize,
    /// Bytes of all groups.
    pub(crate) bytes: usize,
    /// Groups that changed or went since they were put, in the order in which they did; one that went and came back stands
    /// here more than once.
    pub(crate) changed: Vec<(RuleIndex, GroupKey)>,
    /// Groups, by the name of their rule, that are to be deleted at the next put, unless it puts them.
    pub(crate) gone: BTreeSet<(RuleName, GroupKey)>,
    /// Rules whose extras are to be deleted at the next put, unless it puts them.
    pub(crate) gone_rules: BTreeSet<RuleName>,
    /// Groups that were dropped to make room, since the site's start.
    pub(crate) evicted: u64,
    /// A buffer that is used again.
    scratch: Writer,
}

impl RuleGroups {
    /// The rules of a site at which nothing has happened.
    pub(crate) fn new(program: Arc<Program>) -> Self {
        let rules = program.set.rules.iter().map(|_| RuleState::default()).collect();
        let mut groups = Self {
            program,
            rules,
            deadlines: BTreeSet::new(),
            declared_types: SignalTypes::default(),
            enabled: SignalTypes::default(),
            absences_wait: false,
            absences_unset: true,
            count: 0,
            bytes: 0,
            changed: Vec::new(),
            gone: BTreeSet::new(),
            gone_rules: BTreeSet::new(),
            evicted: 0,
            scratch: Writer::new(),
        };
        groups.enabled = groups.program.set.allowed(SignalTypes::default());
        groups.add_standing_groups();
        groups
    }

    fn add_standing_groups(&mut self) {
        let program = Arc::clone(&self.program);
        for (index, _, plan) in program.iter() {
            for key in plan.condition.standing_groups().into_iter().flatten() {
                if let Some(group) = Group::new(plan) {
                    self.insert(index, key, group);
                }
            }
        }
    }

    /// Adds a group as it was stored.
    pub(crate) fn insert(&mut self, index: RuleIndex, key: GroupKey, mut group: Group) {
        self.bytes += group.bytes(&key);
        let state = &mut self.rules[index.at()];
        state.order.reset();
        group.scheduled = SiteMs::MAX;
        if let Some((at, _)) = group.next(self.program.plan(index), self.absences_wait) {
            group.scheduled = at;
            self.deadlines.insert((at, index, key.clone()));
        }
        let scheduled = group.scheduled;
        match state.groups.insert(key.clone(), group) {
            Some(old) => {
                self.bytes -= old.bytes(&key);
                if old.scheduled != SiteMs::MAX && old.scheduled != scheduled {
                    self.deadlines.remove(&(old.scheduled, index, key));
                }
            }
            None => self.count += 1,
        }
    }

    /// Time of the earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<SiteMs> {
        self.deadlines.first().map(|(at, _, _)| *at)
    }

    /// Whether signals of this type go to a rule.
    #[inline]
    pub(crate) fn has_subscriber(&self, signal: SignalType) -> bool {
        !self.program.subscribers(signal).rules.is_empty()
    }

    /// Judges one signal at site time `at`; the site has reached `now`. Reads only what the rules' filters test, and the rest
    /// of what they need once one of them matches.
    pub(crate) fn judge(
        &mut self,
        frame: &Frame<'_>,
        at: SiteMs,
        now: SiteMs,
        chain: &mut DetectionChain,
        out: &mut Vec<Detection>,
    ) -> Result<(), DecodeError> {
        let subscribers = self.program.subscribers(frame.kind);
        let mut fields = Fields::default();
        frame.read_fields(subscribers.tested, &mut fields)?;
        let Some(first) = subscribers.rules.iter().position(|index| self.program.rule(*index).matches(&fields)) else {
            return Ok(());
        };
        frame.read_fields(subscribers.read, &mut fields)?;
        let times = match subscribers.repeats.map(|field| fields[field]) {
            Some(Value::Int(times)) => u32::try_from(times).unwrap_or(u32::MAX).max(1),
            _ => 1,
        };
        let is_on = self.enabled.contains(frame.kind);
        let matching = Match { signal: frame.kind, fields: &fields, at, now, times, is_on };
        let program = Arc::clone(&self.program);
        for (i, index) in program.subscribers(frame.kind).rules.iter().enumerate().skip(first) {
            let is_match = program.plan(*index).condition.is_match(&fields);
            if is_match && (i == first || program.rule(*index).matches(&fields)) {
                self.take(&program, *index, &matching, chain, out);
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        program: &Program,
        index: RuleIndex,
        matching: &Match<'_>,
        chain: &mut DetectionChain,
        out: &mut Vec<Detection>,
    ) {
        let Match { signal, fields, at, now, .. } = *matching;
        let (rule, plan) = (program.rule(index), program.plan(index));
        let key = GroupKey::of(rule, fields);
        let state = &mut self.rules[index.at()];
        let Some(group) = state.groups.get_mut(&key) else {
            let Some(fresh) = Group::new(plan) else { return };
            if plan.keeps_nothing() {
                return self.tell_at_once(fresh, program, index, matching, chain, out);
            }
            if fresh.clone().take(plan, matching) != Matched::Outside {
                self.make_room(program, index, now, chain, out);
                self.bytes += fresh.bytes(&key);
                self.count += 1;
                let RuleState { groups, order, .. } = &mut self.rules[index.at()];
                order.update(&key, groups.entry(key.clone()).or_insert(fresh));
                self.take(program, index, matching, chain, out);
            }
            return;
        };
        let bytes_before = group.bytes(&key);
        let matched = group.take(plan, matching);
        let Matched::Inside { turned, is_evidence } = matched else { return };
        if is_evidence {
            group.evidence.add(rule, signal, fields, at, &mut self.scratch);
        }
        let emission = group.step(turned, now, rule, plan, &key);
        let is_told = emission.is_some();
        out.extend(emission.map(|emission| chain.emit(rule, emission)));
        state.order.update(&key, group);
        self.bytes = self.bytes + group.bytes(&key) - bytes_before;
        if !std::mem::replace(&mut group.dirty, true) {
            self.changed.push((index, key.clone()));
        }
        // An entry that is too early is put off when it comes due.
        let is_put_off =
            turned.is_none() && !is_told && group.scheduled != SiteMs::MAX && group.condition.only_puts_off();
        debug_assert!(
            !is_put_off || group.next(plan, self.absences_wait).is_none_or(|(next, _)| next >= group.scheduled)
        );
        if !is_put_off {
            reschedule(&mut self.deadlines, self.absences_wait, program, index, &key, group);
        }
        if self.bytes > program.group_bytes {
            self.shrink(program, index, &key, now, chain, out);
        }
    }

    /// Tells a match of a rule that keeps no group: none has to make room for it.
    fn tell_at_once(
        &mut self,
        mut group: Group,
        program: &Program,
        index: RuleIndex,
        matching: &Match<'_>,
        chain: &mut DetectionChain,
        out: &mut Vec<Detection>,
    ) {
        let Match { signal, fields, at, now, .. } = *matching;
        let (rule, plan) = (program.rule(index), program.plan(index));
        let Matched::Inside { turned: Some(event), .. } = group.take(plan, matching) else { return };
        group.evidence.add(rule, signal, fields, at, &mut self.scratch);
        let key = GroupKey::of(rule, fields);
        out.extend(group.step(Some(event), now, rule, plan, &key).map(|emission| chain.emit(rule, emission)));
    }

    /// Runs the earliest deadline, which is at or before the time that the site has reached.
    pub(crate) fn run_deadline(&mut self, chain: &mut DetectionChain, out: &mut Vec<Detection>) {
        let Some((at, index, key)) = self.deadlines.pop_first() else { return };
        let program = Arc::clone(&self.program);
        let (rule, plan) = (program.rule(index), program.plan(index));
        let state = &mut self.rules[index.at()];
        let Some(group) = state.groups.get_mut(&key) else { return };
        group.scheduled = SiteMs::MAX;
        let due = match group.next(plan, self.absences_wait) {
            Some((next, due)) if next <= at => due,
            // The deadline was put off since: it is found again at its new time.
            _ => return reschedule(&mut self.deadlines, self.absences_wait, &program, index, &key, group),
        };
        let bytes_before = group.bytes(&key);
        let Some(event) = group.event_of(due, at, plan) else {
            if let Some(group) = self.remove(index, &key) {
                let end = group.end(rule, &key, DetectionReason::Forgotten, at);
                out.extend(end.map(|emission| chain.emit(rule, emission)));
            }
            return;
        };
        if let Some(emission) = group.step(Some(event), at, rule, plan, &key) {
            out.push(chain.emit(rule, emission));
        }
        state.order.update(&key, group);
        self.bytes = self.bytes + group.bytes(&key) - bytes_before;
        if !std::mem::replace(&mut group.dirty, true) {
            self.changed.push((index, key.clone()));
        }
        reschedule(&mut self.deadlines, self.absences_wait, &program, index, &key, group);
    }

    /// Removes a group; the caller emits what there is to say.
    pub(crate) fn remove(&mut self, index: RuleIndex, key: &GroupKey) -> Option<Group> {
        let state = &mut self.rules[index.at()];
        let group = state.groups.remove(key)?;
        state.order.remove(key, &group);
        self.count -= 1;
        self.bytes -= group.bytes(key);
        if group.scheduled != SiteMs::MAX {
            self.deadlines.remove(&(group.scheduled, index, key.clone()));
        }
        self.changed.push((index, key.clone()));
        Some(group)
    }

    /// Calls `change` on each group of a rule, in the order of the keys. It says whether it changed the group.
    pub(crate) fn each_group(&mut self, index: RuleIndex, mut change: impl FnMut(&mut Group) -> bool) {
        let program = Arc::clone(&self.program);
        let state = &mut self.rules[index.at()];
        for (key, group) in &mut state.groups {
            if change(group) && !std::mem::replace(&mut group.dirty, true) {
                self.changed.push((index, key.clone()));
            }
            state.order.update(key, group);
            // Even one that did not change may have stood still.
            reschedule(&mut self.deadlines, self.absences_wait, &program, index, key, group);
        }
    }
}

/// Gives a group an entry among the deadlines, if it has none at or before its next one.
pub(crate) fn reschedule(
    deadlines: &mut BTreeSet<(SiteMs, RuleIndex, GroupKey)>,
    stand_still: bool,
    program: &Program,
    index: RuleIndex,
    key: &GroupKey,
    group: &mut Group,
) {
    let Some((next, _)) = group.next(program.plan(index), stand_still) else { return };
    if next < group.scheduled {
        if group.scheduled != SiteMs::MAX {
            deadlines.remove(&(group.scheduled, index, key.clone()));
        }
        deadlines.insert((next, index, key.clone()));
        group.scheduled = next;
    }
}

//! The groups of a site's rules, and the deadlines that wait for site time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::avro::{DecodeError, Writer};
use logystera_schemas::batch::{Fields, Frame, Value};
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::ids::RuleName;
use logystera_schemas::time::SiteMs;

use super::blind::Blind;
use super::episode::{Emit, Event, Phase};
use super::evict::Leaving;
use super::group::{Due, Group, GroupKey, Matched, Watch, key_of};
use super::program::{Program, Watches};
use super::rule::Rule;
use super::voice::{Saying, Voice};

/// What one rule keeps for a site.
#[derive(Debug, Default)]
pub struct RuleState {
    /// Its groups.
    pub groups: BTreeMap<GroupKey, Group>,
    /// The order in which they make room, while it is needed.
    pub(super) leaving: Leaving,
    /// What is not kept by group.
    pub extra: Extra,
    /// Whether `extra` has changed since it was put.
    pub extra_dirty: bool,
}

logystera_schemas::avro_record! {
    /// What a rule keeps for a site besides its groups.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Extra {
        /// Until when no other overflow is told.
        pub overflow_until: Option<SiteMs>,
        /// Groups dropped since the last overflow that was told.
        pub dropped: u64,
        /// The site's own silence, where the rule watches for that.
        pub blind: Blind,
    }
}

/// A signal that a rule's filter lets through.
#[derive(Clone, Copy)]
struct Match<'a> {
    kind: SignalType,
    fields: &'a Fields<'a>,
    at: SiteMs,
    /// How many signals it stands for.
    times: u32,
}

/// The rules of a site at work.
#[derive(Debug)]
pub struct Board {
    /// What runs.
    pub program: Arc<Program>,
    /// For each rule of the program.
    pub rules: Vec<RuleState>,
    /// (time, rule, group): at most one a group, at or before the group's next deadline.
    pub(super) deadlines: BTreeSet<(SiteMs, u16, GroupKey)>,
    /// Signal types that are switched on at the site.
    pub said: SignalTypes,
    /// Those of them, and of those that only the engine makes, that the configuration does not disable.
    pub(super) enabled: SignalTypes,
    /// Since a blindness ended absences stand still, until the watermark moves.
    pub absences_wait: bool,
    /// Whether an absence waits for the next watermark to be counted from.
    pub absences_unset: bool,
    /// Groups of all rules.
    pub(super) groups: usize,
    /// Bytes of all groups.
    pub(super) bytes: usize,
    /// Groups that changed or went since they were put, in the order in which they did; one that went and came back stands
    /// here more than once.
    pub changed: Vec<(u16, GroupKey)>,
    /// Groups of rules that are no longer there, since the state was put.
    pub gone: BTreeSet<(RuleName, GroupKey)>,
    /// Rules that are no longer there, since the state was put.
    pub gone_rules: BTreeSet<RuleName>,
    /// Groups that were dropped to make room.
    pub evicted: u64,
    /// A buffer that is used again.
    scratch: Writer,
}

impl Board {
    /// A board on which nothing has happened.
    pub fn new(program: Arc<Program>) -> Self {
        let rules = program.plans.iter().map(|_| RuleState::default()).collect();
        let mut board = Self {
            program,
            rules,
            deadlines: BTreeSet::new(),
            said: SignalTypes::default(),
            enabled: SignalTypes::default(),
            absences_wait: false,
            absences_unset: true,
            groups: 0,
            bytes: 0,
            changed: Vec::new(),
            gone: BTreeSet::new(),
            gone_rules: BTreeSet::new(),
            evicted: 0,
            scratch: Writer::new(),
        };
        board.enabled = board.allowed(SignalTypes::default());
        board.add_standing_groups();
        board
    }

    /// An absence that is always expected has its one group from the start.
    fn add_standing_groups(&mut self) {
        for place in 0..self.rules.len() {
            let standing = matches!(self.program.plans[place].watches, Watches::Absence(_, true));
            if standing && self.rules[place].groups.is_empty() {
                self.insert(place as u16, GroupKey::default(), Group::new(&self.program.plans[place].watches));
            }
        }
    }

    /// Adds a group as it was stored.
    pub fn insert(&mut self, place: u16, key: GroupKey, mut group: Group) {
        self.bytes += group.cost(&key);
        self.rules[usize::from(place)].leaving.forget();
        group.scheduled = SiteMs::MAX;
        let plan = self.program.plan(place);
        if let Some((at, _)) = group.next(plan, self.absences_wait) {
            group.scheduled = at;
            self.deadlines.insert((at, place, key.clone()));
        }
        match self.rules[usize::from(place)].groups.insert(key.clone(), group) {
            Some(old) => {
                self.bytes -= old.cost(&key);
                if old.scheduled != SiteMs::MAX && Some(old.scheduled) != self.scheduled(place, &key) {
                    self.deadlines.remove(&(old.scheduled, place, key));
                }
            }
            None => self.groups += 1,
        }
    }

    fn scheduled(&self, place: u16, key: &GroupKey) -> Option<SiteMs> {
        self.rules[usize::from(place)].groups.get(key).map(|g| g.scheduled)
    }

    /// Time of the earliest deadline.
    pub fn next_deadline(&self) -> Option<SiteMs> {
        self.deadlines.first().map(|(at, _, _)| *at)
    }

    /// Whether a rule watches this type.
    pub fn watches(&self, signal: SignalType) -> bool {
        !self.program.watching(signal).places.is_empty()
    }

    /// Judges one signal at site time `at`, with the site's time at `now`. Reads only what the rules' filters test, and
    /// the rest of what they need once one of them matches.
    pub fn judge(
        &mut self,
        frame: &Frame<'_>,
        at: SiteMs,
        now: SiteMs,
        voice: &mut Voice,
        out: &mut Vec<Detection>,
    ) -> Result<(), DecodeError> {
        let watchers = self.program.watching(frame.kind);
        let mut fields = Fields::default();
        frame.read_fields(watchers.tested, &mut fields)?;
        let Some(first) = watchers.places.iter().position(|place| self.program.rule(*place).matches(&fields)) else {
            return Ok(());
        };
        frame.read_fields(watchers.read, &mut fields)?;
        let times = match watchers.repeats.map(|place| fields[place]) {
            Some(Value::Int(times)) => u32::try_from(times).unwrap_or(u32::MAX).max(1),
            _ => 1,
        };
        let program = Arc::clone(&self.program);
        for (i, place) in program.watching(frame.kind).places.iter().enumerate().skip(first) {
            let has_value = match program.plan(*place).watches {
                Watches::Distinct(field, _) => fields[field] != Value::Absent,
                _ => true,
            };
            if has_value && (i == first || program.rule(*place).matches(&fields)) {
                self.take(&program, *place, &Match { kind: frame.kind, fields: &fields, at, times }, now, voice, out);
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        program: &Program,
        place: u16,
        matching: &Match<'_>,
        now: SiteMs,
        voice: &mut Voice,
        out: &mut Vec<Detection>,
    ) {
        let Match { kind, fields, at, times } = *matching;
        let (rule, plan) = (program.rule(place), program.plan(place));
        let key = key_of(rule, fields);
        let on = self.enabled.contains(kind);
        let state = &mut self.rules[usize::from(place)];
        let Some(group) = state.groups.get_mut(&key) else {
            let fresh = Group::new(&plan.watches);
            if fresh.clone().take(plan, fields, (at, times), now, true) != Matched::Outside {
                self.make_room(program, place, now, voice, out);
                self.bytes += fresh.cost(&key);
                self.groups += 1;
                let RuleState { groups, leaving, .. } = &mut self.rules[usize::from(place)];
                leaving.follow(&key, groups.entry(key.clone()).or_insert(fresh));
                self.take(program, place, matching, now, voice, out);
            }
            return;
        };
        let cost_before = group.cost(&key);
        let matched = group.take(plan, fields, (at, times), now, on);
        if matched == Matched::Outside {
            return;
        }
        group.evidence.add(rule, kind, fields, at, &mut self.scratch);
        if let Matched::Turned(event) = matched
            && let Some(emit) = group.episode.step(event, now, &plan.spans)
        {
            out.push(say(voice, rule, &key, group, emit, now));
        }
        state.leaving.follow(&key, group);
        self.bytes = self.bytes + group.cost(&key) - cost_before;
        if !std::mem::replace(&mut group.dirty, true) {
            self.changed.push((place, key.clone()));
        }
        // Another match in a window only puts its deadlines off, and an entry that is too early finds its new time itself.
        let put_off =
            matched == Matched::Taken && group.scheduled != SiteMs::MAX && !matches!(group.watch, Watch::Absence(_));
        debug_assert!(!put_off || group.next(plan, self.absences_wait).is_none_or(|(next, _)| next >= group.scheduled));
        if !put_off {
            reschedule(&mut self.deadlines, self.absences_wait, program, place, &key, group);
        }
        if self.bytes > program.set.limits.site_bytes {
            self.shrink(program, place, &key, now, voice, out);
        }
    }

    /// Runs the earliest deadline, which is at or before the time that the site has reached.
    pub fn run_deadline(&mut self, voice: &mut Voice, out: &mut Vec<Detection>) {
        let Some((at, place, key)) = self.deadlines.pop_first() else { return };
        let program = Arc::clone(&self.program);
        let (rule, plan) = (program.rule(place), program.plan(place));
        let state = &mut self.rules[usize::from(place)];
        let Some(group) = state.groups.get_mut(&key) else { return };
        group.scheduled = SiteMs::MAX;
        let due = match group.next(plan, self.absences_wait) {
            Some((next, due)) if next <= at => due,
            // The deadline was put off since: it is found again at its new time.
            _ => return reschedule(&mut self.deadlines, self.absences_wait, &program, place, &key, group),
        };
        let event = match (due, &group.watch) {
            (Due::Expiry, _) => {
                self.remove(place, &key);
                return;
            }
            (Due::Condition, Watch::Absence(_)) => Event::True { count: 0 },
            (Due::Condition, _) => Event::False,
            (Due::For, _) => Event::ForOver,
            (Due::Resolve, _) => Event::ResolveOver,
            (Due::Suppression, _) => Event::SuppressionOver,
        };
        if let Some(emit) = group.episode.step(event, at, &plan.spans) {
            out.push(say(voice, rule, &key, group, emit, at));
        }
        state.leaving.follow(&key, group);
        if !std::mem::replace(&mut group.dirty, true) {
            self.changed.push((place, key.clone()));
        }
        reschedule(&mut self.deadlines, self.absences_wait, &program, place, &key, group);
    }

    /// Removes a group; the caller says what is to be said.
    pub(super) fn remove(&mut self, place: u16, key: &GroupKey) -> Option<Group> {
        let state = &mut self.rules[usize::from(place)];
        let group = state.groups.remove(key)?;
        state.leaving.gone(key, &group);
        self.groups -= 1;
        self.bytes -= group.cost(key);
        if group.scheduled != SiteMs::MAX {
            self.deadlines.remove(&(group.scheduled, place, key.clone()));
        }
        self.changed.push((place, key.clone()));
        Some(group)
    }

    /// Lets `change` change each group of a rule, in the order of the keys; it says whether it did.
    pub(super) fn each_group(&mut self, place: u16, mut change: impl FnMut(&mut Group) -> bool) {
        let program = Arc::clone(&self.program);
        let state = &mut self.rules[usize::from(place)];
        for (key, group) in &mut state.groups {
            // Even one that did not change may have stood still.
            if change(group) && !std::mem::replace(&mut group.dirty, true) {
                self.changed.push((place, key.clone()));
            }
            state.leaving.follow(key, group);
            reschedule(&mut self.deadlines, self.absences_wait, &program, place, key, group);
        }
    }

    /// Goes on under another program: rules that count the same keep their groups, the alerts of the others resolve.
    pub fn reprogram(&mut self, program: &Arc<Program>, now: SiteMs, voice: &mut Voice, out: &mut Vec<Detection>) {
        let old = Arc::clone(&self.program);
        let mut next = Self::new(Arc::clone(program));
        next.enabled = self.enabled;
        next.absences_wait = self.absences_wait;
        next.evicted = self.evicted;
        next.gone = std::mem::take(&mut self.gone);
        next.gone_rules = std::mem::take(&mut self.gone_rules);
        // State is stored by the rule's name: what went is remembered by it, and what stays is put anew.
        for (place, key) in &self.changed {
            next.gone.insert((old.rule(*place).name.clone(), key.clone()));
        }
        for (place, mut state) in std::mem::take(&mut self.rules).into_iter().enumerate() {
            let old_rule = &old.set.rules[place];
            let found = program.set.rules.binary_search_by(|r| r.name.cmp(&old_rule.name)).ok();
            let kept = found.filter(|p| program.set.rules[*p].counts == old_rule.counts);
            let Some(new_place) = kept else {
                let reason = if found.is_some() { DetectionReason::RuleChanged } else { DetectionReason::RuleRemoved };
                out.extend(end_all(voice, old_rule, &mut state, reason, now));
                next.gone.extend(state.groups.into_keys().map(|key| (old_rule.name.clone(), key)));
                next.gone_rules.insert(old_rule.name.clone());
                continue;
            };
            let forgets = program.set.rules[new_place].evidence != old_rule.evidence;
            next.rules[new_place].extra = state.extra;
            next.rules[new_place].extra_dirty = true;
            for (key, mut group) in state.groups {
                if forgets {
                    group.evidence.clear();
                }
                group.dirty = true;
                next.changed.push((new_place as u16, key.clone()));
                next.insert(new_place as u16, key, group);
            }
        }
        next.switch(self.said, now);
        *self = next;
    }

    /// Ends every episode for `reason`, in the order of rules and groups.
    pub fn close(&mut self, reason: DetectionReason, now: SiteMs, voice: &mut Voice, out: &mut Vec<Detection>) {
        let program = Arc::clone(&self.program);
        for (rule, state) in program.set.rules.iter().zip(&mut self.rules) {
            out.extend(end_all(voice, rule, state, reason, now));
        }
    }
}

pub(super) fn reschedule(
    deadlines: &mut BTreeSet<(SiteMs, u16, GroupKey)>,
    waiting: bool,
    program: &Program,
    place: u16,
    key: &GroupKey,
    group: &mut Group,
) {
    let Some((next, _)) = group.next(program.plan(place), waiting) else { return };
    if next < group.scheduled {
        if group.scheduled != SiteMs::MAX {
            deadlines.remove(&(group.scheduled, place, key.clone()));
        }
        deadlines.insert((next, place, key.clone()));
        group.scheduled = next;
    }
}

fn end_all(
    voice: &mut Voice,
    rule: &Rule,
    state: &mut RuleState,
    reason: DetectionReason,
    now: SiteMs,
) -> Vec<Detection> {
    let mut out = Vec::new();
    for (key, group) in &state.groups {
        if group.episode.announced {
            out.push(say_end(voice, rule, key, group, reason, now));
        }
    }
    if state.extra.blind.announced {
        let now = SiteMs(state.extra.blind.started_at.0).max(now);
        out.push(state.extra.blind.said(voice, rule, DetectionState::Resolved, reason, now.0));
    }
    out
}

fn say(voice: &mut Voice, rule: &Rule, key: &GroupKey, group: &Group, emit: Emit, now: SiteMs) -> Detection {
    let reason = match (&group.watch, emit.reason) {
        (Watch::Absence(absence), DetectionReason::Firing) if absence.seen => DetectionReason::Stopped,
        (Watch::Absence(_), DetectionReason::Firing) => DetectionReason::NeverSeen,
        (_, reason) => reason,
    };
    voice.speak(
        rule,
        Saying {
            group: key,
            state: emit.state,
            reason,
            count: group.episode.count,
            held: emit.held,
            started_at: group.episode.started_at.0,
            now: now.0,
            evidence: rule.signal.map(|signal| group.evidence.list(rule, signal)).unwrap_or_default(),
        },
    )
}

pub(super) fn say_end(
    voice: &mut Voice,
    rule: &Rule,
    key: &GroupKey,
    group: &Group,
    reason: DetectionReason,
    now: SiteMs,
) -> Detection {
    debug_assert!(group.episode.phase != Phase::Inactive);
    let emit = Emit { state: DetectionState::Resolved, reason, held: group.episode.held };
    say(voice, rule, key, group, emit, now)
}

//! A group of a rule: its condition, its episode, its evidence, and the next moment at which time alone changes it.

use logystera_ruleset::Rule;
use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::detection::{DetectionReason, DetectionState};
use logystera_schemas::time::SiteMs;

use super::chain::Emission;
use super::conditions::kind::{Match, Taken};
use super::conditions::{ConditionPlan, ConditionState};
use super::episode::{Emit, Episode, Event, Phase};
use super::evidence::{self, Evidence};
use super::group_key::{self, GroupKey};
use super::once::Once;
use super::program::Plan;

/// Bytes that a group counts for besides its key, its condition and its evidence.
const GROUP_BYTES: usize = 96;

/// One group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// What it remembers of its matches.
    pub(crate) condition: ConditionState,
    /// Where its alert stands.
    pub(crate) episode: Episode,
    /// Site time of its newest match.
    pub(crate) last_seen: SiteMs,
    /// Its newest matches.
    pub(crate) evidence: Evidence,
    /// Time of its entry among the site's deadlines, at or before its next deadline; `MAX`: it has no entry.
    pub(crate) scheduled: SiteMs,
    /// Rank of its entry in its rule's eviction order, at or before its own rank. None: it has no entry.
    pub(crate) queued: Option<Rank>,
    /// Whether it is among the changed groups of its site.
    pub(crate) dirty: bool,
}

/// The order in which groups make room, the lowest first: class, then when it was last seen.
pub(crate) type Rank = (u8, SiteMs);

/// What a deadline of a group does. Those of one group at one time run in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deadline {
    /// Time alone turns the condition: it becomes false if it held, else true.
    Condition,
    /// The condition has held for long enough.
    For,
    /// The condition has been false for long enough.
    Resolve,
    /// It was missed for long enough: the group goes, whatever its episode.
    Forget,
    /// It has fired for so long that it is worse.
    Worse,
    /// The suppression ends.
    Suppression,
    /// Nothing is left to remember: the group goes.
    Expiry,
}

/// What a match did to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matched {
    /// Nothing: it lies outside the window.
    Outside,
    /// It is remembered.
    Inside {
        /// How it changes the condition. None: not at all.
        turned: Option<Event>,
        /// Whether it is evidence.
        is_evidence: bool,
    },
}

impl Group {
    /// A group that has seen nothing. None: the rule has no groups.
    pub(crate) fn new(plan: &Plan) -> Option<Self> {
        plan.condition
            .state()
            .map(|condition| Self::with(condition, Episode::default(), SiteMs::MIN, Evidence::default()))
    }

    fn with(condition: ConditionState, episode: Episode, last_seen: SiteMs, evidence: Evidence) -> Self {
        Self { condition, episode, last_seen, evidence, scheduled: SiteMs::MAX, queued: None, dirty: false }
    }

    /// Takes a match.
    #[inline]
    pub(crate) fn take(&mut self, plan: &Plan, matching: &Match<'_>) -> Matched {
        let Taken::Inside { counted, becomes, is_part } = self.condition.take(&plan.condition, matching) else {
            return Matched::Outside;
        };
        self.last_seen = self.last_seen.max(matching.at);
        if self.episode.phase != Phase::Inactive {
            self.episode.count = self.episode.count.saturating_add(counted);
        }
        let holds = self.episode.holds();
        let turned = becomes.filter(|event| (*event == Event::Unmet) == holds);
        Matched::Inside { turned, is_evidence: is_part != Some(false) }
    }

    /// The next moment at which time alone changes the group. While the absences of the site `stand_still`, none
    /// becomes true.
    #[inline]
    pub(crate) fn next(&self, plan: &Plan, stand_still: bool) -> Option<(SiteMs, Deadline)> {
        self.deadlines(plan, stand_still).min()
    }

    /// All such moments.
    #[inline]
    pub(crate) fn deadlines(&self, plan: &Plan, stand_still: bool) -> impl Iterator<Item = (SiteMs, Deadline)> + use<> {
        let episode = &self.episode;
        let condition = self.condition.turns_at(&plan.condition, episode.holds(), stand_still);
        let phase = match episode.phase {
            Phase::Pending { for_at } => Some((for_at, Deadline::For)),
            Phase::Clearing { resolve_at } => Some((resolve_at, Deadline::Resolve)),
            Phase::Inactive | Phase::Firing => None,
        };
        let expiry = if episode.is_idle() { self.condition.empties_at(&plan.condition) } else { None };
        let forget = self.condition.forgets_at(&plan.condition, stand_still);
        [
            condition.map(|at| (at, Deadline::Condition)),
            phase,
            forget.map(|at| (at, Deadline::Forget)),
            episode
                .worse_at
                .filter(|_| plan.escalates && episode.phase == Phase::Firing)
                .map(|at| (at, Deadline::Worse)),
            episode.suppressed_until.map(|at| (at, Deadline::Suppression)),
            expiry.map(|at| (at, Deadline::Expiry)),
        ]
        .into_iter()
        .flatten()
    }

    /// What happens to the episode at a deadline, which is `at`. None: the group goes.
    pub(crate) fn event_of(&mut self, due: Deadline, at: SiteMs, plan: &Plan) -> Option<Event> {
        Some(match due {
            Deadline::Condition => self.condition.turn(&plan.condition, self.episode.holds(), at),
            Deadline::For => Event::ForOver,
            Deadline::Resolve => Event::ResolveOver,
            Deadline::Worse => Event::WorseOver,
            Deadline::Suppression => Event::SuppressionOver,
            Deadline::Forget | Deadline::Expiry => return None,
        })
    }

    /// Applies what happens at site time `now`, if anything does. Gives what the detection says that it brings about.
    pub(crate) fn step<'k>(
        &mut self,
        event: Option<Event>,
        now: SiteMs,
        rule: &Rule,
        plan: &Plan,
        key: &'k GroupKey,
    ) -> Option<Emission<'k>> {
        let suppress_ms = plan.spans.suppress_ms;
        let once = match event {
            Some(Event::Happened { at, count }) => self.episode.happen(at, count, now, suppress_ms),
            Some(Event::SuppressionOver) if plan.condition.tells_each() => self.episode.tell_held(now, suppress_ms)?,
            event => {
                let emit = self.turn(event, now, plan)?;
                return Some(self.emission(rule, key, emit, now));
            }
        };
        let emission = self.emission_of(rule, key, once, now);
        if once.state == DetectionState::Firing {
            // The next detection is about what comes from here on.
            self.evidence.clear();
        }
        Some(emission)
    }

    /// What happens to the episode at `now`, and what it has to say then.
    #[inline]
    fn turn(&mut self, event: Option<Event>, now: SiteMs, plan: &Plan) -> Option<Emit> {
        let emit = event.and_then(|event| self.episode.step(event, now, &plan.spans));
        if !plan.escalates || self.episode.phase != Phase::Firing {
            return emit;
        }
        let level = self.condition.level(&plan.condition, now);
        self.episode.rise(level, emit, now, &plan.spans)
    }

    /// All times go back by `ms`; the site had reached `now` before. The start of an episode stays, because its id is
    /// made of it.
    pub(crate) fn move_back(&mut self, ms: i64, now: SiteMs, plan: &Plan) {
        self.condition.move_back(ms, now, &plan.condition);
        self.episode.move_back(ms);
        self.last_seen = self.last_seen.plus(-ms);
        self.evidence.move_back(ms);
    }

    /// Bytes that the group counts for against its site's bound.
    #[inline]
    pub(crate) fn bytes(&self, key: &GroupKey) -> usize {
        GROUP_BYTES + key.len() + self.condition.bytes() + self.evidence.bytes()
    }

    /// When it makes room for another group: idle ones first, announced ones last; of one class the least recently
    /// seen.
    pub(crate) fn rank(&self) -> Rank {
        let class = match self.episode.phase {
            Phase::Inactive => u8::from(self.episode.suppressed_until.is_some()),
            Phase::Pending { .. } => 2,
            Phase::Firing | Phase::Clearing { .. } => 3 + u8::from(self.episode.announced),
        };
        (class, self.last_seen)
    }

    /// What the detection says that a transition of its episode brings about at `now`.
    pub(crate) fn emission<'k>(&self, rule: &Rule, key: &'k GroupKey, emit: Emit, now: SiteMs) -> Emission<'k> {
        let reason = match emit.reason {
            DetectionReason::Firing => self.condition.firing_reason(),
            reason => reason,
        };
        Emission {
            group: key,
            severity: rule.severity_at(self.episode.level),
            state: emit.state,
            reason,
            count: self.episode.count,
            held: emit.held,
            started_at: self.episode.started_at.0,
            now: now.0,
            evidence: rule.signal.map(|signal| self.evidence.list(rule, signal)).unwrap_or_default(),
        }
    }

    /// What the detection says of matches that are told by themselves.
    fn emission_of<'k>(&self, rule: &Rule, key: &'k GroupKey, once: Once, now: SiteMs) -> Emission<'k> {
        let Once { state, reason, count, held, started_at } = once;
        let emission = self.emission(rule, key, Emit { state, reason, held }, now);
        Emission { count, started_at: started_at.0, ..emission }
    }

    /// What the detection says if its episode is ended from outside at `now`, for `reason`; or, if the rule tells each match by
    /// itself, what was held back until now. None: the episode was not announced, and nothing is held back.
    pub(crate) fn end<'k>(
        &self,
        rule: &Rule,
        key: &'k GroupKey,
        reason: DetectionReason,
        now: SiteMs,
    ) -> Option<Emission<'k>> {
        if rule.condition.tells_each() {
            let mut episode = self.episode;
            return episode.take_held(reason).map(|once| self.emission_of(rule, key, once, now));
        }
        let emit = Emit { state: DetectionState::Resolved, reason, held: self.episode.held };
        self.episode.announced.then(|| self.emission(rule, key, emit, now))
    }
}

/// The most bytes that a group of the rule can count for.
pub fn bytes_max(rule: &Rule) -> usize {
    let condition = ConditionPlan::new(&rule.condition, rule.levels());
    GROUP_BYTES + group_key::bytes_max(rule) + condition.bytes_max() + evidence::bytes_max(rule)
}

impl Datum for Group {
    fn write(&self, to: &mut Writer) {
        self.condition.write(to);
        self.episode.write(to);
        self.last_seen.write(to);
        self.evidence.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::with(Datum::read(from)?, Datum::read(from)?, Datum::read(from)?, Datum::read(from)?))
    }
}

//! A rule set made ready to run: indexed by signal type, with spans and windows worked out. Made once for each digest.

use std::sync::Arc;

use logystera_ruleset::{Rule, RuleSet};
use logystera_schemas::batch::FieldSet;
use logystera_schemas::catalogue::{SIGNAL_TYPES, SignalType};
use logystera_series::SeriesProgram;

use super::conditions::{ConditionPlan, blind};
use super::episode::Spans;

/// Which rule of a set, in the order of the rules' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RuleIndex(u16);

/// A rule set and its index.
#[derive(Debug)]
pub(crate) struct Program {
    /// The rules, sorted by name.
    pub(crate) set: Arc<RuleSet>,
    /// Rules that watch for the site's own silence. They stand apart because they are looked at at each record of the
    /// site.
    pub(crate) silences: Vec<(RuleIndex, blind::Plan)>,
    /// The metrics, made ready.
    pub(crate) series: SeriesProgram,
    /// Bytes that the groups of a site may take: what its metrics can take at worst is theirs.
    pub(crate) group_bytes: usize,
    /// For each rule, what the engine needs at every step.
    plans: Vec<Plan>,
    by_type: [Subscribers; SIGNAL_TYPES],
}

/// The rules that a signal type goes to.
#[derive(Debug, Default)]
pub(crate) struct Subscribers {
    /// The rules, in their order; none if the type is disabled.
    pub(crate) rules: Vec<RuleIndex>,
    /// Fields that their filters test: read first.
    pub(crate) tested: FieldSet,
    /// Fields that they need of a signal that passes a filter, with those that filters test.
    pub(crate) read: FieldSet,
    /// The field that says how many signals one signal stands for. None: no rule asks, or the type has none.
    pub(crate) repeats: Option<usize>,
}

/// What the engine needs of a rule at every step: its spans and its condition.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Spans of its state machine.
    pub(crate) spans: Spans,
    /// The plan of its condition.
    pub(crate) condition: ConditionPlan,
    /// Whether its alerts grow worse.
    pub(crate) escalates: bool,
    /// Whether its groups stand from the start: then none makes room for another.
    pub(crate) stands: bool,
}

impl RuleIndex {
    pub(crate) fn at(self) -> usize {
        usize::from(self.0)
    }
}

impl Program {
    /// Makes a set ready.
    pub(crate) fn new(set: Arc<RuleSet>) -> Self {
        let plans: Vec<Plan> = set.rules.iter().map(Plan::new).collect();
        let mut by_type: [Subscribers; SIGNAL_TYPES] = std::array::from_fn(|_| Subscribers::default());
        let mut silences = Vec::new();
        for ((index, rule), plan) in (0..).map(RuleIndex).zip(&set.rules).zip(&plans) {
            if let Some(signal) = rule.signal.filter(|signal| !set.disabled.contains(*signal)) {
                by_type[signal.index()].add(index, rule, plan, signal);
            }
            if let ConditionPlan::Blind(blind) = &plan.condition {
                silences.push((index, *blind));
            }
        }
        let series = SeriesProgram::new(&set);
        let group_bytes = set.limits.site_bytes.saturating_sub(series.bytes_max);
        Self { set, silences, series, group_bytes, plans, by_type }
    }

    /// The rules that signals of a type go to.
    #[inline]
    pub(crate) fn subscribers(&self, signal: SignalType) -> &Subscribers {
        &self.by_type[signal.index()]
    }

    /// Whether signals of a type go to a rule or a metric.
    pub(crate) fn looks_at(&self, signal: SignalType) -> bool {
        !self.subscribers(signal).rules.is_empty() || !self.series.of(signal).metrics.is_empty()
    }

    /// A rule.
    #[inline]
    pub(crate) fn rule(&self, index: RuleIndex) -> &Rule {
        &self.set.rules[index.at()]
    }

    /// The plan of a rule.
    #[inline]
    pub(crate) fn plan(&self, index: RuleIndex) -> &Plan {
        &self.plans[index.at()]
    }

    /// The rules and their plans, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RuleIndex, &Rule, &Plan)> {
        (0..).map(RuleIndex).zip(&self.set.rules).zip(&self.plans).map(|((index, rule), plan)| (index, rule, plan))
    }

    /// One rule, or all of them in order.
    pub(crate) fn one_or_all(&self, one: Option<RuleIndex>) -> impl Iterator<Item = RuleIndex> {
        let all = 0..self.plans.len() as u16;
        one.map_or(all, |index| index.0..index.0 + 1).map(RuleIndex)
    }

    /// The rule of this name.
    pub(crate) fn find(&self, name: &str) -> Option<RuleIndex> {
        let found = self.set.rules.binary_search_by(|rule| rule.name.as_str().cmp(name)).ok()?;
        Some(RuleIndex(found as u16))
    }
}

impl Subscribers {
    fn add(&mut self, index: RuleIndex, rule: &Rule, plan: &Plan, signal: SignalType) {
        self.rules.push(index);
        rule.filter.read(&mut self.tested);
        rule.group_by.iter().chain(&rule.evidence).for_each(|field| self.read.insert(*field));
        plan.condition.read(signal, &mut self.read);
        let repeats = plan.condition.repeats(signal);
        if let Some(field) = repeats {
            self.read.insert(field);
        }
        self.repeats = self.repeats.or(repeats);
        self.read.extend(self.tested);
    }
}

impl Plan {
    /// Whether nothing of a match is kept once it is told: each is told, and none holds back the next.
    #[inline]
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.spans.suppress_ms == 0 && self.condition.tells_each()
    }

    /// The plan of a rule.
    pub(crate) fn new(rule: &Rule) -> Self {
        let spans = Spans {
            for_ms: rule.for_ms,
            suppress_ms: rule.suppress_ms,
            resolve_after_ms: rule.resolve_after_ms,
            worse_after_ms: rule.worse_after_ms(),
        };
        let condition = ConditionPlan::new(&rule.condition, rule.levels());
        let stands = condition.standing_groups().is_some();
        Self { spans, condition, escalates: !rule.escalate.is_empty(), stands }
    }
}

//! A rule set made ready to run: indexed by signal type, spans and windows worked out. Made once a digest.

use std::sync::Arc;

use logystera_schemas::batch::FieldSet;
use logystera_schemas::catalogue::{SIGNAL_TYPES, SignalType};

use super::episode::Spans;
use super::rule::{Condition, Rule, RuleSet};
use super::window::WindowSize;

/// The field that says how many signals a sender merged into one.
const REPEATS: &str = "repeats";

/// A rule set and its index.
#[derive(Debug)]
pub struct Program {
    /// The rules, sorted by name: their order is the order of their names.
    pub set: Arc<RuleSet>,
    /// For each rule, what the engine needs at every step.
    pub plans: Vec<Plan>,
    /// Places of the rules that watch for the site's own silence, with how long it may last: they are looked at at each record.
    pub silences: Vec<(u16, i64)>,
    by_type: [Watchers; SIGNAL_TYPES],
}

/// Who watches a signal type.
#[derive(Debug, Default)]
pub struct Watchers {
    /// Places of the rules, in order; none where the type is disabled.
    pub places: Vec<u16>,
    /// Fields that their filters test.
    pub tested: FieldSet,
    /// Fields that they read of a signal that passes.
    pub read: FieldSet,
    /// Place of the field that says how many signals one stands for; none where no rule counts, or the type has none.
    pub repeats: Option<usize>,
}

/// The numbers of a rule.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Spans of the state machine.
    pub spans: Spans,
    /// What the rule watches for.
    pub watches: Watches,
}

/// What a rule watches for, in numbers.
#[derive(Clone, Copy, Debug)]
pub enum Watches {
    /// Matches in a window.
    Count(WindowSize),
    /// Different values of the field at this place in a window.
    Distinct(usize, WindowSize),
    /// No match for so many milliseconds; true: expected before the first one.
    Absence(i64, bool),
    /// No sign of life of the site for so many milliseconds.
    Blind(i64),
}

impl Program {
    /// Makes a set ready.
    pub fn new(set: Arc<RuleSet>) -> Self {
        let mut by_type: [Watchers; SIGNAL_TYPES] = std::array::from_fn(|_| Watchers::default());
        for (place, rule) in set.rules.iter().enumerate() {
            if let Some(signal) = rule.signal.filter(|signal| !set.disabled.contains(*signal)) {
                by_type[signal.index()].add(place as u16, rule);
            }
        }
        let plans: Vec<Plan> = set.rules.iter().map(Plan::new).collect();
        let silences = (0..).zip(&plans).filter_map(|(place, plan)| match plan.watches {
            Watches::Blind(after_ms) => Some((place, after_ms)),
            _ => None,
        });
        Self { silences: silences.collect(), set, plans, by_type }
    }

    /// Who watches a type.
    pub fn watching(&self, signal: SignalType) -> &Watchers {
        &self.by_type[signal.index()]
    }

    /// The rule at a place.
    pub fn rule(&self, place: u16) -> &Rule {
        &self.set.rules[usize::from(place)]
    }

    /// The numbers of the rule at a place.
    pub fn plan(&self, place: u16) -> &Plan {
        &self.plans[usize::from(place)]
    }
}

impl Watchers {
    fn add(&mut self, place: u16, rule: &Rule) {
        self.places.push(place);
        rule.filter.iter().for_each(|predicate| self.tested.insert(predicate.field));
        rule.group_by.iter().chain(&rule.evidence).for_each(|field| self.read.insert(*field));
        match rule.condition {
            Condition::Distinct { field, .. } => self.read.insert(field),
            Condition::Count { .. } => {
                self.repeats = rule.signal.and_then(|signal| signal.def().field(REPEATS)).map(|(place, _)| place);
                self.repeats.into_iter().for_each(|place| self.read.insert(place));
            }
            Condition::Absent { .. } | Condition::Blind { .. } => {}
        }
        self.read.extend(self.tested);
    }
}

impl Plan {
    fn new(rule: &Rule) -> Self {
        let spans =
            Spans { for_ms: rule.for_ms, suppress_ms: rule.suppress_ms, resolve_after_ms: rule.resolve_after_ms };
        let watches = match rule.condition {
            Condition::Count { threshold, within_ms, resolution_ms } => {
                let pane_ms = resolution_ms.unwrap_or(1);
                Watches::Count(WindowSize { threshold, pane_ms, panes: within_ms / pane_ms })
            }
            Condition::Distinct { field, at_least, within_ms } => {
                Watches::Distinct(field, WindowSize { threshold: at_least, pane_ms: 1, panes: within_ms })
            }
            Condition::Absent { for_ms, expected } => {
                Watches::Absence(for_ms, expected == super::rule::Expected::Always)
            }
            Condition::Blind { after_ms } => Watches::Blind(after_ms),
        };
        Self { spans, watches }
    }
}

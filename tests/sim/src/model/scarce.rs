//! What an absence waits for, and until when it does: found anew from all matches (rules.md, "Absent").

use logystera_processor::core::{Condition, Expected, Rule, Test};
use logystera_schemas::avro::Writer;
use logystera_schemas::detection::Label;

use super::group::{Group, Timer};
use super::{measures, show};
use crate::input::Field;

/// The groups that are there from the start, each behind its key.
pub(super) fn standing(rule: &Rule) -> Vec<(Vec<u8>, Group)> {
    let (Condition::Absent { expected, .. }, Some(kind)) = (&rule.condition, rule.signal) else { return Vec::new() };
    let Expected::Values(predicate) = expected else {
        return if *expected == Expected::Always { vec![(Vec::new(), Group::default())] } else { Vec::new() };
    };
    let fields: Vec<Field> = match &predicate.test {
        Test::EnumIn(mask) => (0..32).filter(|i| (mask >> i) % 2 == 1).map(Field::Enum).collect(),
        Test::BoolIs(truth) => vec![Field::Bool(*truth)],
        Test::IntOneOf(all) => all.iter().map(|number| Field::Int(*number)).collect(),
        Test::HashOneOf(all) => all.iter().map(|hash| Field::Hash(*hash)).collect(),
        Test::IdentOneOf(all) => all.iter().map(|text| Field::Ident(text.clone())).collect(),
        _ => Vec::new(),
    };
    let def = &kind.def().fields[predicate.field];
    let group = |field: &Field| {
        let mut key = Writer::new();
        show::encode(field, &mut key);
        let labels = vec![Label { field: def.name.clone(), value: show::text(kind, def, field) }];
        (key.into_bytes(), Group { labels, ..Group::default() })
    };
    fields.iter().map(group).collect()
}

impl Group {
    /// Whether more matches than too few lie in the span before `now`.
    pub(super) fn are_enough(&self, rule: &Rule, now: i64) -> bool {
        let Condition::Absent { for_ms, at_most, .. } = rule.condition else { return false };
        self.inside(rule, now - for_ms) > u64::from(at_most)
    }

    /// How many signals the matches after `from` stand for; where one is enough each is one.
    fn inside(&self, rule: &Rule, from: i64) -> u64 {
        let inside = self.matches.iter().filter(|m| m.at[0] > from);
        inside.map(|m| measures::weight(&rule.condition, &m.signal)).sum()
    }

    /// When an absence becomes true, and when its group is forgotten.
    pub(super) fn absence_timers(&self, rule: &Rule) -> Vec<(i64, Timer)> {
        let (Condition::Absent { for_ms, forget_after_ms, .. }, Some(since)) = (&rule.condition, self.absent_since)
        else {
            return Vec::new();
        };
        let mut timers = Vec::new();
        if !self.condition {
            // The first moment from then on at which too few lie in the span: the start of it, or when one leaves.
            let leave = self.matches.iter().map(|m| m.at[0] + for_ms).filter(|at| *at > since + for_ms);
            let moments = leave.chain([since + for_ms]);
            timers.extend(moments.filter(|at| !self.are_enough(rule, *at)).min().map(|at| (at, Timer::Condition)));
        }
        let newest = self.matches.iter().map(|m| m.at[0]).max().map_or(since, |newest| newest.max(since));
        timers.extend(forget_after_ms.map(|span| (newest + span, Timer::Forget)));
        timers
    }
}

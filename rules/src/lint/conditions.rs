//! Conditions that are never true, always, or for another reason than the rule seems to say.

use logystera_processor::core::{Condition, Expected, Rule};
use logystera_schemas::catalogue::{FieldDef, FieldKind, SignalType};
use logystera_schemas::limits::QUOTA_SIGNALS_PER_S;

use super::domain::{self, Left};
use crate::code::Code;
use crate::duration::short;
use crate::report::{Place, Report};
use crate::yaml::Node;

/// Symbols of an `outcome` that say that something went well.
const GOOD: [&str; 4] = ["success", "sent", "ok", "paid"];

pub(super) fn check(node: &Node, rule: &Rule, report: &mut Report<'_>) {
    let Some(signal) = rule.signal else { return };
    filter(node, rule, signal, report);
    groups(node, rule, signal, report);
    match &rule.condition {
        Condition::Absent { expected, .. } => absence(node, rule, signal, expected, report),
        Condition::All(measures) => measures.iter().for_each(|one| measure(node, rule, signal, one, report)),
        one => measure(node, rule, signal, one, report),
    }
    delay(node, rule, report);
}

fn measure(node: &Node, rule: &Rule, signal: SignalType, measure: &Condition, report: &mut Report<'_>) {
    match measure {
        Condition::Count { threshold, within_ms, .. } => {
            rate(node, signal, *threshold, *within_ms, report);
            not_each(node, rule, *threshold, report);
        }
        Condition::Distinct { field, at_least, .. } => values(node, rule, *field, signal, *at_least, report),
        _ => {}
    }
}

/// The window of a condition that stays true until its matches leave that, whatever comes. None: it does not.
fn lasting_ms(condition: &Condition) -> Option<i64> {
    match condition {
        Condition::Count { within_ms, .. }
        | Condition::Distinct { within_ms, .. }
        | Condition::Sum { within_ms, .. } => Some(*within_ms),
        Condition::All(measures) => measures.iter().map(lasting_ms).reduce(Option::and).flatten(),
        // What is good ends a ratio before its window does.
        Condition::Ratio { .. }
        | Condition::Percentile { .. }
        | Condition::Each
        | Condition::Absent { .. }
        | Condition::Blind { .. } => None,
    }
}

/// The place of a key below the rule.
fn place(node: &Node, path: &[&str]) -> Place {
    let mut at = (node.place, node);
    for name in path {
        match at.1.entry(name) {
            Some((key, inner)) => at = (key.place, inner),
            None => break,
        }
    }
    at.0
}

fn def(signal: SignalType, field: usize) -> &'static FieldDef {
    &signal.def().fields[field]
}

fn filter(node: &Node, rule: &Rule, signal: SignalType, report: &mut Report<'_>) {
    for predicate in rule.filter.tests() {
        let def = def(signal, predicate.field);
        let left = domain::left_by(predicate, def);
        let at = place(node, &["where", &def.name]);
        if left.is_everything(def) {
            let problem = format!("every signal passes this test of `{}`", def.name);
            report.warn(Code::AlwaysHolds, at, problem, "take it away, or say what you mean to leave out");
        }
    }
}

fn values(node: &Node, rule: &Rule, field: usize, signal: SignalType, at_least: u32, report: &mut Report<'_>) {
    let def = def(signal, field);
    if let Left { values: Some(values), .. } = domain::left(rule, field, def)
        && values < u64::from(at_least)
    {
        let problem = format!("`where` leaves {values} of the {at_least} values of `{}` that are asked for", def.name);
        let at = place(node, &["threshold", "distinct", "at_least"]);
        report.warn(Code::NeverFires, at, problem, "the rule never fires: ask for fewer, or let more through");
    }
}

fn rate(node: &Node, signal: SignalType, threshold: u32, within_ms: i64, report: &mut Report<'_>) {
    let most = i64::from(QUOTA_SIGNALS_PER_S).saturating_mul(within_ms) / 1_000;
    if i64::from(threshold) > most {
        let merged = if signal.def().field("repeats").is_some() { ", unless its sender merges equal ones" } else { "" };
        let problem = format!("a site sends {most} signals in {} at most{merged}", short(within_ms));
        let help = format!("at most `count: {most}`, or a longer window");
        report.warn(Code::HardlyFires, place(node, &["threshold", "count"]), problem, help);
    }
}

/// A condition that became true stays true until its matches leave the window, whatever comes.
fn delay(node: &Node, rule: &Rule, report: &mut Report<'_>) {
    let Some(within_ms) = lasting_ms(&rule.condition) else { return };
    if (1..=within_ms).contains(&rule.for_ms) {
        let problem = format!("the window is {}: `for` only delays the alert", short(within_ms));
        let help = "matches of one moment keep the condition true for the whole window: take `for` away, or make the window shorter than it";
        report.warn(Code::OnlyDelays, place(node, &["for"]), problem, help);
    }
}

/// Of an episode that goes on, the first alert is told and none of the later matches.
fn not_each(node: &Node, rule: &Rule, threshold: u32, report: &mut Report<'_>) {
    if threshold == 1 && rule.suppress_ms == 0 {
        let help = "`each: {}` in the place of `threshold` tells each match";
        let problem = "`suppress: 0s` does not tell each match: while an alert is open none is";
        report.warn(Code::NotEachIsTold, place(node, &["suppress"]), problem, help);
    }
}

fn groups(node: &Node, rule: &Rule, signal: SignalType, report: &mut Report<'_>) {
    let items = node.get("group_by").map(Node::items).unwrap_or_default();
    for (field, item) in rule.group_by.iter().zip(items) {
        let def = def(signal, *field);
        let left = domain::left(rule, *field, def);
        if left.values == Some(1) && !left.lacking {
            let problem = format!("`where` leaves one `{}`: it tells no groups apart", def.name);
            report.warn(Code::OneGroup, item.place, problem, "take it out of `group_by`");
        } else if left.lacking {
            let problem = format!("all signals without `{}` are one group", def.name);
            let help = match def.kind {
                FieldKind::Hash => "a message should not call them one: they may be many".to_owned(),
                _ => format!("name the values of `{}` in `where`, so that signals without it are left out", def.name),
            };
            report.warn(Code::GroupOfTheMissing, item.place, problem, help);
        }
    }
}

fn absence(node: &Node, rule: &Rule, signal: SignalType, expected: &Expected, report: &mut Report<'_>) {
    let fields = &signal.def().fields;
    if let Some((field, outcome)) = signal.def().field("outcome") {
        let names = outcome.kind.symbols().iter().any(|symbol| GOOD.contains(&symbol.as_str()));
        let tested = rule.filter.tests().filter(|predicate| predicate.field == field);
        let lets = |symbol: &str| {
            let place = outcome.kind.symbols().iter().position(|known| known == symbol);
            let value = place.map(|place| logystera_schemas::batch::Value::Enum(place as u8));
            value.is_some_and(|value| tested.clone().all(|predicate| domain::holds(predicate, value)))
        };
        if names && tested.clone().next().is_some() && !GOOD.iter().any(|symbol| lets(symbol)) {
            let problem = "the rule fires when nothing goes wrong";
            let help = "an absence is about what should come: watch the good `outcome`, or use `threshold` for the bad";
            report.warn(Code::AbsenceOfTheBad, place(node, &["where", "outcome"]), problem, help);
        }
    }
    let items = node.get("group_by").map(Node::items).unwrap_or_default();
    let are_made = *expected == Expected::OnceSeen;
    let by_hash =
        rule.group_by.iter().zip(items).filter(|(field, _)| are_made && fields[**field].kind == FieldKind::Hash);
    for (field, item) in by_hash {
        let problem = format!("each `{}` that came once is missed when it stays away", fields[*field].name);
        let help = "such things come and go: group an absence by what the site itself has, such as a job";
        report.warn(Code::AbsenceByStranger, item.place, problem, help);
    }
    if *expected == Expected::OnceSeen && rule.group_by.is_empty() {
        for predicate in rule.filter.tests().filter(|predicate| !predicate.negated) {
            let def = &fields[predicate.field];
            if let FieldKind::Ident { .. } = def.kind {
                let problem = format!("if no `{}` is called so, the rule waits for ever", def.name);
                let help = "`expected: always` tells when it never comes at all";
                report.warn(Code::WaitsForEver, place(node, &["where", &def.name]), problem, help);
            }
        }
    }
}

//! `escalate`: steps at which the alert of a rule grows worse.

use logystera_processor::core::{Condition, Escalation, Worse};
use logystera_schemas::detection::Severity;
use logystera_schemas::limits::{
    ESCALATIONS_MAX, EXACT_THRESHOLD_MAX, RULE_SPAN_MS_MAX, RULE_SPAN_MS_MIN, SUM_MAX, THRESHOLD_MAX,
};

use crate::canonical::Json;
use crate::code::Code;
use crate::duration::short;
use crate::read::{self, Keys};
use crate::report::{Place, Report};
use crate::yaml::Node;

/// What the steps belong to.
pub(crate) struct Subject<'r> {
    /// None: it was refused.
    pub(crate) condition: Option<&'r Condition>,
    /// How bad the rule is before the first step. None: it was refused.
    pub(crate) severity: Option<Severity>,
}

/// What a measure may be asked for: the name of its number, what the rule asks for, the most that it can.
struct Measured {
    name: &'static str,
    asked: i64,
    max: i64,
}

/// Reads `escalate`.
pub(crate) fn read(node: &Node, subject: &Subject<'_>, report: &mut Report<'_>) -> Option<Vec<Escalation>> {
    let items = read::list(node, "`escalate`", ESCALATIONS_MAX, report)?;
    if let Some(Condition::Blind { .. }) = subject.condition {
        report
            .error(Code::KeyDoesNotFit, node.place, "`escalate` beside `blind_after`")
            .help("say at once how bad it is that the site is silent");
        return None;
    }
    let read: Vec<_> = items.iter().map(|item| step(item, subject, report)).collect();
    let steps = read.into_iter().collect::<Option<Vec<_>>>()?;
    check_order(&steps, subject, report)?;
    Some(steps.into_iter().map(|(_, step)| step).collect())
}

fn step(node: &Node, subject: &Subject<'_>, report: &mut Report<'_>) -> Option<(Place, Escalation)> {
    let keys = Keys::of(node, "a step of `escalate`", &["at", "after", "severity"], &[], report)?;
    let names: Vec<&str> = Severity::ALL.iter().map(|severity| severity.as_str()).collect();
    let severity = keys
        .need("severity", "how bad it is from then on: `severity: critical`", report)
        .and_then(|node| read::one_of(node, "`severity`", &names, report).map(|place| Severity::ALL[place]));
    let (place, when) = match (keys.entry("at"), keys.entry("after")) {
        (Some((place, node)), None) => (node.place, at(place, node, subject, report)),
        (None, Some((_, node))) => {
            let after = read::span(node, "`after`", RULE_SPAN_MS_MIN..=RULE_SPAN_MS_MAX, report);
            (node.place, after.map(Worse::After))
        }
        (Some(_), Some((place, _))) => {
            report
                .error(Code::KeyDoesNotFit, place, "`at` and `after` in one step")
                .help("a step is reached by a number or by time: keep one of them");
            return None;
        }
        (None, None) => {
            keys.need("at", "such as `{at: 100, severity: critical}`, or `after: 1h`", report);
            return None;
        }
    };
    Some((place, Escalation { when: when?, severity: severity? }))
}

/// What the measure must reach.
fn at(key: Place, node: &Node, subject: &Subject<'_>, report: &mut Report<'_>) -> Option<Worse> {
    let measured = match subject.condition? {
        Condition::Count { threshold, resolution_ms, .. } => Measured {
            name: "count",
            asked: i64::from(*threshold),
            max: i64::from(if resolution_ms.is_none() { EXACT_THRESHOLD_MAX } else { THRESHOLD_MAX }),
        },
        Condition::Distinct { at_least, .. } => {
            Measured { name: "distinct", asked: i64::from(*at_least), max: i64::from(EXACT_THRESHOLD_MAX) }
        }
        Condition::Sum { at_least, .. } => {
            Measured { name: "sum", asked: i64::try_from(*at_least).unwrap_or(SUM_MAX), max: SUM_MAX }
        }
        _ => {
            report
                .error(Code::KeyDoesNotFit, key, "`at` needs a single `count`, `distinct` or `sum`")
                .help("by time it always goes: `after: 1h`");
            return None;
        }
    };
    let at = read::int(node, "`at`", 1..=measured.max, report)?;
    if at <= measured.asked {
        let problem =
            format!("`at`, {at}, is no more than the `{}` that the rule asks for, {}", measured.name, measured.asked);
        report.error(Code::NotWorse, node.place, problem).help("a step is reached after the alert began");
        return None;
    }
    Some(Worse::At(at.unsigned_abs()))
}

/// Each step is later than the one before, of its kind, and more severe.
fn check_order(steps: &[(Place, Escalation)], subject: &Subject<'_>, report: &mut Report<'_>) -> Option<()> {
    let mut severity = subject.severity?;
    let mut before: Option<Worse> = None;
    for (place, step) in steps {
        if step.severity <= severity {
            report
                .error(
                    Code::NotWorse,
                    *place,
                    format!("it is `{severity}` before, and `{}` from here on", step.severity),
                )
                .help("each step is more severe than what was before");
            return None;
        }
        let is_later = match (before, step.when) {
            (None, _) => true,
            (Some(Worse::At(one)), Worse::At(other)) => one < other,
            (Some(Worse::After(one)), Worse::After(other)) => one < other,
            (Some(_), _) => {
                report
                    .error(Code::KeyDoesNotFit, *place, "`at` and `after` in one `escalate`")
                    .help("both steps are reached by numbers, or both by time");
                return None;
            }
        };
        if !is_later {
            report
                .error(Code::NotWorse, *place, "this step is not reached after the one before")
                .help("the first step comes first: a smaller number, or a shorter time");
            return None;
        }
        (severity, before) = (step.severity, Some(step.when));
    }
    Some(())
}

/// The canonical form of the steps.
pub(crate) fn canonical(steps: &[Escalation]) -> Json {
    Json::list(steps.iter().map(|step| {
        let when = match step.when {
            Worse::At(at) => ("at", Json::Int(i64::try_from(at).unwrap_or(i64::MAX))),
            Worse::After(ms) => ("after", Json::text(short(ms))),
        };
        Json::map([when, ("severity", Json::text(step.severity.as_str()))])
    }))
}

/// What of the steps is counted: the numbers that a group must be able to reach.
pub(crate) fn counted(steps: &[Escalation]) -> Option<Json> {
    let numbers = steps.iter().filter_map(|step| match step.when {
        Worse::At(at) => Some(Json::Int(i64::try_from(at).unwrap_or(i64::MAX))),
        Worse::After(_) => None,
    });
    let numbers: Vec<Json> = numbers.collect();
    (!numbers.is_empty()).then_some(Json::List(numbers))
}

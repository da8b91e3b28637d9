//! Rule sets made to be hit at their edges: small thresholds, windows that are whole steps of the simulated clock, spans of
//! zero, few values.

use std::sync::Arc;

use logystera_processor::core::{Condition, Expected, Filter, Metric, Piece, Rule, RuleSet, StateLimits, Template};
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::detection::Severity;
use logystera_schemas::ids::Sha256Digest;

pub use super::palette::Palette;
use super::palette::draw_group_by;
use super::{absences, escalations, filters, measures, metrics};
use crate::rng::Rng;

/// Rules that tell each match, in percent.
const EACH_PERCENT: u64 = 12;

/// Draws a rule set. Names are of a small pool, so that an edited set shares some with the one before.
pub fn draw_set(palette: &Palette, rng: &mut Rng) -> Arc<RuleSet> {
    let count = rng.range(1, 4) as usize;
    let mut rules: Vec<Rule> = (0..count).filter_map(|_| draw_rule(palette, rng)).collect();
    rules.sort_by(|a, b| a.name.cmp(&b.name));
    rules.dedup_by(|a, b| a.name == b.name);
    let limits = StateLimits {
        rule_groups: *rng.pick(&[1, 2, 3, 1_000, 1_000]),
        site_groups: *rng.pick(&[2, 4, 5_000, 5_000]),
        site_bytes: 4 << 20,
    };
    let drawn = metrics::draw_all(palette, rng);
    finish(rules, drawn, limits, draw_disabled(palette, rng))
}

fn draw_disabled(palette: &Palette, rng: &mut Rng) -> SignalTypes {
    let mut disabled = SignalTypes::default();
    if rng.chance(10) {
        disabled.insert(*rng.pick(&palette.watched));
    }
    disabled
}

/// An edit of a set: one rule fewer, one more, one other, or one that only tells differently.
pub fn edit_set(old: &RuleSet, palette: &Palette, rng: &mut Rng) -> Arc<RuleSet> {
    let mut rules: Vec<Rule> = old.rules.iter().map(copy).collect();
    let place = rng.index(rules.len());
    match rng.below(4) {
        0 if rules.len() > 1 => drop(rules.remove(place)),
        1 => rules.extend(draw_rule(palette, rng)),
        2 => {
            if let (Some(rule), Some(other)) = (rules.get_mut(place), draw_rule(palette, rng)) {
                let name = rule.name.clone();
                *rule = other;
                rule.name = name;
            }
        }
        _ => {
            if let Some(rule) = rules.get_mut(place) {
                rule.title = format!("{} again", rule.title);
                rule.suppress_ms = suppress(palette, rng, matches!(rule.condition, Condition::Blind { .. }));
                let resolve_after_ms = span(palette, rng);
                rule.resolve_after_ms = if rule.condition.tells_each() { 0 } else { resolve_after_ms };
                escalations::edit(rule, rng);
                if let Condition::Absent { for_ms, expected: Expected::OnceSeen, forget_after_ms, .. } =
                    &mut rule.condition
                {
                    *forget_after_ms = absences::forget_after(*for_ms, palette.step_ms.max(250), rng);
                }
                if rng.chance(50) {
                    rule.evidence = draw_evidence(rule.signal, rng);
                }
            }
        }
    }
    rules.sort_by(|a, b| a.name.cmp(&b.name));
    rules.dedup_by(|a, b| a.name == b.name);
    let edited = metrics::edit(&old.metrics, palette, rng);
    finish(rules, edited, old.limits, if rng.chance(20) { draw_disabled(palette, rng) } else { old.disabled })
}

fn finish(mut rules: Vec<Rule>, metrics: Vec<Metric>, limits: StateLimits, disabled: SignalTypes) -> Arc<RuleSet> {
    for rule in &mut rules {
        let (condition, levels) = (counted(&rule.condition), escalations::counted(rule));
        let counted = format!("{:?}{:?}{condition:?}{:?}{levels:?}", rule.signal, rule.filter, rule.group_by);
        rule.counts = Sha256Digest::of(counted.as_bytes());
        let revision = Sha256Digest::of(format!("{rule:?}").as_bytes()).to_string();
        rule.revision = revision.chars().take(12).collect();
    }
    let body = format!("{rules:?}{metrics:?}{limits:?}{disabled:?}");
    Arc::new(RuleSet { digest: Sha256Digest::of(body.as_bytes()), body, rules, metrics, limits, disabled })
}

/// The condition without what is no part of what is counted.
fn counted(condition: &Condition) -> Condition {
    let mut condition = condition.clone();
    if let Condition::Absent { forget_after_ms, .. } = &mut condition {
        *forget_after_ms = None;
    }
    condition
}

fn copy(rule: &Rule) -> Rule {
    Rule {
        name: rule.name.clone(),
        revision: String::new(),
        counts: rule.counts,
        title: rule.title.clone(),
        severity: rule.severity,
        subsystem: rule.subsystem.clone(),
        signal: rule.signal,
        filter: rule.filter.clone(),
        group_by: rule.group_by.clone(),
        condition: rule.condition.clone(),
        for_ms: rule.for_ms,
        suppress_ms: rule.suppress_ms,
        resolve_after_ms: rule.resolve_after_ms,
        evidence: rule.evidence.clone(),
        message: rule.message.clone(),
        why: rule.why.clone(),
        advice: rule.advice.clone(),
        bundle: rule.bundle.clone(),
        escalate: rule.escalate.clone(),
    }
}

fn span(palette: &Palette, rng: &mut Rng) -> i64 {
    let steps = *rng.pick(&[0, 0, 1, 2, 3, 5, 8, 20, 60]);
    palette.step_ms.max(250) * steps
}

/// That of a blindness runs in the clock of the log.
fn suppress(palette: &Palette, rng: &mut Rng, blind: bool) -> i64 {
    if blind { *rng.pick(&[0, 10_000, 60_000, 300_000, 3_600_000]) } else { span(palette, rng) }
}

fn draw_rule(palette: &Palette, rng: &mut Rng) -> Option<Rule> {
    let name = (*rng.pick(&["a", "a-b", "b", "blind", "cron", "d"])).to_owned();
    let step = palette.step_ms.max(250);
    let blind = name == "blind";
    let kind = *rng.pick(&palette.watched);
    let (condition, group_by) = if blind {
        (Condition::Blind { after_ms: *rng.pick(&[10_000, 60_000, 300_000]) }, Vec::new())
    } else if rng.chance(30) {
        absences::draw(palette, kind, step, rng)
    } else {
        let group_by = draw_group_by(kind, rng);
        (measures::draw(palette, kind, step, rng), group_by)
    };
    // A part of its own, so that the other rules are what they were.
    let tells_each = !blind && rng.part(18).chance(EACH_PERCENT);
    let condition = if tells_each { Condition::Each } else { condition };
    let counts = !blind && !tells_each;
    let filter = if blind { Filter::default() } else { filters::draw(palette, kind, rng) };
    Some(Rule {
        name: name.parse().ok()?,
        revision: String::new(),
        counts: Sha256Digest([0; 32]),
        title: format!("title of {name}"),
        severity: *rng.pick(Severity::ALL),
        subsystem: "sub".to_owned(),
        signal: (!blind).then_some(kind),
        filter,
        message: draw_message(group_by.len(), rng),
        why: None,
        advice: None,
        bundle: None,
        escalate: escalations::draw(&condition, step, rng),
        group_by,
        condition,
        for_ms: if blind { 0 } else { span(palette, rng) * i64::from(counts) },
        suppress_ms: suppress(palette, rng, blind),
        resolve_after_ms: if blind { 0 } else { span(palette, rng) * i64::from(counts) },
        evidence: draw_evidence((!blind).then_some(kind), rng),
    })
}

fn draw_evidence(kind: Option<SignalType>, rng: &mut Rng) -> Vec<usize> {
    let Some(kind) = kind else { return Vec::new() };
    let all = 0..kind.def().fields.len();
    all.filter(|_| rng.chance(50)).collect()
}

fn draw_message(groups: usize, rng: &mut Rng) -> Template {
    let mut pieces = Vec::new();
    for _ in 0..rng.below(4) {
        pieces.push(match rng.below(5) {
            0 => Piece::Count,
            1 => Piece::Site,
            2 => Piece::Within("10m".to_owned()),
            3 if groups > 0 => Piece::Group(rng.index(groups)),
            _ => Piece::Text(" text ".to_owned()),
        });
    }
    Template(pieces)
}

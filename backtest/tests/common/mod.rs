//! What tests of backtests share.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test helper: whoever fails here fails a test")]

use logystera_backtest::core::Side;
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Label, Severity};
use logystera_schemas::ids::{EpisodeId, Sha256Digest};

/// A detection of a group, whose message is the group's name.
pub(crate) fn detection(group: &str, state: DetectionState, at: i64) -> Detection {
    Detection {
        id: EpisodeId([0; 16]),
        tenant: "acme".parse().unwrap(),
        site: "shop".parse().unwrap(),
        encryption_key: None,
        rule: "mail-delivery-failing".parse().unwrap(),
        revision: "0123456789ab".to_owned(),
        title: "Mail delivery is failing".to_owned(),
        severity: Severity::Warning,
        subsystem: "mail".to_owned(),
        state,
        reason: match state {
            DetectionState::Resolved => DetectionReason::Resolved,
            _ => DetectionReason::Firing,
        },
        group: vec![Label { field: "transport".to_owned(), value: group.to_owned() }],
        count: 1,
        held: 0,
        started_at: at,
        last_evaluated_at: at,
        evidence: Vec::new(),
        message: group.to_owned(),
        url: String::new(),
        seq: 0,
        chain: Sha256Digest([0; 32]),
        bundle: None,
        once: false,
    }
}

/// What a comparison says that sees all alerts at once: of each that begins, the first of the other side and of its group that
/// has begun, is not over, and has no counterpart yet, is the same alert. Group, when the new revision (else the old one) told
/// it, and what differs: `new`, `gone`, or by how many milliseconds.
pub(crate) fn naive(told: &[(Side, Detection)]) -> Vec<(String, i64, String)> {
    struct Span {
        side: Side,
        group: String,
        begins: (i64, usize),
        ends: i64,
        is_met: bool,
    }
    let name = |d: &Detection| {
        let labels: Vec<&str> = d.group.iter().map(|label| label.value.as_str()).collect();
        format!("{} {} {}", d.site, d.rule, labels.join(" "))
    };
    let mut spans: Vec<Span> = Vec::new();
    for (place, (side, told_one)) in told.iter().enumerate() {
        let is_one = |d: &Detection| d.id == told_one.id && name(d) == name(told_one);
        let is_known = told[..place].iter().any(|(s, d)| s == side && d.state == DetectionState::Firing && is_one(d));
        if told_one.state == DetectionState::Firing && !is_known && told_one.reason != DetectionReason::Overflow {
            let end = told.iter().find(|(s, d)| s == side && d.state == DetectionState::Resolved && is_one(d));
            spans.push(Span {
                side: *side,
                group: name(told_one),
                begins: (told_one.last_evaluated_at, place),
                ends: end.map_or(i64::MAX, |(_, d)| d.last_evaluated_at),
                is_met: false,
            });
        }
    }
    let mut said = Vec::new();
    for place in 0..spans.len() {
        let Span { side, ref group, begins, .. } = spans[place];
        let group = group.clone();
        let other = spans.iter_mut().find(|span| {
            span.side != side
                && span.group == group
                && span.begins.1 < begins.1
                && span.ends >= begins.0
                && !span.is_met
        });
        let Some(other) = other else { continue };
        other.is_met = true;
        let (old, new) = if side == Side::New { (other.begins.0, begins.0) } else { (begins.0, other.begins.0) };
        spans[place].is_met = true;
        if old != new {
            said.push((group, new, (new - old).to_string()));
        }
    }
    said.extend(spans.iter().filter(|span| !span.is_met).map(|span| {
        let what = if span.side == Side::New { "new" } else { "gone" };
        (span.group.clone(), span.begins.0, what.to_owned())
    }));
    said.sort();
    said
}

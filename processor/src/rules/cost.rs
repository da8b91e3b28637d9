//! What a rule can cost at worst, known before it runs.

use logystera_schemas::catalogue::FieldKind;
use logystera_schemas::limits::{EVIDENCE_BYTES_MAX, EVIDENCE_SIGNALS_MAX};

use super::definition::groups_max;
use crate::core::rule::{Condition, Rule, StateLimits};

/// Bytes that a group counts for besides what grows with it; as in `core::group`.
const GROUP_BYTES: usize = 96;
/// Bytes of a pane, or of a match of an exact window.
const PANE_BYTES: usize = 8;
/// Bytes of a signal of the evidence besides its values.
const EVIDENCE_SIGNAL_BYTES: usize = 16;
/// Bytes of a value of the evidence besides those that are shown: whether it is there, and its length.
const EVIDENCE_VALUE_BYTES: usize = 3;
/// Bytes of a value that is counted once.
const VALUE_BYTES: usize = 24;

/// The most that the state of a rule can take of one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct WorstCase {
    /// Bytes of one group.
    pub group_bytes: usize,
    /// Groups.
    pub groups: usize,
    /// Bytes of all of them.
    pub rule_bytes: usize,
}

impl WorstCase {
    /// The worst case of `rule` under `limits`.
    pub fn of(rule: &Rule, limits: &StateLimits) -> Self {
        let group_bytes = GROUP_BYTES + key_bytes(rule) + window_bytes(&rule.condition) + evidence_bytes(rule);
        let groups = groups_max(rule).map_or(limits.rule_groups, |groups| groups.min(limits.rule_groups));
        Self { group_bytes, groups, rule_bytes: group_bytes.saturating_mul(groups) }
    }
}

fn window_bytes(condition: &Condition) -> usize {
    match condition {
        Condition::Count { threshold, resolution_ms: None, .. } => PANE_BYTES * *threshold as usize,
        Condition::Count { threshold, within_ms, resolution_ms: Some(pane_ms) } => {
            PANE_BYTES * (*threshold as usize).min((within_ms / pane_ms) as usize)
        }
        Condition::Distinct { at_least, .. } => VALUE_BYTES * *at_least as usize,
        Condition::Absent { .. } | Condition::Blind { .. } => 0,
    }
}

fn evidence_bytes(rule: &Rule) -> usize {
    let signal_bytes = EVIDENCE_SIGNAL_BYTES + EVIDENCE_VALUE_BYTES * rule.evidence.len();
    if rule.evidence.is_empty() { 0 } else { EVIDENCE_BYTES_MAX + EVIDENCE_SIGNALS_MAX * signal_bytes }
}

/// Bytes of the group's key: each field with the branch that says whether it is there, in Avro's encoding.
fn key_bytes(rule: &Rule) -> usize {
    let Some(signal) = rule.signal else { return 0 };
    let field_bytes = |place: &usize| match &signal.def().fields[*place].kind {
        FieldKind::Enum(_) | FieldKind::Bool => 1,
        // A list: its length, its places, its end.
        FieldKind::EnumList(symbols) => symbols.len() + 2,
        FieldKind::Int { .. } => 10,
        FieldKind::Hash => 16,
        FieldKind::Ident { max, .. } => max + 2,
    };
    rule.group_by.iter().map(|place| 1 + field_bytes(place)).sum()
}

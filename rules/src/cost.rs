//! What a rule can cost at worst, known before it runs. The sizes are those that the engine counts for a group against
//! the bounds of a site.

use logystera_processor::core::{Rule, StateLimits, group_bytes_max};

use crate::definition::groups_max;

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
        let group_bytes = group_bytes_max(rule);
        let groups = groups_max(rule).map_or(limits.rule_groups, |groups| groups.min(limits.rule_groups));
        Self { group_bytes, groups, rule_bytes: group_bytes.saturating_mul(groups) }
    }
}

//! The rules of a site change, or end because the site is closed.

use std::sync::Arc;

use logystera_ruleset::Rule;
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::time::SiteMs;

use super::chain::DetectionChain;
use super::program::Program;
use super::rule_groups::{RuleGroups, RuleState};

impl RuleGroups {
    /// Goes on under another program: rules that still count the same keep their groups, the alerts of the others
    /// resolve.
    pub(crate) fn reprogram(
        &mut self,
        program: &Arc<Program>,
        now: SiteMs,
        chain: &mut DetectionChain,
        out: &mut Vec<Detection>,
    ) {
        let old = Arc::clone(&self.program);
        let mut next = Self::new(Arc::clone(program));
        next.enabled = self.enabled;
        next.absences_wait = self.absences_wait;
        next.evicted = self.evicted;
        next.gone = std::mem::take(&mut self.gone);
        next.gone_rules = std::mem::take(&mut self.gone_rules);
        // State is stored under the name of its rule, not its index: all that changed is to be deleted, and what stays
        // is put anew.
        for (index, key) in &self.changed {
            next.gone.insert((old.rule(*index).name.clone(), key.clone()));
        }
        for (old_rule, state) in old.set.rules.iter().zip(std::mem::take(&mut self.rules)) {
            let found = program.find(old_rule.name.as_str());
            let Some(kept) = found.filter(|index| program.rule(*index).counts == old_rule.counts) else {
                let reason = if found.is_some() { DetectionReason::RuleChanged } else { DetectionReason::RuleRemoved };
                end_all(old_rule, &state, reason, now, chain, out);
                next.gone.extend(state.groups.into_keys().map(|key| (old_rule.name.clone(), key)));
                next.gone_rules.insert(old_rule.name.clone());
                continue;
            };
            let shows_others = program.rule(kept).evidence != old_rule.evidence;
            next.rules[kept.at()].extras = state.extras;
            next.rules[kept.at()].extras_dirty = true;
            let plan = program.plan(kept);
            for (key, mut group) in state.groups {
                // The span until it is forgotten may be another now.
                if group.condition.forgets_at(&plan.condition, self.absences_wait).is_some_and(|at| at <= now) {
                    let end = group.end(program.rule(kept), &key, DetectionReason::Forgotten, now);
                    out.extend(end.map(|emission| chain.emit(program.rule(kept), emission)));
                    next.gone.insert((old_rule.name.clone(), key));
                    continue;
                }
                if shows_others {
                    group.evidence.clear();
                }
                group.dirty = true;
                next.changed.push((kept, key.clone()));
                next.insert(kept, key, group);
            }
        }
        next.declare_types(self.declared_types, now);
        *self = next;
    }

    /// Ends every episode for `reason`, in the order of rules and groups.
    pub(crate) fn close(
        &mut self,
        reason: DetectionReason,
        now: SiteMs,
        chain: &mut DetectionChain,
        out: &mut Vec<Detection>,
    ) {
        for (rule, state) in self.program.set.rules.iter().zip(&self.rules) {
            end_all(rule, state, reason, now, chain, out);
        }
    }
}

fn end_all(
    rule: &Rule,
    state: &RuleState,
    reason: DetectionReason,
    now: SiteMs,
    chain: &mut DetectionChain,
    out: &mut Vec<Detection>,
) {
    let ends = state.groups.iter().filter_map(|(key, group)| group.end(rule, key, reason, now));
    out.extend(ends.map(|emission| chain.emit(rule, emission)));
    let blind = &state.extras.blind;
    if blind.announced {
        // A silence began in wall time, which may lie ahead of the site's.
        let now = now.0.max(blind.started_at.0);
        out.push(blind.emit(chain, rule, DetectionState::Resolved, reason, now));
    }
}

//! Drops groups if a rule or a site has more than it may, and says so.

use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::limits::OVERFLOW_MS_MIN;
use logystera_schemas::time::SiteMs;

use super::chain::{DetectionChain, Emission};
use super::group::Rank;
use super::group_key::GroupKey;
use super::program::{Program, RuleIndex};
use super::rule_groups::{RuleGroups, RuleState};

impl RuleGroups {
    /// Drops groups until the rule, and its site, may have one more.
    pub(crate) fn make_room(
        &mut self,
        program: &Program,
        index: RuleIndex,
        now: SiteMs,
        chain: &mut DetectionChain,
        out: &mut Vec<Detection>,
    ) {
        let limits = program.set.limits;
        while self.rules[index.at()].groups.len() >= limits.rule_groups {
            if !self.evict(program, Some(index), None, now, chain, out) {
                break;
            }
            self.tell_overflow(program, index, now, chain, out);
        }
        while self.count >= limits.site_groups {
            if !self.evict(program, None, None, now, chain, out) {
                break;
            }
            self.tell_overflow(program, index, now, chain, out);
        }
    }

    /// Drops groups until the site's bytes fit, but never the one that has just grown.
    pub(crate) fn shrink(
        &mut self,
        program: &Program,
        index: RuleIndex,
        key: &GroupKey,
        now: SiteMs,
        chain: &mut DetectionChain,
        out: &mut Vec<Detection>,
    ) {
        while self.bytes > program.group_bytes {
            if !self.evict(program, None, Some((index, key)), now, chain, out) {
                break;
            }
            self.tell_overflow(program, index, now, chain, out);
        }
    }

    /// Drops the group that is missed least, of one rule or of all. False: there is none to drop. Order: class, least
    /// recently seen, rule, key. A standing group stays: nothing else watches for what it waits for.
    fn evict(
        &mut self,
        program: &Program,
        of: Option<RuleIndex>,
        spared: Option<(RuleIndex, &GroupKey)>,
        now: SiteMs,
        chain: &mut DetectionChain,
        out: &mut Vec<Detection>,
    ) -> bool {
        let mut victim: Option<(Rank, RuleIndex, GroupKey)> = None;
        let can_go = |index: &RuleIndex| !program.plan(*index).stands;
        for index in program.one_or_all(of).filter(can_go) {
            let RuleState { groups, order, .. } = &mut self.rules[index.at()];
            let spared = spared.filter(|(of, _)| *of == index).map(|(_, key)| key);
            let Some((rank, key)) = order.first(groups, spared) else { continue };
            // Rules come in their order: of two groups of one rank that of the first rule goes.
            if victim.as_ref().is_none_or(|(least, ..)| rank < *least) {
                victim = Some((rank, index, key));
            }
        }
        let Some((_, index, key)) = victim else { return false };
        let Some(group) = self.remove(index, &key) else { return false };
        self.evicted += 1;
        let rule = program.rule(index);
        let end = group.end(rule, &key, DetectionReason::Evicted, now);
        out.extend(end.map(|emission| chain.emit(rule, emission)));
        true
    }

    /// Counts a dropped group. One detection per rule and suppression says that the rule, or its site, had more groups
    /// than it may.
    fn tell_overflow(
        &mut self,
        program: &Program,
        index: RuleIndex,
        now: SiteMs,
        chain: &mut DetectionChain,
        out: &mut Vec<Detection>,
    ) {
        let (rule, state) = (program.rule(index), &mut self.rules[index.at()]);
        state.extras_dirty = true;
        let extras = &mut state.extras;
        extras.dropped += 1;
        if extras.overflow_until.is_some_and(|until| now < until) {
            return;
        }
        extras.overflow_until = Some(now.plus(rule.suppress_ms.max(OVERFLOW_MS_MIN)));
        let count = std::mem::take(&mut extras.dropped);
        out.push(chain.emit(
            rule,
            Emission {
                group: &[],
                severity: rule.severity,
                state: DetectionState::Firing,
                reason: DetectionReason::Overflow,
                count,
                held: 0,
                started_at: now.0,
                now: now.0,
                evidence: Vec::new(),
            },
        ));
    }
}

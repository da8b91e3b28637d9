//! What goes when a rule or a site has too many groups (design, section 6, "Bounds").

use std::sync::Arc;

use logystera_processor::core::Rule;
use logystera_schemas::detection::{DetectionReason, DetectionState};

use super::group::{Group, Said, is_expected_from_the_start};
use super::site::Site;

impl Site {
    /// Evicts what has to go before one more group of the rule fits.
    pub(super) fn make_room(&mut self, rule: &Rule, now: i64) {
        let limits = self.rules.limits;
        let name = rule.name.as_str();
        while self.groups.keys().filter(|(of, _)| of == name).count() >= limits.rule_groups {
            if !self.evict(Some(name), rule, now) {
                break;
            }
        }
        while self.groups.len() >= limits.site_groups {
            if !self.evict(None, rule, now) {
                break;
            }
        }
    }

    /// Inactive groups without a suppression go first, then inactive ones with, then pending, then firing ones, those that
    /// were announced last; among those the least recently seen, then by rule and key. What is always expected stays.
    /// `cause` is the rule that needs the room, and says so.
    fn evict(&mut self, among: Option<&str>, cause: &Rule, now: i64) -> bool {
        let rules = Arc::clone(&self.rules);
        let rank = |group: &Group| match (&group.episode, group.suppressed_until) {
            (None, None) => 0,
            (None, Some(_)) => 1,
            (Some(episode), _) if !episode.firing => 2,
            (Some(episode), _) => 3 + u8::from(episode.announced),
        };
        let candidates = self.groups.iter().filter_map(|(key, group)| {
            let rule = rules.rules.iter().find(|r| r.name.as_str() == key.0)?;
            let stays = is_expected_from_the_start(rule);
            let place = (rank(group), group.last_match(), key.clone());
            (!stays && among.is_none_or(|name| name == key.0)).then_some((place, rule))
        });
        let Some(((_, _, key), rule)) = candidates.min_by(|(a, _), (b, _)| a.cmp(b)) else { return false };
        if let Some(mut group) = self.groups.remove(&key) {
            for said in group.end(DetectionReason::Evicted, now) {
                self.emit(rule, &key.1, &group, said);
            }
        }
        self.overflowed(cause, now);
        true
    }

    /// One detection per rule and suppression, but at least a minute, says that groups were dropped, and how many.
    fn overflowed(&mut self, rule: &Rule, now: i64) {
        let (until, dropped) = self.overflows.entry(rule.name.as_str().to_owned()).or_default();
        *dropped += 1;
        if until.is_some_and(|until| now < until) {
            return;
        }
        *until = Some(now + rule.suppress_ms.max(60_000));
        let count = std::mem::take(dropped);
        let (state, reason) = (DetectionState::Firing, DetectionReason::Overflow);
        let said = Said { state, reason, at: now, started_at: now, count, held: 0, level: 0 };
        self.emit(rule, &[], &Group::default(), said);
    }
}

//! What makes room where a rule or a site has more groups than it may.

use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::time::SiteMs;

use super::board::{Board, say_end};
use super::group::GroupKey;
use super::program::{Program, Watches};
use super::rule::Rule;
use super::voice::{Saying, Voice};

/// Shortest time between two detections that say that a rule overflowed, in milliseconds: a rule without suppression must
/// not tell of each group.
const OVERFLOW_MS_MIN: i64 = 60_000;

impl Board {
    /// Drops groups until the rule may have one more.
    pub(super) fn make_room(
        &mut self,
        program: &Program,
        place: u16,
        now: SiteMs,
        voice: &mut Voice,
        out: &mut Vec<Detection>,
    ) {
        let limits = program.set.limits;
        while self.rules[usize::from(place)].groups.len() >= limits.rule_groups {
            let own = std::iter::once(place);
            if !self.evict(program, own, None, place, now, voice, out) {
                break;
            }
        }
        while self.groups >= limits.site_groups {
            if !self.evict(program, 0..self.rules.len() as u16, None, place, now, voice, out) {
                break;
            }
        }
    }

    /// Drops groups until the site's bytes fit, but never the one that has just grown.
    pub(super) fn shrink(
        &mut self,
        program: &Program,
        place: u16,
        key: &GroupKey,
        now: SiteMs,
        voice: &mut Voice,
        out: &mut Vec<Detection>,
    ) {
        while self.bytes > program.set.limits.site_bytes {
            if !self.evict(program, 0..self.rules.len() as u16, Some((place, key)), place, now, voice, out) {
                break;
            }
        }
    }

    /// Drops the group that is missed least; false where there is none to drop. Order: class, least recently seen, rule,
    /// key. An absence that is always expected stays: nothing would watch for it any more.
    #[expect(clippy::too_many_arguments, reason = "the choice, what it spares and what it tells belong together")]
    fn evict(
        &mut self,
        program: &Program,
        among: impl Iterator<Item = u16>,
        spared: Option<(u16, &GroupKey)>,
        cause: u16,
        now: SiteMs,
        voice: &mut Voice,
        out: &mut Vec<Detection>,
    ) -> bool {
        let victim = among
            .filter(|place| !matches!(program.plan(*place).watches, Watches::Absence(_, true)))
            .flat_map(|place| self.rules[usize::from(place)].groups.iter().map(move |(key, group)| (place, key, group)))
            .filter(|(place, key, _)| spared != Some((*place, *key)))
            .min_by_key(|(place, key, group)| (group.eviction_class(), group.last_seen, *place, *key))
            .map(|(place, key, _)| (place, key.clone()));
        let Some((place, key)) = victim else { return false };
        let Some(group) = self.remove(place, &key) else { return false };
        self.evicted += 1;
        if group.episode.announced {
            out.push(say_end(voice, program.rule(place), &key, &group, DetectionReason::Evicted, now));
        }
        self.tell_overflow(program.rule(cause), cause, now, voice, out);
        true
    }

    /// One detection per rule and suppression says that the rule, or its site, had more groups than it may.
    fn tell_overflow(&mut self, rule: &Rule, place: u16, now: SiteMs, voice: &mut Voice, out: &mut Vec<Detection>) {
        let extra = &mut self.rules[usize::from(place)].extra;
        extra.dropped += 1;
        self.rules[usize::from(place)].extra_dirty = true;
        let extra = &mut self.rules[usize::from(place)].extra;
        if extra.overflow_until.is_some_and(|until| now < until) {
            return;
        }
        extra.overflow_until = Some(now.plus(rule.suppress_ms.max(OVERFLOW_MS_MIN)));
        let count = std::mem::take(&mut extra.dropped);
        out.push(voice.speak(
            rule,
            Saying {
                group: &[],
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

//! What makes room where a rule or a site has more groups than it may.

use std::collections::{BTreeMap, BTreeSet};

use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::time::SiteMs;

use super::board::{Board, RuleState, say_end};
use super::group::{Group, GroupKey, Rank};
use super::program::{Program, Watches};
use super::rule::Rule;
use super::voice::{Saying, Voice};

/// Shortest time between two detections that say that a rule overflowed, in milliseconds: a rule without suppression must
/// not tell of each group.
const OVERFLOW_MS_MIN: i64 = 60_000;

/// The order in which a rule's groups make room: made when one has to, and kept from then on, so that the next one is found
/// without a look at all of them. Derived, never stored.
#[derive(Debug, Default)]
pub(super) struct Leaving(Option<BTreeSet<(Rank, GroupKey)>>);

impl Leaving {
    /// What is known of the order holds no longer.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    /// A group is new or has changed. Its entry stands at or before its rank: one that is too early finds its place when its
    /// turn comes, so that a match, which only puts it off, costs nothing here.
    pub(super) fn follow(&mut self, key: &GroupKey, group: &mut Group) {
        let Some(order) = &mut self.0 else { return };
        let rank = group.rank();
        if group.queued.is_some_and(|queued| queued <= rank) {
            return;
        }
        if let Some(queued) = group.queued.replace(rank) {
            order.remove(&(queued, key.clone()));
        }
        order.insert((rank, key.clone()));
    }

    /// A group is gone.
    pub(super) fn gone(&mut self, key: &GroupKey, group: &Group) {
        if let (Some(order), Some(queued)) = (&mut self.0, group.queued) {
            order.remove(&(queued, key.clone()));
        }
    }

    /// The first that goes, but for the one that is spared.
    fn first(&mut self, groups: &mut BTreeMap<GroupKey, Group>, spared: Option<&GroupKey>) -> Option<(Rank, GroupKey)> {
        let order = self.0.get_or_insert_with(|| {
            let entry = |(key, group): (&GroupKey, &mut Group)| (*group.queued.insert(group.rank()), key.clone());
            groups.iter_mut().map(entry).collect()
        });
        loop {
            let (queued, key) = order.iter().find(|(_, key)| spared != Some(key))?.clone();
            let group = groups.get_mut(&key)?;
            let rank = group.rank();
            if rank == queued {
                return Some((rank, key));
            }
            order.remove(&(queued, key.clone()));
            order.insert((rank, key));
            group.queued = Some(rank);
        }
    }
}

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
        let mut victim: Option<(Rank, u16, GroupKey)> = None;
        for place in among.filter(|place| !matches!(program.plan(*place).watches, Watches::Absence(_, true))) {
            let RuleState { groups, leaving, .. } = &mut self.rules[usize::from(place)];
            let spared = spared.filter(|(of, _)| *of == place).map(|(_, key)| key);
            let Some((rank, key)) = leaving.first(groups, spared) else { continue };
            // Rules come in their order: of two alike the first one's goes.
            if victim.as_ref().is_none_or(|(least, ..)| rank < *least) {
                victim = Some((rank, place, key));
            }
        }
        let Some((_, place, key)) = victim else { return false };
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

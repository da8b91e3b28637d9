//! The alerts of two revisions beside each other, as they begin and end.

use std::collections::BTreeMap;

use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::ids::{EpisodeId, RuleName, SiteId};
use logystera_schemas::limits::BACKTEST_ROWS_MAX;
use serde::Serialize;

/// Which revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one before the edit.
    Old,
    /// The edited one.
    New,
}

/// An alert that people are told of: an episode whose beginning was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Site.
    pub site: SiteId,
    /// Rule.
    pub rule: RuleName,
    /// Site time at which it was told first, in milliseconds since the epoch.
    pub told_at: i64,
    /// What was told.
    pub message: String,
}

/// What differs between the revisions about an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The alert; as the new revision tells it, if it does.
    pub alert: Alert,
    /// What differs.
    pub what: What,
}

/// How an alert differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Only the new revision tells it.
    New,
    /// Only the old one does.
    Gone,
    /// The new one tells it so many milliseconds earlier.
    Earlier(u64),
    /// The new one tells it so many milliseconds later.
    Later(u64),
}

/// Alerts of a rule at a site, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Told by both at the same time.
    pub same: u64,
    /// Told by the new revision alone.
    pub new: u64,
    /// Told by the old one alone.
    pub gone: u64,
    /// Told by both, by the new one earlier.
    pub earlier: u64,
    /// Told by both, by the new one later.
    pub later: u64,
    /// The most milliseconds that one was told earlier.
    pub earlier_ms_max: u64,
    /// The most milliseconds that one was told later.
    pub later_ms_max: u64,
}

/// Compares alerts as they come. An alert of one revision is the same as one of the other if both are of one group of a rule
/// of this name, and one begins before the other has ended.
#[derive(Debug, Default)]
pub struct Alerts {
    open: BTreeMap<Group, Open>,
    /// Groups whose alerts ended with the record that is being applied.
    ended: Vec<(Side, Group, EpisodeId)>,
    counts: BTreeMap<(RuleName, SiteId), Counts>,
    /// Of the rules and sites that found no place in `counts`.
    others: Counts,
    together: Counts,
}

/// Site, rule, and the labels of a group.
type Group = (SiteId, RuleName, Vec<(String, String)>);

/// The alerts of a group that are open, or that an alert of the other side may still be the same as.
#[derive(Debug, Default)]
struct Open {
    /// Of the old revision, then of the new one, the oldest first.
    sides: [Vec<Told>; 2],
}

/// An alert that was told.
#[derive(Debug)]
struct Told {
    episode: EpisodeId,
    at: i64,
    message: String,
    /// Whether the other side told it too.
    is_met: bool,
}

impl Counts {
    /// Whether both revisions tell the same.
    pub fn is_same(&self) -> bool {
        self.new + self.gone + self.earlier + self.later == 0
    }

    fn add(&mut self, what: Option<What>) {
        match what {
            None => self.same += 1,
            Some(What::New) => self.new += 1,
            Some(What::Gone) => self.gone += 1,
            Some(What::Earlier(ms)) => {
                self.earlier += 1;
                self.earlier_ms_max = self.earlier_ms_max.max(ms);
            }
            Some(What::Later(ms)) => {
                self.later += 1;
                self.later_ms_max = self.later_ms_max.max(ms);
            }
        }
    }
}

impl Alerts {
    /// Takes what a revision brought about with a record. [`Self::settle`] ends the record.
    pub fn take(&mut self, side: Side, detection: &Detection, found: &mut Vec<Difference>) {
        let labels = detection.group.iter().map(|label| (label.field.clone(), label.value.clone())).collect();
        let group = (detection.site.clone(), detection.rule.clone(), labels);
        match detection.state {
            // It is of the rule, not of a group, and has no end.
            DetectionState::Firing if detection.reason == DetectionReason::Overflow => {}
            DetectionState::Firing => {
                self.told(side, &group, detection, found);
                if detection.once {
                    // Nothing follows: the other side has until the end of this moment to tell it too.
                    self.ended.push((side, group, detection.id));
                }
            }
            DetectionState::Resolved => self.ended.push((side, group, detection.id)),
            DetectionState::Suppressed => {}
        }
    }

    fn told(&mut self, side: Side, group: &Group, detection: &Detection, found: &mut Vec<Difference>) {
        let open = self.open.entry(group.clone()).or_default();
        let [old, new] = &mut open.sides;
        let (own, others) = if side == Side::Old { (old, new) } else { (new, old) };
        if own.iter().any(|told| told.episode == detection.id) {
            // A reminder.
            return;
        }
        let met = others.iter_mut().find(|told| !told.is_met);
        let at = detection.last_evaluated_at;
        let told = Told { episode: detection.id, at, message: detection.message.clone(), is_met: met.is_some() };
        if let Some(other) = met {
            other.is_met = true;
            let (before, after, message) =
                if side == Side::New { (other.at, at, &told.message) } else { (at, other.at, &other.message) };
            let ms = before.abs_diff(after);
            let what = match after.cmp(&before) {
                std::cmp::Ordering::Less => Some(What::Earlier(ms)),
                std::cmp::Ordering::Equal => None,
                std::cmp::Ordering::Greater => Some(What::Later(ms)),
            };
            let alert = alert_of(group, after, message.clone());
            own.push(told);
            self.count(alert, what, found);
        } else {
            own.push(told);
        }
    }

    /// Both revisions have applied the record: what ended with it is no more.
    pub fn settle(&mut self, found: &mut Vec<Difference>) {
        for (side, group, episode) in std::mem::take(&mut self.ended) {
            let Some(open) = self.open.get_mut(&group) else { continue };
            let own = &mut open.sides[side as usize];
            let place = own.iter().position(|told| told.episode == episode);
            let ended = place.map(|place| own.remove(place));
            if open.sides.iter().all(Vec::is_empty) {
                self.open.remove(&group);
            }
            self.alone(side, &group, ended, found);
        }
    }

    /// The log ends: what is open has no counterpart any more, if it had none.
    pub fn finish(&mut self, found: &mut Vec<Difference>) {
        for (group, Open { sides: [old, new] }) in std::mem::take(&mut self.open) {
            for told in old {
                self.alone(Side::Old, &group, Some(told), found);
            }
            for told in new {
                self.alone(Side::New, &group, Some(told), found);
            }
        }
    }

    /// An alert is over, or will be: if the other side never told it, it is new, or gone.
    fn alone(&mut self, side: Side, group: &Group, ended: Option<Told>, found: &mut Vec<Difference>) {
        let Some(Told { at, message, is_met: false, .. }) = ended else { return };
        let what = if side == Side::New { What::New } else { What::Gone };
        self.count(alert_of(group, at, message), Some(what), found);
    }

    fn count(&mut self, alert: Alert, what: Option<What>, found: &mut Vec<Difference>) {
        let key = (alert.rule.clone(), alert.site.clone());
        let has_room = self.counts.len() < BACKTEST_ROWS_MAX || self.counts.contains_key(&key);
        let counts = if has_room { self.counts.entry(key).or_default() } else { &mut self.others };
        counts.add(what);
        self.together.add(what);
        found.extend(what.map(|what| Difference { alert, what }));
    }

    /// The counts of each rule and site, in their order.
    pub fn counts(&self) -> impl Iterator<Item = (&RuleName, &SiteId, &Counts)> {
        self.counts.iter().map(|((rule, site), counts)| (rule, site, counts))
    }

    /// The counts of the rules and sites that have no line of their own.
    pub fn others(&self) -> &Counts {
        &self.others
    }

    /// The counts of all.
    pub fn together(&self) -> &Counts {
        &self.together
    }

    /// Alerts that are kept: those that are open.
    pub fn open(&self) -> usize {
        self.open.values().flat_map(|open| &open.sides).map(Vec::len).sum()
    }
}

fn alert_of(group: &Group, told_at: i64, message: String) -> Alert {
    Alert { site: group.0.clone(), rule: group.1.clone(), told_at, message }
}

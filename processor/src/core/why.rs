//! Why a rule fires at a site, or doesn't: its groups as state entries have them, each with where it stands, how far it is, and
//! what comes next. It changes nothing.

use std::collections::BTreeMap;

use logystera_ruleset::{Rule, RuleSet};
use logystera_schemas::avro::{Datum, DecodeError, Reader};
use logystera_schemas::detection::Label;
use logystera_schemas::ids::{RuleName, Sha256Digest, SiteId};
use logystera_schemas::time::{SiteMs, WallMs};

use super::conditions::kind::Progress;
use super::episode::Phase;
use super::group::{Deadline, Group};
use super::group_key::{GroupKey, labels_of};
use super::key::{self, Key, SiteEntry};
use super::log_time::LogTime;
use super::program::Plan;
use super::record::SiteRecord;
use super::rule_groups::RuleExtras;

/// A rule at a site, as the engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleView {
    /// The newest tick that the engine had applied, as far as the entries tell; else when it heard the site last.
    pub as_of: WallMs,
    /// Site time up to which it has judged. None: nothing yet.
    pub judged: Option<SiteMs>,
    /// The window in which matches are counted, or for how long they are missed, in milliseconds. None: it has none.
    pub span_ms: Option<i64>,
    /// Whether the type that the rule watches is on. None: it watches the whole site.
    pub is_on: Option<bool>,
    /// Whether no absence becomes true until the site's time moves: a silence, or a new start of its time, has just ended.
    pub stands_still: bool,
    /// Its groups, in the order of their keys. One that is idle and empty has none.
    pub groups: Vec<GroupView>,
    /// The site's silence, if the rule watches for that.
    pub silence: Option<SilenceView>,
}

/// A group of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// The values that tell it apart, in the rule's order.
    pub group: Vec<Label>,
    /// Its row in the table of `docs/transitions.md`.
    pub state: &'static str,
    /// When its condition became true, if an episode is open.
    pub started_at: Option<SiteMs>,
    /// Matches of the episode that is open.
    pub count: u64,
    /// Firings that were held back since the last one that was told.
    pub held: u64,
    /// Site time of its newest match. None: none came.
    pub last_seen: Option<SiteMs>,
    /// How far its condition is.
    pub progress: Vec<Progress>,
    /// What happens next if nothing comes, and when: the earliest first.
    pub next: Vec<(SiteMs, Next)>,
}

/// What time alone does to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Next {
    /// The condition becomes true, or may.
    Met,
    /// The condition becomes false, or may.
    Unmet,
    /// The condition has held for as long as the rule asks: it fires.
    ForOver,
    /// The condition was false for as long as the rule asks: the alert is over.
    ResolveOver,
    /// It fires for long enough to grow worse.
    Worse,
    /// The suppression ends.
    SuppressionOver,
    /// Nothing is left to remember, or what stayed away is missed no more: the group goes.
    Forgotten,
}

/// What a rule knows of the site's silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilenceView {
    /// Wall time at which the site was last heard.
    pub heard: WallMs,
    /// Whether it is silent for too long.
    pub is_firing: bool,
    /// End of the suppression that runs, in wall time.
    pub suppressed_until: Option<WallMs>,
}

/// Gathers the state entries of a rule at a site.
#[derive(Debug)]
pub struct RuleGathering {
    site: SiteId,
    rule: RuleName,
    time: LogTime,
    record: Option<SiteRecord>,
    extras: RuleExtras,
    groups: BTreeMap<GroupKey, Group>,
}

impl RuleGathering {
    /// Nothing yet.
    pub fn new(site: SiteId, rule: RuleName) -> Self {
        let (time, extras) = (LogTime::default(), RuleExtras::default());
        Self { site, rule, time, record: None, extras, groups: BTreeMap::new() }
    }

    /// The beginnings of the keys of the entries that are needed. Other keys may begin so too; [`Self::take`] passes
    /// them over.
    pub fn prefixes(&self) -> [Vec<u8>; 4] {
        key::rule_prefixes(&self.site, &self.rule)
    }

    /// Takes an entry.
    ///
    /// # Errors
    ///
    /// If it can't be read.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), DecodeError> {
        let mut value = Reader::stored(value);
        Option::<String>::read(&mut value)?;
        match Key::read(key)? {
            Key::Clocks => self.time = LogTime::read(&mut value)?,
            Key::Site(_, site, entry) if site == self.site.as_str() => match entry {
                SiteEntry::Record => self.record = Some(SiteRecord::read(&mut value)?),
                SiteEntry::Extras(rule) if rule == self.rule.as_str() => self.extras = RuleExtras::read(&mut value)?,
                SiteEntry::Group(rule, group) if rule == self.rule.as_str() => {
                    self.groups.insert(GroupKey::from_slice(group), Group::read(&mut value)?);
                }
                _ => {}
            },
            Key::Site(..) => {}
        }
        Ok(())
    }

    /// The rule set that the site is judged by. None: the engine has no configuration of the site, or it is closed.
    pub fn digest(&self) -> Option<Sha256Digest> {
        self.record.as_ref().map(|record| record.digest)
    }

    /// What the entries tell of the rule by the site's rule set. None: as [`Self::digest`], or the set has no such rule.
    pub fn view(self, set: &RuleSet) -> Option<RuleView> {
        let Self { site: _, rule: name, time, record, extras, groups } = self;
        let record = record?;
        let rule = set.rules.iter().find(|rule| rule.name == name)?;
        let plan = Plan::new(rule);
        let now = record.watermark.unwrap_or(SiteMs::MIN);
        let silence = rule.signal.is_none().then_some(SilenceView {
            heard: record.heard_wall,
            is_firing: extras.blind.firing,
            suppressed_until: extras.blind.suppressed_until,
        });
        let view = |(key, group): (&GroupKey, &Group)| group.view(rule, &plan, key, now, record.absences_wait);
        Some(RuleView {
            as_of: time.wall().max(record.heard_wall),
            judged: record.watermark,
            span_ms: rule.condition.span_ms(),
            is_on: rule.signal.map(|signal| set.allowed(record.declared_types).contains(signal)),
            stands_still: record.absences_wait,
            groups: groups.iter().map(view).collect(),
            silence,
        })
    }
}

impl Group {
    fn view(&self, rule: &Rule, plan: &Plan, key: &GroupKey, now: SiteMs, stand_still: bool) -> GroupView {
        let episode = &self.episode;
        let is_open = episode.phase != Phase::Inactive;
        let next = self.deadlines(plan, stand_still).map(|(at, due)| {
            let next = match due {
                Deadline::Condition if episode.holds() => Next::Unmet,
                Deadline::Condition => Next::Met,
                Deadline::For => Next::ForOver,
                Deadline::Resolve => Next::ResolveOver,
                Deadline::Suppression => Next::SuppressionOver,
                Deadline::Worse => Next::Worse,
                Deadline::Forget | Deadline::Expiry => Next::Forgotten,
            };
            (at, next)
        });
        let mut next: Vec<(SiteMs, Next)> = next.collect();
        next.sort_unstable();
        GroupView {
            group: labels_of(rule, key),
            state: episode.row(),
            started_at: is_open.then_some(episode.started_at),
            count: if is_open { episode.count } else { 0 },
            held: episode.held,
            last_seen: Some(self.last_seen).filter(|at| *at != SiteMs::MIN),
            progress: self.condition.progress(&plan.condition, now),
            next,
        }
    }
}

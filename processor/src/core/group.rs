//! A group of a rule: its window, its episode, and the next moment at which time alone changes it.

use std::cmp::Ordering;
use std::ops::Deref;

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::batch::{Fields, Value};
use logystera_schemas::detection::Label;
use logystera_schemas::time::SiteMs;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::episode::{Episode, Event, Phase};
use super::evidence::{Evidence, read_present, write_present};
use super::program::{Plan, Watches};
use super::rule::{Rule, show};
use super::window::{Absence, Panes, Values};

/// What tells a group from the others of its rule: the `group_by` fields in order, each with the branch that says whether
/// it is there, in Avro's encoding. Ordered as its bytes are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupKey(SmallVec<[u8; 24]>);

impl GroupKey {
    /// The key with these bytes.
    pub fn from_slice(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }
}

impl Deref for GroupKey {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Ord for GroupKey {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let (own, others): (&[u8], &[u8]) = (self, other);
        // The head of a hash nearly always tells two keys apart, at the cost of one comparison.
        if let (Some((head, _)), Some((other_head, _))) = (own.split_first_chunk(), others.split_first_chunk()) {
            let heads = u64::from_be_bytes(*head).cmp(&u64::from_be_bytes(*other_head));
            if heads.is_ne() {
                return heads;
            }
        }
        own.cmp(others)
    }
}

impl PartialOrd for GroupKey {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Bytes that a group counts for besides what grows with it.
const GROUP_BYTES: usize = 96;

/// What a group remembers of its signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Matches in a window.
    Count(Panes),
    /// Different values in a window.
    Distinct(Values),
    /// The wait for a match.
    Absence(Absence),
}

/// One group.
#[derive(Clone, Debug)]
pub struct Group {
    /// What it remembers.
    pub watch: Watch,
    /// Where it stands.
    pub episode: Episode,
    /// Site time of its newest match.
    pub last_seen: SiteMs,
    /// Its newest matches.
    pub evidence: Evidence,
    /// Time of its entry among the site's deadlines, at or before its next deadline; `MAX` where it has none.
    pub scheduled: SiteMs,
    /// Rank of its entry in the order in which its rule's groups make room, at or before its own; none if it has no entry.
    pub queued: Option<Rank>,
    /// Whether it is among the changed ones.
    pub dirty: bool,
}

/// How gladly a group makes room, the lowest first: its class, and when it was last seen.
pub type Rank = (u8, SiteMs);

/// What a deadline of a group does. Those of one group at one time run in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// The condition becomes false, or, for an absence, true.
    Condition,
    /// The condition has held for long enough.
    For,
    /// The condition has been false for long enough.
    Resolve,
    /// The suppression ends.
    Suppression,
    /// Nothing is left to remember.
    Expiry,
}

/// What a match did to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// It lies outside the window.
    Outside,
    /// It was taken; the condition says what it said.
    Taken,
    /// It was taken and changes the condition.
    Turned(Event),
}

impl Group {
    /// A group that has seen nothing.
    pub fn new(watches: &Watches) -> Self {
        let watch = match watches {
            Watches::Count(_) => Watch::Count(Panes::default()),
            Watches::Distinct(..) => Watch::Distinct(Values::default()),
            Watches::Absence(..) | Watches::Blind(_) => Watch::Absence(Absence::default()),
        };
        Self {
            watch,
            episode: Episode::default(),
            last_seen: SiteMs::MIN,
            evidence: Evidence::default(),
            scheduled: SiteMs::MAX,
            queued: None,
            dirty: false,
        }
    }

    /// Takes a match at `at` that stands for so many, judged at `now`. `on` tells whether the site's operator has the signal type
    /// switched on.
    pub fn take(
        &mut self,
        plan: &Plan,
        fields: &Fields<'_>,
        (at, times): (SiteMs, u32),
        now: SiteMs,
        on: bool,
    ) -> Matched {
        let (clears_at, begins_with, counted) = match (&mut self.watch, &plan.watches) {
            (Watch::Count(panes), Watches::Count(size)) => {
                let Some(inside) = panes.add(at, times, now, size) else { return Matched::Outside };
                (panes.clears_at(size), inside, u64::from(times))
            }
            (Watch::Distinct(values), Watches::Distinct(field, size)) => {
                let Some(new) = values.add(value_key(&fields[*field]), at, now, size) else {
                    return Matched::Outside;
                };
                (values.clears_at(size), values.count() as u64, u64::from(new))
            }
            (Watch::Absence(absence), Watches::Absence(for_ms, _)) => {
                if at.plus(*for_ms) <= now {
                    return Matched::Outside;
                }
                absence.seen = true;
                self.last_seen = self.last_seen.max(at);
                if !on {
                    return Matched::Taken;
                }
                let base = absence.base.map_or(at, |base| base.max(at));
                absence.base = Some(base);
                return if self.episode.holds() { Matched::Turned(Event::False) } else { Matched::Taken };
            }
            // A group is made from its rule's plan, and dropped when that changes.
            _ => return Matched::Outside,
        };
        self.last_seen = self.last_seen.max(at);
        if self.episode.phase != Phase::Inactive {
            self.episode.count = self.episode.count.saturating_add(counted);
        }
        if clears_at.is_some_and(|clears| clears > now) && !self.episode.holds() {
            return Matched::Turned(Event::True { count: begins_with });
        }
        Matched::Taken
    }

    /// The next moment at which time alone changes the group. `waiting`: absences stand still.
    pub fn next(&self, plan: &Plan, waiting: bool) -> Option<(SiteMs, Due)> {
        let episode = &self.episode;
        let condition = match (&self.watch, &plan.watches) {
            (Watch::Count(panes), Watches::Count(size)) if episode.holds() => panes.clears_at(size),
            (Watch::Distinct(values), Watches::Distinct(_, size)) if episode.holds() => values.clears_at(size),
            (Watch::Absence(absence), Watches::Absence(for_ms, _)) if !episode.holds() && !waiting => {
                absence.base.map(|base| base.plus(*for_ms))
            }
            _ => None,
        };
        let phase = match episode.phase {
            Phase::Pending { for_at } => Some((for_at, Due::For)),
            Phase::Clearing { resolve_at } => Some((resolve_at, Due::Resolve)),
            Phase::Inactive | Phase::Firing => None,
        };
        let expiry = match (&self.watch, &plan.watches) {
            (Watch::Count(panes), Watches::Count(size)) if episode.is_idle() => Some(panes.empties_at(size)),
            (Watch::Distinct(values), Watches::Distinct(_, size)) if episode.is_idle() => Some(values.empties_at(size)),
            _ => None,
        };
        [
            condition.map(|at| (at, Due::Condition)),
            phase,
            episode.suppressed_until.map(|at| (at, Due::Suppression)),
            expiry.map(|at| (at, Due::Expiry)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// All times go back by `ms`; the site had reached `now`. The start of an episode stays: it names it.
    pub fn move_back(&mut self, ms: i64, now: SiteMs, plan: &Plan) {
        match (&mut self.watch, &plan.watches) {
            (Watch::Count(panes), Watches::Count(size)) => panes.move_back(ms, now, size),
            (Watch::Distinct(values), _) => values.move_back(ms),
            (Watch::Absence(absence), _) => absence.base = absence.base.map(|base| base.plus(-ms)),
            // A group is made from its rule's plan, and dropped when that changes.
            (Watch::Count(_), _) => {}
        }
        self.episode.move_back(ms);
        self.last_seen = self.last_seen.plus(-ms);
        self.evidence.move_back(ms);
    }

    /// Bytes that the group counts for against its site's bound.
    pub fn cost(&self, key: &GroupKey) -> usize {
        let watch = match &self.watch {
            Watch::Count(panes) => 8 * panes.count(),
            Watch::Distinct(values) => 24 * values.count(),
            Watch::Absence(_) => 0,
        };
        GROUP_BYTES + key.len() + watch + self.evidence.cost()
    }

    /// When it makes room for another group: idle ones first, firing ones last; among those alike the least recently seen.
    pub fn rank(&self) -> Rank {
        let class = match self.episode.phase {
            Phase::Inactive => u8::from(self.episode.suppressed_until.is_some()),
            Phase::Pending { .. } => 2,
            Phase::Firing | Phase::Clearing { .. } => 3 + u8::from(self.episode.announced),
        };
        (class, self.last_seen)
    }
}

/// The group that a signal belongs to.
pub fn key_of(rule: &Rule, fields: &Fields<'_>) -> GroupKey {
    if rule.group_by.is_empty() {
        return GroupKey::default();
    }
    // The usual case, a single hash, without a detour.
    if let [field] = rule.group_by.as_slice()
        && let Value::Hash(hash) = &fields[*field]
    {
        let mut key = [2; 17];
        key[1..].copy_from_slice(*hash);
        return GroupKey::from_slice(&key);
    }
    let mut to = Writer::new();
    rule.group_by.iter().for_each(|field| write_present(&mut to, &fields[*field]));
    GroupKey::from_slice(to.as_bytes())
}

/// The group's fields and values as a detection shows them.
pub fn labels_of(rule: &Rule, key: &[u8]) -> Vec<Label> {
    let Some(signal) = rule.signal else { return Vec::new() };
    let mut reader = Reader::new(key);
    let mut labels = Vec::new();
    for field in &rule.group_by {
        let def = &signal.def().fields[*field];
        let Ok(value) = read_present(&mut reader, &def.kind) else { break };
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = show(signal, *field, &value, &mut text);
        labels.push(Label { field: def.name.clone(), value: text });
    }
    labels
}

/// 16 bytes that stand for a value: a hash as it is, anything else by the head of its SHA-256.
fn value_key(value: &Value<'_>) -> [u8; 16] {
    if let Value::Hash(hash) = value {
        return **hash;
    }
    let mut to = Writer::new();
    write_present(&mut to, value);
    let digest: [u8; 32] = Sha256::digest(to.into_bytes()).into();
    let mut head = [0; 16];
    head.copy_from_slice(&digest[..16]);
    head
}

impl Datum for Watch {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Count(panes) => {
                to.long(0);
                panes.write(to);
            }
            Self::Distinct(values) => {
                to.long(1);
                values.write(to);
            }
            Self::Absence(absence) => {
                to.long(2);
                absence.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.index(3)? {
            0 => Self::Count(Panes::read(from)?),
            1 => Self::Distinct(Values::read(from)?),
            _ => Self::Absence(Absence::read(from)?),
        })
    }
}

impl Datum for Group {
    fn write(&self, to: &mut Writer) {
        self.watch.write(to);
        self.episode.write(to);
        self.last_seen.write(to);
        self.evidence.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            watch: Watch::read(from)?,
            episode: Episode::read(from)?,
            last_seen: SiteMs::read(from)?,
            evidence: Evidence::read(from)?,
            scheduled: SiteMs::MAX,
            queued: None,
            dirty: false,
        })
    }
}

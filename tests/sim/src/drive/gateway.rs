//! What a gateway tells senders after the log was put back: it recalls what the backup has, as `up` does at its start, and
//! answers batches of both histories. Nothing is called a duplicate that the log does not have, and what is gone can come again.

use std::collections::{BTreeMap, BTreeSet};

use logystera_ingest::core::recall::{Recall, Recalled};
use logystera_ingest::core::replay::{KeyStatus, Replay, Reserving, Seen, Try};
use logystera_processor::core::{KeyWindow, Known, SEMANTICS};
use logystera_schemas::ids::{BatchId, KeyId, Sha256Digest, SiteId, SpoolId};
use logystera_schemas::limits::{REPLAY_WINDOW, SPOOLS_MAX};
use logystera_schemas::topic::SignalsRecord;

use super::Difference;
use super::memory::Durable;
use crate::generate::{Log, PutBack};
use crate::input::{BatchIn, Input};
use crate::model::Model;
use crate::rng::Rng;

/// Batches that are gone and tried again, in percent.
const GONE_PERCENT: u64 = 40;
/// Beyond so many spools of a site, or keys of a spool, some may have been forgotten.
const SPOOLS_SURE: usize = 60;
const KEYS_SURE: usize = 4;
/// A spool that was heard within so many milliseconds is not forgotten.
const SURE_MS: i64 = 86_400_000;

/// How many batches got which answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Batches that were gone, and were let in again.
    pub gone_taken: u64,
    /// Other batches that were let in.
    pub taken: u64,
    /// Batches that the log has, by comparison.
    pub same: u64,
    /// Batches whose number the log has.
    pub duplicates: u64,
    /// Batches whose number another one has.
    pub conflicts: u64,
    /// Batches that nobody can tell anything of.
    pub below_window: u64,
}

impl Answers {
    /// Adds another run's.
    pub fn add(&mut self, other: Self) {
        self.gone_taken += other.gone_taken;
        self.taken += other.taken;
        self.same += other.same;
        self.duplicates += other.duplicates;
        self.conflicts += other.conflicts;
        self.below_window += other.below_window;
    }
}

/// A batch in the log.
#[derive(Debug)]
struct Stored {
    seq: u64,
    digest: Sha256Digest,
    key: KeyId,
    received_at: i64,
    /// Whether the engine took it, or will be asked to: it did not drop it.
    counts: bool,
}

/// The log as it is now, and who must not sign any more.
#[derive(Default)]
struct Left {
    model: Model,
    batches: BTreeMap<(SiteId, SpoolId), Vec<Stored>>,
    standing: BTreeMap<(SiteId, KeyId), KeyStatus>,
    closed: BTreeSet<SiteId>,
    /// Sites that were ever judged by the first semantics.
    first: BTreeSet<SiteId>,
    /// Sites that were closed once: their spools were forgotten.
    anew: BTreeSet<SiteId>,
}

impl Left {
    /// Batches of a site that the engine took, and those that it drops though a gateway is right to let them in: of what came under
    /// the first semantics it does not know the key, so that it may have no room, and what came under a stolen key binds its
    /// numbers there.
    fn taken(&self, site: &SiteId) -> Option<u64> {
        let (_, counts) = self.model.counts().find(|(id, _)| *id == site)?;
        let is_first = self.first.contains(site);
        let is_stolen = self.standing.iter().any(|((of, _), stands)| of == site && *stands == KeyStatus::Stolen);
        let crowded = if is_first { counts.spool_overflows } else { 0 };
        Some(counts.batches + crowded + if is_first && is_stolen { counts.conflicts + counts.below_window } else { 0 })
    }

    fn append(&mut self, input: &Input) {
        match input {
            Input::Batch(batch) => {
                let before = self.taken(&batch.site);
                self.model.apply(input);
                let counts = before.is_none() || self.taken(&batch.site) > before;
                let BatchIn { seq, digest, key, received_at, .. } = (**batch).clone();
                let stored = Stored { seq, digest, key, received_at, counts };
                self.batches.entry((batch.site.clone(), batch.spool)).or_default().push(stored);
                return;
            }
            Input::KeyRevoked(revoked) => {
                let standing = if revoked.stolen { KeyStatus::Stolen } else { KeyStatus::Revoked };
                self.standing.insert((revoked.site.clone(), revoked.key.clone()), standing);
            }
            Input::Configured(configured) => {
                self.closed.remove(&configured.site);
                self.first.extend((configured.semantics < SEMANTICS).then(|| configured.site.clone()));
            }
            Input::Closed(closed) => {
                self.closed.insert(closed.site.clone());
                self.anew.insert(closed.site.clone());
            }
            Input::Tick(_) | Input::Refused(_) => {}
        }
        self.model.apply(input);
    }

    fn stands(&self, site: &SiteId, key: &KeyId) -> KeyStatus {
        self.standing.get(&(site.clone(), key.clone())).copied().unwrap_or(KeyStatus::Good)
    }

    fn of_spool(&self, batch: &BatchIn) -> &[Stored] {
        self.batches.get(&(batch.site.clone(), batch.spool)).map_or(&[], Vec::as_slice)
    }

    fn spools_of(&self, site: &SiteId) -> usize {
        self.batches.keys().filter(|(of, _)| of == site).count()
    }

    /// Whether all that the log has of the batch's spool must be known to a gateway.
    fn is_sure(&self, batch: &BatchIn) -> bool {
        let keys: BTreeSet<&KeyId> = self.of_spool(batch).iter().map(|stored| &stored.key).collect();
        let stolen = keys.iter().any(|key| self.stands(&batch.site, key) == KeyStatus::Stolen);
        !stolen
            && self.spools_of(&batch.site) < SPOOLS_SURE
            && keys.len() < KEYS_SURE
            && !self.anew.contains(&batch.site)
    }

    /// What is wrong with this answer; none if it is right.
    fn fault(&self, batch: &BatchIn, seen: Seen) -> Option<&'static str> {
        let stored = self.of_spool(batch);
        let numbered = |s: &&Stored| s.seq == batch.seq;
        let is_same = |s: &Stored| s.counts && s.digest == batch.digest;
        match seen {
            Seen::Duplicate { same: true } if !stored.iter().filter(numbered).any(is_same) => {
                Some("it is told to be there, and the log does not count it")
            }
            // Of a spool too many the engine takes nothing, which a gateway that reads the log can't know.
            Seen::Duplicate { same: false }
                if self.spools_of(&batch.site) <= SPOOLS_MAX && !stored.iter().filter(numbered).any(|s| s.counts) =>
            {
                Some("its number is told to be there, and the log does not have it")
            }
            Seen::Conflict if !stored.iter().filter(numbered).any(|s| s.digest != batch.digest) => {
                Some("its number is told to be another one's, and the log has no other")
            }
            Seen::BelowWindow if !stored.iter().any(|s| s.seq > batch.seq.saturating_add(REPLAY_WINDOW)) => {
                Some("it is told to be too old, and the log has nothing newer")
            }
            Seen::New => {
                let newest = stored.iter().rev().find(|s| s.counts).filter(numbered);
                let known = newest.filter(|s| is_same(s) && batch.received_at - s.received_at < SURE_MS);
                known.filter(|_| self.is_sure(batch)).map(|_| "the log has it, and it is let in again")
            }
            _ if self.is_sure(batch) && stored.iter().all(|s| s.seq < batch.seq) => {
                Some("the log has nothing of its number and beyond, and it is turned away")
            }
            _ => None,
        }
    }
}

/// A gateway starts with what the backup has; then the batches of the history that is left come, and those that are gone.
pub(super) fn run(seed: u64, log: &Log, put_back: &PutBack, backup: &Durable) -> Result<Answers, Difference> {
    let mut rng = Rng::new(seed).part(12);
    let mut replay = recall(backup, rng.below(20)).map_err(|what| difference(None, what))?;
    let mut left = Left::default();
    log.bodies.iter().for_each(|body| left.model.learn(std::sync::Arc::clone(body)));
    log.inputs[..put_back.at].iter().for_each(|input| left.append(input));
    let gone: Vec<&BatchIn> = put_back.lost.iter().filter_map(batch_of).collect();
    let gone: Vec<&BatchIn> = gone.into_iter().filter(|_| rng.chance(GONE_PERCENT)).collect();
    let (mut gone, mut answers) = (gone.into_iter().peekable(), Answers::default());
    for (place, input) in log.inputs.iter().enumerate().skip(put_back.at) {
        let Some(batch) = batch_of(input) else {
            left.append(input);
            continue;
        };
        while rng.chance(50)
            && let Some(again) = gone.next()
        {
            let again = BatchIn { received_at: batch.received_at, ..again.clone() };
            answer(&mut replay, &mut left, &again, true, &mut answers).map_err(|what| difference(Some(place), what))?;
        }
        answer(&mut replay, &mut left, batch, false, &mut answers).map_err(|what| difference(Some(place), what))?;
    }
    Ok(answers)
}

fn batch_of(input: &Input) -> Option<&BatchIn> {
    if let Input::Batch(batch) = input { Some(batch) } else { None }
}

/// What a starting gateway remembers: the windows of the engine's state, and the records behind its position and some before.
fn recall(backup: &Durable, further_back: u64) -> Result<Replay, String> {
    let (mut replay, mut recall) = (Replay::new(), Recall::default());
    for (key, value) in &backup.state {
        match Known::of(key, value).map_err(|e| e.to_string())? {
            Some(Known::StolenKeys(site, keys)) => keys.into_iter().for_each(|key| recall.key_stolen(&site, key)),
            Some(Known::Spool(site, id, windows, last)) => {
                for KeyWindow { key, window, .. } in windows {
                    replay.restore(&site, id, key.as_ref(), window, last.0);
                }
            }
            None => {}
        }
    }
    let from = backup.position.saturating_sub(further_back);
    for record in backup.input.iter().filter(|record| record.offset >= from) {
        let Ok(decoded) = SignalsRecord::decode(&record.value) else { continue };
        if let Some(recalled) = Recalled::of(decoded, record.offset < backup.position) {
            recall.take(&mut replay, recalled);
        }
    }
    Ok(replay)
}

/// Answers a batch; what is let in is in the log then.
fn answer(
    replay: &mut Replay,
    left: &mut Left,
    batch: &BatchIn,
    is_gone: bool,
    answers: &mut Answers,
) -> Result<(), String> {
    let BatchIn { site, key, spool, seq, digest, received_at, .. } = batch;
    // Who may not speak is turned away before.
    if left.closed.contains(site) || left.stands(site, key) != KeyStatus::Good {
        return Ok(());
    }
    let id = BatchId { spool: *spool, seq: *seq };
    let asked = Try { site, key, batch: id, digest, now_ms: *received_at };
    let keyring = |key: &KeyId| left.stands(site, key);
    let seen = match replay.reserve(&asked, &keyring) {
        Reserving::Append => Seen::New,
        Reserving::Known(seen) => seen,
        Reserving::Wait => return Err(format!("{site} {spool}.{seq}: its number is reserved, and nobody has it")),
    };
    if let Some(fault) = left.fault(batch, seen) {
        return Err(format!("{batch}\n{seen:?}: {fault}; was it gone: {is_gone}"));
    }
    match seen {
        Seen::New => {
            replay.settle(site, id, true, *received_at);
            left.append(&Input::Batch(Box::new(batch.clone())));
            *if is_gone { &mut answers.gone_taken } else { &mut answers.taken } += 1;
        }
        Seen::Duplicate { same: true } => answers.same += 1,
        Seen::Duplicate { same: false } => answers.duplicates += 1,
        Seen::Conflict => answers.conflicts += 1,
        Seen::BelowWindow => answers.below_window += 1,
        Seen::TooManySpools => {}
    }
    Ok(())
}

fn difference(place: Option<usize>, what: String) -> Difference {
    let drive = "at the gateway, with the log put back";
    Difference { drive, place, expected: Vec::new(), got: Vec::new(), what }
}

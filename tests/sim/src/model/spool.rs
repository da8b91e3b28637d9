//! A spool (design, section 3, "The replay check", and section 5, "Site time"): which batches are new, and whether the
//! watermark waits for it.

use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::ids::{KeyId, Sha256Digest};

/// Batch numbers below the highest that are told apart.
const WINDOW: u64 = 1_024;
/// Newest batch numbers whose digests are known.
const DIGESTS: usize = 64;
/// Keys of a spool whose batches are known.
const KEYS: usize = 4;
/// A spool is forgotten so long after its last batch.
const FORGOTTEN_AFTER: i64 = 8 * 24 * 3_600_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// What a batch is to its spool. The one that comes first here wins, if several keys' batches say different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The number was seen with another body: nothing changes.
    Conflict,
    /// Seen before: nothing changes.
    Duplicate,
    /// Too old to tell: nothing changes.
    BelowWindow,
    /// Not seen before.
    New,
}

/// Every batch ever accepted that was signed with one key.
#[derive(Debug)]
struct Signed {
    /// The key; none for what was accepted while keys were not told apart.
    key: Option<KeyId>,
    /// Whether it was revoked since.
    revoked: bool,
    /// (number, digest) of each batch, in the order of the log.
    accepted: Vec<(u64, Sha256Digest)>,
}

/// Every batch ever accepted of one spool, and when it was heard.
#[derive(Debug)]
pub struct Spool {
    /// By key, the one that was used last at the end.
    signed: Vec<Signed>,
    /// The highest `through`, in site time.
    pub through: i64,
    /// How often it promises to speak, in seconds, by its last batch.
    pub flush_every_s: i64,
    /// What is switched on, as far as its site has got.
    pub enabled: SignalTypes,
    /// What its last batch said is switched on.
    pub said_enabled: SignalTypes,
    /// Wall time of its last batch.
    pub last_batch_wall: i64,
    /// Open time at which another spool of the site was first heard after it, or, where the whole site was cut off since,
    /// after that; none where none was.
    pub silent_from: Option<i64>,
    /// Whether that was after the whole site had been cut off: silent for more than two minutes, or over a gap in the ticks.
    pub after_outage: bool,
    /// How much longer it is waited for after that; none where the rules of before chose it.
    pub pause: Option<i64>,
    /// Whether its last batch said that none comes any more.
    pub ended: bool,
}

impl Spool {
    /// A spool of which nothing is known yet.
    pub fn unheard() -> Self {
        Self {
            signed: Vec::new(),
            through: i64::MIN,
            flush_every_s: 0,
            enabled: SignalTypes::default(),
            said_enabled: SignalTypes::default(),
            last_batch_wall: 0,
            silent_from: None,
            after_outage: false,
            pause: None,
            ended: false,
        }
    }

    /// What a batch with this number and digest is.
    pub fn judge(&self, seq: u64, digest: Sha256Digest) -> Verdict {
        self.signed.iter().map(|signed| signed.judge(seq, digest)).min().unwrap_or(Verdict::New)
    }

    /// Takes a new batch's number.
    pub fn accept(&mut self, key: Option<KeyId>, seq: u64, digest: Sha256Digest) {
        let known = self.signed.iter().position(|signed| signed.key == key).map(|place| self.signed.remove(place));
        if known.is_none() && self.signed.len() == KEYS {
            self.signed.remove(0);
        }
        let mut signed = known.unwrap_or(Signed { key, revoked: false, accepted: Vec::new() });
        signed.accepted.push((seq, digest));
        self.signed.push(signed);
    }

    /// A key was revoked: what a stolen one signed is forgotten. Gives whether nothing is known of the spool then.
    pub fn revoke(&mut self, key: &KeyId, stolen: bool) -> bool {
        let is_it = |signed: &Signed| signed.key.as_ref() == Some(key);
        if stolen {
            self.signed.retain(|signed| !is_it(signed));
        }
        self.signed.iter_mut().filter(|signed| is_it(signed)).for_each(|signed| signed.revoked = true);
        self.signed.is_empty()
    }

    /// Whether all that is known of it was signed with keys that are revoked.
    pub fn is_revoked(&self) -> bool {
        self.signed.iter().all(|signed| signed.revoked)
    }

    /// Whether the watermark waits for it: it does until its silence exceeds three flushes (2 minutes to 1 hour), and its
    /// sender's pause more after an outage of the whole site: under the first rules, or where these chose it, an hour. Its
    /// silence is counted while others are heard: up to `heard`, the open time at which a spool of the site was last heard.
    pub fn is_live(&self, heard: i64, is_second: bool) -> bool {
        let pause = if self.after_outage { self.pause.filter(|_| is_second).unwrap_or(HOUR) } else { 0 };
        let limit = (3 * 1_000 * self.flush_every_s).clamp(2 * MINUTE, HOUR) + pause;
        self.silent_from.is_none_or(|from| heard - from <= limit)
    }

    /// Whether it is so long silent that it counts no more.
    pub fn is_forgotten(&self, wall: i64) -> bool {
        wall - self.last_batch_wall > FORGOTTEN_AFTER
    }

    /// Whether it may go to make room for another: it has ended, or has been silent for an hour.
    pub fn gives_way(&self, wall: i64) -> bool {
        self.ended || wall - self.last_batch_wall >= HOUR
    }
}

impl Signed {
    fn judge(&self, seq: u64, digest: Sha256Digest) -> Verdict {
        let mut numbers: Vec<u64> = self.accepted.iter().map(|(n, _)| *n).collect();
        numbers.sort_unstable();
        let Some(highest) = numbers.last() else { return Verdict::New };
        if seq.saturating_add(WINDOW) < *highest {
            return Verdict::BelowWindow;
        }
        let newest = &numbers[numbers.len().saturating_sub(DIGESTS)..];
        match self.accepted.iter().find(|(n, _)| *n == seq) {
            None => Verdict::New,
            Some((_, known)) if newest.contains(&seq) && *known != digest => Verdict::Conflict,
            Some(_) => Verdict::Duplicate,
        }
    }
}

/// How much longer a spool is waited for that was cut off with its whole site for `outage`: a sender's pauses double, so that
/// the next one is hardly longer than twice the outage; and one that was never heard before mostly stands for all of them.
pub fn pause_after(outage: i64, is_new: bool) -> i64 {
    let most = if is_new { 10 * MINUTE } else { HOUR };
    most.min(2 * outage.max(0) + MINUTE)
}

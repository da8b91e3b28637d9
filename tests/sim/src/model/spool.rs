//! A spool (design, section 3, "The replay check", and section 5, "Site time"): which batches are new, and whether the
//! watermark waits for it.

use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::ids::Sha256Digest;

/// Batch numbers below the highest that are told apart.
const WINDOW: u64 = 1_024;
/// Newest batch numbers whose digests are known.
const DIGESTS: usize = 64;
/// A spool is forgotten so long after its last batch.
const FORGOTTEN_AFTER: i64 = 8 * 24 * 3_600_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// What a batch is to its spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not seen before.
    New,
    /// Seen before: nothing changes.
    Duplicate,
    /// The number was seen with another body: nothing changes.
    Conflict,
    /// Too old to tell: nothing changes.
    BelowWindow,
}

/// Every batch ever accepted of one spool, and when it was heard.
#[derive(Debug)]
pub struct Spool {
    /// (number, digest) of each batch, in the order of the log.
    accepted: Vec<(u64, Sha256Digest)>,
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
}

impl Spool {
    /// A spool of which nothing is known yet.
    pub fn unheard() -> Self {
        Self {
            accepted: Vec::new(),
            through: i64::MIN,
            flush_every_s: 0,
            enabled: SignalTypes::default(),
            said_enabled: SignalTypes::default(),
            last_batch_wall: 0,
            silent_from: None,
            after_outage: false,
        }
    }

    /// What a batch with this number and digest is.
    pub fn judge(&self, seq: u64, digest: Sha256Digest) -> Verdict {
        let mut numbers: Vec<u64> = self.accepted.iter().map(|(n, _)| *n).collect();
        numbers.sort_unstable();
        let Some(highest) = numbers.last() else { return Verdict::New };
        if seq + WINDOW < *highest {
            return Verdict::BelowWindow;
        }
        let newest = &numbers[numbers.len().saturating_sub(DIGESTS)..];
        match self.accepted.iter().find(|(n, _)| *n == seq) {
            None => Verdict::New,
            Some((_, known)) if newest.contains(&seq) && *known != digest => Verdict::Conflict,
            Some(_) => Verdict::Duplicate,
        }
    }

    /// Takes a new batch's number.
    pub fn accept(&mut self, seq: u64, digest: Sha256Digest) {
        self.accepted.push((seq, digest));
    }

    /// Whether the watermark waits for it: it does until its silence exceeds three flushes (2 minutes to 1 hour), and an
    /// hour more after an outage of the whole site. Its silence is counted while others are heard: up to `heard`, the open
    /// time at which a spool of the site was last heard.
    pub fn is_live(&self, heard: i64) -> bool {
        let limit = (3 * 1_000 * self.flush_every_s).clamp(2 * MINUTE, HOUR) + if self.after_outage { HOUR } else { 0 };
        self.silent_from.is_none_or(|from| heard - from <= limit)
    }

    /// Whether it is so long silent that it counts no more.
    pub fn is_forgotten(&self, wall: i64) -> bool {
        wall - self.last_batch_wall > FORGOTTEN_AFTER
    }
}

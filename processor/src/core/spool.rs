//! The spools of a site: what each has said, and which of them the watermark waits for.

use logystera_schemas::avro_record;
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::limits::SPOOL_FORGOTTEN_MS;
use logystera_schemas::replay::ReplayWindow;
use logystera_schemas::time::{OpenMs, SiteMs, WallMs};

/// A spool is given three of its own flush intervals.
pub const FLUSHES: i64 = 3;
/// But at least this long, in milliseconds.
const LIVENESS_MS_MIN: i64 = 120_000;
/// And at most this long, in milliseconds.
const LIVENESS_MS_MAX: i64 = 3_600_000;
/// The longest pause of a sender: its backoff, in milliseconds.
pub const SENDER_PAUSE_MS_MAX: i64 = 3_600_000;
/// A site that was silent for longer than this was cut off as a whole, in milliseconds.
const SITE_SILENT_MS: i64 = 120_000;

avro_record! {
    /// Since when a spool is silent while others are heard.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Outlived {
        /// When.
        pub at: OpenMs,
        /// Whether the whole site had been cut off before.
        pub after_outage: bool,
    }
}

avro_record! {
    /// What is known of one spool. Lives until 8 days after its last batch.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Spool {
        /// The batches seen.
        pub window: ReplayWindow,
        /// Its watermark in site time.
        pub through: SiteMs,
        /// How often it promises to speak.
        pub flush_every_s: u32,
        /// Signal types that are switched on by what was judged of it.
        pub enabled: SignalTypes,
        /// Signal types that its newest batch says are switched on.
        pub said: SignalTypes,
        /// Wall time of its last batch.
        pub last_batch: WallMs,
        /// Set while another spool has been heard since this one was.
        pub outlived: Option<Outlived>,
    }
}

impl Spool {
    /// Whether the watermark waits for it, with the site last heard at `heard`: it does until its silence exceeds three
    /// flushes, and an hour more after an outage of the whole site. Its silence counts only while others are heard.
    pub fn is_live(&self, heard: OpenMs) -> bool {
        let Some(outlived) = self.outlived else { return true };
        let flushes_ms = FLUSHES * 1_000 * i64::from(self.flush_every_s);
        let pause_ms = if outlived.after_outage { SENDER_PAUSE_MS_MAX } else { 0 };
        heard.since(outlived.at) <= flushes_ms.clamp(LIVENESS_MS_MIN, LIVENESS_MS_MAX) + pause_ms
    }

    /// Whether its last batch is so long ago that it can be forgotten.
    pub fn is_forgotten(&self, wall: WallMs) -> bool {
        wall.since(self.last_batch) > SPOOL_FORGOTTEN_MS
    }

    /// Another spool was heard. Its silence is counted from the first time, or, where the whole site was cut off since and
    /// it was live until then, anew from the first time after that. Gives whether anything changed.
    pub fn other_heard(&mut self, heard: &Heard) -> bool {
        let starts = match self.outlived {
            None => true,
            Some(before) => heard.after_outage && !before.after_outage && self.is_live(heard.last),
        };
        if starts {
            self.outlived = Some(Outlived { at: heard.now, after_outage: heard.after_outage });
        }
        starts
    }
}

/// A sign of life of a site, and the one before.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Open time of it.
    pub now: OpenMs,
    /// Open time of the one before.
    pub last: OpenMs,
    /// Whether the whole site was cut off between them.
    after_outage: bool,
}

impl Heard {
    /// A site that was last heard at `last` is heard at `now`; the newest gap in the ticks ended at `gap_end`.
    pub fn new(last: OpenMs, now: OpenMs, gap_end: Option<OpenMs>) -> Self {
        let after_outage = now.since(last) > SITE_SILENT_MS || gap_end.is_some_and(|end| end > last);
        Self { now, last, after_outage }
    }
}

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
    /// The moment at which another spool of the site was first heard after this one.
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
    /// Open time from which on the spool no longer holds the watermark back; none while it is the newest heard.
    pub fn dead_from(&self) -> Option<OpenMs> {
        let flushes_ms = FLUSHES * 1_000 * i64::from(self.flush_every_s);
        let outlived = self.outlived?;
        let pause_ms = if outlived.after_outage { SENDER_PAUSE_MS_MAX } else { 0 };
        // Silence must exceed the limit, hence the millisecond more.
        Some(outlived.at.plus(flushes_ms.clamp(LIVENESS_MS_MIN, LIVENESS_MS_MAX) + pause_ms + 1))
    }

    /// Whether the watermark waits for it.
    pub fn is_live(&self, open: OpenMs) -> bool {
        self.dead_from().is_none_or(|dead| open < dead)
    }

    /// Whether its last batch is so long ago that it can be forgotten.
    pub fn is_forgotten(&self, wall: WallMs) -> bool {
        wall.since(self.last_batch) > SPOOL_FORGOTTEN_MS
    }

    /// Another spool was heard at `open`, after the site had been silent for `site_silent_ms`.
    pub fn other_heard(&mut self, open: OpenMs, site_silent_ms: i64) -> bool {
        let first = self.outlived.is_none();
        if first {
            self.outlived = Some(Outlived { at: open, after_outage: site_silent_ms > SITE_SILENT_MS });
        }
        first
    }
}

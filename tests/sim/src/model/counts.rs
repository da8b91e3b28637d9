//! What became of a site's batches and signals, counted from its start.

/// The counts, as the engine exports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Batches that were taken.
    pub batches: u64,
    /// Batches that had been taken before.
    pub duplicates: u64,
    /// Batches with the number of another one.
    pub conflicts: u64,
    /// Batches too old to tell.
    pub below_window: u64,
    /// Batches of a spool for which there was no room.
    pub spool_overflows: u64,
    /// Spools that made room for another.
    pub spools_evicted: u64,
    /// Batches that lay ahead and were shifted back.
    pub shifted: u64,
    /// Signals that lay ahead of an otherwise punctual batch.
    pub cut: u64,
    /// Signals at or below the watermark.
    pub late: u64,
    /// Times that the site's time started anew.
    pub time_resets: u64,
    /// Batches under a key of which it was known that it was stolen.
    pub stolen: u64,
}

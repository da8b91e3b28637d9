//! What waits until its minute is over.

/// A signal that a metric counted.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// The moment of site time that it counts for.
    pub(super) at: i64,
    /// Name, revision, labels and ends of the metric.
    pub(super) of: (String, String, Vec<String>, Vec<i64>),
    /// For each label, where its value stands among all, and the value.
    pub(super) values: Vec<(usize, String)>,
    /// The number, of a distribution.
    pub(super) number: Option<i64>,
    /// How many it stands for.
    pub(super) times: u64,
    /// Whether the watermark had passed it.
    pub(super) is_late: bool,
}

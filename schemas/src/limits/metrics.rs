//! What metrics may ask for, and keep for a site.

use super::{KAFKA_RECORD_BYTES_MAX, NAME_CHARS_MAX};

/// Metrics of one rule set.
pub const METRICS_MAX: usize = 100;
/// Characters of a metric's name.
pub const METRIC_NAME_CHARS_MAX: usize = 64;
/// Series of one metric: all that the values of its labels can make of it (design, section 6).
pub const METRIC_SERIES_MAX: usize = 1_000;
/// Series of all metrics of a site.
pub const SITE_SERIES_MAX: usize = 5_000;
/// Labels of one metric.
pub const METRIC_LABELS_MAX: usize = 4;
/// Buckets of a distribution, without the one for all that lies above them.
pub const METRIC_BUCKETS_MAX: usize = 20;
/// Minutes of which a site has counts in memory: the open one, and the one that is being written.
pub const OPEN_MINUTES_MAX: usize = 2;
/// Bytes of series in one record of topic `series`: what is more goes on in another one.
pub const POINTS_BYTES_MAX: usize = 512 << 10;

const _: () = assert!(METRIC_SERIES_MAX <= SITE_SERIES_MAX, "one metric fits its site");
const _: () = assert!(METRIC_SERIES_MAX <= u16::MAX as usize, "a series is a u16 among those of its metric");
const _: () = assert!(METRIC_NAME_CHARS_MAX <= NAME_CHARS_MAX, "a metric is named as everything else is");
const _: () = assert!(2 * POINTS_BYTES_MAX <= KAFKA_RECORD_BYTES_MAX, "the last series of a record may reach over it");

//! Topic `series`: what the metrics of a site counted, minute by minute. Key: the site.

use crate::avro_record;
use crate::ids::{SiteId, TenantId};
use crate::schema::{Kind, TopicRecord};
use crate::time::SiteMs;

/// Milliseconds of a point's minute.
pub const MINUTE_MS: i64 = 60_000;
/// Value of a label for what its metric does not declare.
pub const OTHER: &str = "other";
/// Value of a label for a signal that lacks the field.
pub const NONE: &str = "none";

avro_record! {
    /// A series of a metric, and what it counted.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SeriesPoint {
        /// A value of each label, in their order.
        pub values: Vec<String>,
        /// Signals that were counted, those of `late` among them.
        pub count: u64,
        /// How many of them came after the watermark had passed their time.
        pub late: u64,
        /// Sum of a distribution's values, held at the ends of its range; 0 of a counter.
        pub sum: i64,
        /// How many values lie in each bucket of a distribution; the last one is for those above all ends. Empty of a
        /// counter.
        pub buckets: Vec<u64>,
    }
}

avro_record! {
    /// What a metric counted.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct MetricPoints {
        /// Its name.
        pub name: String,
        /// 12 hex digits of its canonical form.
        pub revision: String,
        /// Its labels: fields of the signal.
        pub labels: Vec<String>,
        /// Upper ends of a distribution's buckets, rising. Empty: it is a counter.
        pub ends: Vec<i64>,
        /// The series that have a value, in the order of their labels' values as the metric declares them.
        pub series: Vec<SeriesPoint>,
    }
}

avro_record! {
    /// What the metrics of a site counted within a minute of site time. Written by the engine in its transaction once the
    /// watermark has passed the minute, all parts together, and kept as long as the topic is. The same log gives the same
    /// bytes. No record: nothing was counted, which is not zero.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Points {
        /// Tenant.
        pub tenant: TenantId,
        /// Site.
        pub site: SiteId,
        /// Id of the key that the values are encrypted under.
        pub encryption_key: Option<String>,
        /// When the minute begins.
        pub minute: SiteMs,
        /// How often the site's time had started anew: records of one minute that differ in it are to be added up.
        pub resets: u64,
        /// Number of this part, from 1.
        pub part: u32,
        /// How many parts the minute has.
        pub parts: u32,
        /// The metrics that counted something, by name, then revision.
        pub metrics: Vec<MetricPoints>,
    }
}

impl TopicRecord for Points {
    const KIND: Kind = Kind::Points;
}

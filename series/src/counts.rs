//! What a metric has counted in the open minute, and how that becomes points.

use std::collections::BTreeMap;

use logystera_ruleset::Metric;
use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::avro_record;
use logystera_schemas::series::{MetricPoints, SeriesPoint};

use crate::plan::MetricPlan;

avro_record! {
    /// What one series has counted.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Tally {
        pub(crate) count: u64,
        pub(crate) late: u64,
        pub(crate) sum: i64,
        /// For each bucket; none of a counter.
        pub(crate) buckets: Vec<u64>,
    }
}

/// What the series of one metric have counted: those that have something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<u16, Tally>);

/// What is stored of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Of a metric that the site has.
    Live {
        /// Number of the minute.
        minute: i64,
        /// Its counts.
        counts: Counts,
    },
    /// Of one that an edit took away within the minute.
    Gone {
        /// Number of the minute.
        minute: i64,
        /// Its points.
        points: MetricPoints,
    },
}

impl Counts {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts a signal that stands for `times`; `value` is a distribution's, with the ends of its buckets.
    #[inline]
    pub(crate) fn add(&mut self, series: u16, times: u64, is_late: bool, value: Option<(i64, &[i64])>) {
        let count = self.0.entry(series).or_default();
        count.count = count.count.saturating_add(times);
        if is_late {
            count.late = count.late.saturating_add(times);
        }
        let Some((value, ends)) = value else { return };
        let times_signed = i64::try_from(times).unwrap_or(i64::MAX);
        count.sum = count.sum.saturating_add(value.saturating_mul(times_signed));
        if count.buckets.is_empty() {
            count.buckets.resize(ends.len() + 1, 0);
        }
        let bucket = &mut count.buckets[ends.partition_point(|end| *end < value)];
        *bucket = bucket.saturating_add(times);
    }

    /// The points of a metric whose counts these are.
    pub(crate) fn points(self, metric: &Metric, plan: &MetricPlan) -> MetricPoints {
        let fields = &metric.signal.def().fields;
        let point = |(series, count): (u16, Tally)| {
            let Tally { count, late, sum, buckets } = count;
            SeriesPoint { values: plan.values(series), count, late, sum, buckets }
        };
        MetricPoints {
            name: metric.name.clone(),
            revision: metric.revision.clone(),
            labels: metric.labels.iter().map(|label| fields[label.field].name.clone()).collect(),
            ends: metric.kind.ends().to_vec(),
            series: self.0.into_iter().map(point).collect(),
        }
    }

    /// The counts that became these points, which are of the same metric.
    pub(crate) fn of_points(points: MetricPoints, plan: &MetricPlan) -> Self {
        let count = |point: SeriesPoint| {
            let SeriesPoint { values, count, late, sum, buckets } = point;
            Some((plan.series_with(&values)?, Tally { count, late, sum, buckets }))
        };
        Self(points.series.into_iter().filter_map(count).collect())
    }
}

impl Datum for Counts {
    fn write(&self, to: &mut Writer) {
        to.long(self.0.len() as i64);
        for (series, count) in &self.0 {
            series.write(to);
            count.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.block()?;
        (0..len).map(|_| Ok((u16::read(from)?, Tally::read(from)?))).collect::<Result<_, _>>().map(Self)
    }
}

impl Datum for Stored {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Live { minute, counts } => {
                to.long(0);
                to.long(*minute);
                counts.write(to);
            }
            Self::Gone { minute, points } => {
                to.long(1);
                to.long(*minute);
                points.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (branch, minute) = (from.index(2)?, from.long()?);
        Ok(match branch {
            0 => Self::Live { minute, counts: Counts::read(from)? },
            _ => Self::Gone { minute, points: MetricPoints::read(from)? },
        })
    }
}

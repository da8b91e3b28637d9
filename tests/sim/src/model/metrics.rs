//! What a site's metrics count: each signal is kept until its minute is over, then all are counted anew.

use std::collections::{BTreeMap, BTreeSet};

use logystera_processor::core::{LabelValues, Metric, MetricKind, MetricLabel};
use logystera_schemas::catalogue::FieldKind;
use logystera_schemas::series::{MetricPoints, Points, SeriesPoint};
use logystera_schemas::time::SiteMs;

use super::measured::Measured;
use super::show;
use super::site::Site;
use crate::input::{Field, SignalIn};

const MINUTE: i64 = 60_000;

impl Site {
    /// Lets each metric have a signal of site time `at`. What the watermark has passed counts for the moment after it.
    pub(super) fn measure(&mut self, at: i64, signal: &SignalIn) {
        // What the engine makes is of the moment, and nothing counts before the first batch.
        let is_made = !signal.kind.is_sent();
        if is_made && self.watermark.is_none() {
            return;
        }
        let is_passed = self.watermark.is_some_and(|reached| at <= reached);
        let at = if is_passed { self.now() + 1 } else { at };
        let fields = &signal.kind.def().fields;
        let repeats = fields.iter().position(|field| field.name == "repeats");
        let times = match repeats.map(|place| &signal.fields[place]) {
            Some(Field::Int(times)) => *times as u64,
            _ => 1,
        };
        for metric in self.rules.metrics.iter().filter(|metric| metric.signal == signal.kind) {
            let number = match metric.kind {
                MetricKind::Counter => None,
                MetricKind::Distribution { field, .. } => match signal.fields[field] {
                    Field::Int(number) => Some(number),
                    _ => continue,
                },
            };
            if show::passes(&metric.filter, &signal.fields) {
                let labels = metric.labels.iter().map(|label| fields[label.field].name.clone()).collect();
                let of = (metric.name.clone(), metric.revision.clone(), labels, ends(metric));
                let values =
                    metric.labels.iter().map(|label| value(metric, label, &signal.fields[label.field])).collect();
                let is_late = is_passed && !is_made;
                self.measured.push(Measured { at, of, values, number, times, is_late });
            }
        }
    }

    /// The watermark has reached `to`: the minutes that lie before it are over.
    pub(super) fn end_minutes(&mut self, to: i64) {
        let over =
            |measured: &Measured| (measured.at.div_euclid(MINUTE) + 1).saturating_mul(MINUTE) <= to.saturating_add(1);
        let minutes: BTreeSet<i64> =
            self.measured.iter().filter(|m| over(m)).map(|m| m.at.div_euclid(MINUTE)).collect();
        for minute in minutes {
            let (of_minute, rest): (Vec<Measured>, Vec<Measured>) =
                std::mem::take(&mut self.measured).into_iter().partition(|m| m.at.div_euclid(MINUTE) == minute);
            self.measured = rest;
            let mut metrics = BTreeMap::new();
            for measured in of_minute {
                metrics.entry(measured.of.clone()).or_insert_with(Vec::new).push(measured);
            }
            self.points.push(Points {
                tenant: self.config.tenant.clone(),
                site: self.id.clone(),
                encryption_key: None,
                minute: SiteMs(minute * MINUTE),
                resets: self.counts.time_resets,
                part: 1,
                parts: 1,
                metrics: metrics.into_iter().map(|(of, measured)| points(of, measured)).collect(),
            });
        }
    }
}

fn points((name, revision, labels, ends): (String, String, Vec<String>, Vec<i64>), all: Vec<Measured>) -> MetricPoints {
    let mut by_series: BTreeMap<Vec<(usize, String)>, Vec<Measured>> = BTreeMap::new();
    for measured in all {
        by_series.entry(measured.values.clone()).or_default().push(measured);
    }
    let series = by_series.into_iter().map(|(values, of_series)| {
        let times_of = |which: &dyn Fn(&Measured) -> bool| of_series.iter().filter(|m| which(m)).map(|m| m.times).sum();
        let lies_in = |bucket: usize, m: &Measured| {
            let number = m.number.unwrap_or_default();
            let above = bucket.checked_sub(1).is_none_or(|before| number > ends[before]);
            above && ends.get(bucket).is_none_or(|end| number <= *end)
        };
        let buckets = if ends.is_empty() { 0 } else { ends.len() + 1 };
        SeriesPoint {
            values: values.into_iter().map(|(_, value)| value).collect(),
            count: times_of(&|_| true),
            late: times_of(&|m| m.is_late),
            sum: of_series.iter().map(|m| m.number.unwrap_or(0) * m.times as i64).sum(),
            buckets: (0..buckets).map(|bucket| times_of(&|m| lies_in(bucket, m))).collect(),
        }
    });
    let series = series.collect();
    MetricPoints { name, revision, labels, ends, series }
}

fn ends(metric: &Metric) -> Vec<i64> {
    match &metric.kind {
        MetricKind::Counter => Vec::new(),
        MetricKind::Distribution { ends, .. } => ends.clone(),
    }
}

/// A label's value, and where it stands: those that are declared in their order, then `other`, then `none`.
fn value(metric: &Metric, label: &MetricLabel, field: &Field) -> (usize, String) {
    let kind = &metric.signal.def().fields[label.field].kind;
    let symbols = match kind {
        FieldKind::Enum(symbols) => symbols.as_slice(),
        _ => &[],
    };
    let declared: Vec<(Field, String)> = match &label.values {
        LabelValues::All if *kind == FieldKind::Bool => {
            [false, true].map(|truth| (Field::Bool(truth), truth.to_string())).to_vec()
        }
        LabelValues::All => (0..).zip(symbols).map(|(place, name)| (Field::Enum(place), name.clone())).collect(),
        LabelValues::Symbols(mask) => (0..)
            .zip(symbols)
            .filter(|(place, _)| mask >> place & 1 == 1)
            .map(|(place, name)| (Field::Enum(place), name.clone()))
            .collect(),
        LabelValues::Truth(truth) => vec![(Field::Bool(*truth), truth.to_string())],
        LabelValues::Numbers(numbers) => numbers.iter().map(|n| (Field::Int(*n), n.to_string())).collect(),
        LabelValues::Idents(idents) => idents.iter().map(|text| (Field::Ident(text.clone()), text.clone())).collect(),
        LabelValues::Ranges(ranges) => {
            let Field::Int(number) = field else { return (usize::MAX, "none".to_owned()) };
            let found = ranges.iter().position(|range| range.min <= *number && *number <= range.max);
            return found.map_or((ranges.len(), "other".to_owned()), |place| (place, ranges[place].name.clone()));
        }
    };
    if *field == Field::Absent {
        return (usize::MAX, "none".to_owned());
    }
    let found = declared.iter().position(|(known, _)| known == field);
    found.map_or((declared.len(), "other".to_owned()), |place| (place, declared[place].1.clone()))
}

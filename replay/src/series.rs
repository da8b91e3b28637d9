//! Topic `series`, read for people: the points of one metric of a site, minute by minute or gathered in longer steps.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use logystera_infra::log::{LogError, Record};
use logystera_infra::reading::{Reading, each_record_of};
use logystera_schemas::calendar::show;
use logystera_schemas::ids::{KeyGroup, SiteId, TenantId};
use logystera_schemas::limits::METRICS_MAX;
use logystera_schemas::schema;
use logystera_schemas::series::{MINUTE_MS, MetricPoints, Points, SeriesPoint};
use logystera_schemas::text::Shown;
use logystera_schemas::topic::Topic;
use serde_json::{Map, json};

use crate::error::ReplayError;

/// Which points are asked for.
#[derive(Clone, Debug)]
pub struct SeriesQuery {
    /// Whose the site is: what it counted under another tenant is not shown.
    pub tenant: TenantId,
    /// The site.
    pub site: SiteId,
    /// Name of the metric.
    pub metric: String,
    /// Minutes that begin from here on, in milliseconds.
    pub from_ms: Option<i64>,
    /// Minutes that begin before this, in milliseconds.
    pub to_ms: Option<i64>,
    /// How much time goes into one row.
    pub step: Step,
}

/// How much time goes into one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A minute: the points as they are.
    Minute,
    /// A quarter of an hour.
    Quarter,
    /// A day of UTC.
    Day,
}

impl Step {
    /// All of them, by the names that people give them.
    pub const ALL: [(&str, Self); 3] = [("1m", Self::Minute), ("15m", Self::Quarter), ("1d", Self::Day)];

    /// Its length in milliseconds.
    pub const fn ms(self) -> i64 {
        match self {
            Self::Minute => MINUTE_MS,
            Self::Quarter => 15 * MINUTE_MS,
            Self::Day => 24 * 60 * MINUTE_MS,
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, step)| *step);
        found.ok_or_else(|| "expected 1m, 15m or 1d".to_owned())
    }
}

/// What one series counted within one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRow {
    /// When the step begins, in milliseconds of site time.
    pub at: i64,
    /// Revision of the metric.
    pub revision: String,
    /// Its labels, in the order of `point.values`.
    pub labels: Vec<String>,
    /// Upper ends of its buckets.
    pub ends: Vec<i64>,
    /// What was counted.
    pub point: SeriesPoint,
}

impl SeriesRow {
    /// The row as JSON.
    pub fn json(&self, of: &SeriesQuery) -> serde_json::Value {
        let values = self.point.values.iter().map(|value| json!(value));
        let labels: Map<String, serde_json::Value> = self.labels.iter().cloned().zip(values).collect();
        let mut line = json!({
            "site": of.site,
            "metric": of.metric,
            "revision": self.revision,
            "at": self.at,
            "step_ms": of.step.ms(),
            "labels": labels,
            "count": self.point.count,
            "late": self.point.late,
        });
        if !self.ends.is_empty() {
            let ends = self.ends.iter().map(|end| json!(end)).chain([serde_json::Value::Null]);
            let buckets = ends.zip(&self.point.buckets).map(|(end, count)| json!({"le": end, "count": count}));
            line["sum"] = json!(self.point.sum);
            line["buckets"] = buckets.collect();
        }
        line
    }

    /// The row as a line for people.
    pub fn text(&self) -> String {
        let labels = self.labels.iter().zip(&self.point.values);
        let mut words = vec![show(self.at)];
        words.extend(labels.map(|(label, value)| format!("{label}={}", Shown(value))));
        words.push(format!("count {}", self.point.count));
        words.extend((self.point.late > 0).then(|| format!("late {}", self.point.late)));
        if !self.ends.is_empty() {
            let ends = self.ends.iter().map(ToString::to_string).chain(["more".to_owned()]);
            let buckets: Vec<String> =
                ends.zip(&self.point.buckets).map(|(end, count)| format!("{end}:{count}")).collect();
            words.push(format!("sum {}", self.point.sum));
            words.push(format!("buckets {}", buckets.join(" ")));
        }
        words.join("  ")
    }
}

/// The rows of a step that is being gathered, by revision and the values of the labels.
type Gathered = BTreeMap<(String, Vec<String>), SeriesRow>;

/// Gives each row to `visit`, in the order of time, those of one step by revision and values. It holds one step at a time. A
/// step in which nothing was counted has none; one that the site went through twice, because its time started anew, may come
/// twice. Gives the names of the metrics that the site has points of.
pub fn each_row<E: From<ReplayError> + From<LogError>>(
    log: &dyn Reading,
    query: &SeriesQuery,
    mut visit: impl FnMut(&SeriesRow) -> Result<(), E>,
) -> Result<BTreeSet<String>, E> {
    let (mut names, mut step, mut gathered) = (BTreeSet::new(), None, Gathered::new());
    each_points::<E>(log, query, |points| {
        let at = points.minute.0.div_euclid(query.step.ms()) * query.step.ms();
        if step.replace(at) != Some(at) {
            std::mem::take(&mut gathered).values().try_for_each(&mut visit)?;
        }
        for metric in points.metrics {
            if names.len() < METRICS_MAX {
                names.insert(metric.name.clone());
            }
            if metric.name == query.metric && query.covers(points.minute.0) {
                gather(&mut gathered, at, metric);
            }
        }
        Ok(())
    })?;
    gathered.values().try_for_each(visit)?;
    Ok(names)
}

impl SeriesQuery {
    /// Why there is no row, if the site has points of these metrics.
    pub fn nothing(&self, names: &BTreeSet<String>) -> String {
        let metric = Shown(&self.metric);
        if names.contains(&self.metric) {
            return format!(
                "nothing was counted for {metric} in that time, or the site's watermark has not passed it yet"
            );
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let known = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
        format!("the site has no points of {metric}; there are: {known}")
    }

    fn covers(&self, minute: i64) -> bool {
        self.from_ms.is_none_or(|from| from <= minute) && self.to_ms.is_none_or(|to| minute < to)
    }
}

/// Reads the records of a site, one after the other.
fn each_points<E: From<ReplayError> + From<LogError>>(
    log: &dyn Reading,
    query: &SeriesQuery,
    mut take: impl FnMut(Points) -> Result<(), E>,
) -> Result<(), E> {
    let key = query.site.as_str().as_bytes();
    let partitions = log.partitions_of(Topic::Series, KeyGroup::of(query.site.as_str()));
    each_record_of(log, Topic::Series, partitions, |record| {
        if record.key != key {
            return Ok(());
        }
        let points = decode(record)?;
        if points.tenant == query.tenant { take(points) } else { Ok(()) }
    })
}

fn decode(record: &Record) -> Result<Points, ReplayError> {
    schema::decode(&record.value)
        .map_err(|error| ReplayError::Damaged(format!("topic series offset {}: {error}", record.offset)))
}

fn gather(gathered: &mut Gathered, at: i64, metric: MetricPoints) {
    let MetricPoints { revision, labels, ends, series, .. } = metric;
    for point in series {
        let key = (revision.clone(), point.values.clone());
        if let Some(row) = gathered.get_mut(&key) {
            add(&mut row.point, &point);
        } else {
            let (revision, labels, ends) = (revision.clone(), labels.clone(), ends.clone());
            gathered.insert(key, SeriesRow { at, revision, labels, ends, point });
        }
    }
}

/// Adds up two points of one series.
fn add(to: &mut SeriesPoint, more: &SeriesPoint) {
    to.count = to.count.saturating_add(more.count);
    to.late = to.late.saturating_add(more.late);
    to.sum = to.sum.saturating_add(more.sum);
    for (bucket, more) in to.buckets.iter_mut().zip(&more.buckets) {
        *bucket = bucket.saturating_add(*more);
    }
}

//! The metrics of a site at work: one minute is open, and is written once the watermark has passed it.

use std::collections::{BTreeMap, BTreeSet};

use logystera_ruleset::{Metric, RuleSet};
use logystera_schemas::avro::DecodeError;
use logystera_schemas::batch::{Fields, Frame, Value};
use logystera_schemas::limits::SITE_SERIES_MAX;
use logystera_schemas::series::{MetricPoints, Points};

use crate::counts::{Counts, Stored};
use crate::parts::{Minute, write};
use crate::plan::{MetricIndex, SeriesProgram};

/// Name and revision of a metric.
pub type MetricId = (String, String);

/// What the metrics of a site have counted.
#[derive(Debug, Default)]
pub struct SiteSeries {
    /// Number of the minute that is open. None: nothing was counted since the last one was closed.
    minute: Option<i64>,
    /// For each metric of the set, from the first count on.
    live: Vec<Counts>,
    /// What metrics have counted in the open minute that an edit took away.
    gone: BTreeMap<MetricId, MetricPoints>,
    /// Metrics whose counts changed since they were put.
    changed: BTreeSet<MetricIndex>,
    /// Metrics that the set has no more, and whose entries changed or are to be deleted.
    changed_gone: BTreeSet<MetricId>,
    /// Minutes that are closed and not written yet.
    closed: Vec<Points>,
}

impl SiteSeries {
    /// Counts a signal in a minute, which is the open one or a later one.
    pub fn count(
        &mut self,
        (set, program): (&RuleSet, &SeriesProgram),
        signal: &Frame<'_>,
        minute: i64,
        is_late: bool,
        of: &Minute<'_>,
    ) -> Result<(), DecodeError> {
        let counted = program.of(signal.kind);
        let mut fields = Fields::default();
        signal.read_fields(counted.read, &mut fields)?;
        let times = match counted.repeats.map(|field| fields[field]) {
            Some(Value::Int(times)) => u64::try_from(times).unwrap_or(1).max(1),
            _ => 1,
        };
        for index in &counted.metrics {
            let (metric, plan) = (&set.metrics[usize::from(*index)], program.plan(*index));
            let value = match plan.field.map(|field| fields[field]) {
                None => None,
                Some(Value::Int(value)) => Some((value, metric.kind.ends())),
                Some(_) => continue,
            };
            if !metric.filter.holds(&fields) {
                continue;
            }
            if self.minute.is_some_and(|open| open < minute) {
                self.close((set, program), of);
            }
            self.minute = Some(minute);
            self.live.resize_with(set.metrics.len(), Counts::default);
            self.live[usize::from(*index)].add(plan.series_of(&fields), times, is_late, value);
            self.changed.insert(*index);
        }
        Ok(())
    }

    /// The watermark has reached `minute`: what lies before it is closed.
    pub fn close_before(&mut self, set: (&RuleSet, &SeriesProgram), minute: i64, of: &Minute<'_>) {
        if self.minute.is_some_and(|open| open < minute) {
            self.close(set, of);
        }
    }

    /// Closes the open minute.
    pub fn close(&mut self, (set, program): (&RuleSet, &SeriesProgram), of: &Minute<'_>) {
        let Some(minute) = self.minute.take() else { return };
        let mut metrics = std::mem::take(&mut self.gone);
        self.changed_gone.extend(metrics.keys().cloned());
        for ((index, counts), metric) in (0..).zip(&mut self.live).zip(&set.metrics).filter(|((_, c), _)| !c.is_empty())
        {
            let points = std::mem::take(counts).points(metric, program.plan(index));
            metrics.insert((metric.name.clone(), metric.revision.clone()), points);
            self.changed.insert(index);
        }
        self.closed.extend(write(of, minute, metrics.into_values()));
    }

    /// The site's time starts anew: what was counted and not written moves to the minute that is reached.
    pub fn move_to(&mut self, set: &RuleSet, minute: i64) {
        if self.minute.is_none() {
            return;
        }
        self.minute = Some(minute);
        let live = (0..).zip(&self.live).filter(|(_, counts)| !counts.is_empty());
        self.changed.extend(live.map(|(index, _)| index).take(set.metrics.len()));
        self.changed_gone.extend(self.gone.keys().cloned());
    }

    /// Goes on under another set. A metric that stays as it is goes on counting; what others have counted is kept until the
    /// minute is closed. Should that be more than a site may have, what went with an earlier edit goes first.
    pub fn reprogram(&mut self, old: (&RuleSet, &SeriesProgram), (set, program): (&RuleSet, &SeriesProgram)) {
        let of_earlier: Vec<MetricId> = self.gone.keys().cloned().collect();
        let mut counted = std::mem::take(&mut self.gone);
        for ((index, counts), metric) in (0..).zip(std::mem::take(&mut self.live)).zip(&old.0.metrics) {
            let id = (metric.name.clone(), metric.revision.clone());
            self.changed_gone.insert(id.clone());
            if !counts.is_empty() {
                counted.insert(id, counts.points(metric, old.1.plan(index)));
            }
        }
        self.changed.clear();
        self.live.resize_with(set.metrics.len(), Counts::default);
        for (index, metric) in (0..).zip(&set.metrics) {
            let id = (metric.name.clone(), metric.revision.clone());
            if let Some(points) = counted.remove(&id) {
                self.live[usize::from(index)] = Counts::of_points(points, program.plan(index));
                self.changed_gone.insert(id.clone());
            }
            // It is put, or deleted, under its place in the new set.
            if self.changed_gone.remove(&id) {
                self.changed.insert(index);
            }
        }
        let series = |counted: &BTreeMap<MetricId, MetricPoints>| {
            counted.values().map(|points| points.series.len()).sum::<usize>()
        };
        if series(&counted) > SITE_SERIES_MAX {
            for id in of_earlier {
                counted.remove(&id);
                self.changed_gone.insert(id);
            }
        }
        if counted.is_empty() && self.live.iter().all(Counts::is_empty) {
            self.minute = None;
        }
        self.changed_gone.extend(counted.keys().cloned());
        self.gone = counted;
    }

    /// The minutes that were closed since the last call.
    pub fn take_closed(&mut self) -> std::vec::Drain<'_, Points> {
        self.closed.drain(..)
    }

    /// How many entries have changed.
    pub fn changed_len(&self) -> usize {
        self.changed.len() + self.changed_gone.len()
    }

    /// Gives each entry that changed since it was put to `put`, in no order. None: it is to be deleted.
    pub fn take_changed(&mut self, set: &RuleSet, mut put: impl FnMut(&MetricId, Option<&Stored>)) {
        for index in std::mem::take(&mut self.changed) {
            let metric = &set.metrics[usize::from(index)];
            let id = (metric.name.clone(), metric.revision.clone());
            put(&id, self.live_entry(index).as_ref());
        }
        for id in std::mem::take(&mut self.changed_gone) {
            put(&id, self.gone_entry(&id).as_ref());
        }
    }

    /// Gives each entry that there is to `each`.
    pub fn entries(&self, set: &RuleSet, mut each: impl FnMut(&MetricId, &Stored)) {
        for (index, metric) in (0..).zip(&set.metrics) {
            if let Some(stored) = self.live_entry(index) {
                each(&(metric.name.clone(), metric.revision.clone()), &stored);
            }
        }
        for id in self.gone.keys() {
            self.gone_entry(id).iter().for_each(|stored| each(id, stored));
        }
    }

    fn live_entry(&self, index: MetricIndex) -> Option<Stored> {
        let counts = self.live.get(usize::from(index)).filter(|counts| !counts.is_empty())?.clone();
        Some(Stored::Live { minute: self.minute?, counts })
    }

    fn gone_entry(&self, id: &MetricId) -> Option<Stored> {
        Some(Stored::Gone { minute: self.minute?, points: self.gone.get(id)?.clone() })
    }

    /// Takes an entry as it was stored.
    pub fn restore(
        &mut self,
        set: &RuleSet,
        (name, revision): (&str, &str),
        stored: Stored,
    ) -> Result<(), DecodeError> {
        match stored {
            Stored::Live { minute, counts } => {
                let is = |metric: &Metric| metric.name == name && metric.revision == revision;
                let index = set.metrics.iter().position(is).ok_or(DecodeError::Range)?;
                self.live.resize_with(set.metrics.len(), Counts::default);
                self.live[index] = counts;
                self.minute = Some(minute);
            }
            Stored::Gone { minute, points } => {
                self.gone.insert((name.to_owned(), revision.to_owned()), points);
                self.minute = Some(minute);
            }
        }
        Ok(())
    }
}

//! A metric as the engine counts it. A `Metric` that exists is valid: `logystera-rules` checks it when it reads it.

use logystera_schemas::catalogue::{FieldDef, FieldKind, SignalType};
use logystera_schemas::limits::OPEN_MINUTES_MAX;
use logystera_schemas::series::{NONE, OTHER};

use crate::filter::Filter;

/// One checked metric.
#[derive(Debug)]
pub struct Metric {
    /// Name, unique in the set.
    pub name: String,
    /// 12 hex digits of SHA-256 of the metric's canonical form: its series are others if it changes.
    pub revision: String,
    /// The type that it counts.
    pub signal: SignalType,
    /// What must hold for a signal to be counted.
    pub filter: Filter,
    /// What it counts.
    pub kind: MetricKind,
    /// What tells its series apart, in the order of the fields.
    pub labels: Vec<MetricLabel>,
}

/// What a metric counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Signals.
    Counter,
    /// The values of a number. A signal without it is not counted.
    Distribution {
        /// Index of the field.
        field: usize,
        /// Upper ends of its buckets, rising; what lies above them all has one more.
        ends: Vec<i64>,
    },
}

/// A label, and the values that it can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricLabel {
    /// Index of the field.
    pub field: usize,
    /// What is declared.
    pub values: LabelValues,
}

/// The declared values of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelValues {
    /// Every symbol of an enum; both of true and false.
    All,
    /// Symbols of an enum, a bit each.
    Symbols(u32),
    /// True, or false.
    Truth(bool),
    /// Numbers; sorted.
    Numbers(Vec<i64>),
    /// Ranges of numbers that do not overlap; sorted.
    Ranges(Vec<NamedRange>),
    /// Identifiers; sorted.
    Idents(Vec<String>),
}

/// A range of numbers, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRange {
    /// The label's value.
    pub name: String,
    /// Smallest.
    pub min: i64,
    /// Largest.
    pub max: i64,
}

impl MetricKind {
    /// Upper ends of the buckets; none of a counter.
    pub fn ends(&self) -> &[i64] {
        match self {
            Self::Counter => &[],
            Self::Distribution { ends, .. } => ends,
        }
    }
}

impl Metric {
    /// How many series it can have.
    pub fn series_max(&self) -> usize {
        self.labels.iter().map(|label| label.values_max(self.signal)).product()
    }

    /// Bytes of its counts at worst: 8 for each number of each series, for as many minutes as are in memory.
    pub fn bytes_max(&self) -> usize {
        let numbers = match &self.kind {
            // How many, and how many late.
            MetricKind::Counter => 2,
            // The sum besides, and one bucket more than there are ends.
            MetricKind::Distribution { ends, .. } => ends.len() + 4,
        };
        self.series_max().saturating_mul(8 * numbers * OPEN_MINUTES_MAX)
    }
}

impl MetricLabel {
    /// The values that it can take, in their order: those that are declared, `other` unless they are all that there are, and
    /// `none` if a signal may lack the field.
    pub fn names(&self, signal: SignalType) -> Vec<String> {
        let def = self.def(signal);
        let mut names: Vec<String> = match (&self.values, &def.kind) {
            (LabelValues::All, FieldKind::Bool) => vec![false.to_string(), true.to_string()],
            (LabelValues::All, kind) => kind.symbols().to_vec(),
            (LabelValues::Symbols(mask), kind) => {
                let chosen = kind.symbols().iter().enumerate().filter(|(place, _)| mask & 1 << place != 0);
                chosen.map(|(_, symbol)| symbol.clone()).collect()
            }
            (LabelValues::Truth(truth), _) => vec![truth.to_string()],
            (LabelValues::Numbers(numbers), _) => numbers.iter().map(ToString::to_string).collect(),
            (LabelValues::Ranges(ranges), _) => ranges.iter().map(|range| range.name.clone()).collect(),
            (LabelValues::Idents(idents), _) => idents.clone(),
        };
        names.extend((!self.is_exhaustive(def)).then(|| OTHER.to_owned()));
        names.extend(may_lack(def).then(|| NONE.to_owned()));
        names
    }

    /// How many values it can take.
    pub fn values_max(&self, signal: SignalType) -> usize {
        self.names(signal).len()
    }

    fn def(&self, signal: SignalType) -> &'static FieldDef {
        &signal.def().fields[self.field]
    }

    /// Whether no signal has a value that is not declared.
    fn is_exhaustive(&self, def: &FieldDef) -> bool {
        match (&self.values, &def.kind) {
            (LabelValues::All, _) => true,
            (LabelValues::Symbols(mask), kind) => mask.count_ones() as usize == kind.symbols().len(),
            (LabelValues::Numbers(numbers), FieldKind::Int { min, max }) => {
                covers(numbers.iter().map(|number| (*number, *number)), *min, *max)
            }
            (LabelValues::Ranges(ranges), FieldKind::Int { min, max }) => {
                covers(ranges.iter().map(|range| (range.min, range.max)), *min, *max)
            }
            _ => false,
        }
    }
}

/// Whether a signal may lack the field.
fn may_lack(def: &FieldDef) -> bool {
    def.optional || def.since > 1
}

/// Whether sorted ranges leave nothing out from `min` to `max`.
fn covers(ranges: impl Iterator<Item = (i64, i64)>, min: i64, max: i64) -> bool {
    let mut next = Some(min);
    for (from, to) in ranges {
        match next {
            Some(at) if from <= at => next = if to >= max { None } else { Some(to.saturating_add(1).max(at)) },
            _ => break,
        }
    }
    next.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ranges_leave_out_is_found() {
        for (ranges, all) in [
            (&[][..], false),
            (&[(1, 10)], true),
            (&[(i64::MIN, 4), (5, i64::MAX)], true),
            (&[(1, 4), (6, 10)], false),
            (&[(1, 4), (5, 9)], false),
            (&[(2, 10)], false),
        ] {
            assert_eq!(covers(ranges.iter().copied(), 1, 10), all, "{ranges:?}");
        }
    }
}

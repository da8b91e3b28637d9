//! The metrics of a rule set made ready to count: indexed by signal type, each value of a label with its place.

use logystera_ruleset::{LabelValues, Metric, MetricKind, MetricLabel, RuleSet};
use logystera_schemas::batch::{FieldSet, Fields, Value};
use logystera_schemas::catalogue::{FieldKind, SIGNAL_TYPES, SignalType};

/// The field that says how many signals one stands for.
const REPEATS: &str = "repeats";

/// Which metric of a set, in the order of the metrics' names.
pub type MetricIndex = u16;

/// The metrics of a set.
#[derive(Debug)]
pub struct SeriesProgram {
    plans: Vec<MetricPlan>,
    by_type: [Counted; SIGNAL_TYPES],
    /// Bytes of all of them at worst.
    pub bytes_max: usize,
}

/// The metrics that count a signal type.
#[derive(Debug, Default)]
pub struct Counted {
    /// Which; none if the type is disabled.
    pub metrics: Vec<MetricIndex>,
    /// Fields that they need.
    pub(crate) read: FieldSet,
    /// The field that says how many signals one stands for.
    pub(crate) repeats: Option<usize>,
}

/// One metric.
#[derive(Debug)]
pub(crate) struct MetricPlan {
    labels: Vec<LabelPlan>,
    /// The field whose values a distribution counts.
    pub(crate) field: Option<usize>,
}

#[derive(Debug)]
struct LabelPlan {
    field: usize,
    /// The values that it can take, in their order.
    names: Vec<String>,
    places: Places,
    /// Place of what is not declared, and of what a signal lacks.
    other: usize,
    none: usize,
}

/// Where a value stands among those of its label.
#[derive(Debug)]
enum Places {
    /// For each symbol of an enum; for false and true.
    Symbols(Vec<usize>),
    /// Of ranges of numbers, sorted.
    Ranges(Vec<(i64, i64)>),
    /// Of identifiers, sorted.
    Idents(Vec<String>),
}

impl SeriesProgram {
    /// Makes the metrics of a set ready.
    pub fn new(set: &RuleSet) -> Self {
        let mut by_type: [Counted; SIGNAL_TYPES] = std::array::from_fn(|_| Counted::default());
        for (index, metric) in (0..).zip(&set.metrics) {
            if !set.disabled.contains(metric.signal) {
                by_type[metric.signal.index()].add(index, metric);
            }
        }
        let bytes_max = set.metrics.iter().map(Metric::bytes_max).sum();
        Self { plans: set.metrics.iter().map(MetricPlan::new).collect(), by_type, bytes_max }
    }

    /// The metrics that count a signal type.
    #[inline]
    pub fn of(&self, signal: SignalType) -> &Counted {
        &self.by_type[signal.index()]
    }

    /// A metric's plan.
    #[inline]
    pub(crate) fn plan(&self, index: MetricIndex) -> &MetricPlan {
        &self.plans[usize::from(index)]
    }
}

impl Counted {
    fn add(&mut self, index: MetricIndex, metric: &Metric) {
        self.metrics.push(index);
        metric.filter.read(&mut self.read);
        metric.labels.iter().for_each(|label| self.read.insert(label.field));
        if let MetricKind::Distribution { field, .. } = metric.kind {
            self.read.insert(field);
        }
        self.repeats = metric.signal.def().field(REPEATS).map(|(field, _)| field);
        self.repeats.into_iter().for_each(|field| self.read.insert(field));
    }
}

impl MetricPlan {
    fn new(metric: &Metric) -> Self {
        let field = match metric.kind {
            MetricKind::Counter => None,
            MetricKind::Distribution { field, .. } => Some(field),
        };
        Self { labels: metric.labels.iter().map(|label| LabelPlan::new(label, metric.signal)).collect(), field }
    }

    /// Which series a signal belongs to.
    #[inline]
    pub(crate) fn series_of(&self, fields: &Fields<'_>) -> u16 {
        // There are at most METRIC_SERIES_MAX.
        self.labels.iter().fold(0, |at, label| at * label.names.len() + label.place(&fields[label.field])) as u16
    }

    /// The values of the labels of a series.
    pub(crate) fn values(&self, series: u16) -> Vec<String> {
        let mut rest = usize::from(series);
        let mut values: Vec<String> = self.labels.iter().rev().map(|label| label.take_name(&mut rest)).collect();
        values.reverse();
        values
    }

    /// The series with these values of its labels. None: it has no such one.
    pub(crate) fn series_with(&self, values: &[String]) -> Option<u16> {
        let mut at = 0;
        for (label, value) in self.labels.iter().zip(values) {
            at = at * label.names.len() + label.names.iter().position(|name| name == value)?;
        }
        u16::try_from(at).ok()
    }
}

impl LabelPlan {
    fn new(label: &MetricLabel, signal: SignalType) -> Self {
        let names = label.names(signal);
        let kind = &signal.def().fields[label.field].kind;
        let (places, declared) = match &label.values {
            LabelValues::All => {
                let symbols = if *kind == FieldKind::Bool { 2 } else { kind.symbols().len() };
                (Places::Symbols((0..symbols).collect()), symbols)
            }
            LabelValues::Symbols(mask) => {
                let declared = mask.count_ones() as usize;
                let place = |symbol: usize| {
                    if mask & 1 << symbol == 0 { declared } else { (mask & ((1 << symbol) - 1)).count_ones() as usize }
                };
                (Places::Symbols((0..kind.symbols().len()).map(place).collect()), declared)
            }
            LabelValues::Truth(truth) => {
                (Places::Symbols([false, true].iter().map(|known| usize::from(known != truth)).collect()), 1)
            }
            LabelValues::Numbers(numbers) => {
                (Places::Ranges(numbers.iter().map(|number| (*number, *number)).collect()), numbers.len())
            }
            LabelValues::Ranges(ranges) => {
                (Places::Ranges(ranges.iter().map(|range| (range.min, range.max)).collect()), ranges.len())
            }
            LabelValues::Idents(idents) => (Places::Idents(idents.clone()), idents.len()),
        };
        let last = names.len() - 1;
        Self { field: label.field, places, other: declared.min(last), none: last, names }
    }

    #[inline]
    fn place(&self, value: &Value<'_>) -> usize {
        match (&self.places, value) {
            (_, Value::Absent) => self.none,
            (Places::Symbols(places), Value::Enum(symbol)) => {
                places.get(usize::from(*symbol)).copied().unwrap_or(self.other)
            }
            (Places::Symbols(places), Value::Bool(truth)) => places[usize::from(*truth)],
            (Places::Ranges(ranges), Value::Int(number)) => {
                let after = ranges.partition_point(|(min, _)| min <= number);
                after.checked_sub(1).filter(|place| *number <= ranges[*place].1).unwrap_or(self.other)
            }
            (Places::Idents(idents), Value::Ident(text)) => {
                idents.binary_search_by(|ident| ident.as_str().cmp(text)).unwrap_or(self.other)
            }
            _ => self.other,
        }
    }

    /// The name that the lowest digit of a series' number stands for, which is taken off.
    fn take_name(&self, rest: &mut usize) -> String {
        let place = *rest % self.names.len();
        *rest /= self.names.len();
        self.names[place].clone()
    }
}

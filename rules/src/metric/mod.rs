//! One metric of a file: what signals of a type add up to, minute by minute.

mod labels;

use logystera_processor::core::{Filter, Metric, MetricKind};
use logystera_schemas::catalogue::{FieldKind, SignalType};
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::limits::{METRIC_BUCKETS_MAX, METRIC_NAME_CHARS_MAX, METRIC_SERIES_MAX};

use crate::canonical::Json;
use crate::clauses;
use crate::code::Code;
use crate::definition::REVISION_DIGITS;
use crate::measure;
use crate::read::{self, Keys};
use crate::report::{Place, Report};
use crate::watch::signal_type;
use crate::yaml::Node;

const KEYS: [&str; 7] = ["name", "signal", "where", "type", "field", "buckets", "labels"];
const TYPES: [&str; 2] = ["counter", "distribution"];

/// A metric, the place of its name, and its canonical form.
pub(crate) struct DefinedMetric {
    pub(crate) metric: Metric,
    pub(crate) place: Place,
    pub(crate) json: Json,
}

/// Reads one metric.
pub(crate) fn read(node: &Node, report: &mut Report<'_>) -> Option<DefinedMetric> {
    let keys = Keys::of(node, "a metric", &KEYS, &[], report)?;
    let errors_before = report.count();
    let name_node = keys.need("name", "such as `name: requests`", report);
    let name = name_node.and_then(|node| name_of(node, report));
    let signal = keys.need("signal", "the type that it counts: `signal: http.request`", report);
    let signal = signal.and_then(|node| signal_type(node, report));
    let filter = match (keys.get("where"), signal) {
        (Some(node), Some(signal)) => clauses::read(node, "`where`", signal, report),
        _ => Some(Filter::default()),
    };
    let kind = kind(&keys, signal, report);
    let labels = match (keys.get("labels"), signal) {
        (Some(node), Some(signal)) => labels::read(node, signal, report),
        _ => Some(Vec::new()),
    };
    if report.count() != errors_before {
        return None;
    }
    let (name, place) = (name?, name_node?.place);
    let mut metric =
        Metric { name, revision: String::new(), signal: signal?, filter: filter?, kind: kind?, labels: labels? };
    let place_of_labels = keys.entry("labels").map_or(place, |(place, _)| place);
    check_series(&metric, place_of_labels, report)?;
    let json = canonical(&metric);
    metric.revision = Sha256Digest::of(json.to_string().as_bytes()).to_string();
    metric.revision.truncate(REVISION_DIGITS);
    Some(DefinedMetric { metric, place, json })
}

fn name_of(node: &Node, report: &mut Report<'_>) -> Option<String> {
    let text = read::text(node, "`name`", report)?;
    let is_legal = |text: &str| {
        text.len() <= METRIC_NAME_CHARS_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if is_legal(text) {
        return Some(text.to_owned());
    }
    let problem =
        format!("the `name` of a metric is a letter of a-z and up to {} of a-z 0-9 _", METRIC_NAME_CHARS_MAX - 1);
    let error = report.error(Code::BadName, node.place, problem);
    let fixed: String = text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if is_legal(&fixed) {
        error.help(format!("write `{fixed}`"));
    }
    None
}

/// `type`, with `field` and `buckets` of a distribution.
fn kind(keys: &Keys<'_>, signal: Option<SignalType>, report: &mut Report<'_>) -> Option<MetricKind> {
    let help = "`type: counter` counts signals, `type: distribution` the values of a number";
    let node = keys.need("type", help, report)?;
    if read::one_of(node, "`type`", &TYPES, report)? == 0 {
        for key in ["field", "buckets"] {
            if let Some((place, _)) = keys.entry(key) {
                let error = report.error(Code::KeyDoesNotFit, place, format!("`{key}` of a counter"));
                error.help("a counter counts signals: take it away, or write `type: distribution`");
            }
        }
        return Some(MetricKind::Counter);
    }
    let buckets = keys.need("buckets", "upper ends, rising: `buckets: [100, 300, 1000]`", report);
    let field = keys.need("field", "the number that it counts: `field: duration_ms`", report)?;
    let (field, def) = measure::number(field, signal?, report)?;
    let FieldKind::Int { min, max } = def.kind else { return None };
    if def.name == "repeats" {
        report
            .error(Code::NotCountable, keys.entry("field")?.0, "`repeats` is how many signals one stands for")
            .help("a counter counts each as that many: `type: counter`");
        return None;
    }
    Some(MetricKind::Distribution { field, ends: ends(buckets?, min, max, report)? })
}

/// The upper ends of the buckets.
fn ends(node: &Node, min: i64, max: i64, report: &mut Report<'_>) -> Option<Vec<i64>> {
    let items = read::list(node, "`buckets`", METRIC_BUCKETS_MAX, report)?;
    let read: Vec<Option<i64>> =
        items.iter().map(|item| read::int(item, "a bucket's end", min..=max, report)).collect();
    let ends = read.into_iter().collect::<Option<Vec<_>>>()?;
    if ends.is_empty() {
        report
            .error(Code::BadBuckets, node.place, "a distribution has at least one bucket")
            .help("upper ends, rising: `[100, 300, 1000]`; one for all that lies above them is there by itself");
        return None;
    }
    if let Some(at) = ends.windows(2).position(|pair| pair[0] >= pair[1]) {
        report
            .error(Code::BadBuckets, items[at + 1].place, format!("{} stands behind {}", ends[at + 1], ends[at]))
            .label("ends of buckets rise")
            .help("sort them, each once");
        return None;
    }
    Some(ends)
}

fn check_series(metric: &Metric, place: Place, report: &mut Report<'_>) -> Option<()> {
    let series = metric.series_max();
    if series <= METRIC_SERIES_MAX {
        return Some(());
    }
    let values: Vec<String> = metric.labels.iter().map(|label| label.values_max(metric.signal).to_string()).collect();
    let problem = format!(
        "`{}` can have {} = {series} series; a metric has at most {METRIC_SERIES_MAX}",
        metric.name,
        values.join(" × ")
    );
    report
        .error(Code::TooManySeries, place, problem)
        .label("with `other` and `none`")
        .help("declare fewer values, take a label out, or make a metric of each label");
    None
}

fn canonical(metric: &Metric) -> Json {
    let fields = &metric.signal.def().fields;
    let mut keys = vec![("name", Json::text(&metric.name)), ("signal", Json::text(metric.signal.name()))];
    match &metric.kind {
        MetricKind::Counter => keys.push(("type", Json::text(TYPES[0]))),
        MetricKind::Distribution { field, ends } => keys.extend([
            ("type", Json::text(TYPES[1])),
            ("field", Json::text(&fields[*field].name)),
            ("buckets", Json::list(ends.iter().map(|end| Json::Int(*end)))),
        ]),
    }
    if !metric.filter.0.is_empty() {
        keys.push(("where", clauses::canonical(&metric.filter, metric.signal)));
    }
    if !metric.labels.is_empty() {
        keys.push(("labels", labels::canonical(&metric.labels, metric.signal)));
    }
    Json::map(keys)
}

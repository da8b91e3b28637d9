//! Metrics of few values, so that each series is hit, and some of each kind are not declared.

use logystera_processor::core::{LabelValues, Metric, MetricKind, MetricLabel, NamedRange};
use logystera_schemas::catalogue::{FieldDef, FieldKind, IdentClass, SignalType};
use logystera_schemas::ids::Sha256Digest;

use super::filters;
use super::palette::Palette;
use crate::rng::Rng;

/// Draws the metrics of a set; what else is drawn stays what it is without them.
pub(super) fn draw_all(palette: &Palette, rng: &Rng) -> Vec<Metric> {
    let mut rng = rng.part(21);
    let count = rng.below(4);
    finish((0..count).map(|_| draw(palette, &mut rng)).collect())
}

/// An edit: as they were, or one more, one fewer, or one other.
pub(super) fn edit(old: &[Metric], palette: &Palette, rng: &Rng) -> Vec<Metric> {
    let mut rng = rng.part(22);
    let mut metrics: Vec<Metric> = old.iter().map(copy).collect();
    let place = rng.index(metrics.len());
    match rng.below(6) {
        0 if !metrics.is_empty() => drop(metrics.remove(place)),
        1 => metrics.push(draw(palette, &mut rng)),
        2 => {
            if let Some(metric) = metrics.get_mut(place) {
                let name = std::mem::take(&mut metric.name);
                *metric = Metric { name, ..draw(palette, &mut rng) };
            }
        }
        3 => {
            if let Some(metric) = metrics.get_mut(place) {
                metric.labels = labels(palette, metric.signal, &mut rng);
            }
        }
        _ => {}
    }
    finish(metrics)
}

fn copy(metric: &Metric) -> Metric {
    Metric {
        name: metric.name.clone(),
        revision: String::new(),
        signal: metric.signal,
        filter: metric.filter.clone(),
        kind: metric.kind.clone(),
        labels: metric.labels.clone(),
    }
}

fn finish(mut metrics: Vec<Metric>) -> Vec<Metric> {
    metrics.sort_by(|a, b| a.name.cmp(&b.name));
    metrics.dedup_by(|a, b| a.name == b.name);
    for metric in &mut metrics {
        metric.revision.clear();
        metric.revision = Sha256Digest::of(format!("{metric:?}").as_bytes()).to_string().chars().take(12).collect();
    }
    metrics
}

fn draw(palette: &Palette, rng: &mut Rng) -> Metric {
    let signal = *rng.pick(&palette.watched);
    let fields = &signal.def().fields;
    let numbers =
        |field: &usize| matches!(fields[*field].kind, FieldKind::Int { .. }) && fields[*field].name != "repeats";
    let numbers: Vec<usize> = (0..fields.len()).filter(numbers).collect();
    let kind = if numbers.is_empty() || rng.chance(40) {
        MetricKind::Counter
    } else {
        let field = *rng.pick(&numbers);
        let least = least(&fields[field]);
        let ends = [least, least + 1, least + 5].into_iter().filter(|_| rng.chance(70)).collect::<Vec<_>>();
        MetricKind::Distribution { field, ends: if ends.is_empty() { vec![least] } else { ends } }
    };
    Metric {
        name: (*rng.pick(&["m", "m_a", "n", "z"])).to_owned(),
        revision: String::new(),
        signal,
        filter: filters::draw(palette, signal, rng),
        kind,
        labels: labels(palette, signal, rng),
    }
}

/// The least value that a number is drawn of.
fn least(def: &FieldDef) -> i64 {
    match def.kind {
        FieldKind::Int { min, .. } => min.max(-1),
        _ => 0,
    }
}

fn labels(palette: &Palette, signal: SignalType, rng: &mut Rng) -> Vec<MetricLabel> {
    let fields = &signal.def().fields;
    let mut labels: Vec<MetricLabel> = Vec::new();
    for _ in 0..rng.below(3) {
        let field = rng.index(fields.len());
        let values = values(palette, &fields[field], rng);
        labels.extend(values.map(|values| MetricLabel { field, values }));
    }
    labels.sort_by_key(|label| label.field);
    labels.dedup_by_key(|label| label.field);
    labels
}

fn values(palette: &Palette, def: &FieldDef, rng: &mut Rng) -> Option<LabelValues> {
    let few = |rng: &mut Rng| (0..=palette.values as i64).filter(|_| rng.chance(50)).collect::<Vec<_>>();
    match &def.kind {
        FieldKind::Enum(_) | FieldKind::Bool if rng.chance(40) => Some(LabelValues::All),
        FieldKind::Enum(symbols) => {
            let all = (1_u32 << symbols.len()) - 1;
            Some(LabelValues::Symbols(((1 + rng.below(7) as u32) & all).max(1)))
        }
        FieldKind::Bool => Some(LabelValues::Truth(rng.chance(50))),
        FieldKind::Int { .. } if rng.chance(50) => {
            let numbers: Vec<i64> = few(rng).into_iter().map(|n| least(def) + n).collect();
            (!numbers.is_empty()).then_some(LabelValues::Numbers(numbers))
        }
        FieldKind::Int { .. } => {
            let least = least(def);
            let range = |name: &str, min, max| NamedRange { name: name.to_owned(), min, max };
            let low = range("low", if rng.chance(50) { i64::MIN } else { least }, least);
            let high = range("high", least + rng.range(1, 2), if rng.chance(50) { i64::MAX } else { least + 2 });
            Some(LabelValues::Ranges(if rng.chance(70) { vec![low, high] } else { vec![high] }))
        }
        FieldKind::Ident { class, .. } => {
            let texts = match class {
                IdentClass::Path => ["/", "/a", "/a/B"],
                IdentClass::Action => ["a", "ab", "b"],
                _ => ["a", "aB", "b"],
            };
            let texts: Vec<String> =
                few(rng).into_iter().filter_map(|n| texts.get(n as usize)).map(|text| (*text).to_owned()).collect();
            (!texts.is_empty()).then_some(LabelValues::Idents(texts))
        }
        FieldKind::EnumList(_) | FieldKind::Hash => None,
    }
}

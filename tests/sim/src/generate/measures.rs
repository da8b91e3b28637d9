//! Thresholds of one measure or of several, so low that they are reached now and then.

use logystera_processor::core::Condition;
use logystera_schemas::catalogue::{FieldKind, SignalType};

use super::filters;
use super::palette::Palette;
use crate::rng::Rng;

/// Draws a threshold over signals of a type. `step` is what the times of signals are multiples of.
pub(super) fn draw(palette: &Palette, kind: SignalType, step: i64, rng: &mut Rng) -> Condition {
    let within_ms = step * *rng.pick(&[1, 2, 3, 5, 10, 20, 60]);
    let of_several: Vec<i64> =
        [1, 2, 3, 5, 10, 30].into_iter().filter(|panes| within_ms % panes == 0 && within_ms / panes >= 100).collect();
    let pane_ms = within_ms / *rng.pick(&of_several);
    let drawing = Drawing { palette, kind, within_ms, pane_ms };
    match rng.below(10) {
        0..=2 => drawing.distinct(rng),
        3 => drawing.ratio(rng),
        4 => drawing.percentile(rng).unwrap_or_else(|| drawing.ratio(rng)),
        5 => drawing.sum(rng).unwrap_or_else(|| drawing.count(rng)),
        6 => drawing.several(rng),
        _ => {
            let pane = *rng.pick(&[1, 2, 5]) * step;
            let resolution_ms = (rng.chance(30) && within_ms % pane == 0).then_some(pane);
            Condition::Count { threshold: rng.range(1, 4) as u32, within_ms, resolution_ms }
        }
    }
}

struct Drawing<'p> {
    palette: &'p Palette,
    kind: SignalType,
    within_ms: i64,
    pane_ms: i64,
}

impl Drawing<'_> {
    /// Two measures or more, in the order that the reader gives them.
    fn several(&self, rng: &mut Rng) -> Condition {
        let mut measures = Vec::new();
        measures.extend(rng.chance(60).then(|| self.ratio(rng)));
        measures.extend(if rng.chance(40) { self.percentile(rng) } else { None });
        measures.extend(rng.chance(60).then(|| self.count(rng)));
        measures.extend(if rng.chance(40) { self.sum(rng) } else { None });
        measures.extend((measures.len() < 2 || rng.chance(40)).then(|| self.distinct(rng)));
        if measures.len() < 2 { self.distinct(rng) } else { Condition::All(measures) }
    }

    fn count(&self, rng: &mut Rng) -> Condition {
        let resolution_ms = rng.chance(30).then_some(self.pane_ms);
        Condition::Count { threshold: rng.range(1, 4) as u32, within_ms: self.within_ms, resolution_ms }
    }

    fn distinct(&self, rng: &mut Rng) -> Condition {
        let field = rng.index(self.kind.def().fields.len());
        Condition::Distinct { field, at_least: rng.range(2, 3) as u32, within_ms: self.within_ms }
    }

    fn ratio(&self, rng: &mut Rng) -> Condition {
        Condition::Ratio {
            of: filters::draw_some(self.palette, self.kind, rng),
            at_least: *rng.pick(&[100, 2_500, 3_333, 5_000, 6_667, 10_000]),
            min: rng.range(1, 4) as u32,
            within_ms: self.within_ms,
            pane_ms: self.pane_ms,
        }
    }

    /// None: signals of the type have no number.
    fn percentile(&self, rng: &mut Rng) -> Option<Condition> {
        let (field, min) = self.number(rng)?;
        Some(Condition::Percentile {
            field,
            thousandths: *rng.pick(&[500, 667, 900, 950, 999]),
            at_least: min + rng.range(1, 2),
            min: rng.range(1, 4) as u32,
            within_ms: self.within_ms,
            pane_ms: self.pane_ms,
        })
    }

    /// None: signals of the type have no number.
    fn sum(&self, rng: &mut Rng) -> Option<Condition> {
        let (field, min) = self.number(rng)?;
        let at_least = (min.max(1) * rng.range(1, 4)).unsigned_abs();
        Some(Condition::Sum { field, at_least, within_ms: self.within_ms, pane_ms: self.pane_ms })
    }

    /// A number of the type, and the lowest that the palette gives it.
    fn number(&self, rng: &mut Rng) -> Option<(usize, i64)> {
        let fields = self.kind.def().fields.iter().enumerate();
        let numbers: Vec<(usize, i64)> = fields
            .filter_map(|(place, def)| match def.kind {
                FieldKind::Int { min, .. } => Some((place, min.max(-1))),
                _ => None,
            })
            .collect();
        if numbers.is_empty() { None } else { Some(*rng.pick(&numbers)) }
    }
}

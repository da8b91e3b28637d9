//! Absences: of nothing at all or of too few, of what was once seen, and of the values of a field.

use logystera_processor::core::{Condition, Expected, Predicate, Test};
use logystera_schemas::catalogue::{FieldKind, SignalType};

use super::palette::{Palette, draw_group_by};
use crate::input::Field;
use crate::rng::Rng;

/// An absence, and what it is grouped by.
pub(super) fn draw(palette: &Palette, kind: SignalType, step: i64, rng: &mut Rng) -> (Condition, Vec<usize>) {
    let for_ms = step * *rng.pick(&[1, 3, 5, 10, 30]);
    let (expected, group_by) = match rng.below(10) {
        0..4 => (Expected::Always, Vec::new()),
        4..8 => (Expected::OnceSeen, draw_group_by(kind, rng)),
        _ => values(palette, kind, rng).unwrap_or((Expected::Always, Vec::new())),
    };
    let at_most = if rng.chance(40) { rng.range(1, 4) as u32 } else { 0 };
    let forget_after_ms = if expected == Expected::OnceSeen { forget_after(for_ms, step, rng) } else { None };
    (Condition::Absent { for_ms, expected, at_most, forget_after_ms }, group_by)
}

/// Mostly not much longer than it takes to be told.
pub(super) fn forget_after(for_ms: i64, step: i64, rng: &mut Rng) -> Option<i64> {
    rng.chance(60).then(|| for_ms + step * *rng.pick(&[1, 1, 2, 5, 20]))
}

/// A few values of a field. None: the field is of a kind whose groups cannot be listed.
fn values(palette: &Palette, kind: SignalType, rng: &mut Rng) -> Option<(Expected, Vec<usize>)> {
    let place = rng.index(kind.def().fields.len());
    let def = &kind.def().fields[place];
    let mut drawn: Vec<Field> = (0..rng.range(1, 3)).map(|_| palette.field(def, rng)).collect();
    drawn.sort();
    drawn.dedup();
    let drawn = drawn.iter();
    let test = match def.kind {
        FieldKind::Enum(_) => {
            let bits = drawn.map(|field| if let Field::Enum(symbol) = field { 1 << symbol } else { 0 });
            Test::EnumIn(bits.fold(0, |mask, bit| mask | bit))
        }
        FieldKind::Bool => Test::BoolIs(rng.chance(50)),
        FieldKind::Int { .. } => {
            Test::IntOneOf(drawn.filter_map(|field| if let Field::Int(n) = field { Some(*n) } else { None }).collect())
        }
        FieldKind::Hash => Test::HashOneOf(
            drawn.filter_map(|field| if let Field::Hash(hash) = field { Some(*hash) } else { None }).collect(),
        ),
        FieldKind::Ident { .. } => {
            let text = |field: &Field| if let Field::Ident(text) = field { Some(text.clone()) } else { None };
            Test::IdentOneOf(drawn.filter_map(text).collect())
        }
        FieldKind::EnumList(_) => return None,
    };
    Some((Expected::Values(Predicate { field: place, negated: false, test }), vec![place]))
}

//! Filters made of few values, so that their tests pass now and then, and of tests within tests.

use logystera_processor::core::{Clause, Filter, Part, PartTest, Predicate, Test};
use logystera_schemas::catalogue::{FieldDef, FieldKind, SignalType};

use super::palette::Palette;
use crate::input::Field;
use crate::rng::Rng;

/// Levels of tests within tests.
const LEVELS: u8 = 3;

/// Draws what must hold of a signal.
pub(super) fn draw(palette: &Palette, kind: SignalType, rng: &mut Rng) -> Filter {
    let clauses = rng.below(3);
    Filter((0..clauses).map(|_| clause(palette, kind, LEVELS, rng)).collect())
}

/// Draws a filter that tests something.
pub(super) fn draw_some(palette: &Palette, kind: SignalType, rng: &mut Rng) -> Filter {
    let clauses = rng.range(1, 2);
    Filter((0..clauses).map(|_| clause(palette, kind, LEVELS, rng)).collect())
}

fn clause(palette: &Palette, kind: SignalType, levels: u8, rng: &mut Rng) -> Clause {
    let filter = |rng: &mut Rng| {
        let clauses = rng.range(1, 2);
        Filter((0..clauses).map(|_| clause(palette, kind, levels - 1, rng)).collect())
    };
    let filters = |rng: &mut Rng| {
        let filters = rng.range(1, 2);
        (0..filters).map(|_| filter(rng)).collect()
    };
    match rng.below(10) {
        0 | 1 if levels > 0 => Clause::Any(filters(rng)),
        2 if levels > 0 => Clause::All(filters(rng)),
        3 if levels > 0 => Clause::Not(filter(rng)),
        _ => Clause::Test(predicate(palette, kind, rng.index(kind.def().fields.len()), rng)),
    }
}

fn predicate(palette: &Palette, kind: SignalType, field: usize, rng: &mut Rng) -> Predicate {
    let def = &kind.def().fields[field];
    let one = |rng: &mut Rng| loop {
        match palette.field(def, rng) {
            Field::Absent => {}
            other => return other,
        }
    };
    let test = match one(rng) {
        _ if rng.chance(10) => Test::Present,
        Field::Enum(_) => Test::EnumIn(1 + rng.below(7) as u32),
        Field::List(_) if rng.chance(50) => Test::ListHasAll(1 + rng.below(7) as u32),
        Field::List(_) => Test::ListHas(1 + rng.below(7) as u32),
        Field::Bool(truth) => Test::BoolIs(truth),
        Field::Int(n) if rng.chance(50) => Test::IntIn { min: n, max: n + rng.range(0, 1) },
        Field::Int(n) => Test::IntOneOf(if rng.chance(50) { vec![n] } else { vec![n, n + 1] }),
        Field::Hash(_) | Field::Ident(_) if rng.chance(25) => {
            Test::SameAs(of_same_kind(&kind.def().fields, field, rng))
        }
        Field::Hash(hash) => {
            let mut hashes = vec![hash];
            hashes.extend(match one(rng) {
                Field::Hash(h) if h != hash => Some(h),
                _ => None,
            });
            hashes.sort_unstable();
            Test::HashOneOf(hashes)
        }
        Field::Ident(text) if rng.chance(70) => Test::IdentPart(part(text, rng)),
        Field::Ident(text) => Test::IdentOneOf(vec![text]),
        Field::Absent => Test::IntOneOf(Vec::new()),
    };
    Predicate { field, negated: rng.chance(30), test }
}

/// Another field that holds the same sort of values; itself if there is none.
fn of_same_kind(fields: &[FieldDef], field: usize, rng: &mut Rng) -> usize {
    let is_hash = |def: &FieldDef| def.kind == FieldKind::Hash;
    let like = |place: &usize| *place != field && is_hash(&fields[*place]) == is_hash(&fields[field]);
    let places: Vec<usize> = (0..fields.len()).filter(like).collect();
    if places.is_empty() { field } else { *rng.pick(&places) }
}

fn part(text: String, rng: &mut Rng) -> PartTest {
    let part = *rng.pick(&[Part::Prefix, Part::Suffix, Part::Any]);
    let nocase = rng.chance(50);
    let mut needles = vec![text];
    needles.extend(rng.chance(50).then(|| (*rng.pick(&["aB", "ab", "/a", "a/b", "/B"])).to_owned()));
    if nocase {
        for needle in &mut needles {
            needle.make_ascii_lowercase();
        }
    }
    needles.sort();
    needles.dedup();
    PartTest { part, needles, nocase }
}

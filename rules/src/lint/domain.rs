//! Which values of a field a rule's `where` leaves: intervals and masks, counted without looking at each value.

use logystera_processor::core::{Predicate, Rule, Test};
use logystera_schemas::batch::Value;
use logystera_schemas::catalogue::{FieldDef, FieldKind, TYPE_FIELDS_MAX};

/// What is left of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// How many values. None: more than are worth counting.
    pub(super) values: Option<u64>,
    /// Whether that is every value that the field can have.
    pub(super) all: bool,
    /// Whether signals that lack the field are left, too.
    pub(super) lacking: bool,
}

impl Left {
    /// Whether every signal is left.
    pub(super) fn is_everything(self, def: &FieldDef) -> bool {
        self.all && self.lacking == def.optional
    }
}

/// What all tests of a rule leave of a field.
pub(super) fn left(rule: &Rule, field: usize, def: &FieldDef) -> Left {
    let whole = Left { values: size(&def.kind), all: true, lacking: def.optional };
    let of_field = rule.filter.tests().filter(|predicate| predicate.field == field);
    // One field has one test; should it have more, the least that one of them leaves is a bound of all.
    of_field.map(|predicate| left_by(predicate, def)).fold(whole, |one, other| Left {
        values: one.values.into_iter().chain(other.values).min(),
        all: one.all && other.all,
        lacking: one.lacking && other.lacking,
    })
}

/// Whether a test passes of a signal that has nothing but this value of the test's field.
pub(super) fn holds(predicate: &Predicate, value: Value<'_>) -> bool {
    let mut fields = [Value::Absent; TYPE_FIELDS_MAX];
    fields[predicate.field] = value;
    predicate.holds(&fields)
}

/// What one test leaves of its field.
pub(super) fn left_by(predicate: &Predicate, def: &FieldDef) -> Left {
    let size = size(&def.kind);
    if predicate.test == Test::Present {
        let values = if predicate.negated { Some(0) } else { size };
        return Left { values, all: !predicate.negated, lacking: predicate.negated && def.optional };
    }
    let passing = passing(&predicate.test, &def.kind);
    let values = match (predicate.negated, size) {
        (false, _) => passing,
        (true, Some(size)) => passing.map(|passing| size.saturating_sub(passing)),
        (true, None) => None,
    };
    let all = match size {
        Some(size) => values == Some(size),
        None => predicate.negated && passing == Some(0),
    };
    Left { values, all, lacking: predicate.negated && def.optional }
}

/// How many values a field can have. None: more than are worth counting.
fn size(kind: &FieldKind) -> Option<u64> {
    match kind {
        FieldKind::Enum(symbols) => Some(symbols.len() as u64),
        FieldKind::EnumList(symbols) => 1_u64.checked_shl(u32::try_from(symbols.len()).ok()?),
        FieldKind::Bool => Some(2),
        FieldKind::Int { min, max } => max.abs_diff(*min).checked_add(1),
        FieldKind::Hash | FieldKind::Ident { .. } => None,
    }
}

/// How many values pass a test.
fn passing(test: &Test, kind: &FieldKind) -> Option<u64> {
    let mask = |bits: u32| bits & mask_of(kind.symbols().len());
    match (test, kind) {
        (Test::EnumIn(bits), FieldKind::Enum(_)) => Some(u64::from(mask(*bits).count_ones())),
        (Test::ListHas(bits), FieldKind::EnumList(symbols)) => {
            // Those that have none of the symbols are made of the others alone.
            let others = symbols.len() as u32 - mask(*bits).count_ones();
            size(kind)?.checked_sub(1_u64.checked_shl(others)?)
        }
        (Test::BoolIs(_), FieldKind::Bool) => Some(1),
        (Test::IntIn { min: low, max: high }, FieldKind::Int { min, max }) => {
            let (low, high) = (low.max(min), high.min(max));
            if low > high { Some(0) } else { high.abs_diff(*low).checked_add(1) }
        }
        (Test::IntOneOf(numbers), FieldKind::Int { min, max }) => {
            Some(numbers.iter().filter(|number| (min..=max).contains(number)).count() as u64)
        }
        (Test::HashOneOf(hashes), FieldKind::Hash) => Some(hashes.len() as u64),
        (Test::IdentOneOf(names), FieldKind::Ident { .. }) => Some(names.len() as u64),
        (Test::ListHasAll(bits), FieldKind::EnumList(symbols)) => {
            1_u64.checked_shl(symbols.len() as u32 - mask(*bits).count_ones())
        }
        (Test::IdentPart(_) | Test::SameAs(_), _) => None,
        _ => Some(0),
    }
}

fn mask_of(symbols: usize) -> u32 {
    (0..symbols).fold(0, |mask, place| mask | 1 << place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every value that a small field can have.
    fn every(kind: &FieldKind) -> Vec<Value<'static>> {
        match kind {
            FieldKind::Enum(symbols) => (0..symbols.len() as u8).map(Value::Enum).collect(),
            FieldKind::EnumList(symbols) => (0..1 << symbols.len()).map(Value::List).collect(),
            FieldKind::Bool => vec![Value::Bool(false), Value::Bool(true)],
            FieldKind::Int { min, max } => (*min..=*max).map(Value::Int).collect(),
            FieldKind::Hash | FieldKind::Ident { .. } => Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_what_trying_each_value_leaves(
            (which, size, least, optional, negated) in (0..8_u8, 1..=5_usize, -3..3_i64, any::<bool>(), any::<bool>()),
            (bits, low, high) in (any::<u32>(), -5..9_i64, -5..9_i64),
            numbers in proptest::collection::btree_set(-5..9_i64, 0..5),
        ) {
            let symbols = || (0..size).map(|n| format!("s{n}")).collect::<Vec<_>>();
            let numbers_of = || FieldKind::Int { min: least, max: least + size as i64 };
            let (kind, test) = match which {
                0 => (FieldKind::Enum(symbols()), Test::EnumIn(bits)),
                1 => (FieldKind::EnumList(symbols()), Test::ListHas(bits)),
                2 => (FieldKind::Bool, Test::BoolIs(bits & 1 == 0)),
                3 => (numbers_of(), Test::IntIn { min: low, max: high }),
                4 => (numbers_of(), Test::IntIn { min: i64::MIN, max: high }),
                5 => (FieldKind::EnumList(symbols()), Test::ListHasAll(bits & mask_of(size))),
                6 => (FieldKind::Bool, Test::Present),
                _ => (numbers_of(), Test::IntOneOf(numbers.into_iter().collect())),
            };
            let def = FieldDef { name: "f".to_owned(), doc: String::new(), optional, since: 1, kind, domain: None };
            let predicate = Predicate { field: 0, negated, test };
            let left = left_by(&predicate, &def);
            let values = every(&def.kind);
            let passing = values.iter().filter(|value| holds(&predicate, **value)).count();
            let lacking = def.optional && holds(&predicate, Value::Absent);
            prop_assert_eq!(left, Left { values: Some(passing as u64), all: passing == values.len(), lacking });
            prop_assert_eq!(left.is_everything(&def), passing == values.len() && lacking == def.optional);
        }
    }
}

//! Filters that no signal passes: found by arithmetic over what the catalogue says that a field may hold. What it cannot
//! tell is taken for possible.

use std::collections::BTreeMap;

use logystera_processor::core::{Clause, Filter, Predicate, Test};
use logystera_schemas::catalogue::{FieldDef, FieldKind, SignalType};

/// What a field may still be after some tests.
#[derive(Clone, Debug)]
struct Room {
    /// Whether the signal may lack it.
    absent: bool,
    /// Whether it may be there, as far as nothing else says.
    present: bool,
    /// Symbols of an enum that are left, a bit each; of true and false, the lower bit is false's.
    symbols: Option<u32>,
    /// The range of a number that is left.
    range: Option<(i64, i64)>,
    /// Numbers that are left, if they were listed.
    listed: Option<Vec<i64>>,
}

/// Whether some signal of this type may pass. All that a filter's tests say of one field is taken together, also across
/// `all` and `any`.
pub(crate) fn can_hold(filter: &Filter, signal: SignalType) -> bool {
    is_possible(&[filter], &BTreeMap::new(), &signal.def().fields)
}

/// Whether all of `filters` may hold beside what `known` leaves of the fields.
fn is_possible(filters: &[&Filter], known: &BTreeMap<usize, Room>, fields: &[FieldDef]) -> bool {
    let (mut tests, mut choices, mut open) = (Vec::new(), Vec::new(), filters.to_vec());
    while let Some(filter) = open.pop() {
        for clause in &filter.0 {
            match clause {
                Clause::Test(predicate) => tests.push((predicate.negated, predicate)),
                Clause::All(filters) => open.extend(filters),
                Clause::Any(filters) => choices.push(filters),
                Clause::Not(filter) => {
                    if let [Clause::Test(predicate)] = filter.0.as_slice() {
                        tests.push((!predicate.negated, predicate));
                    }
                }
            }
        }
    }
    // What may be first, then what is taken from it, from the ends inwards: as often as there are tests will do.
    tests.sort_by_key(|(negated, _)| *negated);
    let mut rooms = known.clone();
    for _ in 0..tests.len() {
        for (negated, Predicate { field, test, .. }) in &tests {
            rooms.entry(*field).or_insert_with(|| Room::of(&fields[*field])).narrow(test, *negated);
        }
    }
    rooms.values().all(Room::has_any)
        && choices.iter().all(|filters| filters.iter().any(|filter| is_possible(&[filter], &rooms, fields)))
}

impl Room {
    fn of(def: &FieldDef) -> Self {
        let (symbols, range) = match &def.kind {
            FieldKind::Enum(symbols) => (Some(mask(symbols.len())), None),
            FieldKind::Bool => (Some(mask(2)), None),
            FieldKind::Int { min, max } => (None, Some((*min, *max))),
            FieldKind::EnumList(_) | FieldKind::Hash | FieldKind::Ident { .. } => (None, None),
        };
        // Batches of before a field was added lack it.
        Self { absent: def.optional || def.since > 1, present: true, symbols, range, listed: None }
    }

    fn has_any(&self) -> bool {
        let has_symbol = self.symbols.is_none_or(|symbols| symbols != 0);
        let has_number = self.range.is_none_or(|(low, high)| match &self.listed {
            Some(listed) => listed.iter().any(|number| (low..=high).contains(number)),
            None => low <= high,
        });
        self.absent || self.present && has_symbol && has_number
    }

    fn narrow(&mut self, test: &Test, negated: bool) {
        match (test, negated) {
            (Test::Present, true) => self.present = false,
            (_, false) => self.absent = false,
            (_, true) => {}
        }
        match (test, &mut self.symbols, &mut self.range) {
            (Test::EnumIn(wanted), Some(symbols), _) => *symbols &= if negated { !wanted } else { *wanted },
            (Test::BoolIs(truth), Some(symbols), _) => *symbols &= if *truth == negated { 1 } else { 2 },
            (Test::IntIn { min, max }, _, Some((low, high))) if !negated => {
                (*low, *high) = ((*low).max(*min), (*high).min(*max));
            }
            (Test::IntIn { min, max }, _, Some(range)) => {
                cut(range, *min, *max);
                self.listed.iter_mut().for_each(|listed| listed.retain(|n| !(min..=max).contains(&n)));
            }
            (Test::IntOneOf(numbers), ..) if !negated => {
                let is_left = |n: &i64| self.listed.as_ref().is_none_or(|listed| listed.contains(n));
                self.listed = Some(numbers.iter().copied().filter(is_left).collect());
            }
            (Test::IntOneOf(numbers), _, Some(range)) => {
                for number in numbers {
                    cut(range, *number, *number);
                }
                self.listed.iter_mut().for_each(|listed| listed.retain(|n| !numbers.contains(n)));
            }
            _ => {}
        }
    }
}

/// Takes the numbers from `min` to `max` off an end of the range, if they lie there.
fn cut((low, high): &mut (i64, i64), min: i64, max: i64) {
    if min <= *low && max >= *low {
        *low = max.saturating_add(1);
    }
    if max >= *high && min <= *high {
        *high = min.saturating_sub(1);
    }
}

fn mask(symbols: usize) -> u32 {
    u32::MAX >> (32 - symbols.clamp(1, 32))
}

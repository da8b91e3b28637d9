//! What the sites of one run have in common: the types of their signals, their pace, and the few values of a field.

use logystera_schemas::catalogue::{FieldDef, FieldKind, IdentClass, SignalType};

use crate::input::Field;
use crate::rng::Rng;

/// What the sites of one run have in common.
#[derive(Clone, Debug)]
pub struct Palette {
    /// Signal types that senders send.
    pub types: Vec<SignalType>,
    /// Signal types that rules look for: those, and maybe what only the engine makes.
    pub watched: Vec<SignalType>,
    /// The step that times are multiples of, in milliseconds.
    pub step_ms: i64,
    /// Different values that a field has.
    pub values: u64,
}

impl Palette {
    /// Draws one.
    pub fn draw(rng: &mut Rng) -> Self {
        let (sent, made): (Vec<SignalType>, Vec<SignalType>) = SignalType::all().partition(|kind| kind.is_sent());
        let types: Vec<SignalType> = (0..rng.range(1, 3)).map(|_| *rng.pick(&sent)).collect();
        let mut watched = types.clone();
        if rng.chance(30) {
            watched.extend(made);
        }
        Self { types, watched, step_ms: *rng.pick(&[1_000, 1_000, 500, 250, 1, 60_000]), values: 1 + rng.below(3) }
    }

    /// Milliseconds of true time from one step of the world to the next.
    pub fn pace_ms(&self) -> i64 {
        if self.is_slow() { 20_000 } else { 1_000 }
    }

    /// Whether hours may pass. Where spans are short, a rule that fires on would say so ten thousand times.
    pub fn is_slow(&self) -> bool {
        self.step_ms >= 60_000
    }

    /// A value for a field.
    pub fn field(&self, def: &FieldDef, rng: &mut Rng) -> Field {
        if def.optional && rng.chance(25) {
            return Field::Absent;
        }
        let nth = rng.below(self.values);
        match &def.kind {
            FieldKind::Enum(symbols) => Field::Enum((nth as usize % symbols.len()) as u8),
            FieldKind::EnumList(symbols) => Field::List(rng.below(1 << symbols.len().min(3)) as u32),
            FieldKind::Int { min, max } => Field::Int((*min.max(&-1) + nth as i64).min(*max)),
            FieldKind::Bool => Field::Bool(nth == 0),
            FieldKind::Hash => Field::Hash([nth as u8; 16]),
            FieldKind::Ident { class, max } => {
                let texts = match class {
                    IdentClass::Path => ["/", "/a", "/a/B"],
                    IdentClass::Action => ["a", "ab", "b"],
                    _ => ["a", "aB", "b"],
                };
                let text = texts[nth as usize % 3];
                let long = text.len() + 70 < *max && rng.chance(5);
                Field::Ident(if long { format!("{text}{}", "x".repeat(70)) } else { text.to_owned() })
            }
        }
    }
}

/// What a rule groups by: no field, one or two.
pub(super) fn draw_group_by(kind: SignalType, rng: &mut Rng) -> Vec<usize> {
    let fields = kind.def().fields.len();
    let mut places: Vec<usize> = (0..rng.below(3)).map(|_| rng.index(fields)).collect();
    places.sort_unstable();
    places.dedup();
    if rng.chance(50) {
        places.reverse();
    }
    places
}

//! How values are shown, tested and told apart: predicates, labels, group keys, evidence, messages (design, section 6).

use logystera_processor::core::{Clause, Filter, Part, PartTest, Piece, Predicate, Rule, Test};
use logystera_schemas::avro::Writer;
use logystera_schemas::catalogue::{FieldDef, FieldKind, SignalType};
use logystera_schemas::detection::{Evidence, Label};
use logystera_schemas::ids::EpisodeId;

use crate::input::{Field, SignalIn};

/// Signals that evidence shows at most.
const EVIDENCE_SIGNALS: usize = 10;
/// Bytes of one value in the evidence.
const EVIDENCE_VALUE_BYTES: usize = 64;
/// Bytes of all values in a group's evidence.
const EVIDENCE_BYTES: usize = 512;

/// Whether a rule looks at a signal: its type is the rule's and its filter holds.
pub fn matches(rule: &Rule, signal: &SignalIn) -> bool {
    rule.signal == Some(signal.kind) && passes(&rule.filter, &signal.fields)
}

/// Whether a signal with these fields passes a filter.
pub fn passes(filter: &Filter, fields: &[Field]) -> bool {
    let mut failed = filter.0.iter().filter(|clause| {
        let held = match clause {
            Clause::Test(predicate) => holds(predicate, fields),
            Clause::Any(filters) => filters.iter().filter(|filter| passes(filter, fields)).count() > 0,
            Clause::All(filters) => filters.iter().filter(|filter| passes(filter, fields)).count() == filters.len(),
            Clause::Not(filter) => !passes(filter, fields),
        };
        !held
    });
    failed.next().is_none()
}

/// A field that is absent fails every test, so that a negated test holds for it.
pub(super) fn holds(predicate: &Predicate, fields: &[Field]) -> bool {
    let passes = match (&predicate.test, &fields[predicate.field]) {
        (_, Field::Absent) => false,
        (Test::Present, _) => true,
        (Test::SameAs(other), field) => fields[*other] == *field,
        (Test::ListHasAll(wanted), Field::List(bits)) => {
            (0..32).all(|i| (wanted >> i) % 2 == 0 || (bits >> i) % 2 == 1)
        }
        (Test::EnumIn(wanted), Field::Enum(symbol)) => (wanted >> symbol) % 2 == 1,
        (Test::ListHas(wanted), Field::List(bits)) => (0..32).any(|i| (wanted >> i) % 2 == 1 && (bits >> i) % 2 == 1),
        (Test::BoolIs(wanted), Field::Bool(truth)) => wanted == truth,
        (Test::IntIn { min, max }, Field::Int(number)) => min <= number && number <= max,
        (Test::IntOneOf(numbers), Field::Int(number)) => numbers.contains(number),
        (Test::HashOneOf(hashes), Field::Hash(hash)) => hashes.contains(hash),
        (Test::IdentOneOf(names), Field::Ident(text)) => names.contains(text),
        (Test::IdentPart(wanted), Field::Ident(text)) => wanted.needles.iter().any(|needle| has(wanted, text, needle)),
        _ => false,
    };
    passes != predicate.negated
}

/// Whether a needle stands in a text where the test looks for it: every place is tried.
fn has(wanted: &PartTest, text: &str, needle: &str) -> bool {
    let fold = |text: &str| if wanted.nocase { text.to_ascii_lowercase() } else { text.to_owned() };
    let (text, needle) = (fold(text), fold(needle));
    let places = 0..=text.len().saturating_sub(needle.len());
    let found: Vec<usize> = places.filter(|at| text.get(*at..at + needle.len()) == Some(needle.as_str())).collect();
    match wanted.part {
        Part::Prefix => found.contains(&0),
        Part::Suffix => found.iter().any(|at| at + needle.len() == text.len()),
        Part::Any => !found.is_empty(),
    }
}

/// A value as people read it; a list's symbols in the catalogue's order. Absent: empty.
pub fn text(_kind: SignalType, def: &FieldDef, field: &Field) -> String {
    match (field, &def.kind) {
        (Field::Absent, _) => String::new(),
        (Field::Enum(symbol), FieldKind::Enum(symbols)) => symbols[usize::from(*symbol)].clone(),
        (Field::List(bits), FieldKind::EnumList(symbols)) => {
            let chosen = symbols.iter().enumerate().filter(|(i, _)| bits & 1 << i != 0);
            chosen.map(|(_, symbol)| symbol.as_str()).collect::<Vec<_>>().join(",")
        }
        (Field::Int(number), _) => number.to_string(),
        (Field::Bool(truth), _) => truth.to_string(),
        (Field::Hash(hash), _) => EpisodeId(*hash).to_string(),
        (Field::Ident(text), _) => text.clone(),
        (other, kind) => format!("{other:?} is not {kind:?}"),
    }
}

/// The group that a signal falls in, as labels. An absent field is a value of its own, shown as an empty text.
pub fn labels(rule: &Rule, signal: &SignalIn) -> Vec<Label> {
    let fields = &signal.kind.def().fields;
    let label = |place: &usize| Label {
        field: fields[*place].name.clone(),
        value: text(signal.kind, &fields[*place], &signal.fields[*place]),
    };
    rule.group_by.iter().map(label).collect()
}

/// The group's bytes, by which groups are ordered: each field's Avro encoding behind the branch that says whether it is there.
pub fn key(rule: &Rule, signal: &SignalIn) -> Vec<u8> {
    let mut to = Writer::new();
    for place in &rule.group_by {
        encode(&signal.fields[*place], &mut to);
    }
    to.into_bytes()
}

/// One value's Avro encoding behind its branch.
pub fn encode(field: &Field, to: &mut Writer) {
    to.long(i64::from(*field != Field::Absent));
    match field {
        Field::Absent => {}
        Field::Enum(symbol) => to.long(i64::from(*symbol)),
        Field::List(bits) => {
            let symbols: Vec<i64> = (0..32).filter(|i| (bits >> i) % 2 == 1).collect();
            if !symbols.is_empty() {
                to.long(symbols.len() as i64);
                for symbol in symbols {
                    to.long(symbol);
                }
            }
            to.long(0);
        }
        Field::Int(number) => to.long(*number),
        Field::Bool(truth) => to.boolean(*truth),
        Field::Hash(hash) => to.raw(hash),
        Field::Ident(text) => to.bytes(text.as_bytes()),
    }
}

/// The evidence of matches, given oldest first: the newest of them, at most 10, with values of 64 bytes and 512 bytes in all.
pub fn evidence<'a>(rule: &Rule, matches: impl DoubleEndedIterator<Item = (i64, &'a SignalIn)>) -> Vec<Evidence> {
    if rule.evidence.is_empty() {
        return Vec::new();
    }
    let mut kept = Vec::new();
    let mut bytes = 0;
    for (at, signal) in matches.rev().take(EVIDENCE_SIGNALS) {
        let defs = &signal.kind.def().fields;
        let mut fields = Vec::new();
        for place in rule.evidence.iter().filter(|place| signal.fields[**place] != Field::Absent) {
            let mut value = text(signal.kind, &defs[*place], &signal.fields[*place]);
            value.truncate(EVIDENCE_VALUE_BYTES);
            bytes += value.len();
            fields.push(Label { field: defs[*place].name.clone(), value });
        }
        if bytes > EVIDENCE_BYTES {
            break;
        }
        kept.push(Evidence { at, fields });
    }
    kept.reverse();
    kept
}

/// The rule's message with its places filled in.
pub fn message(rule: &Rule, count: u64, site: &str, group: &[Label]) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) | Piece::Within(text) => text.clone(),
        Piece::Count => count.to_string(),
        Piece::Site => site.to_owned(),
        Piece::Group(place) => group.get(*place).map_or_else(String::new, |l| l.value.clone()),
    };
    rule.message.0.iter().map(piece).collect()
}

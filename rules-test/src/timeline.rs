//! The signals of a test, one by one.

use logystera_processor::core::Rule;
use logystera_rules::{RuleTest, TestSignal};
use logystera_schemas::batch::{Fields, Value};
use logystera_schemas::catalogue::{FieldDef, FieldKind, IdentClass, TYPE_FIELDS_MAX};

/// A signal of a test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signal<'t> {
    /// Its time, in milliseconds from the start of the test.
    pub(crate) at_ms: i64,
    /// What it carries.
    pub(crate) line: &'t Line<'t>,
}

/// What the signals of one line carry.
#[derive(Clone, Debug)]
pub(crate) struct Line<'t> {
    signal: &'t TestSignal,
    /// All fields of the type: those that the line gives, and of those that every signal has, the others.
    pub(crate) fields: Fields<'t>,
    /// Whether they pass the rule's `where`.
    pub(crate) matches: bool,
}

impl Line<'_> {
    /// Whether the test's line itself gives the field.
    pub(crate) fn gives(&self, place: usize) -> bool {
        self.signal.fields.iter().any(|(given, _)| *given == place)
    }
}

/// The lines of a test.
pub(crate) fn lines<'t>(rule: &Rule, test: &'t RuleTest) -> Vec<Line<'t>> {
    let line = |signal: &'t TestSignal| {
        let fields = fields(rule, signal);
        Line { signal, matches: rule.matches(&fields), fields }
    };
    test.signals.iter().map(line).collect()
}

/// The signals of all lines in the order of their times; those of one time in the order of the lines.
pub(crate) fn signals<'t>(lines: &'t [Line<'t>]) -> Vec<Signal<'t>> {
    let of_line = |line: &'t Line<'t>| {
        let TestSignal { at_ms, every_ms, times, .. } = *line.signal;
        (0..times).map(move |n| Signal { at_ms: at_ms + n * every_ms, line })
    };
    let mut signals: Vec<Signal<'t>> = lines.iter().flat_map(of_line).collect();
    signals.sort_by_key(|signal| signal.at_ms);
    signals
}

fn fields<'t>(rule: &Rule, signal: &'t TestSignal) -> Fields<'t> {
    let mut fields = [Value::Absent; TYPE_FIELDS_MAX];
    let defs = rule.signal.map(|signal| signal.def().fields.as_slice()).unwrap_or_default();
    for (to, def) in fields.iter_mut().zip(defs).filter(|(_, def)| !def.optional) {
        *to = any_value(def);
    }
    for (place, value) in &signal.fields {
        fields[*place] = value.as_value();
    }
    fields
}

/// A value for a field that every signal has, where a test's line gives none.
fn any_value(def: &FieldDef) -> Value<'static> {
    match &def.kind {
        FieldKind::Enum(_) => Value::Enum(0),
        FieldKind::EnumList(_) => Value::List(0),
        FieldKind::Int { min, .. } => Value::Int((*min).max(0)),
        FieldKind::Bool => Value::Bool(false),
        FieldKind::Hash => Value::Hash(&[0; 16]),
        FieldKind::Ident { class: IdentClass::Path, .. } => Value::Ident("/"),
        FieldKind::Ident { .. } => Value::Ident("x"),
    }
}

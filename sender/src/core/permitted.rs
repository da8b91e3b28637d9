//! What the catalogue would have taken in the place of what it refused. Says nothing of the values in a signal.

use std::collections::BTreeSet;

use logystera_schemas::catalogue::{FieldDef, FieldKind, SignalType, TypeDef};
use logystera_schemas::limits::EXPLAINED_LINES_MAX;

/// What was said already: each is said once.
#[derive(Clone, Debug, Default)]
pub struct Hints(BTreeSet<String>);

impl Hints {
    /// A hint to put behind a refusal of `code` at a signal of this type, separator included. Empty if it was said
    /// before, if there is none, or if enough were said.
    pub fn of(&mut self, code: &str, kind: &str, field: Option<&str>) -> String {
        let hint = permitted(code, kind, field).unwrap_or_default();
        if hint.is_empty() || self.0.len() as u64 >= EXPLAINED_LINES_MAX || !self.0.insert(hint.clone()) {
            return String::new();
        }
        format!("; {hint}")
    }
}

fn permitted(code: &str, kind: &str, field: Option<&str>) -> Option<String> {
    if code == "type_unknown" {
        return Some(format!(
            "the types are {}",
            joined(SignalType::all().filter(|t| t.is_sent()).map(SignalType::name))
        ));
    }
    let def = SignalType::from_sent_name(kind)?.def();
    let known = field.and_then(|field| def.field(field)).map(|(_, field)| field);
    match (code, known) {
        ("field_not_allowed", _) => Some(fields(def)),
        ("field_missing" | "value_invalid", Some(field)) => Some(format!("{} is {}", field.name, what(field))),
        _ => None,
    }
}

/// The fields that a type has, those that it must have first.
fn fields(def: &TypeDef) -> String {
    let named = |optional: bool| joined(def.fields.iter().filter(|f| f.optional == optional).map(|f| f.name.as_str()));
    let (must, may) = (named(false), named(true));
    match (must.is_empty(), may.is_empty()) {
        (true, true) => format!("{} has no fields but type and at", def.name),
        (false, true) => format!("{} has {must}", def.name),
        (true, false) => format!("{} may have {may}", def.name),
        (false, false) => format!("{} has {must}, and may have {may}", def.name),
    }
}

/// What a field may hold, in words.
fn what(field: &FieldDef) -> String {
    match &field.kind {
        FieldKind::Enum(symbols) => format!("one of {}", joined(symbols.iter().map(String::as_str))),
        FieldKind::EnumList(symbols) => format!("a list of any of {}", joined(symbols.iter().map(String::as_str))),
        FieldKind::Int { min, max } => format!("a whole number from {min} to {max}"),
        FieldKind::Bool => "true or false".to_owned(),
        FieldKind::Hash => "a hash: 32 hex digits, small ones".to_owned(),
        FieldKind::Ident { class, max } => format!("text of 1 to {max} characters: {}", class.describe()),
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_have_been_taken_is_said_once() {
        for (code, kind, field, says) in [
            ("type_unknown", "cron.ran", Some("type"), Some("the types are auth.attempt, ")),
            ("field_not_allowed", "cron.run", Some("password"), Some("cron.run has job, outcome, and may have ")),
            ("value_invalid", "cron.run", Some("outcome"), Some("outcome is one of ok, ")),
            ("field_missing", "cron.run", Some("job"), Some("job is text of 1 to ")),
            ("value_invalid", "http.request", Some("status"), Some("status is a whole number from ")),
            ("value_invalid", "auth.attempt", Some("source"), Some("source is a hash: 32 hex digits")),
            ("too_old", "cron.run", Some("at"), None),
            ("value_invalid", "integration.refused", Some("count"), None),
            ("value_invalid", "cron.run", Some("at"), None),
        ] {
            let mut hints = Hints::default();
            let said = hints.of(code, kind, field);
            match says {
                Some(says) => assert!(said.starts_with(&format!("; {says}")), "{code} {kind}: {said}"),
                None => assert_eq!(said, "", "{code} {kind}"),
            }
            assert_eq!(hints.of(code, kind, field), "", "once");
        }
        let all = permitted("type_unknown", "", None).unwrap_or_default();
        assert!(all.contains("cron.run") && !all.contains("integration.refused"), "{all}");
    }
}

//! `docs/signals.md`: the catalogue for people, made from the schemas.

use std::fmt::Write;

use logystera_schemas::catalogue::{CATALOGUE, FieldDef, FieldKind, TypeDef};

const HEAD: &str = "\
# Signals: the catalogue

<!-- Made from schemas/avsc/signals by the code; a test compares. Don't edit: change the schema and run
     `UPDATE_DOCS=1 cargo test -p logystera-rules signals_md`. -->

These are the signal types that a site can send and a rule can watch, with every field they can carry. Anything else is
refused at the door, and so is a type of which it says that only the engine makes it: rules can watch it all the same. Each signal also has `at`, its time in milliseconds since 1970, and `type`.

The test for every type and field is: can we describe what happened on the site without describing what the user said?
A *hash* is HMAC-SHA256 under a key that never leaves the site, cut to 16 bytes and written as 32 lowercase hex digits: it
tells one user, address or file from another, and only the site's own admin page can say which. There is no free text. A `?` marks a field that a signal may lack.
";

/// The catalogue as Markdown.
pub fn catalogue_markdown() -> String {
    let mut text = HEAD.to_owned();
    for def in &CATALOGUE.types {
        write_type(def, &mut text);
    }
    text
}

fn write_type(def: &TypeDef, text: &mut String) {
    let rows: String = def.fields.iter().map(row).collect();
    let maker = if def.is_sent { "" } else { " Only the engine makes it, and it is always on." };
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "\n## {}\n\n{}{maker}\n\n| field | holds | meaning |\n| --- | --- | --- |\n{rows}",
        def.name, def.doc
    );
}

fn row(field: &FieldDef) -> String {
    let optional = if field.optional { "?" } else { "" };
    format!("| `{}{optional}` | {} | {} |\n", field.name, holds(&field.kind), field.doc)
}

fn holds(kind: &FieldKind) -> String {
    let symbols = |symbols: &[String]| symbols.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(", ");
    match kind {
        FieldKind::Enum(one_of) => symbols(one_of),
        FieldKind::EnumList(any_of) => format!("a list of any of {}", symbols(any_of)),
        FieldKind::Int { min, max } => format!("a whole number from {min} to {max}"),
        FieldKind::Bool => "true or false".to_owned(),
        FieldKind::Hash => "a hash".to_owned(),
        FieldKind::Ident { class, max } => format!("up to {max} characters: {}", class.describe()),
    }
}

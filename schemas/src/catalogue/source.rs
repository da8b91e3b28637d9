//! Reads the definitions from `avsc/`.

use serde::Deserialize;

use super::definition::{Domain, FieldDef, FieldKind, IdentClass, TypeDef};

#[derive(Deserialize)]
struct RecordSchema {
    signal: String,
    made_by: Option<Maker>,
    doc: String,
    fields: Vec<FieldSchema>,
}

/// Who alone makes signals of a type.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Maker {
    Engine,
}

#[derive(Deserialize)]
struct FieldSchema {
    name: String,
    doc: String,
    r#type: serde_json::Value,
    #[serde(default = "first_version")]
    since: u8,
    domain: Option<Domain>,
}

fn first_version() -> u8 {
    1
}

#[derive(Deserialize)]
struct TypeSchema {
    r#type: String,
    #[serde(default)]
    symbols: Vec<String>,
    items: Option<Box<TypeSchema>>,
    minimum: Option<i64>,
    maximum: Option<i64>,
    class: Option<IdentClass>,
    max_length: Option<usize>,
}

/// The definition of a type, from its schema.
pub(super) fn type_def(source: &str) -> Result<TypeDef, serde_json::Error> {
    let schema: RecordSchema = serde_json::from_str(source)?;
    let fields = schema.fields.into_iter().filter(|f| f.name != "at").map(field_def).collect::<Result<_, _>>()?;
    let is_sent = !matches!(schema.made_by, Some(Maker::Engine));
    Ok(TypeDef { name: schema.signal, doc: schema.doc, is_sent, fields })
}

fn field_def(field: FieldSchema) -> Result<FieldDef, serde_json::Error> {
    let (optional, schema) = match field.r#type {
        serde_json::Value::Array(mut branches) if branches.len() == 2 => (true, branches.remove(1)),
        other => (false, other),
    };
    let kind = match schema.as_str() {
        Some("boolean") => FieldKind::Bool,
        Some(_) => FieldKind::Hash,
        None => field_kind(serde_json::from_value(schema)?)?,
    };
    let FieldSchema { name, doc, since, domain, .. } = field;
    Ok(FieldDef { name, doc, optional, since, domain, kind })
}

fn field_kind(schema: TypeSchema) -> Result<FieldKind, serde_json::Error> {
    let missing = |what| serde::de::Error::custom(format!("a {} needs {what}", schema.r#type));
    Ok(match schema.r#type.as_str() {
        "enum" => FieldKind::Enum(schema.symbols),
        "array" => FieldKind::EnumList(schema.items.ok_or_else(|| missing("items"))?.symbols),
        "long" => FieldKind::Int {
            min: schema.minimum.ok_or_else(|| missing("minimum"))?,
            max: schema.maximum.ok_or_else(|| missing("maximum"))?,
        },
        _ => FieldKind::Ident {
            class: schema.class.ok_or_else(|| missing("class"))?,
            max: schema.max_length.ok_or_else(|| missing("max_length"))?,
        },
    })
}

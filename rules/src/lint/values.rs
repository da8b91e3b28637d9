//! Values of `where` that look as if no signal had them.

use logystera_processor::core::Rule;
use logystera_schemas::catalogue::{FieldDef, FieldKind, IdentClass};

use crate::code::Code;
use crate::report::Report;
use crate::yaml::{Node, Yaml};

pub(super) fn check(node: &Node, rule: &Rule, report: &mut Report<'_>) {
    let (Some(signal), Some(tests)) = (rule.signal, node.get("where")) else { return };
    of_fields(tests, &mut |name, node| {
        if let Some((_, def)) = signal.def().field(name) {
            node.each_scalar(&mut |value| of_field(def, value, report));
        }
    });
}

/// Each field that `where` names and its test, in whatever lists and maps they stand.
fn of_fields<'n>(node: &'n Node, each: &mut impl FnMut(&str, &'n Node)) {
    match &node.yaml {
        Yaml::Scalar { .. } => {}
        Yaml::List(items) => items.iter().for_each(|item| of_fields(item, each)),
        Yaml::Map(entries) => {
            for (key, node) in entries {
                match key.name.as_str() {
                    "any" | "all" | "not" => of_fields(node, each),
                    name => each(name, node),
                }
            }
        }
    }
}

fn of_field(def: &FieldDef, value: &Node, report: &mut Report<'_>) {
    let Some(text) = value.as_text() else { return };
    if let FieldKind::Ident { class: IdentClass::Path, .. } = def.kind {
        path(text, value, report);
    }
}

fn path(text: &str, value: &Node, report: &mut Report<'_>) {
    if text.split('/').any(|part| part.contains('*') && part != "*") {
        report.warn(
            Code::Pattern,
            value.place,
            format!("no path is `{text}`: it is compared as it stands"),
            "there are no patterns; `*` stands in paths for a whole part that the site left out: give a `prefix`",
        );
    }
}

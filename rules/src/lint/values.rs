//! Values of `where` that look as if no signal had them.

use logystera_processor::core::Rule;
use logystera_schemas::catalogue::{FieldDef, FieldKind, IdentClass};

use crate::code::Code;
use crate::report::Report;
use crate::suggest;
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

/// Names that WordPress and Drupal have of themselves: what is nearly one of them is a slip.
const ROLES: [&str; 9] = [
    "administrator",
    "editor",
    "author",
    "contributor",
    "subscriber",
    "customer",
    "shop_manager",
    "authenticated",
    "content_editor",
];
/// Numbers from here on are times, in milliseconds.
const TIMES_FROM: i64 = 1_000_000_000_000;

fn of_field(def: &FieldDef, value: &Node, report: &mut Report<'_>) {
    let Yaml::Scalar { text, plain } = &value.yaml else { return };
    match def.kind {
        FieldKind::Int { max, .. } if max > TIMES_FROM && text.parse().is_ok_and(|time: i64| time > TIMES_FROM) => {
            let problem = format!("`{}` is compared with one moment of the calendar", def.name);
            let help = "from some day on it always holds, or never: a rule's times are `within` and `for`";
            report.warn(Code::AbsoluteTime, value.place, problem, help);
        }
        FieldKind::Ident { class, .. } => {
            if class == IdentClass::Path {
                path(text, value, report);
            }
            if *plain && text.parse::<f64>().is_ok() {
                let problem = format!("`{}` is text, and this looks like a number", def.name);
                let help =
                    format!("it is compared character by character: write `\"{text}\"`, to say that it is meant so");
                report.warn(Code::NumberAsText, value.place, problem, help);
            }
            names(def, text, value, report);
        }
        _ => {}
    }
}

fn names(def: &FieldDef, text: &str, value: &Node, report: &mut Report<'_>) {
    if matches!(def.name.as_str(), "slug" | "component" | "role") && text.chars().any(char::is_uppercase) {
        let problem = format!("a `{}` has no capital letters", def.name);
        report.warn(Code::LikelyTypo, value.place, problem, format!("write `{}`", text.to_lowercase()));
    } else if def.name == "role"
        && !ROLES.contains(&text)
        && let Some(near) = suggest::near(text, &ROLES)
    {
        let problem = format!("a role `{text}` is not one that sites have of themselves");
        report.warn(Code::LikelyTypo, value.place, problem, format!("did you mean `{near}`?"));
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
    if let Some(escape) = needless_escape(text) {
        let problem = format!("`{escape}` is compared as it stands: clients seldom write it so");
        report.warn(Code::EncodedPath, value.place, problem, "write the character itself");
    }
}

/// An escape of a character that needs none (RFC 3986, 2.3).
fn needless_escape(text: &str) -> Option<&str> {
    text.match_indices('%').find_map(|(at, _)| {
        let escape = text.get(at..at + 3)?;
        let byte = u8::from_str_radix(&escape[1..], 16).ok()?;
        (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)).then_some(escape)
    })
}

//! `logystera rules show`: the default pack, as a list and as the YAML that it is made of.

use logystera_rules::DEFAULT_PACK;
use serde_json::json;

use crate::cli::table;
use crate::cli::{CliError, DONE, Out};

#[derive(clap::Args, Debug)]
pub(super) struct ShowArgs {
    /// Print the YAML of these rules only [default: a list of all rules]
    #[arg(value_name = "RULE")]
    rules: Vec<String>,
    /// Print the YAML of the whole pack, to begin rules of your own with
    #[arg(long, conflicts_with_all = ["rules", "json"])]
    yaml: bool,
    /// Print JSON, one rule a line
    #[arg(long, conflicts_with = "rules")]
    json: bool,
}

/// What every file of rules begins with.
const HEAD: &str = "format: 1\nrules:\n";

pub(super) fn show(args: &ShowArgs) -> Result<u8, CliError> {
    let mut out = Out::new();
    if args.yaml || !args.rules.is_empty() {
        let yaml = if args.yaml { whole() } else { of(&args.rules)? };
        for line in yaml.lines() {
            out.line(line)?;
        }
        out.flush()?;
        return Ok(DONE);
    }
    let pack = crate::installation::rules::rules_or_default(None)?;
    let mut rows = vec![["RULE", "SEVERITY", "TITLE"].map(str::to_owned)];
    for rule in &pack.rules {
        if args.json {
            out.json(&json!({
                "rule": rule.name, "revision": rule.revision, "severity": rule.severity, "title": rule.title, "why": rule.why,
                "do": rule.advice,
            }))?;
        } else {
            rows.push([rule.name.to_string(), rule.severity.to_string(), rule.title.clone()]);
        }
    }
    if !args.json {
        table(&mut out, &rows)?;
        out.line(format_args!(
            "\nThe default pack: {} rules, digest {:.12}. One as YAML: logystera rules show {}. All of it: logystera rules show --yaml",
            pack.rules.len(),
            pack.digest.to_string(),
            pack.rules.first().map_or("RULE", |rule| rule.name.as_str())
        ))?;
    }
    out.flush()?;
    Ok(DONE)
}

/// The pack as one file: what each file of it says of itself stands before its rules.
fn whole() -> String {
    let parts = DEFAULT_PACK.iter().filter_map(|(_, text)| text.split_once(HEAD));
    parts.fold(HEAD.to_owned(), |whole, (about, rules)| whole + "\n" + about + rules)
}

/// These rules of the pack as a file.
fn of(names: &[String]) -> Result<String, CliError> {
    let all: Vec<&str> =
        DEFAULT_PACK.iter().filter_map(|(_, text)| text.split_once(HEAD)).flat_map(|(_, rules)| split(rules)).collect();
    let mut yaml = HEAD.to_owned();
    for name in names {
        let head = format!("- name: {name}\n");
        let rule = all.iter().find(|rule| rule.starts_with(&head)).ok_or_else(|| {
            CliError::wrong_use(format!("the default pack has no rule {name}; `logystera rules show` lists them"))
        })?;
        yaml.push_str(rule);
    }
    Ok(yaml)
}

/// The rules of a file, each from its name on.
fn split(rules: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = rules.match_indices("\n- name: ").map(|(before, _)| before + 1).collect();
    starts.insert(0, 0);
    let ends = starts.iter().skip(1).copied().chain([rules.len()]);
    starts.iter().zip(ends).map(|(start, end)| &rules[*start..end]).collect()
}

#[cfg(test)]
mod tests {
    use logystera_rules::{default_pack, from_yaml};

    use super::*;

    #[test]
    fn what_is_shown_is_the_pack() {
        let pack = default_pack().unwrap();
        let shown = whole();
        assert_eq!(from_yaml(&[("shown.yaml", &shown)]).unwrap().digest, pack.digest);
        for (_, text) in DEFAULT_PACK {
            assert!(shown.contains(text.lines().next().unwrap()), "a file says what it is about");
        }
        for rule in &pack.rules {
            let alone = from_yaml(&[("one.yaml", &of(&[rule.name.to_string()]).unwrap())]).unwrap();
            let revisions: Vec<_> = alone.rules.iter().map(|rule| &rule.revision).collect();
            assert_eq!(revisions, [&rule.revision]);
        }
        let unknown = of(&["no-such-rule".to_owned()]).unwrap_err();
        assert!(unknown.code == 2 && unknown.message.contains("no rule no-such-rule"), "{unknown}");
    }
}

//! `logystera rules show`: the default pack, as a list and as the YAML that it is made of.

use logystera_rules::{pack_yaml, rules_yaml};
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

pub(super) fn show(args: &ShowArgs) -> Result<u8, CliError> {
    let mut out = Out::new();
    if args.yaml || !args.rules.is_empty() {
        let yaml = if args.yaml { Ok(pack_yaml()) } else { rules_yaml(&args.rules) };
        let yaml = yaml.map_err(|name| {
            CliError::wrong_use(format!("the default pack has no rule {name}; `logystera rules show` lists them"))
        })?;
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

//! `logystera rules`: checks rule files and says what they can cost; publishes them, and says which sites have them.

mod pack;
mod publish;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use logystera_processor::core::RuleSet;
use logystera_processor::rules::{RuleError, WorstCase, decode};
use logystera_schemas::limits::{RULE_FILE_BYTES_MAX, RULES_MAX};
use serde_json::json;

use crate::cli::{CliError, DONE, FINDING, Out, finish};

/// Check and publish rule files, show the default pack, and which sites have which rules
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  logystera rules show
  logystera rules show --yaml > my-rules.yaml
  logystera rules check my-rules.yaml
  logystera rules check --explain mail.yaml cron.yaml
  logystera up --rules my-rules.yaml
  logystera rules publish rules/ --config logystera.toml
  logystera rules status")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Read rule files as one set, and print their errors, or what each rule can cost at worst
    ///
    /// Exits with 0 where the set can be used, 1 where it has errors, 2 where a file cannot be read.
    #[command(after_help = "Examples:
  logystera rules check rules/
  logystera rules check --explain mail.yaml cron.yaml
  logystera rules check --json my-rules.yaml")]
    Check(CheckArgs),
    /// Show the rules of the default pack: a list of them, or the YAML that they are made of
    #[command(after_help = "Examples:
  logystera rules show
  logystera rules show mail-delivery-failing cron-stopped
  logystera rules show --yaml > my-rules.yaml")]
    Show(pack::ShowArgs),
    /// Judge all sites of an installation on Kafka by these rules from now on, new ones too
    ///
    /// Sites that have them already are left alone. What was interrupted goes on when it is asked for again.
    #[command(after_help = "Examples:
  logystera rules publish rules/ --config logystera.toml
  logystera rules publish --default --config logystera.toml
  logystera up --rules rules/                on a data folder `up` publishes them")]
    Publish(publish::PublishArgs),
    /// Show which rules each site has, since when, and how many sites a rule set has
    #[command(after_help = "Examples:
  logystera rules status
  logystera rules status --json")]
    Status(publish::StatusArgs),
}

#[derive(clap::Args, Debug)]
struct CheckArgs {
    /// Rule files, or folders of which every .yaml and .yml file is read
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<PathBuf>,
    /// Say of each rule why it matters and what to do
    #[arg(long, conflicts_with = "json")]
    explain: bool,
    /// Print one JSON object a line: errors, or rules and the set
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> ExitCode {
    match &args.command {
        Command::Check(args) => finish("rules check", check(args)),
        Command::Show(args) => finish("rules show", pack::show(args)),
        Command::Publish(args) => finish("rules publish", publish::publish(args)),
        Command::Status(args) => finish("rules status", publish::status(args)),
    }
}

/// Reads rule files, and folders of them, as one set. The outer error is a file that cannot be read, the inner ones are
/// what is wrong in the files.
pub fn load(paths: &[PathBuf]) -> Result<Result<RuleSet, Vec<RuleError>>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        for file in files_of(path)? {
            let bytes = read(&file)?;
            files.push((file.display().to_string(), bytes));
        }
    }
    let (mut texts, mut errors) = (Vec::new(), Vec::new());
    for (name, bytes) in &files {
        match decode(name, bytes) {
            Ok(text) => texts.push((name.as_str(), text)),
            Err(error) => errors.push(error),
        }
    }
    let set = RuleSet::from_yaml(&texts);
    if errors.is_empty() {
        return Ok(set);
    }
    errors.extend(set.err().unwrap_or_default());
    Ok(Err(errors))
}

/// Reads rule files, and folders of them, as one set that can be used.
pub fn usable(paths: &[PathBuf]) -> Result<RuleSet, CliError> {
    load(paths)?.map_err(|errors| {
        let listed: Vec<String> = errors.iter().map(ToString::to_string).collect();
        CliError::wrong_use(format!("the rules cannot be used:\n\n{}", listed.join("\n\n")))
    })
}

/// The file itself, or the rule files of a folder in the order of their names.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |error: std::io::Error| CliError::wrong_use(format!("{}: {error}", path.display()));
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let is_rules = |file: &PathBuf| file.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.retain(is_rules);
    files.sort();
    match files.len() {
        0 => Err(CliError::wrong_use(format!("{}: no .yaml or .yml file in this folder", path.display()))),
        n if n > RULES_MAX => {
            Err(CliError::wrong_use(format!("{}: {n} files; a set has at most {RULES_MAX} rules", path.display())))
        }
        _ => Ok(files),
    }
}

/// At most one byte more than a rule file may have.
fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    fs::File::open(file)
        .and_then(|open| open.take(RULE_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| CliError::wrong_use(format!("{}: {error}", file.display())))?;
    Ok(bytes)
}

fn check(args: &CheckArgs) -> Result<u8, CliError> {
    let mut out = Out::new();
    let code = match (load(&args.paths)?, args.json) {
        (Ok(set), true) => json_set(&set, &mut out)?,
        (Ok(set), false) => show_set(&set, args.explain, &mut out)?,
        (Err(errors), true) => json_errors(&errors, &mut out)?,
        (Err(errors), false) => show_errors(&errors, &mut out)?,
    };
    out.flush()?;
    Ok(code)
}

fn show_errors(errors: &[RuleError], out: &mut Out) -> Result<u8, CliError> {
    for error in errors {
        out.line(format_args!("{error}\n"))?;
    }
    out.line(match errors.len() {
        1 => "1 error".to_owned(),
        n => format!("{n} errors"),
    })?;
    Ok(FINDING)
}

fn show_set(set: &RuleSet, explain: bool, out: &mut Out) -> Result<u8, CliError> {
    if explain {
        for rule in &set.rules {
            out.line(format_args!("{}: {}", rule.name, rule.title))?;
            out.line(format_args!("  why: {}", rule.why.as_deref().unwrap_or("(the rule does not say)")))?;
            out.line(format_args!("  do:  {}\n", rule.advice.as_deref().unwrap_or("(the rule does not say)")))?;
        }
    }
    let width = set.rules.iter().map(|r| r.name.as_str().len()).max().unwrap_or_default().max("together".len());
    out.line(format_args!(
        "At worst, for one site:\n\n{:width$}  revision      groups  bytes a group       bytes",
        "rule"
    ))?;
    let mut together = 0_usize;
    for rule in &set.rules {
        let worst = WorstCase::of(rule, &set.limits);
        together = together.saturating_add(worst.rule_bytes);
        out.line(format_args!(
            "{:width$}  {}  {:>6}  {:>13}  {:>10}",
            rule.name.as_str(),
            rule.revision,
            worst.groups,
            worst.group_bytes,
            worst.rule_bytes
        ))?;
    }
    out.line(format_args!("{:width$}  {:12}  {:>6}  {:>13}  {together:>10}\n", "together", "", "", ""))?;
    let limits = &set.limits;
    if together > limits.site_bytes {
        out.line(format_args!(
            "A site's groups have {} bytes: should they ever need more, the idle ones that were not seen for longest go first.\n",
            limits.site_bytes
        ))?;
    }
    let plural = if set.rules.len() == 1 { "" } else { "s" };
    out.line(format_args!("{} rule{plural}, no errors; digest {}", set.rules.len(), set.digest))?;
    Ok(DONE)
}

fn json_errors(errors: &[RuleError], out: &mut Out) -> Result<u8, CliError> {
    for error in errors {
        out.json(error)?;
    }
    Ok(FINDING)
}

fn json_set(set: &RuleSet, out: &mut Out) -> Result<u8, CliError> {
    for rule in &set.rules {
        out.json(&json!({
            "rule": rule.name,
            "revision": rule.revision,
            "title": rule.title,
            "severity": rule.severity,
            "why": rule.why,
            "do": rule.advice,
            "worst_case": WorstCase::of(rule, &set.limits),
        }))?;
    }
    out.json(&json!({"digest": set.digest, "rules": set.rules.len(), "site_bytes": set.limits.site_bytes}))?;
    Ok(DONE)
}

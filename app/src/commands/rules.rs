//! `logystera rules`: checks rule files and says what they can cost; publishes them, and says which sites have them.

mod backtest;
mod explain;
mod pack;
mod publish;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use logystera_processor::core::RuleSet;
use logystera_rules::{Checked, Diagnostic, WorstCase, summary};
use serde_json::json;

use crate::cli::{CliError, DONE, FINDING, Out, finish, in_colour, table};
use crate::installation::rules::load;

/// Check and publish rule files, show the default pack, and which sites have which rules
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  logystera rules show
  logystera rules show --yaml > my-rules.yaml
  logystera rules check my-rules.yaml
  logystera rules check --explain mail.yaml cron.yaml
  logystera rules explain E302
  logystera rules test my-rules.yaml
  logystera rules backtest my-rules.yaml
  logystera up --rules my-rules.yaml
  logystera rules publish rules/ --config logystera.toml
  logystera rules status")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Read rule files as one set, and print their errors and warnings, and what each rule can cost at worst
    ///
    /// Exits with 0 where the set can be used, 1 where it has errors (with --strict: or warnings), 2 where a file cannot be
    /// read.
    #[command(after_help = "Examples:
  logystera rules check rules/
  logystera rules check --explain mail.yaml cron.yaml
  logystera rules check --json my-rules.yaml")]
    Check(CheckArgs),
    /// Say what a code of `rules check` means, with a wrong and a right example; without a code, list them
    #[command(after_help = "Examples:
  logystera rules explain
  logystera rules explain E302")]
    Explain(explain::ExplainArgs),
    /// Show the rules of the default pack: a list of them, or the YAML that they are made of
    #[command(after_help = "Examples:
  logystera rules show
  logystera rules show mail-delivery-failing cron-stopped
  logystera rules show --yaml > my-rules.yaml")]
    Show(pack::ShowArgs),
    /// Run the tests that stand in rule files, with the engine itself
    ///
    /// Exits with 0 where all pass, 1 where one fails or the files have errors, 2 where a file cannot be read.
    #[command(after_help = "Examples:
  logystera rules test rules/
  logystera rules test --junit results.xml my-rules.yaml")]
    Test(test::TestArgs),
    /// Judge the signals in the log by two revisions of the rules, and say what an edit would have changed
    ///
    /// Says for each rule and site how many alerts would have been new, gone, earlier or later, and how many messages people would
    /// have got by the channels and silences of today. With one path the other revision is what each site has now. Nothing is
    /// written, and nobody is told.
    #[command(after_help = "Examples:
  logystera rules backtest my-rules.yaml    beside the rules of today
  logystera rules backtest old.yaml new.yaml --from 7d
  logystera rules backtest rules/ --site my-shop --list
  logystera rules backtest rules/ --config logystera.toml --json

An alert of one revision is the same as one of the other if both are of one group of a rule of this name, and one begins before
the other is over.")]
    Backtest(backtest::BacktestArgs),
    /// Judge all sites of an installation on Kafka by these rules from now on, new ones too
    ///
    /// Sites that have them already are left alone. What was interrupted goes on when it is asked for again.
    #[command(after_help = "Examples:
  logystera rules publish rules/ --config logystera.toml
  logystera rules publish --default --config logystera.toml
  logystera up --rules rules/               on a data folder `up` publishes them")]
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
    /// Print one JSON object a line: errors and warnings, then rules and the set
    #[arg(long)]
    json: bool,
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> ExitCode {
    match &args.command {
        Command::Check(args) => finish("rules check", check(args)),
        Command::Explain(args) => finish("rules explain", explain::run(args)),
        Command::Show(args) => finish("rules show", pack::show(args)),
        Command::Test(args) => finish("rules test", test::test(args)),
        Command::Backtest(args) => finish("rules backtest", backtest::backtest(args)),
        Command::Publish(args) => finish("rules publish", publish::publish(args)),
        Command::Status(args) => finish("rules status", publish::status(args)),
    }
}

fn check(args: &CheckArgs) -> Result<u8, CliError> {
    let mut out = Out::new();
    let Checked { set, diagnostics, .. } = load(&args.paths)?;
    let in_colour = in_colour();
    for diagnostic in &diagnostics {
        if args.json {
            out.json(diagnostic)?;
        } else {
            out.line(diagnostic.rendered(in_colour) + "\n")?;
        }
    }
    match (&set, args.json) {
        (Some(set), true) => json_set(set, &mut out)?,
        (Some(set), false) => show_set(set, args.explain, &diagnostics, &mut out)?,
        (None, true) => {}
        (None, false) => out.line(summary(&diagnostics))?,
    }
    out.flush()?;
    Ok(if set.is_none() || args.strict && !diagnostics.is_empty() { FINDING } else { DONE })
}

fn show_set(set: &RuleSet, explain: bool, diagnostics: &[Diagnostic], out: &mut Out) -> Result<(), CliError> {
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
    let metric_bytes = show_metrics(set, out)?;
    let group_bytes = set.limits.site_bytes.saturating_sub(metric_bytes);
    if together > group_bytes {
        out.line(format_args!(
            "A site's groups have {group_bytes} bytes: should they ever need more, the idle ones that were not seen for longest go first.\n"
        ))?;
    }
    let plural = if set.rules.len() == 1 { "" } else { "s" };
    out.line(format_args!("{} rule{plural}, no errors; digest {}", set.rules.len(), set.digest))?;
    if !diagnostics.is_empty() {
        out.line(summary(diagnostics))?;
    }
    Ok(())
}

/// What the metrics can take; gives the bytes of all of them.
fn show_metrics(set: &RuleSet, out: &mut Out) -> Result<usize, CliError> {
    if set.metrics.is_empty() {
        return Ok(0);
    }
    let mut rows = vec![["metric", "revision", "series", "bytes"].map(str::to_owned)];
    let (mut series, mut bytes) = (0, 0);
    for metric in &set.metrics {
        let (own, own_bytes) = (metric.series_max(), metric.bytes_max());
        (series, bytes) = (series + own, bytes + own_bytes);
        rows.push([metric.name.clone(), metric.revision.clone(), own.to_string(), own_bytes.to_string()]);
    }
    rows.push(["together".to_owned(), String::new(), series.to_string(), bytes.to_string()]);
    table(out, &rows)?;
    out.line("")?;
    Ok(bytes)
}

fn json_set(set: &RuleSet, out: &mut Out) -> Result<(), CliError> {
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
    for metric in &set.metrics {
        out.json(&json!({
            "metric": metric.name,
            "revision": metric.revision,
            "worst_case": {"series": metric.series_max(), "bytes": metric.bytes_max()},
        }))?;
    }
    out.json(&json!({"digest": set.digest, "rules": set.rules.len(), "site_bytes": set.limits.site_bytes}))?;
    Ok(())
}

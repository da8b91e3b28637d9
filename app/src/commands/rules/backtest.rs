//! `logystera rules backtest`: what an edit of rules would have changed.

use std::path::PathBuf;
use std::sync::Arc;

use logystera_backtest::core::{Alert, Counts, Difference, What};
use logystera_backtest::{Backtest, Configured, Watch, run};
use logystera_processor::core::RuleSet;
use logystera_replay::{Asked, Question, Together};
use logystera_schemas::ids::SiteId;
use logystera_schemas::text::Shown;
use serde_json::json;

use crate::cli::{CliError, DONE, Out, PlaceArgs, counted, table};
use crate::commands::progress::Progress;
use crate::installation::open::open_log;
use crate::installation::reading;
use crate::installation::rules::load_rules;
use crate::when;

#[derive(clap::Args, Debug)]
pub(super) struct BacktestArgs {
    /// The edited rules, or the rules before the edit and the edited ones: YAML files, or folders of them
    #[arg(value_names = ["[OLD] NEW"], required = true, num_args = 1..=2)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Only this site
    #[arg(long)]
    site: Option<SiteId>,
    /// Only what was evaluated at this time (the site's) or later
    #[arg(long, value_name = "beginning|TIME")]
    from: Option<String>,
    /// List each alert that differs, before the counts
    #[arg(long)]
    list: bool,
}

pub(super) fn backtest(args: &BacktestArgs) -> Result<u8, CliError> {
    let (old, new) = match args.paths.as_slice() {
        [old, new] => (Some(Arc::new(load_rules(old)?)), load_rules(new)?),
        [new] => (None, load_rules(new)?),
        _ => return Err(CliError::wrong_use("give one path or two: the rules before the edit, and the edited ones")),
    };
    let from_ms = when::from(args.from.as_deref())?;
    let log = open_log(&args.place.data, &args.place.cluster)?;
    let directory = Arc::new(log.directory()?);
    args.site.as_ref().map(|site| reading::site_of(&directory, site.as_str())).transpose()?;
    let asked = |rules: Option<Arc<RuleSet>>| {
        Asked::new(&*log, Arc::clone(&directory), Question { site: args.site.clone(), from_ms, rules })
    };
    let (old, new) = (asked(old)?, asked(Some(Arc::new(new)))?);
    let configured = Configured::of(&directory);
    let without_channel = configured.without_channel();
    let mut listing = Listing { args, out: Out::new(), progress: Progress::new(&old)? };
    let done = run(&old, &new, configured, &mut listing)?;
    let Listing { mut out, progress, .. } = listing;
    progress.end(done.records);
    if args.place.json {
        objects(&mut out, &done)?;
    } else {
        tables(&mut out, &done, without_channel)?;
    }
    out.flush()?;
    Ok(DONE)
}

/// Tells of each difference as it is found, if that was asked for.
struct Listing<'a> {
    args: &'a BacktestArgs,
    out: Out,
    progress: Progress,
}

impl Watch for Listing<'_> {
    type Error = CliError;

    fn show(&mut self, at: &Together<'_, 2>) {
        self.progress.reached(at.passed(), at.records());
    }

    fn differs(&mut self, Difference { alert, what }: &Difference) -> Result<(), CliError> {
        if !self.args.list {
            return Ok(());
        }
        let Alert { site, rule, told_at, message } = alert;
        let (name, by_ms) = match *what {
            What::New => ("new", None),
            What::Gone => ("gone", None),
            What::Earlier(ms) => ("earlier", Some(ms)),
            What::Later(ms) => ("later", Some(ms)),
        };
        if self.args.place.json {
            let object = json!({"differs": name, "by_ms": by_ms, "site": site, "rule": rule, "told_at": told_at, "message": message});
            return Ok(self.out.json(&object)?);
        }
        let by = by_ms.map_or(String::new(), |ms| format!(" by {}", span(ms)));
        let (at, message) = (when::show(*told_at), Shown(message));
        Ok(self.out.line(format_args!("{name:<8}{at}  {site}  {rule}{by}: {message}"))?)
    }
}

fn tables(out: &mut Out, done: &Backtest, without_channel: usize) -> Result<(), CliError> {
    let (batches, records) = (counted(done.batches, "batch", "batches"), counted(done.records, "record", "records"));
    out.line(format_args!("{batches} in {records} of topic signals, judged by both revisions."))?;
    out.line("")?;
    let mut rows = vec![["RULE", "SITE", "SAME", "NEW", "GONE", "EARLIER", "LATER"].map(str::to_owned)];
    let alerts = &done.alerts;
    rows.extend(alerts.counts().map(|(rule, site, counts)| row(rule.as_str(), site.as_str(), counts)));
    if *alerts.others() != Counts::default() {
        rows.push(row("others", "", alerts.others()));
    }
    rows.push(row("together", "", alerts.together()));
    table(out, &rows)?;
    out.line("")?;
    let [old, new] = &done.messages;
    out.line(format_args!(
        "People would have got {} instead of {}.",
        counted(new.total(), "message", "messages"),
        old.total()
    ))?;
    let mut rows = vec![["TENANT", "CHANNEL", "OLD", "NEW"].map(str::to_owned)];
    rows.extend(
        channels(done).map(|(tenant, channel, [old, new])| [tenant, channel, old.to_string(), new.to_string()]),
    );
    if rows.len() > 1 {
        table(out, &rows)?;
    }
    if without_channel > 0 {
        let tenants = counted(without_channel as u64, "tenant has", "tenants have");
        out.line(format_args!(
            "{tenants} no channel, and is counted as if it had one that takes everything: \"none\"."
        ))?;
    }
    Ok(())
}

fn row(rule: &str, site: &str, counts: &Counts) -> [String; 7] {
    let Counts { same, new, gone, earlier, later, earlier_ms_max, later_ms_max } = *counts;
    let by = |count: u64, most: u64| match count {
        0 => "0".to_owned(),
        _ => format!("{count} (by up to {})", span(most)),
    };
    [
        rule.to_owned(),
        site.to_owned(),
        same.to_string(),
        new.to_string(),
        gone.to_string(),
        by(earlier, earlier_ms_max),
        by(later, later_ms_max),
    ]
}

/// How much earlier or later; to the second if it is many.
fn span(ms: u64) -> String {
    const EXACT_BELOW_MS: u64 = 10_000;
    logystera_rules::span(if ms < EXACT_BELOW_MS { ms } else { ms / 1_000 * 1_000 } as i64)
}

/// Messages of the old revision and the new one to each channel.
fn channels(done: &Backtest) -> impl Iterator<Item = (String, String, [u64; 2])> {
    let mut channels = std::collections::BTreeMap::<(String, String), [u64; 2]>::new();
    for (place, messages) in done.messages.iter().enumerate() {
        for (tenant, channel, count) in messages.sent() {
            channels.entry((tenant.to_string(), channel.to_string())).or_default()[place] = count;
        }
    }
    channels.into_iter().map(|((tenant, channel), counts)| (tenant, channel, counts))
}

fn objects(out: &mut Out, done: &Backtest) -> Result<(), CliError> {
    let alerts = &done.alerts;
    for (rule, site, counts) in alerts.counts() {
        out.json(&json!({"rule": rule, "site": site, "alerts": counts}))?;
    }
    for (tenant, channel, [old, new]) in channels(done) {
        out.json(&json!({"tenant": tenant, "channel": channel, "messages": {"old": old, "new": new}}))?;
    }
    let [old, new] = &done.messages;
    let messages = json!({"old": old.total(), "new": new.total()});
    out.json(&json!({
        "records": done.records, "batches": done.batches, "alerts": alerts.together(), "others": alerts.others(), "messages": messages,
    }))?;
    Ok(())
}

//! `logystera series`: what a metric of a site counted.

use std::process::ExitCode;

use logystera_replay::series::{SeriesQuery, SeriesRow, Step, each_row};
use logystera_schemas::text::Shown;
use serde_json::{Map, json};

use crate::cli::{CliError, DONE, Out, PlaceArgs, finish};
use crate::installation::open::open_log;
use crate::installation::reading::site_of;
use crate::when;

/// Show what a metric of a site counted, minute by minute
///
/// Read from topic series, in site time. A minute is there once the site's watermark has passed it. A minute in which nothing
/// was counted is not there: that is no zero, since the site may have been silent.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  logystera series my-shop logins --from 2h
  logystera series my-shop requests --from 7d --step 1d --json

TIME is 2026-01-01T00:00:00Z, milliseconds since 1970, or how long ago: 90s, 15m,
2h, 3d. A step of a day is a day of UTC. A series of an older revision of the
metric is a series of its own.")]
pub struct Args {
    /// The site
    #[arg(value_name = "SITE")]
    site: String,
    /// Name of the metric
    #[arg(value_name = "METRIC")]
    metric: String,
    /// Only minutes from here on
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only minutes that begin before this
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// How much time goes into one row: 1m, 15m or 1d
    #[arg(long, value_name = "STEP", default_value = "1m", value_parser = parse_step)]
    step: Step,
    #[command(flatten)]
    place: PlaceArgs,
}

fn parse_step(text: &str) -> Result<Step, String> {
    let found = Step::ALL.iter().find(|(name, _)| *name == text).map(|(_, step)| *step);
    found.ok_or_else(|| "expected 1m, 15m or 1d".to_owned())
}

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    finish("series", series(args).map(|()| DONE))
}

fn series(args: &Args) -> Result<(), CliError> {
    let (from_ms, to_ms) = (when::from(args.from.as_deref())?, when::to(args.to.as_deref())?);
    let log = open_log(&args.place.data, &args.place.cluster)?;
    let directory = log.directory()?;
    let site = site_of(&directory, &args.site)?;
    let (tenant, metric) = (site.tenant.clone(), args.metric.clone());
    let query = SeriesQuery { tenant, site: site.site.clone(), metric, from_ms, to_ms, step: args.step };
    let (mut out, mut rows) = (Out::new(), 0_u64);
    let names = each_row(&*log, &query, |row| {
        rows += 1;
        if args.place.json { out.json(&as_json(&query, row)) } else { out.line(as_text(row)) }.map_err(CliError::from)
    })?;
    if rows == 0 && !args.place.json {
        out.line(nothing(&query, names.iter().map(String::as_str).collect()))?;
    }
    Ok(out.flush()?)
}

/// Why nothing is shown.
fn nothing(query: &SeriesQuery, names: Vec<&str>) -> String {
    let metric = Shown(&query.metric);
    if names.contains(&query.metric.as_str()) {
        return format!("nothing was counted for {metric} in that time, or the site's watermark has not passed it yet");
    }
    let known = if names.is_empty() { "it has points of no metric yet".to_owned() } else { names.join(", ") };
    format!("the site has no points of {metric}; there are: {known}")
}

fn as_json(query: &SeriesQuery, row: &SeriesRow) -> serde_json::Value {
    let labels: Map<String, serde_json::Value> =
        row.labels.iter().cloned().zip(row.point.values.iter().map(|value| json!(value))).collect();
    let mut line = json!({
        "site": query.site,
        "metric": query.metric,
        "revision": row.revision,
        "at": row.at,
        "step_ms": query.step.ms(),
        "labels": labels,
        "count": row.point.count,
        "late": row.point.late,
    });
    if !row.ends.is_empty() {
        let ends = row.ends.iter().map(|end| json!(end)).chain([serde_json::Value::Null]);
        let buckets = ends.zip(&row.point.buckets).map(|(end, count)| json!({"le": end, "count": count}));
        line["sum"] = json!(row.point.sum);
        line["buckets"] = buckets.collect();
    }
    line
}

fn as_text(row: &SeriesRow) -> String {
    let labels = row.labels.iter().zip(&row.point.values).map(|(label, value)| format!("  {label}={}", Shown(value)));
    let mut line = format!("{}{}  count {}", when::show(row.at), labels.collect::<String>(), row.point.count);
    if row.point.late > 0 {
        line += &format!("  late {}", row.point.late);
    }
    if !row.ends.is_empty() {
        let ends = row.ends.iter().map(ToString::to_string).chain(["more".to_owned()]);
        let buckets: Vec<String> = ends.zip(&row.point.buckets).map(|(end, count)| format!("{end}:{count}")).collect();
        line += &format!("  sum {}  buckets {}", row.point.sum, buckets.join(" "));
    }
    line
}

//! `logystera series`: what a metric of a site counted.

use std::process::ExitCode;

use logystera_replay::series::{SeriesQuery, Step, each_row};

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
    #[arg(long, value_name = "STEP", default_value = "1m")]
    step: Step,
    #[command(flatten)]
    place: PlaceArgs,
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
        if args.place.json { out.json(&row.json(&query)) } else { out.line(row.text()) }.map_err(CliError::from)
    })?;
    if rows == 0 && !args.place.json {
        out.line(query.nothing(&names))?;
    }
    Ok(out.flush()?)
}

//! `logystera silence`: what nobody wants to hear of for a while.

use std::process::ExitCode;

use clap::Subcommand;
use logystera_control::said::{about, state};
use logystera_control::silences::{NewSilence, Silenced};
use logystera_control::{Answer, Request};
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::Directory;
use logystera_schemas::noise::Silence;
use logystera_schemas::time::WallMs;
use serde_json::json;

use crate::cli::{CliError, DONE, Out, PlaceArgs, finish, table};
use crate::installation::ask::ask;
use crate::installation::open::open_log;
use crate::when;

/// Hold alerts back for a while, such as during a maintenance
///
/// What fires meanwhile has a row in topic attempts that says so. At the silence's end what still fires is told once; what began and
/// ended meanwhile is not. Who heard before that something fires hears at once that it is over. The detections themselves stay
/// what they are.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  logystera silence add --for 2h --reason \"moving to another host\" \\
    --site my-shop
  logystera silence list
  logystera silence end sl_0123456789

They work whether `logystera up` is running on the folder or not.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Hold back what is named, from now on or from a time on
    #[command(after_help = "Examples:
  logystera silence add --for 2h --reason \"mail server moves\" --subsystem mail
  logystera silence add --for 30m --reason \"known, see the ticket\" \\
    --rule mail-delivery-failing --site my-shop
  logystera silence add --for 2h --reason \"new release\" --label env=staging
  logystera silence add --for 4h --from 2026-01-10T22:00Z --reason maintenance

Everything that is named must hold of an alert: --site and --rule together mean
that rule on that site. With nothing named it is every alert of the tenant.
A span is 90s, 15m, 2h or 3d; a silence ends within 90 days.")]
    Add {
        /// How long
        #[arg(long = "for", value_name = "SPAN", value_parser = parse_span)]
        span_ms: i64,
        /// Why, for those who read the list
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// When it begins, as 2026-01-01T00:00Z; without it now
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        from: Option<i64>,
        /// Only this site's alerts
        #[arg(long, value_name = "SITE")]
        site: Option<String>,
        /// Only this rule's alerts
        #[arg(long, value_name = "RULE")]
        rule: Option<String>,
        /// Only alerts of this severity: info, warning, critical
        #[arg(long, value_name = "SEVERITY")]
        severity: Option<String>,
        /// Only alerts of this part of a site, such as mail
        #[arg(long, value_name = "NAME")]
        subsystem: Option<String>,
        /// Only alerts of sites with this label; can be given several times: one value of each key is enough
        #[arg(long, value_name = "KEY=VALUE")]
        label: Vec<String>,
        /// Whose alerts; without it those of the site's tenant, or of the only one
        #[arg(long, value_name = "TENANT")]
        tenant: Option<String>,
        /// Who wants it; without it this command, and the machine
        #[arg(long, value_name = "NAME")]
        author: Option<String>,
    },
    /// List the silences that hold or are to come
    #[command(after_help = "Examples:
  logystera silence list
  logystera silence list --all --json | jq .reason")]
    List {
        /// Those that are over, too
        #[arg(long)]
        all: bool,
    },
    /// End a silence now: what still fires is told
    #[command(after_help = "Example:
  logystera silence end sl_0123456789")]
    End {
        /// Id of the silence
        #[arg(value_name = "ID")]
        silence: String,
    },
}

fn parse_span(text: &str) -> Result<i64, String> {
    when::span_ms(text).filter(|ms| *ms > 0).ok_or_else(|| "expected a span such as 90s, 15m, 2h or 3d".to_owned())
}

fn parse_time(text: &str) -> Result<i64, String> {
    // A span would be one before now, and a silence that lies behind holds nothing back.
    let at = (when::span_ms(text).is_none()).then(|| when::parse(text, 0)).flatten();
    at.ok_or_else(|| "expected a time such as 2026-01-01T00:00Z (UTC), or milliseconds since 1970".to_owned())
}

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    finish("silence", silence(args))
}

fn silence(args: &Args) -> Result<u8, CliError> {
    let request = match &args.command {
        Command::List { all } => {
            let log = open_log(&args.place.data, &args.place.cluster)?;
            list(&log.directory()?, *all, &args.place)?;
            return Ok(DONE);
        }
        Command::Add { span_ms, reason, from, site, rule, severity, subsystem, label, tenant, author } => {
            Request::SilenceAdd(NewSilence {
                tenant: tenant.clone(),
                for_ms: *span_ms,
                from_ms: *from,
                reason: reason.clone(),
                author: author.clone(),
                site: site.clone(),
                rule: rule.clone(),
                severity: severity.clone(),
                subsystem: subsystem.clone(),
                labels: label.clone(),
            })
        }
        Command::End { silence } => Request::SilenceEnd { silence: silence.clone() },
    };
    let Answer::Silenced(done) = ask(&args.place.data.data, &args.place.cluster, &request, false)? else {
        return Err(CliError::not_available("the running logystera gave an answer to something else"));
    };
    let mut out = Out::new();
    if args.place.json {
        out.json(&done)?;
    } else {
        tell(&mut out, &done, &args.place)?;
    }
    out.flush()?;
    Ok(DONE)
}

fn tell(out: &mut Out, done: &Silenced, place: &PlaceArgs) -> Result<(), CliError> {
    let (id, flags) = (&done.silence, place.flags());
    if done.ended_at.is_some() {
        out.line(format_args!("{id} is over: what still fires is told now, unless something else holds it back."))?;
        return Ok(());
    }
    out.line(format_args!("silence  {id}"))?;
    out.line(format_args!("tenant   {}", done.tenant))?;
    out.line(format_args!("from     {}", when::show(done.from)))?;
    out.line(format_args!("until    {}", when::show(done.until)))?;
    out.line("")?;
    out.line("At its end what still fires is told. To end it before:")?;
    out.line(format_args!("  logystera silence end {id}{flags}"))?;
    Ok(())
}

fn list(directory: &Directory, all: bool, place: &PlaceArgs) -> Result<(), CliError> {
    let now = WallMs(SystemClock::new().wall_ms());
    let mut listed: Vec<&Silence> =
        directory.silences().map(|s| &**s).filter(|silence| all || !silence.is_over(now)).collect();
    listed.sort_by_key(|silence| (silence.until, silence.silence.clone()));
    let mut out = Out::new();
    let mut rows = vec![["SILENCE", "STATE", "TENANT", "HOLDS BACK", "FROM", "UNTIL", "BY", "WHY"].map(str::to_owned)];
    for silence in listed {
        let state = state(silence, now);
        if place.json {
            let mut object = json!(silence);
            object["state"] = json!(state);
            object["labels"] = json!(silence.labels.iter().map(ToString::to_string).collect::<Vec<_>>());
            out.json(&object)?;
            continue;
        }
        rows.push([
            silence.silence.to_string(),
            state.to_owned(),
            silence.tenant.to_string(),
            about(silence),
            when::show(silence.from.0),
            when::show(silence.ended_at.unwrap_or(silence.until).0),
            silence.author.clone(),
            silence.reason.clone(),
        ]);
    }
    match (place.json, rows.len()) {
        (true, _) => {}
        (false, 1) => {
            let flags = place.flags();
            out.line(format_args!("Nothing is silenced. To silence something: logystera silence add --help{flags}"))?;
        }
        (false, _) => table(&mut out, &rows)?,
    }
    out.flush()?;
    Ok(())
}

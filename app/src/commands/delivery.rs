//! `logystera delivery`: was it sent, and if not, why?

mod dead;
mod one;
mod resend;
mod rows;

use std::process::ExitCode;

use clap::Subcommand;
use logystera_alerter::history::letters::LetterFilter;
use logystera_alerter::history::words;
use logystera_alerter::history::{self, ChainState, Filter, History};
use logystera_infra::directory::Directory;
use logystera_schemas::delivery::AttemptState;
use logystera_schemas::limits::DELIVERIES_LISTED_MAX;
use serde_json::json;

use crate::cli::{CliError, DONE, Out, PlaceArgs, counted, finish};
use crate::installation::open::open_log;
use crate::installation::reading::site_of;
use crate::when;
use one::one;
use rows::{print_rows, sentence, tell_unreadable};

/// Show what was sent, what was not, and why
///
/// A delivery is one alert to one channel. Each attempt at it and each reason why there is none has a row in topic attempts; this
/// reads them.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  logystera delivery list --site my-shop
  logystera delivery list --dead --from 2d
  logystera delivery show 5f0c61d2")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Subcommand)]
enum Command {
    /// List deliveries as they stand now, the newest last
    #[command(after_help = "Examples:
  logystera delivery list --site my-shop
  logystera delivery list --state not_sent --json | jq .reason
  logystera delivery list --dead --channel ch_0123456789
  logystera delivery list --alert 1b9d6bcd
                          one alert, in each of its channels

STATE: started, delivered, failed (it is tried again), unknown (it may have
arrived, and is tried again), dead (given up), not_sent, waiting (somebody asked
for it).
TIME is 2026-01-01T00:00:00Z, milliseconds since 1970, or how long ago: 90s, 15m.")]
    List {
        /// Only those that stand like this
        #[arg(long, value_parser = parse_state)]
        state: Option<AttemptState>,
        /// Dead letters: what a channel was to be told, never took, and is told by nothing since
        #[arg(long, conflicts_with_all = ["state", "alert"])]
        dead: bool,
        /// With --dead: only this channel's
        #[arg(long, value_name = "CHANNEL", requires = "dead")]
        channel: Option<String>,
        /// Only this site's
        #[arg(long)]
        site: Option<String>,
        /// Only those of this alert: the id of a detection, or how it begins
        #[arg(long, value_name = "ID")]
        alert: Option<String>,
        /// Only what happened since
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 50,
              value_parser = clap::value_parser!(u32).range(1..=i64::from(DELIVERIES_LISTED_MAX)))]
        limit: u32,
    },
    /// Tell the whole way of one delivery
    #[command(after_help = "Examples:
  logystera delivery show 5f0c61d2
  logystera delivery show 5f0c61d2 --json | jq '.rows[].reason'

ID is the webhook-id of the message, or how it begins; `delivery list` shows it.")]
    Show {
        /// Id of the delivery, or how it begins
        #[arg(value_name = "ID")]
        delivery: String,
    },
    /// Tell a channel of an alert once more, whatever became of it before
    #[command(after_help = "Examples:
  logystera delivery resend 5f0c61d2
                          to the same channel
  logystera delivery resend 5f0c61d2 --channel ch_0123456789
  logystera delivery resend --alert 1b9d6bcd --channel ch_0123456789
                          the newest that is known of an alert
  logystera delivery resend --dead --channel ch_0123456789 --from 2d
                          all that the channel never took in two days

It is a delivery of its own, with an id of its own: a receiver that remembers ids
shows it. What was detected stays as it is.")]
    Resend {
        /// Id of the delivery, or how it begins
        #[arg(value_name = "ID", required_unless_present_any = ["alert", "dead"], conflicts_with = "alert")]
        delivery: Option<String>,
        /// Id of a detection, or how it begins
        #[arg(long, value_name = "ID", requires = "channel")]
        alert: Option<String>,
        /// To this channel
        #[arg(long, value_name = "CHANNEL")]
        channel: Option<String>,
        /// All dead letters of the channel, as `delivery list --dead` shows them: the newest that is known of each alert
        #[arg(long, requires = "channel", conflicts_with_all = ["delivery", "alert"])]
        dead: bool,
        /// With --dead: only what was given up since
        #[arg(long, value_name = "TIME", requires = "dead")]
        from: Option<String>,
    },
}

fn parse_state(text: &str) -> Result<AttemptState, String> {
    AttemptState::from_symbol(text).ok_or_else(|| {
        let known: Vec<&str> = AttemptState::ALL.iter().map(|state| state.as_str()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    match &args.command {
        Command::List { dead: true, site, channel, from, limit, .. } => {
            let (site, channel) = (site.clone(), channel.clone());
            let done = dead::list(&args.place, LetterFilter { channel, site, from_ms: None }, from.as_deref(), *limit);
            finish("delivery list", done.map(|()| DONE))
        }
        Command::List { state, site, alert, from, limit, .. } => {
            let filter = Filter { state: *state, site: site.clone(), alert: alert.clone(), from_ms: None };
            let done = list(&args.place, filter, from.as_deref(), *limit as usize);
            finish("delivery list", done.map(|()| DONE))
        }
        Command::Resend { dead: true, channel, from, .. } => {
            let done = dead::resend(&args.place, channel.as_deref().unwrap_or_default(), from.as_deref());
            finish("delivery resend", done.map(|()| DONE))
        }
        Command::Resend { delivery, alert, channel, .. } => {
            let asked =
                resend::Asked { delivery: delivery.as_deref(), alert: alert.as_deref(), channel: channel.as_deref() };
            finish("delivery resend", resend::resend(&args.place, &asked).map(|()| DONE))
        }
        Command::Show { delivery } => finish("delivery show", show(&args.place, delivery).map(|()| DONE)),
    }
}

fn list(place: &PlaceArgs, filter: Filter, from: Option<&str>, limit: usize) -> Result<(), CliError> {
    let filter = Filter { from_ms: when::from(from)?, ..filter };
    let log = open_log(&place.data, &place.cluster)?;
    let directory = log.directory()?;
    if let Some(site) = &filter.site {
        site_of(&directory, site)?;
    }
    let (newest, unreadable) = history::newest(&*log, &filter, limit)?;
    let mut out = Out::new();
    match (place.json, newest.is_empty()) {
        (false, true) => out.line("No such deliveries in topic attempts.")?,
        _ => print_rows(&mut out, &newest, place.json)?,
    }
    out.flush()?;
    tell_unreadable(unreadable);
    Ok(())
}

fn show(place: &PlaceArgs, id: &str) -> Result<(), CliError> {
    let log = open_log(&place.data, &place.cluster)?;
    let found = one(&*log, id, place)?;
    let History { rows, omitted, ids: _, chain } = &found;
    let Some(newest) = rows.last() else { return Ok(()) };
    let mut out = Out::new();
    if place.json {
        let mut object = rows::object(newest);
        object["rows"] = rows.iter().map(rows::object).collect();
        object["omitted"] = json!(omitted);
        let (intact, broken_at) = match chain {
            ChainState::Unlinked => (None, None),
            ChainState::Intact => (Some(true), None),
            ChainState::BrokenAt(number) => (Some(false), Some(number)),
        };
        object["chain_intact"] = json!(intact);
        object["chain_broken_at"] = json!(broken_at);
        out.json(&object)?;
    } else {
        tell(&mut out, &log.directory()?, &found, place)?;
    }
    out.flush()?;
    Ok(())
}

/// A delivery for people: what it is about, how it stands, each row, and what can be done.
fn tell(out: &mut Out, directory: &Directory, found: &History, place: &PlaceArgs) -> Result<(), CliError> {
    let History { rows, omitted, ids: _, chain } = found;
    let Some(newest) = rows.last() else { return Ok(()) };
    let site = directory.site(newest.site.as_str()).map_or(String::new(), |site| format!(" ({})", site.name));
    let about = match &newest.disabled {
        Some(channel) => format!("the news that channel {channel} is switched off"),
        None => format!("rule {}", newest.rule),
    };
    out.line(format_args!("Delivery {}", newest.delivery))?;
    out.line(format_args!("  about    {about}, site {}{site}", newest.site))?;
    out.line(format_args!("  alert    {} (#{} of the site)", newest.detection, newest.seq))?;
    let channel = if newest.channel.is_empty() { "none" } else { &newest.channel };
    out.line(format_args!("  channel  {channel}"))?;
    out.line(format_args!("  now      {}", sentence(newest)))?;
    match chain {
        ChainState::Unlinked => {}
        ChainState::Intact => out.line(format_args!("  chain    intact: the rows of tenant {}", newest.tenant))?,
        ChainState::BrokenAt(number) => out.line(format_args!(
            "  chain    broken at row {number} of tenant {}: logystera replay --verify{}",
            newest.tenant,
            place.flags()
        ))?,
    }
    out.line("")?;
    if *omitted > 0 {
        out.line(format_args!("{} before these", counted(*omitted, "row", "rows")))?;
    }
    let is_shared = rows.iter().any(|row| row.detection != newest.detection);
    for row in rows {
        let attempt = match row.attempt {
            0 if is_shared => format!("alert {}: ", row.detection),
            0 => String::new(),
            attempt => format!("attempt {attempt}: "),
        };
        out.line(format_args!("{}  {attempt}{}", when::show(row.at.0), sentence(row)))?;
    }
    if let Some(hint) = words::hint(newest) {
        out.line("")?;
        out.line(format_args!("{hint}{}", place.flags()))?;
    }
    Ok(())
}

//! `channel list`, and how a channel fares: from topic `control` and from what the planner has stored.

use std::collections::BTreeMap;

use logystera_alerter::core::{ChannelStatus, Condition, Planner};
use logystera_alerter::history::channels::{newest, status as status_of};
use logystera_control::said::gets;
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::Directory;
use logystera_infra::secrets::MasterKey;
use logystera_schemas::control::Channel;
use logystera_schemas::delivery::Attempt;
use logystera_schemas::time::WallMs;
use serde_json::{Map, Value, json};

use crate::cli::table;
use crate::cli::{CliError, Out, PlaceArgs};
use crate::installation::channels::target;
use crate::installation::reading::InstallationLog;
use crate::when;

/// What is known of channels besides what is configured.
pub(super) struct Known {
    /// The planner; none if it is too much to read.
    planner: Option<Planner>,
    /// Where it does not know a channel, the newest row of each.
    rows: BTreeMap<String, Attempt>,
    /// Opens their addresses; none if it is not there.
    master: Option<MasterKey>,
}

impl Known {
    pub(super) fn read(
        log: &dyn InstallationLog,
        directory: &Directory,
        master: Option<MasterKey>,
    ) -> Result<Self, CliError> {
        let mut known = Self { planner: log.planner()?, rows: BTreeMap::new(), master };
        let mut channels = directory.tenants().flat_map(|tenant| directory.channels(&tenant.tenant));
        if channels.any(|channel| known.status(channel).is_none()) {
            known.rows = newest(log)?;
        }
        Ok(known)
    }

    /// How a channel fares now. None: nothing is known of it yet.
    pub(super) fn status(&self, channel: &Channel) -> Option<ChannelStatus> {
        let now = WallMs(SystemClock::new().wall_ms());
        let planned = self.planner.as_ref().and_then(|p| p.channel_status(&channel.tenant, &channel.channel, now));
        planned.or_else(|| self.rows.get(channel.channel.as_str()).map(|row| status_of(row, now)))
    }

    fn address(&self, channel: &Channel) -> Option<String> {
        let target = target(self.master.as_ref()?, channel)?;
        Some(target.shown())
    }
}

/// Prints the channels.
pub(super) fn print(directory: &Directory, known: &Known, place: &PlaceArgs) -> Result<(), CliError> {
    let as_json = place.json;
    let mut out = Out::new();
    let mut rows = vec![["CHANNEL", "KIND", "TENANT", "ADDRESS", "CREATED", "GETS", "STATE"].map(str::to_owned)];
    for tenant in directory.tenants() {
        for channel in directory.channels(&tenant.tenant) {
            let (status, address) = (known.status(channel), known.address(channel));
            if as_json {
                out.json(&object(channel, status.as_ref(), address.as_deref()))?;
                continue;
            }
            let state = status.as_ref().map_or("-".to_owned(), text);
            rows.push([
                channel.channel.to_string(),
                channel.kind.to_string(),
                tenant.tenant.to_string(),
                address.unwrap_or_else(|| "-".to_owned()),
                when::show(channel.created_at),
                gets(channel),
                state,
            ]);
        }
    }
    match (as_json, rows.len()) {
        (true, _) => {}
        (false, 1) => {
            out.line(format_args!("No channels yet. Add one: logystera channel add webhook URL{}", place.flags()))?;
        }
        (false, _) => table(&mut out, &rows)?,
    }
    out.flush()?;
    Ok(())
}

fn object(channel: &Channel, status: Option<&ChannelStatus>, address: Option<&str>) -> Map<String, Value> {
    let (id, kind, created_at) = (&channel.channel, channel.kind, channel.created_at);
    let mut object = Map::new();
    let head = [("channel", json!(id)), ("kind", json!(kind)), ("tenant", json!(channel.tenant))];
    object.extend(head.map(|(name, value)| (name.to_owned(), value)));
    object.insert("created_at".to_owned(), json!(created_at));
    object.insert("address".to_owned(), json!(address));
    let mut settings = json!(channel.settings);
    if let Some(quiet) = &channel.settings.quiet {
        settings["quiet"]["hours"] = json!(quiet.to_string());
    }
    object.insert("settings".to_owned(), settings);
    object.insert("labels".to_owned(), json!(channel.labels.iter().map(ToString::to_string).collect::<Vec<_>>()));
    object.insert("fallback".to_owned(), json!(channel.fallback));
    object.extend(state(status));
    object
}

/// What JSON says of a channel's state.
pub(super) fn state(status: Option<&ChannelStatus>) -> Map<String, Value> {
    let (name, since, until) = match status.map(|s| s.condition) {
        None => ("unknown", None, None),
        Some(Condition::Working) => ("working", None, None),
        Some(Condition::Paced) => ("paced", None, None),
        Some(Condition::Paused { until }) => ("paused", None, Some(until)),
        Some(Condition::Failing { until, .. }) => ("failing", None, Some(until)),
        Some(Condition::Gone { since, until }) => ("gone", Some(since), Some(until)),
        Some(Condition::SwitchedOff { since }) => ("switched_off", Some(since).filter(|at| at.0 > 0), None),
    };
    let fields = [
        ("state", json!(name)),
        ("reason", json!(status.and_then(|s| s.trouble.as_deref()))),
        ("since", json!(since)),
        ("until", json!(until)),
        ("waiting", json!(status.and_then(|s| s.waiting))),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A channel's state for people.
pub(super) fn text(status: &ChannelStatus) -> String {
    let reason = status.trouble.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
    let state = match status.condition {
        Condition::Working => "working".to_owned(),
        Condition::Paced => "working, one alert at a time: it asked for fewer".to_owned(),
        Condition::Paused { until } => format!("paused until {}{reason}", when::show(until.0)),
        Condition::Failing { until, failures } => {
            let count = if failures > 0 { format!(", {failures} in a row") } else { String::new() };
            format!("failing{count}{reason}, tried from {} on", when::show(until.0))
        }
        Condition::Gone { until, .. } => format!("gone{reason}, tried once more at {}", when::show(until.0)),
        Condition::SwitchedOff { since } if since.0 > 0 => {
            format!("switched off since {}{reason}", when::show(since.0))
        }
        Condition::SwitchedOff { .. } => format!("switched off{reason}"),
    };
    match status.waiting {
        Some(waiting) if waiting > 0 => format!("{state}, {waiting} waiting"),
        _ => state,
    }
}

//! `logystera delivery resend`: an alert once more.

use std::fmt::Write as _;

use logystera_alerter::core::retry::resent_id;
use logystera_control::{Answer, Request};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::ChannelId;
use logystera_schemas::schema;
use logystera_schemas::topic::{DetectionsRecord, Topic};
use serde_json::json;

use super::one::{ID_SHOWN, one};
use crate::cli::{CliError, Out, PlaceArgs};
use crate::installation::ask::ask;
use crate::installation::open::open_log;
use crate::installation::reading::InstallationLog;

/// What was asked for.
pub(super) struct Asked<'a> {
    pub(super) delivery: Option<&'a str>,
    pub(super) alert: Option<&'a str>,
    pub(super) channel: Option<&'a str>,
}

/// Finds the detection, and has the planner asked.
pub(super) fn resend(place: &PlaceArgs, asked: &Asked<'_>) -> Result<(), CliError> {
    let (detection, channel) = {
        let log = open_log(&place.data, &place.cluster)?;
        what(&*log, asked, place)?
    };
    let Requested { resend, delivery } = ask_for(place, &detection, &channel)?;
    let mut out = Out::new();
    if place.json {
        let (alert, seq) = (detection.id, detection.seq);
        out.json(&json!({"resend": resend, "delivery": delivery, "channel": channel, "alert": alert, "seq": seq}))?;
    } else {
        out.line(format_args!("Asked for: delivery {delivery} to channel {channel}."))?;
        out.line(format_args!("How it stands: logystera delivery show {}{}", &delivery[..ID_SHOWN], place.flags()))?;
    }
    Ok(out.flush()?)
}

/// What was asked for.
pub(super) struct Requested {
    /// Names the record that asks.
    pub(super) resend: String,
    /// Id of the delivery that comes of it.
    pub(super) delivery: String,
}

/// Asks for one detection to one channel.
pub(super) fn ask_for(place: &PlaceArgs, detection: &Detection, channel: &str) -> Result<Requested, CliError> {
    let hex = schema::encode(detection).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let request = Request::DeliveryResend { channel: channel.to_owned(), detection: hex };
    let Answer::Resent { resend } = ask(&place.data.data, &place.cluster, &request, false)? else {
        return Err(CliError::not_available("the running logystera gave an answer to something else"));
    };
    let unreadable = || CliError::not_available("the running logystera gave an answer that cannot be read");
    let id: ChannelId = channel.parse().map_err(|_| unreadable())?;
    let delivery = resent_id(detection, &id, &resend.parse().map_err(|_| unreadable())?).to_string();
    Ok(Requested { resend, delivery })
}

/// The detection, and the channel that is to be told of it.
fn what(log: &dyn InstallationLog, asked: &Asked<'_>, place: &PlaceArgs) -> Result<(Detection, String), CliError> {
    let (found, channel) = match (asked.delivery, asked.alert) {
        (Some(id), _) => {
            let history = one(log, id, place)?;
            let Some(row) = history.rows.last() else { return Err(CliError::wrong_use(format!("no delivery {id}"))) };
            if let Some(off) = &row.disabled {
                return Err(CliError::wrong_use(format!(
                    "that delivery is the news that channel {off} is switched off, and no alert"
                )));
            }
            if history.rows.iter().any(|other| (&other.site, other.seq) != (&row.site, row.seq)) {
                return Err(CliError::wrong_use(format!(
                    "that delivery tells several alerts: `logystera delivery show {id}` lists them; name one, and the channel: `delivery resend --alert ID --channel CHANNEL`"
                )));
            }
            let is_it = |d: &Detection| (&d.site, d.seq, d.id) == (&row.site, row.seq, row.detection);
            (newest(log, is_it)?, asked.channel.unwrap_or(&row.channel).to_owned())
        }
        (None, Some(alert)) => {
            let found = newest(log, |d| d.id.to_string().starts_with(alert))?;
            let other =
                found.as_ref().map(|found| newest(log, |d| d.id != found.id && d.id.to_string().starts_with(alert)));
            if let Some(other) = other.transpose()?.flatten() {
                let first = found.map_or(String::new(), |found| found.id.to_string());
                return Err(CliError::wrong_use(format!("several alerts begin like that: {first}, {}", other.id)));
            }
            (found, asked.channel.unwrap_or_default().to_owned())
        }
        (None, None) => return Err(CliError::wrong_use("name a delivery, or an alert and a channel")),
    };
    let Some(found) = found else {
        return Err(CliError::wrong_use(
            "topic detections has no such alert: it may be older than the topic reaches back",
        ));
    };
    if channel.is_empty() {
        return Err(CliError::wrong_use("that delivery went to no channel: --channel names one"));
    }
    Ok((found, channel))
}

/// The newest detection that is wanted.
fn newest(log: &dyn InstallationLog, wanted: impl Fn(&Detection) -> bool) -> Result<Option<Detection>, CliError> {
    let mut found = None;
    log.each_record(Topic::Detections, &mut |record| {
        if let Ok(DetectionsRecord::Detection(detection)) = DetectionsRecord::decode(&record.value)
            && wanted(&detection)
        {
            found = Some(*detection);
        }
    })?;
    Ok(found)
}

//! Dead letters: what a channel was to be told and never took. `delivery list --dead` and `delivery resend --dead`.

use logystera_alerter::history::letters::{AtOnce, LetterFilter, at_once, dead};
use logystera_schemas::limits::RESENT_AT_ONCE_MAX;
use serde_json::json;

use super::resend::{Requested, ask_for};
use super::rows::{print_rows, tell_unreadable};
use crate::cli::{CliError, Out, PlaceArgs, counted};
use crate::installation::open::open_log;
use crate::installation::reading::site_of;
use crate::when;

/// Lists the newest `limit`.
pub(super) fn list(place: &PlaceArgs, filter: LetterFilter, from: Option<&str>, limit: u32) -> Result<(), CliError> {
    let filter = LetterFilter { from_ms: when::from(from)?, ..filter };
    let log = open_log(&place.data, &place.cluster)?;
    let directory = log.directory()?;
    if let Some(site) = &filter.site {
        site_of(&directory, site)?;
    }
    let found = dead(&*log, &filter, limit as usize)?;
    let mut out = Out::new();
    if place.json || !found.rows.is_empty() {
        print_rows(&mut out, &found.rows, place.json)?;
    } else {
        out.line("No dead letters: what was given up has been told since, or nothing was.")?;
    }
    if !place.json && found.omitted > 0 {
        out.line(format_args!(
            "{} before these; --limit shows more",
            counted(found.omitted as u64, "other", "others")
        ))?;
    }
    if !place.json && !found.rows.is_empty() {
        let mut channels: Vec<&str> = found.rows.iter().map(|row| row.channel.as_str()).collect();
        channels.sort_unstable();
        channels.dedup();
        let flags = place.flags();
        out.line("")?;
        out.line("Once the channel works (`logystera channel test CHANNEL`), to send one again, or all of a channel:")?;
        out.line(format_args!("  logystera delivery resend ID{flags}"))?;
        for channel in channels {
            out.line(format_args!("  logystera delivery resend --dead --channel {channel}{flags}"))?;
        }
    }
    out.flush()?;
    tell_unreadable(found.unreadable);
    Ok(())
}

/// Has a channel told of its dead letters, the oldest first: of each alert the newest that is known. At most
/// [`RESENT_AT_ONCE_MAX`]; says how many are left.
pub(super) fn resend(place: &PlaceArgs, channel: &str, from: Option<&str>) -> Result<(), CliError> {
    let filter = LetterFilter { channel: Some(channel.to_owned()), from_ms: when::from(from)?, site: None };
    let AtOnce { detections, gone, left, unreadable } = at_once(&*open_log(&place.data, &place.cluster)?, &filter)?;
    let (mut asked, mut out) = (0_u64, Out::new());
    for detection in detections {
        let Requested { resend, delivery } = ask_for(place, &detection, channel)?;
        asked += 1;
        if place.json {
            let (alert, seq) = (detection.id, detection.seq);
            out.json(&json!({"resend": resend, "delivery": delivery, "channel": channel, "alert": alert, "seq": seq}))?;
        }
    }
    if !place.json {
        match asked {
            0 => out.line(format_args!("Channel {channel} has no dead letters that can be sent again."))?,
            _ => out.line(format_args!("Asked for: {} to channel {channel}.", counted(asked, "alert", "alerts")))?,
        }
        if gone > 0 {
            let left_out = counted(gone as u64, "alert is", "alerts are");
            out.line(format_args!("{left_out} left out: topic detections does not reach back so far."))?;
        }
        if left > 0 {
            out.line(format_args!(
                "{} left: the same command again, once these have gone out, sends the next {RESENT_AT_ONCE_MAX}.",
                counted(left as u64, "more is", "more are")
            ))?;
        }
    }
    out.flush()?;
    tell_unreadable(unreadable);
    Ok(())
}

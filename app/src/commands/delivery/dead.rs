//! Dead letters: what a channel was to be told and never took. `delivery list --dead` and `delivery resend --dead`.

use std::collections::BTreeMap;

use logystera_alerter::history::letters::{LetterFilter, dead};
use logystera_schemas::delivery::Attempt;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::EpisodeId;
use logystera_schemas::limits::{DELIVERIES_LOOKED_AT_MAX, RESENT_AT_ONCE_MAX};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;
use serde_json::json;

use super::resend::{Requested, ask_for, each_record};
use super::{print_rows, tell_unreadable};
use crate::cli::{CliError, Out, PlaceArgs, counted};
use crate::installation::open::open_log;
use crate::installation::reading::{InstallationLog, site_of};
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

/// What is known of an alert that is to be sent again.
struct Known {
    /// When it was given up.
    given_up: WallMs,
    /// Whether it was asked for since: it is on its way, though no row says so yet.
    asked_for: bool,
    /// Its newest line.
    newest: Option<Detection>,
}

/// What topic `detections` knows of the alerts of these letters.
fn known_of(
    log: &dyn InstallationLog,
    channel: &str,
    letters: &[Attempt],
) -> Result<BTreeMap<EpisodeId, Known>, CliError> {
    let known = |row: &Attempt| (row.detection, Known { given_up: row.at, asked_for: false, newest: None });
    let mut all: BTreeMap<EpisodeId, Known> = letters.iter().map(known).collect();
    each_record(log, |record| match record {
        DetectionsRecord::Detection(detection) => {
            if let Some(known) = all.get_mut(&detection.id) {
                known.newest = Some(*detection);
            }
        }
        DetectionsRecord::Resend(resend) if resend.channel.as_str() == channel => {
            if let Some(known) = all.get_mut(&resend.detection.id) {
                known.asked_for |= resend.at >= known.given_up;
            }
        }
        _ => {}
    })?;
    Ok(all)
}

/// Keeps those that one command sends again: the oldest that nobody asked for since. Gives how many are left.
fn keep_the_next(letters: &mut Vec<Attempt>, known: &BTreeMap<EpisodeId, Known>) -> usize {
    letters.retain(|letter| known.get(&letter.detection).is_some_and(|known| !known.asked_for));
    let left = letters.len().saturating_sub(RESENT_AT_ONCE_MAX);
    letters.truncate(RESENT_AT_ONCE_MAX);
    left
}

/// Has a channel told of its dead letters, the oldest first: of each alert the newest that is known. At most
/// [`RESENT_AT_ONCE_MAX`]; says how many are left.
pub(super) fn resend(place: &PlaceArgs, channel: &str, from: Option<&str>) -> Result<(), CliError> {
    let filter = LetterFilter { channel: Some(channel.to_owned()), from_ms: when::from(from)?, site: None };
    let (mut letters, mut known, unreadable) = {
        let log = open_log(&place.data, &place.cluster)?;
        let found = dead(&*log, &filter, DELIVERIES_LOOKED_AT_MAX)?;
        let known = known_of(&*log, channel, &found.rows)?;
        (found.rows, known, found.unreadable)
    };
    let left = keep_the_next(&mut letters, &known);
    let (mut asked, mut gone, mut out) = (0_u64, 0_u64, Out::new());
    for letter in &letters {
        let Some(detection) = known.remove(&letter.detection).and_then(|known| known.newest) else {
            gone += 1;
            continue;
        };
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
            let left_out = counted(gone, "alert is", "alerts are");
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

#[cfg(test)]
mod tests {
    use logystera_schemas::delivery::AttemptState;
    use logystera_schemas::ids::DeliveryId;

    use super::*;

    fn letter(n: u8) -> Attempt {
        Attempt {
            tenant: "t".parse().unwrap(),
            site: "shop".parse().unwrap(),
            encryption_key: None,
            detection: EpisodeId([n; 16]),
            seq: u64::from(n),
            rule: "r".parse().unwrap(),
            channel: "ch_1".to_owned(),
            delivery: DeliveryId([n; 16]),
            attempt: 2,
            state: AttemptState::Dead,
            reason: "status_404".to_owned(),
            status: Some(404),
            at: WallMs(7),
            next_attempt_at: None,
            disabled: None,
            number: 0,
            chain: None,
            outcome: None,
            semantics: 0,
        }
    }

    #[test]
    fn one_command_sends_as_many_as_there_is_room_for_the_oldest_first_and_none_twice() {
        let all = RESENT_AT_ONCE_MAX as u8 + 5;
        let mut letters: Vec<Attempt> = (0..all).map(letter).collect();
        let known = |n: u8| (EpisodeId([n; 16]), Known { given_up: WallMs(7), asked_for: n < 2, newest: None });
        let known = (0..all).map(known).collect();
        assert_eq!(keep_the_next(&mut letters, &known), 3);
        let seqs: Vec<u64> = letters.iter().map(|letter| letter.seq).collect();
        assert_eq!(seqs, (2..u64::from(all) - 3).collect::<Vec<_>>());
        assert_eq!(seqs.len(), RESENT_AT_ONCE_MAX);
    }
}

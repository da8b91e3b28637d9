//! `logystera replay --verify`: what a comparison came to.

use logystera_replay::{Asked, Comparison, Deliveries, Difference};
use serde_json::json;

use super::deliveries;

use crate::cli::{CliError, DONE, FINDING, NOT_AVAILABLE, Out, counted};
use crate::commands::progress::Progress;
use crate::when;

/// Replays and compares; says what was found.
pub(super) fn verify(asked: &Asked<'_>, as_json: bool) -> Result<u8, CliError> {
    let seen = logystera_replay::verify(asked, &mut Progress::new(asked)?)?;
    if let Some(difference) = &seen.difference {
        return report(seen.compared, difference, as_json);
    }
    let deliveries = logystera_replay::verify_deliveries(asked)?;
    if deliveries.differences().next().is_some() {
        deliveries::report(&deliveries, seen.compared, as_json)?;
        return Ok(FINDING);
    }
    tell(asked, &seen, &deliveries, as_json)?;
    // What was not covered was not verified.
    Ok(if asked.missing() == 0 && deliveries.is_proved() { DONE } else { NOT_AVAILABLE })
}

/// Says what was verified, and what was not.
fn tell(asked: &Asked<'_>, seen: &Comparison, of: &Deliveries, as_json: bool) -> Result<(), CliError> {
    let mut out = Out::new();
    let Comparison { compared, sites, records, batches, unrecorded, gone, skipped, difference: _ } = seen;
    let (covered, missing) = (asked.covered(), asked.missing());
    let taken: Vec<i64> = asked.snapshots().collect();
    // The first and the last of the snapshots that it began with.
    let span = taken.iter().min().zip(taken.iter().max());
    if as_json {
        let snapshots = span.map(|(first, last)| json!({"count": taken.len(), "first_at": first, "last_at": last}));
        out.json(&json!({
            "verified": missing == 0 && of.is_proved(), "covered_key_groups": covered, "uncovered_key_groups": missing, "records": records, "batches": batches, "detections": compared, "sites": sites,
            "not_yet_recorded": unrecorded, "recorded_no_longer": gone, "began_with_snapshots": snapshots,
            "key_groups_without_snapshot": missing, "skipped": skipped,
            "deliveries": deliveries::object(of),
        }))?;
        return Ok(out.flush()?);
    }
    let begin = match span {
        None => "from the log's start on".to_owned(),
        Some((first, last)) => {
            format!(
                "from snapshots on ({}, taken from {} to {} UTC)",
                taken.len(),
                when::show(*first),
                when::show(*last)
            )
        }
    };
    let verified = if missing == 0 { "Verified" } else { "Verified in part" };
    out.line(format_args!(
        "{verified}: {records} records of topic signals, {begin}, give the recorded detections byte for byte ({compared} \
         detections, {sites} chains)."
    ))?;
    if *unrecorded > 0 {
        out.line(format_args!("{unrecorded} more are due: the processor has not come so far."))?;
    }
    if *gone > 0 {
        out.line(format_args!(
            "{gone} more are no longer recorded: they are older than topic detections reaches back."
        ))?;
    }
    if *skipped > 0 {
        let records = counted(*skipped, "record was", "records were");
        out.line(format_args!("{records} passed over, as the engine did: `log skip` has said so."))?;
    }
    if missing > 0 {
        out.line(format_args!(
            "Not verified: the sites of {missing} of 1,024 key groups. The log's start is gone, and they have had no snapshot \
             since: each has one a day."
        ))?;
    }
    deliveries::tell(&mut out, of)?;
    Ok(out.flush()?)
}

fn report(compared: u64, difference: &Difference, as_json: bool) -> Result<u8, CliError> {
    let Difference { site, seq, what } = difference;
    let mut out = Out::new();
    if as_json {
        out.json(&json!({"verified": false, "site": site, "seq": seq, "what": what, "detections": compared}))?;
    } else {
        out.line(format_args!("First difference: detection {seq} of site {site}, {what}."))?;
    }
    out.flush()?;
    Ok(FINDING)
}

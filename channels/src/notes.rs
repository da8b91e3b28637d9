//! What a message tells besides what happened, a sentence each.

use logystera_schemas::alert::Merged;
use logystera_schemas::calendar;
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::text::counted;

/// What a message tells besides its own detection, and why it ended if that is not that the condition is false.
pub(crate) fn of(detection: &Detection, merged: &Merged) -> Vec<String> {
    let is_over = detection.state == DetectionState::Resolved;
    let mut notes: Vec<String> =
        ended_because(detection.reason).filter(|_| is_over).into_iter().map(str::to_owned).collect();
    if detection.reason == DetectionReason::Escalated && !is_over {
        notes.push("It is the same alert as before, and has grown worse.".to_owned());
    }
    if detection.held > 0 && !is_over {
        notes.push(held_back(detection, "it", detection.held));
    }
    if detection.once {
        notes.push("It happened: nothing is open, and no message follows that it is over.".to_owned());
    }
    if merged.lines > 0 {
        let firings = merged.firings.saturating_add(u32::from(!is_over));
        notes.push(format!(
            "This one message tells {} of the same fault, {firings} of them firings; the oldest began at {}.",
            counted(u64::from(merged.lines) + 1, "line", "lines"),
            calendar::show(merged.since.min(detection.started_at))
        ));
        if is_over && merged.untold {
            notes.push("It began and is over: this channel had no message of its beginning.".to_owned());
        }
    }
    notes
}

/// That so many were held back: before the alerts that `them` stands for or, if each match is told, until now.
pub(crate) fn held_back(detection: &Detection, them: &str, held: u64) -> String {
    if detection.once {
        let were = if held == 1 { "was" } else { "were" };
        return format!("{} {were} held back until now, and told together.", counted(held, "alert", "alerts"));
    }
    format!("{} before {them} were held back.", counted(held, "firing", "firings"))
}

/// Why an episode ended, if its condition is not known to be false.
const fn ended_because(reason: DetectionReason) -> Option<&'static str> {
    match reason {
        DetectionReason::Evicted => {
            Some("It is watched no more: the rule has too many groups, and this one made room.")
        }
        DetectionReason::RuleRemoved => Some("It is watched no more: the rule was removed."),
        DetectionReason::RuleChanged => Some("It is watched anew: the rule was changed."),
        DetectionReason::SiteClosed => Some("It is watched no more: the site was closed."),
        DetectionReason::ClockReset => Some("It is watched anew: the log's clock was set back."),
        DetectionReason::Forgotten => Some("It is expected no more: it was missed for too long."),
        DetectionReason::Firing
        | DetectionReason::SuppressionExpired
        | DetectionReason::Escalated
        | DetectionReason::Resolved
        | DetectionReason::Stopped
        | DetectionReason::NeverSeen
        | DetectionReason::Blind
        | DetectionReason::Overflow => None,
    }
}

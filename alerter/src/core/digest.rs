//! What a channel had no room for, counted.

use std::cmp::Reverse;

use logystera_schemas::alert::{Digest, DigestCount};
use logystera_schemas::detection::{Detection, DetectionState, Severity};
use logystera_schemas::limits::DIGEST_COUNTS_MAX;

/// Counts a detection; and, if it is over and its beginning was not told, that too.
pub(super) fn add(digest: &mut Digest, detection: &Detection, began_untold: bool) {
    let is_over = detection.state == DetectionState::Resolved;
    if is_over && began_untold {
        count(digest, detection, false);
    }
    count(digest, detection, is_over);
}

fn count(digest: &mut Digest, detection: &Detection, is_over: bool) {
    let (rule, severity) = (&detection.rule, detection.severity);
    let known = digest.counts.iter_mut().find(|c| c.rule == *rule && c.severity == severity && c.is_over == is_over);
    if let Some(count) = known {
        count.alerts += 1;
        return;
    }
    let (rule, title) = (rule.clone(), detection.title.clone());
    digest.counts.push(DigestCount { rule, title, severity, is_over, alerts: 1 });
    let order = |count: &DigestCount| (count.is_over, Reverse(count.severity));
    digest.counts.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.rule.cmp(&b.rule)));
    if digest.counts.len() > DIGEST_COUNTS_MAX {
        digest.rest += digest.counts.pop().map_or(0, |count| count.alerts);
    }
}

/// How much an alert is worth a name in a digest.
pub(super) fn rank(detection: &Detection) -> (bool, Severity) {
    (detection.state != DetectionState::Resolved, detection.severity)
}

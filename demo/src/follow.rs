//! What the log has, told as it appears.

use logystera_infra::clock::Clock;
use logystera_infra::log::Log;
use logystera_infra::shutdown::Shutdown;
use logystera_schemas::calendar::show;
use logystera_schemas::delivery::{Attempt, AttemptState};
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::schema;
use logystera_schemas::topic::{DetectionsRecord, Topic};

use crate::story::{LOOK_EVERY, Story};

/// After the first alert the story waits so long for others before it says what to try next.
const EPILOGUE_AFTER_MS: i64 = 12_000;

/// Tells each detection and each attempt as it appears in the log, and the epilogue when the first alert has arrived.
pub async fn follow(log: &impl Log, story: &Story, epilogue: &str, shutdown: &Shutdown) {
    let mut next = log.bounds(Topic::Detections, 0).map_or(0, |bounds| bounds.end);
    let mut next_attempt = log.bounds(Topic::Attempts, 0).map_or(0, |bounds| bounds.end);
    let mut epilogue_at: Option<i64> = None;
    let mut told = false;
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        for record in log.read(Topic::Detections, 0, next, READ_BYTES_MAX).unwrap_or_default() {
            next = record.offset + 1;
            if let Ok(DetectionsRecord::Detection(detection)) = DetectionsRecord::decode(&record.value) {
                detected(story, &detection);
            }
        }
        for record in log.read(Topic::Attempts, 0, next_attempt, READ_BYTES_MAX).unwrap_or_default() {
            next_attempt = record.offset + 1;
            if let Ok(attempt) = schema::decode::<Attempt>(&record.value) {
                attempted(story, &attempt);
                if attempt.state == AttemptState::Delivered {
                    epilogue_at.get_or_insert(story.clock.monotonic_ms() + EPILOGUE_AFTER_MS);
                }
            }
        }
        if !told && epilogue_at.is_some_and(|at| story.clock.monotonic_ms() >= at) {
            told = true;
            story.say(epilogue);
        }
    }
}

fn detected(story: &Story, detection: &Detection) {
    let state = match detection.state {
        DetectionState::Firing => "DETECTED",
        DetectionState::Resolved => "RESOLVED",
        DetectionState::Suppressed => "Detected again, and not told again:",
    };
    story.say(&format!("{state} {} {}: {}", detection.severity, detection.rule, detection.message));
}

/// The receiver's line tells of the delivery itself.
fn attempted(story: &Story, attempt: &Attempt) {
    if attempt.state == AttemptState::NotSent && attempt.reason == "bundled" {
        let until = attempt.next_attempt_at.map_or(String::new(), |at| format!(" until {}", show(at.0)));
        story.say(&format!("The rule puts alerts together: this one waits for others{until}."));
        return;
    }
    match attempt.state {
        AttemptState::NotSent => {
            story.say(&format!("Nobody is told of {} now, and that is on disk too: {}.", attempt.rule, attempt.reason));
            return;
        }
        AttemptState::Waiting => {
            story.say(&format!("Somebody asked for {} again.", attempt.rule));
            return;
        }
        _ => {}
    }
    let status = attempt.status.map_or(String::new(), |status| format!(", HTTP status {status}"));
    match attempt.state {
        AttemptState::Started => {
            story.say(&format!("Attempt {} is on disk before it leaves: {}.", attempt.attempt, attempt.rule));
        }
        state => story.say(&format!("Attempt {} ended, and that is on disk too: {state}{status}.", attempt.attempt)),
    }
}

//! `up --demo`: a site that misbehaves after half a minute, a receiver that prints the alert, and the story of both.

mod receiver;
mod site;
mod story;

use std::sync::Arc;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::log::Log;
use logystera_schemas::control::ChannelKind;
use logystera_schemas::delivery::{Attempt, AttemptState};
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::schema;
use logystera_schemas::topic::{DetectionsRecord, Topic};

use logystera_control::{Answer, Request, TENANT_DEFAULT};

use crate::cli::CliError;
use crate::up::running::Running;
use crate::when;
use story::{LOOK_EVERY, Story};

/// After the first alert the story waits so long for others before it says what to try next.
const EPILOGUE_AFTER_MS: i64 = 12_000;

/// Tells the story until the installation stops.
pub(crate) async fn tell(running: Running) {
    let story = Story { clock: Arc::new(SystemClock::new()) };
    if let Err(error) = act(&running, &story).await {
        story.say(&format!("The demo cannot go on: {}", error.message));
        running.shutdown.trigger();
    }
}

async fn act(running: &Running, story: &Story) -> Result<(), CliError> {
    story.say(&format!(
        "Logystera demo: gateway, rules and alerter in this process, data in {}",
        running.data.display()
    ));
    let service = &running.service;
    let receiver = receiver::Receiver::bind(story.clone()).await?;
    let url = format!("http://{}/alerts", receiver.address);
    let site = Request::SiteAdd { name: "Demo shop".to_owned(), tenant: TENANT_DEFAULT.to_owned(), id: None };
    let channel = Request::ChannelAdd {
        kind: ChannelKind::Webhook.to_string(),
        to: vec![url.clone()],
        tenant: TENANT_DEFAULT.to_owned(),
    };
    let (Answer::Key(key), Answer::Channel(channel)) = (service.execute(site).await?, service.execute(channel).await?)
    else {
        return Ok(());
    };
    story.say(&format!(
        "Added the site \"Demo shop\" ({}), which signs its batches with the key {}.",
        key.site, key.key
    ));
    story.say(&format!("Added the webhook {url} ({}): a receiver in this process.", channel.channel));
    receiver.serve(channel.secret.as_deref().unwrap_or_default(), running.shutdown.clone());
    tokio::spawn(site::behave(story.clone(), key, running.listen, running.shutdown.clone()));
    follow(running, story).await;
    Ok(())
}

/// Tells each detection as it appears in the log, and at the end what to try next.
async fn follow(running: &Running, story: &Story) {
    let mut next = running.log.bounds(Topic::Detections, 0).map_or(0, |bounds| bounds.end);
    let mut next_attempt = running.log.bounds(Topic::Attempts, 0).map_or(0, |bounds| bounds.end);
    let mut epilogue_at: Option<i64> = None;
    let mut told = false;
    loop {
        tokio::select! {
            () = running.shutdown.wait() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        for record in running.log.read(Topic::Detections, 0, next, READ_BYTES_MAX).unwrap_or_default() {
            next = record.offset + 1;
            if let Ok(DetectionsRecord::Detection(detection)) = DetectionsRecord::decode(&record.value) {
                detected(story, &detection);
            }
        }
        for record in running.log.read(Topic::Attempts, 0, next_attempt, READ_BYTES_MAX).unwrap_or_default() {
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
            epilogue(running, story);
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
        let until = attempt.next_attempt_at.map_or(String::new(), |at| format!(" until {}", when::show(at.0)));
        story.say(&format!("The rule puts alerts together: this one waits for others{until}."));
        return;
    }
    let status = attempt.status.map_or(String::new(), |status| format!(", HTTP status {status}"));
    match attempt.state {
        AttemptState::Started => {
            story.say(&format!("Attempt {} is on disk before it leaves: {}.", attempt.attempt, attempt.rule));
        }
        state => story.say(&format!("Attempt {} ended, and that is on disk too: {state}{status}.", attempt.attempt)),
    }
}

fn epilogue(running: &Running, story: &Story) {
    let data = running.data.display();
    story.say(&format!(
        "That is the story: signal, batch, rule, detection, alert. It goes on until Ctrl-C. Try in another terminal:\n\
         \n\
         logystera tail signals --follow --data {data}\n\
         logystera tail detections --from beginning --json --data {data}\n\
         logystera tail attempts --from beginning --data {data}\n\
         logystera replay --verify --data {data}\n\
         logystera site list --data {data}\n\
         curl -s http://{}/metrics | grep ^logystera\n\
         \n\
         Then your own site: logystera up",
        running.admin_listen
    ));
}

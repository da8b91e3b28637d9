//! `logystera partitions grow`: what it says, and when it tries again.

use std::path::Path;
use std::time::Duration;

use logystera_alerter::task::APP as ALERTER;
use logystera_infra::log::LogError;
use logystera_kafka::growth::{Growth, GrowthError, Readers, Step};
use logystera_processor::task::APP as PROCESSOR;
use logystera_schemas::control::{GrowingTopic, GrowthPhase};
use serde_json::{Value, json};

use crate::cli::{self, CliError, DONE, Out, WRONG_USE};
use crate::installation::cluster::Installation;
use crate::installation::config::Config;

/// How often a growth that another command has fenced goes on.
const TRIES: u32 = 5;

/// Who reads the topics that grow.
const READERS: Readers = Readers { signals: PROCESSOR, detections: ALERTER };

/// Grows a topic of the installation that a file describes.
pub(super) fn grow(file: &Path, topic: GrowingTopic, partitions: u32, json: bool) -> Result<u8, CliError> {
    let installation = Installation::connect(Config::read(file)?)?;
    let runtime = cli::runtime()?;
    let mut out = Out::new();
    let mut broken = Ok(());
    let mut tell = |step: Step| {
        if broken.is_ok() {
            broken = say(&mut out, topic, &step, json);
        }
    };
    for last in (0..TRIES).map(|n| n + 1 == TRIES) {
        let (log, _) = installation.writer_log()?;
        let (kafka, tell) = (&installation.kafka, &mut tell as &mut dyn FnMut(Step));
        match (Growth { kafka, log: &log, runtime: &runtime, topic, apps: READERS, tell }).to(partitions) {
            // Another command wrote: what this one recorded stands, and it goes on from there.
            Err(GrowthError::Log(LogError::Fenced)) if !last => tracing::debug!("fenced by another command"),
            Err(GrowthError::Log(error)) => {
                let what = format!("{error}. Ask again: it goes on where it ended");
                return Err(CliError::not_available(what));
            }
            Err(GrowthError::Refused(why)) => return Err(CliError::new(WRONG_USE, why)),
            Ok(()) => break,
        }
    }
    broken?;
    Ok(DONE)
}

fn say(out: &mut Out, topic: GrowingTopic, step: &Step, as_json: bool) -> Result<(), CliError> {
    if as_json {
        let (name, mut object) = as_object(step);
        object["step"] = json!(name);
        object["topic"] = json!(topic);
        out.json(&object)?;
    } else {
        out.line(text(topic, step))?;
    }
    Ok(out.flush()?)
}

fn as_object(step: &Step) -> (&'static str, Value) {
    match step {
        Step::Nothing { partitions } => ("nothing", json!({"partitions": partitions})),
        Step::Resumed { phase } => ("resumed", json!({"phase": phase})),
        Step::Created { generation, partitions, processes } => {
            ("created", json!({"generation": generation, "partitions": partitions, "processes": processes}))
        }
        Step::Closing { waiting_for } => ("closing", json!({"waiting_for": waiting_for})),
        Step::Overdue { instances } => ("overdue", json!({"instances": instances})),
        Step::Sealed { partitions, held_ms } => ("sealed", json!({"partitions": partitions, "held_ms": held_ms})),
        Step::Reading { done, partitions } => ("reading", json!({"done": done, "partitions": partitions})),
        Step::Done { partitions, ignored } => ("done", json!({"partitions": partitions, "ignored": ignored})),
    }
}

fn text(topic: GrowingTopic, step: &Step) -> String {
    let (writers, readers) = match topic {
        GrowingTopic::Signals => ("senders", "processors"),
        GrowingTopic::Detections => ("processors and alerters", "alerters"),
    };
    match step {
        Step::Nothing { partitions } => format!("{topic} has {partitions} partitions: nothing to do."),
        Step::Resumed { phase: GrowthPhase::Closing } => "Going on where an earlier growth ended: sealing.".to_owned(),
        Step::Resumed { .. } => {
            "Going on where an earlier growth ended: the new partitions are written already.".to_owned()
        }
        Step::Created { generation, partitions, processes } => format!(
            "Made generation {generation} of {topic}, with {partitions} partitions. It takes at least {processes} {readers} to \
             own them."
        ),
        Step::Closing { waiting_for } if waiting_for.is_empty() => {
            format!("Nobody writes to the old partitions any more; {writers} wait.")
        }
        Step::Closing { waiting_for } => {
            format!("{} wait while these gateways finish: {}", capital(writers), waiting_for.join(", "))
        }
        Step::Overdue { instances } => format!(
            "These gateways did not say that they stopped, and may not write any more: {}",
            instances.join(", ")
        ),
        Step::Sealed { partitions, held_ms } => {
            let seconds = Duration::from_millis(*held_ms).as_secs_f64();
            format!(
                "Sealed the {partitions} old partitions; the new ones are written. {} waited {seconds:.1} s.",
                capital(writers)
            )
        }
        Step::Reading { done, partitions } => format!(
            "{done} of {partitions} old partitions are applied to their seals; the {readers} go on with the rest. This can be \
             interrupted: asked again it goes on."
        ),
        Step::Done { partitions, ignored: 0 } => format!("Done: {topic} has {partitions} partitions."),
        Step::Done { partitions, ignored } => format!(
            "Done: {topic} has {partitions} partitions. {ignored} records came behind the seals, of writers that were late: none \
             was acknowledged, and none counts."
        ),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

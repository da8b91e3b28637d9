//! Records as lines for people, and as JSON for programs.

use std::fmt::Write;

use logystera_infra::reading::PartitionId;
use logystera_processor::core::show_value;
use logystera_schemas::avro::DecodeError;
use logystera_schemas::batch::{Batch, Signal, Value};
use logystera_schemas::delivery::Attempt;
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::BatchId;
use logystera_schemas::topic::{DetectionsRecord, SignalsRecord, Topic};
use logystera_schemas::{calendar, json, schema};
use serde_json::json;

/// One line.
pub struct Line {
    /// Whose it is.
    pub site: String,
    /// When it was, milliseconds since the epoch; none: what it shows has no time of its own.
    pub at: Option<i64>,
    /// With its time in front, where it has one.
    text: String,
    json: serde_json::Value,
}

impl Line {
    /// As a program reads it. `after`: the newest time that stands before it, which one without a time of its own is told by.
    pub fn json(&self, after: Option<i64>) -> serde_json::Value {
        let mut json = self.json.clone();
        if let (Some(after), Some(object)) = (after.filter(|_| self.at.is_none()), json.as_object_mut()) {
            object.insert("after".to_owned(), json!(after));
        }
        json
    }

    /// As people read it, likewise.
    pub fn text(&self, after: Option<i64>) -> String {
        let text = &self.text;
        match (self.at, after) {
            (Some(_), _) => text.clone(),
            (None, Some(after)) => format!("~{}  {text}", calendar::show(after)),
            (None, None) => format!("{:21}  {text}", ""),
        }
    }

    fn untimed(site: String, text: String, json: serde_json::Value) -> Self {
        Self { site, at: None, text, json }
    }
}

/// The time that a record of topic `signals` tells and shows no line of: a tick's. What stands behind it was written later.
pub fn tick(value: &[u8]) -> Option<i64> {
    match SignalsRecord::decode(value) {
        Ok(SignalsRecord::Tick(tick)) => Some(tick.at.0),
        _ => None,
    }
}

/// A record of topic `signals`: a line for each signal of a batch, and one for what was refused or configured. Ticks are
/// not shown.
pub fn signals(value: &[u8]) -> Result<Vec<Line>, DecodeError> {
    match SignalsRecord::decode(value)? {
        SignalsRecord::Batch(batch) => batch_lines(&batch),
        SignalsRecord::Tick(_) | SignalsRecord::Seal(_) => Ok(Vec::new()),
        SignalsRecord::Refused(refused) => {
            let (site, reason, count) = (&refused.site, &refused.reason, refused.count);
            let text = format!("{site}  -- refused: {count} × {reason}");
            let json =
                json!({"record": "refused", "site": site, "spool": refused.spool, "reason": reason, "count": count});
            Ok(vec![Line::untimed(site.to_string(), text, json)])
        }
        SignalsRecord::SiteConfigured(configured) => {
            let (site, digest) = (&configured.site, configured.digest.to_string());
            let text = format!("{site}  -- configured: rules {digest:.12}");
            let json =
                json!({"record": "site_configured", "site": site, "tenant": configured.tenant, "digest": digest});
            Ok(vec![Line::untimed(site.to_string(), text, json)])
        }
        SignalsRecord::SiteClosed(closed) => {
            let text = format!("{}  -- closed", closed.site);
            let json = json!({"record": "site_closed", "site": closed.site});
            Ok(vec![Line::untimed(closed.site.to_string(), text, json)])
        }
        SignalsRecord::KeyRevoked(revoked) => {
            let (site, key) = (&revoked.site, &revoked.key);
            let stolen = if revoked.stolen { " as stolen" } else { "" };
            let text = format!("{site}  -- key {key} revoked{stolen}");
            let json = json!({"record": "key_revoked", "site": site, "key": key, "stolen": revoked.stolen});
            Ok(vec![Line::untimed(site.to_string(), text, json)])
        }
    }
}

/// A record that cannot be read. It has no time of its own, and stands behind what came before it.
pub fn unreadable(topic: Topic, part: PartitionId, offset: u64, error: &dyn std::fmt::Display) -> Line {
    let topic = topic.name();
    let text = format!("-- {topic} partition {part} offset {offset} cannot be read: {error}");
    let PartitionId { generation, partition } = part;
    let json = json!({
        "record": "unreadable", "topic": topic, "generation": generation, "partition": partition, "offset": offset,
        "error": error.to_string(),
    });
    Line::untimed(String::new(), text, json)
}

fn batch_lines(batch: &Batch<'_>) -> Result<Vec<Line>, DecodeError> {
    let head = &batch.head;
    let id = BatchId { spool: head.spool, seq: head.seq }.to_string();
    let mut lines = Vec::new();
    for signal in batch.signals() {
        let signal = signal?;
        let mut json = json::signal(&signal);
        json.insert("site".to_owned(), json!(head.site));
        json.insert("batch".to_owned(), json!(id));
        json.insert("received_at".to_owned(), json!(head.received_at));
        let text = signal_text(&head.site, &signal);
        lines.push(Line { site: head.site.to_string(), at: Some(head.received_at), text, json: json.into() });
    }
    Ok(lines)
}

fn signal_text(site: &logystera_schemas::ids::SiteId, signal: &Signal<'_>) -> String {
    let mut text = format!("{}  {site}  {}", calendar::show(signal.at), signal.kind.name());
    for (place, field) in signal.def().fields.iter().enumerate() {
        if signal.fields[place] != Value::Absent {
            // Writing to a string cannot fail.
            let _ = write!(text, "  {}=", field.name);
            let _ = show_value(signal.kind, place, &signal.fields[place], &mut text);
        }
    }
    text
}

/// A record of topic `detections`: a detection is a line, the rest is the planner's.
pub fn detections(value: &[u8]) -> Result<Vec<Line>, DecodeError> {
    Ok(match DetectionsRecord::decode(value)? {
        DetectionsRecord::Detection(detection) => vec![detection_line(&detection)],
        _ => Vec::new(),
    })
}

fn detection_line(detection: &Detection) -> Line {
    let at = detection.last_evaluated_at;
    Line {
        site: detection.site.to_string(),
        at: Some(at),
        text: detection_text(detection),
        json: json::detection(detection),
    }
}

/// A detection in one line.
pub fn detection_text(detection: &Detection) -> String {
    let state = match detection.state {
        DetectionState::Firing => "FIRING",
        DetectionState::Resolved => "resolved",
        DetectionState::Suppressed => "suppressed",
    };
    let group: Vec<String> = detection.group.iter().map(|l| format!("{}={}", l.field, l.value)).collect();
    let group = if group.is_empty() { String::new() } else { format!(" {}", group.join(" ")) };
    let reason = if detection.reason.as_str() == detection.state.as_str() {
        String::new()
    } else {
        format!(" ({})", detection.reason.as_str().replace('_', " "))
    };
    format!(
        "{}  {}  {state}{reason}  {}  {}{group}: {}",
        calendar::show(detection.last_evaluated_at),
        detection.site,
        detection.severity,
        detection.rule,
        detection.message
    )
}

/// A record of topic `attempts`.
pub fn attempts(value: &[u8]) -> Result<Vec<Line>, DecodeError> {
    let attempt: Attempt = schema::decode(value)?;
    let channel = if attempt.channel.is_empty() { "-" } else { &attempt.channel };
    let mut text = format!("{}  {}  {}", calendar::show(attempt.at.0), attempt.site, attempt.rule);
    // Writing to a string cannot fail.
    let _ = write!(text, " #{}  {channel}  attempt {}: {}", attempt.seq, attempt.attempt, attempt.state);
    if attempt.reason != attempt.state.as_str() {
        let _ = write!(text, " ({})", attempt.reason);
    }
    if let Some(next) = attempt.next_attempt_at {
        let _ = write!(text, ", again at {}", calendar::show(next.0));
    }
    if let Some(disabled) = &attempt.disabled {
        let _ = write!(text, "; no alert, but the news that {disabled} is switched off");
    }
    Ok(vec![Line { site: attempt.site.to_string(), at: Some(attempt.at.0), text, json: json!(attempt) }])
}

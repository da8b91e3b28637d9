//! Signals and detections as JSON, with the types that the catalogue has for their values.

use serde_json::{Map, json};

use crate::batch::{Signal, Value};
use crate::catalogue::{FieldKind, json_of};
use crate::detection::{Detection, Label};

/// A signal as its sender wrote it.
pub fn signal(signal: &Signal<'_>) -> Map<String, serde_json::Value> {
    let mut json = Map::new();
    json.insert("type".to_owned(), json!(signal.kind.name()));
    json.insert("at".to_owned(), json!(signal.at));
    for (field, value) in signal.def().fields.iter().zip(&signal.fields) {
        let (FieldKind::Enum(symbols) | FieldKind::EnumList(symbols)) = &field.kind else {
            match value {
                Value::Absent | Value::Enum(_) | Value::List(_) => {}
                Value::Int(number) => drop(json.insert(field.name.clone(), json!(number))),
                Value::Bool(truth) => drop(json.insert(field.name.clone(), json!(truth))),
                Value::Ident(text) => drop(json.insert(field.name.clone(), json!(text))),
                Value::Hash(hash) => {
                    let hex: String = hash.iter().flat_map(|b| [b >> 4, b & 15]).map(hex_digit).collect();
                    json.insert(field.name.clone(), json!(hex));
                }
            }
            continue;
        };
        match value {
            Value::Enum(place) => drop(json.insert(field.name.clone(), json!(symbols.get(usize::from(*place))))),
            Value::List(bits) => {
                let chosen: Vec<_> =
                    symbols.iter().enumerate().filter(|(i, _)| bits & 1 << i != 0).map(|(_, s)| s).collect();
                json.insert(field.name.clone(), json!(chosen));
            }
            _ => {}
        }
    }
    json
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

/// A detection as JSON: values of its group and its evidence have the types that they have in signals, as in an alert.
pub fn detection(detection: &Detection) -> serde_json::Value {
    let typed = |labels: &[Label]| -> Map<String, serde_json::Value> {
        labels.iter().map(|label| (label.field.clone(), json_of(&label.field, &label.value))).collect()
    };
    let evidence = detection.evidence.iter().map(|evidence| {
        let mut fields = Map::from_iter([("at".to_owned(), json!(evidence.at))]);
        fields.extend(typed(&evidence.fields));
        fields
    });
    let mut json = json!(detection);
    if let Some(fields) = json.as_object_mut() {
        fields.insert("group".to_owned(), typed(&detection.group).into());
        fields.insert("evidence".to_owned(), evidence.collect());
    }
    json
}

#[cfg(test)]
mod tests {
    use crate::detection::{DetectionReason, DetectionState, Evidence, Severity};
    use crate::ids::{EpisodeId, Sha256Digest};

    use super::*;

    #[test]
    fn a_detection_is_json_with_the_types_of_signals() {
        let label = |(field, value): &(&str, &str)| Label { field: (*field).to_owned(), value: (*value).to_owned() };
        let fields = [
            ("status", "404"),
            ("privileged", "true"),
            ("outcome", "failed"),
            ("heuristics", "core_file,php_in_uploads"),
        ];
        let detection = Detection {
            id: EpisodeId([1; 16]),
            tenant: "t".parse().unwrap(),
            site: "shop".parse().unwrap(),
            encryption_key: None,
            rule: "probing".parse().unwrap(),
            revision: "0123456789ab".to_owned(),
            title: "Probing".to_owned(),
            severity: Severity::Info,
            subsystem: "http".to_owned(),
            state: DetectionState::Firing,
            reason: DetectionReason::Firing,
            group: vec![label(&("status", "404")), label(&("component", ""))],
            count: 5,
            held: 0,
            started_at: 1,
            last_evaluated_at: 2,
            evidence: vec![Evidence { at: 3, fields: fields.iter().map(label).collect() }],
            message: "5 on Shop".to_owned(),
            url: "/1".to_owned(),
            seq: 1,
            chain: Sha256Digest([0; 32]),
            bundle: None,
            once: false,
        };
        let json = super::detection(&detection);
        assert_eq!(json["group"], json!({"status": 404, "component": null}));
        let heuristics = ["core_file", "php_in_uploads"];
        let evidence =
            json!({"at": 3, "status": 404, "privileged": true, "outcome": "failed", "heuristics": heuristics});
        assert_eq!(json["evidence"], json!([evidence]));
        assert_eq!((&json["site"], &json["count"], &json["state"]), (&json!("shop"), &json!(5), &json!("firing")));
    }
}

//! A delivery of an alert as it might be, to show what a kind would be sent.

use std::sync::Arc;

use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Evidence, Label, Severity};
use logystera_schemas::ids::{DeliveryId, EpisodeId, IdError, Sha256Digest};

use crate::core::{About, Due, Merged};

/// When the sample's last evaluation was: 2026-01-01T00:00:00Z.
const AT_MS: i64 = 1_767_225_600_000;

/// The first attempt at a delivery of a sample alert.
pub fn sample() -> Result<Due, IdError> {
    let label = |field: &str, value: &str| Label { field: field.to_owned(), value: value.to_owned() };
    let signal = |minutes: i64| Evidence {
        at: AT_MS - minutes * 60_000,
        fields: vec![label("outcome", "failed"), label("error_class", "auth"), label("recipients", "1")],
    };
    let detection = Detection {
        id: EpisodeId([0x5a; 16]),
        tenant: "acme".parse()?,
        site: "acme-shop".parse()?,
        encryption_key: None,
        rule: "mail-delivery-failing".parse()?,
        revision: "0123456789ab".to_owned(),
        title: "Mail delivery is failing".to_owned(),
        severity: Severity::Critical,
        subsystem: "mail".to_owned(),
        state: DetectionState::Firing,
        reason: DetectionReason::Firing,
        group: vec![label("transport", "smtp")],
        count: 5,
        held: 0,
        started_at: AT_MS - 540_000,
        last_evaluated_at: AT_MS,
        evidence: [9, 7, 4, 2, 0].map(signal).into(),
        message: "5 mails failed on Acme shop within 10m".to_owned(),
        url: format!("/alerts/{}", EpisodeId([0x5a; 16])),
        seq: 42,
        chain: Sha256Digest([0x5a; 32]),
    };
    Ok(Due {
        tenant: detection.tenant.clone(),
        delivery: DeliveryId([0x5a; 16]),
        attempt: 1,
        channel: "ch_0123456789".parse()?,
        about: About::Detection,
        detection: Arc::new(detection),
        merged: Merged::default(),
    })
}

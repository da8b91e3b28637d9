//! Deliveries to render and send.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test helper: whoever fails here fails a test")]

pub(crate) mod messages;

use std::sync::Arc;

use logystera_schemas::alert::{About, Due, Merged};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Evidence, Label, Severity};
use logystera_schemas::ids::{DeliveryId, EpisodeId, Sha256Digest};

/// Wall time at which scripts begin.
pub(crate) const START_MS: i64 = 1_767_225_600_000;

/// A detection of `tenant`'s site `<tenant>-site`, of a group and an episode of its own.
pub(crate) fn detection(tenant: &str, seq: u64, state: DetectionState) -> Detection {
    Detection {
        id: EpisodeId([seq as u8; 16]),
        tenant: tenant.parse().unwrap(),
        site: format!("{tenant}-site").parse().unwrap(),
        encryption_key: None,
        rule: "mail-delivery-failing".parse().unwrap(),
        revision: "0123456789ab".to_owned(),
        title: "Mail delivery is failing".to_owned(),
        severity: Severity::Critical,
        subsystem: "mail".to_owned(),
        state,
        reason: DetectionReason::Firing,
        group: vec![Label {
            field: "transport".to_owned(),
            value: if seq == 1 { "smtp".to_owned() } else { format!("smtp-{seq}") },
        }],
        count: 5,
        held: 0,
        started_at: START_MS - 60_000,
        last_evaluated_at: START_MS,
        evidence: vec![Evidence {
            at: START_MS - 1_000,
            fields: vec![Label { field: "outcome".to_owned(), value: "failed".to_owned() }],
        }],
        message: "5 mails failed on Shop within 10m".to_owned(),
        url: format!("/alerts/{seq}"),
        seq,
        chain: Sha256Digest::of(format!("{tenant} {seq}").as_bytes()),
        bundle: None,
        once: false,
    }
}

/// The first attempt at telling a channel of a detection.
pub(crate) fn due_of_detection(detection: Detection) -> Due {
    let name = [detection.chain.0.as_slice(), b"\na"].concat();
    let delivery = DeliveryId(Sha256Digest::of(&name).0[..16].try_into().unwrap());
    let (tenant, channel) = (detection.tenant.clone(), "a".parse().unwrap());
    let (about, merged) = (About::Detection, Merged::default());
    Due {
        tenant,
        delivery,
        attempt: 1,
        channel,
        about,
        detection: Arc::new(detection),
        merged,
        fallback: None,
        frozen: None,
    }
}

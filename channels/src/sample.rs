//! A delivery as it might be, to show what a kind would be sent.

use std::sync::Arc;

use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Evidence, Label, Severity};
use logystera_schemas::ids::{DeliveryId, EpisodeId, IdError, Sha256Digest};
use logystera_schemas::time::WallMs;

use logystera_schemas::alert::{About, Digest, DigestCount, Due, Frozen, Merged, NamedSite, Told};
use logystera_schemas::labels::SiteLabel;

/// When the sample's last evaluation was: 2026-01-01T00:00:00Z.
const AT_MS: i64 = 1_767_225_600_000;

/// What a sample tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// One alert.
    Alert,
    /// Several of a rule.
    Bundle,
    /// What was more than the channel takes a minute.
    Digest,
}

/// The first attempt at a delivery of a sample.
pub fn due(sample: Sample) -> Result<Due, IdError> {
    let detection = Arc::new(detection()?);
    let alerts = (1..=3_u8).map(|n| {
        let mut one = detection.as_ref().clone();
        one.id = EpisodeId([0x59 + n; 16]);
        one.group[0].value = format!("smtp-{n}");
        one.url = format!("/alerts/{}", one.id);
        Arc::new(one)
    });
    let about = match sample {
        Sample::Alert => About::Detection,
        Sample::Bundle => {
            About::Bundle(alerts.map(|detection| Told { detection, merged: Merged::default() }).collect())
        }
        Sample::Digest => About::Digest(digest(&detection)?, alerts.collect()),
    };
    Ok(Due {
        tenant: detection.tenant.clone(),
        delivery: DeliveryId([0x5a; 16]),
        attempt: 1,
        channel: "ch_0123456789".parse()?,
        about,
        detection,
        merged: Merged::default(),
        fallback: None,
        frozen: Some(Arc::new(frozen()?)),
    })
}

/// The site as its owner knows it.
fn frozen() -> Result<Frozen, IdError> {
    let label = |key: &str, value: &str| SiteLabel { key: key.to_owned(), value: value.to_owned() };
    let site = NamedSite {
        site: "acme-shop".parse()?,
        name: "Acme shop".to_owned(),
        url: Some("https://shop.acme.example".to_owned()),
        labels: vec![label("env", "production"), label("team", "shop")],
    };
    Ok(Frozen { sites: vec![site], ..Frozen::default() })
}

fn digest(detection: &Detection) -> Result<Digest, IdError> {
    let Detection { rule, title, severity, .. } = detection.clone();
    let mail = DigestCount { rule, title, severity, is_over: false, alerts: 17 };
    let over = DigestCount { is_over: true, alerts: 4, ..mail.clone() };
    let sign_in = DigestCount {
        rule: "login-brute-force".parse()?,
        title: "Somebody guesses passwords".to_owned(),
        severity: Severity::Warning,
        is_over: false,
        alerts: 230,
    };
    Ok(Digest { since: WallMs(AT_MS - 30_000), counts: vec![mail, sign_in, over], rest: 12 })
}

fn detection() -> Result<Detection, IdError> {
    let label = |field: &str, value: &str| Label { field: field.to_owned(), value: value.to_owned() };
    let signal = |minutes: i64| Evidence {
        at: AT_MS - minutes * 60_000,
        fields: vec![label("outcome", "failed"), label("error_class", "auth"), label("recipients", "1")],
    };
    Ok(Detection {
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
        bundle: None,
        once: false,
    })
}

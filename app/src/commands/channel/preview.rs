//! `channel preview`: what a kind would be sent for a sample alert. It needs no installation.

use std::sync::Arc;

use clap::ValueEnum;
use logystera_alerter::channels::email::content;
use logystera_alerter::channels::words::Words;
use logystera_alerter::channels::{Advice, message, slack, teams};
use logystera_alerter::core::{About, Digest, DigestCount, Due, Merged, Told};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Evidence, Label, Severity};
use logystera_schemas::ids::{DeliveryId, EpisodeId, IdError, Sha256Digest};
use logystera_schemas::time::WallMs;
use serde_json::Value;

use crate::cli::{CliError, Out};

/// When the sample's last evaluation was: 2026-01-01T00:00:00Z.
const AT_MS: i64 = 1_767_225_600_000;
const URL: &str = "https://logystera.example";

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Preview {
    /// The JSON of a webhook
    Webhook,
    /// The JSON that Slack gets
    Slack,
    /// The JSON that Microsoft Teams gets
    Teams,
    /// The text of a mail; with --html its other half
    Email,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    /// One alert.
    Alert,
    /// Several of a rule.
    Bundle,
    /// What was more than the channel takes a minute.
    Digest,
}

impl Sample {
    pub(super) const fn of(bundle: bool, digest: bool) -> Self {
        match (bundle, digest) {
            (_, true) => Self::Digest,
            (true, false) => Self::Bundle,
            (false, false) => Self::Alert,
        }
    }
}

/// Prints it.
pub(super) fn print(kind: Preview, sample: Sample, html: bool) -> Result<(), CliError> {
    if html && kind != Preview::Email {
        return Err(CliError::wrong_use("--html is for email: the others have one form"));
    }
    let mut out = Out::new();
    out.line(shown(kind, sample, html)?.trim_end())?;
    out.flush()?;
    Ok(())
}

fn shown(kind: Preview, sample: Sample, html: bool) -> Result<String, CliError> {
    let due = due(sample).map_err(CliError::not_available)?;
    let advice = Advice {
        why: Some("Orders, contact forms and password resets do not reach anybody.".to_owned()),
        what_to_do: Some("Check the password of the mail service.\nThen send a test mail from the site.".to_owned()),
    };
    let words = Words::of(&due, URL, Some(&advice));
    let json = |value: &Value| serde_json::to_string_pretty(value).map_err(CliError::not_available);
    match kind {
        Preview::Webhook => {
            let body = message::body(&due, URL, Some(&advice));
            json(&serde_json::from_slice(&body).map_err(CliError::not_available)?)
        }
        Preview::Slack => json(&slack::payload(&words)),
        Preview::Teams => json(&teams::payload(&words)),
        Preview::Email if html => Ok(content::html(&words)),
        Preview::Email => Ok(content::text(&words)),
    }
}

fn due(sample: Sample) -> Result<Due, IdError> {
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
    })
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_shows_the_sample() {
        for kind in Preview::value_variants() {
            for html in [false, true].into_iter().take(1 + usize::from(*kind == Preview::Email)) {
                let shown = shown(*kind, Sample::Alert, html).unwrap();
                for part in [
                    "Mail delivery is failing",
                    "5 mails failed on Acme shop",
                    "acme-shop",
                    "/alerts/5a5a",
                    "Check the password",
                ] {
                    // Teams' facts are markdown, in which a dash is escaped.
                    assert!(shown.replace('\\', "").contains(part), "{kind:?}: {part}\n{shown}");
                }
                assert_eq!(serde_json::from_str::<Value>(&shown).is_ok(), *kind != Preview::Email, "{kind:?}");
            }
        }
        assert!(print(Preview::Slack, Sample::Alert, true).is_err());
    }

    #[test]
    fn each_kind_shows_several_alerts() {
        for kind in Preview::value_variants() {
            for html in [false, true].into_iter().take(1 + usize::from(*kind == Preview::Email)) {
                for (sample, parts) in [
                    (Sample::Bundle, ["Mail delivery is failing", "5 mails failed on Acme shop", "smtp-1", "smtp-3"]),
                    (Sample::Digest, ["Mail delivery is failing", "Somebody guesses passwords", "230", "smtp-2"]),
                ] {
                    let shown = shown(*kind, sample, html).unwrap().replace('\\', "");
                    for part in parts {
                        assert!(shown.contains(part), "{kind:?} {sample:?}: {part}\n{shown}");
                    }
                }
            }
        }
    }
}

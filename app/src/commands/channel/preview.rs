//! `channel preview`: what a kind would be sent for a sample alert. It needs no installation.

use std::sync::Arc;

use clap::ValueEnum;
use logystera_alerter::channels::email::content;
use logystera_alerter::channels::words::Words;
use logystera_alerter::channels::{Advice, message, slack, teams};
use logystera_alerter::core::{About, Due, Merged};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Evidence, Label, Severity};
use logystera_schemas::ids::{DeliveryId, EpisodeId, Sha256Digest};
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

/// Prints it.
pub(super) fn print(kind: Preview, html: bool) -> Result<(), CliError> {
    if html && kind != Preview::Email {
        return Err(CliError::wrong_use("--html is for email: the others have one form"));
    }
    let mut out = Out::new();
    out.line(shown(kind, html)?.trim_end())?;
    out.flush()?;
    Ok(())
}

fn shown(kind: Preview, html: bool) -> Result<String, CliError> {
    let due = sample().map_err(CliError::not_available)?;
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

fn sample() -> Result<Due, logystera_schemas::ids::IdError> {
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
        bundle: None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_shows_the_sample() {
        for kind in Preview::value_variants() {
            for html in [false, true].into_iter().take(1 + usize::from(*kind == Preview::Email)) {
                let shown = shown(*kind, html).unwrap();
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
        assert!(print(Preview::Slack, true).is_err());
    }
}

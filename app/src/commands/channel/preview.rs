//! `channel preview`: what a kind would be sent for a sample alert. It needs no installation.

use clap::ValueEnum;
use logystera_channels::email::content;
use logystera_channels::sample::{Sample, due};
use logystera_channels::words::Words;
use logystera_channels::{Advice, message, slack, teams};
use serde_json::Value;

use crate::cli::{CliError, Out};

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
pub(super) const fn sample_of(bundle: bool, digest: bool) -> Sample {
    match (bundle, digest) {
        (_, true) => Sample::Digest,
        (true, false) => Sample::Bundle,
        (false, false) => Sample::Alert,
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

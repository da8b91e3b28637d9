//! All kinds of channels. A new one has a file beside this, and a line in each function here.

use logystera_schemas::control::ChannelKind;
use logystera_schemas::delivery::AttemptOutcome;
use logystera_schemas::ids::{ChannelId, DeliveryId};
use sha2::{Digest, Sha256};

use crate::email::server::MailConfig;
use crate::email::{self, Email};
use crate::http::{Http, HttpConfig, HttpError};
use crate::posting::Posting;
use crate::slack;
use crate::teams;
use crate::webhook::{self, Webhook};
use crate::{Answer, Messenger, Target};

/// A messenger for each kind. Its clones share connections.
#[derive(Clone)]
pub struct Kinds {
    webhook: Webhook,
    slack: Posting,
    teams: Posting,
    email: Email,
}

impl Kinds {
    /// All kinds. `mail`: what mail is sent with, if it is.
    pub fn new(http: HttpConfig, mail: Option<MailConfig>) -> Result<Self, HttpError> {
        let http = Http::new(http)?;
        Ok(Self {
            webhook: Webhook::new(http.clone()),
            slack: Posting {
                http: http.clone(),
                kind: ChannelKind::Slack,
                payload: slack::payload,
                classify: slack::classify,
            },
            teams: Posting { http, kind: ChannelKind::Teams, payload: teams::payload, classify: teams::classify },
            email: Email::new(mail),
        })
    }

    /// The messenger of a kind.
    pub fn of(&self, kind: ChannelKind) -> &dyn Messenger {
        match kind {
            ChannelKind::Webhook => &self.webhook,
            ChannelKind::Slack => &self.slack,
            ChannelKind::Teams => &self.teams,
            ChannelKind::Email => &self.email,
        }
    }

    /// Sends a test message, as any other is sent, and gives what came of it.
    pub async fn test(&self, target: &Target, channel: &ChannelId, now_ms: i64) -> Answer {
        let mut id = [0; 16];
        id.copy_from_slice(&Sha256::digest(format!("channel.test\n{channel}\n{now_ms}").as_bytes())[..16]);
        let (id, messenger) = (DeliveryId(id), self.of(target.kind()));
        messenger.send(target, id, messenger.render_test(channel, target, id, now_ms), now_ms).await
    }
}

/// Reads a channel's settings as they are stored, in JSON. None: they are not settings of this kind.
pub fn parse(kind: ChannelKind, settings: &[u8]) -> Option<Target> {
    match kind {
        ChannelKind::Webhook => webhook::parse(settings),
        ChannelKind::Slack => slack::parse(settings),
        ChannelKind::Teams => teams::parse(settings),
        ChannelKind::Email => email::parse(settings),
    }
}

/// What a row's reason says of its attempt, as far as it tells that its channel is gone or asks for a pause. None: anything
/// else.
pub fn ended_as(reason: &str) -> Option<AttemptOutcome> {
    let (gone, throttled) = (Some(AttemptOutcome::Gone), Some(AttemptOutcome::Throttled));
    let (kind, code) = reason.split_once('_')?;
    match (kind, code) {
        ("status" | "slack" | "teams", "410") => gone,
        ("status" | "slack" | "teams", "429") | ("status", "503") => throttled,
        ("slack", code) if slack::GONE.contains(&code) => gone,
        ("slack", code) if slack::THROTTLED.contains(&code) => throttled,
        ("teams", code) if teams::GONE.iter().any(|gone| gone.eq_ignore_ascii_case(code)) => gone,
        ("smtp", code) if code.starts_with('5') && NO_MAILBOX.iter().any(|end| code.ends_with(end)) => gone,
        ("smtp", code) if ["421", "450", "451"].iter().any(|begin| code.starts_with(begin)) => throttled,
        _ => None,
    }
}

/// How codes of mail servers end that say that there is no such mailbox (RFC 3463).
const NO_MAILBOX: [&str; 4] = ["_5.1.1", "_5.1.6", "_5.1.10", "_5.2.1"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_tells_that_a_channel_is_gone_or_asks_for_a_pause() {
        use AttemptOutcome::{Gone, Throttled};
        for (reason, expected) in [
            ("status_410", Some(Gone)),
            ("status_404", None),
            ("status_503", Some(Throttled)),
            ("slack_channel_is_archived", Some(Gone)),
            ("slack_rate_limited", Some(Throttled)),
            ("slack_invalid_blocks", None),
            ("teams_workflownotfound", Some(Gone)),
            ("teams_413", None),
            ("smtp_550_5.1.1", Some(Gone)),
            ("smtp_550_5.7.1", None),
            ("smtp_450_4.1.1", Some(Throttled)),
            ("smtp_452_4.2.2", None),
            ("timeout", None),
            ("unreachable_dns", None),
        ] {
            assert_eq!(ended_as(reason), expected, "{reason}");
        }
    }

    #[test]
    fn settings_are_read_as_they_are_stored() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let webhook = format!(r#"{{"url":"https://example.com/hook","secret":"{secret}"}}"#);
        let Some(Target::Webhook { url, secret: read }) = parse(ChannelKind::Webhook, webhook.as_bytes()) else {
            unreachable!("it is a webhook's")
        };
        assert_eq!((url.as_str(), &**read.expose()), ("https://example.com/hook", secret));
        let url = r#"{"url":"https://hooks.example.com/services/T/B/x"}"#;
        assert_eq!(
            parse(ChannelKind::Slack, url.as_bytes()).unwrap().url(),
            Some("https://hooks.example.com/services/T/B/x")
        );
        for (kind, wrong) in [
            (ChannelKind::Webhook, ""),
            (ChannelKind::Webhook, "{}"),
            (ChannelKind::Webhook, r#"{"url":"https://example.com/hook"}"#),
            (ChannelKind::Webhook, r#"{"url":"u","secret":"whsec_short"}"#),
            (ChannelKind::Slack, "{}"),
            (ChannelKind::Teams, "[]"),
            (ChannelKind::Email, "{}"),
            (ChannelKind::Email, r#"{"addresses":[]}"#),
            (ChannelKind::Email, r#"{"addresses":["ops@example.com","no"]}"#),
        ] {
            assert!(parse(kind, wrong.as_bytes()).is_none(), "{kind} {wrong}");
        }
    }
}

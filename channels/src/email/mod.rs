//! Email: one mail a delivery, to all addresses of the channel, through the installation's server.
//!
//! One mail to all and not one to each: an attempt has one outcome, and a retry must not tell those again who have it.

pub mod content;
pub mod server;

mod lines;
mod mailbox;
mod message;
mod smtp;

use std::sync::Arc;

use lettre::Address;
use logystera_schemas::delivery::AttemptOutcome;
use logystera_schemas::ids::{ChannelId, DeliveryId};
use logystera_schemas::limits::MAIL_RECIPIENTS_MAX;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::words::Words;
use super::{Advice, Answer, Attempting, Messenger, Refusal, Settings, Target};
use logystera_schemas::alert::{About, Due};
use mailbox::address;
use message::Head;
use server::MailConfig;
use smtp::Relay;

/// Sends mail. Its clones share the settings.
#[derive(Clone)]
pub struct Email {
    relay: Option<Arc<Relay>>,
}

impl Email {
    /// With these settings. None: this installation sends no mail, and says so.
    pub fn new(config: Option<MailConfig>) -> Self {
        Self { relay: config.map(|config| Arc::new(Relay::new(config))) }
    }

    fn compose(&self, words: &Words, target: &Target, id: DeliveryId, due: Option<&Due>) -> Vec<u8> {
        let (Some(relay), Target::Email { addresses }) = (&self.relay, target) else { return Vec::new() };
        let episode = due.filter(|due| due.about == About::Detection).map(|due| due.detection.id);
        let list = due.map_or("test", |due| due.tenant.as_str());
        message::compose(words, &Head { from: &relay.config.from, to: addresses, id, episode, list })
    }
}

impl Messenger for Email {
    fn settings(&self, given: &[String], _: &[u8; 32]) -> Result<Settings, Refusal> {
        if self.relay.is_none() {
            return Err(Refusal::NoMailServer);
        }
        let given = mailbox::distinct(given);
        if !(1..=MAIL_RECIPIENTS_MAX).contains(&given.len()) {
            return Err(Refusal::Recipients(given.len()));
        }
        if let Some(wrong) = given.iter().find(|text| address(text).is_none()) {
            return Err(Refusal::MailAddress(wrong.clone()));
        }
        let stored = Zeroizing::new(json!({"addresses": given}).to_string());
        Ok(Settings { stored, addresses: given, secret: None })
    }

    fn render(&self, due: &Due, target: &Target, public_url: &str, advice: Option<&Advice>) -> Vec<u8> {
        self.compose(&Words::of(due, public_url, advice), target, due.delivery, Some(due))
    }

    fn render_test(&self, channel: &ChannelId, target: &Target, id: DeliveryId, now_ms: i64) -> Vec<u8> {
        self.compose(&Words::of_test(channel, now_ms), target, id, None)
    }

    fn send<'a>(&'a self, target: &'a Target, id: DeliveryId, message: Vec<u8>, now_ms: i64) -> Attempting<'a> {
        Box::pin(async move {
            let Target::Email { addresses } = target else { return Answer::misdirected() };
            let Some(relay) = &self.relay else {
                let failed = Answer::none(AttemptOutcome::Failed);
                return failed.meaning(AttemptOutcome::Failed, "smtp", "not_configured");
            };
            let Some(envelope) = message::envelope(&relay.config.from, addresses) else { return Answer::misdirected() };
            let mail = [message::date_line(now_ms).as_bytes(), &message].concat();
            relay.hand_over(&envelope, &mail, id).await
        })
    }
}

/// Reads the settings as they are stored: `{"addresses":[…]}`. None: they are no such settings.
pub(super) fn parse(settings: &[u8]) -> Option<Target> {
    #[derive(Deserialize)]
    struct Stored {
        addresses: Vec<String>,
    }
    let stored: Stored = serde_json::from_slice(settings).ok()?;
    let addresses: Vec<Address> = stored.addresses.iter().map(|text| address(text)).collect::<Option<_>>()?;
    (!addresses.is_empty()).then_some(Target::Email { addresses })
}

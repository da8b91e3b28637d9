//! What posts to a service whose people read it, such as Slack: kinds that differ by what they are sent and what their
//! answers mean.

use logystera_schemas::control::ChannelKind;
use logystera_schemas::ids::{ChannelId, DeliveryId};
use serde_json::Value;

use crate::http::{Http, Reply};
use crate::words::Words;
use crate::{Advice, Answer, Attempting, Messenger, Refusal, Settings, Target, url_settings};
use logystera_schemas::alert::Due;

/// The messenger of such a kind. Its clones share connections.
#[derive(Clone)]
pub(super) struct Posting {
    pub(super) http: Http,
    pub(super) kind: ChannelKind,
    /// The message as the service takes it.
    pub(super) payload: fn(&Words) -> Value,
    /// What an answer of it means.
    pub(super) classify: fn(&Reply) -> Answer,
}

impl Posting {
    fn message(&self, words: &Words) -> Vec<u8> {
        (self.payload)(words).to_string().into_bytes()
    }
}

impl Messenger for Posting {
    fn settings(&self, given: &[String], _: &[u8; 32]) -> Result<Settings, Refusal> {
        url_settings(given, self.http.policy())
    }

    fn render(&self, due: &Due, _: &Target, public_url: &str, advice: Option<&Advice>) -> Vec<u8> {
        self.message(&Words::of(due, public_url, advice))
    }

    fn render_test(&self, channel: &ChannelId, _: &Target, _: DeliveryId, now_ms: i64) -> Vec<u8> {
        self.message(&Words::of_test(channel, now_ms))
    }

    fn send<'a>(&'a self, target: &'a Target, id: DeliveryId, message: Vec<u8>, now_ms: i64) -> Attempting<'a> {
        Box::pin(async move {
            let Some(url) = target.url().filter(|_| target.kind() == self.kind) else { return Answer::misdirected() };
            match self.http.post_message(url, id, message, now_ms).await {
                Ok(reply) => (self.classify)(&reply),
                Err(answer) => answer,
            }
        })
    }
}

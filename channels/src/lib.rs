//! How alerts leave: what every kind of channel does ([`Messenger`]), one file for each kind, and what they share.

pub mod kinds;

pub mod email;
mod posting;
pub mod slack;
pub mod teams;
pub mod webhook;

pub mod message;
mod notes;
pub mod words;

mod cut;

pub mod address;
pub mod http;
pub mod sample;
pub mod secret;

use std::future::Future;
use std::pin::Pin;

use lettre::Address;
use logystera_schemas::control::ChannelKind;
use logystera_schemas::delivery::{AttemptCause, AttemptOutcome};
use logystera_schemas::ids::{ChannelId, DeliveryId, RuleName, SiteId, TenantId};
use logystera_schemas::limits::{ATTEMPT_DETAIL_CHARS_MAX, MAIL_RECIPIENTS_MAX};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use address::{AddressError, AddressPolicy, vet_url};
use logystera_schemas::alert::{Due, NamedSite};
use secret::Secret;

/// Where a channel's messages go, as its kind needs it. It has no `Debug`: addresses often carry tokens, and the secret
/// is one.
#[derive(Clone)]
pub enum Target {
    /// A receiver of signed JSON.
    Webhook {
        /// Its address.
        url: String,
        /// What its messages are signed with.
        secret: Secret,
    },
    /// A channel of Slack.
    Slack {
        /// Address of its incoming webhook.
        url: String,
    },
    /// Mail.
    Email {
        /// Whom it goes to.
        addresses: Vec<Address>,
    },
    /// A workflow of Microsoft Teams.
    Teams {
        /// Its address.
        url: String,
    },
}

impl Target {
    /// What it speaks.
    pub const fn kind(&self) -> ChannelKind {
        match self {
            Self::Webhook { .. } => ChannelKind::Webhook,
            Self::Slack { .. } => ChannelKind::Slack,
            Self::Teams { .. } => ChannelKind::Teams,
            Self::Email { .. } => ChannelKind::Email,
        }
    }

    /// The address that is called over HTTP, if it is one.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Webhook { url, .. } | Self::Slack { url } | Self::Teams { url } => Some(url),
            Self::Email { .. } => None,
        }
    }

    /// Where it leads, for people, without what may be secret.
    pub fn shown(&self) -> String {
        match self {
            Self::Webhook { url, .. } | Self::Slack { url } | Self::Teams { url } => address::shown(url),
            Self::Email { addresses } => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        }
    }
}

/// The settings of a new channel. They have no `Debug`, like the [`Target`] that they are read as.
pub struct Settings {
    /// As they are stored, sealed: JSON.
    pub stored: Zeroizing<String>,
    /// The addresses as they are kept.
    pub addresses: Vec<String>,
    /// What its receiver checks signatures with, if its kind signs.
    pub secret: Option<Zeroizing<String>>,
}

/// Why a channel cannot have the addresses that were given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It may not be called, or is no address.
    #[error("not a channel's address: {0}")]
    Address(AddressError),
    /// There are too many, or none.
    #[error("expected one address, and got {0}")]
    Count(usize),
    /// There are too many recipients, or none.
    #[error("expected 1 to {MAIL_RECIPIENTS_MAX} mail addresses, and got {0}")]
    Recipients(usize),
    /// One is no mail address.
    #[error("{0:?} is no mail address: expected one such as ops@example.com, in ASCII")]
    MailAddress(String),
    /// The installation has no mail server.
    #[error(
        "this installation sends no mail: name its server with --smtp smtp://USER@HOST:587, --smtp-password-file FILE and \
         --mail-from ADDRESS, at `logystera up` (or in the file of the roles)"
    )]
    NoMailServer,
}

/// What comes of an attempt, once it is known.
pub type Attempting<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// One kind of channel. [`kinds`] has the messenger of each kind.
pub trait Messenger: Send + Sync {
    /// Vets what was given for a new channel, and makes its settings. `random` is for a secret.
    fn settings(&self, given: &[String], random: &[u8; 32]) -> Result<Settings, Refusal>;

    /// The message of a delivery. Its bytes are a function of what goes in, so that a retry says the same. `public_url` is the
    /// deployment's address; `advice` what the rule says to a person.
    fn render(&self, due: &Due, target: &Target, public_url: &str, advice: Option<&Advice>) -> Vec<u8>;

    /// The message of a test.
    fn render_test(&self, channel: &ChannelId, target: &Target, id: DeliveryId, now_ms: i64) -> Vec<u8>;

    /// Makes one attempt, and says what its answer means. `id` is the idempotency key, `now_ms` the time now in
    /// milliseconds since the epoch. The target is vetted once more: what may be called can have changed since it was
    /// configured.
    fn send<'a>(&'a self, target: &'a Target, id: DeliveryId, message: Vec<u8>, now_ms: i64) -> Attempting<'a>;
}

/// Finds a channel's address and secret, and a site's name: what the log does not carry.
pub trait Channels: Send + Sync + 'static {
    /// Where the messages of the channel go. None: the tenant has no such channel.
    fn find(&self, tenant: &TenantId, channel: &ChannelId) -> Option<Target>;

    /// A site as its owner knows it. None: the tenant has no such site, or nothing is known but its id.
    fn site(&self, _tenant: &TenantId, _site: &SiteId) -> Option<NamedSite> {
        None
    }
}

/// What a rule says to the person who gets its alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// Why it matters.
    pub why: Option<String>,
    /// What to do about it.
    pub what_to_do: Option<String>,
}

/// Finds a rule's advice, which a detection does not carry.
pub trait Advisor: Send + Sync + 'static {
    /// The advice of this revision of a rule. None: no known configuration has that revision.
    fn find(&self, rule: &RuleName, revision: &str) -> Option<Advice>;
}

/// What was seen of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it means.
    pub outcome: AttemptOutcome,
    /// HTTP status, if there was an answer.
    pub status: Option<u32>,
    /// For how many seconds the channel asked to be left alone.
    pub retry_after_s: Option<u64>,
    /// Why it was unreachable, if that was seen.
    pub cause: Option<AttemptCause>,
    /// Code of what the receiver said, if its kind has such codes.
    pub detail: Option<String>,
}

impl Answer {
    /// An attempt without an answer.
    pub const fn none(outcome: AttemptOutcome) -> Self {
        Self { outcome, status: None, retry_after_s: None, cause: None, detail: None }
    }

    /// No connection, or one that broke.
    pub fn unreachable(cause: AttemptCause) -> Self {
        Self { cause: Some(cause), ..Self::none(AttemptOutcome::Failed) }
    }

    /// What was to be sent is of another kind than its target: the same as if the target were not known.
    fn misdirected() -> Self {
        Self::unreachable(AttemptCause::NoAddress)
    }

    /// The same, meaning this, with the code of what the receiver said: the kind's prefix and what it said, of which
    /// only letters, digits, dots and underscores are kept.
    #[must_use]
    fn meaning(self, outcome: AttemptOutcome, prefix: &str, said: &str) -> Self {
        let said =
            said.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '_' });
        let detail = prefix.chars().chain(['_']).chain(said).take(ATTEMPT_DETAIL_CHARS_MAX).collect();
        Self { outcome, detail: Some(detail), ..self }
    }
}

/// The one URL that was given.
fn one_url(given: &[String]) -> Result<&str, Refusal> {
    match given {
        [url] => Ok(url),
        given => Err(Refusal::Count(given.len())),
    }
}

/// The settings of a kind that has an address and nothing else.
fn url_settings(given: &[String], policy: AddressPolicy) -> Result<Settings, Refusal> {
    let url = String::from(vet_url(one_url(given)?, policy).map_err(Refusal::Address)?);
    Ok(Settings { stored: Zeroizing::new(json!({"url": url}).to_string()), addresses: vec![url], secret: None })
}

/// Reads the settings of such a kind.
fn parse_url(settings: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Stored {
        url: String,
    }
    serde_json::from_slice::<Stored>(settings).ok().map(|stored| stored.url)
}

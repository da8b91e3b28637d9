//! The alerter's channels, as the control service asks for them.

use std::sync::LazyLock;

use logystera_channels::address::AddressError;
use logystera_channels::email::server::MailConfig;
use logystera_channels::http::HttpConfig;
use logystera_channels::kinds::{self, Kinds};
use logystera_channels::{Refusal, Target};
use logystera_control::ControlError;
use logystera_control::adapters::{ChannelAdapter, Later, NewChannel, TestOutcome};
use logystera_control::deployment::Deployment;
use logystera_infra::envelope::open_channel_config;
use logystera_infra::secrets::{MasterKey, random_bytes};
use logystera_schemas::control::{Channel, ChannelKind};

use super::deployment::address_policy;
use crate::cli::CliError;

/// All kinds of channels, with what the installation allows. `mail`: what mail is sent with, if it is.
pub fn messengers(deployment: &Deployment, mail: Option<MailConfig>) -> Result<Kinds, CliError> {
    Kinds::new(HttpConfig::new(address_policy(deployment)), mail).map_err(CliError::not_available)
}

/// How calls of private addresses are allowed.
pub const WHO_ALLOWS_PRIVATE: &str = "`logystera up --allow-private-addresses` allows it, on a cluster \
    `allow-private-addresses = true` in its file";

/// Makes the messengers.
type Make = Box<dyn FnOnce() -> Result<Kinds, CliError> + Send>;

/// Vets and tests channels as the alerter will use them.
pub struct AlerterChannels {
    kinds: LazyLock<Result<Kinds, CliError>, Make>,
}

impl AlerterChannels {
    /// With these messengers.
    pub fn new(kinds: Kinds) -> Self {
        Self { kinds: LazyLock::new(Box::new(|| Ok(kinds))) }
    }

    /// For a command: the messengers are made when they are asked for. They read all certificates of the system, which takes
    /// longer than most changes.
    pub fn once_needed(deployment: &Deployment, mail: Option<MailConfig>) -> Self {
        let deployment = deployment.clone();
        Self { kinds: LazyLock::new(Box::new(move || messengers(&deployment, mail))) }
    }

    fn kinds(&self) -> Result<&Kinds, String> {
        self.kinds.as_ref().map_err(ToString::to_string)
    }
}

impl ChannelAdapter for AlerterChannels {
    fn settings(&self, kind: ChannelKind, addresses: &[String]) -> Result<NewChannel, String> {
        let made = self.kinds()?.of(kind).settings(addresses, &random_bytes()).map_err(|refusal| {
            let way_out = match refusal {
                Refusal::Address(
                    AddressError::NotHttps | AddressError::PrivateName(_) | AddressError::Forbidden { .. },
                ) => WHO_ALLOWS_PRIVATE,
                _ => "",
            };
            if way_out.is_empty() { refusal.to_string() } else { format!("{refusal}; {way_out}") }
        })?;
        Ok(NewChannel { settings: made.stored, addresses: made.addresses, secret: made.secret })
    }

    fn test<'a>(
        &'a self,
        channel: &'a Channel,
        settings: &'a [u8],
        at_ms: i64,
    ) -> Later<'a, Result<TestOutcome, ControlError>> {
        Box::pin(async move {
            let target = kinds::parse(channel.kind, settings)
                .ok_or_else(|| ControlError::unavailable("its settings are not of its kind"))?;
            let answer = self.kinds().map_err(ControlError::unavailable)?.test(&target, &channel.channel, at_ms).await;
            let (outcome, cause, status, detail) = (answer.outcome, answer.cause, answer.status, answer.detail);
            Ok(TestOutcome { outcome, cause, status, detail })
        })
    }
}

/// Where a channel's messages go, opened with the master key. None: it does not open.
pub fn target(master: &MasterKey, channel: &Channel) -> Option<Target> {
    kinds::parse(channel.kind, &open_channel_config(master, channel).ok()?)
}

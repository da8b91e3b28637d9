//! The alerter's channels, as the control service asks for them.

use logystera_alerter::channels::Target;
use logystera_alerter::channels::address::{AddressError, AddressPolicy, vet_url};
use logystera_alerter::channels::secret::Secret;
use logystera_alerter::channels::webhook::{Webhook, WebhookConfig};
use logystera_control::ControlError;
use logystera_control::adapters::{ChannelAdapter, ChannelConfig, Later, TestOutcome};
use logystera_control::channels::channel_config;
use logystera_infra::secrets::{MasterKey, random_bytes};
use logystera_schemas::control::Channel;
use zeroize::Zeroizing;

/// Vets and tests channels as the alerter will use them.
pub struct AlerterChannels {
    policy: AddressPolicy,
}

impl AlerterChannels {
    /// With the addresses that the installation allows.
    pub fn new(policy: AddressPolicy) -> Self {
        Self { policy }
    }
}

impl ChannelAdapter for AlerterChannels {
    fn vet(&self, url: &str) -> Result<String, String> {
        vet_url(url, self.policy).map(String::from).map_err(|error| {
            let way_out = match error {
                AddressError::NotHttps | AddressError::PrivateName(_) | AddressError::Forbidden { .. } => {
                    "; `logystera up --allow-private-addresses` allows it"
                }
                _ => "",
            };
            format!("not a channel's address: {error}{way_out}")
        })
    }

    fn new_secret(&self) -> Zeroizing<String> {
        Secret::from_bytes(&random_bytes()).expose()
    }

    fn test<'a>(
        &'a self,
        channel: &'a Channel,
        config: &'a ChannelConfig,
        at_ms: i64,
    ) -> Later<'a, Result<TestOutcome, ControlError>> {
        Box::pin(async move {
            let target =
                target_of(channel, config).ok_or_else(|| ControlError::unavailable("its secret is no secret"))?;
            let webhook = Webhook::new(WebhookConfig::new(self.policy)).map_err(ControlError::unavailable)?;
            let answer = webhook.test_delivery(&target, &channel.channel, at_ms).await;
            Ok(TestOutcome { outcome: answer.outcome, cause: answer.cause, status: answer.status })
        })
    }
}

/// Where a channel's messages go, opened with the master key. None: it does not open.
pub fn target(master: &MasterKey, channel: &Channel) -> Option<Target> {
    target_of(channel, &channel_config(master, channel)?)
}

fn target_of(channel: &Channel, config: &ChannelConfig) -> Option<Target> {
    Some(Target { kind: channel.kind, url: config.url.clone(), secret: config.secret.parse().ok()? })
}

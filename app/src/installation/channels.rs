//! The alerter's channels, as the control service asks for them.

use logystera_alerter::channels::address::{AddressError, AddressPolicy};
use logystera_alerter::channels::secret::Secret;
use logystera_alerter::channels::webhook::{self, Webhook, WebhookConfig};
use logystera_alerter::channels::{Target, kinds};
use logystera_control::ControlError;
use logystera_control::adapters::{ChannelAdapter, Later, TestOutcome};
use logystera_infra::envelope::open_channel_config;
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
        webhook::vet(url, self.policy).map(String::from).map_err(|error| {
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
        settings: &'a [u8],
        at_ms: i64,
    ) -> Later<'a, Result<TestOutcome, ControlError>> {
        Box::pin(async move {
            let target = kinds::parse(channel.kind, settings)
                .ok_or_else(|| ControlError::unavailable("its secret is no secret"))?;
            let webhook = Webhook::new(WebhookConfig::new(self.policy)).map_err(ControlError::unavailable)?;
            let answer = webhook.test_delivery(&target, &channel.channel, at_ms).await;
            Ok(TestOutcome { outcome: answer.outcome, cause: answer.cause, status: answer.status })
        })
    }
}

/// Where a channel's messages go, opened with the master key. None: it does not open.
pub fn target(master: &MasterKey, channel: &Channel) -> Option<Target> {
    kinds::parse(channel.kind, &open_channel_config(master, channel).ok()?)
}

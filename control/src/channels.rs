//! Channels: where a tenant's alerts go.

use std::fmt::Write;
use std::str::FromStr;

use logystera_infra::directory::{Directory, entry};
use logystera_infra::envelope::{open_channel_config, seal_channel_config};
use logystera_infra::log::{Entry, Log};
use logystera_infra::secrets::random_bytes;
use logystera_schemas::control::{Channel, ChannelKind, Entity};
use logystera_schemas::delivery::{AttemptCause, AttemptOutcome, ChannelEnabled, ChannelRef, ChannelsConfigured};
use logystera_schemas::ids::{ChannelId, KeyGroup, TenantId};
use logystera_schemas::limits::CHANNELS_MAX;
use logystera_schemas::noise::ChannelSettings;
use logystera_schemas::schema::{self, TopicRecord};
use logystera_schemas::topic::Topic;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::ControlError;
use crate::sites::{TENANT_DEFAULT, new_tenant};

/// A new channel, with its secret: shown once, so it has no `Debug`.
#[derive(Serialize, Deserialize)]
pub struct IssuedChannel {
    /// Tenant.
    pub tenant: String,
    /// Id.
    pub channel: String,
    /// What it speaks.
    pub kind: String,
    /// Where alerts are posted, if it is one address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whom alerts are mailed to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// What each message is signed with, as Standard Webhooks writes it, if its kind signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// How a test message fared.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tested {
    /// Whether the receiver took it.
    pub delivered: bool,
    /// How the attempt ended: `delivered`, `throttled`, `rejected`, `gone`, `failed`, `timeout`, `address_forbidden`,
    /// `unknown`.
    pub outcome: String,
    /// Why it was unreachable, if that was seen: `dns`, `refused`, `tls`, `reset`, `other`.
    #[serde(default)]
    pub cause: Option<String>,
    /// HTTP status, if there was one.
    pub status: Option<u32>,
    /// Code of what the receiver said, such as `slack_channel_not_found`, if its kind has such codes.
    #[serde(default)]
    pub detail: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

impl<L: Log> Context<L> {
    /// Adds a channel to a tenant. The planner hears of it in the same commit.
    pub(crate) async fn add_channel(
        &self,
        kind: &str,
        to: &[String],
        tenant: &str,
    ) -> Result<IssuedChannel, ControlError> {
        let kind = ChannelKind::from_symbol(kind)
            .ok_or_else(|| ControlError::invalid(format!("{kind:?} is no kind of channel")))?;
        let new = self.channels.settings(kind, to).map_err(ControlError::invalid)?;
        let tenant: TenantId = tenant.parse().map_err(|e| ControlError::invalid(format!("--tenant: {e}")))?;
        let directory = self.writer.directory()?;
        if directory.tenant(tenant.as_str()).is_none() && tenant.as_str() != TENANT_DEFAULT {
            let known: Vec<&str> = directory.tenants().map(|t| t.tenant.as_str()).collect();
            let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
            return Err(ControlError::invalid(format!("there is no tenant {tenant} ({known}); `site add` makes them")));
        }
        let mut channels: Vec<ChannelRef> = directory.channels(&tenant).map(|c| c.for_planner()).collect();
        if channels.len() >= CHANNELS_MAX {
            return Err(ControlError::invalid(format!(
                "{tenant} has {CHANNELS_MAX} channels, as many as there may be"
            )));
        }
        let now = self.clock.wall_ms();
        let id: ChannelId = new_id("ch_");
        let sealed_config = seal_channel_config(&self.master, &id, new.settings.as_bytes());
        let channel = Channel {
            channel: id.clone(),
            tenant: tenant.clone(),
            kind,
            sealed_config,
            created_at: now,
            removed_at: None,
            settings: ChannelSettings::default(),
            fallback: false,
            labels: Vec::new(),
        };
        channels.push(channel.for_planner());
        let mut entries = new_tenant(&directory, &tenant, now);
        entries.push(entry(&Entity::Channel(channel)));
        entries.push(channels_configured(&tenant, channels, &self.writer.log));
        self.writer.log.append(entries).await?;
        let (tenant, channel, secret) = (tenant.to_string(), id.to_string(), new.secret.map(|s| s.as_str().to_owned()));
        let (url, addresses) = match kind {
            ChannelKind::Email => (None, new.addresses),
            ChannelKind::Webhook | ChannelKind::Slack | ChannelKind::Teams => {
                (new.addresses.into_iter().next(), vec![])
            }
        };
        Ok(IssuedChannel { tenant, channel, kind: kind.to_string(), url, addresses, secret })
    }

    /// Sends a test message through a channel.
    pub(crate) async fn test_channel(&self, channel: &str) -> Result<Tested, ControlError> {
        let directory = self.writer.directory()?;
        let found = known_channel(&directory, channel)?;
        let settings = open_channel_config(&self.master, found).map_err(|_| {
            ControlError::unavailable(format!("the secret of {channel} does not open: another master key sealed it"))
        })?;
        let started_ms = self.clock.monotonic_ms();
        let answer = self.channels.test(found, &settings, self.clock.wall_ms()).await?;
        Ok(Tested {
            delivered: answer.outcome == AttemptOutcome::Delivered,
            outcome: answer.outcome.as_str().to_owned(),
            cause: answer.cause.map(|cause: AttemptCause| cause.as_str().to_owned()),
            status: answer.status,
            detail: answer.detail,
            duration_ms: u64::try_from(self.clock.monotonic_ms() - started_ms).unwrap_or(0),
        })
    }

    /// Switches a channel on. The planner hears of it in its own input, so that a replay does the same at the same
    /// place.
    pub(crate) async fn enable_channel(&self, channel: &str) -> Result<(), ControlError> {
        let directory = self.writer.directory()?;
        let found = known_channel(&directory, channel)?;
        let record = ChannelEnabled { tenant: found.tenant.clone(), channel: found.channel.clone() };
        self.writer.log.append(vec![for_planner(&found.tenant, &record, &self.writer.log)]).await?;
        Ok(())
    }

    /// Removes a channel. Returns how many its tenant has left.
    pub(crate) async fn remove_channel(&self, channel: &str) -> Result<usize, ControlError> {
        let directory = self.writer.directory()?;
        let found = known_channel(&directory, channel)?;
        let left: Vec<ChannelRef> = directory
            .channels(&found.tenant)
            .filter(|other| other.channel != found.channel)
            .map(|c| c.for_planner())
            .collect();
        let count = left.len();
        let removed = Channel { removed_at: Some(self.clock.wall_ms()), ..found.clone() };
        let entries =
            vec![entry(&Entity::Channel(removed)), channels_configured(&found.tenant, left, &self.writer.log)];
        self.writer.log.append(entries).await?;
        Ok(count)
    }
}

pub(crate) fn known_channel<'a>(directory: &'a Directory, channel: &str) -> Result<&'a Channel, ControlError> {
    match directory.channel(channel) {
        Some(found) if found.removed_at.is_none() => Ok(found),
        Some(_) => Err(ControlError::invalid(format!(
            "the channel {channel} was removed; `logystera channel list` shows those that are there"
        ))),
        None => {
            Err(ControlError::invalid(format!("there is no channel {channel}; `logystera channel list` shows them")))
        }
    }
}

/// The channels of a tenant as the planner knows them, this one as it is from now on.
pub(crate) fn with_changed(directory: &Directory, changed: &Channel) -> Vec<ChannelRef> {
    let others = directory.channels(&changed.tenant);
    others.map(|other| if other.channel == changed.channel { changed } else { other }.for_planner()).collect()
}

/// The record that makes these the tenant's channels from here on.
pub(crate) fn channels_configured(tenant: &TenantId, channels: Vec<ChannelRef>, log: &impl Log) -> Entry {
    for_planner(tenant, &ChannelsConfigured { tenant: tenant.clone(), channels }, log)
}

/// A record for the planner of a tenant.
pub(crate) fn for_planner<R: TopicRecord>(tenant: &TenantId, record: &R, log: &impl Log) -> Entry {
    let key = tenant.as_str();
    let partition = KeyGroup::of(key).partition(log.partitions(Topic::Detections));
    Entry { topic: Topic::Detections, partition, key: key.as_bytes().to_vec(), value: schema::encode(record) }
}

/// A random id: this beginning and 10 hex digits. It is not compared with the ids that exist.
pub(crate) fn new_id<I: FromStr>(begins: &str) -> I {
    loop {
        let id = random_bytes::<5>().iter().fold(begins.to_owned(), |mut id, byte| {
            // Writing to a string cannot fail.
            let _ = write!(id, "{byte:02x}");
            id
        });
        if let Ok(id) = id.parse() {
            return id;
        }
    }
}

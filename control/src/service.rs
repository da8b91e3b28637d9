//! The one service that changes what is configured: commands, pages and the API all ask it.

use std::sync::Arc;

use logystera_infra::clock::Clock;
use logystera_infra::directory::{DirectoryWatch, entry};
use logystera_infra::embedded::{Embedded, EmbeddedLog};
use logystera_infra::log::Log;
use logystera_infra::secrets::MasterKey;
use logystera_schemas::avro::Blob;
use logystera_schemas::control::{ChannelKind, Entity, GrowingTopic, Skip};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::adapters::ChannelAdapter;
use crate::channels::{IssuedChannel, Tested};
use crate::context::{Context, ControlWriter};
use crate::deployment::Deployment;
use crate::error::ControlError;
use crate::rules::{Rules, by, configure_sites};
use crate::settings::SettingsChange;
use crate::silences::{NewSilence, Silenced};
use crate::site_change::{SiteChange, SiteNow};
use crate::sites::{IssuedKey, Revoked};

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the commands' help says what each field is")]
pub enum Request {
    /// `site add`
    SiteAdd {
        name: String,
        tenant: String,
        #[serde(default)]
        id: Option<String>,
    },
    /// `site rotate-key`
    SiteRotateKey { site: String, overlap_days: u32 },
    /// `site revoke-key`
    SiteRevokeKey {
        site: String,
        key: String,
        #[serde(default)]
        stolen: bool,
    },
    /// `site set`
    SiteSet { site: String, change: SiteChange },
    /// `site close`
    SiteClose { site: String },
    /// `channel add`
    ChannelAdd { kind: String, to: Vec<String>, tenant: String },
    /// `channel test`
    ChannelTest { channel: String },
    /// `channel enable`
    ChannelEnable { channel: String },
    /// `channel remove`
    ChannelRemove { channel: String },
    /// `channel set`
    ChannelSet { channel: String, change: SettingsChange },
    /// `silence add`
    SilenceAdd(NewSilence),
    /// `silence end`
    SilenceEnd { silence: String },
    /// `delivery resend`: `detection` is the record as it stands in topic `detections`, in hex.
    DeliveryResend { channel: String, detection: String },
    /// `log skip`
    LogSkip { topic: String, generation: u32, partition: u32, from: u64, to: u64, reason: String },
}

impl Request {
    /// Whether it may send mail, or ask whether that is possible.
    pub fn needs_mail(&self) -> bool {
        match self {
            Self::ChannelTest { .. } => true,
            Self::ChannelAdd { kind, .. } => kind.as_str() == ChannelKind::Email.as_str(),
            _ => false,
        }
    }

    /// Whether the command has `--create`.
    pub const fn can_create(&self) -> bool {
        matches!(self, Self::SiteAdd { .. } | Self::ChannelAdd { .. })
    }
}

/// What was done. It can hold a secret, which is shown once: it has no `Debug`.
#[derive(Serialize, Deserialize)]
#[serde(tag = "done", rename_all = "snake_case")]
pub enum Answer {
    /// A key was made.
    Key(IssuedKey),
    /// A key was revoked.
    Revoked {
        /// Keys of the site that still sign, or will.
        live: usize,
        /// Whether it was revoked before, and as stolen if that is what is said now.
        #[serde(default)]
        already: bool,
        /// Whether it was revoked before, and is stolen only from now on.
        #[serde(default)]
        now_stolen: bool,
    },
    /// What is known of a site now.
    Site(SiteNow),
    /// A site was closed.
    Closed {
        /// Whether it was closed before.
        already: bool,
    },
    /// A channel was made.
    Channel(IssuedChannel),
    /// A test message was sent.
    Tested(Tested),
    /// A channel was switched on.
    Enabled,
    /// A channel was removed.
    Removed {
        /// Channels that its tenant still has.
        left: usize,
    },
    /// What a channel takes now.
    Set {
        /// Whether that is everything, at once.
        is_default: bool,
        /// Whether it is the fallback channel.
        is_fallback: bool,
    },
    /// A silence was made, or ended.
    Silenced(Silenced),
    /// A channel will get a detection again.
    Resent {
        /// Names the record that asks for it.
        resend: String,
    },
    /// Records are passed over from now on.
    Skipped,
}

/// What the service needs besides the log.
pub struct Parts {
    /// What secrets are sealed under.
    pub master: MasterKey,
    /// What the installation is.
    pub deployment: Deployment,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Speaks the channels' protocols.
    pub channels: Arc<dyn ChannelAdapter>,
    /// Name of this machine, for the record of who changed what.
    pub host: String,
}

/// Makes the changes, one at a time. A data folder has one service, held by the folder's seat; an installation on Kafka
/// has the one whose producer was not fenced.
pub struct ControlService<L> {
    context: Context<L>,
    /// Held from reading topic `control` until the change is durable: of two at once both would give a site the same
    /// id.
    deployment: Mutex<Deployment>,
}

impl ControlService<EmbeddedLog> {
    /// The service of an open folder. Fails if this process has one already.
    pub fn of_folder(
        embedded: &Embedded,
        control: DirectoryWatch<EmbeddedLog>,
        parts: Parts,
    ) -> Result<Self, ControlError> {
        let taken =
            || ControlError::unavailable("this process has a control service already: changes are made by that one");
        let seat = embedded.seat().ok_or_else(taken)?;
        let writer = ControlWriter::new(embedded.log(), control, Some(seat));
        Ok(Self::on(writer, parts))
    }
}

impl<L: Log> ControlService<L> {
    /// The service of an installation whose log is `log`.
    pub fn new(log: L, control: DirectoryWatch<L>, parts: Parts) -> Self {
        Self::on(ControlWriter::new(log, control, None), parts)
    }

    fn on(writer: ControlWriter<L>, parts: Parts) -> Self {
        let Parts { master, deployment, clock, channels, host } = parts;
        Self { context: Context { writer, master, clock, channels, host }, deployment: Mutex::new(deployment) }
    }

    /// Does what is asked. When it answers, that is durable.
    pub async fn execute(&self, request: Request) -> Result<Answer, ControlError> {
        if let Request::ChannelTest { channel } = &request {
            // It changes nothing, and can take as long as an attempt.
            return self.context.test_channel(channel).await.map(Answer::Tested);
        }
        let deployment = self.deployment.lock().await;
        let answer = self.change(&deployment, request).await?;
        self.context.writer.tell_followers();
        Ok(answer)
    }

    /// Configures all sites with `rules` and writes down what this installation is. `command` is noted as who did it.
    pub async fn configure(&self, rules: &Rules, command: &str) -> Result<Deployment, ControlError> {
        let mut deployment = self.deployment.lock().await;
        let directory = self.context.writer.directory()?;
        let (by, now_ms) = (by(command, &self.context.host), self.context.clock.wall_ms());
        let (configured, _) =
            configure_sites(&self.context.writer.log, &directory, rules, (&by, now_ms), |_| ()).await?;
        let next = Deployment { rules: Some(configured), ..deployment.clone() };
        self.put(&next).await?;
        deployment.clone_from(&next);
        Ok(next)
    }

    /// Writes down what this installation is, if the log says something else.
    pub async fn write_down(&self) -> Result<(), ControlError> {
        let deployment = self.deployment.lock().await;
        self.put(&deployment).await
    }

    async fn put(&self, deployment: &Deployment) -> Result<(), ControlError> {
        let record = deployment.record()?;
        if self.context.writer.directory()?.deployment().is_none_or(|before| **before != record) {
            self.context.writer.log.append(vec![entry(&Entity::Deployment(record))]).await?;
        }
        self.context.writer.tell_followers();
        Ok(())
    }

    async fn change(&self, deployment: &Deployment, request: Request) -> Result<Answer, ControlError> {
        match request {
            Request::SiteAdd { name, tenant, id } => {
                self.context.add_site(deployment, &name, &tenant, id.as_deref()).await.map(Answer::Key)
            }
            Request::SiteRotateKey { site, overlap_days } => {
                self.context.rotate_key(deployment, &site, overlap_days).await.map(Answer::Key)
            }
            Request::SiteRevokeKey { site, key, stolen } => {
                let Revoked { live, already, now_stolen } = self.context.revoke_key(&site, &key, stolen).await?;
                Ok(Answer::Revoked { live, already, now_stolen })
            }
            Request::SiteSet { site, change } => self.context.set_site(&site, &change).await.map(Answer::Site),
            Request::SiteClose { site } => {
                self.context.close_site(&site).await.map(|already| Answer::Closed { already })
            }
            Request::ChannelAdd { kind, to, tenant } => {
                self.context.add_channel(&kind, &to, &tenant).await.map(Answer::Channel)
            }
            Request::ChannelTest { channel } => self.context.test_channel(&channel).await.map(Answer::Tested),
            Request::ChannelEnable { channel } => self.context.enable_channel(&channel).await.map(|()| Answer::Enabled),
            Request::ChannelRemove { channel } => {
                self.context.remove_channel(&channel).await.map(|left| Answer::Removed { left })
            }
            Request::ChannelSet { channel, change } => {
                let now = self.context.set_channel(&channel, &change).await?;
                Ok(Answer::Set {
                    is_default: now.settings.is_default() && !now.fallback && now.labels.is_empty(),
                    is_fallback: now.fallback,
                })
            }
            Request::SilenceAdd(new) => self.context.add_silence(&new).await.map(Answer::Silenced),
            Request::SilenceEnd { silence } => self.context.end_silence(&silence).await.map(Answer::Silenced),
            Request::DeliveryResend { channel, detection } => {
                let detection = from_hex(&detection).ok_or_else(|| ControlError::invalid("the detection is no hex"))?;
                let resend = self.context.resend(&channel, &Blob(detection)).await?;
                Ok(Answer::Resent { resend: resend.to_string() })
            }
            Request::LogSkip { topic, generation, partition, from, to, reason } => {
                let topic = GrowingTopic::from_symbol(&topic);
                let topic = topic.ok_or_else(|| ControlError::invalid("expected topic signals or detections"))?;
                let at = self.context.clock.wall_ms();
                let skip = Skip { topic, generation, partition, from, to, reason, at };
                self.context.writer.log.append(vec![entry(&Entity::Skip(skip))]).await?;
                Ok(Answer::Skipped)
            }
        }
    }
}

/// The bytes of pairs of hex digits.
fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| pair.filter(|p| p.len() == 2).and_then(|p| u8::from_str_radix(p, 16).ok())).collect()
}

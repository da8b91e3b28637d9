//! Changes of sites, keys and channels. They are made by the one process that has the data folder: by `up` while it runs,
//! which is asked through a socket in the folder, else by the command itself.

mod channels;
mod rules;
mod sites;
mod socket;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use logystera_alerter::channels::address::AddressPolicy;
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::{Directory, DirectoryWatch, entry};
use logystera_infra::embedded::{ControlSeat, Embedded, EmbeddedLog, OpenError};
use logystera_infra::envelope::master_key;
use logystera_infra::log::{Log, LogError};
use logystera_infra::secrets::MasterKey;
use logystera_processor::core::rule::RuleSet;
use logystera_schemas::control::{Entity, GrowingTopic, Skip};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::cli::{CliError, ClusterArgs, NOT_AVAILABLE, WRONG_USE};
use crate::deployment::Deployment;
use crate::up::rules_or_default;

pub use channels::{IssuedChannel, Tested, target};
#[cfg(feature = "kafka")]
pub(crate) use rules::publish_rules;
pub(crate) use rules::{by, configure_sites};
pub use sites::IssuedKey;
pub use socket::{AdminSocket, serve};

/// Tenant of sites and channels where none is named.
pub const TENANT_DEFAULT: &str = "default";

/// How long a command waits for another one that has the folder.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// `site close`
    SiteClose { site: String },
    /// `channel add webhook`
    ChannelAdd { url: String, tenant: String },
    /// `channel test`
    ChannelTest { channel: String },
    /// `channel enable`
    ChannelEnable { channel: String },
    /// `channel remove`
    ChannelRemove { channel: String },
    /// `log skip`
    LogSkip { topic: String, generation: u32, partition: u32, from: u64, to: u64, reason: String },
}

impl Request {
    /// Whether the command has `--create`.
    const fn can_create(&self) -> bool {
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
    },
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
    /// Records are passed over from now on.
    Skipped,
}

/// Why it was not done, as the socket carries it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refusal {
    code: u8,
    message: String,
    /// Whether another command wrote meanwhile. Nobody does where there is a socket.
    #[serde(skip)]
    fenced: bool,
}

impl Refusal {
    fn wrong_use(message: impl Into<String>) -> Self {
        Self { code: WRONG_USE, message: message.into(), fenced: false }
    }

    /// What is needed is not available.
    pub(crate) fn not_available(error: impl std::fmt::Display) -> Self {
        Self { code: NOT_AVAILABLE, message: error.to_string(), fenced: false }
    }

    /// For people.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Self {
        CliError::from(error).into()
    }
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, message, fenced } = refusal;
        let mut error = Self::new(code, message);
        error.fenced = fenced;
        error
    }
}

impl From<CliError> for Refusal {
    fn from(error: CliError) -> Self {
        Self { code: error.code, message: error.message, fenced: error.fenced }
    }
}

/// Makes the changes, one at a time. A data folder has one office, held by the folder's seat; an installation on Kafka has the one
/// whose producer was not fenced.
pub struct Office<L> {
    log: L,
    master: MasterKey,
    clock: Arc<dyn Clock>,
    policy: AddressPolicy,
    /// Topic `control`. Whoever else follows it in this process, as the gateway and the alerter of `up` do, knows of a change before it is
    /// answered: a key that was just told must not be refused, nor one that was just revoked be accepted.
    control: DirectoryWatch<L>,
    /// Held from reading topic `control` until the change is durable: of two at once both would give a site the same id.
    deployment: Mutex<Deployment>,
    _seat: Option<ControlSeat>,
}

impl Office<EmbeddedLog> {
    /// The office of an open folder. Fails where somebody has it.
    pub fn of_folder(
        embedded: &Embedded,
        control: DirectoryWatch<EmbeddedLog>,
        master: MasterKey,
        deployment: Deployment,
    ) -> Result<Self, CliError> {
        let taken = || CliError::not_available("this process has an office already: changes are made by that one");
        let seat = embedded.seat().ok_or_else(taken)?;
        let office = Self::new(embedded.log(), control, master, deployment, Arc::new(SystemClock::new()));
        Ok(Self { _seat: Some(seat), ..office })
    }
}

impl<L: Log> Office<L> {
    /// The office of an installation.
    pub fn new(
        log: L,
        control: DirectoryWatch<L>,
        master: MasterKey,
        deployment: Deployment,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let policy = deployment.address_policy();
        let deployment = Mutex::new(deployment);
        Self { log, master, clock, policy, control, deployment, _seat: None }
    }

    /// Does what is asked. When it answers, that is durable.
    pub async fn execute(&self, request: Request) -> Result<Answer, Refusal> {
        if let Request::ChannelTest { channel } = &request {
            // It changes nothing, and can take as long as an attempt.
            return self.test_channel(channel).await.map(Answer::Tested);
        }
        let deployment = self.deployment.lock().await;
        let answer = self.change(&deployment, request).await?;
        self.tell_followers();
        Ok(answer)
    }

    /// Configures all sites with `rules`, as `by` whom, and writes down what this installation is.
    pub async fn configure(&self, rules: &RuleSet, by: &str) -> Result<Deployment, CliError> {
        let mut deployment = self.deployment.lock().await;
        let directory = self.directory()?;
        let (configured, _) = configure_sites(&self.log, &directory, rules, by, |_| ()).await?;
        let next = Deployment { rules: Some(configured), ..deployment.clone() };
        self.put(&next).await?;
        deployment.clone_from(&next);
        Ok(next)
    }

    /// Writes down what this installation is, where the log says something else.
    async fn write_down(&self) -> Result<(), CliError> {
        let deployment = self.deployment.lock().await;
        self.put(&deployment).await
    }

    async fn put(&self, deployment: &Deployment) -> Result<(), CliError> {
        let record = deployment.record()?;
        if self.directory()?.deployment().is_none_or(|before| **before != record) {
            self.log.append(vec![entry(&Entity::Deployment(record))]).await?;
        }
        self.tell_followers();
        Ok(())
    }

    fn tell_followers(&self) {
        // Where the topic can't be read just now, the change is made all the same: they look again by themselves.
        if let Err(error) = self.control.refresh() {
            tracing::warn!(%error, "a change is made, and known here when topic control can be read again");
        }
    }

    async fn change(&self, deployment: &Deployment, request: Request) -> Result<Answer, Refusal> {
        match request {
            Request::SiteAdd { name, tenant, id } => {
                self.add_site(deployment, &name, &tenant, id.as_deref()).await.map(Answer::Key)
            }
            Request::SiteRotateKey { site, overlap_days } => {
                self.rotate_key(deployment, &site, overlap_days).await.map(Answer::Key)
            }
            Request::SiteRevokeKey { site, key, stolen } => {
                let revoked = self.revoke_key(&site, &key, stolen).await;
                revoked.map(|(live, already)| Answer::Revoked { live, already })
            }
            Request::SiteClose { site } => self.close_site(&site).await.map(|already| Answer::Closed { already }),
            Request::ChannelAdd { url, tenant } => self.add_channel(&url, &tenant).await.map(Answer::Channel),
            Request::ChannelTest { channel } => self.test_channel(&channel).await.map(Answer::Tested),
            Request::ChannelEnable { channel } => self.enable_channel(&channel).await.map(|()| Answer::Enabled),
            Request::ChannelRemove { channel } => {
                self.remove_channel(&channel).await.map(|left| Answer::Removed { left })
            }
            Request::LogSkip { topic, generation, partition, from, to, reason } => {
                let topic = GrowingTopic::from_symbol(&topic);
                let topic = topic.ok_or_else(|| Refusal::wrong_use("expected topic signals or detections"))?;
                let at = self.clock.wall_ms();
                let skip = Skip { topic, generation, partition, from, to, reason, at };
                self.log.append(vec![entry(&Entity::Skip(skip))]).await?;
                Ok(Answer::Skipped)
            }
        }
    }

    /// The newest state of topic `control`.
    fn directory(&self) -> Result<Arc<Directory>, LogError> {
        self.control.refresh()?;
        Ok(self.control.view().current())
    }
}

/// Has a change made: on the installation on Kafka where `cluster` names one, else on the folder `dir`.
pub fn ask(dir: &Path, cluster: &ClusterArgs, request: &Request, create: bool) -> Result<Answer, CliError> {
    #[cfg(feature = "kafka")]
    if let Some(file) = &cluster.config {
        return crate::cluster::ask(file, request);
    }
    let ClusterArgs { .. } = cluster;
    ask_folder(dir, request, create)
}

/// By `up` where it runs on `dir`, else here. `create`: a folder that is not there is made.
fn ask_folder(dir: &Path, request: &Request, create: bool) -> Result<Answer, CliError> {
    let clock = SystemClock::new();
    let give_up_at = clock.monotonic_ms() + PATIENCE.as_millis() as i64;
    loop {
        let opened = if create { Embedded::open(dir) } else { Embedded::open_existing(dir) };
        let in_use = match opened {
            Ok(embedded) => return act(dir, embedded, request.clone()),
            Err(in_use @ OpenError::InUse { .. }) => in_use,
            Err(error @ OpenError::NoData { .. }) if request.can_create() => {
                return Err(CliError::wrong_use(format!("{error}, or this command with --create")));
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(answer) = socket::call(dir, request)? {
            return answer.map_err(CliError::from);
        }
        // Another command has the folder for a moment, or `up` is starting.
        if clock.monotonic_ms() > give_up_at {
            return Err(in_use.into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Makes the change in this process.
fn act(dir: &Path, embedded: Embedded, request: Request) -> Result<Answer, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(CliError::not_available)?;
    let answer = runtime.block_on(async {
        let control = DirectoryWatch::load(embedded.log())?;
        let directory = control.view().current();
        let deployment = Deployment::of(dir, &directory, None)?;
        let master = master_key(dir, &directory).map_err(CliError::not_available)?;
        let has_rules = deployment.rules.is_some();
        let office = Office::of_folder(&embedded, control, master, deployment)?;
        if directory.deployment().is_none() {
            // No `up` of this version has run here yet: its first start replaces the default pack where it is told of other rules.
            if has_rules {
                office.write_down().await?;
            } else {
                office.configure(&rules_or_default(None)?, &by("site add")).await?;
            }
            Deployment::leave_the_file(dir);
        }
        office.execute(request).await.map_err(CliError::from)
    });
    embedded.close();
    answer
}

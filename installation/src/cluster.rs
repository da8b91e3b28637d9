//! An installation on Kafka. Its changes are made by whichever command became the one writer last.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use logystera_channels::email::server::MailConfig;
use logystera_control::deployment::{Configured, Deployment};
use logystera_control::rules::{by, configure_sites, publish_rules};
use logystera_control::{Answer, ControlService, Request};
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::{Directory, DirectoryWatch};
use logystera_infra::files::host_name;
use logystera_infra::secrets::{MASTER_KEY_FILE, MasterKey, random_bytes};
use logystera_kafka::state_store::Store;
use logystera_kafka::{Kafka, KafkaLog, Layouts, NextWriter};
use logystera_processor::core::{RuleSet, SEMANTICS};
use logystera_schemas::control::GrowingTopic;
use logystera_schemas::topic::Topic;

use super::channels::AlerterChannels;
use super::config::Config;
use super::folder::parts;
use super::rules::{as_published, rules_or_default};
use crate::cli::{self, CliError};

/// Applications that keep state.
pub const APPS: [&str; 2] = [logystera_processor::task::APP, logystera_alerter::task::APP];

/// An installation on Kafka, as one process sees it.
pub struct Installation {
    /// What the file says.
    pub config: Config,
    /// The brokers.
    pub kafka: Kafka,
    /// The log on them.
    pub log: KafkaLog,
    /// Topic `control`, as of the last read: when this connected, or a refresh since.
    pub control: DirectoryWatch<KafkaLog>,
    /// The key that secrets are sealed under.
    pub master: MasterKey,
}

impl Installation {
    /// Connects, and creates the topics that are not there.
    pub fn connect(config: Config) -> Result<Self, CliError> {
        let kafka = Kafka::new(config.kafka());
        kafka.create_topics(&APPS)?;
        let log = kafka.log()?;
        Self::load(config, kafka, &log)
    }

    /// Connects for a command that changes something: quickly, for somebody waits. Only a cluster without an installation
    /// gets its topics: whether one lacks a topic that is new is for its processes to see. Also gives the writer that the
    /// command will be, which connects meanwhile.
    fn connect_to_change(config: Config) -> Result<(Self, NextWriter), CliError> {
        let kafka = Kafka::new(config.kafka());
        let log = kafka.log()?.for_command();
        // All three connect at once.
        log.begin_reading(Topic::Control)?;
        let next = log.next_writer(WRITER)?;
        if !log.has_topic(Topic::Control)? {
            kafka.create_topics(&APPS)?;
        }
        Ok((Self::load(config, kafka, &log)?, next))
    }

    fn load(config: Config, kafka: Kafka, log: &KafkaLog) -> Result<Self, CliError> {
        let control = DirectoryWatch::load(log.clone())?;
        let directory = control.view().current();
        let layouts = Layouts::of(kafka.config(), &directory);
        let (kafka, log) = (kafka.with_layouts(layouts.clone()), log.with_layouts(layouts));
        let master = master_key(&config.secrets, &directory)?;
        Ok(Self { config, kafka, log, control, master })
    }

    /// The cluster for tasks: with the store, if there is one.
    pub fn with_store(&self) -> Result<Kafka, CliError> {
        let Some(config) = self.config.store() else { return Ok(self.kafka.clone()) };
        let store = Store::open(config, Arc::new(SystemClock::new())).map_err(CliError::wrong_use)?;
        Ok(self.kafka.clone().with_store(store))
    }

    /// What the file says of the deployment. A new site is configured with `rules`.
    pub fn deployment(&self, rules: Option<Configured>) -> Deployment {
        Deployment {
            audience: self.config.audience.clone(),
            url: self.config.public_url.clone(),
            allow_private_addresses: self.config.allow_private_addresses,
            rules,
        }
    }

    /// The log for the one command that changes something: the command that had it before is fenced.
    pub fn writer_log(&self) -> Result<(KafkaLog, Arc<Directory>), CliError> {
        self.written_by(self.log.next_writer(WRITER)?)
    }

    fn written_by(&self, next: NextWriter) -> Result<(KafkaLog, Arc<Directory>), CliError> {
        let log = self.log.written_by(next)?;
        // Read after that: a growth that began before is seen, and one that begins later fences this command.
        self.control.refresh()?;
        let directory = self.control.view().current();
        let log = log.with_layouts(Layouts::of(self.kafka.config(), &directory));
        Ok((log, directory))
    }

    /// The same, but fails while partitions grow: what is appended then may be for a generation that nobody reads.
    fn open_for_writing(&self, next: Option<NextWriter>) -> Result<(KafkaLog, Arc<Directory>), CliError> {
        let (log, directory) = match next {
            Some(next) => self.written_by(next)?,
            None => self.writer_log()?,
        };
        if let Some(topic) = GrowingTopic::ALL.iter().find(|topic| log.layouts().is_closing(**topic)) {
            return Err(CliError::not_available(format!(
                "the partitions of {topic} are growing: try again in a moment; if `logystera partitions grow` is no longer \
                 running, run it again"
            )));
        }
        Ok((log, directory))
    }

    /// Leaves the clients to the end of the process: to close each of them takes a tenth of a second, and what was done
    /// is durable.
    fn leave(self) {
        std::mem::forget(self);
    }
}

/// Name of the one writer of topic `control` among commands. Part of its transactional id: under another name commands
/// of older versions would not be fenced.
const WRITER: &str = "office";

/// The master key. Only a new installation makes one: a machine without it must get the one that the secrets are sealed
/// under.
fn master_key(folder: &Path, directory: &Directory) -> Result<MasterKey, CliError> {
    if !folder.join(MASTER_KEY_FILE).exists() {
        if directory.sites().next().is_some() || directory.tenants().next().is_some() {
            return Err(CliError::not_available(format!(
                "{} has no {MASTER_KEY_FILE}: copy it from a machine of this installation that has it",
                folder.display()
            )));
        }
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|e| CliError::not_available(format!("{}: {e}", folder.display())))?;
    }
    MasterKey::load_or_create(folder).map_err(CliError::not_available)
}

/// How often a change is tried at most if other commands fence it: more than the commands that anybody starts at once
/// by hand.
const WRITER_TRIES: u32 = 10;
/// Longest pause before the second try, milliseconds; it doubles with each, up to [`WRITER_PAUSE_MS_MAX`]. A change
/// takes about as long from its fence to its commit.
const WRITER_PAUSE_MS: u64 = 200;
/// Longest pause of all, milliseconds.
const WRITER_PAUSE_MS_MAX: u64 = 3_000;

/// Runs what only the one writer may do; if another command fenced it meanwhile, decides and tries anew. A random pause
/// lets one of several that began at once come to its end. `next` writes at the first try.
fn persistently<T>(
    next: NextWriter,
    mut attempt: impl FnMut(Option<NextWriter>) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let mut next = Some(next);
    for tried in 1..WRITER_TRIES {
        match attempt(next.take()) {
            Err(error) if error.fenced => tracing::debug!(tried, "fenced by another command"),
            done => return done,
        }
        let longest_ms = (WRITER_PAUSE_MS << tried).min(WRITER_PAUSE_MS_MAX);
        let pause_ms = u64::from_be_bytes(random_bytes()) % longest_ms;
        std::thread::sleep(Duration::from_millis(pause_ms));
    }
    attempt(None).map_err(|error| {
        if !error.fenced {
            return error;
        }
        CliError::not_available(format!(
            "{WRITER_TRIES} times another command has written to this installation meanwhile: nothing was changed; try again when \
             fewer of them run"
        ))
    })
}

/// Has a change of sites or channels made on the installation that a file describes.
pub fn ask(file: &Path, request: &Request) -> Result<Answer, CliError> {
    let config = Config::read(file)?;
    // Only the machines that send mail have its password.
    let mail = if request.needs_mail() { config.mail().map_err(CliError::wrong_use)? } else { None };
    let (installation, next) = Installation::connect_to_change(config)?;
    let runtime = cli::runtime()?;
    let done =
        persistently(next, |next| runtime.block_on(change(&installation, next, file, request.clone(), mail.clone())));
    installation.leave();
    done
}

async fn change(
    installation: &Installation,
    next: Option<NextWriter>,
    file: &Path,
    request: Request,
    mail: Option<MailConfig>,
) -> Result<Answer, CliError> {
    let (log, directory) = match request {
        // It changes nothing: whoever writes goes on.
        Request::ChannelTest { .. } => (installation.log.clone(), installation.control.view().current()),
        _ => installation.open_for_writing(next)?,
    };
    let rules = match request {
        Request::SiteAdd { .. } => Some(rules_of_new_sites(installation, file, &log, &directory).await?),
        _ => None,
    };
    let (deployment, master) = (installation.deployment(rules), installation.master.clone());
    let channels = AlerterChannels::once_needed(&deployment, mail);
    let service = ControlService::new(log, installation.control.clone(), parts(master, deployment, channels));
    service.execute(request).await.map_err(CliError::from)
}

/// The rules that were published last. If none ever were, publishes the default pack, unless the file names others.
async fn rules_of_new_sites(
    installation: &Installation,
    file: &Path,
    log: &KafkaLog,
    directory: &Directory,
) -> Result<Configured, CliError> {
    if let Some(digest) = directory.published() {
        return Ok(Configured { digest: digest.to_string(), semantics: SEMANTICS });
    }
    if directory.is_published_unsure() {
        return Err(CliError::wrong_use(format!(
            "which rules the sites have was written down by an older version, which does not say which were the last: publish them \
             once more: logystera rules publish FILE --config {}",
            file.display()
        )));
    }
    if let Some(rules) = &installation.config.rules {
        return Err(CliError::wrong_use(not_published(rules, file)));
    }
    Ok(publish_rules(log, directory, &as_published(&rules_or_default(None)?)).await?)
}

/// Says that the setting `rules` publishes nothing any more, and how rules are published.
pub fn not_published(rules: &Path, file: &Path) -> String {
    format!(
        "the setting rules publishes nothing any more: logystera rules publish {} --config {}",
        rules.display(),
        file.display()
    )
}

/// Judges all sites by `set` from now on; gives how many were configured.
pub fn publish(file: &Path, set: &RuleSet) -> Result<usize, CliError> {
    let (installation, next) = Installation::connect_to_change(Config::read(file)?)?;
    let runtime = cli::runtime()?;
    // Counts also the sites of tries that were fenced after them.
    let (mut before, mut now) = (0, 0);
    let done = persistently(next, |next| {
        before += std::mem::take(&mut now);
        runtime.block_on(async {
            let (log, directory) = installation.open_for_writing(next)?;
            let by = by("rules publish", &host_name());
            let by = (by.as_str(), SystemClock::new().wall_ms());
            Ok(configure_sites(&log, &directory, &as_published(set), by, |done| now = done).await?)
        })
    });
    installation.leave();
    done.map(|(_, done)| before + done)
}

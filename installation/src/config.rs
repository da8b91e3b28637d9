//! The settings of an installation on Kafka: one file, the same for every process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use logystera_channels::email::server::MailConfig;
use logystera_infra::files::host_name;
use logystera_ingest::core::quota::Quota;
use logystera_kafka::state_store::{StoreConfig, is_keyspace};
use logystera_kafka::{KafkaConfig, Properties};
use serde::Deserialize;

use super::redacted_toml;
use crate::cli::CliError;
use logystera_control::deployment::is_audience;

use crate::listen;
use crate::mail::mail;
use crate::quota::Wanted;
use logystera_sender::target::base_url;

/// Most partitions that a topic may have: as many as there are key groups.
const PARTITIONS_MAX: u32 = 1_024;

/// The settings, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// Name of the deployment: a batch signed for another is refused.
    pub audience: String,
    /// Address that senders and readers of alerts use.
    pub public_url: String,
    /// Folder of the master key. Each machine has the same key.
    pub secrets: PathBuf,
    /// The cluster.
    kafka: KafkaSettings,
    /// Where state is kept beside the changelog; none: nowhere.
    store: Option<StoreSettings>,
    /// Where senders connect.
    #[serde(default = "local::<8080>", deserialize_with = "listen::of_file")]
    pub listen: SocketAddr,
    /// Where operators connect: health and metrics.
    #[serde(default = "local::<8081>", deserialize_with = "listen::of_file")]
    pub admin_listen: SocketAddr,
    /// Rules of all sites in older versions. Publishes nothing any more: only a check of the settings reads it.
    pub rules: Option<PathBuf>,
    /// Certificate chain, PEM.
    pub tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Name of this process among those of its role; none: the host's name.
    pub instance: Option<String>,
    /// Whether channels may point to private networks.
    #[serde(default)]
    pub allow_private_addresses: bool,
    /// Mail server.
    smtp: Option<String>,
    /// File with its user's password, on each machine of the role `alerter`.
    smtp_password_file: Option<PathBuf>,
    /// Whom mail comes from.
    mail_from: Option<String>,
    quota_bytes_per_s: Option<u32>,
    quota_bytes_burst: Option<u32>,
    quota_signals_per_s: Option<u32>,
    quota_signals_burst: Option<u32>,
    /// What is logged.
    #[serde(default = "info")]
    pub log: String,
    /// Whether the log is JSON.
    #[serde(default)]
    pub log_json: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct KafkaSettings {
    brokers: String,
    #[serde(default)]
    prefix: String,
    #[serde(default = "many::<16>")]
    signals_partitions: u32,
    #[serde(default = "many::<4>")]
    detections_partitions: u32,
    #[serde(default = "many::<64>")]
    changelog_partitions: u32,
    #[serde(default = "many::<3>")]
    replication: u32,
    #[serde(default, deserialize_with = "redacted_toml::properties")]
    properties: Properties,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct StoreSettings {
    nodes: String,
    #[serde(default = "logystera")]
    keyspace: String,
    #[serde(default = "many::<3>")]
    replication: u32,
    local_datacenter: Option<String>,
    user: Option<String>,
    password: Option<String>,
    tls_ca: Option<PathBuf>,
}

/// Without the password.
impl std::fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreSettings").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

fn logystera() -> String {
    "logystera".to_owned()
}

fn local<const PORT: u16>() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], PORT))
}

const fn many<const N: u32>() -> u32 {
    N
}

fn info() -> String {
    "info".to_owned()
}

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let failed = |error: &dyn std::fmt::Display| CliError::wrong_use(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| failed(&e))?;
        Self::parse(&text).map_err(|what| failed(&what))
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = redacted_toml::parse(text)?;
        if !is_audience(&config.audience) {
            return Err(format!("audience = {:?}: expected 1 to 64 of letters, digits, - _ .", config.audience));
        }
        let Some(public_url) = base_url(&config.public_url) else {
            let url = config.public_url;
            return Err(format!("public-url = {url:?}: expected scheme and host, such as https://in.example.com"));
        };
        if config.tls_cert.is_some() != config.tls_key.is_some() {
            return Err("tls-cert and tls-key belong together".to_owned());
        }
        config.quota()?;
        let kafka = &config.kafka;
        for (name, value) in [
            ("signals-partitions", kafka.signals_partitions),
            ("detections-partitions", kafka.detections_partitions),
            ("changelog-partitions", kafka.changelog_partitions),
        ] {
            if !(1..=PARTITIONS_MAX).contains(&value) {
                return Err(format!("kafka.{name} = {value}: expected 1 to {PARTITIONS_MAX}"));
            }
        }
        if kafka.brokers.trim().is_empty() {
            return Err("kafka.brokers is empty: expected host:port, with commas between".to_owned());
        }
        if let Some(store) = &config.store {
            if store.nodes.split(',').any(|node| node.trim().is_empty()) {
                return Err("store.nodes: expected host:port, with commas between".to_owned());
            }
            if !is_keyspace(&store.keyspace) {
                return Err(format!("store.keyspace = {:?}: expected lower case, digits, _", store.keyspace));
            }
            if store.replication == 0 {
                return Err("store.replication = 0: expected at least 1".to_owned());
            }
            if store.user.is_some() != store.password.is_some() {
                return Err("store.user and store.password belong together".to_owned());
            }
        }
        Ok(Self { public_url, ..config })
    }

    /// What mail is sent with. None: none is.
    pub fn mail(&self) -> Result<Option<MailConfig>, String> {
        mail(self.smtp.as_deref(), self.smtp_password_file.as_deref(), self.mail_from.as_deref())
    }

    /// What each site may send through one gateway.
    pub fn quota(&self) -> Result<Quota, String> {
        let wanted = Wanted {
            bytes_per_s: self.quota_bytes_per_s,
            bytes_burst: self.quota_bytes_burst,
            signals_per_s: self.quota_signals_per_s,
            signals_burst: self.quota_signals_burst,
        };
        wanted.checked().map_err(|(name, value, least)| format!("{name} = {value}: expected at least {least}"))
    }

    /// Name of this process among those of its role.
    pub fn instance(&self) -> Result<String, CliError> {
        if let Some(instance) = &self.instance {
            return Ok(instance.clone());
        }
        let name = host_name();
        match name.as_str() {
            "" => Err(CliError::wrong_use("the host has no name: set instance in the file, another for each process")),
            _ => Ok(name),
        }
    }

    /// The store's settings, if there is a store.
    pub fn store(&self) -> Option<StoreConfig> {
        let store = self.store.clone()?;
        Some(StoreConfig {
            keyspace: store.keyspace,
            replication: store.replication,
            local_datacenter: store.local_datacenter,
            credentials: store.user.zip(store.password),
            tls_ca: store.tls_ca,
            ..StoreConfig::new(store.nodes.split(',').map(str::trim))
        })
    }

    /// The log's settings.
    pub fn kafka(&self) -> KafkaConfig {
        let kafka = self.kafka.clone();
        KafkaConfig {
            brokers: kafka.brokers,
            prefix: kafka.prefix,
            signals_partitions: kafka.signals_partitions,
            detections_partitions: kafka.detections_partitions,
            changelog_partitions: kafka.changelog_partitions,
            replication: kafka.replication,
            properties: kafka.properties,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "audience = \"a\"\npublic-url = \"https://in.example.com\"\nsecrets = \"s\"\n";

    #[test]
    fn the_least_file_has_defaults() {
        let config = Config::parse(&format!("{LEAST}[kafka]\nbrokers = \"b:9092\"")).unwrap();
        let kafka = config.kafka();
        assert_eq!((kafka.signals_partitions, kafka.changelog_partitions, kafka.replication), (16, 64, 3));
        assert_eq!(config.store(), None);
        assert_eq!((config.listen.port(), config.log.as_str(), config.tls_cert), (8080, "info", None));
    }

    #[test]
    fn quotas_can_be_set_one_by_one() {
        let file =
            format!("{LEAST}quota-signals-per-s = 7\nquota-bytes-burst = 2000000\n[kafka]\nbrokers = \"b:9092\"");
        let expected = Quota { signals_per_s: 7, bytes_burst: 2_000_000, ..Quota::default() };
        assert_eq!(Config::parse(&file).unwrap().quota(), Ok(expected));
    }

    #[test]
    fn a_store_is_described_in_full() {
        let config = format!("{LEAST}[kafka]\nbrokers = \"b:9092\"\n[store]\nnodes = \"c-1:9042, c-2:9042\"");
        let expected = StoreConfig::new(["c-1:9042", "c-2:9042"]);
        assert_eq!(Config::parse(&config).unwrap().store(), Some(expected.clone()));
        let config = format!(
            "{config}\nkeyspace = \"k\"\nreplication = 1\nlocal-datacenter = \"eu\"\nuser = \"me\"\npassword = \"s3cret\"\n\
             tls-ca = \"ca.pem\""
        );
        let config = Config::parse(&config).unwrap();
        let expected = StoreConfig {
            keyspace: "k".to_owned(),
            replication: 1,
            local_datacenter: Some("eu".to_owned()),
            credentials: Some(("me".to_owned(), "s3cret".to_owned())),
            tls_ca: Some("ca.pem".into()),
            ..expected
        };
        assert_eq!(config.store(), Some(expected));
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn wrong_settings_say_what_is_expected() {
        let kafka = "[kafka]\nbrokers = \"b:9092\"";
        for (file, says) in [
            (LEAST.to_owned(), "missing field `kafka`"),
            (format!("{LEAST}lisen = 1\n{kafka}"), "unknown field `lisen`"),
            (format!("{LEAST}tls-cert = \"c\"\n{kafka}"), "belong together"),
            (format!("{LEAST}quota-signals-burst = 999\n{kafka}"), "quota-signals-burst = 999: expected at least 1000"),
            (format!("{LEAST}quota-bytes-per-s = 0\n{kafka}"), "quota-bytes-per-s = 0: expected at least 1"),
            (format!("{LEAST}quota-bytes-per-s = -1\n{kafka}"), "line 4: expected"),
            (format!("{LEAST}{kafka}\nsignals-partitions = 0"), "expected 1 to 1024"),
            (format!("{LEAST}{kafka}\nchangelog-partitions = 1025"), "expected 1 to 1024"),
            (format!("{LEAST}[kafka]\nbrokers = \" \""), "host:port"),
            (format!("{LEAST}{kafka}\n[store]\nnodes = \"\""), "host:port"),
            (format!("{LEAST}{kafka}\n[store]\nnodes = \"a:1\"\nkeyspace = \"K\""), "lower case"),
            (format!("{LEAST}{kafka}\n[store]\nnodes = \"a:1\"\nreplication = 0"), "at least 1"),
            (format!("{LEAST}{kafka}\n[store]\nnodes = \"a:1\"\nuser = \"me\""), "belong together"),
            (format!("{LEAST}{kafka}\n[store]\nnode = \"a:1\""), "unknown field"),
            (format!("{}{kafka}", LEAST.replace("https://in.example.com", "in")), "such as https://"),
            (format!("{}{kafka}", LEAST.replace("\"a\"", "\"a b\"")), "letters, digits"),
        ] {
            let error = Config::parse(&file).unwrap_err();
            assert!(error.contains(says), "{file}: {error}");
        }
    }
}

//! What `up` can be told: by flags, by the environment, or by a TOML file, under the same names.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use logystera_channels::email::server::MailConfig;
use logystera_ingest::core::quota::Quota;
use serde::Deserialize;

use crate::cli::{CliError, DATA_DEFAULT};
use logystera_control::deployment::is_audience;

use crate::installation::mail::mail;
use crate::listen;
use crate::serve::quota::Wanted;
use logystera_sender::target::base_url;

/// Run everything in one process, on a folder
///
/// Gateway, rules and alerter, with the log and the state in one folder. It needs no other service. SIGTERM or Ctrl-C stops
/// it: what was acknowledged is on disk, what is in the air is finished.
#[derive(clap::Args, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[command(after_help = "Examples:
  logystera up --demo                 the whole story in one terminal
  logystera up --data /var/lib/logystera
  logystera up --rules my-rules/      they hold until others are named
  logystera up --rules default        back to the default pack
  logystera up --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem \\
    --public-url https://in.example.com:8443
  logystera up --smtp smtp://alerts%40example.com@mail.example.com:587 \\
    --smtp-password-file password --mail-from alerts@example.com

Every flag can stand in a TOML file (listen = \"0.0.0.0:8443\"), named by --config; a flag or a variable wins over it.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// TOML file with any of these settings
    #[serde(skip)]
    #[arg(long, value_name = "FILE", env = "LOGYSTERA_CONFIG")]
    config: Option<PathBuf>,
    /// Folder with the log and the state; made where it is missing [default: logystera.data]
    #[arg(long, value_name = "DIR", env = "LOGYSTERA_DATA")]
    data: Option<PathBuf>,
    /// Where senders connect: an address and a port, or a port of this machine [default: 127.0.0.1:8080]
    #[serde(deserialize_with = "listen::of_file")]
    #[arg(long, value_name = "ADDRESS", env = "LOGYSTERA_LISTEN", value_parser = listen::parse)]
    listen: Option<SocketAddr>,
    /// Where operators connect: health and metrics [default: 127.0.0.1:8081]
    #[serde(deserialize_with = "listen::of_file")]
    #[arg(long, value_name = "ADDRESS", env = "LOGYSTERA_ADMIN_LISTEN", value_parser = listen::parse)]
    admin_listen: Option<SocketAddr>,
    /// Rules of all sites: a YAML file, a folder of them, or `default` for the default pack [default: those that were published last; in a
    /// new folder the default pack]
    #[arg(long, value_name = "PATH", env = "LOGYSTERA_RULES")]
    rules: Option<PathBuf>,
    /// Name of this deployment: a batch signed for another is refused [default: a name drawn for the folder]
    #[arg(long, value_name = "NAME", env = "LOGYSTERA_AUDIENCE")]
    audience: Option<String>,
    /// Address that senders and readers of alerts use [default: the one it listens on]
    #[arg(long, value_name = "URL", env = "LOGYSTERA_PUBLIC_URL")]
    public_url: Option<String>,
    /// Certificate chain, PEM: serve TLS
    #[arg(long, value_name = "FILE", env = "LOGYSTERA_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate, PEM
    #[arg(long, value_name = "FILE", env = "LOGYSTERA_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Let channels point to this machine and to private networks, and to plain http
    #[arg(long, env = "LOGYSTERA_ALLOW_PRIVATE_ADDRESSES", value_parser = BoolishValueParser::new())]
    allow_private_addresses: bool,
    /// Mail server: `smtp://USER@HOST:587` (STARTTLS), `smtps://USER@HOST:465`, or `smtp+plain://127.0.0.1:25` on this machine
    #[arg(long, value_name = "URL", env = "LOGYSTERA_SMTP")]
    smtp: Option<String>,
    /// File with the password of the mail server's user
    #[arg(long, value_name = "FILE", env = "LOGYSTERA_SMTP_PASSWORD_FILE")]
    smtp_password_file: Option<PathBuf>,
    /// Whom mail comes from
    #[arg(long, value_name = "ADDRESS", env = "LOGYSTERA_MAIL_FROM")]
    mail_from: Option<String>,
    /// Signals that each site may send a second [default: 20000]
    #[arg(long, value_name = "N", env = "LOGYSTERA_QUOTA_SIGNALS_PER_S")]
    quota_signals_per_s: Option<u32>,
    /// Signals that a site may have saved up, to send in one go [default: 1000000]
    #[arg(long, value_name = "N", env = "LOGYSTERA_QUOTA_SIGNALS_BURST")]
    quota_signals_burst: Option<u32>,
    /// Bytes of batches that each site may send a second [default: 4194304]
    #[arg(long, value_name = "N", env = "LOGYSTERA_QUOTA_BYTES_PER_S")]
    quota_bytes_per_s: Option<u32>,
    /// Bytes that a site may have saved up, to send in one go [default: 268435456]
    #[arg(long, value_name = "N", env = "LOGYSTERA_QUOTA_BYTES_BURST")]
    quota_bytes_burst: Option<u32>,
    /// What is logged to standard error, as a level or target=level with commas between [default: info]
    #[arg(long, value_name = "FILTER", env = "LOGYSTERA_LOG")]
    log: Option<String>,
    /// Log JSON, one object a line
    #[arg(long, env = "LOGYSTERA_LOG_JSON", value_parser = BoolishValueParser::new())]
    log_json: bool,
    /// Go on with data that was put back to an earlier state: what was acknowledged since is given up
    #[serde(skip)]
    #[arg(long)]
    accept_rollback: bool,
    /// Show the whole story: a site that misbehaves after half a minute, and a receiver that prints the alert
    #[serde(skip)]
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_key"])]
    demo: bool,
}

/// The settings of a run, complete and checked.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Config {
    pub(super) data: PathBuf,
    pub(super) listen: SocketAddr,
    pub(super) admin_listen: SocketAddr,
    pub(super) rules: Option<PathBuf>,
    pub(super) audience: Option<String>,
    pub(super) public_url: Option<String>,
    pub(super) tls: Option<(PathBuf, PathBuf)>,
    pub(super) allow_private_addresses: bool,
    pub(super) mail: Option<MailConfig>,
    pub(super) quota: Quota,
    pub(super) log: String,
    pub(super) log_json: bool,
    pub(super) demo: bool,
    pub(super) accept_rollback: bool,
}

impl Config {
    pub(super) fn new(args: Args) -> Result<Self, CliError> {
        let file = match &args.config {
            None => Args::default(),
            Some(path) => {
                let failed =
                    |error: &dyn std::fmt::Display| CliError::wrong_use(format!("{}: {error}", path.display()));
                let text = std::fs::read_to_string(path).map_err(|e| failed(&e))?;
                toml::from_str(&text).map_err(|e| failed(&e))?
            }
        };
        Self::checked(args, file)
    }

    fn checked(args: Args, file: Args) -> Result<Self, CliError> {
        let quota = quota(&args, &file)?;
        let mail = mail(
            args.smtp.as_deref().or(file.smtp.as_deref()),
            args.smtp_password_file.as_deref().or(file.smtp_password_file.as_deref()),
            args.mail_from.as_deref().or(file.mail_from.as_deref()),
        );
        let mail = mail.map_err(|what| CliError::wrong_use(format!("--{what}")))?;
        let demo = args.demo;
        let data = match args.data.or(file.data) {
            Some(data) => data,
            None if demo => demo_folder(),
            None => DATA_DEFAULT.into(),
        };
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let public_url = match args.public_url.or(file.public_url) {
            None => None,
            Some(url) => Some(base_url(&url).ok_or_else(|| {
                CliError::wrong_use(format!(
                    "--public-url {url}: expected scheme and host, such as https://in.example.com"
                ))
            })?),
        };
        let audience = args.audience.or(file.audience);
        if let Some(audience) = audience.as_ref().filter(|a| !is_audience(a)) {
            let expected = "1 to 64 of letters, digits, - _ .";
            return Err(CliError::wrong_use(format!("--audience {audience}: expected {expected}")));
        }
        let tls = match (args.tls_cert.or(file.tls_cert), args.tls_key.or(file.tls_key)) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            _ => return Err(CliError::wrong_use("tls-cert and tls-key belong together")),
        };
        if let (Some(url), Some(_)) = (public_url.as_ref().filter(|url| url.starts_with("http://")), &tls) {
            return Err(CliError::wrong_use(format!(
                "--public-url {url}: with a certificate senders speak TLS to this address; write https://"
            )));
        }
        // The story is on standard output: only what is wrong may stand between its lines.
        let log_default = if demo { "warn" } else { "info" };
        Ok(Self {
            data,
            listen: args.listen.or(file.listen).unwrap_or_else(|| local(8080)),
            admin_listen: args.admin_listen.or(file.admin_listen).unwrap_or_else(|| local(8081)),
            rules: args.rules.or(file.rules),
            audience,
            public_url,
            tls,
            quota,
            mail,
            allow_private_addresses: args.allow_private_addresses || file.allow_private_addresses || demo,
            log: args.log.or(file.log).unwrap_or_else(|| log_default.to_owned()),
            log_json: args.log_json || file.log_json,
            demo,
            accept_rollback: args.accept_rollback,
        })
    }
}

/// What each site may send.
fn quota(args: &Args, file: &Args) -> Result<Quota, CliError> {
    let wanted = Wanted {
        bytes_per_s: args.quota_bytes_per_s.or(file.quota_bytes_per_s),
        bytes_burst: args.quota_bytes_burst.or(file.quota_bytes_burst),
        signals_per_s: args.quota_signals_per_s.or(file.quota_signals_per_s),
        signals_burst: args.quota_signals_burst.or(file.quota_signals_burst),
    };
    let quota = wanted.checked();
    quota.map_err(|(name, value, least)| CliError::wrong_use(format!("--{name} {value}: expected at least {least}")))
}

/// A fresh folder, so that the demo always tells the same story. It stays, to look into it afterwards.
fn demo_folder() -> PathBuf {
    let number = u32::from_le_bytes(logystera_infra::secrets::random_bytes());
    std::env::temp_dir().join(format!("logystera-demo-{number:08x}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn config(line: &[&str], file: &str) -> Result<Config, CliError> {
        let args = Line::try_parse_from([&["up"], line].concat()).map_err(CliError::wrong_use)?.args;
        Config::checked(args, toml::from_str(file).map_err(CliError::wrong_use)?)
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = "listen = \"0.0.0.0:1\"\nadmin-listen = \"2\"\nallow-private-addresses = true";
        let config = config(&["--listen", "127.0.0.1:9"], file).unwrap();
        assert_eq!((config.listen.port(), config.admin_listen.port(), config.allow_private_addresses), (9, 2, true));
        assert_eq!((config.data.to_str(), config.log.as_str()), (Some("logystera.data"), "info"));
    }

    #[test]
    fn quotas_can_be_set_one_by_one() {
        let config =
            config(&["--quota-signals-per-s", "7"], "quota-signals-per-s = 1\nquota-bytes-burst = 2000000").unwrap();
        let expected = Quota { signals_per_s: 7, bytes_burst: 2_000_000, ..Quota::default() };
        assert_eq!(config.quota, expected);
        let shown = Line::try_parse_from(["up", "--help"]).err().map(|help| help.to_string()).unwrap_or_default();
        let Quota { bytes_per_s, bytes_burst, signals_per_s, signals_burst } = Quota::default();
        for default in [bytes_per_s, bytes_burst, signals_per_s, signals_burst] {
            assert!(shown.contains(&format!("[default: {default}]")), "{default}: {shown}");
        }
    }

    #[test]
    fn wrong_settings_are_refused_with_what_is_expected() {
        for (line, file, says) in [
            (&["--audience", "a b"][..], "", "letters, digits"),
            (&["--public-url", "in.example.com"], "", "such as https://"),
            (&["--tls-cert", "c.pem"], "", "--tls-key"),
            (&[], "tls-cert = \"c.pem\"", "belong together"),
            (&["--quota-signals-burst", "999"], "", "--quota-signals-burst 999: expected at least 1000"),
            (&[], "quota-bytes-per-s = 0", "expected at least 1"),
            (
                &["--public-url", "http://in.example.com", "--tls-cert", "c.pem", "--tls-key", "k.pem"],
                "",
                "write https://",
            ),
            (&["--listen", "0.0.0.0"], "", "the port is missing: 0.0.0.0:8080"),
            (&[], "admin-listen = \":8081\"", "expected ADDRESS:PORT"),
            (&[], "listne = \"0.0.0.0:1\"", "unknown field `listne`"),
            (&[], "demo = true", "unknown field `demo`"),
        ] {
            let error = config(line, file).unwrap_err();
            assert!(error.message.contains(says) && error.code == 2, "{line:?} {file:?}: {error}");
        }
    }
}

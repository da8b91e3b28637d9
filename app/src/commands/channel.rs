//! `logystera channel`: where alerts go.

mod list;
mod preview;
mod set;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use logystera_alerter::core::{ChannelStatus, Condition};
use logystera_infra::secrets::{MASTER_KEY_FILE, MasterKey};
use logystera_schemas::control::ChannelKind;
use logystera_schemas::delivery::AttemptOutcome;
use serde_json::json;

use logystera_control::channels::{IssuedChannel, Tested};
use logystera_control::{Answer, Request, TENANT_DEFAULT};

use crate::cli::{CliError, CreateArgs, DONE, FINDING, Out, PlaceArgs, finish};
use crate::installation::ask::ask_with_mail;
use crate::installation::channels::WHO_ALLOWS_PRIVATE;
use crate::installation::mail::MailArgs;
use crate::installation::open::open_log;
use list::Known;
use preview::{Preview, sample_of};
use set::SetArgs;

/// Add, list, test, set, switch on and remove the channels that alerts go to
///
/// A webhook gets each alert as JSON, signed as Standard Webhooks says (standardwebhooks.com): its secret is shown once, when
/// it is added. Slack, Microsoft Teams and mail get it as their people read it.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  logystera channel add webhook https://example.com/logystera
  logystera channel add slack https://hooks.slack.com/services/T000/B000/XXXX
  logystera channel add teams https://example.com/workflows/XXXX
  logystera channel add email ops@example.com
  logystera channel list                    where alerts go, and how they fare
  logystera channel preview slack           what would be sent
  logystera channel test ch_0123456789      send a message, say how it fared
  logystera channel set ch_0123456789 --severity critical
  logystera channel enable ch_0123456789    once its receiver is back
  logystera channel remove ch_0123456789

They work whether `logystera up` is running on the folder or not.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Add a channel, and print its secret if its kind has one
    #[command(subcommand)]
    Add(Kind),
    /// Print what a kind would be sent for a sample alert; it needs no installation
    #[command(after_help = "Examples:
  logystera channel preview slack
  logystera channel preview teams --bundle
  logystera channel preview email --html > mail.html")]
    Preview {
        /// What to show
        kind: Preview,
        /// Several alerts of a rule in one message
        #[arg(long, conflicts_with = "digest")]
        bundle: bool,
        /// What was more than the channel takes a minute
        #[arg(long)]
        digest: bool,
        /// The HTML of a mail instead of its text
        #[arg(long)]
        html: bool,
    },
    /// List the channels, with their state
    #[command(after_help = "Example:
  logystera channel list")]
    List,
    /// Send a test message through a channel
    #[command(after_help = "Example:
  logystera channel test ch_0123456789")]
    Test {
        /// Id of the channel
        channel: String,
        #[command(flatten)]
        mail: MailArgs,
    },
    /// Say what a channel gets, and when it is left alone
    #[command(after_help = set::EXAMPLES)]
    Set {
        /// Id of the channel
        channel: String,
        #[command(flatten)]
        set: SetArgs,
    },
    /// Switch a channel on again, or end its pause
    #[command(after_help = "Example:
  logystera channel enable ch_0123456789")]
    Enable {
        /// Id of the channel
        channel: String,
    },
    /// Remove a channel: what still waits for it is not sent
    #[command(after_help = "Example:
  logystera channel remove ch_0123456789")]
    Remove {
        /// Id of the channel
        channel: String,
    },
}

#[derive(Subcommand)]
enum Kind {
    /// JSON over HTTPS, signed
    #[command(after_help = "Example:
  logystera channel add webhook https://example.com/logystera")]
    Webhook {
        /// Where alerts are posted
        url: String,
        #[command(flatten)]
        new: NewArgs,
    },
    /// A channel of Slack, by its incoming webhook
    #[command(after_help = "Example:
  logystera channel add slack https://hooks.slack.com/services/T000/B000/XXXX")]
    Slack {
        /// Address of the incoming webhook
        url: String,
        #[command(flatten)]
        new: NewArgs,
    },
    /// A channel or chat of Microsoft Teams, by a workflow that posts what it is sent
    #[command(after_help = "Example:
  logystera channel add teams https://example.com/workflows/XXXX")]
    Teams {
        /// Address of the workflow
        url: String,
        #[command(flatten)]
        new: NewArgs,
    },
    /// Mail, through the server that `logystera up --smtp` names
    #[command(after_help = "Example:
  logystera channel add email ops@example.com on-call@example.com")]
    Email {
        /// Whom each alert goes to: one mail to all of them
        #[arg(required = true)]
        addresses: Vec<String>,
        #[command(flatten)]
        new: NewArgs,
        #[command(flatten)]
        mail: MailArgs,
    },
}

/// What every new channel can be told.
#[derive(clap::Args)]
struct NewArgs {
    /// Whose alerts
    #[arg(long, default_value = TENANT_DEFAULT)]
    tenant: String,
    #[command(flatten)]
    create: CreateArgs,
}

impl Kind {
    fn request(&self) -> (Request, bool) {
        let (kind, to, new) = match self {
            Self::Webhook { url, new } => (ChannelKind::Webhook, vec![url.clone()], new),
            Self::Slack { url, new } => (ChannelKind::Slack, vec![url.clone()], new),
            Self::Teams { url, new } => (ChannelKind::Teams, vec![url.clone()], new),
            Self::Email { addresses, new, .. } => (ChannelKind::Email, addresses.clone(), new),
        };
        (Request::ChannelAdd { kind: kind.to_string(), to, tenant: new.tenant.clone() }, new.create.create)
    }
}

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    finish("channel", channel(args))
}

fn channel(args: &Args) -> Result<u8, CliError> {
    let dir = &args.place.data.data;
    let (request, create) = match &args.command {
        Command::List => {
            let log = open_log(&args.place.data, &args.place.cluster)?;
            let directory = log.directory()?;
            list::print(&directory, &Known::read(&*log, &directory, master(args)?)?, &args.place)?;
            return Ok(DONE);
        }
        Command::Preview { kind, bundle, digest, html } => {
            preview::print(*kind, sample_of(*bundle, *digest), *html)?;
            return Ok(DONE);
        }
        Command::Add(kind) => kind.request(),
        Command::Test { channel, .. } => (Request::ChannelTest { channel: channel.clone() }, false),
        Command::Set { channel, set } => (set.request(channel)?, false),
        Command::Enable { channel } => (Request::ChannelEnable { channel: channel.clone() }, false),
        Command::Remove { channel } => (Request::ChannelRemove { channel: channel.clone() }, false),
    };
    let mut out = Out::new();
    let mut code = DONE;
    let mail = || match &args.command {
        Command::Add(Kind::Email { mail, .. }) | Command::Test { mail, .. } => {
            mail.config().map_err(|what| CliError::wrong_use(format!("--{what}")))
        }
        _ => Ok(None),
    };
    match ask_with_mail(dir, &args.place.cluster, &request, create, &mail)? {
        Answer::Channel(channel) if args.place.json => out.json(&channel)?,
        Answer::Channel(channel) => print_channel(&mut out, args, &channel)?,
        Answer::Tested(tested) => {
            let status = status_of_tested(args)?;
            let is_off = status.as_ref().is_some_and(|s| matches!(s.condition, Condition::SwitchedOff { .. }));
            code = if tested.delivered && !is_off { DONE } else { FINDING };
            if args.place.json {
                let mut told = json!(tested);
                if let Some(told) = told.as_object_mut() {
                    told.extend(list::state(status.as_ref()));
                }
                out.json(&told)?;
            } else {
                print_tested(&mut out, &tested)?;
                print_state(&mut out, args, status.as_ref())?;
            }
        }
        Answer::Enabled if args.place.json => out.json(&json!({"enabled": true}))?,
        Answer::Enabled => {
            out.line(
                "It is on: what waits is tried now, and what comes goes there. Alerts that were given up before stay unsent.",
            )?;
        }
        Answer::Set { is_default, is_fallback } if args.place.json => {
            out.json(&json!({"set": true, "default": is_default, "fallback": is_fallback}))?;
        }
        Answer::Set { is_fallback: true, .. } => {
            out.line("From now on it gets what no other channel of its tenant took, and nothing else.")?;
        }
        Answer::Set { is_default: true, .. } => out.line("From now on it gets every alert of its tenant.")?,
        Answer::Set { .. } => {
            let flags = args.place.flags();
            out.line(format_args!("From now on it gets what `logystera channel list{flags}` says."))?;
        }
        Answer::Removed { left } if args.place.json => out.json(&json!({"removed": true, "channels_left": left}))?,
        Answer::Removed { left: 0 } => {
            out.line("Removed. Its tenant has no other channel: alerts are recorded, and sent nowhere.")?;
        }
        Answer::Removed { left } => out.line(format_args!("Removed. Its tenant's channels left: {left}."))?,
        _ => return Err(CliError::not_available("the running logystera gave an answer to something else")),
    }
    out.flush()?;
    Ok(code)
}

fn print_channel(out: &mut Out, args: &Args, channel: &IssuedChannel) -> Result<(), CliError> {
    out.line(format_args!("tenant   {}", channel.tenant))?;
    out.line(format_args!("channel  {}", channel.channel))?;
    out.line(format_args!("kind     {}", channel.kind))?;
    if let Some(url) = &channel.url {
        out.line(format_args!("url      {url}"))?;
    }
    if !channel.addresses.is_empty() {
        out.line(format_args!("to       {}", channel.addresses.join(", ")))?;
    }
    if let Some(secret) = &channel.secret {
        out.line(format_args!("secret   {secret}"))?;
    }
    out.line("")?;
    match channel.secret {
        Some(_) => {
            out.line("The secret is not shown again: the receiver checks each message's signature with it. Try it:")?;
        }
        None => out.line("Try it:")?,
    }
    out.line(format_args!("  logystera channel test {}{}", channel.channel, args.place.flags()))?;
    Ok(())
}

fn print_tested(out: &mut Out, tested: &Tested) -> Result<(), CliError> {
    let status = tested.status.map_or(String::new(), |status| format!(", HTTP status {status}"));
    let cause = tested.cause.as_ref().map(|cause| cause.replace('_', " ")).or_else(|| tested.detail.clone());
    let cause = cause.map_or(String::new(), |cause| format!(" ({cause})"));
    // What was not reached did not fail by itself.
    let is_reached = tested.cause.is_none() || tested.outcome != AttemptOutcome::Failed.as_str();
    let outcome = if is_reached { tested.outcome.replace('_', " ") } else { "unreachable".to_owned() };
    out.line(format_args!("{outcome}{cause}{status}, after {} ms", tested.duration_ms))?;
    if tested.outcome == "address_forbidden" {
        out.line(format_args!(
            "Addresses of this machine and of private networks are not called; {WHO_ALLOWS_PRIVATE}."
        ))?;
    }
    Ok(())
}

/// What alerts meet with that a test does not.
fn print_state(out: &mut Out, args: &Args, status: Option<&ChannelStatus>) -> Result<(), CliError> {
    let Command::Test { channel, .. } = &args.command else { return Ok(()) };
    match status {
        None | Some(ChannelStatus { condition: Condition::Working, .. }) => {}
        Some(ChannelStatus { condition: Condition::SwitchedOff { .. }, .. }) => {
            out.line(format_args!(
                "But the channel is switched off, and gets no alerts: logystera channel enable {channel}{}",
                args.place.flags()
            ))?;
        }
        Some(status) => {
            out.line(format_args!(
                "Alerts: {}. To try it now: logystera channel enable {channel}{}",
                list::text(status),
                args.place.flags()
            ))?;
        }
    }
    Ok(())
}

fn status_of_tested(args: &Args) -> Result<Option<ChannelStatus>, CliError> {
    let Command::Test { channel, .. } = &args.command else { return Ok(None) };
    let log = open_log(&args.place.data, &args.place.cluster)?;
    let directory = log.directory()?;
    let known = Known::read(&*log, &directory, None)?;
    Ok(directory.channel(channel).and_then(|channel| known.status(channel)))
}

/// The key that opens the addresses. None: it is not there.
fn master(args: &Args) -> Result<Option<MasterKey>, CliError> {
    let folder = secrets_folder(args)?;
    if !folder.join(MASTER_KEY_FILE).exists() {
        return Ok(None);
    }
    MasterKey::load_or_create(&folder).map(Some).map_err(CliError::not_available)
}

#[cfg_attr(
    not(feature = "kafka"),
    expect(clippy::unnecessary_wraps, reason = "a cluster's settings can be unreadable")
)]
fn secrets_folder(args: &Args) -> Result<PathBuf, CliError> {
    #[cfg(feature = "kafka")]
    if let Some(file) = &args.place.cluster.config {
        return Ok(crate::installation::config::Config::read(file)?.secrets);
    }
    Ok(args.place.data.data.clone())
}

//! `logystera channel`: where alerts go.

use std::process::ExitCode;

use clap::Subcommand;
use logystera_infra::control::Directory;
use serde_json::json;

use crate::admin::{Answer, IssuedChannel, Request, TENANT_DEFAULT, Tested, ask};
use crate::cli::{CliError, ClusterArgs, CreateArgs, DONE, DataArgs, FINDING, Out, finish};
use crate::site::table;
use crate::{reading, when};

/// Add, list, test and remove the channels that alerts go to
///
/// A webhook gets each alert as JSON, signed as Standard Webhooks says (standardwebhooks.com): its secret is shown once, when
/// it is added.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  logystera channel add webhook https://example.com/logystera
  logystera channel list
  logystera channel test ch_0123456789          send a message, and say how it fared
  logystera channel remove ch_0123456789

They work whether `logystera up` is running on the folder or not.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Add a channel, and print its secret
    #[command(subcommand)]
    Add(Kind),
    /// List the channels
    List,
    /// Send a test message through a channel
    Test {
        /// Id of the channel
        channel: String,
    },
    /// Remove a channel: what still waits for it is not sent
    Remove {
        /// Id of the channel
        channel: String,
    },
}

#[derive(Subcommand)]
enum Kind {
    /// JSON over HTTPS, signed
    Webhook {
        /// Where alerts are posted
        url: String,
        /// Whose alerts
        #[arg(long, default_value = TENANT_DEFAULT)]
        tenant: String,
        #[command(flatten)]
        create: CreateArgs,
    },
}

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    finish("channel", channel(args))
}

fn channel(args: &Args) -> Result<u8, CliError> {
    let dir = &args.data.data;
    let (request, create) = match &args.command {
        Command::List => {
            list(&reading::open(&args.data, &args.cluster)?.directory()?, args.json)?;
            return Ok(DONE);
        }
        Command::Add(Kind::Webhook { url, tenant, create }) => {
            (Request::ChannelAdd { url: url.clone(), tenant: tenant.clone() }, create.create)
        }
        Command::Test { channel } => (Request::ChannelTest { channel: channel.clone() }, false),
        Command::Remove { channel } => (Request::ChannelRemove { channel: channel.clone() }, false),
    };
    let mut out = Out::new();
    let mut code = DONE;
    match ask(dir, &args.cluster, &request, create)? {
        Answer::Channel(channel) if args.json => out.json(&channel)?,
        Answer::Channel(channel) => print_channel(&mut out, &channel)?,
        Answer::Tested(tested) => {
            code = if tested.delivered { DONE } else { FINDING };
            if args.json { out.json(&tested)? } else { print_tested(&mut out, &tested)? }
        }
        Answer::Removed { left } if args.json => out.json(&json!({"removed": true, "channels_left": left}))?,
        Answer::Removed { left: 0 } => {
            out.line("Removed. Its tenant has no other channel: alerts are recorded, and sent nowhere.")?;
        }
        Answer::Removed { left } => out.line(format_args!("Removed. Its tenant's channels left: {left}."))?,
        _ => return Err(CliError::not_available("the running logystera gave an answer to something else")),
    }
    out.flush()?;
    Ok(code)
}

fn print_channel(out: &mut Out, channel: &IssuedChannel) -> Result<(), CliError> {
    out.line(format_args!("tenant   {}", channel.tenant))?;
    out.line(format_args!("channel  {}", channel.channel))?;
    out.line(format_args!("url      {}", channel.url))?;
    out.line(format_args!("secret   {}", channel.secret))?;
    out.line("")?;
    out.line("The secret is not shown again: the receiver checks each message's signature with it. Try it:")?;
    out.line(format_args!("  logystera channel test {}", channel.channel))?;
    Ok(())
}

fn print_tested(out: &mut Out, tested: &Tested) -> Result<(), CliError> {
    let status = tested.status.map_or(String::new(), |status| format!(", HTTP status {status}"));
    let outcome = tested.outcome.replace('_', " ");
    out.line(format_args!("{outcome}{status}, after {} ms", tested.duration_ms))?;
    if tested.outcome == "address_forbidden" {
        out.line("Addresses of this machine and of private networks are not called; `logystera up --allow-private-addresses` allows it.")?;
    }
    Ok(())
}

fn list(directory: &Directory, json: bool) -> Result<(), CliError> {
    let mut out = Out::new();
    let mut rows = vec![["CHANNEL", "KIND", "TENANT", "CREATED"].map(str::to_owned)];
    for tenant in directory.tenants() {
        for channel in directory.channels(&tenant.tenant) {
            let (id, kind, created_at) = (&channel.channel, channel.kind, channel.created_at);
            if json {
                out.json(&json!({"channel": id, "kind": kind, "tenant": tenant.tenant, "created_at": created_at}))?;
            } else {
                let columns = [id.as_str(), kind.as_str(), tenant.tenant.as_str(), &when::show(created_at)];
                rows.push(columns.map(str::to_owned));
            }
        }
    }
    match (json, rows.len()) {
        (true, _) => {}
        (false, 1) => out.line("No channels yet. Add one: logystera channel add webhook URL")?,
        (false, _) => table(&mut out, &rows)?,
    }
    out.flush()?;
    Ok(())
}

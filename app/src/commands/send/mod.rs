//! `logystera send`: the reference sender, as a command.

pub mod target_args;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use logystera_ingest::core::admit::{self, Terms};
use logystera_schemas::limits::{
    FLUSH_EVERY_S_DEFAULT, FLUSH_EVERY_S_MAX, SEND_BACKOFF_MS, SEND_PAUSE_MS_MAX, SIGNAL_AGE_MS_MAX,
};
use logystera_sender::dry::{self, DryRun, Refused};
use logystera_sender::file::Plan;
use logystera_sender::interrupt::Interrupt;
use logystera_sender::progress::{batches, no_signals};
use logystera_sender::report::SendReport;
use logystera_sender::target::TargetError;
use logystera_sender::{Options, is_spool};
use serde_json::json;

use crate::cli::counted;
use crate::when;
use target_args::TargetArgs;

/// Send signals to a gateway, from a file or a stream
///
/// Each line of the input is one signal, a JSON object with its type, its time and its fields. A file is sorted by time and cut into batches, which wait in a folder (the spool) until the gateway has them: stop it,
/// start it again, and it goes on where it was. A file that was sent and has grown since goes on behind what was sent.
#[derive(clap::Args)]
#[command(after_help = "A signal:
  {\"type\":\"cron.run\",\"at\":1767225599000,\"job\":\"wp_version_check\",\"outcome\":\"ok\"}

Examples:
  logystera send signals.ndjson --dsn-file site.dsn
  logystera send signals.ndjson --dsn-file site.dsn --dry-run
  logystera send old.ndjson --dsn-file site.dsn --rebase-time
  tail -F signals.ndjson |
    logystera send - --dsn-file site.dsn --follow --spool /var/spool/logystera

Exit codes: 0 all signals were taken; 1 some were not; 2 wrong use; 3 the gateway was not to be had, or closed the site; 130 interrupted.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// File of signals, one JSON object a line; - for standard input
    #[arg(value_name = "FILE|-")]
    input: PathBuf,
    #[command(flatten)]
    target: TargetArgs,
    /// Folder for what is not sent yet, one for each site [default: beside the DSN's or the secret's file, with .spool or .follow.spool at its end]
    #[arg(long, value_name = "DIR", env = "LOGYSTERA_SPOOL")]
    spool: Option<PathBuf>,
    /// Send signals as they come, from standard input, until it ends
    #[arg(long)]
    follow: bool,
    /// Shift all times so that the last signal's is now
    #[arg(long, conflicts_with = "follow")]
    rebase_time: bool,
    /// Send all of the file, also what was sent before
    #[arg(long, conflicts_with = "follow")]
    again: bool,
    /// Say what would be sent, and which signals the gateway would refuse; send and write nothing
    #[arg(long, conflicts_with = "follow")]
    dry_run: bool,
    /// File with certificates (PEM) of an authority of your own that signed the gateway's
    #[arg(long, value_name = "FILE", env = "LOGYSTERA_CA_FILE")]
    ca: Option<PathBuf>,
    /// With --follow: speak at least so often, even if there is nothing to say
    #[arg(long, value_name = "SECONDS", default_value_t = FLUSH_EVERY_S_DEFAULT,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(FLUSH_EVERY_S_MAX)))]
    flush_every_s: u32,
    /// Exit with 3 rather than wait longer than this for a gateway; the spool stays
    #[arg(long, value_name = "SECONDS")]
    give_up_after_s: Option<u64>,
    /// Print what became of the signals as JSON on standard output
    #[arg(long)]
    json: bool,
    /// First back-off
    #[arg(long, hide = true, default_value_t = SEND_BACKOFF_MS)]
    backoff_ms: u64,
    /// Longest pause
    #[arg(long, hide = true, default_value_t = SEND_PAUSE_MS_MAX)]
    probe_ms: u64,
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("--follow reads standard input: tail -F FILE | logystera send - --follow …")]
    FollowFile,
    #[error("{}: no file that a spool can lie beside: give --spool DIR", .0.display())]
    NoSpool(PathBuf),
    #[error(transparent)]
    Sender(#[from] logystera_sender::SendError),
}

impl SendError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Target(_) | Self::FollowFile | Self::NoSpool(_) => 2,
            Self::Sender(error) if error.is_wrong_use() => 2,
            Self::Sender(_) => 3,
        }
    }
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "a subcommand's arguments are its own")]
pub fn run(args: Args) -> ExitCode {
    let interrupt = Interrupt::default();
    interrupt.listen(args.json);
    ExitCode::from(exit_code(&args, &interrupt))
}

fn exit_code(args: &Args, interrupt: &Interrupt) -> u8 {
    match send(args, std::io::stdin(), interrupt) {
        Ok(all_taken) => u8::from(!all_taken),
        Err(error) => {
            eprintln!("logystera send: {error}");
            error.exit_code()
        }
    }
}

/// Whether every line was a signal and every signal was taken.
fn send(args: &Args, stream: impl Read + Send + 'static, interrupt: &Interrupt) -> Result<bool, SendError> {
    let target = args.target.target()?;
    let options = options(args)?;
    if args.dry_run {
        let (url, site) = (target.url.clone(), target.site.clone());
        let would = dry::run(&options, would_refuse)?;
        tell_dry_run(args, &options, &would, &format!("{url} as site {site}"));
        return Ok(would.refused + would.malformed == 0);
    }
    let report = |told: &SendReport| {
        if args.json {
            println!("{}", told.json);
        }
    };
    Ok(logystera_sender::send(&options, target, stream, interrupt, report)?)
}

fn options(args: &Args) -> Result<Options, SendError> {
    Ok(Options {
        spool: spool_dir(args)?,
        input: args.input.clone(),
        follow: args.follow,
        rebase_time: args.rebase_time,
        again: args.again,
        ca: args.ca.clone(),
        flush_every_s: args.flush_every_s,
        give_up_after_s: args.give_up_after_s,
        backoff_ms: args.backoff_ms,
        probe_ms: args.probe_ms,
    })
}

/// One spool for each site and way of feeding it, beside the file that names the site. Versions before put one beside each file
/// of signals: where that is, it goes on.
fn spool_dir(args: &Args) -> Result<PathBuf, SendError> {
    let is_stdin = args.input == Path::new("-");
    if args.follow && !is_stdin {
        return Err(SendError::FollowFile);
    }
    if let Some(dir) = &args.spool {
        return Ok(dir.clone());
    }
    let beside = |path: &Path, end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let older = beside(&args.input, ".spool");
    if !is_stdin && is_spool(&older) {
        eprintln!("using {}, which an earlier version made", older.display());
        return Ok(older);
    }
    let named = args.target.dsn_file.as_ref().or(args.target.secret_file.as_ref());
    match named {
        Some(path) if path.is_file() => Ok(beside(path, if args.follow { ".follow.spool" } else { ".spool" })),
        _ => Err(SendError::NoSpool(named.cloned().unwrap_or_default())),
    }
}

/// Which signals of a batch the gateway would refuse: its own core is asked.
fn would_refuse(body: &[u8], now_ms: i64) -> Result<Refused, &'static str> {
    let terms = Terms { received_at: now_ms, signal_age_ms_max: SIGNAL_AGE_MS_MAX };
    let admitted = admit::admit(body, &terms).map_err(|fault| fault.refusal.row().code)?;
    let listed = admitted.refused.listed.iter();
    let listed = listed.map(|item| (item.index, item.code.code(), item.field.clone()));
    Ok(Refused { total: u64::from(admitted.refused.total()), listed: listed.collect() })
}

fn tell_dry_run(args: &Args, options: &Options, would: &DryRun, to: &str) {
    let dir = options.spool.display();
    let times = match (would.first_at, would.last_at) {
        (Some(first), Some(last)) => format!(", from {} to {}", when::show(first), when::show(last)),
        _ => String::new(),
    };
    eprintln!("dry run: nothing is sent, nothing is written");
    if would.waiting > 0 {
        eprintln!("first: {} of an earlier file, which wait in {dir}", batches(would.waiting));
    }
    match would.plan {
        Plan::GoOn | Plan::Nothing => eprintln!("this file was sent already; to send it once more: --again"),
        Plan::Behind(_) => eprintln!("the start of this file was sent already; what follows it is"),
        Plan::All => {}
    }
    let signals = counted(would.signals, "signal", "signals");
    eprintln!("{signals} in {}{times}, to {to}", batches(would.batches));
    let no_signals = if would.malformed > 0 { format!("; {}", no_signals(would.malformed)) } else { String::new() };
    eprintln!("{} of them would be refused{no_signals}", would.refused);
    if args.json {
        let report = json!({
            "dry_run": true, "signals": would.signals, "batches": would.batches, "refused": would.refused,
            "malformed": would.malformed, "waiting_batches": would.waiting, "first_at": would.first_at, "last_at": would.last_at,
            "spool_folder": dir.to_string(),
        });
        println!("{report}");
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod again_tests;

//! `logystera site`: sites and their signing keys.

mod keys;
mod set;
mod show;

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::Directory;
use logystera_schemas::limits::ROTATION_OVERLAP_DAYS;
use logystera_schemas::text::Shown;
use serde_json::json;

use logystera_control::sites::IssuedKey;
use logystera_control::{Answer, Request, TENANT_DEFAULT};

use crate::cli::{CliError, CreateArgs, DONE, Out, PlaceArgs, finish, table};
use crate::installation::ask::ask;
use crate::installation::open::open_log;
use crate::when;
use keys::{describe, key_object};
use logystera_sender::target::is_plain_abroad;
use set::SetArgs;

/// Add, show, set and close sites, and rotate or revoke their keys
///
/// A site is one monitored web application. Its integration signs each batch with one of the site's keys. A secret is shown
/// once, when its key is made.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  logystera site add \"My shop\"         print the DSN for the integration
  logystera site rotate-key my-shop    a new key; the old one ends in 7 days
  logystera site revoke-key my-shop k1
  logystera site set my-shop --url https://shop.example --label env=production
  logystera site close my-shop         for good: its alerts resolve
  logystera site list
  logystera site show my-shop          its keys and spools, what it waits for

They work whether `logystera up` is running on the folder or not.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(clap::Args)]
struct Keep {
    /// Write the DSN to this new file too, readable by its owner alone
    #[arg(long, value_name = "FILE")]
    dsn_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Add a site, and print its first key and its DSN
    #[command(after_help = "Examples:
  logystera site add \"My shop\"                  print the DSN to paste
  logystera site add \"My shop\" --dsn-file my-shop.dsn
  logystera site add \"My shop\" --id shop-eu     choose the id yourself")]
    Add {
        /// Name for people; the id is made from it
        name: String,
        /// Whose site it is
        #[arg(long, default_value = TENANT_DEFAULT)]
        tenant: String,
        /// Id of the site, given once and for good: 1 to 64 of a-z 0-9 _ - [default: made from the name]
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        keep: Keep,
        #[command(flatten)]
        create: CreateArgs,
    },
    /// Make a new key; the ones before it end after an overlap
    #[command(after_help = "Examples:
  logystera site rotate-key my-shop                   the old one ends in 7 days
  logystera site rotate-key my-shop --overlap-days 1 --dsn-file new.dsn")]
    RotateKey {
        /// Id of the site
        site: String,
        /// Days that the keys before it stay valid
        #[arg(long, default_value_t = ROTATION_OVERLAP_DAYS, value_parser = clap::value_parser!(u32).range(0..=90))]
        overlap_days: u32,
        #[command(flatten)]
        keep: Keep,
    },
    /// Refuse a key from now on
    #[command(after_help = "Examples:
  logystera site revoke-key my-shop k1           refused within 5 seconds
  logystera site revoke-key my-shop k1 --stolen  what came under it binds nobody")]
    RevokeKey {
        /// Id of the site
        site: String,
        /// Id of the key
        key: String,
        /// Somebody else has it: the numbers of what came under it are free again, and its spools make room
        #[arg(long)]
        stolen: bool,
    },
    /// Say what a site is called, where it is, and what it is sorted by
    #[command(after_help = set::EXAMPLES)]
    Set {
        /// Id of the site
        site: String,
        #[command(flatten)]
        set: SetArgs,
    },
    /// Close a site for good: what is firing resolves, its senders are told to stop. History stays; there is no way back
    #[command(after_help = "Example:
  logystera site close my-shop")]
    Close {
        /// Id of the site
        site: String,
    },
    /// List the sites and their keys
    #[command(after_help = "Examples:
  logystera site list
  logystera site list --json | jq -r .site")]
    List,
    /// Show a site: its keys, rules and spools, and what is held until a slower spool has spoken
    #[command(after_help = "Example:
  logystera site show my-shop")]
    Show {
        /// Id of the site
        site: String,
    },
}

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    finish("site", site(args))
}

fn site(args: &Args) -> Result<u8, CliError> {
    let dir = &args.place.data.data;
    let (request, create) = match &args.command {
        Command::List => {
            list(&open_log(&args.place.data, &args.place.cluster)?.directory()?, &args.place)?;
            return Ok(DONE);
        }
        Command::Show { site } => {
            show::print(&*open_log(&args.place.data, &args.place.cluster)?, site, args.place.json)?;
            return Ok(DONE);
        }
        Command::Add { name, tenant, id, create, .. } => {
            (Request::SiteAdd { name: name.clone(), tenant: tenant.clone(), id: id.clone() }, create.create)
        }
        Command::RotateKey { site, overlap_days, .. } => {
            (Request::SiteRotateKey { site: site.clone(), overlap_days: *overlap_days }, false)
        }
        Command::RevokeKey { site, key, stolen } => {
            (Request::SiteRevokeKey { site: site.clone(), key: key.clone(), stolen: *stolen }, false)
        }
        Command::Set { site, set } => (set.request(site)?, false),
        Command::Close { site } => (Request::SiteClose { site: site.clone() }, false),
    };
    let keep = match &args.command {
        Command::Add { keep, .. } | Command::RotateKey { keep, .. } => keep.dsn_file.as_deref(),
        _ => None,
    };
    // Made before the key, whose secret is told only once.
    let file = keep.map(DsnFile::new).transpose()?;
    let mut out = Out::new();
    let answer = ask(dir, &args.place.cluster, &request, create).inspect_err(|_| {
        // It is ours, and empty: the next try makes it anew.
        drop(keep.map(std::fs::remove_file));
    });
    match answer? {
        Answer::Key(key) => {
            if let Some(file) = file {
                file.keep(&key)?;
            }
            if args.place.json { out.json(&key)? } else { print_key(&mut out, &key, keep)? }
        }
        Answer::Site(now) => set::tell(&mut out, &now, args.place.json)?,
        Answer::Closed { already } if args.place.json => out.json(&json!({"closed": true, "already": already}))?,
        Answer::Closed { already: true } => out.line("It is closed already, for good.")?,
        Answer::Closed { already: false } => out.line(
            "Closed, for good. What was firing resolves; its senders are told to stop when they next send (410). Its signals, \
             detections and attempts stay in the log. Its id is not given again.",
        )?,
        Answer::Revoked { live, already, .. } if args.place.json => {
            out.json(&json!({"revoked": true, "already": already, "live_keys": live}))?;
        }
        Answer::Revoked { live, already: true, .. } => {
            out.line(format_args!("It is revoked already: nothing was changed. Live keys left: {live}."))?;
        }
        Answer::Revoked { live, already: false, now_stolen } => {
            let stolen = matches!(args.command, Command::RevokeKey { stolen: true, .. });
            out.line(revoked(live, stolen, now_stolen))?;
        }
        _ => return Err(CliError::not_available("the running logystera gave an answer to something else")),
    }
    out.flush()?;
    Ok(DONE)
}

/// What came of revoking a key, which it was not before, or not as stolen (`now_stolen`).
fn revoked(live: usize, stolen: bool, now_stolen: bool) -> String {
    let what = match (stolen, now_stolen) {
        (_, true) => "It was revoked before, and is on record as stolen now:",
        (true, false) => "Revoked as stolen: refused within 5 seconds, and",
        (false, false) => "Revoked: refused within 5 seconds.",
    };
    let freed = if stolen { " what came under it binds nobody, and its spools make room for others." } else { "" };
    let left = match live {
        0 => "The site has no other key: nothing of it is accepted any more.".to_owned(),
        live => format!("Live keys left: {live}."),
    };
    format!("{what}{freed} {left}")
}

/// Bytes of a DSN's line at most: an address, two ids, a secret, an audience.
const DSN_BYTES_MAX: usize = 4 << 10;

/// A file for a DSN that is not known yet, with room for it on the disk.
struct DsnFile<'a> {
    file: File,
    path: &'a Path,
}

impl<'a> DsnFile<'a> {
    fn new(path: &'a Path) -> Result<Self, CliError> {
        let opened = File::options().write(true).create_new(true).mode(0o600).open(path);
        let file = opened.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => CliError::wrong_use(format!(
                "--dsn-file {}: there is such a file already; name another one, or take it away",
                path.display()
            )),
            _ => CliError::wrong_use(format!("--dsn-file {}: {error}", path.display())),
        })?;
        // Once the key is made it is too late to find the disk full.
        let room = file.write_all_at(&[b' '; DSN_BYTES_MAX], 0).and_then(|()| file.sync_all());
        room.map_err(|error| {
            drop(std::fs::remove_file(path));
            CliError::not_available(format!("--dsn-file {}: {error}; nothing was changed", path.display()))
        })?;
        Ok(Self { file, path })
    }

    fn keep(&self, key: &IssuedKey) -> Result<(), CliError> {
        let line = format!("{}\n", key.dsn);
        let kept = self.file.write_all_at(line.as_bytes(), 0).and_then(|()| self.file.set_len(line.len() as u64));
        kept.map_err(|error| {
            CliError::not_available(format!(
                "--dsn-file {}: {error}; {} {} is made, and its secret is lost: logystera site rotate-key {} makes another",
                self.path.display(),
                key.site,
                key.key,
                key.site
            ))
        })
    }
}

fn print_key(out: &mut Out, key: &IssuedKey, keep: Option<&Path>) -> Result<(), CliError> {
    out.line(format_args!("tenant    {}", key.tenant))?;
    out.line(format_args!("site      {}", key.site))?;
    out.line(format_args!("key       {}", key.key))?;
    out.line(format_args!("secret    {}", key.secret))?;
    out.line(format_args!("audience  {}", key.audience))?;
    out.line(format_args!("url       {}", key.url))?;
    out.line(format_args!("dsn       {}", key.dsn))?;
    out.line("")?;
    if let Some(taken) = &key.id_taken {
        out.line(format_args!(
            "Another site has the id {taken}: this is a site of its own, {0}. If that one was meant, `logystera site rotate-key {taken}` gives \
             it a new key, and `logystera site close {0}` ends this one.",
            key.site
        ))?;
    }
    out.line("The secret is not shown again. Paste the DSN into the site's integration.")?;
    if is_plain_abroad(&key.url) {
        out.line("Integrations refuse this DSN beyond the gateway's own machine: it is plain http. Start `logystera up` with --public-url https://…")?;
    }
    if let Some(file) = keep {
        out.line(format_args!("It is in {0} too: logystera send FILE --dsn-file {0}", file.display()))?;
    }
    Ok(())
}

fn list(directory: &Directory, place: &PlaceArgs) -> Result<(), CliError> {
    let json = place.json;
    let now = SystemClock::new().wall_ms();
    let mut out = Out::new();
    let mut rows = vec![["SITE", "NAME", "TENANT", "CREATED", "KEYS"].map(str::to_owned)];
    for site in directory.sites() {
        let keys = directory.keys(site.site.as_str());
        if json {
            let keys: Vec<_> = keys.map(|key| key_object(key, now)).collect();
            out.json(&json!({
                "site": site.site, "tenant": site.tenant, "name": site.name, "created_at": site.created_at, "closed_at": site.closed_at, "keys": keys,
                "url": site.url, "labels": show::labels_object(&site.labels),
            }))?;
        } else {
            let keys: Vec<String> = keys.map(|k| describe(k, now)).collect();
            let created = when::show(site.created_at);
            let keys = if site.closed_at.is_some() { "closed".to_owned() } else { keys.join(", ") };
            let columns = [site.site.as_str(), &Shown(&site.name).to_string(), site.tenant.as_str(), &created, &keys];
            rows.push(columns.map(str::to_owned));
        }
    }
    match (json, rows.len()) {
        (true, _) => {}
        (false, 1) => out.line(format_args!("No sites yet. Add one: logystera site add NAME{}", place.flags()))?,
        (false, _) => table(&mut out, &rows)?,
    }
    out.flush()?;
    Ok(())
}

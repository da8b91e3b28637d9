//! `logystera rules publish` and `rules status`: which rules sites are judged by.

use std::collections::BTreeMap;
use std::path::PathBuf;

use logystera_infra::directory::Directory;
use logystera_schemas::ids::Sha256Digest;
use serde_json::json;

use crate::cli::table;
use crate::cli::{CliError, ClusterArgs, DONE, DataArgs, Out, counted};
use crate::installation::open::open_log;
use crate::installation::rules::{rules_or_default, usable};
use crate::when;

#[derive(clap::Args, Debug)]
pub(super) struct PublishArgs {
    /// Rule files, or folders of which every .yaml and .yml file is read
    #[arg(value_name = "FILE", required_unless_present = "default", conflicts_with = "default")]
    paths: Vec<PathBuf>,
    /// The default pack
    #[arg(long)]
    default: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn publish(args: &PublishArgs) -> Result<u8, CliError> {
    let set = if args.default { rules_or_default(None)? } else { usable(&args.paths)? };
    #[cfg(feature = "kafka")]
    if let Some(file) = &args.cluster.config {
        let mut out = Out::new();
        let sites = crate::installation::cluster::publish(file, &set)?;
        if args.json {
            out.json(&json!({"published": set.digest, "rules": set.rules.len(), "sites": sites}))?;
        } else {
            out.line(format_args!(
                "Published: {}, digest {}. {} configured with them; new sites are, too.",
                counted(set.rules.len() as u64, "rule", "rules"),
                set.digest,
                counted(sites as u64, "site was", "sites were")
            ))?;
        }
        out.flush()?;
        return Ok(DONE);
    }
    let PublishArgs { paths: _, cluster: ClusterArgs { .. }, json: _, .. } = args;
    Err(CliError::wrong_use(format!(
        "{} can be used. On a data folder `logystera up --rules {}` publishes them when it starts; for an installation on \
         Kafka name its file with --config FILE{}",
        counted(set.rules.len() as u64, "rule", "rules"),
        if args.default { "default" } else { "PATH" },
        if cfg!(feature = "kafka") { "" } else { " (this binary was built without --features kafka)" }
    )))
}

pub(super) fn status(args: &StatusArgs) -> Result<u8, CliError> {
    let directory = open_log(&args.data, &args.cluster)?.directory()?;
    let mut out = Out::new();
    let mut rows = vec![["SITE", "RULES", "SEMANTICS", "SINCE", "BY"].map(str::to_owned)];
    for site in directory.sites().filter(|site| site.closed_at.is_none()) {
        let rules = directory.site_rules(site.site.as_str());
        if args.json {
            out.json(&json!({
                "site": site.site, "digest": rules.map(|r| r.digest), "semantics": rules.map(|r| r.semantics),
                "since": rules.map(|r| r.at), "by": rules.map(|r| &r.by),
            }))?;
        } else {
            let [digest, semantics, since, by] = match rules {
                Some(r) => [short(&r.digest), r.semantics.to_string(), when::show(r.at), r.by.clone()],
                None => ["?", "?", "?", "a version that did not say"].map(str::to_owned),
            };
            rows.push([site.site.to_string(), digest, semantics, since, by]);
        }
    }
    if !args.json && rows.len() > 1 {
        table(&mut out, &rows)?;
    }
    let published = directory.published();
    for (digest, sites) in counts(&directory) {
        if args.json {
            let published = digest.is_some() && digest == published;
            out.json(&json!({"digest": digest, "sites": sites, "published": published}))?;
        } else {
            let what = digest.as_ref().map_or_else(|| "?".to_owned(), short);
            let last =
                if digest.is_some() && digest == published { ", published last: new sites have them" } else { "" };
            out.line(format_args!("{what}: {}{last}", counted(sites as u64, "site", "sites")))?;
        }
    }
    if !args.json && counts(&directory).is_empty() {
        let what = published
            .as_ref()
            .map_or_else(|| "None are published.".to_owned(), |p| format!("Published: {}.", short(p)));
        out.line(format_args!("No sites yet. {what}"))?;
    }
    out.flush()?;
    Ok(DONE)
}

fn short(digest: &Sha256Digest) -> String {
    format!("{:.12}", digest.to_string())
}

/// How many open sites each rule set has; none: it is not known which.
fn counts(directory: &Directory) -> BTreeMap<Option<Sha256Digest>, usize> {
    let mut counts = BTreeMap::new();
    for site in directory.sites().filter(|site| site.closed_at.is_none()) {
        let digest = directory.site_rules(site.site.as_str()).map(|rules| rules.digest);
        *counts.entry(digest).or_default() += 1;
    }
    counts
}

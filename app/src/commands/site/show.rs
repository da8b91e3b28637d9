//! `site show`: one site, from topic `control` and from what the engine has stored of it.

use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::Directory;
use logystera_processor::core::{HeldView, SiteView, SpoolView, Until, Wait};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::control::{Key, Site};
use logystera_schemas::ids::SpoolId;
use logystera_schemas::labels::SiteLabel;
use logystera_schemas::text::Shown;
use serde_json::{Value, json};

use super::keys::{key_object, state};
use crate::cli::{CliError, Out, counted, table};
use crate::installation::reading::{EngineView, InstallationLog, site_of};
use crate::when;

/// Why a cluster's state is not shown.
const ELSEWHERE: &str = "on Kafka it is spread over the processors: their metrics logystera_held_signals and \
                         logystera_processor_outcomes_total tell of all sites together";
/// Why there is nothing to be shown.
const NOTHING: &str = "it has no configuration of the site yet, or the site is closed";

/// Shows a site.
pub(super) fn print(log: &dyn InstallationLog, site: &str, as_json: bool) -> Result<(), CliError> {
    let directory = log.directory()?;
    let site = site_of(&directory, site)?;
    let engine = log.site_view(&site.site)?;
    let mut out = Out::new();
    if as_json {
        out.json(&object(&directory, site, &engine))?;
    } else {
        print_configured(&mut out, &directory, site)?;
        out.line("")?;
        match &engine {
            EngineView::Stored(view) => print_engine(&mut out, view)?,
            EngineView::Nothing => out.line(format_args!("The engine has nothing of it: {NOTHING}."))?,
            EngineView::Elsewhere => {
                out.line(format_args!("What the engine has of it can't be shown: {ELSEWHERE}."))?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn print_configured(out: &mut Out, directory: &Directory, site: &Site) -> Result<(), CliError> {
    let now = SystemClock::new().wall_ms();
    out.line(format_args!("site      {}", site.site))?;
    out.line(format_args!("name      {}", Shown(&site.name)))?;
    out.line(format_args!("tenant    {}", site.tenant))?;
    if let Some(url) = &site.url {
        out.line(format_args!("address   {}", Shown(url)))?;
    }
    if !site.labels.is_empty() {
        let labels: Vec<String> = site.labels.iter().map(|label| Shown(&label.to_string()).to_string()).collect();
        out.line(format_args!("labels    {}", labels.join(", ")))?;
    }
    out.line(format_args!("created   {}", when::show(site.created_at)))?;
    if let Some(at) = site.closed_at {
        out.line(format_args!("closed    {}, for good", when::show(at)))?;
    }
    for (place, key) in directory.keys(site.site.as_str()).enumerate() {
        let label = if place == 0 { "keys" } else { "" };
        out.line(format_args!("{label:<8}  {}  {}", key.key, since(key, now)))?;
    }
    match directory.site_rules(site.site.as_str()) {
        Some(r) => out.line(format_args!(
            "rules     digest {}, semantics {}, since {}, by {}",
            r.digest,
            r.semantics,
            when::show(r.at),
            Shown(&r.by)
        ))?,
        None => out.line("rules     configured by a version that did not say which")?,
    }
    Ok(())
}

/// A key's state, and since when.
fn since(key: &Key, now: i64) -> String {
    match (state(key, now), key.revoked_at, key.not_after) {
        ("stolen", Some(at), _) => format!("revoked as stolen at {}", when::show(at)),
        ("revoked", Some(at), _) => format!("revoked at {}", when::show(at)),
        ("expired", _, Some(end)) => format!("expired at {}", when::show(end)),
        ("not_yet_valid", ..) => format!("valid from {} on", when::show(key.not_before)),
        (_, _, Some(end)) => format!("valid since {}, until {}", when::show(key.not_before), when::show(end)),
        (state, ..) => format!("{state} since {}", when::show(key.not_before)),
    }
}

fn print_engine(out: &mut Out, view: &SiteView) -> Result<(), CliError> {
    let record = &view.record;
    out.line(format_args!(
        "The engine, as of {} (times are UTC; while nothing comes this is up to a minute old):",
        when::show(view.as_of.0)
    ))?;
    out.line(format_args!("rules     digest {}, semantics {}", record.digest, record.semantics.max(1)))?;
    match record.watermark {
        Some(at) => out.line(format_args!("judged    up to {} of the site's time", when::show(at.0)))?,
        None => out.line("judged    nothing yet: no batch has come")?,
    }
    out.line(format_args!("heard     {}", when::show(record.heard_wall.0)))?;
    let on: Vec<&str> = record.declared_types.iter().map(SignalType::name).collect();
    out.line(format_args!("on        {}", if on.is_empty() { "nothing".to_owned() } else { on.join(", ") }))?;
    let counts = record.outcomes.counts();
    let counts: Vec<String> =
        counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}")).collect();
    if !counts.is_empty() {
        out.line(format_args!("so far    {}", counts.join(", ").replace('_', " ")))?;
    }
    out.line("")?;
    print_spools(out, &view.spools)?;
    print_held(out, view.held.as_ref())
}

fn print_spools(out: &mut Out, spools: &[SpoolView]) -> Result<(), CliError> {
    if spools.is_empty() {
        return Ok(());
    }
    let mut rows = vec![["SPOOL", "STATE", "LAST HEARD", "COMPLETE UP TO", "HELD"].map(str::to_owned)];
    rows.extend(spools.iter().map(|spool| {
        [
            short(spool.id),
            spool.standing.as_str().to_owned(),
            when::show(spool.last_batch.0),
            when::show(spool.through.0),
            spool.held.to_string(),
        ]
    }));
    table(out, &rows)?;
    out.line("")?;
    Ok(())
}

fn print_held(out: &mut Out, held: Option<&HeldView>) -> Result<(), CliError> {
    let Some(held) = held else { return Ok(out.line("Held: nothing. What came is judged.")?) };
    let what = counted(held.signals as u64, "signal is", "signals are");
    out.line(format_args!(
        "Held: {what} not judged yet, of {} to {}.",
        when::show(held.oldest.0),
        when::show(held.newest.0)
    ))?;
    if held.waits_for.is_empty() {
        out.line("They are judged when the site is heard next.")?;
    }
    for Wait { spool, until } in &held.waits_for {
        let first =
            format!("Waits for spool {}: until it has spoken past that, or, if it stays silent,", short(*spool));
        match until {
            Until::Heard(at) => out.line(format_args!(
                "{first} until the site's first batch of another spool after {}. Later if the gateway is away, or the whole site \
                 silent, for minutes before then.",
                when::show(at.0)
            ))?,
            Until::Uncounted(ms) => out.line(format_args!(
                "{first} for {} s from the next batch of another spool on. While no other speaks its silence does not count.",
                Duration::from_millis((*ms).max(0) as u64).as_secs()
            ))?,
        }
    }
    Ok(())
}

/// Enough of an id to tell a site's spools apart.
fn short(spool: SpoolId) -> String {
    spool.to_string().chars().take(8).collect()
}

fn object(directory: &Directory, site: &Site, engine: &EngineView) -> Value {
    let now = SystemClock::new().wall_ms();
    let rules = directory
        .site_rules(site.site.as_str())
        .map(|r| json!({"digest": r.digest, "semantics": r.semantics, "since": r.at, "by": r.by}));
    let keys: Vec<Value> = directory.keys(site.site.as_str()).map(|key| key_object(key, now)).collect();
    let (engine, absent) = match engine {
        EngineView::Stored(view) => (Some(engine_object(view)), None),
        EngineView::Nothing => (None, Some(NOTHING)),
        EngineView::Elsewhere => (None, Some(ELSEWHERE)),
    };
    json!({
        "site": site.site, "name": site.name, "tenant": site.tenant, "created_at": site.created_at,
        "closed_at": site.closed_at, "url": site.url, "labels": labels_object(&site.labels), "keys": keys, "rules": rules, "engine": engine, "engine_absent": absent,
    })
}

/// Labels in JSON, by key.
pub(super) fn labels_object(labels: &[SiteLabel]) -> Value {
    labels.iter().map(|label| (label.key.clone(), json!(label.value))).collect()
}

fn engine_object(view: &SiteView) -> Value {
    let record = &view.record;
    let spools: Vec<Value> = view
        .spools
        .iter()
        .map(|spool| {
            json!({
                "spool": spool.id, "state": spool.standing.as_str(), "last_batch_at": spool.last_batch, "through": spool.through,
                "flush_every_s": spool.flush_every_s, "held": spool.held,
            })
        })
        .collect();
    let on: Vec<&str> = record.declared_types.iter().map(SignalType::name).collect();
    let outcomes: serde_json::Map<String, Value> =
        record.outcomes.counts().into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect();
    json!({
        "as_of": view.as_of, "digest": record.digest, "semantics": record.semantics.max(1), "watermark": record.watermark,
        "heard_at": record.heard_wall, "on": on, "outcomes": outcomes, "spools": spools, "held": view.held.as_ref().map(held_object),
    })
}

fn held_object(held: &HeldView) -> Value {
    let waits = held.waits_for.iter().map(|Wait { spool, until }| match until {
        Until::Heard(at) => json!({"spool": spool, "until": at}),
        Until::Uncounted(ms) => json!({"spool": spool, "until": null, "for_ms_once_another_speaks": ms}),
    });
    json!({
        "signals": held.signals, "bytes": held.bytes, "oldest_at": held.oldest, "newest_at": held.newest,
        "waits_for": waits.collect::<Vec<_>>(),
    })
}

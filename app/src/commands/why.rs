//! `logystera why`: why a rule fires at a site, or doesn't.

use std::process::ExitCode;

use logystera_processor::core::{GroupView, Next, Progress, RuleGathering, RuleView, SilenceView};
use logystera_rules::{recorded, span};
use logystera_schemas::detection::Label;
use logystera_schemas::ids::{RuleName, SiteId};
use logystera_schemas::text::Shown;
use serde_json::{Value, json};

use crate::cli::{CliError, DONE, Out, PlaceArgs, counted, finish};
use crate::installation::open::open_log;
use crate::installation::reading::site_of;
use crate::when;

/// Say why a rule fires at a site, or doesn't
///
/// Shows of each group of the rule where it stands, how far its condition is, and what time alone brings next. It reads what the
/// engine has stored, and disturbs nothing.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  logystera why my-shop mail-delivery-failing
  logystera why my-shop login-brute-force --group source=00112233...
  logystera why my-shop cron-stopped --json

Times are the site's own, UTC. While nothing comes what is stored is up to a
minute old. A state is a row of docs/transitions.md.")]
pub struct Args {
    /// The site
    site: SiteId,
    /// The rule
    rule: RuleName,
    /// Only groups with this value, whose text may end in `...`
    #[arg(long, value_name = "FIELD=VALUE", value_parser = parse_label)]
    group: Vec<Label>,
    #[command(flatten)]
    place: PlaceArgs,
}

fn parse_label(text: &str) -> Result<Label, String> {
    let (field, value) = text.split_once('=').ok_or("expected FIELD=VALUE, such as transport=smtp")?;
    Ok(Label { field: field.to_owned(), value: value.to_owned() })
}

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    finish("why", why(args))
}

fn why(args: &Args) -> Result<u8, CliError> {
    let log = open_log(&args.place.data, &args.place.cluster)?;
    let directory = log.directory()?;
    let site = site_of(&directory, args.site.as_str())?;
    let mut gathering = RuleGathering::new(site.site.clone(), args.rule.clone());
    let prefixes = gathering.prefixes();
    if !log.engine_state(&site.site, &prefixes, &mut |key, value| gathering.take(key, value))? {
        return Err(CliError::not_available(
            "the processors' changelog has more records than a command should read: it is compacted in the background, try again later",
        ));
    }
    let Some(digest) = gathering.digest() else {
        return Err(CliError::not_available(format!(
            "the engine has nothing of {}: it has no configuration of it yet, or the site is closed",
            site.site
        )));
    };
    let set = recorded(log.rule_set(&directory, &digest)?.as_deref());
    let set = set.map_err(|error| CliError::not_available(format!("rule set {digest} {error}")))?;
    let Some(view) = gathering.view(&set) else {
        let names: Vec<&str> = set.rules.iter().map(|rule| rule.name.as_str()).collect();
        return Err(CliError::wrong_use(format!(
            "{} is not judged by a rule {}; its rules are: {}",
            site.site,
            args.rule,
            names.join(", ")
        )));
    };
    let is_meant =
        |group: &&GroupView| args.group.iter().all(|wanted| group.group.iter().any(|has| is_it(has, wanted)));
    let groups: Vec<&GroupView> = view.groups.iter().filter(is_meant).collect();
    let mut out = Out::new();
    if args.place.json {
        out.json(&object(args, &view, &groups))?;
    } else {
        print(&mut out, args, &view, &groups)?;
    }
    out.flush()?;
    Ok(DONE)
}

fn is_it(has: &Label, wanted: &Label) -> bool {
    let is_value =
        wanted.value.strip_suffix("...").map_or(has.value == wanted.value, |head| has.value.starts_with(head));
    has.field == wanted.field && is_value
}

fn print(out: &mut Out, args: &Args, view: &RuleView, groups: &[&GroupView]) -> Result<(), CliError> {
    out.line(format_args!("{} at {}, as of {}", args.rule, args.site, when::show(view.as_of.0)))?;
    match view.judged {
        Some(at) => out.line(format_args!("judged up to {} of the site's time", when::show(at.0)))?,
        None => out.line("nothing is judged yet: no batch has come")?,
    }
    if view.is_on == Some(false) {
        out.line("The site does not send what the rule watches, or that is disabled: nothing can match.")?;
    }
    if view.stands_still {
        out.line("Absences stand still until the site's time moves: a silence has just ended.")?;
    }
    if let Some(SilenceView { heard, is_firing, suppressed_until }) = view.silence {
        let state = if is_firing { "The site is silent for too long" } else { "The site is heard" };
        out.line(format_args!("{state}: it was heard last at {}.", when::show(heard.0)))?;
        if let Some(until) = suppressed_until.filter(|_| is_firing) {
            out.line(format_args!("It is told again at {}.", when::show(until.0)))?;
        }
        return Ok(());
    }
    if groups.is_empty() {
        let what = if view.groups.is_empty() { "No group" } else { "No such group" };
        out.line(format_args!("{what}: nothing that matched counts now, and no alert is open."))?;
    }
    for group in groups {
        out.line("")?;
        print_group(out, group, view.span_ms)?;
    }
    Ok(())
}

fn print_group(out: &mut Out, group: &GroupView, span_ms: Option<i64>) -> Result<(), CliError> {
    let labels: Vec<String> = group.group.iter().map(|l| format!("{}: {}", l.field, Shown(&l.value))).collect();
    let name = if labels.is_empty() { "The one group".to_owned() } else { labels.join(", ") };
    out.line(format_args!("{name}: {}", group.state))?;
    if let Some(at) = group.started_at {
        let matches = counted(group.count, "match", "matches");
        out.line(format_args!("  the condition became true at {}; {matches} since", when::show(at.0)))?;
    }
    for progress in &group.progress {
        let within = span_ms.filter(|_| !matches!(progress, Progress::Wait { .. }));
        let within = within.map_or(String::new(), |ms| format!(" within {}", span(ms)));
        out.line(format_args!("  {}{within}", said(progress)))?;
    }
    if let Some(at) = group.last_seen {
        out.line(format_args!("  the newest match came at {}", when::show(at.0)))?;
    }
    if group.held > 0 {
        out.line(format_args!(
            "  {} held back since the last one that was told",
            counted(group.held, "firing", "firings")
        ))?;
    }
    for (at, next) in &group.next {
        out.line(format_args!("  {}  {}", when::show(at.0), coming(*next)))?;
    }
    Ok(())
}

fn said(progress: &Progress) -> String {
    match *progress {
        Progress::Count { now, wanted } => format!("{now} of {wanted} matches"),
        Progress::Distinct { now, wanted } => format!("{now} of {wanted} different values"),
        Progress::Sum { now, wanted } => format!("a sum of {now} of {wanted}"),
        Progress::Part { part, total, min } if total < min => {
            format!("{part} of {total} matches are of the part (it needs {min} at least)")
        }
        Progress::Part { part, total, .. } => format!("{part} of {total} matches are of the part"),
        Progress::Wait { since: Some(at), seen: true } => format!("waits for a match since {}", when::show(at.0)),
        Progress::Wait { since: Some(at), seen: false } => {
            format!("waits for a first match since {}", when::show(at.0))
        }
        Progress::Wait { since: None, seen } => {
            let what = if seen { "the type is off" } else { "a first match has to come" };
            format!("does not wait: {what}")
        }
    }
}

fn coming(next: Next) -> &'static str {
    match next {
        Next::Met => "the condition becomes true, or is judged, if nothing comes before",
        Next::Unmet => "the condition becomes false, or is judged, if nothing comes before",
        Next::ForOver => "it has held for long enough: it fires",
        Next::ResolveOver => "the alert is over",
        Next::Worse => "it fires for long enough to grow worse",
        Next::SuppressionOver => "the suppression ends: what holds then is told again",
        Next::Forgotten => "the group is forgotten",
    }
}

fn object(args: &Args, view: &RuleView, groups: &[&GroupView]) -> Value {
    let silence = view.silence.map(|silence| {
        json!({"heard_at": silence.heard, "firing": silence.is_firing, "suppressed_until": silence.suppressed_until})
    });
    json!({
        "site": args.site, "rule": args.rule, "as_of": view.as_of, "judged": view.judged, "span_ms": view.span_ms, "on": view.is_on,
        "stands_still": view.stands_still, "silence": silence,
        "groups": groups.iter().map(|group| group_object(group)).collect::<Vec<_>>(),
    })
}

fn group_object(group: &GroupView) -> Value {
    let labels: serde_json::Map<String, Value> =
        group.group.iter().map(|label| (label.field.clone(), json!(label.value))).collect();
    let progress = group.progress.iter().map(|progress| match *progress {
        Progress::Count { now, wanted } => json!({"measure": "count", "now": now, "wanted": wanted}),
        Progress::Distinct { now, wanted } => json!({"measure": "distinct", "now": now, "wanted": wanted}),
        Progress::Sum { now, wanted } => json!({"measure": "sum", "now": now, "wanted": wanted}),
        Progress::Part { part, total, min } => json!({"measure": "part", "now": part, "of": total, "min": min}),
        Progress::Wait { since, seen } => json!({"measure": "absence", "since": since, "seen": seen}),
    });
    let next = group.next.iter().map(|(at, next)| {
        let name = match next {
            Next::Met => "met",
            Next::Unmet => "unmet",
            Next::ForOver => "for_over",
            Next::ResolveOver => "resolve_over",
            Next::Worse => "worse",
            Next::SuppressionOver => "suppression_over",
            Next::Forgotten => "forgotten",
        };
        json!({"at": at, "next": name})
    });
    json!({
        "group": labels, "state": group.state, "started_at": group.started_at, "count": group.count, "held": group.held,
        "last_seen": group.last_seen, "progress": progress.collect::<Vec<_>>(), "next": next.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_a_value_or_how_it_begins() {
        let has = Label { field: "source".to_owned(), value: "00ff".to_owned() };
        for (text, expected) in [
            ("source=00ff", true),
            ("source=00", false),
            ("source=00...", true),
            ("path=00ff", false),
            ("source=...", true),
        ] {
            assert_eq!(is_it(&has, &parse_label(text).unwrap()), expected, "{text}");
        }
        assert!(parse_label("source").is_err());
    }
}

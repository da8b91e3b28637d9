//! What a message says to a person, whatever its channel speaks: the parts, in the order in which they are read. Every
//! part is of one line or of several, with what cannot be seen written out; a kind escapes it for its target and cuts
//! it to its limits.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use logystera_schemas::calendar;
use logystera_schemas::detection::{Detection, DetectionState, Evidence, Label, Severity};
use logystera_schemas::ids::{ChannelId, SiteId};
use logystera_schemas::limits::{ALERTS_SHOWN_MAX, EVIDENCE_SHOWN_MAX};
use logystera_schemas::text::{Shown, ShownLines, counted};

use crate::{Advice, notes};
use logystera_schemas::alert::{About, Digest, Due, Told};

/// What a message is about, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something is wrong, so badly.
    Firing(Severity),
    /// It is over.
    Over,
    /// News of a channel.
    News,
    /// A test.
    Test,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// What it is about.
    pub tone: Tone,
    /// The rule in human terms, and whether it is over. One line.
    pub headline: String,
    /// What it matched. One line.
    pub message: String,
    /// Name and value, each of one line: when, where, of which group.
    pub facts: Vec<(String, String)>,
    /// What else is to be known of this message, a sentence each.
    pub notes: Vec<String>,
    /// The newest matching signals, oldest first, a line each: at most [`EVIDENCE_SHOWN_MAX`].
    pub evidence: Vec<String>,
    /// How many older ones are not shown.
    pub evidence_more: usize,
    /// The alerts of a bundle, a line each: at most [`ALERTS_SHOWN_MAX`].
    pub alerts: Vec<String>,
    /// How many others are not shown.
    pub alerts_more: usize,
    /// Why it matters. Several lines.
    pub why: Option<String>,
    /// What to do. Several lines.
    pub what_to_do: Option<String>,
    /// Address of the alert.
    pub link: Option<String>,
}

impl Words {
    /// What a delivery says. `public_url` is the deployment's address; `advice` what the rule says to a person.
    pub fn of(due: &Due, public_url: &str, advice: Option<&Advice>) -> Self {
        let detection = due.detection.as_ref();
        let link = Some(format!("{}{}", public_url.trim_end_matches('/'), detection.url));
        match &due.about {
            About::Detection => fallen_back(due, Self { link, ..of_detection(due, advice) }),
            About::Bundle(told) => Self { link, ..of_bundle(due, told, advice) },
            About::Digest(digest, named) => of_digest(due, digest, named),
            About::ChannelDisabled(channel) => Self { link, ..of_channel(channel, due) },
        }
    }

    /// What a test says.
    pub fn of_test(channel: &ChannelId, now_ms: i64) -> Self {
        Self {
            facts: vec![fact("Sent", &calendar::show(now_ms)), fact("Channel", channel.as_str())],
            ..Self::short(
                Tone::Test,
                "A test of this channel",
                "This is a test of the channel. No detection is behind it.",
            )
        }
    }

    fn short(tone: Tone, headline: &str, message: &str) -> Self {
        Self {
            tone,
            headline: headline.to_owned(),
            message: message.to_owned(),
            facts: Vec::new(),
            notes: Vec::new(),
            evidence: Vec::new(),
            evidence_more: 0,
            alerts: Vec::new(),
            alerts_more: 0,
            why: None,
            what_to_do: None,
            link: None,
        }
    }

    /// The list that it has: what it is of, and at most `room` of its lines, with one more that says how many are left
    /// out. Of signals the newest are shown, of alerts the first.
    pub fn list(&self, room: usize) -> Option<(&'static str, Vec<String>)> {
        let left_out = |all: usize, more: usize| {
            let more = all.saturating_sub(room) + more;
            (more > 0).then(|| format!("and {more} more"))
        };
        if !self.alerts.is_empty() {
            let shown = self.alerts.iter().take(room).cloned();
            return Some(("Alerts", shown.chain(left_out(self.alerts.len(), self.alerts_more)).collect()));
        }
        if self.evidence.is_empty() {
            return None;
        }
        let shown = self.evidence[self.evidence.len().saturating_sub(room)..].iter().cloned();
        let more = left_out(self.evidence.len(), self.evidence_more).into_iter();
        Some(("What it matched", more.chain(shown).collect()))
    }
}

fn of_detection(due: &Due, advice: Option<&Advice>) -> Words {
    let (detection, merged) = (due.detection.as_ref(), &due.merged);
    let (tone, headline) = headline(detection);
    let headline = match due.site(&detection.site) {
        Some(site) => format!("{headline} ({})", Shown(&site.name)),
        None => headline,
    };
    let mut facts = vec![fact("Severity", severity(detection.severity))];
    facts.extend(of_site(due, &detection.site));
    facts.extend([
        fact("Part", &detection.subsystem),
        fact(began(detection), &calendar::show(detection.started_at)),
        fact("Last evaluated", &calendar::show(detection.last_evaluated_at)),
    ]);
    facts.extend(detection.group.iter().map(|Label { field, value }| {
        let name = field.replace('_', " ");
        fact(&name, if value.is_empty() { "none" } else { value })
    }));
    facts.extend(labels(due, &detection.site));
    let shown = detection.evidence.len().min(EVIDENCE_SHOWN_MAX);
    let hidden = detection.evidence.len() - shown;
    Words {
        facts,
        notes: notes::of(detection, merged),
        evidence: detection.evidence[hidden..].iter().map(line).collect(),
        evidence_more: hidden,
        ..advised(Words::short(tone, &headline, &Shown(&detection.message).to_string()), advice)
    }
}

/// A site in a line of text: its name, and the id that commands know it by.
fn site_name(due: &Due, site: &SiteId) -> String {
    match due.site(site).map(|named| Shown(&named.name).to_string()) {
        Some(name) if name != site.as_str() => format!("{name} ({site})"),
        _ => site.to_string(),
    }
}

/// Which site it is, and where.
fn of_site(due: &Due, site: &SiteId) -> impl Iterator<Item = (String, String)> {
    let address = due.site(site).and_then(|named| named.url.as_ref());
    [Some(fact("Site", &site_name(due, site))), address.map(|url| fact("Address", url))].into_iter().flatten()
}

/// What its owner sorts it by.
fn labels(due: &Due, site: &SiteId) -> Option<(String, String)> {
    let labels = due.site(site).map(|named| named.labels.as_slice()).filter(|labels| !labels.is_empty())?;
    let all: Vec<String> = labels.iter().map(ToString::to_string).collect();
    Some(fact("Labels", &all.join(", ")))
}

fn headline(detection: &Detection) -> (Tone, String) {
    let title = Shown(&detection.title);
    match detection.state {
        DetectionState::Resolved => (Tone::Over, format!("Over: {title}")),
        // A suppressed one is delivered only if somebody asks for it.
        DetectionState::Firing | DetectionState::Suppressed => {
            (Tone::Firing(detection.severity), format!("{}: {title}", severity(detection.severity)))
        }
    }
}

fn advised(words: Words, advice: Option<&Advice>) -> Words {
    Words {
        why: advice.and_then(|a| a.why.as_ref()).map(|text| ShownLines(text).to_string()),
        what_to_do: advice.and_then(|a| a.what_to_do.as_ref()).map(|text| ShownLines(text).to_string()),
        ..words
    }
}

/// The same as its fallback channel is told it: first of all, who was not.
fn fallen_back(due: &Due, mut words: Words) -> Words {
    if let Some(failed) = &due.fallback {
        let channels: Vec<String> = failed.iter().map(|one| format!("{} ({})", one.kind, one.channel)).collect();
        let told = match channels.as_slice() {
            [] => "There is no other channel to tell.".to_owned(),
            [one] => format!("The channel that should tell you of this failed: {one}."),
            all => format!("All channels that should tell you of this failed: {}.", all.join(", ")),
        };
        words.notes.insert(0, format!("{told} You get this because this is the fallback channel. How the channels fare: logystera channel list"));
    }
    words
}

/// Several alerts of a rule, of which the delivery's own is the first.
fn of_bundle(due: &Due, told: &[Told], advice: Option<&Advice>) -> Words {
    let first = due.detection.as_ref();
    let is_over = first.state == DetectionState::Resolved;
    let (tone, one) = headline(first);
    let message = if is_over {
        format!("{} alerts of this rule are over.", told.len())
    } else {
        format!("{} alerts of this rule came together.", told.len())
    };
    let all = || told.iter().map(|one| one.detection.as_ref());
    let sites: BTreeSet<&SiteId> = all().map(|d| &d.site).collect();
    let headline = match (sites.len(), due.site(&first.site)) {
        (0 | 1, Some(site)) => {
            format!("{one} ({}, {})", Shown(&site.name), counted(told.len() as u64, "alert", "alerts"))
        }
        (0 | 1, None) => format!("{one} ({} alerts)", told.len()),
        (many, _) => format!("{one} ({} alerts on {many} sites)", told.len()),
    };
    let started = all().map(|d| d.started_at).min().unwrap_or(first.started_at);
    let evaluated = all().map(|d| d.last_evaluated_at).max().unwrap_or(first.last_evaluated_at);
    let mut facts = vec![fact("Alerts", &told.len().to_string()), fact("Severity", severity(first.severity))];
    match sites.len() {
        0 | 1 => facts.extend(of_site(due, &first.site)),
        many => facts.push(fact("Sites", &many.to_string())),
    }
    facts.extend([
        fact("Part", &first.subsystem),
        fact(began(first), &calendar::show(started)),
        fact("Last evaluated", &calendar::show(evaluated)),
    ]);
    facts.extend(labels(due, &first.site).filter(|_| sites.len() < 2));
    let untold = told.iter().filter(|one| is_over && one.merged.untold).count();
    let held: u64 = all().filter(|_| !is_over).map(|d| d.held).sum();
    let mut notes = Vec::new();
    if untold > 0 {
        let which = if untold == told.len() { "they".to_owned() } else { format!("{untold} of them") };
        notes.push(format!("This channel had no message that {which} began."));
    }
    if held > 0 {
        notes.push(notes::held_back(first, "them", held));
    }
    let names_site = sites.len() > 1;
    Words {
        facts,
        notes,
        alerts: all().take(ALERTS_SHOWN_MAX).map(|d| alert_line(d, names_site.then_some(due))).collect(),
        alerts_more: told.len().saturating_sub(ALERTS_SHOWN_MAX),
        ..advised(Words::short(tone, &headline, &message), advice)
    }
}

/// What a channel had no room for.
fn of_digest(due: &Due, digest: &Digest, named: &[Arc<Detection>]) -> Words {
    let alerts = digest.alerts();
    let worst = digest.counts.iter().filter(|count| !count.is_over).map(|count| count.severity).max();
    let headline = format!("{} in one message", counted(alerts, "more alert", "more alerts"));
    let message = format!(
        "There were more alerts since {} than this channel takes messages a minute: these are told together.",
        calendar::show(digest.since.0)
    );
    let mut facts: Vec<(String, String)> = digest
        .counts
        .iter()
        .map(|count| {
            let of = if count.is_over { "Over" } else { severity(count.severity) };
            fact(&format!("{of}: {}", count.title), &counted(count.alerts, "alert", "alerts"))
        })
        .collect();
    facts.extend((digest.rest > 0).then(|| fact("Other rules", &counted(digest.rest, "alert", "alerts"))));
    let mut worst_first: Vec<&Detection> = named.iter().map(AsRef::as_ref).collect();
    worst_first.sort_by_key(|d| (d.state == DetectionState::Resolved, Reverse(d.severity)));
    let shown = worst_first.len().min(ALERTS_SHOWN_MAX);
    let over = |d: &Detection| if d.state == DetectionState::Resolved { "Over" } else { severity(d.severity) };
    Words {
        facts,
        notes: vec![format!("Each of them: logystera delivery show {}", due.delivery)],
        alerts: worst_first[..shown].iter().map(|d| format!("{}  {}", over(d), alert_line(d, Some(due)))).collect(),
        alerts_more: usize::try_from(alerts).unwrap_or(usize::MAX).saturating_sub(shown),
        ..Words::short(worst.map_or(Tone::Over, Tone::Firing), &headline, &message)
    }
}

/// An alert on one line: when it began, where if the sites of a delivery differ, its group, and what it says.
fn alert_line(detection: &Detection, differs_in: Option<&Due>) -> String {
    let mut parts = vec![calendar::show(detection.started_at)];
    parts.extend(differs_in.map(|due| site_name(due, &detection.site)));
    let group = detection.group.iter().filter(|label| !label.value.is_empty());
    let group: Vec<String> = group.map(|Label { field, value }| format!("{}={}", Shown(field), Shown(value))).collect();
    parts.extend((!group.is_empty()).then(|| group.join(" ")));
    parts.push(Shown(&detection.message).to_string());
    parts.join("  ")
}

fn of_channel(channel: &ChannelId, due: &Due) -> Words {
    let detection = due.detection.as_ref();
    let message = format!(
        "Channel {channel} said twice, an hour apart, that it is no more: it is switched off and gets no more alerts. When its \
         receiver is there again: logystera channel enable {channel}"
    );
    Words {
        facts: vec![
            fact("Channel", channel.as_str()),
            fact("At", &calendar::show(detection.last_evaluated_at)),
            fact("On its way", &detection.title),
            fact("Site", &site_name(due, &detection.site)),
        ],
        ..Words::short(Tone::News, "An alert channel is switched off", &message)
    }
}

/// What stands before the time at which it began.
const fn began(detection: &Detection) -> &'static str {
    if detection.once { "Happened" } else { "Started" }
}

/// A signal on one line: its time, and its fields.
fn line(evidence: &Evidence) -> String {
    let fields = evidence.fields.iter().filter(|label| !label.value.is_empty());
    let fields: Vec<String> =
        fields.map(|Label { field, value }| format!("{}={}", Shown(field), Shown(value))).collect();
    format!("{}  {}", calendar::show(evidence.at), fields.join(" ")).trim_end().to_owned()
}

fn fact(name: &str, value: &str) -> (String, String) {
    let mut name = Shown(name).to_string();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    (name, Shown(value).to_string())
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Info",
        Severity::Warning => "Warning",
        Severity::Critical => "Critical",
    }
}

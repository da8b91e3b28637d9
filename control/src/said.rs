//! What is configured, in words for people: lists and pages say the same.

use logystera_schemas::control::Channel;
use logystera_schemas::ids::{RuleName, SiteId};
use logystera_schemas::noise::Silence;
use logystera_schemas::text::Shown;
use logystera_schemas::time::WallMs;

/// What a channel takes, for people.
pub fn gets(channel: &Channel) -> String {
    let settings = &channel.settings;
    if channel.fallback {
        let rate = settings.per_minute.map_or(String::new(), |n| format!("; {n} a minute"));
        return format!("what no other channel took{rate}");
    }
    let mut said = Vec::new();
    said.extend(settings.severity.map(|least| format!("{least} and worse")));
    let list = |what: &str, names: Vec<&str>| (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")));
    said.extend(list("parts", settings.subsystems.iter().map(String::as_str).collect()));
    said.extend(list("rules", settings.rules.iter().map(RuleName::as_str).collect()));
    said.extend(list("sites", settings.sites.iter().map(SiteId::as_str).collect()));
    let labels: Vec<String> = channel.labels.iter().map(|label| Shown(&label.to_string()).to_string()).collect();
    said.extend(list("sites with", labels.iter().map(String::as_str).collect()));
    said.extend((!settings.resolved).then(|| "not when it is over".to_owned()));
    said.extend(settings.quiet.map(|quiet| {
        let except = quiet.except.map_or(String::new(), |least| format!(" except {least}"));
        format!("quiet {quiet}{except}")
    }));
    said.extend(settings.per_minute.map(|n| format!("{n} a minute")));
    if said.is_empty() { "everything".to_owned() } else { said.join("; ") }
}

/// Where a silence is in its life.
pub fn state(silence: &Silence, now: WallMs) -> &'static str {
    match () {
        () if silence.ended_at.is_some() => "ended",
        () if silence.is_over(now) => "over",
        () if silence.is_live(now) => "holds",
        () => "to come",
    }
}

/// What a silence is about, for people.
pub fn about(silence: &Silence) -> String {
    let site = silence.site.as_ref().map(|site| format!("site {site}"));
    let rule = silence.rule.as_ref().map(|rule| format!("rule {rule}"));
    let severity = silence.severity.map(|severity| severity.to_string());
    let part = silence.subsystem.as_ref().map(|part| format!("part {part}"));
    let labels = silence.labels.iter().map(|label| format!("sites with {}", Shown(&label.to_string())));
    let said: Vec<String> = [site, rule, severity, part].into_iter().flatten().chain(labels).collect();
    if said.is_empty() { "everything".to_owned() } else { said.join(", ") }
}

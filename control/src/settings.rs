//! What a channel takes, and when.

use logystera_infra::directory::entry;
use logystera_infra::log::Log;
use logystera_schemas::control::{Channel, Entity};
use logystera_schemas::detection::Severity;
use logystera_schemas::limits::{PER_MINUTE_MAX, SETTINGS_LISTED_MAX};
use logystera_schemas::noise::{ChannelSettings, QuietHours};
use serde::{Deserialize, Serialize};

use crate::channels::{channels_configured, known_channel, with_changed};
use crate::context::Context;
use crate::error::ControlError;
use crate::site_change::labels_of;

/// What is changed of a channel's settings; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsChange {
    /// Least severity: `info` takes all.
    #[serde(default)]
    pub severity: Option<String>,
    /// Only these parts of a site; empty: all.
    #[serde(default)]
    pub subsystems: Option<Vec<String>>,
    /// Only these rules; empty: all.
    #[serde(default)]
    pub rules: Option<Vec<String>>,
    /// Only these sites; empty: all.
    #[serde(default)]
    pub sites: Option<Vec<String>>,
    /// Whether it is told that something is over.
    #[serde(default)]
    pub resolved: Option<bool>,
    /// Quiet hours, such as `22:00-07:00+02:00`; `none`: there are none.
    #[serde(default)]
    pub quiet: Option<String>,
    /// The severity from which it is told anyway; `none`: nothing is.
    #[serde(default)]
    pub quiet_except: Option<String>,
    /// Messages a minute, at most; 0: as its kind takes them.
    #[serde(default)]
    pub per_minute: Option<u32>,
    /// Whether it is the tenant's fallback channel.
    #[serde(default)]
    pub fallback: Option<bool>,
    /// Only sites with these labels, such as `env=production`: of each key one of its values; empty: all.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
}

/// Says that there is none.
pub const NONE: &str = "none";

pub(crate) fn severity_of(flag: &str, text: &str) -> Result<Severity, ControlError> {
    Severity::from_symbol(text).ok_or_else(|| {
        let known: Vec<&str> = Severity::ALL.iter().map(|severity| severity.as_str()).collect();
        ControlError::invalid(format!("{flag}: there is no severity {text:?}: expected one of {}", known.join(", ")))
    })
}

/// Ids of a list.
fn ids<T: std::str::FromStr<Err: std::fmt::Display>>(flag: &str, texts: &[String]) -> Result<Vec<T>, ControlError> {
    let mut ids = Vec::new();
    for text in texts {
        ids.push(text.parse().map_err(|error| ControlError::invalid(format!("{flag}: {error}")))?);
    }
    bounded(flag, ids)
}

pub(crate) fn bounded<T>(flag: &str, list: Vec<T>) -> Result<Vec<T>, ControlError> {
    if list.len() > SETTINGS_LISTED_MAX {
        return Err(ControlError::invalid(format!(
            "{flag} names {}, and {SETTINGS_LISTED_MAX} is as many as there may be",
            list.len()
        )));
    }
    Ok(list)
}

/// A part of a site: what a rule may say of itself.
pub(crate) fn subsystem_of(text: &str) -> Result<String, ControlError> {
    if logystera_schemas::ids::is_slug(text) {
        return Ok(text.to_owned());
    }
    Err(ControlError::invalid(format!("--subsystem: {text:?} is none: 1 to 64 of a-z 0-9 _ -, such as mail")))
}

/// The settings after a change.
pub(crate) fn changed(before: &ChannelSettings, change: &SettingsChange) -> Result<ChannelSettings, ControlError> {
    let mut settings = before.clone();
    if let Some(severity) = &change.severity {
        settings.severity = Some(severity_of("--severity", severity)?).filter(|least| *least > Severity::Info);
    }
    if let Some(subsystems) = &change.subsystems {
        let subsystems = subsystems.iter().map(|text| subsystem_of(text)).collect::<Result<_, _>>()?;
        settings.subsystems = bounded("--subsystem", subsystems)?;
    }
    if let Some(rules) = &change.rules {
        settings.rules = ids("--rule", rules)?;
    }
    if let Some(sites) = &change.sites {
        settings.sites = ids("--site", sites)?;
    }
    settings.resolved = change.resolved.unwrap_or(settings.resolved);
    match change.quiet.as_deref() {
        None => {}
        Some(NONE) => settings.quiet = None,
        Some(text) => {
            let quiet: QuietHours =
                text.parse().map_err(|error| ControlError::invalid(format!("--quiet {text}: {error}")))?;
            settings.quiet = Some(QuietHours { except: settings.quiet.and_then(|before| before.except), ..quiet });
        }
    }
    if let Some(except) = change.quiet_except.as_deref() {
        let except = if except == NONE { None } else { Some(severity_of("--quiet-except", except)?) };
        match &mut settings.quiet {
            Some(quiet) => quiet.except = except,
            None if except.is_none() => {}
            None => {
                let why = "--quiet-except: the channel has no quiet hours; give them too: --quiet 22:00-07:00+02:00";
                return Err(ControlError::invalid(why));
            }
        }
    }
    match change.per_minute {
        None => {}
        Some(0) => settings.per_minute = None,
        Some(n) => settings.per_minute = Some(n),
    }
    if !settings.is_bounded() {
        return Err(ControlError::invalid(format!("--per-minute: expected 1 to {PER_MINUTE_MAX}")));
    }
    Ok(settings)
}

impl<L: Log> Context<L> {
    /// Changes what a channel takes. The planner hears of it in the same commit.
    pub(crate) async fn set_channel(&self, channel: &str, change: &SettingsChange) -> Result<Channel, ControlError> {
        let directory = self.writer.directory()?;
        let found = known_channel(&directory, channel)?;
        for site in change.sites.iter().flatten() {
            if directory.site(site).is_none_or(|known| known.tenant != found.tenant) {
                let tenant = &found.tenant;
                return Err(ControlError::invalid(format!(
                    "--site: {tenant} has no site {site}; `logystera site list` shows them"
                )));
            }
        }
        let settings = changed(&found.settings, change)?;
        if change.rules.is_some() {
            self.check_rules(&directory, &found.tenant, &settings.rules)?;
        }
        let labels = match &change.labels {
            Some(said) => bounded("--label", labels_of("--label", said)?)?,
            None => found.labels.clone(),
        };
        let fallback = change.fallback.unwrap_or(found.fallback);
        let other = directory.channels(&found.tenant).find(|other| other.fallback && other.channel != found.channel);
        if let Some(Channel { channel, tenant, .. }) = other.filter(|_| fallback).map(AsRef::as_ref) {
            return Err(ControlError::invalid(format!(
                "--fallback: {tenant} has one: {channel}. First: logystera channel set {channel} --fallback off"
            )));
        }
        let now = Channel { settings, fallback, labels, ..found.clone() };
        if now != *found {
            let all = with_changed(&directory, &now);
            let tenant = now.tenant.clone();
            let entries =
                vec![entry(&Entity::Channel(now.clone())), channels_configured(&tenant, all, &self.writer.log)];
            self.writer.log.append(entries).await?;
        }
        Ok(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(fields: &str) -> SettingsChange {
        serde_json::from_str(fields).unwrap()
    }

    #[test]
    fn what_is_not_named_stays_and_each_change_has_a_way_back() {
        let mut settings = ChannelSettings::default();
        for (said, expected) in [
            (r#"{"severity": "warning"}"#, r#""severity":"warning""#),
            (r#"{"subsystems": ["mail", "db"]}"#, r#""subsystems":["mail","db"]"#),
            (r#"{"rules": ["r1"], "sites": ["shop"]}"#, r#""rules":["r1"],"sites":["shop"]"#),
            (r#"{"resolved": false}"#, r#""resolved":false"#),
            (
                r#"{"quiet": "22:00-07:00+02:00", "quiet_except": "critical"}"#,
                r#""quiet":{"utc_offset_min":120,"from_min":1320,"to_min":420,"except":"critical"}"#,
            ),
            // Other hours leave alone what is told in them.
            (r#"{"quiet": "23:00-07:00"}"#, r#""from_min":1380,"to_min":420,"except":"critical""#),
            (r#"{"quiet_except": "none"}"#, r#""except":null"#),
            (r#"{"per_minute": 10}"#, r#""per_minute":10"#),
        ] {
            settings = changed(&settings, &change(said)).unwrap();
            let now = serde_json::to_string(&settings).unwrap();
            assert!(now.contains(expected), "{said}: {now}");
            assert_eq!(changed(&settings, &SettingsChange::default()), Ok(settings.clone()));
        }
        assert_eq!((settings.severity, settings.rules.len()), (Some(Severity::Warning), 1), "nothing was lost");
        let back = r#"{"severity": "info", "subsystems": [], "rules": [], "sites": [], "resolved": true, "quiet": "none",
                       "quiet_except": "none", "per_minute": 0}"#;
        assert!(changed(&settings, &change(back)).unwrap().is_default());
    }

    #[test]
    fn what_cannot_be_set_says_what_can() {
        let many: Vec<String> = (0..=SETTINGS_LISTED_MAX).map(|n| format!("\"r{n}\"")).collect();
        for (said, says) in [
            (r#"{"severity": "bad"}"#.to_owned(), "expected one of info, warning, critical"),
            (r#"{"subsystems": ["Mail!"]}"#.to_owned(), "such as mail"),
            (r#"{"rules": ["No Rule"]}"#.to_owned(), "--rule: "),
            (r#"{"quiet": "22-7"}"#.to_owned(), "22:00-07:00+02:00"),
            (r#"{"quiet_except": "critical"}"#.to_owned(), "give them too"),
            (format!(r#"{{"per_minute": {}}}"#, PER_MINUTE_MAX + 1), "expected 1 to"),
            (format!(r#"{{"rules": [{}]}}"#, many.join(",")), "as many as there may be"),
        ] {
            let error = changed(&ChannelSettings::default(), &change(&said)).unwrap_err();
            assert!(error.message.contains(says), "{said}: {error}");
        }
    }
}

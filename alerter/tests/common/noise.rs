//! What channels take and what is silenced, as scripts write it.

use std::collections::BTreeMap;

use logystera_schemas::detection::Severity;
use logystera_schemas::noise::{ChannelSettings, QuietHours, Silence};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;

use super::{START_MS, channels};

/// The record that gives a tenant these channels, all webhooks unless `slack` in their id says otherwise; one that is named
/// `fallback` is that.
pub(crate) fn channels_set(tenant: &str, settings: &BTreeMap<String, ChannelSettings>) -> DetectionsRecord {
    let ids: Vec<&str> = settings.keys().map(String::as_str).collect();
    let mut record = channels(tenant, &ids);
    if let DetectionsRecord::ChannelsConfigured(configured) = &mut record {
        for channel in &mut configured.channels {
            channel.settings = settings[channel.channel.as_str()].clone();
            channel.fallback = channel.channel.as_str() == "fallback";
        }
    }
    record
}

pub(crate) fn settings_of(words: &[&str]) -> ChannelSettings {
    let mut settings = ChannelSettings::default();
    let mut except = None;
    for word in words {
        match word.split_once('=') {
            Some(("severity", least)) => settings.severity = Some(Severity::from_symbol(least).unwrap()),
            Some(("subsystem", part)) => settings.subsystems.push(part.to_owned()),
            Some(("rule", rule)) => settings.rules.push(rule.parse().unwrap()),
            Some(("site", site)) => settings.sites.push(site.parse().unwrap()),
            Some(("quiet", hours)) => settings.quiet = Some(hours.parse().unwrap()),
            Some(("per-minute", n)) => settings.per_minute = Some(n.parse().unwrap()),
            Some(("except", least)) => except = Severity::from_symbol(least),
            _ if *word == "no-resolved" => settings.resolved = false,
            _ => panic!("no such setting: {word}"),
        }
    }
    settings.quiet = settings.quiet.map(|quiet| QuietHours { except, ..quiet });
    settings
}

/// A silence whose times are still to be set.
pub(crate) fn silence_of(tenant: &str, id: &str, matchers: &[&str]) -> Silence {
    let mut silence = Silence {
        silence: id.parse().unwrap(),
        tenant: tenant.parse().unwrap(),
        author: "ann".to_owned(),
        reason: "moving".to_owned(),
        created_at: WallMs(START_MS),
        from: WallMs(START_MS),
        until: WallMs(START_MS + 3_600_000),
        ended_at: None,
        site: None,
        rule: None,
        severity: None,
        subsystem: None,
        labels: Vec::new(),
    };
    for (name, value) in matchers.iter().filter_map(|word| word.split_once('=')) {
        match name {
            "site" => silence.site = Some(value.parse().unwrap()),
            "rule" => silence.rule = Some(value.parse().unwrap()),
            "severity" => silence.severity = Severity::from_symbol(value),
            "subsystem" => silence.subsystem = Some(value.to_owned()),
            "label" => silence.labels.push(value.replace(':', "=").parse().unwrap()),
            other => panic!("no such matcher: {other}"),
        }
    }
    silence
}

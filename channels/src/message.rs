//! What a message says: the JSON that every generic receiver gets. The bytes are a function of the delivery, the public
//! address and the advice, so that a retry says the same.
//!
//! A receiver shows `title`, `message`, `why` and `do` to people as they are: characters that hide something are
//! written out in them, such as `\u{202e}`. What programs compare (ids, `group`, `evidence`) is exact.

use std::sync::Arc;

use logystera_schemas::calendar::Utc;
use logystera_schemas::catalogue::json_of;
use logystera_schemas::detection::{Detection, DetectionState, Evidence, Label, Severity};
use logystera_schemas::ids::{ChannelId, EpisodeId, RuleName, SiteId, TenantId};
use logystera_schemas::labels::SiteLabel;
use logystera_schemas::text::{Shown, ShownLines};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeStruct, Serializer};

use crate::Advice;
use logystera_schemas::alert::{About, Digest, DigestCount, Due, Failed, Merged, NamedSite, Told};

/// The envelope that Standard Webhooks recommends.
#[derive(Serialize)]
struct Envelope<'a, D> {
    r#type: &'a str,
    timestamp: String,
    data: D,
}

#[derive(Serialize)]
struct ChannelDisabled<'a> {
    channel: &'a ChannelId,
    reason: &'static str,
    message: String,
    detection: Named<'a>,
}

/// Names a detection without repeating it: this message is no alert.
#[derive(Serialize)]
struct Named<'a> {
    id: &'a EpisodeId,
    tenant: &'a TenantId,
    site: &'a SiteId,
    rule: &'a RuleName,
    seq: u64,
    url: &'a str,
}

#[derive(Serialize)]
struct ChannelTest<'a> {
    channel: &'a ChannelId,
    message: &'static str,
}

/// The body of a delivery. `public_url` is the deployment's address, without a slash at its end; `advice` what the rule says
/// to a person.
///
/// `type` is `detection.firing`, `detection.resolved`, `detection.bundle`, `digest` or `channel.disabled`; `timestamp` is when the detection was
/// evaluated last; `data` is the detection, or what became of the channel, with the name of the detection to which it
/// answered 410.
pub fn body(due: &Due, public_url: &str, advice: Option<&Advice>) -> Vec<u8> {
    let detection = due.detection.as_ref();
    let url = url_of(public_url, detection);
    let timestamp = rfc3339(detection.last_evaluated_at);
    match &due.about {
        About::Bundle(told) => {
            let timestamp = told.iter().map(|one| one.detection.last_evaluated_at).max().map_or(timestamp, rfc3339);
            json(&Envelope {
                r#type: "detection.bundle",
                timestamp,
                data: Bundle(Detections { told, due, public_url, advice }),
            })
        }
        About::Detection => {
            let kind = match detection.state {
                DetectionState::Resolved => "detection.resolved",
                // A suppressed one is delivered only if somebody asks for it.
                DetectionState::Firing | DetectionState::Suppressed => "detection.firing",
            };
            let (site, fallback) = (due.site(&detection.site), due.fallback.as_deref());
            let data = Said { detection, site, url: &url, advice, merged: &due.merged, fallback };
            json(&Envelope { r#type: kind, timestamp, data })
        }
        About::Digest(digest, named) => {
            let timestamp = named.iter().map(|one| one.last_evaluated_at).max().map_or(timestamp, rfc3339);
            let told: Vec<Told> =
                named.iter().map(|one| Told { detection: Arc::clone(one), merged: Merged::default() }).collect();
            let detections = Detections { told: &told, due, public_url, advice: None };
            let Digest { since, counts, rest } = digest;
            let rules = counts.iter().map(Counted::of).collect();
            let (count, channel) = (digest.alerts(), &due.channel);
            let data = DigestSaid {
                tenant: &due.tenant,
                channel,
                since: since.0,
                count,
                rules,
                other_rules: *rest,
                detections,
                failed_channels: due.fallback.as_deref().map(failed_said),
            };
            json(&Envelope { r#type: "digest", timestamp, data })
        }
        About::ChannelDisabled(channel) => {
            let Detection { id, tenant, site, rule, seq, .. } = detection;
            let data = ChannelDisabled {
                channel,
                reason: "status_410",
                message: format!(
                    "Channel {channel} said twice, an hour apart, that it is no more: it is switched off and gets no more alerts. When \
                     its receiver is there again: logystera channel enable {channel}"
                ),
                detection: Named { id, tenant, site, rule, seq: *seq, url: &url },
            };
            json(&Envelope { r#type: "channel.disabled", timestamp, data })
        }
    }
}

/// A detection as a person gets it: values as the signals had them, the rule's advice, and what else it stands for.
struct Said<'a> {
    detection: &'a Detection,
    /// Its site as its owner knows it, if that is known.
    site: Option<&'a NamedSite>,
    url: &'a str,
    advice: Option<&'a Advice>,
    merged: &'a Merged,
    /// The channels that failed, if this one is told in their place.
    fallback: Option<&'a [Failed]>,
}

/// A channel that could not be told.
#[derive(Serialize)]
struct FailedSaid<'a> {
    channel: &'a ChannelId,
    kind: &'a str,
}

fn failed_said(failed: &[Failed]) -> Vec<FailedSaid<'_>> {
    failed.iter().map(|one| FailedSaid { channel: &one.channel, kind: &one.kind }).collect()
}

/// What a message tells besides the newest line.
#[derive(Serialize)]
struct StandsFor {
    detections: u32,
    firings: u32,
    started_at: i64,
    firing_told: bool,
}

impl Serialize for Said<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { detection, site, url, advice, merged, fallback } = self;
        let mut map = serializer.serialize_struct("Said", 28)?;
        map.serialize_field("id", &detection.id)?;
        map.serialize_field("tenant", &detection.tenant)?;
        map.serialize_field("site", &detection.site)?;
        if let Some(site) = site {
            map.serialize_field("site_name", &Shown(&site.name).to_string())?;
            map.serialize_field("site_url", &site.url)?;
            map.serialize_field("site_labels", &ByKey(&site.labels))?;
        }
        map.serialize_field("rule", &detection.rule)?;
        map.serialize_field("revision", &detection.revision)?;
        map.serialize_field("title", &Shown(&detection.title).to_string())?;
        map.serialize_field("severity", &detection.severity)?;
        map.serialize_field("subsystem", &detection.subsystem)?;
        map.serialize_field("state", &detection.state)?;
        map.serialize_field("reason", &detection.reason)?;
        map.serialize_field("group", &Typed(&detection.group, None))?;
        map.serialize_field("count", &detection.count)?;
        map.serialize_field("held", &detection.held)?;
        map.serialize_field("started_at", &detection.started_at)?;
        map.serialize_field("last_evaluated_at", &detection.last_evaluated_at)?;
        map.serialize_field("evidence", &detection.evidence.iter().map(typed).collect::<Vec<_>>())?;
        map.serialize_field("message", &Shown(&detection.message).to_string())?;
        if let Some(why) = advice.and_then(|a| a.why.as_ref()) {
            map.serialize_field("why", &ShownLines(why).to_string())?;
        }
        if let Some(what_to_do) = advice.and_then(|a| a.what_to_do.as_ref()) {
            map.serialize_field("do", &ShownLines(what_to_do).to_string())?;
        }
        map.serialize_field("url", url)?;
        map.serialize_field("seq", &detection.seq)?;
        map.serialize_field("chain", &detection.chain)?;
        if detection.once {
            map.serialize_field("once", &true)?;
        }
        if merged.lines > 0 {
            map.serialize_field("stands_for", &stands_for(detection, merged))?;
        }
        if let Some(failed) = fallback {
            map.serialize_field("failed_channels", &failed_said(failed))?;
        }
        map.end()
    }
}

/// Labels as an object.
struct ByKey<'a>(&'a [SiteLabel]);

impl Serialize for ByKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|label| (&label.key, &label.value)))
    }
}

/// Several detections of a rule: what they have in common, and each as in a message of its own.
struct Bundle<'a>(Detections<'a>);

impl Serialize for Bundle<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Detections { told, .. } = &self.0;
        let mut map = serializer.serialize_struct("Bundle", 9)?;
        if let Some(first) = told.first().map(|one| one.detection.as_ref()) {
            map.serialize_field("tenant", &first.tenant)?;
            map.serialize_field("rule", &first.rule)?;
            map.serialize_field("title", &Shown(&first.title).to_string())?;
            map.serialize_field("severity", &first.severity)?;
            map.serialize_field("subsystem", &first.subsystem)?;
            map.serialize_field("state", &first.state)?;
        }
        map.serialize_field("count", &told.len())?;
        map.serialize_field("detections", &self.0)?;
        map.end()
    }
}

/// Each detection as in a message of its own.
struct Detections<'a> {
    told: &'a [Told],
    due: &'a Due,
    public_url: &'a str,
    advice: Option<&'a Advice>,
}

impl Serialize for Detections<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { told, due, public_url, advice } = self;
        let urls: Vec<String> = told.iter().map(|one| url_of(public_url, &one.detection)).collect();
        serializer.collect_seq(told.iter().zip(&urls).map(|(one, url)| Said {
            detection: one.detection.as_ref(),
            site: due.site(&one.detection.site),
            url,
            advice: *advice,
            merged: &one.merged,
            fallback: None,
        }))
    }
}

/// What a channel had no room for: how many alerts of each rule, and the first few.
#[derive(Serialize)]
struct DigestSaid<'a> {
    tenant: &'a TenantId,
    channel: &'a ChannelId,
    since: i64,
    count: u64,
    rules: Vec<Counted<'a>>,
    other_rules: u64,
    detections: Detections<'a>,
    /// The channels that failed, if this one is told in their place.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_channels: Option<Vec<FailedSaid<'a>>>,
}

#[derive(Serialize)]
struct Counted<'a> {
    rule: &'a RuleName,
    title: String,
    severity: Severity,
    state: DetectionState,
    count: u64,
}

impl<'a> Counted<'a> {
    fn of(count: &'a DigestCount) -> Self {
        let DigestCount { rule, title, severity, is_over, alerts } = count;
        let state = if *is_over { DetectionState::Resolved } else { DetectionState::Firing };
        Self { rule, title: Shown(title).to_string(), severity: *severity, state, count: *alerts }
    }
}

fn url_of(public_url: &str, detection: &Detection) -> String {
    format!("{}{}", public_url.trim_end_matches('/'), detection.url)
}

fn stands_for(detection: &Detection, merged: &Merged) -> StandsFor {
    let is_firing = detection.state == DetectionState::Firing;
    StandsFor {
        detections: merged.lines.saturating_add(1),
        firings: merged.firings.saturating_add(u32::from(is_firing)),
        started_at: merged.since.min(detection.started_at),
        firing_told: !is_firing && !merged.untold,
    }
}

/// Fields with the values that the signal's JSON had, and before them the signal's time.
struct Typed<'a>(&'a [Label], Option<i64>);

fn typed(evidence: &Evidence) -> Typed<'_> {
    Typed(&evidence.fields, Some(evidence.at))
}

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(labels, at) = self;
        let mut map = serializer.serialize_map(None)?;
        if let Some(at) = at {
            map.serialize_entry("at", at)?;
        }
        for label in *labels {
            map.serialize_entry(&label.field, &json_of(&label.field, &label.value))?;
        }
        map.end()
    }
}

/// The body of a test: `type` is `channel.test`.
pub fn test_body(channel: &ChannelId, now_ms: i64) -> Vec<u8> {
    let data = ChannelTest { channel, message: "This is a test of the channel. No detection is behind it." };
    json(&Envelope { r#type: "channel.test", timestamp: rfc3339(now_ms), data })
}

#[expect(clippy::expect_used, reason = "these structures have only text keys and no fallible serializer")]
fn json<D: Serialize>(envelope: &Envelope<'_, D>) -> Vec<u8> {
    serde_json::to_vec(envelope).expect("plain structures serialize")
}

/// A time as RFC 3339 writes it, in UTC with milliseconds.
fn rfc3339(ms: i64) -> String {
    let Utc { year, month, day, hour, minute, second, milli } = Utc::of(ms);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        // Computed with Python's datetime.
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_600_123, "2026-01-01T00:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ms), expected);
        }
    }
}

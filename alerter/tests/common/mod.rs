//! Scripts for the planner: a line is an action, then what must come of it.
#![allow(dead_code, unused_imports, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test helper: whoever fails here fails a test")]

pub(crate) mod history;
mod noise;
mod play;

use std::collections::BTreeMap;

pub(crate) use noise::{channels_set, settings_of, silence_of};
pub(crate) use play::{outcome_of_status, play, play_behind};

use logystera_alerter::core::{AttemptRef, Due, Planner, SEMANTICS, retry};
use logystera_schemas::delivery::{
    Attempt, AttemptEnded, AttemptOutcome, AttemptStarted, ChannelEnabled, ChannelRef, ChannelsConfigured,
};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Evidence, Label, Severity};
use logystera_schemas::ids::{DeliveryId, EpisodeId, Sha256Digest};
use logystera_schemas::noise::ChannelSettings;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;

/// Wall time at which scripts begin.
pub(crate) const START_MS: i64 = 1_767_225_600_000;

/// A detection of `tenant`'s site `<tenant>-site`, of a group and an episode of its own.
pub(crate) fn detection(tenant: &str, seq: u64, state: DetectionState) -> Detection {
    Detection {
        id: EpisodeId([seq as u8; 16]),
        tenant: tenant.parse().unwrap(),
        site: format!("{tenant}-site").parse().unwrap(),
        encryption_key: None,
        rule: "mail-delivery-failing".parse().unwrap(),
        revision: "0123456789ab".to_owned(),
        title: "Mail delivery is failing".to_owned(),
        severity: Severity::Critical,
        subsystem: "mail".to_owned(),
        state,
        reason: DetectionReason::Firing,
        group: vec![Label {
            field: "transport".to_owned(),
            value: if seq == 1 { "smtp".to_owned() } else { format!("smtp-{seq}") },
        }],
        count: 5,
        held: 0,
        started_at: START_MS - 60_000,
        last_evaluated_at: START_MS,
        evidence: vec![Evidence {
            at: START_MS - 1_000,
            fields: vec![Label { field: "outcome".to_owned(), value: "failed".to_owned() }],
        }],
        message: "5 mails failed on Shop within 10m".to_owned(),
        url: format!("/alerts/{seq}"),
        seq,
        chain: Sha256Digest::of(format!("{tenant} {seq}").as_bytes()),
        bundle: None,
        once: false,
    }
}

/// The same of this group and episode, found at `at_ms`.
pub(crate) fn line_of(mut detection: Detection, group: &str, episode: u8, at_ms: i64) -> Detection {
    group.clone_into(&mut detection.group[0].value);
    detection.id = EpisodeId([episode; 16]);
    detection.last_evaluated_at = at_ms;
    if detection.state == DetectionState::Resolved {
        detection.reason = DetectionReason::Resolved;
    }
    detection
}

pub(crate) fn tick(partition: u32, at: i64) -> DetectionsRecord {
    DetectionsRecord::Tick(Tick { partition, at: WallMs(at), open_ms: 0 })
}

pub(crate) fn channels(tenant: &str, ids: &[&str]) -> DetectionsRecord {
    let channel = |id: &&str| ChannelRef {
        channel: id.parse().unwrap(),
        kind: kind_of(id),
        settings: ChannelSettings::default(),
        fallback: false,
        labels: Vec::new(),
    };
    let channels = ids.iter().map(channel).collect();
    DetectionsRecord::ChannelsConfigured(ChannelsConfigured { tenant: tenant.parse().unwrap(), channels })
}

/// `slack` in a channel's id makes it one, and `mail` one of email.
pub(crate) fn kind_of(id: &str) -> String {
    match id {
        id if id.contains("slack") => "slack".to_owned(),
        id if id.contains("mail") => "email".to_owned(),
        _ => "webhook".to_owned(),
    }
}

pub(crate) fn fired(tenant: &str, seq: u64, state: DetectionState) -> DetectionsRecord {
    DetectionsRecord::Detection(Box::new(detection(tenant, seq, state)))
}

pub(crate) fn started(due: &Due, at: WallMs) -> DetectionsRecord {
    let Due { tenant, delivery, attempt, .. } = due.clone();
    DetectionsRecord::AttemptStarted(AttemptStarted { tenant, delivery, attempt, at, frozen: None })
}

pub(crate) fn ended(
    attempt: &AttemptRef,
    outcome: AttemptOutcome,
    status: Option<u32>,
    retry_after_s: Option<u64>,
) -> DetectionsRecord {
    let AttemptRef { tenant, delivery, attempt } = attempt.clone();
    let (duration_ms, cause) = (12, None);
    let ended =
        AttemptEnded { tenant, delivery, attempt, outcome, status, retry_after_s, duration_ms, cause, detail: None };
    DetectionsRecord::AttemptEnded(ended)
}

/// How an attempt ended that was due.
pub(crate) fn answered(due: &Due, outcome: AttemptOutcome, status: Option<u32>) -> AttemptEnded {
    let Due { tenant, delivery, attempt, .. } = due.clone();
    match ended(&AttemptRef { tenant, delivery, attempt }, outcome, status, None) {
        DetectionsRecord::AttemptEnded(ended) => ended,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn enabled(tenant: &str, channel: &str) -> DetectionsRecord {
    let (tenant, channel) = (tenant.parse().unwrap(), channel.parse().unwrap());
    DetectionsRecord::ChannelEnabled(ChannelEnabled { tenant, channel })
}

/// The delivery that somebody asks for with this record.
pub(crate) fn resent(record: &DetectionsRecord) -> Option<DeliveryId> {
    match record {
        DetectionsRecord::Resend(asked) => Some(retry::resent_id(&asked.detection, &asked.channel, &asked.resend)),
        _ => None,
    }
}

/// The rows of one record.
pub(crate) fn apply(planner: &mut Planner, record: DetectionsRecord) -> Vec<Attempt> {
    let mut rows = Vec::new();
    planner.apply(record, &mut rows);
    rows
}

/// Stored entries, by key.
pub(crate) type Store = BTreeMap<Vec<u8>, Vec<u8>>;

/// Stores what changed.
pub(crate) fn commit(planner: &mut Planner, store: &mut Store) {
    let puts = planner.take_puts();
    assert!(puts.is_sorted_by(|a, b| a.0 < b.0), "each key once, in order");
    for (key, value) in puts {
        match value {
            Some(value) => store.insert(key, value),
            None => store.remove(&key),
        };
    }
}

/// A planner of what is stored.
pub(crate) fn restored(store: &Store) -> Planner {
    let mut planner = Planner::new();
    for (key, value) in store {
        planner.restore(key, value).unwrap();
    }
    planner
}

/// The newest of a tenant's rows, each of which must be linked to the one before.
pub(crate) fn chain_behind(mut newest: Option<Attempt>, rows: &[Attempt]) -> Option<Attempt> {
    for row in rows {
        let (number, chain) = newest.as_ref().map_or((0, None), |before| (before.number, before.chain));
        let previous = chain.unwrap_or_else(|| Attempt::genesis(&row.tenant));
        assert_eq!(
            (row.number, row.chain, row.semantics),
            (number + 1, Some(row.link(&previous)), SEMANTICS),
            "{row:?}"
        );
        newest = Some(row.clone());
    }
    newest
}

//! How a channel fares by its newest row in topic `attempts`: where the planner is too much to read, or does not know it yet.

use std::collections::BTreeMap;

use crate::core::{ChannelStatus, Condition};
use logystera_channels::kinds::ended_as;
use logystera_infra::log::LogError;
use logystera_infra::reading::Reading;
use logystera_schemas::delivery::{Attempt, AttemptOutcome, AttemptState};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::schema;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::Topic;

/// Offsets at the end of each partition that are looked at: a list should take a second, not minutes.
const OFFSETS_LOOKED_AT: u64 = 10_000;

/// The newest row of each channel that says how it fared, among the newest rows of the topic.
pub fn newest(log: &dyn Reading) -> Result<BTreeMap<String, Attempt>, LogError> {
    let mut newest = BTreeMap::new();
    for part in log.partitions(Topic::Attempts) {
        let bounds = log.bounds(Topic::Attempts, part)?;
        let mut from = bounds.start.max(bounds.end.saturating_sub(OFFSETS_LOOKED_AT));
        loop {
            let records = log.read(Topic::Attempts, part, from, READ_BYTES_MAX)?;
            let Some(last) = records.last() else { break };
            from = last.offset + 1;
            let rows = records.iter().filter_map(|record| schema::decode::<Attempt>(&record.value).ok());
            newest.extend(rows.filter(is_telling).map(|row| (row.channel.clone(), row)));
        }
    }
    Ok(newest)
}

fn is_telling(row: &Attempt) -> bool {
    let is_of_the_message = row.state == AttemptState::NotSent && row.reason != "channel_disabled";
    let is_of_the_message = is_of_the_message || ["superseded", "channel_removed"].contains(&row.reason.as_str());
    !matches!(row.state, AttemptState::Started | AttemptState::Waiting) && !row.channel.is_empty() && !is_of_the_message
}

/// What a row says of its channel at a time.
pub fn status(row: &Attempt, now: WallMs) -> ChannelStatus {
    let until = row.next_attempt_at.unwrap_or(row.at);
    let condition = match (row.state, ended_as(&row.reason)) {
        (AttemptState::Dead, Some(AttemptOutcome::Gone)) => Condition::SwitchedOff { since: row.at },
        _ if row.reason == "channel_disabled" => Condition::SwitchedOff { since: WallMs(0) },
        (AttemptState::Delivered, _) => Condition::Working,
        (AttemptState::Failed, Some(AttemptOutcome::Gone)) => Condition::Gone { since: row.at, until },
        (AttemptState::Failed, Some(AttemptOutcome::Throttled)) if until > now => Condition::Paused { until },
        (AttemptState::Failed, Some(AttemptOutcome::Throttled)) if row.reason != "status_503" => Condition::Paced,
        _ => Condition::Failing { until: until.max(now), failures: 0 },
    };
    let trouble = (row.state != AttemptState::Delivered).then(|| match row.reason.as_str() {
        "channel_disabled" => "status_410".to_owned(),
        reason => reason.to_owned(),
    });
    ChannelStatus { condition, trouble, waiting: None }
}

#[cfg(test)]
mod tests {
    use logystera_infra::embedded::{Embedded, EmbeddedReader};
    use logystera_infra::log::{Entry, Log as _};
    use logystera_schemas::ids::{DeliveryId, EpisodeId};

    use super::*;

    const AT: WallMs = WallMs(1_767_225_600_000);

    fn row(channel: &str, state: AttemptState, reason: &str, again_in_ms: Option<i64>) -> Attempt {
        Attempt {
            tenant: "t".parse().unwrap(),
            site: "shop".parse().unwrap(),
            encryption_key: None,
            detection: EpisodeId([1; 16]),
            seq: 1,
            rule: "mail-delivery-failing".parse().unwrap(),
            channel: channel.to_owned(),
            delivery: DeliveryId([1; 16]),
            attempt: 1,
            state,
            reason: reason.to_owned(),
            status: None,
            at: AT,
            next_attempt_at: again_in_ms.map(|ms| AT.plus(ms)),
            disabled: None,
            number: 0,
            chain: None,
            outcome: None,
            semantics: 0,
        }
    }

    #[test]
    fn a_row_tells_how_its_channel_fares() {
        use AttemptState::{Dead, Delivered, Failed, NotSent, Unknown};
        let (now, hour) = (AT.plus(1_000), AT.plus(3_600_000));
        for (state, reason, again_in_ms, condition, trouble) in [
            (Delivered, "delivered", None, Condition::Working, None),
            (Failed, "status_410", Some(3_600_000), Condition::Gone { since: AT, until: hour }, Some("status_410")),
            (Dead, "status_410", None, Condition::SwitchedOff { since: AT }, Some("status_410")),
            (NotSent, "channel_disabled", None, Condition::SwitchedOff { since: WallMs(0) }, Some("status_410")),
            (Failed, "status_429", Some(3_600_000), Condition::Paused { until: hour }, Some("status_429")),
            (Failed, "status_429", Some(500), Condition::Paced, Some("status_429")),
            (
                Failed,
                "slack_no_service",
                Some(3_600_000),
                Condition::Gone { since: AT, until: hour },
                Some("slack_no_service"),
            ),
            (Dead, "smtp_550_5.1.1", None, Condition::SwitchedOff { since: AT }, Some("smtp_550_5.1.1")),
            (Failed, "teams_429", Some(3_600_000), Condition::Paused { until: hour }, Some("teams_429")),
            (Failed, "timeout", Some(3_600_000), Condition::Failing { until: hour, failures: 0 }, Some("timeout")),
            (Unknown, "unknown", Some(0), Condition::Failing { until: now, failures: 0 }, Some("unknown")),
        ] {
            let told = status(&row("a", state, reason, again_in_ms), now);
            let expected = ChannelStatus { condition, trouble: trouble.map(str::to_owned), waiting: None };
            assert_eq!(told, expected, "{state} {reason}");
        }
    }

    #[tokio::test]
    async fn the_newest_row_that_tells_something_of_a_channel_counts() {
        let dir = tempfile::tempdir().unwrap();
        let embedded = Embedded::open(dir.path()).unwrap();
        let rows = [
            row("a", AttemptState::Failed, "timeout", Some(5_000)),
            row("b", AttemptState::Delivered, "delivered", None),
            row("a", AttemptState::Delivered, "delivered", None),
            row("a", AttemptState::Started, "started", None),
            row("a", AttemptState::NotSent, "superseded", None),
            row("a", AttemptState::NotSent, "silenced", Some(5_000)),
            row("b", AttemptState::NotSent, "never_told", None),
            row("", AttemptState::NotSent, "no_channel", None),
        ];
        let entry = |row: &Attempt| {
            let (key, value) = (b"t".to_vec(), schema::encode(row));
            Entry { topic: Topic::Attempts, partition: 0, key, value }
        };
        embedded.log().append(rows.iter().map(entry).collect()).await.unwrap();
        let reader = EmbeddedReader::open(dir.path()).unwrap();
        let newest = newest(&reader).unwrap();
        assert_eq!(newest, BTreeMap::from([("a".to_owned(), rows[2].clone()), ("b".to_owned(), rows[1].clone())]));
    }
}

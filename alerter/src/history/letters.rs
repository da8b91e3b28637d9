//! Dead letters: alerts that a channel was to be told and never took, and that nothing tells it any more.

use std::collections::{BTreeMap, BTreeSet};

use logystera_infra::log::LogError;
use logystera_infra::reading::Reading;
use logystera_schemas::delivery::{Attempt, AttemptState};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{DeliveryId, EpisodeId};
use logystera_schemas::limits::{DELIVERIES_LOOKED_AT_MAX, RESENT_AT_ONCE_MAX};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::{DetectionsRecord, Topic};

use super::each_row;
use crate::core::reason::{BUNDLED, QUEUE_FULL, RATE_LIMITED, SUPERSEDED};

/// Its channel is off.
const CHANNEL_DISABLED: &str = "channel_disabled";

/// Which are asked for.
#[derive(Clone, Debug, Default)]
pub struct LetterFilter {
    /// Only this channel's.
    pub channel: Option<String>,
    /// Only this site's.
    pub site: Option<String>,
    /// Given up since then, milliseconds since the epoch.
    pub from_ms: Option<i64>,
}

/// The dead letters that a filter takes.
#[derive(Debug, Default)]
pub struct Letters {
    /// The row that gave each up, in the order of the topic: one of each alert and channel.
    pub rows: Vec<Attempt>,
    /// How many more there were, older than these.
    pub omitted: usize,
    /// How many records could not be read.
    pub unreadable: u64,
}

/// An alert, to a channel.
type Key = (String, EpisodeId);

/// How alerts stand at their channels, as far as they have not arrived.
#[derive(Default)]
struct Open {
    /// The newest row of each that counts, and its place in the order of reading.
    alerts: BTreeMap<Key, (u64, Attempt)>,
    places: BTreeMap<u64, Key>,
    /// What a delivery tells besides the alert that its rows name.
    others: BTreeMap<DeliveryId, BTreeSet<Key>>,
    read: u64,
}

/// Whether a row ends an alert's way to a channel undelivered.
fn is_dead(row: &Attempt) -> bool {
    match row.state {
        AttemptState::Dead => row.reason != SUPERSEDED,
        AttemptState::NotSent => [QUEUE_FULL, CHANNEL_DISABLED].contains(&row.reason.as_str()),
        _ => false,
    }
}

impl Open {
    fn take(&mut self, row: &Attempt) {
        // The news of a channel is no alert.
        if row.disabled.is_some() || row.channel.is_empty() {
            return;
        }
        self.read += 1;
        let own = (row.channel.clone(), row.detection);
        let is_not_sent = row.state == AttemptState::NotSent;
        if is_not_sent && [BUNDLED, RATE_LIMITED].contains(&row.reason.as_str()) {
            self.others.entry(row.delivery).or_default().insert(own);
            return;
        }
        let is_over = is_not_sent || row.state == AttemptState::Delivered || row.state == AttemptState::Dead;
        let mut all = self.others.get(&row.delivery).cloned().unwrap_or_default();
        if is_over {
            self.others.remove(&row.delivery);
        }
        // What is held back, or an end that nobody is told because its beginning was given up, is no news of that.
        if is_not_sent && !is_dead(row) {
            return;
        }
        all.insert(own);
        for key in all {
            if row.state == AttemptState::Delivered || row.reason == SUPERSEDED {
                self.drop_one(&key);
            } else {
                let row = Attempt { detection: key.1, ..row.clone() };
                self.put(key, row);
            }
        }
    }

    fn drop_one(&mut self, key: &Key) {
        if let Some((place, _)) = self.alerts.remove(key) {
            self.places.remove(&place);
        }
    }

    /// Beyond what there is room for, the oldest is forgotten.
    fn put(&mut self, key: Key, row: Attempt) {
        self.drop_one(&key);
        // Rows of one record have one number here: the place of each is its own.
        self.read += 1;
        self.places.insert(self.read, key.clone());
        self.alerts.insert(key, (self.read, row));
        if self.alerts.len() > DELIVERIES_LOOKED_AT_MAX
            && let Some((_, oldest)) = self.places.pop_first()
        {
            self.alerts.remove(&oldest);
        }
    }
}

/// The newest `limit` dead letters that `filter` takes. Reads the topic as far back as it is kept: what was given up once can have
/// been told since.
pub fn dead<R: Reading + ?Sized>(log: &R, filter: &LetterFilter, limit: usize) -> Result<Letters, LogError> {
    let (mut open, mut unreadable) = (Open::default(), 0);
    for part in log.partitions(Topic::Attempts) {
        let bounds = log.bounds(Topic::Attempts, part)?;
        unreadable += each_row(log, part, bounds, |row| open.take(&row))?;
    }
    let takes = |row: &Attempt| {
        is_dead(row)
            && filter.channel.as_ref().is_none_or(|channel| *channel == row.channel)
            && filter.site.as_ref().is_none_or(|site| site == row.site.as_str())
            && filter.from_ms.is_none_or(|from| row.at.0 >= from)
    };
    let mut rows: Vec<(u64, Attempt)> = open.alerts.into_values().filter(|(_, row)| takes(row)).collect();
    rows.sort_unstable_by_key(|(place, _)| *place);
    let omitted = rows.len().saturating_sub(limit);
    Ok(Letters { rows: rows.into_iter().skip(omitted).map(|(_, row)| row).collect(), omitted, unreadable })
}

/// What is known of an alert that is to be sent again.
struct Known {
    /// When it was given up.
    given_up: WallMs,
    /// Whether it was asked for since: it is on its way, though no row says so yet.
    asked_for: bool,
}

/// What one command has a channel told once more.
#[derive(Debug, Default)]
pub struct AtOnce {
    /// Of each alert the newest line that is known, the alert that was given up first at the front.
    pub detections: Vec<Detection>,
    /// How many more are too old: topic `detections` does not reach back so far.
    pub gone: usize,
    /// How many dead letters are left for another command.
    pub left: usize,
    /// How many rows could not be read.
    pub unreadable: u64,
}

/// The oldest dead letters that `filter` takes and nobody asked for since: at most [`RESENT_AT_ONCE_MAX`].
pub fn at_once<R: Reading + ?Sized>(log: &R, filter: &LetterFilter) -> Result<AtOnce, LogError> {
    let Letters { rows: mut letters, unreadable, .. } = dead(log, filter, DELIVERIES_LOOKED_AT_MAX)?;
    let known = |row: &Attempt| (row.detection, Known { given_up: row.at, asked_for: false });
    let mut known: BTreeMap<EpisodeId, Known> = letters.iter().map(known).collect();
    log.each_record(Topic::Detections, &mut |record| learn(&mut known, filter, &record.value))?;
    let left = keep_the_next(&mut letters, &known);
    // Only of those that are sent a detection is kept: it is read again for them.
    let mut newest = letters.iter().map(|letter| (letter.detection, None)).collect();
    log.each_record(Topic::Detections, &mut |record| keep_newest(&mut newest, &record.value))?;
    let asked = letters.len();
    let detections: Vec<Detection> =
        letters.iter().filter_map(|letter| newest.remove(&letter.detection).flatten()).collect();
    Ok(AtOnce { gone: asked - detections.len(), detections, left, unreadable })
}

/// What a record of topic `detections` says of these alerts: whether they were asked for.
fn learn(known: &mut BTreeMap<EpisodeId, Known>, filter: &LetterFilter, value: &[u8]) {
    if let Ok(DetectionsRecord::Resend(resend)) = DetectionsRecord::decode(value)
        && filter.channel.as_deref() == Some(resend.channel.as_str())
        && let Some(known) = known.get_mut(&resend.detection.id)
    {
        known.asked_for |= resend.at >= known.given_up;
    }
}

/// Keeps a detection if it is the newest line of one of these alerts.
fn keep_newest(newest: &mut BTreeMap<EpisodeId, Option<Detection>>, value: &[u8]) {
    if let Ok(DetectionsRecord::Detection(detection)) = DetectionsRecord::decode(value)
        && let Some(newest) = newest.get_mut(&detection.id)
    {
        *newest = Some(*detection);
    }
}

/// Keeps those that one command sends again. Gives how many are left.
fn keep_the_next(letters: &mut Vec<Attempt>, known: &BTreeMap<EpisodeId, Known>) -> usize {
    letters.retain(|letter| known.get(&letter.detection).is_some_and(|known| !known.asked_for));
    let left = letters.len().saturating_sub(RESENT_AT_ONCE_MAX);
    letters.truncate(RESENT_AT_ONCE_MAX);
    left
}

#[cfg(test)]
mod tests {
    use logystera_schemas::ids::Sha256Digest;
    use logystera_schemas::time::WallMs;

    use super::*;

    /// `delivery channel alert state reason`, each a letter or a word.
    fn row(line: &str) -> Attempt {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [delivery, channel, alert, state, reason] = words[..] else { unreachable!("{line}") };
        let id = |text: &str| Sha256Digest::of(text.as_bytes()).0[..16].try_into().unwrap();
        Attempt {
            tenant: "t".parse().unwrap(),
            site: "shop".parse().unwrap(),
            encryption_key: None,
            detection: EpisodeId(id(alert)),
            seq: 1,
            rule: "r".parse().unwrap(),
            channel: if channel == "-" { String::new() } else { channel.to_owned() },
            delivery: DeliveryId(id(delivery)),
            attempt: 1,
            state: AttemptState::from_symbol(state).unwrap(),
            reason: reason.to_owned(),
            status: None,
            at: WallMs(7),
            next_attempt_at: None,
            disabled: (alert == "news").then(|| "old".parse().unwrap()),
            number: 0,
            chain: None,
            outcome: None,
            semantics: 0,
        }
    }

    #[test]
    fn a_letter_is_dead_until_something_tells_its_alert() {
        for (script, expected) in [
            ("d1 a x started started, d1 a x failed status_500", ""),
            ("d1 a x started started, d1 a x dead status_404", "a x"),
            ("d1 a x started started, d1 a x delivered delivered", ""),
            // Another channel's success is not this one's.
            ("d1 a x dead status_404, d2 b x delivered delivered", "a x"),
            // Somebody asked for it again: it is on its way, arrives, or dies once more.
            ("d1 a x dead status_404, d2 a x waiting resent", ""),
            ("d1 a x dead status_404, d2 a x waiting resent, d2 a x delivered delivered", ""),
            ("d1 a x dead status_404, d2 a x waiting resent, d2 a x dead status_404", "a x"),
            // A newer line of the alert tells it.
            ("d1 a x dead superseded", ""),
            ("d1 a x dead status_404, d2 a x started started, d2 a x delivered delivered", ""),
            // Its end is told to nobody.
            ("d1 a x dead status_404, d2 a x not_sent never_told", "a x"),
            ("d1 a x not_sent queue_full", "a x"),
            ("d1 a x not_sent channel_disabled", "a x"),
            ("d1 a x not_sent silenced", ""),
            ("d1 a x not_sent bundled, d1 a y not_sent bundled, d1 a x not_sent channel_disabled", "a x, a y"),
            ("d1 - x not_sent nobody_told", ""),
            ("d1 a news dead status_404", ""),
            // A bundle tells several.
            ("d1 a x not_sent bundled, d1 a y not_sent bundled, d1 a x dead status_404", "a x, a y"),
            ("d1 a x not_sent bundled, d1 a y not_sent bundled, d1 a x delivered delivered", ""),
            (
                "d0 a y dead status_404, d1 a x not_sent bundled, d1 a y not_sent bundled, d1 a x delivered delivered",
                "",
            ),
            ("d0 a y dead status_404, d1 a y not_sent rate_limited", "a y"),
        ] {
            let mut open = Open::default();
            script.split(", ").for_each(|line| open.take(&row(line)));
            let names = ["x", "y"].map(|name| (row(&format!("d a {name} dead d")).detection, name));
            let name = |id: EpisodeId| names.iter().find(|(known, _)| *known == id).map_or("?", |(_, name)| name);
            let mut dead: Vec<_> = open.alerts.values().filter(|(_, row)| is_dead(row)).collect();
            dead.sort_unstable_by_key(|(place, _)| *place);
            let dead: Vec<String> =
                dead.iter().map(|(_, row)| format!("{} {}", row.channel, name(row.detection))).collect();
            assert_eq!(dead.join(", "), expected, "{script}");
        }
    }

    #[test]
    fn one_command_sends_as_many_as_there_is_room_for_the_oldest_first_and_none_twice() {
        let all = RESENT_AT_ONCE_MAX + 5;
        let mut letters: Vec<Attempt> = (0..all).map(|n| row(&format!("d{n} a x{n} dead status_404"))).collect();
        let before = letters.clone();
        let known =
            |(n, letter): (usize, &Attempt)| (letter.detection, Known { given_up: WallMs(7), asked_for: n < 2 });
        let known = before.iter().enumerate().map(known).collect();
        assert_eq!(keep_the_next(&mut letters, &known), 3);
        assert_eq!(letters, before[2..all - 3]);
        assert_eq!(letters.len(), RESENT_AT_ONCE_MAX);
    }

    #[test]
    fn beyond_what_there_is_room_for_the_oldest_is_forgotten() {
        let mut open = Open::default();
        for n in 0..=DELIVERIES_LOOKED_AT_MAX {
            open.take(&row(&format!("d{n} a x{n} dead status_404")));
        }
        assert_eq!((open.alerts.len(), open.places.len()), (DELIVERIES_LOOKED_AT_MAX, DELIVERIES_LOOKED_AT_MAX));
        assert!(!open.alerts.contains_key(&("a".to_owned(), row("d a x0 dead d").detection)));
    }
}

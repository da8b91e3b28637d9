use std::ops::Range;

use logystera_infra::directory::Directory;
use logystera_infra::log::Record;
use logystera_schemas::ids::EpisodeId;
use logystera_schemas::time::WallMs;
use proptest::prelude::*;

use super::*;

fn row(delivery: u8, site: &str, state: AttemptState, at: i64) -> Attempt {
    Attempt {
        tenant: "t".parse().unwrap(),
        site: site.parse().unwrap(),
        encryption_key: None,
        detection: EpisodeId([delivery / 2; 16]),
        seq: 1,
        rule: "mail-delivery-failing".parse().unwrap(),
        channel: "c".to_owned(),
        delivery: DeliveryId([delivery; 16]),
        attempt: 1,
        state,
        reason: state.as_str().to_owned(),
        status: None,
        at: WallMs(at),
        next_attempt_at: None,
        disabled: None,
        number: 0,
        chain: None,
        outcome: None,
        semantics: 0,
    }
}

/// Topic `attempts` of one partition.
struct Topics(Vec<Record>);

/// Records of a read.
const READ: usize = 100;

impl Reading for Topics {
    fn generations(&self, _: Topic) -> Vec<u32> {
        vec![1]
    }

    fn bounds(&self, _: Topic, _: PartitionId) -> Result<Range<u64>, LogError> {
        Ok(0..self.0.len() as u64)
    }

    fn read(&self, _: Topic, _: PartitionId, from: u64, _: usize) -> Result<Vec<Record>, LogError> {
        Ok(self.0.iter().skip(from as usize).take(READ).cloned().collect())
    }

    fn directory(&self) -> Result<Directory, LogError> {
        Ok(Directory::default())
    }

    fn position(&self, _: &str, _: Topic, _: PartitionId) -> Result<u64, LogError> {
        Ok(0)
    }
}

/// What the topic has, and behind it records that cannot be read.
fn with_topic<T>(rows: &[Attempt], damaged: usize, ask: impl FnOnce(&Topics) -> T) -> T {
    let values = rows.iter().map(schema::encode).chain((0..damaged).map(|_| b"junk".to_vec()));
    let record = |(offset, value)| Record { offset, key: b"t".to_vec(), value };
    ask(&Topics((0..).zip(values).map(record).collect()))
}

/// Each delivery by its last row; those that are asked for; the newest of them.
fn naively(rows: &[Attempt], filter: &Filter, limit: usize) -> Vec<Attempt> {
    let last = |row: &Attempt| rows.iter().rposition(|other| other.delivery == row.delivery);
    let mut newest: Vec<(usize, &Attempt)> = rows.iter().enumerate().filter(|(i, row)| last(row) == Some(*i)).collect();
    newest.retain(|(_, row)| {
        let mut own = rows.iter().filter(|other| other.delivery == row.delivery);
        let of_site = filter.site.as_ref().is_none_or(|site| own.any(|other| site.as_str() == other.site.as_str()));
        of_site && filter.state.is_none_or(|state| state == row.state) && filter.from_ms.is_none_or(|ms| ms <= row.at.0)
    });
    newest.sort_by_key(|(i, row)| (row.at.0, *i));
    newest.into_iter().rev().take(limit).rev().map(|(_, row)| row.clone()).collect()
}

proptest! {
    /// Alertmanager's users: was it sent, and why not (#560, #1976)? The answer is one command.
    #[test]
    fn a_list_is_what_the_last_rows_say(
        drawn in prop::collection::vec((0u8..12, 0usize..2, 0usize..AttemptState::ALL.len(), 0i64..50), 0..60),
        state in prop::option::of(0usize..AttemptState::ALL.len()),
        site in prop::option::of(0usize..2),
        from_ms in prop::option::of(0i64..50),
        limit in 1usize..15,
    ) {
        let sites = ["shop", "blog"];
        let rows: Vec<Attempt> =
            drawn.iter().map(|(id, site, state, at)| row(*id, sites[*site], AttemptState::ALL[*state], *at)).collect();
        let filter = Filter {
            state: state.map(|i| AttemptState::ALL[i]),
            site: site.map(|i| sites[i].to_owned()),
            alert: None,
            from_ms,
        };
        let (listed, unreadable) = with_topic(&rows, 2, |log| newest(log, &filter, limit)).unwrap();
        prop_assert_eq!(unreadable, 2);
        prop_assert_eq!(listed, naively(&rows, &filter, limit));
    }
}

#[test]
fn a_delivery_that_tells_several_detections_is_found_by_each() {
    let of = |detection: u8, state, reason: &str, at| Attempt {
        detection: EpisodeId([detection; 16]),
        reason: reason.to_owned(),
        ..row(9, "shop", state, at)
    };
    let rows = [
        of(0xaa, AttemptState::NotSent, "bundled", 1),
        of(0xbb, AttemptState::NotSent, "bundled", 2),
        row(3, "shop", AttemptState::Delivered, 2),
        of(0xaa, AttemptState::Started, "started", 3),
        of(0xaa, AttemptState::Delivered, "delivered", 4),
    ];
    for (alert, expected) in [("aa", vec![rows[4].clone()]), ("bb", vec![rows[4].clone()]), ("cc", vec![])] {
        let filter = Filter { alert: Some(alert.to_owned()), ..Filter::default() };
        let (listed, _) = with_topic(&rows, 0, |log| newest(log, &filter, 5)).unwrap();
        assert_eq!(listed, expected, "{alert}");
    }
    // Of each of their sites, too.
    let blog = Attempt { site: "blog".parse().unwrap(), ..of(0xbb, AttemptState::NotSent, "bundled", 2) };
    let rows_of_two = [rows[0].clone(), blog, rows[3].clone(), rows[4].clone()];
    for (site, alert, found) in
        [("blog", None, true), ("shop", None, true), ("blog", Some("bb"), true), ("blog", Some("aa"), false)]
    {
        let filter = Filter { site: Some(site.to_owned()), alert: alert.map(str::to_owned), ..Filter::default() };
        let (listed, _) = with_topic(&rows_of_two, 0, |log| newest(log, &filter, 5)).unwrap();
        assert_eq!(listed.len(), usize::from(found), "{site} {alert:?}");
    }
    // As it stands now, not as it stood.
    let waiting = Filter { alert: Some("bb".to_owned()), state: Some(AttemptState::NotSent), ..Filter::default() };
    assert_eq!(with_topic(&rows, 0, |log| newest(log, &waiting, 5)).unwrap().0, []);
}

#[test]
fn beyond_the_room_the_oldest_are_forgotten() {
    let filter = Filter::default();
    let mut newest = Newest::new(&filter, 3);
    for id in [1, 2, 3, 1, 4, 5] {
        newest.take(row(id, "shop", AttemptState::Started, i64::from(id)));
    }
    let ids: Vec<DeliveryId> = newest.rows.values().map(|row| row.delivery).collect();
    assert_eq!(ids, [3, 4, 5].map(|id| DeliveryId([id; 16])));
    assert_eq!(newest.places.len(), 3);
}

#[test]
fn a_list_looks_back_until_there_are_enough() {
    let mut rows = vec![row(1, "shop", AttemptState::Dead, 1)];
    rows.extend((0..3 * LOOK_BACK_RECORDS).map(|n| row(2, "shop", AttemptState::Started, n as i64 + 2)));
    let dead = Filter { state: Some(AttemptState::Dead), ..Filter::default() };
    let (listed, _) = with_topic(&rows, 0, |log| newest(log, &dead, 5)).unwrap();
    assert_eq!(listed, rows[..1]);
}

#[test]
fn a_delivery_is_found_by_how_its_id_begins() {
    let mut rows = vec![row(0xab, "shop", AttemptState::Started, 1), row(0xac, "shop", AttemptState::Started, 2)];
    rows.push(row(0xab, "shop", AttemptState::Delivered, 3));
    with_topic(&rows, 1, |log| {
        let one = of_one(log, "abab").unwrap();
        assert_eq!((one.rows, one.omitted, one.ids.len()), (vec![rows[0].clone(), rows[2].clone()], 0, 1));
        assert_eq!(of_one(log, "a").unwrap().ids.len(), 2, "it means two");
        assert_eq!(of_one(log, "b").unwrap().rows, []);
    });
}

#[test]
fn of_many_rows_the_newest_are_shown() {
    let count = DELIVERY_ROWS_SHOWN_MAX as i64 + 7;
    let rows: Vec<Attempt> = (0..count).map(|at| row(1, "shop", AttemptState::Failed, at)).collect();
    let one = with_topic(&rows, 0, |log| of_one(log, "01")).unwrap();
    assert_eq!((one.omitted, one.rows.len()), (7, DELIVERY_ROWS_SHOWN_MAX));
    assert_eq!(one.rows.last(), rows.last());
}

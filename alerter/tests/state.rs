//! The bytes of the planner's state entries: a format change must not slip in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::fmt::Write as _;

use common::{
    START_MS, Store, apply, channels, channels_set, commit, enabled, ended, fired, play, restored, silence_of, started,
    tick,
};
use logystera_alerter::core::state::StateError;
use logystera_alerter::core::{AttemptRef, Condition, Due, Planner};
use logystera_schemas::delivery::{Attempt, AttemptOutcome};
use logystera_schemas::detection::{DetectionState, Severity};
use logystera_schemas::labels::SiteLabelled;
use logystera_schemas::noise::ChannelSettings;
use logystera_schemas::signals_topic::Seal;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn start(planner: &mut Planner) -> AttemptRef {
    let due: Due = planner.due().next().unwrap();
    apply(planner, started(&due, planner.wall()));
    AttemptRef { tenant: due.tenant, delivery: due.delivery, attempt: due.attempt }
}

/// Two channels, one detection: `a` paused and waiting for a second attempt, `b` in the air.
fn planner() -> Planner {
    let mut planner = Planner::new();
    apply(&mut planner, tick(3, START_MS));
    apply(&mut planner, channels("t", &["a", "b"]));
    apply(&mut planner, fired("t", 1, DetectionState::Firing));
    let attempt = start(&mut planner);
    apply(&mut planner, ended(&attempt, AttemptOutcome::Throttled, Some(429), Some(60)));
    start(&mut planner);
    planner
}

#[test]
fn entries_have_golden_bytes() {
    let puts = planner().take_puts();
    let lines: Vec<String> = puts
        .iter()
        .map(|(key, value)| format!("{} {}", hex(key), value.as_deref().map_or("-".to_owned(), hex)))
        .collect();
    let expected = include_str!("golden/state.txt");
    assert_eq!(lines.join("\n"), expected.trim_end(), "\n{}", lines.join("\n"));
}

/// A channel with settings, a silence, and an episode that both channels hold back, one for each reason.
fn holding_back() -> Planner {
    let mut planner = Planner::new();
    apply(&mut planner, tick(3, START_MS));
    let quiet = "23:00-07:00+01:00".parse().ok();
    let settings = ChannelSettings { quiet, severity: Some(Severity::Warning), ..ChannelSettings::default() };
    let settings = [("a".to_owned(), ChannelSettings::default()), ("b".to_owned(), settings)];
    apply(&mut planner, channels_set("t", &settings.into()));
    let (tenant, site, labels) = ("t".parse().unwrap(), "t-site".parse().unwrap(), vec!["env=live".parse().unwrap()]);
    apply(&mut planner, DetectionsRecord::SiteLabelled(SiteLabelled { tenant, site, labels }));
    let silence = silence_of("t", "sl_1", &["subsystem=mail", "label=env:live"]);
    apply(&mut planner, DetectionsRecord::Silence(silence));
    apply(&mut planner, fired("t", 1, DetectionState::Firing));
    planner
}

#[test]
fn what_is_held_back_has_golden_bytes_and_is_restored() {
    let mut planner = holding_back();
    let puts = planner.take_puts();
    let lines: Vec<String> = puts
        .iter()
        .map(|(key, value)| format!("{} {}", hex(key), value.as_deref().map_or("-".to_owned(), hex)))
        .collect();
    let file = include_str!("golden/state_held_back.txt");
    assert_eq!(lines.join("\n"), file.trim_end(), "\n{}", lines.join("\n"));
    let before = [
        include_str!("golden/state_held_back_without_ordered.txt"),
        include_str!("golden/state_held_back_without_counted.txt"),
    ];
    let mut now = restored(&entries(file));
    assert_eq!(now.take_puts(), [], "restoring changes nothing");
    let mut before = before.map(|file| restored(&entries(file)));
    for planner in before.iter_mut().chain([&mut now, &mut planner]) {
        assert!(planner.has_deliveries(), "it wants time");
        let hours = |n: i64| tick(3, START_MS + n * 3_600_000);
        let rows = apply(planner, hours(1));
        assert_eq!(rows, [], "b is quiet still, and its row said so from the beginning");
        assert_eq!(planner.due().map(|d| d.channel.to_string()).collect::<Vec<_>>(), ["a"]);
        apply(planner, hours(6));
        assert_eq!(planner.due().map(|d| d.channel.to_string()).collect::<Vec<_>>(), ["a", "b"]);
    }
}

/// Entries as a file has them, in the order of their keys.
fn entries(file: &str) -> Store {
    let unhex = |text: &str| -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    };
    file.lines().map(|line| line.split_once(' ').unwrap()).map(|(key, value)| (unhex(key), unhex(value))).collect()
}

/// Of the versions before, which kept no mark of what is told once, no labels, no chain, no settings, no episodes and no bundles, the same is restored.
#[test]
fn golden_entries_are_restored() {
    for file in [
        include_str!("golden/state.txt"),
        include_str!("golden/state_without_ordered.txt"),
        include_str!("golden/state_without_counted.txt"),
        include_str!("golden/state_without_fallback.txt"),
        include_str!("golden/state_without_settings.txt"),
    ] {
        are_restored(file);
    }
}

fn are_restored(file: &str) {
    let mut restored = restored(&entries(file));
    assert_eq!(restored.take_puts(), [], "restoring changes nothing");
    let original = planner();
    assert_eq!(restored.wall(), original.wall());
    assert_eq!(restored.unfinished().collect::<Vec<_>>(), original.unfinished().collect::<Vec<_>>());
    for planner in [&mut restored, &mut planner()] {
        apply(planner, tick(3, START_MS + 60_000));
        let due: Vec<_> = planner.due().map(|d| (d.channel.to_string(), d.attempt, d.detection.seq)).collect();
        assert_eq!(due, [("a".to_owned(), 2, 1)]);
    }
}

/// What the versions before wrote: two deliveries of one detection, one waiting and one in the air, both under their old keys.
#[test]
fn entries_of_versions_before_are_read_and_their_deliveries_keep_their_keys() {
    for (file, tags) in [
        (include_str!("golden/state_without_key_groups.txt"), "abcdd"),
        (include_str!("golden/state_without_chain.txt"), "bcdda"),
    ] {
        let mut store = entries(file);
        let is_grouped = store.keys().all(|key| key.len() > 2 && key[0] != b'a');
        let tag = |key: &Vec<u8>| char::from(if is_grouped { key[2] } else { key[0] });
        assert_eq!(store.keys().map(tag).collect::<String>(), tags);
        let mut planner = restored(&store);
        commit(&mut planner, &mut store);
        assert_eq!(planner.take_puts(), []);
        assert!(store.keys().all(|key| key[0] != b'a' && (key[2] != b'c' || key.len() == 52)), "{:?}", store.keys());

        let in_the_air = planner.unfinished().next().unwrap();
        assert_eq!(in_the_air.delivery.to_string(), "07c333aeef2c5943a6d3a376110d5abb");
        for mut planner in [planner, restored(&store)] {
            let rows = apply(&mut planner, ended(&in_the_air, AttemptOutcome::Delivered, Some(200), None));
            assert_eq!((rows.len(), rows[0].reason.as_str(), rows[0].seq), (1, "delivered", 1));
            apply(&mut planner, tick(3, START_MS + 60_000));
            let due: Vec<_> = planner.due().map(|d| (d.delivery.to_string(), d.attempt, d.detection.seq)).collect();
            assert_eq!(due, [("b4da80a6cc7cb710aaf55797303f5fe2".to_owned(), 2, 1)]);
        }
    }
}

/// Its rows were not linked: the chain begins with the first one that is.
#[test]
fn behind_a_state_without_a_row_chain_the_chain_begins() {
    let mut before = restored(&entries(include_str!("golden/state_without_settings.txt")));
    let mut now = restored(&entries(include_str!("golden/state.txt")));
    assert_eq!(before.take_puts(), [], "restoring changes nothing");
    let in_the_air = planner().unfinished().next().unwrap();
    let end = |planner: &mut Planner| apply(planner, ended(&in_the_air, AttemptOutcome::Delivered, Some(200), None));
    let (first, fourth) = (end(&mut before).remove(0), end(&mut now).remove(0));
    assert_eq!((first.number, fourth.number), (1, 4));
    assert_eq!(first.chain, Some(first.link(&Attempt::genesis(&first.tenant))));
    assert_eq!(Attempt { number: 4, chain: fourth.chain, ..first }, fourth);
}

#[test]
fn a_channel_that_was_switched_off_stays_so() {
    // Tenant t, one channel a of kind webhook, disabled; as a version before wrote it.
    let before = "027d6274 02020261 0e776562686f6f6b 01 00 00 00 00 00".replace(' ', "");
    let store = entries(&before.replacen("027d6274", "027d6274 ", 1));
    let mut planner = restored(&store);
    assert_eq!(planner.channels_off(), 1);
    let (tenant, channel) = ("t".parse().unwrap(), "a".parse().unwrap());
    let condition = |p: &Planner| p.channel_status(&tenant, &channel, WallMs(START_MS)).unwrap().condition;
    assert_eq!(condition(&planner), Condition::SwitchedOff { since: WallMs(0) });
    apply(&mut planner, enabled("t", "a"));
    assert_eq!((planner.channels_off(), condition(&planner)), (0, Condition::Working));
}

#[test]
fn a_seal_is_the_end() {
    let mut planner = planner();
    planner.take_puts();
    apply(&mut planner, DetectionsRecord::Seal(Seal { generation: 0, partition: 0, next_partitions: 4 }));
    assert!(planner.is_sealed());
    assert_eq!(apply(&mut planner, fired("t", 2, DetectionState::Firing)), []);
    apply(&mut planner, tick(3, START_MS + 60_000));
    assert_eq!((planner.take_puts(), planner.wall().0), (vec![], START_MS));
}

#[test]
fn an_entry_that_ended_is_deleted() {
    let mut planner = planner();
    planner.take_puts();
    let attempt = planner.unfinished().next().unwrap();
    apply(&mut planner, ended(&attempt, AttemptOutcome::Delivered, Some(200), None));
    let kept = |puts: Vec<(Vec<u8>, Option<Vec<u8>>)>| -> Vec<(char, bool)> {
        puts.into_iter().map(|(key, value)| (char::from(key[2]), value.is_some())).collect()
    };
    assert_eq!(
        kept(planner.take_puts()),
        [('b', true), ('c', true), ('d', false), ('g', true)],
        "the other delivery still needs the detection, which is told now"
    );
    apply(&mut planner, channels("t", &[]));
    assert_eq!(
        kept(planner.take_puts()),
        [('b', false), ('c', false), ('d', false), ('e', true), ('g', true)],
        "its chain goes on"
    );
    assert_eq!(planner.take_puts(), []);
}

#[test]
fn what_is_not_ours_is_refused() {
    let puts = planner().take_puts();
    let clock = puts.last().unwrap().1.clone().unwrap();
    let delivery = puts.iter().rfind(|(key, _)| key[2] == b'd').unwrap().clone();
    for (key, value, expected) in [
        (b"".to_vec(), clock.clone(), StateError::Key),
        (b"ax".to_vec(), clock.clone(), StateError::Key),
        (b"z".to_vec(), clock.clone(), StateError::Key),
        (b"\xff\xff".to_vec(), clock.clone(), StateError::Key),
        (b"\x00\x01bt".to_vec(), clock.clone(), StateError::Key),
        (b"bNOT AN ID".to_vec(), clock.clone(), StateError::Key),
        (b"ct\0t-site\0\x01".to_vec(), clock.clone(), StateError::Key),
        (b"dt\0short".to_vec(), clock.clone(), StateError::Key),
        (b"gNOT AN ID".to_vec(), clock.clone(), StateError::Key),
        (b"a".to_vec(), vec![4], StateError::Layout(2)),
        (b"et\0short".to_vec(), clock.clone(), StateError::Key),
        (b"ft\0NOT AN ID".to_vec(), clock.clone(), StateError::Key),
        (delivery.0.clone(), delivery.1.clone().unwrap(), StateError::Orphan),
    ] {
        assert_eq!(Planner::new().restore(&key, &value), Err(expected), "{key:?}");
    }
    for end in 0..clock.len() {
        assert!(matches!(Planner::new().restore(b"a", &clock[..end]), Err(StateError::Value(_))), "cut at {end}");
    }
}

/// Alertmanager's users: a restart repeats or forgets that something is over. `play` restores the planner behind each line.
#[test]
fn a_restart_neither_repeats_nor_forgets_that_it_is_over() {
    play(
        "channels a b
         firing 1 x e1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         start b1 => b1#1 started
         end b1 ok => b1#1 delivered
         resolved 2 x e1
         start a2 => a2#1 started
         end a2 ok => a2#1 delivered
         due => b2#1
         start b2 => b2#1 started
         end b2 unknown => b2#1 unknown next ~5s
         at 6s
         due => b2#2
         start b2 => b2#2 started
         end b2 ok => b2#2 delivered
         at 24h
         due",
    );
}

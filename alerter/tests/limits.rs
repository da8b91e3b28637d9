//! A channel for people takes so many messages a minute; what is beyond goes in one digest.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use common::{START_MS, Store, answered, apply, channels, commit, detection, play, started, tick};
use logystera_alerter::core::{About, Due, Planner};
use logystera_schemas::delivery::{AttemptOutcome, AttemptState};
use logystera_schemas::detection::{BundleBy, BundleSpec, DetectionState, Label};
use logystera_schemas::limits::{DELIVERIES_MAX, DIGEST_NAMED_MAX, MAIL_PER_MINUTE, SLACK_PER_MINUTE};
use logystera_schemas::topic::DetectionsRecord;

/// Lines of a script in which these alerts begin, each of which has room.
fn firing(seqs: std::ops::RangeInclusive<u32>) -> String {
    seqs.fold(String::new(), |mut script, seq| {
        writeln!(script, "firing {seq} g{seq} e{}", seq % 250).unwrap();
        script
    })
}

/// A channel of email that has as many messages waiting as it takes a minute.
fn full() -> String {
    format!("channels mail\n{}", firing(1..=MAIL_PER_MINUTE))
}

/// The same, and it took them.
fn taken() -> String {
    let take = |seq| format!("start mail{seq} => mail{seq}#1 started\nend mail{seq} ok => mail{seq}#1 delivered\n");
    full() + &(1..=MAIL_PER_MINUTE).map(take).collect::<String>()
}

#[test]
fn what_is_beyond_a_minutes_messages_goes_as_one_digest() {
    assert_eq!(MAIL_PER_MINUTE, 20);
    play(&format!(
        "{}
         firing 21 x e1 => mail-digest21#0 not_sent rate_limited next 1m
         at 10s
         resolved 22 y e2 => mail-digest21[22]#0 not_sent rate_limited next 50s
         due => mail1#1 mail2#1 mail3#1 mail4#1 mail5#1 mail6#1 mail7#1 mail8#1
         // Nothing has left: the digest takes the place of the last.
         at 60s => mail-digest21[20]#0 not_sent rate_limited next 0s
         due => mail1#1 mail2#1 mail3#1 mail4#1 mail5#1 mail6#1 mail7#1 mail8#1",
        full()
    ));
}

#[test]
fn a_minute_begins_with_its_first_message_and_ends_with_the_digest() {
    play(&format!(
        "{}
         at 20s
         due
         firing 21 x e1 => mail-digest21#0 not_sent rate_limited next 40s
         firing 22 y e2 => mail-digest21[22]#0 not_sent rate_limited next 40s
         at 59s
         due
         at 60s
         due => mail-digest21(2: 21 22)#1
         // Now there is room again, and those are told by themselves.
         firing 23 z e3
         due => mail-digest21(2: 21 22)#1 mail23#1
         start mail-digest21 => mail-digest21#1 started
         firing 24 u e4
         end mail-digest21 500 => mail-digest21#1 failed status_500 next ~5s
         at 66s
         // A channel that failed has one place until it answers.
         due => mail23#1
         start mail23 => mail23#1 started
         end mail23 ok => mail23#1 delivered
         due => mail24#1 mail-digest21(2: 21 22)#2
         start mail-digest21 => mail-digest21#2 started
         end mail-digest21 ok => mail-digest21#2 delivered",
        taken()
    ));
}

/// Switching a channel on ends its pauses; what it took in this minute it took.
#[test]
fn a_channel_that_is_enabled_takes_no_more_in_its_minute() {
    play(&format!(
        "{}
         enable mail
         firing 21 x e1 => mail-digest21#0 not_sent rate_limited next 1m",
        taken()
    ));
}

#[test]
fn a_digest_of_one_alert_is_that_alert() {
    play(&format!(
        "{}
         firing 21 x e1 => mail-digest21#0 not_sent rate_limited next 1m
         at 60s
         due => mail-digest21#1",
        taken()
    ));
}

#[test]
fn the_worst_alerts_keep_their_own_messages() {
    let script = format!(
        "channels mail
         severity info
         {}
         severity warning
         firing 21 x e1 => mail-digest20#0 not_sent rate_limited next 1m
         severity critical
         firing 22 y e2 => mail-digest20[19]#0 not_sent rate_limited next 1m
         severity info
         firing 23 z e3 => mail-digest20[23]#0 not_sent rate_limited next 1m",
        firing(1..=MAIL_PER_MINUTE)
    );
    play(&script);
}

/// It names as many as there is room for: the first, and worse ones instead of those that are less bad.
#[test]
fn a_digest_names_the_worst() {
    assert_eq!(DIGEST_NAMED_MAX, 10);
    let mut script = taken() + "severity info\n";
    for seq in 21..=35 {
        let own = if seq == 21 { String::new() } else { format!("[{seq}]") };
        writeln!(script, "firing {seq} g{seq} e{seq} => mail-digest21{own}#0 not_sent rate_limited next 1m").unwrap();
    }
    script += "severity critical
        firing 36 x e36 => mail-digest21[36]#0 not_sent rate_limited next 1m
        resolved 37 y e37 => mail-digest21[37]#0 not_sent rate_limited next 1m
        at 60s
        due => mail-digest21(17: 21 22 23 24 25 26 27 28 29 36)#1";
    play(&script);
}

#[test]
fn a_bundle_for_which_there_is_no_room_is_told_in_the_digest() {
    play(&format!(
        "{}
         bundle 30s 20 site
         firing 21 x e1 => mail21#0 not_sent bundled next 1m
         firing 22 y e2 => mail21[22]#0 not_sent bundled next 1m
         at 30s => mail-digest21#0 not_sent rate_limited next 30s, mail-digest21[22]#0 not_sent rate_limited next 30s, \
                   mail21#0 not_sent rate_limited
         at 60s
         due => mail-digest21(2: 21 22)#1",
        taken()
    ));
}

#[test]
fn a_retry_waits_for_room_and_is_no_part_of_a_digest() {
    let mut script = full();
    for seq in 1..=MAIL_PER_MINUTE {
        let end = if seq == 20 { "500 => mail20#1 failed status_500 next 1m" } else { "ok => mailN#1 delivered" };
        let take = format!("start mailN => mailN#1 started\nend mailN {end}\n");
        script += &take.replace('N', &seq.to_string());
    }
    script += "at 20s
        due
        at 60s
        due => mail20#2";
    play(&script);
}

#[test]
fn a_channel_that_is_away_gets_as_many_as_it_takes_and_a_digest() {
    play(&format!(
        "{}
         start mail1 => mail1#1 started
         end mail1 429/600 => mail1#1 failed status_429 next 10m
         // One of the minute's messages was tried: it waits, and is one of the minute's no more.
         firing 21 x e1 => mail-digest21#0 not_sent rate_limited next 10m
         at 10m
         due => mail1#2
         start mail1 => mail1#2 started
         end mail1 ok => mail1#2 delivered",
        full()
    ));
}

#[test]
fn what_programs_read_has_no_limit() {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["a"]));
    for seq in 1..=1_000 {
        let found = detection("t", seq, DetectionState::Firing);
        assert_eq!(apply(&mut planner, DetectionsRecord::Detection(Box::new(found))), []);
    }
    assert_eq!(planner.waiting(), 1_000);
}

/// A hundred thousand alerts of one tenant within a minute: a rule that bundles, and one that does not.
#[test]
fn a_storm_is_a_few_messages_and_little_state() {
    const ALERTS: u64 = 100_000;
    let mut planner = Planner::new();
    let (mut store, mut bytes_max, mut rows) = (Store::new(), 0, Vec::new());
    let mut messages: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut abouts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["a", "mail", "slack"]));
    let spec = BundleSpec { by: vec![BundleBy::Site], wait_ms: 30_000, max: 50 };
    let mut seq = 0;
    for second in 0..1_800 {
        planner.apply(tick(0, START_MS + second * 1_000), &mut rows);
        while seq < ALERTS && seq < (second as u64 + 1) * ALERTS / 60 {
            seq += 1;
            let mut found = detection("t", seq, DetectionState::Firing);
            found.group = vec![Label { field: "source".to_owned(), value: format!("source-{seq}") }];
            if seq % 2 == 0 {
                found.rule = "login-brute-force".parse().unwrap();
                found.bundle = Some(spec.clone());
            }
            planner.apply(DetectionsRecord::Detection(Box::new(found)), &mut rows);
        }
        loop {
            let due: Vec<Due> = planner.due().collect();
            for due in &due {
                let about = match &due.about {
                    About::Detection => "alert",
                    About::Bundle(_) => "bundle",
                    About::Digest(..) => "digest",
                    About::ChannelDisabled(_) => "news",
                };
                *abouts.entry((due.channel.to_string(), about)).or_default() += 1;
                messages.entry(due.channel.to_string()).or_default().push(second);
                planner.apply(started(due, planner.wall()), &mut rows);
                let ended = answered(due, AttemptOutcome::Delivered, Some(200));
                planner.apply(DetectionsRecord::AttemptEnded(ended), &mut rows);
            }
            // The webhook is slow: it takes eight in a second.
            if due.is_empty() || due.iter().all(|due| due.channel.as_str() == "a") {
                break;
            }
        }
        commit(&mut planner, &mut store);
        bytes_max = bytes_max.max(store.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>());
    }
    // In any minute, and in all.
    for (channel, per_minute) in [("mail", MAIL_PER_MINUTE), ("slack", SLACK_PER_MINUTE)] {
        let seconds = &messages[channel];
        for from in seconds {
            let count = seconds.iter().filter(|s| (*from..from + 60).contains(*s)).count();
            assert!(count <= 2 * per_minute as usize, "{count} to {channel} from {from} on");
        }
        let digests = abouts[&(channel.to_owned(), "digest")];
        assert!((1..=3).contains(&digests) && seconds.len() <= 4 * per_minute as usize, "{channel}: {abouts:?}");
    }
    // Each alert has a row in each channel, and what the state holds is bounded.
    let told: BTreeSet<(&str, u64)> = rows.iter().map(|row| (row.channel.as_str(), row.seq)).collect();
    assert_eq!(told.len() as u64, 3 * ALERTS);
    assert!(bytes_max < DELIVERIES_MAX * 1_500, "{bytes_max} bytes");
    let lost = rows.iter().filter(|row| row.reason == "queue_full");
    assert!(lost.clone().all(|row| row.channel == "a"), "the others count what they cannot tell");
    assert!(rows.iter().all(|row| row.reason != "rate_limited" || row.state == AttemptState::NotSent));
}

/// A backlog in which each end has overtaken its beginning: the digest tells both.
#[test]
fn a_digest_counts_beginnings_that_its_ends_have_overtaken() {
    play(&format!(
        "{}
         at 20s
         firing 21 x e31 6m
         resolved 22 x e31 6m => mail21#0 not_sent superseded
         firing 23 y e32 6m
         resolved 24 y e32 6m => mail23#0 not_sent superseded
         at 50s => mail-digest22#0 not_sent rate_limited next 10s, mail-digest22[24]#0 not_sent rate_limited next 10s
         at 60s
         due => mail-digest22(4: 22 24)#1",
        taken()
    ));
}

/// What quiet hours held back is told when they end, and a worse one takes its place: its own rows end, too.
#[test]
fn what_a_digest_takes_over_after_quiet_hours_has_a_last_row() {
    play(
        "channels mail
         set mail quiet=00:00-01:00 per-minute=1
         firing 1 x e1 severity=warning => mail1#0 not_sent quiet_hours next 1h
         firing 2 y e2 => mail2#0 not_sent quiet_hours next 1h
         firing 3 z e3 severity=warning => mail3#0 not_sent quiet_hours next 1h
         at 1h => mail-digest1#0 not_sent rate_limited next 1m, mail1#0 not_sent rate_limited, \
         mail-digest1[3]#0 not_sent rate_limited next 1m, mail3#0 not_sent rate_limited
         due => mail2#1",
    );
}

use super::*;
use crate::detection::{DetectionReason, DetectionState};
use crate::ids::{EpisodeId, Sha256Digest};

const AT: i64 = 1_767_225_600_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

fn detection() -> Detection {
    Detection {
        id: EpisodeId([1; 16]),
        tenant: "t".parse().unwrap(),
        site: "shop".parse().unwrap(),
        encryption_key: None,
        rule: "mail-fails".parse().unwrap(),
        revision: "0123456789ab".to_owned(),
        title: "Mail fails".to_owned(),
        severity: Severity::Warning,
        subsystem: "mail".to_owned(),
        state: DetectionState::Firing,
        reason: DetectionReason::Firing,
        group: Vec::new(),
        count: 5,
        held: 0,
        started_at: AT,
        last_evaluated_at: AT,
        evidence: Vec::new(),
        message: "5 mails failed".to_owned(),
        url: "/alerts/1".to_owned(),
        seq: 1,
        chain: Sha256Digest([1; 32]),
        bundle: None,
        once: false,
    }
}

fn silence() -> Silence {
    Silence {
        silence: "sl_1".parse().unwrap(),
        tenant: "t".parse().unwrap(),
        author: "ann".to_owned(),
        reason: "moving".to_owned(),
        created_at: WallMs(AT),
        from: WallMs(AT),
        until: WallMs(AT + HOUR_MS),
        ended_at: None,
        site: None,
        rule: None,
        severity: None,
        subsystem: None,
        labels: Vec::new(),
    }
}

#[test]
fn a_silence_holds_from_its_beginning_and_not_at_its_end() {
    let now = silence();
    let later = Silence { from: WallMs(AT + 60_000), ..silence() };
    let ended = Silence { ended_at: Some(WallMs(AT + 60_000)), ..silence() };
    for (at, now_live, later_live, over) in [
        // The log's clock may be behind the one that made it: what begins at once begins with its record.
        (AT - HOUR_MS, true, false, false),
        (AT, true, false, false),
        (AT + 59_999, true, false, false),
        (AT + 60_000, true, true, false),
        (AT + HOUR_MS - 1, true, true, false),
        (AT + HOUR_MS, false, false, true),
    ] {
        let at = WallMs(at);
        assert_eq!((now.is_live(at), later.is_live(at)), (now_live, later_live), "{at}");
        assert_eq!((now.is_over(at), later.is_over(at)), (over, over), "{at}");
        assert_eq!(
            (ended.is_live(at), ended.is_over(at)),
            (false, true),
            "{at}: ended by hand, whatever the clock says"
        );
    }
}

#[test]
fn a_silence_has_an_end_behind_its_beginning_and_within_ninety_days() {
    let of = |from: i64, until: i64| Silence { from: WallMs(AT + from), until: WallMs(AT + until), ..silence() };
    for (from, until, bounded) in [
        (0, 1, true),
        (0, 0, false),
        (0, -1, false),
        (-HOUR_MS, -1, false),
        (HOUR_MS, HOUR_MS, false),
        (HOUR_MS, HOUR_MS + 1, true),
        (0, SILENCE_MS_MAX, true),
        (0, SILENCE_MS_MAX + 1, false),
        (SILENCE_MS_MAX, SILENCE_MS_MAX + 1, false),
    ] {
        assert_eq!(of(from, until).is_bounded(), bounded, "{from}..{until}");
    }
}

#[test]
fn every_matcher_that_is_set_must_match() {
    let any = silence();
    let site = Silence { site: Some("shop".parse().unwrap()), ..silence() };
    let both = Silence { rule: Some("mail-fails".parse().unwrap()), ..site.clone() };
    let severe = Silence { severity: Some(Severity::Critical), ..silence() };
    let part = Silence { subsystem: Some("mail".to_owned()), ..silence() };
    let meant = |d: &Detection| [&any, &site, &both, &severe, &part].map(|s| s.matches(d, &[]));
    let own = detection();
    assert_eq!(meant(&own), [true, true, true, false, true]);
    assert_eq!(meant(&Detection { site: "blog".parse().unwrap(), ..own.clone() }), [true, false, false, false, true]);
    assert_eq!(meant(&Detection { rule: "other".parse().unwrap(), ..own.clone() }), [true, true, false, false, true]);
    assert_eq!(meant(&Detection { severity: Severity::Critical, ..own.clone() }), [true, true, true, true, true]);
    assert_eq!(meant(&Detection { severity: Severity::Info, ..own.clone() }), [true, true, true, false, true]);
    assert_eq!(meant(&Detection { subsystem: "db".to_owned(), ..own }), [true, true, true, false, false]);
}

#[test]
fn quiet_hours_end_where_they_say_whatever_the_day_and_the_zone() {
    // 2026-01-01T00:00:00Z.
    let at = |hour: i64, minute: i64| WallMs(AT + hour * HOUR_MS + minute * MINUTE_MS);
    for (text, now, over) in [
        ("22:00-07:00", at(21, 59), None),
        ("22:00-07:00", at(22, 0), Some(at(31, 0))),
        ("22:00-07:00", at(24, 0), Some(at(31, 0))),
        ("22:00-07:00", at(30, 59), Some(at(31, 0))),
        ("22:00-07:00", at(31, 0), None),
        ("22:00-07:00+02:00", at(20, 0), Some(at(29, 0))),
        ("22:00-07:00+02:00", at(19, 59), None),
        ("22:00-07:00-05:30", at(3, 29), None),
        ("22:00-07:00-05:30", at(3, 30), Some(at(12, 30))),
        ("09:00-17:00Z", at(8, 59), None),
        ("09:00-17:00Z", at(9, 0), Some(at(17, 0))),
        ("09:00-17:00Z", at(16, 59), Some(at(17, 0))),
        ("09:00-17:00Z", at(17, 0), None),
        ("00:00-23:59+00:00", at(23, 58), Some(at(23, 59))),
        ("00:00-23:59+00:00", at(23, 59), None),
    ] {
        let quiet: QuietHours = text.parse().unwrap();
        assert_eq!(quiet.over_at(now), over, "{text} at {now}");
        assert_eq!(quiet.to_string().parse(), Ok(quiet), "{text}");
    }
    // Every minute of two days, against the naive rule.
    let quiet: QuietHours = "22:00-07:00+02:00".parse().unwrap();
    for minute in 0..2 * 24 * 60 {
        let of_day = (minute + 120) % (24 * 60);
        let expected = !(7 * 60..22 * 60).contains(&of_day);
        assert_eq!(quiet.over_at(at(0, minute)).is_some(), expected, "{minute}");
    }
}

#[test]
fn what_says_no_quiet_hours_is_refused() {
    for text in [
        "",
        "22:00",
        "22:00-22:00",
        "22-7",
        "24:00-07:00",
        "22:60-07:00",
        "22:00-07:00+2",
        "22:00-07:00+15:00",
        "22:00_07:00",
        "2é:00-07:00",
        "+2:00-07:00",
        "22:00-07:00 +02:00",
    ] {
        assert_eq!(text.parse::<QuietHours>(), Err(NoQuietHours), "{text:?}");
    }
}

#[test]
fn quiet_hours_let_through_what_is_bad_enough() {
    let quiet: QuietHours = "22:00-07:00".parse().unwrap();
    let excepting = QuietHours { except: Some(Severity::Warning), ..quiet };
    for (severity, through) in [(Severity::Info, false), (Severity::Warning, true), (Severity::Critical, true)] {
        assert!(!quiet.lets_through(severity));
        assert_eq!(excepting.lets_through(severity), through, "{severity}");
    }
}

#[test]
fn a_channel_takes_what_all_its_settings_allow() {
    let all = ChannelSettings::default();
    let severe = ChannelSettings { severity: Some(Severity::Warning), ..all.clone() };
    let parts = ChannelSettings { subsystems: vec!["db".to_owned(), "mail".to_owned()], ..all.clone() };
    let rules = ChannelSettings { rules: vec!["mail-fails".parse().unwrap()], ..severe.clone() };
    let sites = ChannelSettings { sites: vec!["blog".parse().unwrap()], ..all.clone() };
    let taken = |d: &Detection| [&all, &severe, &parts, &rules, &sites].map(|s| s.takes(d));
    let own = detection();
    assert_eq!(taken(&own), [true, true, true, true, false]);
    assert_eq!(taken(&Detection { severity: Severity::Info, ..own.clone() }), [true, false, true, false, false]);
    assert_eq!(taken(&Detection { severity: Severity::Critical, ..own.clone() }), [true, true, true, true, false]);
    assert_eq!(taken(&Detection { subsystem: "auth".to_owned(), ..own.clone() }), [true, true, false, true, false]);
    assert_eq!(taken(&Detection { rule: "other".parse().unwrap(), ..own.clone() }), [true, true, true, false, false]);
    assert_eq!(taken(&Detection { site: "blog".parse().unwrap(), ..own }), [true, true, true, true, true]);
    assert!(all.is_default() && !severe.is_default());
    for (per_minute, bounded) in [(0, false), (1, true), (PER_MINUTE_MAX, true), (PER_MINUTE_MAX + 1, false)] {
        assert_eq!(ChannelSettings { per_minute: Some(per_minute), ..all.clone() }.is_bounded(), bounded);
    }
}

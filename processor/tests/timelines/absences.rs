//! What should come and does not: each row of the language's table of edge cases.

use logystera_schemas::avro::Writer;

use super::FAILED;
use crate::support::{Sig, T0_MS, World};

const OK: &[(&str, &str)] = &[("outcome", "ok")];
const DAY_S: f64 = 86_400.0;

/// A rule over jobs that went well, with this absence. Alerts end at once.
fn rule(group_by: &str, absent: &str) -> String {
    format!(
        "format: 1\nrules:\n- name: r\n  title: T\n  severity: warning\n  subsystem: s\n  signal: cron.run\n  where: {{ outcome: ok }}\n  \
         group_by: [{group_by}]\n  absent: {{ {absent} }}\n  suppress: 50s\n  resolve_after: 0s\n  message: m\n"
    )
}

/// The same beside a rule that watches for the silence of the site.
fn watched(group_by: &str, absent: &str) -> String {
    rule(group_by, absent)
        + "- name: silent\n  title: T\n  severity: warning\n  subsystem: s\n  absent: { blind_after: 1h }\n  message: m\n"
}

fn runs(at: &[f64]) -> Vec<Sig<'static>> {
    at.iter().map(|at| ("cron.run", *at, OK)).collect()
}

fn job(at: f64, fields: &'static [(&'static str, &'static str)]) -> Sig<'static> {
    ("cron.run", at, fields)
}

const BACKUP: &[(&str, &str)] = &[("outcome", "ok"), ("job", "back")];
const OTHER: &[(&str, &str)] = &[("outcome", "ok"), ("job", "other")];

/// Groups that are stored.
fn groups(world: &World) -> usize {
    world.stored().keys().filter(|key| key[2] == 4).count()
}

#[test]
fn at_most_two_the_third_newest_leaves_and_it_is_true() {
    let mut world = World::new(&rule("", "for: 60s, expected: always, at_most: 2"));
    world.batch(1, 0.0, &[]);
    assert_eq!(world.batch(1, 79.999, &runs(&[10.0, 20.0, 30.0, 40.0])), [""; 0]);
    assert_eq!(world.batch(1, 80.0, &[]), ["80: r firing/stopped count 0 since 80"]);
    // Two more are too few beside the one that is left; the third ends it.
    assert_eq!(world.batch(1, 92.0, &runs(&[91.0])), [""; 0]);
    assert_eq!(world.batch(1, 93.0, &runs(&[93.0])), ["93: r resolved/resolved count 0 since 80"]);
    assert_eq!(world.batch(1, 100.0, &[]), ["100: r suppressed/stopped count 0 held 1 since 100"]);
}

#[test]
fn at_most_is_not_true_before_the_span_since_the_first_watermark_has_passed() {
    for signals in [&[1.0, 2.0, 3.0][..], &[9.0], &[]] {
        let mut world = World::new(&rule("", "for: 60s, expected: always, at_most: 2"));
        assert_eq!(world.batch(1, 10.0, &runs(signals)), [""; 0]);
        assert_eq!(world.batch(1, 69.999, &[]), [""; 0], "{signals:?}");
        let reason = if signals.is_empty() { "never_seen" } else { "stopped" };
        assert_eq!(world.batch(1, 70.0, &[]), [format!("70: r firing/{reason} count 0 since 70")]);
    }
    let mut world = World::new(&rule("", "for: 60s, expected: once_seen, at_most: 2"));
    assert_eq!(world.batch(1, 300.0, &[]), [""; 0], "nothing was seen yet");
    assert_eq!(world.batch(1, 369.999, &runs(&[310.0, 320.0])), [""; 0]);
    assert_eq!(world.batch(1, 370.0, &[]), ["370: r firing/stopped count 0 since 370"]);
}

#[test]
fn at_most_takes_a_merged_signal_for_as_many_as_it_stands_for() {
    let errors = rule("", "for: 60s, expected: always, at_most: 2")
        .replace("cron.run", "php.error")
        .replace("where: { outcome: ok }", "where: {}");
    for (repeats, told) in [("2", 1), ("3", 0), ("4000000000", 0)] {
        let mut world = World::new(&errors);
        world.batch(1, 0.0, &[]);
        let fields = [("repeats", repeats)];
        assert_eq!(world.batch(1, 109.0, &[("php.error", 50.0, &fields)]).len(), told, "{repeats}");
    }
}

#[test]
fn at_most_late_matches_count_if_they_lie_in_the_span() {
    for (late, is_over) in [(40.0, true), (39.9, false)] {
        let mut world = World::new(&rule("", "for: 60s, expected: always, at_most: 1"));
        world.batch(1, 0.0, &[]);
        assert_eq!(world.batch(1, 100.0, &runs(&[90.0])), ["60: r firing/never_seen count 0 since 60"]);
        let over = ["100: r resolved/resolved count 0 since 60"];
        assert_eq!(world.batch(1, 100.0, &runs(&[late + 0.1])), over[..usize::from(is_over)].to_vec());
    }
}

#[test]
fn a_job_of_a_deleted_plugin_is_told_reminded_and_after_forget_after_resolved_as_forgotten_and_its_group_goes() {
    let mut world = World::new(&rule("job", "for: 60s, expected: once_seen, forget_after: 200s"));
    world.batch(1, 20.0, &[job(10.0, BACKUP)]);
    assert_eq!(groups(&world), 1);
    assert_eq!(
        world.batch(1, 209.999, &[]),
        [
            "70: r job=back firing/stopped count 0 since 70",
            "120: r job=back firing/suppression_expired count 0 since 70",
            "170: r job=back firing/suppression_expired count 0 since 70",
        ]
    );
    assert_eq!(world.batch(1, 210.0, &[]), ["210: r job=back resolved/forgotten count 0 since 70"]);
    assert_eq!(groups(&world), 0);
    assert_eq!(world.batch(1, 1_000.0, &[]), [""; 0]);
}

#[test]
fn it_comes_back_later_as_a_new_group_once_seen_anew() {
    let mut world = World::new(&rule("job", "for: 60s, expected: once_seen, forget_after: 110s"));
    world.batch(1, 20.0, &[job(10.0, BACKUP)]);
    // The reminder of that very time is not told any more.
    assert_eq!(
        world.batch(1, 140.0, &[]),
        ["70: r job=back firing/stopped count 0 since 70", "120: r job=back resolved/forgotten count 0 since 70"]
    );
    assert_eq!(world.batch(1, 210.0, &[job(150.0, BACKUP)]), ["210: r job=back firing/stopped count 0 since 210"]);
}

#[test]
fn what_was_held_back_is_forgotten_without_a_word() {
    let quiet = rule("job", "for: 60s, expected: once_seen, forget_after: 110s").replace("50s", "1h");
    let mut world = World::new(&quiet);
    world.batch(1, 75.0, &[job(10.0, BACKUP), job(75.0, BACKUP)]);
    assert_eq!(
        world.batch(1, 300.0, &[]),
        ["135: r job=back suppressed/stopped count 0 held 1 since 135"],
        "told at 70, over at 75, held back at 135, forgotten at 185"
    );
    assert_eq!(groups(&world), 0);
}

#[test]
fn site_silent_so_that_it_waits_and_forgets_nothing() {
    for absent in [
        "for: 60s, expected: once_seen, forget_after: 110s",
        "for: 60s, expected: once_seen, at_most: 1, forget_after: 110s",
    ] {
        let mut world = World::new(&watched("job", absent));
        world.tick(0.0);
        world.batch(1, 20.0, &[job(20.0, BACKUP)]);
        assert_eq!(world.ticks(1, 5_000), ["3600: silent firing/blind count 0 since 0"]);
        let over = "5000: silent resolved/resolved count 0 since 0".to_owned();
        assert_eq!(world.batch(1, 5_000.0, &[]), [over], "{absent}");
        assert_eq!(world.batch(1, 5_109.0, &[]), ["5060: r job=back firing/stopped count 0 since 5060"]);
        assert_eq!(world.batch(1, 5_110.0, &[]), ["5110: r job=back resolved/forgotten count 0 since 5060"]);
        assert_eq!(groups(&world), 0);
    }
}

#[test]
fn type_off_on_counts_anew() {
    for absent in ["for: 60s, expected: always, at_most: 1", "for: 60s, expected: once_seen, forget_after: 110s"] {
        let mut world = World::new(&rule("", absent));
        world.batch(1, 10.0, &runs(&[10.0]));
        world.enabled.0 &= !(1 << 2);
        assert_eq!(world.batch(1, 300.0, &[]), [""; 0]);
        world.enabled.0 |= 1 << 2;
        assert_eq!(world.batch(1, 360.0, &[]), [""; 0], "counted anew from 300.001, where the switch lies");
        assert_eq!(world.batch(1, 361.0, &[]), ["360.001: r firing/stopped count 0 since 360.001"]);
    }
}

#[test]
fn expected_values_stand_from_the_start_and_others_have_no_group() {
    let rules = rule("job", "for: 60s, expected: [back, news]");
    let mut world = World::new(&rules);
    world.batch(1, 10.0, &[]);
    assert_eq!(groups(&world), 2);
    assert_eq!(
        world.batch(1, 100.0, &[job(30.0, BACKUP), job(40.0, OTHER)]),
        ["70: r job=news firing/never_seen count 0 since 70", "90: r job=back firing/stopped count 0 since 90"]
    );
    assert_eq!(groups(&world), 2, "nobody expects the other one");
    assert_eq!(world.batch(1, 110.0, &[job(101.0, BACKUP)]), ["101: r job=back resolved/resolved count 0 since 90"]);
    // Symbols, numbers and hashes are values, too.
    for (by, values) in [("outcome", "[failed, missed]"), ("duration_ms", "[5, 7]")] {
        let rules = rule(by, &format!("for: 60s, expected: {values}")).replace("where: { outcome: ok }", "where: {}");
        let mut world = World::new(&rules);
        world.batch(1, 10.0, &[("cron.run", 5.0, FAILED)]);
        assert_eq!(groups(&world), 2, "{by}");
    }
}

#[test]
fn groups_that_stand_make_no_room() {
    let rules = rule("job", "for: 60s, expected: [back, news]")
        + "- name: s\n  title: T\n  severity: warning\n  subsystem: s\n  signal: cron.run\n  group_by: [job]\n  \
           threshold: { count: 9, within: 1h }\n  message: m\nlimits: { rule_groups: 2, site_groups: 3 }\n";
    let mut world = World::new(&rules);
    world.batch(1, 10.0, &[]);
    let told = world.batch(1, 20.0, &[job(11.0, BACKUP), job(12.0, OTHER)]);
    assert_eq!(told, ["12: s firing/overflow count 1 since 12"]);
    assert_eq!((groups(&world), world.outcomes().evicted), (3, 1));
}

#[test]
fn an_edit_of_forget_after_keeps_what_was_seen_and_forgets_at_once_what_is_overdue() {
    let of = |span: &str| rule("job", &format!("for: 60s, expected: once_seen, forget_after: {span}"));
    let mut world = World::new(&of("1d"));
    world.batch(1, 400.0, &[job(10.0, BACKUP), job(390.0, OTHER)]);
    assert_eq!(world.configure(&of("500s")), [""; 0]);
    assert_eq!(groups(&world), 2);
    assert_eq!(world.configure(&of("200s")), ["400: r job=back resolved/forgotten count 0 since 70"]);
    assert_eq!(groups(&world), 1);
    assert_eq!(world.batch(1, 450.0, &[]), ["450: r job=othe firing/stopped count 0 since 450"]);
}

#[test]
fn ninety_days_are_a_time_and_no_window() {
    let long = rule("", "for: 90d, expected: always, at_most: 1").replace("50s", "7d");
    let mut world = World::new(&long);
    world.batch(1, 0.0, &[]);
    let signals = runs(&[DAY_S, 60.0 * DAY_S]);
    assert_eq!(world.batch(1, 60.0 * DAY_S, &signals), [""; 0]);
    assert_eq!(world.batch(1, 91.0 * DAY_S - 1.0, &[]), [""; 0]);
    let at = 91.0 * DAY_S;
    assert_eq!(world.batch(1, at, &[]), [format!("{at}: r firing/stopped count 0 since {at}")]);
}

/// What was stored of an absence before there was more to say is what is stored now: written out by hand.
#[test]
fn an_absence_is_stored_as_it_was() {
    let mut world = World::of(2, &rule("job", "for: 60s, expected: once_seen, forget_after: 1d"));
    world.batch(1, 20.0, &[job(10.0, BACKUP)]);
    let at = T0_MS + 10_000;
    let mut before = Writer::new();
    // No key; the kind of an absence, its base, that a match was seen; the phase, the flags, the suppression, what was held, the
    // count, the start, the reminders; when it was last seen.
    for number in [0, 2, 1, at] {
        before.long(number);
    }
    before.boolean(true);
    for number in [0, 0, 0, 0, 0, 0, 0, at] {
        before.long(number);
    }
    let stored: Vec<&Vec<u8>> = world.stored().iter().filter(|(key, _)| key[2] == 4).map(|(_, value)| value).collect();
    assert_eq!(stored.len(), 1);
    assert!(stored[0].starts_with(before.as_bytes()), "{:02x?}\n{:02x?}", stored[0], before.as_bytes());
}

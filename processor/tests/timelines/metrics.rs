//! Metrics as timelines. The world restores the engine before every record, so that each of these is a crash at every step.

use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::limits::SITE_SERIES_MAX;
use logystera_schemas::series::Points;

use crate::support::{Sig, T0_MS, World};

const LOGINS: &str =
    "- name: logins\n  signal: auth.attempt\n  type: counter\n  labels: {outcome: [failure], reason: [expired]}\n";
const TIMES: &str = "- name: times\n  signal: http.request\n  where: {path: /}\n  type: distribution\n  field: duration_ms\n  buckets: [100, 300]\n";

const SOURCE: (&str, &str) = ("source", "000102030405060708090a0b0c0d0e0f");
const FAILURE: &[(&str, &str)] = &[("outcome", "failure"), ("method", "form"), SOURCE];
const SUCCESS: &[(&str, &str)] = &[("outcome", "success"), ("method", "form"), SOURCE];
const EXPIRED: &[(&str, &str)] = &[("outcome", "failure"), ("method", "form"), ("reason", "expired"), SOURCE];
const BLOCKED: &[(&str, &str)] = &[("outcome", "failure"), ("method", "form"), ("reason", "blocked"), SOURCE];

fn world(metrics: &str) -> World {
    World::new(&format!("format: 1\nmetrics:\n{metrics}"))
}

/// Failed sign-ins at these times.
fn failures(at: &[f64]) -> Vec<Sig<'static>> {
    at.iter().map(|at| ("auth.attempt", *at, FAILURE)).collect()
}

/// One line a series: the minute, the metric, its labels' values, how many, how many late; of a distribution its sum and buckets.
fn lines(points: &[Points]) -> Vec<String> {
    let line = |points: &Points| {
        let minute = (points.minute.0 - T0_MS) / 60_000;
        let of_metric = points.metrics.iter().flat_map(move |metric| {
            metric.series.iter().map(move |series| {
                let values = if series.buckets.is_empty() {
                    String::new()
                } else {
                    format!(" sum {} {:?}", series.sum, series.buckets)
                };
                let late = if series.late > 0 { format!(" late {}", series.late) } else { String::new() };
                format!("{minute} {}[{}] {}{late}{values}", metric.name, series.values.join(","), series.count)
            })
        });
        of_metric.collect::<Vec<_>>()
    };
    points.iter().flat_map(line).collect()
}

/// The lines since the last call.
fn said(world: &mut World) -> Vec<String> {
    lines(&std::mem::take(&mut world.points))
}

#[test]
fn a_minute_is_written_once_the_watermark_has_passed_it() {
    let mut world = world(LOGINS);
    for (through, at, written) in [
        (59.0, &[0.0, 58.0][..], &[][..]),
        (59.998, &[59.998], &[]),
        // The last millisecond of a minute is its own; a minute without a signal has no record.
        (59.999, &[], &["0 logins[failure,none] 3"]),
        (60.0, &[60.0], &[]),
        (250.0, &[240.0, 245.0, 250.0], &["1 logins[failure,none] 1"]),
        (300.0, &[], &["4 logins[failure,none] 3"]),
        (9_000.0, &[], &[]),
    ] {
        world.batch(1, through, &failures(at));
        assert_eq!(said(&mut world), written, "at {through}");
    }
}

#[test]
fn several_minutes_of_one_batch_are_a_record_each() {
    let mut world = world(LOGINS);
    world.batch(1, 200.0, &failures(&[10.0, 70.0, 71.0, 190.0]));
    assert_eq!(said(&mut world), ["0 logins[failure,none] 1", "1 logins[failure,none] 2"]);
    world.batch(1, 240.0, &[]);
    assert_eq!(said(&mut world), ["3 logins[failure,none] 1"]);
}

#[test]
fn value_outside_is_other_and_missing_is_none() {
    let mut world = world(LOGINS);
    let fields = [SUCCESS, EXPIRED, BLOCKED, FAILURE];
    let signals: Vec<Sig<'_>> = fields.iter().map(|fields| ("auth.attempt", 1.0, *fields)).collect();
    world.batch(1, 60.0, &signals);
    let expected = [
        "0 logins[failure,expired] 1",
        "0 logins[failure,other] 1",
        "0 logins[failure,none] 1",
        "0 logins[other,none] 1",
    ];
    assert_eq!(said(&mut world), expected);
}

#[test]
fn a_new_plugins_component_is_other() {
    let mut world = world("- {name: errors, signal: php.error, type: counter, labels: {component: [core]}}\n");
    let hash = "000102030405060708090a0b0c0d0e0f";
    let error = |component| [("level", "fatal"), ("component", component), ("file_hash", hash), ("message_hash", hash)];
    world.batch(1, 60.0, &[("php.error", 1.0, &error("core")), ("php.error", 2.0, &error("brand-new"))]);
    assert_eq!(said(&mut world), ["0 errors[core] 1", "0 errors[other] 1"]);
}

#[test]
fn value_on_a_buckets_end_is_in_that_bucket() {
    let mut world = world(TIMES);
    let request = |duration| {
        [("method", "GET"), ("path", "/"), ("status", "200"), ("route_group", "home"), ("duration_ms", duration)]
    };
    let all: Vec<_> = ["0", "100", "101", "300", "301"].map(request).to_vec();
    let mut signals: Vec<Sig<'_>> = all.iter().map(|fields| ("http.request", 1.0, &fields[..])).collect();
    // Neither what lacks the number nor what does not pass the filter.
    signals.push(("http.request", 1.0, &all[0][..4]));
    let elsewhere = [("method", "GET"), ("path", "/a"), ("status", "200"), ("route_group", "a"), ("duration_ms", "1")];
    signals.push(("http.request", 1.0, &elsewhere));
    world.batch(1, 60.0, &signals);
    assert_eq!(said(&mut world), ["0 times[] 5 sum 802 [2, 2, 1]"]);
}

#[test]
fn a_signal_that_stands_for_several_counts_as_so_many() {
    let mut world = world(&format!("{LOGINS}{TIMES}"));
    let mails = [("outcome", "failure"), ("method", "form"), SOURCE, ("repeats", "40")];
    let request = [
        ("method", "GET"),
        ("path", "/"),
        ("status", "200"),
        ("route_group", "home"),
        ("duration_ms", "200"),
        ("repeats", "3"),
    ];
    world.batch(1, 60.0, &[("auth.attempt", 1.0, &mails), ("http.request", 1.0, &request)]);
    assert_eq!(said(&mut world), ["0 logins[failure,none] 40", "0 times[] 3 sum 600 [0, 3, 0]"]);
}

#[test]
fn sum_that_overflows_is_held_and_what_is_counted_goes_on() {
    let mut world = world(TIMES);
    let request = [
        ("method", "GET"),
        ("path", "/"),
        ("status", "200"),
        ("route_group", "home"),
        ("duration_ms", "604800000"),
        ("repeats", "1000000000"),
    ];
    let signals: Vec<Sig<'_>> = (0..20).map(|_| ("http.request", 1.0, &request[..])).collect();
    world.batch(1, 60.0, &signals);
    let all = 20_000_000_000_u64;
    assert_eq!(said(&mut world), [format!("0 times[] {all} sum {} [0, 0, {all}]", i64::MAX)]);
}

#[test]
fn late_signal_counts_in_the_open_minute_and_in_late() {
    let mut world = world(LOGINS);
    world.batch(1, 150.0, &failures(&[150.0]));
    world.batch(1, 151.0, &failures(&[10.0, 150.0, 150.5]));
    world.batch(1, 180.0, &[]);
    assert_eq!(said(&mut world), ["2 logins[failure,none] 4 late 2"]);
    // The watermark has passed minute 2 to its last millisecond: minute 3 is the open one.
    world.batch(1, 181.0, &failures(&[179.0]));
    world.batch(1, 240.0, &[]);
    assert_eq!(said(&mut world), ["3 logins[failure,none] 1 late 1"]);
}

#[test]
fn two_spools_are_counted_in_the_minute_of_their_site_time() {
    let mut world = world(LOGINS);
    world.batch(1, 0.0, &[]);
    world.batch(2, 0.0, &[]);
    world.batch(1, 130.0, &failures(&[10.0, 100.0]));
    assert_eq!(said(&mut world), [""; 0], "the other spool is waited for");
    world.batch(2, 130.0, &failures(&[20.0, 90.0]));
    assert_eq!(said(&mut world), ["0 logins[failure,none] 2", "1 logins[failure,none] 2"]);
}

#[test]
fn an_edit_of_a_labels_values_is_a_new_series_beside_the_old_one() {
    let mut world = world(LOGINS);
    world.batch(1, 10.0, &failures(&[1.0, 2.0]));
    let edited = format!("format: 1\nmetrics:\n{}", LOGINS.replace("[failure]", "[success]"));
    world.configure(&edited);
    world.batch(1, 20.0, &failures(&[11.0]));
    world.configure(&format!("format: 1\nmetrics:\n{LOGINS}"));
    world.batch(1, 60.0, &failures(&[21.0]));
    let [points] = world.points.as_slice() else { panic!("one record: {:?}", world.points) };
    let revisions: Vec<(&str, Vec<&str>, u64)> = points
        .metrics
        .iter()
        .map(|m| {
            let values = m.series[0].values.iter().map(String::as_str).collect();
            (m.revision.as_str(), values, m.series[0].count)
        })
        .collect();
    let mut counts: Vec<_> = revisions.iter().map(|(_, values, count)| (values.clone(), *count)).collect();
    counts.sort();
    // What came back has its own counts still.
    assert_eq!(counts, [(vec!["failure", "none"], 3), (vec!["other", "none"], 1)]);
    assert_ne!(revisions[0].0, revisions[1].0);
    // Another edit that changes no metric changes no series.
    world.points.clear();
    world.batch(1, 70.0, &failures(&[65.0]));
    world.configure(&format!("format: 1\ndisabled: [cron.run]\nmetrics:\n{LOGINS}"));
    world.batch(1, 120.0, &failures(&[75.0]));
    assert_eq!(said(&mut world), ["1 logins[failure,none] 2"]);
}

#[test]
fn what_a_metric_counted_that_is_taken_away_is_written() {
    let mut world = world(LOGINS);
    world.batch(1, 10.0, &failures(&[1.0]));
    world.configure("format: 1\nrules: []\n");
    world.batch(1, 60.0, &failures(&[20.0]));
    assert_eq!(said(&mut world), ["0 logins[failure,none] 1"]);
    world.batch(1, 120.0, &failures(&[61.0]));
    assert_eq!(said(&mut world), [""; 0]);
}

#[test]
fn what_edits_within_a_minute_leave_is_bounded() {
    let statuses: Vec<u32> = (200..299).collect();
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"];
    // Each of these six metrics has 792 series that are hit; `kept` changes nothing but their revisions.
    let metrics = |kept: &str| {
        let labels = format!("{{method: all, status: {statuses:?}}}");
        let of = |n| {
            format!(
                "- {{name: m{n}, signal: http.request, type: counter, where: {{path: {{not: {kept}}}}}, labels: {labels}}}\n"
            )
        };
        format!("format: 1\nmetrics:\n{}", (0..6).map(of).collect::<String>())
    };
    let texts: Vec<String> = statuses.iter().map(ToString::to_string).collect();
    let fields: Vec<[(&str, &str); 4]> = texts
        .iter()
        .flat_map(|status| {
            methods.map(|method| [("method", method), ("path", "/"), ("status", status), ("route_group", "a")])
        })
        .collect();
    let mut world = World::new(&metrics("/0"));
    for edit in 1..=3 {
        let signals: Vec<Sig<'_>> =
            fields.iter().map(|fields| ("http.request", f64::from(edit), &fields[..])).collect();
        world.batch(1, f64::from(edit), &signals);
        world.configure(&metrics(&format!("/{edit}")));
    }
    world.batch(1, 60.0, &[]);
    let series: usize = world.points.iter().flat_map(|p| &p.metrics).map(|m| m.series.len()).sum();
    assert_eq!(series, 6 * 792, "those of the newest edit, which a site may have");
    assert!(series <= SITE_SERIES_MAX && 2 * series > SITE_SERIES_MAX);
}

#[test]
fn type_switched_off_has_no_points_and_no_zeros() {
    let mut world = world(LOGINS);
    world.batch(1, 60.0, &failures(&[1.0]));
    assert_eq!(said(&mut world), ["0 logins[failure,none] 1"]);
    world.configure(&format!("format: 1\ndisabled: [auth.attempt]\nmetrics:\n{LOGINS}"));
    world.batch(1, 120.0, &failures(&[61.0]));
    world.batch(1, 180.0, &[]);
    assert_eq!(said(&mut world), [""; 0], "by the configuration");
    world.configure(&format!("format: 1\nmetrics:\n{LOGINS}"));
    world.enabled = SignalTypes::default();
    world.batch(1, 300.0, &[]);
    assert_eq!(said(&mut world), [""; 0], "by the sender");
}

#[test]
fn a_site_that_is_closed_has_its_last_minute_written() {
    let mut world = world(LOGINS);
    world.batch(1, 10.0, &failures(&[1.0]));
    world.close();
    assert_eq!(said(&mut world), ["0 logins[failure,none] 1"]);
    assert!(world.stored().keys().all(|key| key[2] != 6), "nothing is left of it");
}

#[test]
fn a_minute_that_is_written_leaves_nothing_behind() {
    let mut world = world(LOGINS);
    world.batch(1, 10.0, &failures(&[1.0]));
    let entries = |world: &World| world.stored().keys().filter(|key| key[2] == 6).count();
    assert_eq!(entries(&world), 1);
    world.batch(1, 60.0, &[]);
    assert_eq!(entries(&world), 0);
}

#[test]
fn what_the_engine_makes_itself_is_counted() {
    let changed = "- {name: changes, signal: integration.changed, type: counter, labels: {action: all}}\n";
    let refused = "- {name: refusals, signal: integration.refused, type: distribution, field: count, buckets: [10]}\n";
    let mut world = World::of(2, &format!("format: 1\nmetrics:\n{changed}{refused}"));
    // Before the first batch no minute is open.
    world.refused_for("quota", 7, Some(1), true);
    world.batch(1, 10.0, &[]);
    world.refused_for("quota", 30, Some(1), true);
    world.enabled = SignalTypes(0);
    world.batch(1, 20.0, &[]);
    world.batch(1, 60.0, &[]);
    let mut said = said(&mut world);
    let refusals = said.pop();
    assert_eq!(refusals.as_deref(), Some("0 refusals[] 1 sum 30 [0, 1]"));
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("0 changes[disabled] "), "{said:?}");
}

//! Alerts that grow worse: each row of the language's table of edge cases, and what lies beside them.

use logystera_schemas::detection::Severity;

use super::{FAILED, mails};
use crate::support::World;

/// A rule over mails that fail, with this threshold within a minute and these steps.
fn rule(threshold: &str, escalate: &str, suppress: &str) -> String {
    format!(
        "format: 1\nrules:\n- name: r\n  title: T\n  severity: info\n  subsystem: s\n  signal: mail.outcome\n  where: {{ outcome: failed }}\n  \
         threshold: {{ {threshold}, within: 60s }}\n  escalate: {escalate}\n  suppress: {suppress}\n  resolve_after: 10s\n  message: m\n"
    )
}

const STEPS: &str = "[{ at: 3, severity: warning }, { at: 5, severity: critical }]";

/// What is told of so many failing mails at each of these times, until `through`, with how bad each is.
fn told(world: &mut World, at: &[f64], through: f64) -> Vec<String> {
    let before = world.detections.len();
    let lines = world.batch(1, through, &mails(at));
    let told = world.detections[before..].iter().zip(&lines);
    told.map(|(detection, line)| format!("{} {}", detection.severity, line.split(" count").next().unwrap_or_default()))
        .collect()
}

#[test]
fn nineteen_twenty_a_hundred_fifty_a_hundred_are_a_warning_and_a_critical_and_no_more_in_this_episode() {
    let mut world = World::new(&rule("count: 2", "[{ at: 4, severity: critical }]", "1h"));
    let all = told(&mut world, &[0.0, 1.0, 2.0, 3.0, 50.0], 62.5);
    assert_eq!(all, ["info 1: r firing/firing", "critical 3: r firing/escalated"]);
    // Two are left at 62.5, then four again: the same episode.
    assert_eq!(told(&mut world, &[63.0, 64.0, 65.0], 70.0), [""; 0]);
    assert_eq!(told(&mut world, &[], 134.0), ["critical 134: r resolved/resolved"]);
    // Another episode begins anew, and its first alert is held back.
    assert_eq!(told(&mut world, &[200.0, 201.0], 202.0), ["info 201: r suppressed/firing"]);
}

#[test]
fn suppression_runs_when_a_hundred_is_reached_and_it_is_told_all_the_same() {
    let mut world = World::new(&rule("count: 2", STEPS, "20s"));
    assert_eq!(
        told(&mut world, &[0.0, 1.0, 5.0, 10.0, 15.0, 16.0], 36.0),
        [
            "info 1: r firing/firing",
            "warning 5: r firing/escalated",
            "critical 15: r firing/escalated",
            // The suppression began anew with each step.
            "critical 35: r firing/suppression_expired",
        ]
    );
}

#[test]
fn an_episode_that_begins_in_a_suppression_is_told_once_it_is_worse() {
    let mut world = World::new(&rule("count: 2", STEPS, "1h").replace("resolve_after: 10s", "resolve_after: 0s"));
    assert_eq!(told(&mut world, &[0.0, 1.0], 60.0), ["info 1: r firing/firing", "info 60: r resolved/resolved"]);
    assert_eq!(
        told(&mut world, &[100.0, 101.0, 102.0], 103.0),
        ["info 101: r suppressed/firing", "warning 102: r firing/escalated"]
    );
    assert_eq!(world.detections[3].held, 1);
}

#[test]
fn what_is_worse_from_the_start_is_told_once() {
    // All of them at the end of `for`; and several with one signal.
    let late = rule("count: 2", STEPS, "1h").replace("  suppress", "  for: 30s\n  suppress");
    let mut world = World::new(&late);
    assert_eq!(told(&mut world, &[0.0, 1.0, 2.0, 3.0, 4.0], 40.0), ["critical 31: r firing/firing"]);
    let sum = rule("sum: { field: recipients, at_least: 2 }", STEPS, "1h");
    let mut world = World::new(&sum);
    world.batch(1, 1.0, &[("mail.outcome", 1.0, &[("outcome", "failed"), ("recipients", "4")])]);
    assert_eq!(world.detections[0].severity, Severity::Warning);
    assert_eq!(world.detections.len(), 1);
}

#[test]
fn different_values_and_sums_escalate_too() {
    let source = |source: &'static str| vec![("outcome", "failure"), ("method", "form"), ("user_hash", source)];
    let spray = rule("distinct: { field: user_hash, at_least: 2 }", STEPS, "1h")
        .replace("mail.outcome", "auth.attempt")
        .replace("outcome: failed", "outcome: failure");
    let mut world = World::new(&spray);
    let users = ["a", "b", "c", "c", "b", "d", "e", "f"].map(source);
    let signals: Vec<_> =
        users.iter().zip(0..).map(|(user, at)| ("auth.attempt", f64::from(at), user.as_slice())).collect();
    world.batch(1, 10.0, &signals);
    let told: Vec<_> = world.detections.iter().map(|d| (d.last_evaluated_at % 60_000, d.severity, d.count)).collect();
    assert_eq!(told, [(1_000, Severity::Info, 2), (2_000, Severity::Warning, 3), (6_000, Severity::Critical, 5)]);
    let sum = rule("sum: { field: recipients, at_least: 2 }", STEPS, "1h");
    let mut world = World::new(&sum);
    for (at, recipients) in [(1.0, "2"), (2.0, "1"), (3.0, "2")] {
        world.batch(1, at, &[("mail.outcome", at, &[("outcome", "failed"), ("recipients", recipients)])]);
    }
    let told: Vec<_> = world.detections.iter().map(|d| (d.severity, d.reason.as_str())).collect();
    assert_eq!(told, [(Severity::Info, "firing"), (Severity::Warning, "escalated"), (Severity::Critical, "escalated")]);
}

#[test]
fn by_time_it_grows_worse_while_it_fires_and_not_while_it_is_over() {
    let steps = "[{ after: 20s, severity: warning }, { after: 50s, severity: critical }]";
    let mut world = World::new(&rule("count: 1", steps, "1h").replace("within: 60s", "within: 10s"));
    assert_eq!(
        told(&mut world, &[0.0, 9.0, 18.0, 27.0], 36.0),
        ["info 0: r firing/firing", "warning 20: r firing/escalated"]
    );
    // False from 37 on, true again at 46, false from 56 on, over at 66: the second step fell into that.
    assert_eq!(told(&mut world, &[46.0, 55.0], 64.0), ["critical 50: r firing/escalated"]);
    assert_eq!(told(&mut world, &[], 80.0), ["critical 75: r resolved/resolved"]);
    let mut world = World::new(&rule("count: 1", steps, "1h").replace("within: 60s", "within: 10s"));
    // The step comes due at 20, while the condition is false: it is taken when that is true again.
    assert_eq!(
        told(&mut world, &[0.0, 5.0, 22.0], 24.0),
        ["info 0: r firing/firing", "warning 22: r firing/escalated"]
    );
}

#[test]
fn an_absence_escalates_by_time() {
    let rules = "format: 1\nrules:\n- name: r\n  title: T\n  severity: warning\n  subsystem: s\n  signal: mail.outcome\n  \
                 absent: { for: 60s, expected: always }\n  escalate: [{ after: 30s, severity: critical }]\n  \
                 resolve_after: 0s\n  message: m\n";
    let mut world = World::new(rules);
    world.batch(1, 0.0, &[]);
    assert_eq!(told(&mut world, &[], 100.0), ["warning 60: r firing/never_seen", "critical 90: r firing/escalated"]);
    world.batch(1, 101.0, &[("mail.outcome", 101.0, FAILED)]);
    let last = world.detections.last().map(|d| (d.severity, d.reason.as_str()));
    assert_eq!(last, Some((Severity::Critical, "resolved")));
}

#[test]
fn an_edit_that_only_names_other_severities_keeps_the_groups() {
    let mut world = World::new(&rule("count: 2", "[{ at: 3, severity: warning }]", "1h"));
    assert_eq!(told(&mut world, &[0.0, 1.0, 2.0], 3.0).len(), 2);
    assert_eq!(world.configure(&rule("count: 2", "[{ at: 3, severity: critical }]", "1h")), [""; 0]);
    assert_eq!(told(&mut world, &[], 100.0), ["critical 71: r resolved/resolved"]);
    // Other numbers are counted anew.
    let mut world = World::new(&rule("count: 2", "[{ at: 3, severity: warning }]", "1h"));
    told(&mut world, &[0.0, 1.0, 2.0], 3.0);
    let changed = world.configure(&rule("count: 2", "[{ at: 4, severity: warning }]", "1h"));
    assert_eq!(changed, ["3: r resolved/rule_changed count 3 since 1"]);
    let rid = world.configure(&rule("count: 2", "[]", "1h"));
    assert_eq!(rid, [""; 0]);
}

/// Alerts that grow worse by number and by time, and what is forgotten, in one log.
const STORY: &str = "format: 1\nrules:\n\
    - name: count\n  title: Mail fails\n  severity: info\n  subsystem: mail\n  signal: mail.outcome\n  where: { outcome: failed }\n  \
      threshold: { count: 2, within: 60s }\n  escalate: [{ at: 3, severity: warning }, { at: 5, severity: critical }]\n  suppress: 1h\n  \
      resolve_after: 10s\n  evidence: [outcome]\n  message: '{count} mails failed'\n\
    - name: expected\n  title: A job is missing\n  severity: warning\n  subsystem: cron\n  signal: cron.run\n  group_by: [job]\n  \
      absent: { for: 60s, expected: [back, news] }\n  escalate: [{ after: 30s, severity: critical }]\n  message: '{job} is missing'\n\
    - name: few\n  title: Few jobs\n  severity: info\n  subsystem: cron\n  signal: cron.run\n  \
      absent: { for: 60s, expected: always, at_most: 2 }\n  message: 'few jobs within {within}'\n\
    - name: seen\n  title: A job has stopped\n  severity: warning\n  subsystem: cron\n  signal: cron.run\n  group_by: [job]\n  \
      absent: { for: 60s, expected: once_seen, forget_after: 200s }\n  suppress: 50s\n  message: '{job} has stopped'\n";

/// To record it anew, which is for a new recording only: see `story.rs`.
#[test]
fn what_grows_worse_and_what_is_forgotten_is_recorded() {
    let mut world = World::of(2, STORY);
    world.tick(0.0);
    let job = |at: f64, fields: &'static [(&'static str, &'static str)]| ("cron.run", at, fields);
    let (back, other): (&[_], &[_]) = (&[("outcome", "ok"), ("job", "back")], &[("outcome", "ok"), ("job", "other")]);
    world.batch(1, 10.0, &[job(5.0, back), job(6.0, other)]);
    world.batch(1, 100.0, &mails(&[50.0, 51.0, 52.0, 90.0, 91.0, 92.0]));
    world.batch(1, 150.0, &[job(120.0, back), job(121.0, back), job(122.0, back)]);
    world.batch(1, 600.0, &mails(&[590.0, 591.0, 592.0]));
    world.configure(&STORY.replace("forget_after: 200s", "forget_after: 100s"));
    world.batch(1, 1_000.0, &[job(700.0, other)]);
    if let Some(folder) = std::env::var_os("RECORD_GOLDEN") {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        world.write_recording(&root.join(folder), "worse");
    }
    let said: Vec<String> =
        world.detections.iter().map(|d| format!("{} {} {} {}", d.rule, d.severity, d.state, d.reason)).collect();
    for expected in [
        "count warning firing escalated",
        "count critical firing escalated",
        "expected critical firing escalated",
        "few info firing stopped",
        "seen warning resolved forgotten",
    ] {
        assert!(said.iter().any(|line| line == expected), "{expected} is missing:\n{}", said.join("\n"));
    }
}

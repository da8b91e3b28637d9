//! Sums, ratios and percentiles: each row of the language's table of edge cases.

use super::FAILED;
use crate::support::{Sig, World};

const SENT: &[(&str, &str)] = &[("outcome", "sent")];

/// A rule over mails or jobs with this threshold within ten seconds, whose panes have a second. Alerts end at once.
fn rule(signal: &str, threshold: &str) -> String {
    format!(
        "format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  signal: {signal}\n  \
         threshold: {{ {threshold}, within: 10s }}\n  suppress: 0s\n  resolve_after: 0s\n  evidence: [outcome]\n  message: m\n"
    )
}

fn failing(at_least: &str, min: u32) -> String {
    rule("mail.outcome", &format!("ratio: {{ of: {{ outcome: failed }}, at_least: {at_least}, min: {min} }}"))
}

/// So many mails at one time.
fn mails(times: usize, at: f64, fields: &'static [(&'static str, &'static str)]) -> Vec<Sig<'static>> {
    vec![("mail.outcome", at, fields); times]
}

fn jobs<'a>(fields: &[&'a [(&'a str, &'a str)]], at: f64) -> Vec<Sig<'a>> {
    fields.iter().map(|fields| ("cron.run", at, *fields)).collect()
}

/// What is told of these signals until 60.
fn told(rules: &str, signals: &[Sig<'_>]) -> Vec<String> {
    World::new(rules).batch(1, 60.0, signals)
}

#[test]
fn one_of_one_failed_below_the_minimum_of_twenty_is_false() {
    assert_eq!(told(&failing("5%", 20), &mails(1, 0.5, FAILED)), [""; 0]);
    assert_eq!(told(&failing("5%", 1), &mails(1, 0.5, FAILED)).len(), 2, "what the minimum keeps silent");
}

#[test]
fn one_of_twenty_at_five_percent_is_true_for_equality_holds() {
    let signals = [mails(19, 0.5, SENT), mails(1, 0.5, FAILED)].concat();
    let fired = ["1: r firing/firing count 1 since 1", "11: r resolved/resolved count 1 since 1"];
    assert_eq!(told(&failing("5%", 20), &signals), fired);
    assert_eq!(told(&failing("5.01%", 20), &signals), [""; 0]);
}

#[test]
fn nothing_of_nothing_is_false() {
    // Of one that was sent, and of the window that it has left.
    assert_eq!(told(&failing("1%", 1), &mails(1, 0.5, SENT)), [""; 0]);
    assert_eq!(told(&failing("1%", 1), &[]), [""; 0]);
}

#[test]
fn ten_of_ten_bad_and_then_190_good_turn_it_true_and_false_at_the_ends_of_their_panes() {
    let signals = [mails(10, 0.5, FAILED), mails(190, 1.5, SENT)].concat();
    let turned = ["1: r firing/firing count 10 since 1", "2: r resolved/resolved count 10 since 1"];
    assert_eq!(told(&failing("10%", 10), &signals), turned);
    assert_eq!(told(&failing("10%", 11), &signals), [""; 0]);
}

#[test]
fn good_ones_leave_the_window_and_bad_ones_stay_so_that_it_turns_true_without_a_signal() {
    let signals = [mails(3, 0.5, SENT), mails(2, 3.5, FAILED)].concat();
    let turned = ["11: r firing/firing count 2 since 11", "14: r resolved/resolved count 2 since 11"];
    assert_eq!(told(&failing("50%", 1), &signals), turned);
}

#[test]
fn a_late_signal_into_an_ended_pane_counts_from_the_next_end_on() {
    let mut world = World::new(&failing("100%", 1));
    world.batch(1, 5.0, &[]);
    assert_eq!(world.batch(1, 5.5, &mails(1, 0.5, FAILED)), [""; 0]);
    assert_eq!(world.batch(1, 5.999, &[]), [""; 0]);
    assert_eq!(world.batch(1, 6.0, &[]), ["6: r firing/firing count 1 since 6"]);
    assert_eq!(world.batch(1, 60.0, &[]), ["11: r resolved/resolved count 1 since 6"]);
}

#[test]
fn a_value_that_is_missing_is_not_in_the_population_of_a_percentile() {
    let slow =
        |min| rule("cron.run", &format!("percentile: {{ field: duration_ms, p: 95, at_least: 1000, min: {min} }}"));
    let without: &[(&str, &str)] = &[("outcome", "ok")];
    let signals = [jobs(&[&[("duration_ms", "1000")], &[("duration_ms", "2000")]], 0.5), jobs(&[without; 50], 0.5)];
    let signals = signals.concat();
    assert_eq!(told(&slow(2), &signals).first().unwrap(), "1: r firing/firing count 2 since 1");
    assert_eq!(told(&slow(3), &signals), [""; 0]);
}

#[test]
fn a_for_asks_for_the_condition_at_every_end_for_so_long() {
    let rules = format!("{}  for: 3s\n", failing("60%", 1));
    assert_eq!(told(&rules, &mails(1, 0.5, FAILED))[0], "4: r firing/firing count 1 since 1");
    // False at 3, true at 4.
    let signals = [mails(1, 0.5, FAILED), mails(1, 2.5, SENT), mails(1, 3.5, FAILED)].concat();
    assert_eq!(told(&rules, &signals)[0], "7: r firing/firing count 2 since 4");
}

#[test]
fn a_watermark_that_jumps_an_hour_runs_the_ends_in_order() {
    let mut world = World::new(&failing("50%", 1));
    world.batch(1, 0.9, &[mails(1, 0.5, FAILED), mails(1, 0.6, SENT)].concat());
    let turned = ["1: r firing/firing count 1 since 1", "11: r resolved/resolved count 1 since 1"];
    assert_eq!(world.batch(1, 3_600.0, &[]), turned);
}

#[test]
fn the_order_inside_a_pane_makes_no_difference_and_the_end_belongs_to_the_next() {
    let turned = ["1: r firing/firing count 1 since 1", "2: r resolved/resolved count 1 since 1"];
    let signals = [mails(1, 0.1, FAILED), mails(1, 0.2, SENT), mails(1, 1.0, SENT)].concat();
    assert_eq!(told(&failing("50%", 1), &signals), turned);
    let signals = [mails(1, 0.1, SENT), mails(1, 0.2, FAILED), mails(1, 1.0, SENT)].concat();
    assert_eq!(told(&failing("50%", 1), &signals), turned);
}

#[test]
fn evidence_of_a_ratio_is_what_belongs_to_the_part() {
    let mut world = World::new(&failing("10%", 1));
    world.batch(1, 60.0, &[mails(1, 0.5, SENT), mails(2, 0.6, FAILED), mails(1, 0.7, SENT)].concat());
    let shown: Vec<&str> = world.detections[0].evidence.iter().map(|e| e.fields[0].value.as_str()).collect();
    assert_eq!(shown, ["failed", "failed"]);
}

#[test]
fn a_sum_is_a_count_with_weights_that_turns_true_at_a_signal() {
    let rules = rule("cron.run", "sum: { field: duration_ms, at_least: 1000 }");
    let [few, many, none]: [&[(&str, &str)]; 3] = [&[("duration_ms", "400")], &[("duration_ms", "600")], &[]];
    let turned = ["2.5: r firing/firing count 1000 since 2.5", "10: r resolved/resolved count 1000 since 2.5"];
    let signals = [jobs(&[few, none], 0.5), jobs(&[many], 2.5)].concat();
    assert_eq!(told(&rules, &signals), turned);
    // One that stands for three weighs three times as much.
    let merged: &[(&str, &str)] = &[("duration_ms", "400"), ("repeats", "3")];
    assert_eq!(told(&rules, &jobs(&[merged], 0.5))[0], "0.5: r firing/firing count 1200 since 0.5");
    assert_eq!(told(&rules, &jobs(&[few], 0.5)), [""; 0]);
}

/// A failure at 1 is there when the end of the second before it is judged, and turns nothing: the end behind it counts it.
#[test]
fn the_count_of_several_measures_is_the_part_at_the_last_end_also_if_that_turned_nothing() {
    let both = "ratio: { of: { outcome: failed }, at_least: 50%, min: 1 }, count: 3, resolution: 1s";
    let signals = [mails(1, 0.5, FAILED), mails(1, 1.0, FAILED), mails(1, 3.5, SENT)].concat();
    assert_eq!(told(&rule("mail.outcome", both), &signals)[0], "3.5: r firing/firing count 2 since 3.5");
}

#[test]
fn of_several_measures_all_must_hold() {
    let rules = rule("mail.outcome", "count: 4, ratio: { of: { outcome: failed }, at_least: 50%, min: 1 }");
    // The part is large enough from 1 on; the fourth comes at 3.5. At 4 it is too small.
    let signals = [mails(2, 0.5, FAILED), mails(2, 3.5, SENT), mails(1, 3.6, SENT)].concat();
    let turned = ["3.5: r firing/firing count 2 since 3.5", "4: r resolved/resolved count 2 since 3.5"];
    assert_eq!(told(&rules, &signals), turned);
    // Enough came at once; the part is judged at the end of the pane, and enough are there until the first has left.
    let signals = [mails(2, 0.5, FAILED), mails(2, 0.6, SENT)].concat();
    let turned = ["1: r firing/firing count 2 since 1", "10.5: r resolved/resolved count 2 since 1"];
    assert_eq!(told(&rules, &signals), turned);
}

const STORY: &str = "format: 1\nrules:\n\
- {name: busy, title: T, subsystem: s, message: '{count} in {within}', signal: cron.run, suppress: 10s, resolve_after: 5s, \
   threshold: {sum: {field: duration_ms, at_least: 900}, within: 20s}}\n\
- {name: part, title: T, subsystem: s, message: '{count} in {within}', signal: mail.outcome, group_by: [transport], suppress: 1m, resolve_after: 5s, \
   evidence: [outcome], threshold: {ratio: {of: {outcome: failed}, at_least: 33.33%, min: 4}, within: 30s}}\n\
- {name: several, title: T, subsystem: s, message: '{count} in {within}', signal: mail.outcome, suppress: 10s, resolve_after: 0s, \
   threshold: {count: 9, ratio: {of: {any: [{outcome: failed}, {transport: {present: false}}]}, at_least: 40%, min: 2}, \
   distinct: {field: transport, at_least: 2}, sum: {field: recipients, at_least: 30}, percentile: {field: recipients, p: 75, at_least: 3, min: 2}, within: 30s}}\n\
- {name: slow, title: T, subsystem: s, message: '{count} in {within}', signal: cron.run, for: 4s, suppress: 30s, resolve_after: 2s, \
   threshold: {percentile: {field: duration_ms, p: 90, at_least: 80, min: 3}, within: 24s, resolution: 4s}}\n";

/// Every measure by itself and all of them together, with stretches of trouble, signals that are late, and a time that starts
/// anew. The recording `measures` is made of it: `RECORD_GOLDEN=tests/golden cargo test -p logystera-processor --test engine`,
/// then `gzip -9n`; it is for a new recording only.
#[test]
fn every_measure_fires_and_ends() {
    let mut world = World::of(2, STORY);
    world.tick(0.0);
    let (mut from, mut shift) = (0, 0.0);
    for until in (10..=400).step_by(10) {
        if until == 210 {
            // The clock had run ahead, and is set back: not by whole panes.
            shift = -97.3;
            (0..60).for_each(|n| drop(world.tick(f64::from(until) + shift - 0.1 + f64::from(n) / 1_000.0)));
        }
        let at = f64::from(until) + shift;
        world.tick(at);
        let mut signals: Vec<Sig<'_>> = Vec::new();
        for second in from..until {
            // What is late lies in panes that have ended.
            let back = if second % 17 == 0 { 12.0 } else { 0.0 };
            let time = f64::from(second) + 0.25 + shift - back;
            let is_bad = (second / 40) % 3 == 1;
            let mail: &[(&str, &str)] = match (second % 4, is_bad) {
                (0, _) => &[("outcome", "sent"), ("transport", "smtp"), ("recipients", "3")],
                (1, false) => &[("outcome", "sent"), ("transport", "api"), ("recipients", "1")],
                (1, true) => &[("outcome", "failed"), ("transport", "api"), ("recipients", "4")],
                (_, false) => &[("outcome", "sent"), ("recipients", "2")],
                (_, true) => &[("outcome", "failed"), ("transport", "smtp"), ("recipients", "5"), ("repeats", "2")],
            };
            signals.push(("mail.outcome", time, mail));
            let job: &[(&str, &str)] = match (second % 3, is_bad) {
                (0, _) => &[("duration_ms", "40")],
                (1, _) => &[],
                (_, false) => &[("duration_ms", "70")],
                (_, true) => &[("duration_ms", "90"), ("repeats", "2")],
            };
            signals.push(("cron.run", time + 0.5, job));
        }
        world.batch(1, at, &signals);
        from = until;
    }
    if let Some(folder) = std::env::var_os("RECORD_GOLDEN") {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        world.write_recording(&root.join(folder), "measures");
    }
    for rule in ["busy", "part", "several", "slow"] {
        for state in ["firing", "resolved"] {
            let told = world.detections.iter().filter(|d| d.rule.as_str() == rule && d.state.as_str() == state);
            assert!(told.count() > 1, "{rule} {state}: {:#?}", world.detections);
        }
    }
    assert_eq!((world.outcomes().time_resets, world.outcomes().late > 0), (1, true));
}

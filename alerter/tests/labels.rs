//! Routes and silences by the labels of sites.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use common::{START_MS, Store, apply, channels, commit, detection, restored, silence_of, tick};
use logystera_alerter::core::Planner;
use logystera_schemas::delivery::Attempt;
use logystera_schemas::detection::DetectionState;
use logystera_schemas::ids::EpisodeId;
use logystera_schemas::labels::{SiteLabel, SiteLabelled};
use logystera_schemas::limits::SITE_LABELS_MAX;
use logystera_schemas::topic::DetectionsRecord;

fn labels(text: &str) -> Vec<SiteLabel> {
    text.split_whitespace().map(|one| one.parse().unwrap()).collect()
}

fn labelled(site: &str, text: &str) -> DetectionsRecord {
    let (tenant, site, labels) = ("t".parse().unwrap(), site.parse().unwrap(), labels(text));
    DetectionsRecord::SiteLabelled(SiteLabelled { tenant, site, labels })
}

/// Channels, each with the labels of the sites that it is told of.
fn asking(of: &[(&str, &str)]) -> DetectionsRecord {
    let ids: Vec<&str> = of.iter().map(|(id, _)| *id).collect();
    let DetectionsRecord::ChannelsConfigured(mut configured) = channels("t", &ids) else { unreachable!() };
    for (channel, (_, text)) in configured.channels.iter_mut().zip(of) {
        channel.labels = labels(text);
    }
    DetectionsRecord::ChannelsConfigured(configured)
}

fn fire(planner: &mut Planner, seq: u64, site: &str) -> Vec<Attempt> {
    let mut found = detection("t", seq, DetectionState::Firing);
    found.site = site.parse().unwrap();
    found.id = EpisodeId([seq as u8; 16]);
    apply(planner, DetectionsRecord::Detection(Box::new(found)))
}

/// What is due, as channel and number.
fn due(planner: &Planner) -> Vec<String> {
    let mut due: Vec<String> = planner.due().map(|due| format!("{}{}", due.channel, due.detection.seq)).collect();
    due.sort_unstable();
    due
}

fn reasons(rows: &[Attempt]) -> Vec<String> {
    rows.iter().map(|row| format!("{}:{}", row.channel, row.reason)).collect()
}

/// A planner that is stored and restored with each step, and one that is not.
fn both(steps: impl Fn(&mut Planner) -> Vec<String>) -> Vec<String> {
    let mut planner = Planner::new();
    let kept = steps(&mut planner);
    let mut store = Store::new();
    commit(&mut planner, &mut store);
    assert_eq!(due(&restored(&store)), due(&planner), "it is stored");
    kept
}

#[test]
fn a_channel_is_told_of_the_sites_whose_labels_it_asks_for() {
    let told = both(|planner| {
        apply(planner, tick(0, START_MS));
        apply(planner, asking(&[("a", ""), ("b", "env=production env=staging"), ("c", "env=production team=shop")]));
        apply(planner, labelled("shop", "env=production team=shop"));
        apply(planner, labelled("blog", "env=staging"));
        for (seq, site) in [(1, "shop"), (2, "blog"), (3, "unknown")] {
            assert_eq!(fire(planner, seq, site), []);
        }
        due(planner)
    });
    assert_eq!(told, ["a1", "a2", "a3", "b1", "b2", "c1"]);
}

#[test]
fn what_no_channel_takes_has_a_row_and_other_labels_hold_from_then_on() {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, asking(&[("a", "env=production")]));
    assert_eq!(reasons(&fire(&mut planner, 1, "shop")), [":no_route"]);
    apply(&mut planner, labelled("shop", "env=production"));
    assert_eq!(fire(&mut planner, 2, "shop"), []);
    // Labels are known of a tenant that has nothing else, and of a site until it has others.
    let mut store = Store::new();
    commit(&mut planner, &mut store);
    let mut planner = restored(&store);
    assert_eq!(fire(&mut planner, 3, "shop"), []);
    apply(&mut planner, labelled("shop", ""));
    assert_eq!(reasons(&fire(&mut planner, 4, "shop")), [":no_route"]);
    commit(&mut planner, &mut store);
    assert!(store.keys().all(|key| key[2] != b'h'), "no entry of a site without labels");
}

#[test]
fn labels_are_known_of_a_tenant_that_has_no_channel_yet() {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, labelled("shop", "env=production"));
    assert_eq!(reasons(&fire(&mut planner, 1, "shop")), [":no_channel"]);
    apply(&mut planner, asking(&[("a", "env=production")]));
    fire(&mut planner, 2, "shop");
    assert_eq!(due(&planner), ["a2"]);
}

#[test]
fn a_silence_holds_the_sites_with_its_labels_and_lets_go_of_one_that_loses_them() {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["a"]));
    apply(&mut planner, labelled("shop", "env=staging"));
    apply(&mut planner, DetectionsRecord::Silence(silence_of("t", "s1", &["label=env:staging"])));
    assert_eq!(reasons(&fire(&mut planner, 1, "shop")), ["a:silenced"]);
    fire(&mut planner, 2, "blog");
    assert_eq!(due(&planner), ["a2"]);
    let mut store = Store::new();
    commit(&mut planner, &mut store);
    let mut planner = restored(&store);
    assert_eq!(reasons(&fire(&mut planner, 3, "shop")), ["a:silenced"]);
    apply(&mut planner, labelled("shop", "env=production"));
    assert_eq!(due(&planner), ["a1", "a2", "a3"], "they still fire, and nothing holds them back");
}

/// An operator who switches a channel on changes nothing of what it takes.
#[test]
fn a_channel_that_is_switched_on_asks_for_the_same_labels() {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, asking(&[("a", "env=production")]));
    apply(&mut planner, common::enabled("t", "a"));
    assert_eq!(reasons(&fire(&mut planner, 1, "shop")), [":no_route"]);
}

#[test]
fn more_labels_than_a_site_may_have_do_not_grow_the_state() {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    let many: Vec<String> = (0..=SITE_LABELS_MAX).map(|n| format!("k{n:02}=v")).collect();
    let last = format!("k{SITE_LABELS_MAX:02}=v");
    apply(&mut planner, asking(&[("a", "k00=v"), ("b", &last)]));
    apply(&mut planner, labelled("shop", &many.join(" ")));
    fire(&mut planner, 1, "shop");
    assert_eq!(due(&planner), ["a1"]);
}

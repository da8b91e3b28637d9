//! Replays of a log whose beginning is gone, and of a part of one: they begin with snapshots.

use std::collections::BTreeMap;
use std::time::Duration;

use logystera_infra::directory::entry;
use logystera_infra::embedded::Embedded;
use logystera_infra::log::{Entry, Log};
use logystera_infra::runtime::Cycle;
use logystera_processor::core::RuleSet;
use logystera_processor::task::{APP, EngineMachine, NoRuleSet, OutputPartitions, RuleSets};
use logystera_rules::{from_canonical, published};
use logystera_schemas::avro::Blob;
use logystera_schemas::control::{Entity, RuleSet as RuleSetRecord, Site};
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::schema;
use logystera_schemas::snapshot::Snapshot;
use logystera_schemas::topic::{SignalsRecord, Topic};
use logystera_system::golden;
use rusqlite::Connection;
use serde_json::Value;

use crate::replay::{find, replace};
use crate::support::Folder;

/// The recording of three days.
const DAYS: &str = "days";

struct Recorded(BTreeMap<Sha256Digest, String>);

impl RuleSets for Recorded {
    fn find(&mut self, digest: &Sha256Digest) -> Result<RuleSet, NoRuleSet> {
        published(self.0.get(digest).map(String::as_str))
    }
}

/// A folder in which the three days were judged.
fn judged() -> Folder {
    let folder = Folder::new();
    let embedded = Embedded::open(&folder.data()).unwrap();
    let mut bodies = BTreeMap::new();
    let mut entries = Vec::new();
    for body in golden::bodies(DAYS) {
        let digest = from_canonical(&body).unwrap().digest;
        let body_bytes = Blob(body.clone().into_bytes());
        entries.push(entry(&Entity::RuleSet(RuleSetRecord { digest, body: body_bytes })));
        bodies.insert(digest, body);
    }
    for value in golden::records(DAYS) {
        let key = match SignalsRecord::decode(&value).unwrap() {
            SignalsRecord::Batch(batch) => batch.head.site.to_string(),
            SignalsRecord::SiteConfigured(configured) => {
                let (site, tenant, name) = (configured.site.clone(), configured.tenant, configured.name);
                entries.push(entry(&Entity::Site(Site {
                    site,
                    tenant,
                    name,
                    created_at: 0,
                    closed_at: None,
                    url: None,
                    labels: Vec::new(),
                })));
                configured.site.to_string()
            }
            _ => String::new(),
        };
        entries.push(Entry { topic: Topic::Signals, partition: 0, key: key.into_bytes(), value });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(embedded.log().append(entries)).unwrap();
    let machine = EngineMachine::new(PartitionRef::ONLY, OutputPartitions::ALONE, Recorded(bodies));
    let mut cycle = Cycle::start(machine, embedded.task(APP, Topic::Signals).unwrap()).unwrap();
    while cycle.apply_next(Duration::ZERO).unwrap() > 0 {
        cycle.commit(Vec::new()).unwrap();
    }
    drop(cycle);
    embedded.close();
    folder
}

/// Lets the records below an offset pass their time.
fn forget(folder: &Folder, topic: &str, below: u64) {
    let store = Connection::open(folder.data().join("logystera.sqlite")).unwrap();
    store.execute(&format!("DELETE FROM log_{topic} WHERE offset < ?1"), [below]).unwrap();
}

fn verified(folder: &Folder) -> Value {
    let verified = folder.json(&["replay", "--verify"]).remove(0);
    assert_eq!(verified["verified"], true);
    verified
}

fn number(verified: &Value, field: &str) -> u64 {
    verified[field].as_u64().unwrap()
}

/// Offset of the first record that came so many hours after the log's start.
fn after_hours(folder: &Folder, hours: i64) -> u64 {
    let ticks = find(folder, Topic::Signals, |value| match SignalsRecord::decode(value) {
        Ok(SignalsRecord::Tick(tick)) => Some(tick.at.0),
        _ => None,
    });
    let begin = ticks[0].2;
    ticks.iter().find(|(_, _, at)| *at >= begin + hours * 3_600_000).unwrap().0
}

#[test]
fn a_log_whose_beginning_is_gone_is_verified_from_its_oldest_snapshots_on() {
    let folder = judged();
    let whole = verified(&folder);
    let all = golden::detections(DAYS).len() as u64;
    assert_eq!((number(&whole, "detections"), &whole["began_with_snapshots"]), (all, &Value::Null));

    forget(&folder, "signals", after_hours(&folder, 20));
    let cut = verified(&folder);
    assert_eq!(cut["began_with_snapshots"]["count"], 1_024, "each key group has one a day");
    assert_eq!((number(&cut, "key_groups_without_snapshot"), number(&cut, "sites")), (0, 4));
    assert!((1..all).contains(&number(&cut, "detections")), "{cut}");
    assert!(number(&cut, "records") < number(&whole, "records"));

    // Detections pass their time too. The ones that are left hang together with what the snapshots say.
    forget(&folder, "detections", after_hours(&folder, 50));
    let older = verified(&folder);
    assert!(number(&older, "recorded_no_longer") > 0, "{older}");
    let known = number(&older, "detections") + number(&older, "recorded_no_longer");
    assert_eq!(known, number(&cut, "detections"));
    let said = folder.expect(0, &["replay", "--verify"]);
    assert!(
        said.contains("from snapshots on (1024, taken from 2026-01-0") && said.contains("no longer recorded"),
        "{said}"
    );
}

#[test]
fn what_has_no_snapshot_is_not_verified_and_that_is_said() {
    let folder = judged();
    forget(&folder, "signals", after_hours(&folder, 60));
    let cut: Value = serde_json::from_str(&folder.expect(3, &["replay", "--verify", "--json"])).unwrap();
    // Twelve hours are left, which half of the key groups' snapshots fall in.
    assert!((510..=514).contains(&number(&cut, "key_groups_without_snapshot")), "{cut}");
    assert_eq!(cut["verified"], false, "not all of it was: {cut}");
    assert_eq!(number(&cut, "covered_key_groups") + number(&cut, "uncovered_key_groups"), 1_024, "{cut}");
    let said = folder.expect(3, &["replay", "--verify"]);
    assert!(said.starts_with("Verified in part: ") && said.contains("Not verified: the sites of 51"), "{said}");

    forget(&folder, "snapshots", u64::MAX >> 1);
    assert!(folder.expect(3, &["replay", "--verify"]).contains("no snapshot was taken since"));
}

#[test]
fn a_replay_of_a_part_gives_what_was_recorded_of_it_and_reads_no_more_than_it_must() {
    let folder = judged();
    let whole = verified(&folder);
    let from = "2026-01-04T00:00:00Z";
    let recorded = folder.json(&["tail", "detections", "--from", "beginning"]);
    let from_ms = 1_767_484_800_000;
    let wanted = |site: Option<&str>| -> Vec<&Value> {
        let late = recorded.iter().filter(|d| d["last_evaluated_at"].as_i64().unwrap() >= from_ms);
        late.filter(|d| site.is_none_or(|site| d["site"] == site)).collect()
    };
    assert!(!wanted(None).is_empty());
    assert_eq!(folder.json(&["replay", "--from", from]).iter().collect::<Vec<_>>(), wanted(None));
    for site in ["shop", "late"] {
        let replayed = folder.json(&["replay", "--from", from, "--site", site]);
        assert_eq!(replayed.iter().collect::<Vec<_>>(), wanted(Some(site)), "{site}");
    }
    let late = &folder.json(&["replay", "--verify", "--from", from])[0];
    assert_eq!((late["verified"].as_bool(), number(late, "detections")), (Some(true), wanted(None).len() as u64));
    assert!(number(late, "records") < number(&whole, "records") * 3 / 4, "{late}");
}

#[test]
fn other_rules_judge_from_the_snapshots_on() {
    let folder = judged();
    let rules = "format: 1\nrules:\n- name: any-mail\n  title: A mail failed\n  severity: info\n  subsystem: mail\n  \
                 signal: mail.outcome\n  where: { outcome: failed }\n  threshold: { count: 1, within: 1m }\n  \
                 message: failed\n";
    std::fs::write(folder.path("other.yaml"), rules).unwrap();
    let from = "2026-01-04T00:00:00Z";
    let found = folder.json(&["replay", "--rules", "other.yaml", "--from", from]);
    assert!(found.len() > 10 && found.iter().all(|d| d["rule"] == "any-mail"), "{}", found.len());
    let whole = folder.json(&["replay", "--rules", "other.yaml"]);
    // What a rule has counted for the first time in the snapshot's place is the same from then on.
    let moments = |of: &[Value]| -> Vec<(String, i64)> {
        let late =
            of.iter().map(|d| (d["site"].as_str().unwrap().to_owned(), d["last_evaluated_at"].as_i64().unwrap()));
        late.filter(|(_, at)| *at >= 1_767_484_800_000).collect()
    };
    assert_eq!(moments(&found), moments(&whole));
}

#[test]
fn an_altered_snapshot_is_found() {
    let folder = judged();
    forget(&folder, "signals", after_hours(&folder, 20));
    let of_shop = |value: &[u8]| {
        let snapshot: Snapshot = schema::decode(value).ok()?;
        snapshot.sites.iter().any(|site| site.site.as_str() == "shop").then_some(snapshot)
    };
    let oldest = after_hours(&folder, 20);
    let (offset, key, whole) =
        find(&folder, Topic::Snapshots, of_shop).into_iter().find(|(_, _, s)| s.position >= oldest).unwrap();

    let mut altered = whole.clone();
    altered.sites[0].chain.0[0] ^= 1;
    replace(&folder, Topic::Snapshots, offset, &key, &schema::encode(&altered));
    assert!(folder.expect(1, &["replay", "--verify"]).contains("of site shop"));

    let mut altered = whole.clone();
    // What is stored of the site begins with whether it is encrypted, its tenant and its own name: another digit of its `seq`.
    let head = altered.entries[1].value.0.len() - 1;
    altered.entries[1].value.0.truncate(head);
    replace(&folder, Topic::Snapshots, offset, &key, &schema::encode(&altered));
    assert!(folder.expect(1, &["replay", "--verify"]).contains("state entry"));

    replace(&folder, Topic::Snapshots, offset, &key, &schema::encode(&whole));
    verified(&folder);
}

//! What metrics count is in the folder once its minute is over, and a command shows it.

use std::collections::BTreeMap;
use std::time::Duration;

use logystera_infra::directory::entry;
use logystera_infra::embedded::Embedded;
use logystera_infra::log::{Entry, Log};
use logystera_infra::runtime::Cycle;
use logystera_processor::core::RuleSet;
use logystera_processor::task::{APP, EngineMachine, NoRuleSet, OutputPartitions, RuleSets};
use logystera_rules::{from_yaml, published};
use logystera_schemas::avro::{Blob, Writer};
use logystera_schemas::batch::{BatchHead, Platform, Value, encode, write_signal};
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::control::{Entity, RuleSet as RuleSetRecord, Site};
use logystera_schemas::ids::{Sha256Digest, SpoolId};
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::SiteConfigured;
use logystera_schemas::topic::Topic;
use serde_json::{Value as Json, json};

use crate::support::Folder;

const METRICS: &str = "format: 1\nmetrics:\n\
    - {name: mails, signal: mail.outcome, type: counter, labels: {outcome: [failed]}}\n\
    - {name: recipients, signal: mail.outcome, type: distribution, field: recipients, buckets: [1, 10]}\n";
const T0: i64 = 1_767_225_600_000;

struct One(String);

impl RuleSets for One {
    fn find(&mut self, _: &Sha256Digest) -> Result<RuleSet, NoRuleSet> {
        published(Some(&self.0))
    }
}

/// A batch of mails at these seconds, each with its outcome (0: sent, 1: failed) and recipients.
fn batch(site: &str, seq: u64, through: i64, mails: &[(i64, u8, i64)]) -> Entry {
    let kind = SignalType::from_name("mail.outcome").unwrap();
    let mut signals = Writer::new();
    for (at, outcome, recipients) in mails {
        let fields: BTreeMap<&str, Value<'_>> =
            [("outcome", Value::Enum(*outcome)), ("recipients", Value::Int(*recipients))].into();
        let values: Vec<Value<'_>> =
            kind.def().fields.iter().map(|f| fields.get(f.name.as_str()).copied().unwrap_or_default()).collect();
        write_signal(&mut signals, kind, T0 + at * 1_000, T0, &values);
    }
    let signals = signals.into_bytes();
    let head = BatchHead {
        tenant: "acme".parse().unwrap(),
        site: site.parse().unwrap(),
        key: "k1".parse().unwrap(),
        encryption_key: None,
        spool: SpoolId([1; 8]),
        seq,
        digest: Sha256Digest::of(&signals),
        received_at: T0 + through * 1_000,
        through: T0 + through * 1_000,
        clock_offset_ms: 0,
        flush_every_s: 60,
        platform: Platform::Other,
        integration_version: String::new(),
        enabled: SignalTypes::ALL,
        refused: 0,
        base_at: T0,
        ends: false,
    };
    Entry { topic: Topic::Signals, partition: 0, key: site.as_bytes().to_vec(), value: encode(&head, &signals) }
}

/// A folder in which two sites were judged for a little over a quarter of an hour.
fn judged() -> Folder {
    let folder = Folder::new();
    let embedded = Embedded::open(&folder.data()).unwrap();
    let set = from_yaml(&[("m.yaml", METRICS)]).unwrap();
    let mut entries =
        vec![entry(&Entity::RuleSet(RuleSetRecord { digest: set.digest, body: Blob(set.body.clone().into_bytes()) }))];
    for site in ["shop", "blog"] {
        let (id, tenant, name): (_, logystera_schemas::ids::TenantId, _) =
            (site.parse().unwrap(), "acme".parse().unwrap(), site.to_owned());
        let configured =
            SiteConfigured { site: id, tenant: tenant.clone(), name: name.clone(), digest: set.digest, semantics: 2 };
        let record = Site {
            site: configured.site.clone(),
            tenant,
            name,
            created_at: 0,
            closed_at: None,
            url: None,
            labels: Vec::new(),
        };
        entries.push(entry(&Entity::Site(record)));
        let (key, value) = (site.as_bytes().to_vec(), schema::encode(&configured));
        entries.push(Entry { topic: Topic::Signals, partition: 0, key, value });
    }
    entries.push(batch("shop", 1, 70, &[(1, 0, 1), (2, 1, 1), (3, 1, 20), (65, 1, 2)]));
    entries.push(batch("blog", 1, 70, &[(1, 1, 1)]));
    entries.push(batch("shop", 2, 1_000, &[(5, 1, 3), (200, 0, 4), (960, 0, 5)]));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(embedded.log().append(entries)).unwrap();
    let machine = EngineMachine::new(PartitionRef::ONLY, OutputPartitions::ALONE, One(set.body));
    let mut cycle = Cycle::start(machine, embedded.task(APP, Topic::Signals).unwrap()).unwrap();
    while cycle.apply_next(Duration::ZERO).unwrap() > 0 {
        cycle.commit(Vec::new()).unwrap();
    }
    drop(cycle);
    embedded.close();
    folder
}

/// What is shown: seconds from the start, the labels' values, how many, how many late.
fn shown(folder: &Folder, args: &[&str]) -> Vec<(i64, String, u64, u64)> {
    let rows = folder.json(&[&["series"], args].concat());
    let row = |row: &Json| {
        let labels: Vec<String> =
            row["labels"].as_object().unwrap().values().map(|v| v.as_str().unwrap().to_owned()).collect();
        let at = (row["at"].as_i64().unwrap() - T0) / 1_000;
        (at, labels.join(","), row["count"].as_u64().unwrap(), row["late"].as_u64().unwrap())
    };
    rows.iter().map(row).collect()
}

#[test]
fn what_a_metric_counted_is_shown_minute_by_minute_and_in_longer_steps() {
    let folder = judged();
    let row = |at: i64, label: &str, count: u64, late: u64| (at, label.to_owned(), count, late);
    let minutes = [
        row(0, "failed", 2, 0),
        row(0, "other", 1, 0),
        // The late one counts in the minute that was open.
        row(60, "failed", 2, 1),
        // Minutes in which nothing was counted are not there; the one of 960 is not over.
        row(180, "other", 1, 0),
    ];
    assert_eq!(shown(&folder, &["shop", "mails"]), minutes);
    assert_eq!(shown(&folder, &["blog", "mails"]), [row(0, "failed", 1, 0)]);
    for step in ["15m", "1d"] {
        let rows = shown(&folder, &["shop", "mails", "--step", step]);
        assert_eq!(rows, [row(0, "failed", 4, 1), row(0, "other", 2, 0)], "{step}");
    }
    let (from, to) = ("2026-01-01T00:01:00Z", "2026-01-01T00:03:00Z");
    assert_eq!(shown(&folder, &["shop", "mails", "--from", from, "--to", to]), minutes[2..3]);
    let day = &folder.json(&["series", "shop", "recipients", "--step", "1d"])[0];
    assert_eq!((&day["count"], &day["sum"]), (&json!(6), &json!(31)));
    assert_eq!(day["buckets"], json!([{"le": 1, "count": 2}, {"le": 10, "count": 3}, {"le": null, "count": 1}]));
    let text = folder.expect(0, &["series", "shop", "recipients", "--to", "2026-01-01T00:01:00Z"]);
    assert_eq!(text, "2026-01-01 00:00:00Z  count 3  sum 22  buckets 1:2 10:0 more:1\n");
}

#[test]
fn what_is_not_there_is_said() {
    let folder = judged();
    for (code, args, says) in [
        (0, &["shop", "mail"][..], "the site has no points of mail; there are: mails, recipients"),
        (0, &["shop", "mails", "--from", "2026-02-01T00:00:00Z"], "nothing was counted for mails in that time"),
        (2, &["shopp", "mails"], "there is no site shopp"),
        (2, &["shop", "mails", "--step", "2m"], "expected 1m, 15m or 1d"),
        (2, &["shop", "mails", "--to", "tomorrow"], "--to tomorrow: not a time"),
    ] {
        let said = folder.expect(code, &[&["series"], args].concat());
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

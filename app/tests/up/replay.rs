//! What a replay says of a log that was altered.

use crate::support::{Folder, failed_mails};
use logystera_infra::embedded::record_checksum;
use logystera_schemas::avro::Writer;
use logystera_schemas::batch::{Value, encode, write_signal};
use logystera_schemas::delivery::Attempt;
use logystera_schemas::detection::{Detection, Severity};
use logystera_schemas::schema;
use logystera_schemas::signals_topic::SiteConfigured;
use logystera_schemas::topic::{SignalsRecord, Topic};
use rusqlite::{Connection, params};

/// A folder whose log holds a batch of five failed mails and the detection that rests on them; `up` has stopped.
fn recorded() -> Folder {
    let folder = Folder::new();
    let up = folder.up(&[], "Watch:");
    folder.expect(0, &["site", "add", "Shop", "--dsn-file", "shop.dsn"]);
    failed_mails(&folder.path("mails"), 5);
    folder.expect(0, &["send", "mails", "--dsn-file", "shop.dsn"]);
    folder.wait_for("a detection", |folder| folder.json(&["tail", "detections"]).into_iter().next());
    up.stop();
    folder
}

fn table(topic: Topic) -> String {
    format!("log_{}", topic.name())
}

/// The records of a topic whose value `wanted` can read, with their offsets.
pub(crate) fn find<T>(folder: &Folder, topic: Topic, wanted: impl Fn(&[u8]) -> Option<T>) -> Vec<(u64, Vec<u8>, T)> {
    let store = Connection::open(folder.data().join("logystera.sqlite")).unwrap();
    let mut rows = store.prepare(&format!("SELECT offset, key, value FROM {} ORDER BY offset", table(topic))).unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))).unwrap();
    rows.map(Result::unwrap).filter_map(|(offset, key, value)| Some((offset, key, wanted(&value)?))).collect()
}

/// Replaces a record's value and mends its checksum.
pub(crate) fn replace(folder: &Folder, topic: Topic, offset: u64, key: &[u8], value: &[u8]) {
    let store = Connection::open(folder.data().join("logystera.sqlite")).unwrap();
    let crc = record_checksum(topic, offset, key, value);
    let sql = format!("UPDATE {} SET value = ?2, crc = ?3 WHERE offset = ?1", table(topic));
    assert_eq!(store.execute(&sql, params![offset, value, crc]).unwrap(), 1);
}

/// The batch with another value of an enum field in its third signal.
fn with_altered(field: &str, value: &[u8]) -> Option<Vec<u8>> {
    let SignalsRecord::Batch(batch) = SignalsRecord::decode(value).unwrap() else { return None };
    let (mut signals, mut count) = (Writer::new(), 0);
    for signal in batch.signals() {
        let signal = signal.unwrap();
        let (place, _) = signal.def().field(field).unwrap();
        let mut fields = signal.fields;
        if count == 2 {
            let Value::Enum(symbol) = fields[place] else { panic!("{field} is no enum") };
            fields[place] = Value::Enum(symbol ^ 1);
        }
        write_signal(&mut signals, signal.kind, signal.at, batch.head.base_at, &fields);
        count += 1;
    }
    (count == 5).then(|| encode(&batch.head, &signals.into_bytes()))
}

fn detection(value: &[u8]) -> Option<Detection> {
    schema::decode(value).ok()
}

#[test]
fn an_untouched_log_is_verified() {
    let folder = recorded();
    let verified = &folder.json(&["replay", "--verify"])[0];
    assert_eq!((verified["verified"].as_bool(), verified["detections"].as_u64()), (Some(true), Some(1)));
    assert_eq!(folder.json(&["replay"]), folder.json(&["tail", "detections", "--from", "beginning"]));
    assert!(folder.expect(0, &["replay", "--verify", "--site", "shop"]).starts_with("Verified"));
}

#[test]
fn a_value_altered_with_its_checksum_mended_breaks_the_chain() {
    let folder = recorded();
    let (offset, key, untouched) =
        find(&folder, Topic::Signals, |value| with_altered("outcome", value).map(|_| value.to_vec())).remove(0);
    for (field, says) in [
        // Four failed mails fire nothing.
        (
            "outcome",
            "detection 1 of site shop, it stands at offset 1 of topic detections, and the replay does not find it",
        ),
        // Five do, with other evidence.
        (
            "transport",
            "detection 1 of site shop, at offset 1 of topic detections: the replay gives other values of chain, evidence",
        ),
    ] {
        let altered = with_altered(field, &untouched).unwrap();
        replace(&folder, Topic::Signals, offset, &key, &altered);
        let said = folder.expect(1, &["replay", "--verify"]);
        assert!(said.contains(says), "{field}: {said}");
    }
    replace(&folder, Topic::Signals, offset, &key, &untouched);
    folder.expect(0, &["replay", "--verify"]);
}

#[test]
fn an_altered_detection_is_named_with_its_chain() {
    let folder = recorded();
    let (offset, key, found) = find(&folder, Topic::Detections, detection).remove(0);
    let altered = Detection { severity: Severity::Info, ..found };
    replace(&folder, Topic::Detections, offset, &key, &schema::encode(&altered));
    let said = folder.expect(1, &["replay", "--verify"]);
    for part in ["First difference: detection 1 of site shop", "its chain value is", "other values of severity"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }

    // Whoever mends the chain too is caught by the replay.
    let chain = altered.link(&Detection::genesis(&altered.site));
    replace(&folder, Topic::Detections, offset, &key, &schema::encode(&Detection { chain, ..altered }));
    let said = folder.expect(1, &["replay", "--verify"]);
    assert!(said.contains("other values of chain, severity") && !said.contains("its chain value is"), "{said}");
}

#[test]
fn a_detection_that_is_gone_is_missed() {
    let folder = recorded();
    let (offset, _, _) = find(&folder, Topic::Detections, detection).remove(0);
    let store = Connection::open(folder.data().join("logystera.sqlite")).unwrap();
    store.execute("DELETE FROM log_detections WHERE offset = ?1", [offset]).unwrap();
    let said = folder.expect(1, &["replay", "--verify"]);
    assert!(said.contains("detection 1 of site shop, the replay finds it"), "{said}");
}

#[test]
fn a_bit_altered_anywhere_in_a_record_fails_its_checksum() {
    let folder = recorded();
    for topic in [Topic::Signals, Topic::Detections, Topic::Attempts] {
        let records = find(&folder, topic, |value| Some(value.to_vec()));
        let (offset, _, value) = records.iter().max_by_key(|(_, _, value)| value.len()).unwrap();
        let store = Connection::open(folder.data().join("logystera.sqlite")).unwrap();
        let sql = format!("UPDATE {} SET value = ?2 WHERE offset = ?1", table(topic));
        for at in [0, value.len() / 2, value.len() - 1] {
            let mut altered = value.clone();
            altered[at] ^= 0x10;
            store.execute(&sql, params![offset, altered]).unwrap();
            let said = folder.expect(1, &["replay", "--verify"]);
            let named = format!("{} partition 0 offset {offset}: the record's checksum", topic.name());
            assert!(said.contains(&named), "byte {at}: {said}");
        }
        store.execute(&sql, params![offset, value]).unwrap();
    }
    folder.expect(0, &["replay", "--verify"]);
}

/// The delivery history: without a channel it says of each detection that nobody was told.
#[test]
fn a_row_of_the_delivery_history_that_was_altered_or_is_gone_is_found() {
    let folder = recorded();
    folder.wait_for("a row", |folder| folder.json(&["tail", "attempts"]).into_iter().next());
    let row = |value: &[u8]| schema::decode::<Attempt>(value).ok();
    let (offset, key, found) = find(&folder, Topic::Attempts, row).remove(0);
    let verified = &folder.json(&["replay", "--verify"])[0];
    let tenant = serde_json::json!({
        "tenant": "default", "rows": 1, "first_row": 1, "last_row": 1, "without_link": 0, "planned": 1, "not_judged": null,
        "difference": null,
    });
    assert_eq!((&verified["verified"], &verified["deliveries"]["tenants"][0]), (&true.into(), &tenant));
    assert!(folder.expect(0, &["replay", "--verify"]).contains("tenant default: row 1, linked\n"));
    let shown = folder.expect(0, &["delivery", "show", &found.delivery.to_string()]);
    assert!(shown.contains("chain    intact"), "{shown}");

    let altered = Attempt { reason: "suppressed".to_owned(), ..found.clone() };
    replace(&folder, Topic::Attempts, offset, &key, &schema::encode(&altered));
    let said = folder.expect(1, &["replay", "--verify"]);
    assert!(
        said.contains("First difference: row 1 of tenant default, at offset") && said.contains("its chain value is"),
        "{said}"
    );
    let shown = folder.expect(0, &["delivery", "show", &found.delivery.to_string()]);
    assert!(shown.contains("chain    broken at row 1"), "{shown}");

    // Whoever mends the chain too is caught by the replay.
    let chain = Some(altered.link(&Attempt::genesis(&altered.tenant)));
    replace(&folder, Topic::Attempts, offset, &key, &schema::encode(&Attempt { chain, ..altered }));
    let said = folder.expect(1, &["replay", "--verify"]);
    assert!(said.contains("the replay gives other values of reason"), "{said}");
    let told: serde_json::Value = serde_json::from_str(&folder.expect(1, &["replay", "--verify", "--json"])).unwrap();
    assert_eq!(told["deliveries"]["tenants"][0]["difference"]["row"], 1);

    let store = Connection::open(folder.data().join("logystera.sqlite")).unwrap();
    store.execute("DELETE FROM log_attempts WHERE offset = ?1", [offset]).unwrap();
    // What is missing at a topic's front may have passed its time: it is counted, and said.
    let said = folder.expect(0, &["replay", "--verify"]);
    assert!(said.contains("1 more row is no longer recorded"), "{said}");
}

/// Without a running `up` and beside one; what was detected stays as it is, and all of it is verified.
#[test]
fn an_alert_is_sent_again_and_leaves_the_detections_as_they_were() {
    let folder = recorded();
    folder.wait_for("a row", |folder| folder.json(&["tail", "attempts"]).into_iter().next());
    let row = |value: &[u8]| schema::decode::<Attempt>(value).ok();
    let (_, _, told) = find(&folder, Topic::Attempts, row).remove(0);
    let (id, alert) = (told.delivery.to_string(), told.detection.to_string());
    let before = find(&folder, Topic::Detections, |value| detection(value).map(|_| value.to_vec()));

    assert!(folder.expect(2, &["delivery", "resend", &id]).contains("--channel names one"));
    assert!(
        folder.expect(2, &["delivery", "resend", &id, "--channel", "ch_none"]).contains("there is no channel ch_none")
    );
    assert!(folder.expect(2, &["delivery", "resend", "00"]).contains("has no delivery 00"));
    assert!(folder.expect(2, &["delivery", "resend", "--alert", &alert]).contains("--channel"));
    // Nobody listens there: each attempt fails, and is recorded.
    let up = folder.up(&["--allow-private-addresses"], "Watch:");
    let added = folder.json(&["channel", "add", "webhook", "http://127.0.0.1:9"]).remove(0);
    let channel = added["channel"].as_str().unwrap();
    let first = folder.json(&["delivery", "resend", &id[..8], "--channel", channel]).remove(0);
    up.stop();
    let second = folder.json(&["delivery", "resend", "--alert", &alert[..8], "--channel", channel]).remove(0);
    let up = folder.up(&["--allow-private-addresses"], "Watch:");
    assert_ne!(first["delivery"], second["delivery"]);
    for asked in [&first, &second] {
        let id = asked["delivery"].as_str().unwrap();
        let rows = folder.wait_for("an attempt", |folder| {
            let shown = folder.run(&["delivery", "show", id, "--json"]);
            let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).ok()?;
            shown["rows"].as_array().filter(|rows| rows.len() > 2).cloned()
        });
        let said: Vec<_> =
            rows.iter().map(|row| (row["state"].as_str().unwrap(), row["attempt"].as_u64().unwrap())).collect();
        assert_eq!(said[..3], [("waiting", 0), ("started", 1), ("failed", 1)], "{rows:?}");
        assert_eq!(rows[0]["reason"], "resent");
    }
    up.stop();
    assert_eq!(find(&folder, Topic::Detections, |value| detection(value).map(|_| value.to_vec())), before);
    folder.expect(0, &["replay", "--verify"]);
}

#[test]
fn a_log_of_newer_semantics_is_not_judged() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    let configured = |value: &[u8]| schema::decode::<SiteConfigured>(value).ok();
    let (offset, key, record) = find(&folder, Topic::Signals, configured).remove(0);
    let newer = SiteConfigured { semantics: record.semantics + 1, ..record };
    replace(&folder, Topic::Signals, offset, &key, &schema::encode(&newer));
    assert!(folder.expect(3, &["replay", "--verify"]).contains("use a newer one"));
}

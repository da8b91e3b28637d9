//! Sites: ids, names, keys that were stolen, and the end.

use std::collections::BTreeSet;

use logystera_infra::directory::entry;
use logystera_infra::embedded::Embedded;
use logystera_infra::log::{Entry, Log};
use logystera_schemas::avro::Writer;
use logystera_schemas::batch::{BatchHead, Platform, Value, encode, write_signal};
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::control::{Entity, Site};
use logystera_schemas::ids::{Sha256Digest, SpoolId};
use logystera_schemas::schema;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::Topic;
use serde_json::json;

use crate::commands::send;
use crate::support::{Folder, READY, failed_mails, now_ms};

#[test]
fn sites_that_are_added_at_once_have_ids_of_their_own() {
    const SITES: usize = 50;
    let folder = Folder::new();
    let up = folder.up(&[], READY);
    let ids: BTreeSet<String> = std::thread::scope(|scope| {
        let adds: Vec<_> = (0..SITES).map(|_| scope.spawn(|| folder.json(&["site", "add", "Shop"]))).collect();
        adds.into_iter().map(|add| add.join().unwrap()[0]["site"].as_str().unwrap().to_owned()).collect()
    });
    assert_eq!(ids.len(), SITES, "{ids:?}");

    // The process is told of its own change at once: it does not wait for the next look at the topic, every 500 ms.
    let start = now_ms();
    (0..10).for_each(|_| drop(folder.expect(0, &["site", "add", "Shop"])));
    assert!(now_ms() - start < 2_500, "ten sites took {} ms", now_ms() - start);
    up.stop();
}

#[test]
fn an_id_is_made_from_the_name_or_chosen_and_given_once() {
    let folder = Folder::new();
    let site = |args: &[&str]| folder.json(&[&["site", "add"], args].concat())[0]["site"].as_str().unwrap().to_owned();
    assert_eq!(site(&["Магазин", "--create"]), "magazin");
    assert_eq!(site(&["Müller & Söhne GmbH"]), "muller-sohne-gmbh");
    assert_eq!(site(&["Müller & Söhne GmbH", "--id", "mueller_7"]), "mueller_7");
    assert_eq!(site(&["Mueller_7"]), "mueller_7-2");
    let said = folder.expect(0, &["site", "add", "Магазин"]);
    assert!(said.contains("Another site has the id magazin: this is a site of its own, magazin-2."), "{said}");
    let added = folder.json(&["site", "add", "Магазин"]).remove(0);
    assert_eq!((&added["site"], &added["id_taken"]), (&json!("magazin-3"), &json!("magazin")));
    let said = folder.expect(0, &["site", "add", "Fresh"]);
    assert!(!said.contains("Another site"), "{said}");
    folder.expect(0, &["site", "close", "mueller_7"]);
    let taken = folder.expect(2, &["site", "add", "Other", "--id", "mueller_7"]);
    assert!(taken.contains("closed; an id is given once"), "{taken}");
}

#[test]
fn a_closed_site_is_closed_for_good() {
    let folder = Folder::new();
    let up = folder.up(&[], READY);
    folder.expect(0, &["site", "add", "Shop", "--dsn-file", "shop.dsn"]);
    let dsn = std::fs::read_to_string(folder.path("shop.dsn")).unwrap();
    assert!(dsn.contains("@127.0.0.1:"), "{dsn}");
    failed_mails(&folder.path("mails"), 1);
    send(&folder, 0, "mails", "shop.dsn");

    let said = folder.expect(0, &["site", "close", "shop"]);
    assert!(said.contains("Closed, for good.") && said.contains("Its id is not given again"), "{said}");
    assert!(folder.expect(0, &["site", "close", "shop"]).contains("closed already"));
    assert_eq!(folder.json(&["site", "close", "shop"])[0]["already"], true);

    failed_mails(&folder.path("more"), 1);
    let told = folder.run(&["send", "more", "--dsn-file", "shop.dsn", "--give-up-after-s", "5"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("closed"), "the sender is told at once: {told}");
    for command in [&["site", "rotate-key", "shop"][..], &["site", "revoke-key", "shop", "k1"]] {
        assert!(folder.expect(2, command).contains("the site shop is closed"), "{command:?}");
    }
    assert!(folder.expect(0, &["site", "list"]).contains("closed"));
    assert!(folder.json(&["site", "list"])[0]["closed_at"].is_i64());
    assert_eq!(folder.json(&["site", "add", "Shop"])[0]["site"], "shop-2");
    let records = folder.json(&["tail", "signals", "--from", "beginning"]);
    assert_eq!(records.iter().filter(|r| r["record"] == "site_closed").count(), 1, "{records:?}");
    up.stop();
    // What has no time of its own is told by what stands before it, and is not of the beginning.
    let closed = records.iter().find(|r| r["record"] == "site_closed").unwrap();
    let after = now_ms() - closed["after"].as_i64().unwrap();
    assert!((0..60_000).contains(&after), "{closed}");
    let shown = folder.expect(0, &["tail", "signals", "--from", "1h"]);
    let line = shown.lines().find(|line| line.contains("shop  -- closed")).unwrap();
    assert!(line.starts_with("~20") && line.contains("Z  shop  -- closed"), "{shown}");
    let mail = shown.lines().find(|line| line.contains("mail.outcome")).unwrap();
    assert!(mail.starts_with("20") && mail.contains("Z  shop  mail.outcome"), "{shown}");
    let seconds = (now_ms() / 1_000).to_string();
    let refused = folder.expect(2, &["tail", "signals", "--from", &seconds]);
    assert!(refused.contains(&format!("--from {seconds}000 (which is 20")), "{refused}");
    folder.expect(0, &["replay", "--verify"]);
}

#[test]
fn the_log_says_that_a_key_was_revoked_and_whether_it_was_stolen() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    folder.expect(0, &["site", "rotate-key", "shop"]);
    folder.expect(0, &["site", "revoke-key", "shop", "k1"]);
    folder.expect(0, &["site", "revoke-key", "shop", "k1"]);
    let told = folder.expect(0, &["site", "revoke-key", "shop", "k2", "--stolen"]);
    assert!(
        told.contains("Revoked as stolen: refused within 5 seconds, and what came under it binds nobody"),
        "{told}"
    );
    // It turns out later; once said, it stays so.
    let stolen = ["site", "revoke-key", "shop", "k1", "--stolen"];
    let told = folder.expect(0, &stolen);
    assert!(
        told.contains("It was revoked before, and is on record as stolen now: what came under it binds nobody"),
        "{told}"
    );
    assert_eq!(folder.json(&stolen)[0], json!({"revoked": true, "already": true, "live_keys": 0}));
    let told = folder.expect(0, &stolen);
    assert!(told.contains("It is revoked already"), "{told}");
    folder.expect(0, &["site", "revoke-key", "shop", "k1"]);
    let records = folder.json(&["tail", "signals", "--from", "beginning"]);
    let heard: Vec<_> = records
        .iter()
        .filter(|r| r["record"] == "key_revoked")
        .map(|r| format!("{} {}", r["key"], r["stolen"]))
        .collect();
    assert_eq!(heard, ["\"k1\" false", "\"k2\" true", "\"k1\" true"], "{records:?}");
    let keys = &folder.json(&["site", "list"])[0]["keys"];
    assert!(keys[0]["state"] == "stolen" && keys[1]["state"] == "stolen", "{keys}");
}

#[test]
fn a_name_that_hides_something_is_refused_and_an_old_one_is_shown_with_it() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    for (name, says) in [
        ("Shop\u{202e}", "U+202E, which changes the direction of the text, as character 5"),
        ("Sh\u{200b}op", "U+200B, which has no width, as character 3"),
        ("Shop\u{2028}", "U+2028, a line separator, as character 5"),
        ("Shop\u{7}", "U+0007, a control character, as character 5"),
    ] {
        let said = folder.expect(2, &["site", "add", name]);
        assert!(said.contains(says) && !said.contains(name), "{name:?}: {said}");
    }
    let said = folder.expect(2, &["site", "rotate-key", "shop\u{202e}"]);
    assert!(said.contains(r"no site shop\u{202e};"), "{said}");

    // As a version without the check could store it.
    let embedded = Embedded::open(&folder.data()).unwrap();
    let (site, tenant) = ("old".parse().unwrap(), "default".parse().unwrap());
    let name = "pohs\u{202e} \u{2066}x\u{1b}[2J".to_owned();
    let record = Entity::Site(Site {
        site,
        tenant,
        name: name.clone(),
        created_at: 0,
        closed_at: None,
        url: None,
        labels: Vec::new(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(embedded.log().append(vec![entry(&record)])).unwrap();
    embedded.close();
    let listed = folder.expect(0, &["site", "list"]);
    assert!(listed.contains(r"pohs\u{202e} \u{2066}x\u{1b}[2J"), "{listed}");
    let listed = folder.expect(0, &["site", "list", "--json"]);
    assert!(listed.contains(r"pohs\u202e \u2066x\u001b[2J"), "{listed}");
    assert_eq!(folder.json(&["site", "list"])[0]["name"], *name);
}

/// A batch of a spool that goes on: complete up to `through`, with mails that failed at these times.
fn batch(spool: u8, through: i64, mails: &[i64]) -> Entry {
    let kind = SignalType::from_name("mail.outcome").unwrap();
    let values = |name: &str| match name {
        "outcome" => Value::Enum(1),
        "transport" => Value::Enum(0),
        _ => Value::Absent,
    };
    let values: Vec<Value<'_>> = kind.def().fields.iter().map(|field| values(&field.name)).collect();
    let mut body = Writer::new();
    for at in mails {
        write_signal(&mut body, kind, *at, through, &values);
    }
    let body = body.into_bytes();
    let head = BatchHead {
        tenant: "default".parse().unwrap(),
        site: "shop".parse().unwrap(),
        key: "k1".parse().unwrap(),
        encryption_key: None,
        spool: SpoolId([spool; 8]),
        seq: 1,
        digest: Sha256Digest::of(&body),
        received_at: through,
        through,
        clock_offset_ms: 0,
        flush_every_s: 60,
        platform: Platform::Other,
        integration_version: String::new(),
        enabled: SignalTypes(1 << kind.index()),
        refused: 0,
        base_at: through,
        ends: false,
    };
    Entry { topic: Topic::Signals, partition: 0, key: b"shop".to_vec(), value: encode(&head, &body) }
}

#[test]
fn a_site_is_shown_with_what_its_signals_wait_for() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    folder.expect(0, &["site", "rotate-key", "shop"]);
    folder.expect(0, &["site", "revoke-key", "shop", "k1"]);
    assert!(folder.expect(2, &["site", "show", "shup"]).contains("there is no site shup; `logystera site list`"));
    let fresh = &folder.json(&["site", "show", "shop"])[0];
    assert!(fresh["engine"].is_null() && fresh["engine_absent"].is_string(), "no process has read it yet: {fresh}");

    let now = now_ms();
    let embedded = Embedded::open(&folder.data()).unwrap();
    let tick = schema::encode(&Tick { partition: 0, at: WallMs(now), open_ms: 0 });
    let tick = Entry { topic: Topic::Signals, partition: 0, key: Vec::new(), value: tick };
    let entries = vec![tick, batch(1, now - 60_000, &[]), batch(2, now, &[now - 2_000, now - 1_000])];
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(embedded.log().append(entries)).unwrap();
    embedded.close();

    let up = folder.up(&[], READY);
    let shown = folder.wait_for("the spools", |folder| {
        let shown = folder.json(&["site", "show", "shop"]).remove(0);
        (shown["engine"]["spools"].as_array().is_some_and(|spools| spools.len() == 2)).then_some(shown)
    });
    assert_eq!([&shown["site"], &shown["name"], &shown["tenant"]], ["shop", "Shop", "default"]);
    assert_eq!([&shown["keys"][0]["state"], &shown["keys"][1]["state"]], ["revoked", "valid"]);
    let engine = &shown["engine"];
    assert_eq!((&engine["digest"], &engine["semantics"]), (&shown["rules"]["digest"], &shown["rules"]["semantics"]));
    assert_eq!((&engine["watermark"], &engine["on"]), (&json!(now - 60_000), &json!(["mail.outcome"])));
    assert_eq!((&engine["outcomes"]["batches"], &engine["outcomes"]["signals"]), (&json!(2), &json!(2)));
    let spools: Vec<String> = engine["spools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| format!("{} {} {}", s["spool"], s["state"], s["held"]))
        .collect();
    assert_eq!(spools, ["\"0101010101010101\" \"live\" 0", "\"0202020202020202\" \"live\" 2"]);
    let held = &engine["held"];
    assert_eq!(
        (&held["signals"], &held["oldest_at"], &held["newest_at"]),
        (&json!(2), &json!(now - 2_000), &json!(now - 1_000))
    );
    let wait = &held["waits_for"][0];
    assert_eq!((&wait["spool"], held["waits_for"].as_array().map(Vec::len)), (&json!("0101010101010101"), Some(1)));
    let until = wait["until"].as_i64().unwrap();
    assert!((now + 170_000..now + 240_000).contains(&until), "three flushes of 60 s: {}", until - now);
    up.stop();

    let text = folder.expect(0, &["site", "show", "shop"]);
    for says in [
        "name      Shop\n",
        "keys      k1  revoked at 20",
        "          k2  valid since 20",
        "rules     digest ",
        "The engine, as of 20",
        "on        mail.outcome\n",
        "so far    2 batches, 2 signals\n",
        "01010101  live   20",
        "Held: 2 signals are not judged yet, of 20",
        "Waits for spool 01010101: until it has spoken past that, or, if it stays silent, until the site's first batch of another",
    ] {
        assert!(text.contains(says), "{says:?}:\n{text}");
    }
    folder.expect(0, &["site", "close", "shop"]);
    let up = folder.up(&[], READY);
    folder.wait_for("the end", |folder| folder.json(&["site", "show", "shop"])[0]["engine"].is_null().then_some(()));
    assert!(folder.expect(0, &["site", "show", "shop"]).contains("The engine has nothing of it"));
    up.stop();
}

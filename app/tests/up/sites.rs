//! Sites: ids, names, keys that were stolen, and the end.

use std::collections::BTreeSet;

use logystera_infra::control::entry;
use logystera_infra::embedded::Embedded;
use logystera_infra::log::Log;
use logystera_schemas::control::{Entity, Site};

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
    folder.expect(0, &["replay", "--verify"]);
}

#[test]
fn the_log_says_that_a_key_was_revoked_and_whether_it_was_stolen() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    folder.expect(0, &["site", "rotate-key", "shop"]);
    folder.expect(0, &["site", "revoke-key", "shop", "k1"]);
    folder.expect(0, &["site", "revoke-key", "shop", "k1"]);
    folder.expect(0, &["site", "revoke-key", "shop", "k2", "--stolen"]);
    // It turns out later; once said, it stays so.
    folder.expect(0, &["site", "revoke-key", "shop", "k1", "--stolen"]);
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
    let record = Entity::Site(Site { site, tenant, name: name.clone(), created_at: 0, closed_at: None });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(embedded.log().append(vec![entry(&record)])).unwrap();
    embedded.close();
    let listed = folder.expect(0, &["site", "list"]);
    assert!(listed.contains(r"pohs\u{202e} \u{2066}x\u{1b}[2J"), "{listed}");
    let listed = folder.expect(0, &["site", "list", "--json"]);
    assert!(listed.contains(r"pohs\u202e \u2066x\u001b[2J"), "{listed}");
    assert_eq!(folder.json(&["site", "list"])[0]["name"], *name);
}

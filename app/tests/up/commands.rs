//! Sites, keys, channels and rules, with `up` running on the folder and without.

use crate::support::{Folder, READY, failed_mails, now_ms};

pub(crate) fn send(folder: &Folder, code: i32, signals: &str, dsn: &str) -> String {
    let spool = folder.path(&format!("{signals}.{dsn}.spool")).display().to_string();
    folder.expect(code, &["send", signals, "--dsn-file", dsn, "--spool", &spool, "--give-up-after-s", "5"])
}

#[test]
fn sites_and_keys_are_managed_with_up_and_without() {
    let folder = Folder::new();
    // Without `up`: the folder is made, and the site is ready for the first `up`.
    let key = &folder.json(&["site", "add", "Shop", "--create"])[0];
    assert_eq!(
        (key["tenant"].as_str(), key["site"].as_str(), key["key"].as_str()),
        (Some("default"), Some("shop"), Some("k1"))
    );
    let [audience, secret] = ["audience", "secret"].map(|name| key[name].as_str().unwrap());
    assert_eq!(secret.len(), 64);
    let dsn = format!("http://shop.k1:{secret}@127.0.0.1:8080/v1/batches?audience={audience}");
    assert_eq!((key["url"].as_str(), key["dsn"].as_str()), (Some("http://127.0.0.1:8080/v1/batches"), Some(&*dsn)));
    assert_eq!(folder.json(&["site", "add", "Shop", "--tenant", "acme"])[0]["site"], "shop-2");

    let up = folder.up(&[], READY);
    assert!(up.said.contains(&format!("audience {audience}")), "the name is kept:\n{}", up.said);
    folder.expect(0, &["site", "add", "Third site", "--dsn-file", "third.dsn"]);
    failed_mails(&folder.path("mails"), 1);
    send(&folder, 0, "mails", "third.dsn");

    // A new key signs at once, and so does the old one until it ends or is revoked.
    folder.expect(0, &["site", "rotate-key", "third-site", "--dsn-file", "rotated.dsn", "--overlap-days", "3"]);
    send(&folder, 0, "mails", "rotated.dsn");
    let third = folder.json(&["site", "list"]).into_iter().find(|s| s["site"] == "third-site").unwrap();
    let (k1, k2) = (&third["keys"][0], &third["keys"][1]);
    let ends_in_ms = k1["not_after"].as_i64().unwrap() - now_ms();
    assert!((259_000_000..=259_200_000).contains(&ends_in_ms), "in 3 days: {ends_in_ms}");
    assert!(k1["state"] == "valid" && k2["state"] == "valid" && k2["not_after"].is_null(), "{third}");

    assert!(folder.expect(0, &["site", "revoke-key", "third-site", "k1"]).contains("Live keys left: 1"));
    failed_mails(&folder.path("more"), 1);
    assert!(send(&folder, 3, "more", "third.dsn").contains("401"), "refused as soon as the command is done");
    send(&folder, 0, "more", "rotated.dsn");
    up.stop();

    let states: Vec<String> = folder
        .json(&["site", "list"])
        .iter()
        .map(|s| format!("{} {} {}", s["tenant"], s["site"], s["keys"][0]["state"]).replace('"', ""))
        .collect();
    assert_eq!(states, ["default shop valid", "acme shop-2 valid", "default third-site revoked"]);
    let bytes = std::fs::read(folder.path("data/logystera.sqlite")).unwrap();
    assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "the secret stands in the data");
}

#[test]
fn a_site_has_at_most_three_live_keys() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    folder.expect(0, &["site", "rotate-key", "shop"]);
    folder.expect(0, &["site", "rotate-key", "shop"]);
    assert!(folder.expect(2, &["site", "rotate-key", "shop"]).contains("revoke-key shop k1"));
    folder.expect(0, &["site", "revoke-key", "shop", "k1"]);
    assert_eq!(folder.json(&["site", "rotate-key", "shop"])[0]["key"], "k4");
}

#[test]
fn wrong_use_is_refused_with_the_way_out() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    for (args, says) in [
        (&["site", "add", " "][..], "1 to 128 characters"),
        (&["site", "add", "Shop", "--tenant", "A B"], "a-z 0-9"),
        (&["site", "add", "Shop", "--id", "My Shop"], "--id: not a site id: expected 1 to 64 of a-z 0-9"),
        (&["site", "add", "Shop", "--id", "shop"], "the site shop is there; choose another id"),
        (&["site", "close", "shup"], "no site shup"),
        (&["site", "rotate-key", "shup"], "no site shup"),
        (&["site", "revoke-key", "shop", "k2"], "it has k1"),
        (&["channel", "add", "webhook", "example.com"], "expected https://"),
        (&["channel", "add", "webhook", "http://example.com/"], "--allow-private-addresses"),
        (&["channel", "add", "webhook", "https://10.0.0.1/"], "--allow-private-addresses"),
        (&["channel", "add", "webhook", "https://localhost:8443/"], "names under localhost are of this machine"),
        (&["channel", "add", "webhook", "https://example.com/", "--tenant", "acme"], "no tenant acme (default)"),
        (&["channel", "test", "ch_0"], "no channel ch_0"),
        (&["tail", "signals", "--from", "yesterday"], "not a time"),
        (&["replay", "--site", "shup"], "no site shup"),
        (&["tail", "signals", "--site", "shup"], "no site shup; `logystera site list`"),
        (&["replay", "--verify", "--rules", "x.yaml"], "cannot be used with"),
        (&["replay", "--rules", "x.yaml"], "x.yaml"),
        (&["up", "--rules", "x.yaml"], "x.yaml"),
        (&["up", "--config", "x.toml"], "x.toml"),
        (&["up", "--log", "inof"], "inof is no level; expected one of error, warn, info, debug, trace"),
    ] {
        let said = folder.expect(2, args);
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

#[test]
fn channels_are_managed_with_up_and_without() {
    let folder = Folder::new();
    let added = &folder.json(&["channel", "add", "webhook", "https://example.com/hook?token=1", "--create"])[0];
    assert!(added["secret"].as_str().unwrap().starts_with("whsec_"), "{added}");
    let id = added["channel"].as_str().unwrap();

    let up = folder.up(&["--allow-private-addresses"], READY);
    let port = up.word_after("batches   http://127.0.0.1:");
    // The gateway itself is a receiver that refuses: it answers 405 to a POST on its health.
    let here = format!("http://127.0.0.1:{port}/health/live");
    let second = folder.json(&["channel", "add", "webhook", &here])[0]["channel"].as_str().unwrap().to_owned();
    let listed: Vec<_> =
        folder.json(&["channel", "list"]).iter().map(|c| c["channel"].as_str().unwrap().to_owned()).collect();
    assert!(listed.len() == 2 && listed.contains(&second) && listed.iter().any(|c| c == id), "{listed:?}");
    assert!(folder.expect(1, &["channel", "test", &second]).starts_with("rejected, HTTP status 40"));
    folder.expect(0, &["channel", "remove", id]);
    assert!(folder.expect(2, &["channel", "remove", id]).contains("was removed"));
    up.stop();

    let unreachable = folder.expect(1, &["channel", "test", &second]);
    assert!(unreachable.starts_with("unreachable (refused)"), "it is still allowed: {unreachable}");
    assert!(folder.expect(0, &["channel", "remove", &second]).contains("sent nowhere"));
    assert!(folder.json(&["channel", "list"]).is_empty());
}

#[test]
fn a_folder_has_one_up_and_says_who() {
    let folder = Folder::new();
    let up = folder.up(&[], READY);
    let refused = folder.expect(3, &["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    assert!(refused.contains("is in use by another logystera (process "), "{refused}");
    let port = up.word_after("batches   http://127.0.0.1:");
    let other = Folder::new();
    let taken = other.expect(3, &["up", "--listen", &format!("127.0.0.1:{port}"), "--admin-listen", "127.0.0.1:0"]);
    assert!(taken.contains("--listen HOST:PORT"), "{taken}");
    up.stop();
}

#[test]
fn new_rules_hold_from_their_start_on() {
    let folder = Folder::new();
    let rules = |count: u32| {
        format!(
            "format: 1\nrules:\n- name: mails\n  title: Mails\n  severity: info\n  subsystem: mail\n  signal: mail.outcome\n  \
             where: {{outcome: failed}}\n  threshold: {{count: {count}, within: 10m}}\n  suppress: 1h\n  resolve_after: 15m\n  \
             evidence: [outcome]\n  message: \"{{count}} mails\"\n"
        )
    };
    std::fs::write(folder.path("nine.yaml"), rules(9)).unwrap();
    std::fs::write(folder.path("two.yaml"), rules(2)).unwrap();
    let configured = |folder: &Folder| {
        let lines = folder.json(&["tail", "signals", "--from", "beginning"]);
        lines.iter().filter(|l| l["record"] == "site_configured").count()
    };
    let up = folder.up(&["--rules", "nine.yaml"], READY);
    folder.expect(0, &["site", "add", "Shop", "--dsn-file", "shop.dsn"]);
    up.stop();
    folder.up(&["--rules", "nine.yaml"], READY).stop();
    assert_eq!(configured(&folder), 1, "the same rules again need no record");

    let up = folder.up(&["--rules", "two.yaml"], READY);
    assert_eq!(configured(&folder), 2);
    let dsn = std::fs::read_to_string(folder.path("shop.dsn")).unwrap();
    let (before, rest) = dsn.split_once('@').unwrap();
    let moved = format!(
        "{before}@127.0.0.1:{}/{}",
        up.word_after("batches   http://127.0.0.1:"),
        rest.split_once('/').unwrap().1
    );
    std::fs::write(folder.path("shop.dsn"), moved).unwrap();
    failed_mails(&folder.path("mails"), 3);
    send(&folder, 0, "mails", "shop.dsn");
    let found = folder
        .wait_for("a detection by the new rules", |folder| folder.json(&["tail", "detections"]).into_iter().next());
    assert_eq!((found["rule"].as_str(), found["message"].as_str()), (Some("mails"), Some("2 mails")));
    up.stop();
    folder.expect(0, &["replay", "--verify"]);
    let with_other_rules = folder.json(&["replay", "--rules", "nine.yaml"]);
    assert!(with_other_rules.is_empty(), "{with_other_rules:?}");
}

#[test]
fn the_demo_tells_its_story() {
    let folder = Folder::new();
    let up = folder.up(&["--demo"], "ALERT received");
    let order =
        ["Added the site", "its mails fail", "DETECTED critical mail-delivery-failing", "delivered, HTTP status 204"];
    let places: Vec<_> = order.iter().map(|line| up.said.find(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in\n{}", up.said);
    up.stop();
    folder.expect(0, &["replay", "--verify"]);
}

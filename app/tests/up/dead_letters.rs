//! What a channel never took: listed, and sent again; and the one channel that is told of what no other took.

use std::time::Duration;

use logystera_system::receiver::Receiver;
use serde_json::Value;

use super::commands::send;
use super::support::{Folder, READY, failed_mails};

fn added(folder: &Folder, url: &str) -> String {
    folder.json(&["channel", "add", "webhook", url])[0]["channel"].as_str().unwrap().to_owned()
}

#[test]
fn what_a_channel_never_took_is_listed_and_sent_again_all_at_once() {
    let folder = Folder::new();
    let receiver = Receiver::answering("404 Not Found\r\nContent-Length: 0", Duration::ZERO);
    let up = folder.up(&["--allow-private-addresses"], READY);
    folder.expect(0, &["site", "add", "Shop", "--dsn-file", "shop.dsn"]);
    let channel = added(&folder, &format!("http://127.0.0.1:{}/", receiver.port));
    assert!(folder.expect(0, &["delivery", "list", "--dead"]).contains("No dead letters"));
    let resend = ["delivery", "resend", "--dead", "--channel", &channel];
    assert!(folder.expect(0, &resend).contains("no dead letters"));
    failed_mails(&folder.path("mails"), 5);
    send(&folder, 0, "mails", "shop.dsn");
    let dead = |but: &str| -> Value {
        let but = but.to_owned();
        folder.wait_for("a dead letter", |folder| {
            folder.json(&["delivery", "list", "--dead"]).into_iter().find(|row| row["delivery"] != but.as_str())
        })
    };
    let first = dead("");
    assert_eq!(
        (&first["state"], &first["reason"], &first["channel"]),
        (&"dead".into(), &"status_404".into(), &channel.as_str().into())
    );
    let listed = folder.expect(0, &["delivery", "list", "--dead", "--channel", &channel, "--site", "shop"]);
    let again = format!("logystera delivery resend --dead --channel {channel}");
    assert!(listed.contains("its receiver answered 404") && listed.contains(&again), "{listed}");
    assert!(folder.json(&["delivery", "list", "--dead", "--channel", "ch_other"]).is_empty());
    assert!(folder.json(&["delivery", "list", "--dead", "--from", "2100-01-01T00:00Z"]).is_empty());

    let asked = folder.json(&resend);
    assert_eq!((asked.len(), &asked[0]["alert"]), (1, &first["detection"]), "{asked:?}");
    assert!(folder.expect(0, &resend).contains("no dead letters"), "it is on its way again");
    let second = dead(first["delivery"].as_str().unwrap());
    assert_eq!((&second["delivery"], &second["detection"]), (&asked[0]["delivery"], &first["detection"]));
    assert_eq!(folder.json(&["delivery", "list", "--dead"]).len(), 1, "one of an alert");
    let ids: Vec<String> = receiver.deliveries().into_iter().map(|one| one.id).collect();
    assert_eq!(ids.iter().filter(|id| **id == asked[0]["delivery"]).count(), 2, "{ids:?}");
    up.stop();
    folder.expect(0, &["replay", "--verify"]);
    assert!(folder.expect(2, &["delivery", "resend", "--dead"]).contains("--channel"));
}

#[test]
fn one_channel_of_a_tenant_is_its_fallback_and_the_list_says_which() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    folder.expect(0, &["site", "add", "Blog", "--tenant", "acme"]);
    let [one, other] = ["https://one.invalid/", "https://other.invalid/"].map(|url| added(&folder, url));
    let url = "https://acme.invalid/";
    let of_acme = folder.json(&["channel", "add", "webhook", url, "--tenant", "acme"])[0]["channel"].clone();
    let set = |channel: &str, to: &str, code: i32| folder.expect(code, &["channel", "set", channel, "--fallback", to]);
    assert!(set(&one, "on", 0).contains("what no other channel of its tenant took, and nothing else"));
    let refused = set(&other, "on", 2);
    assert!(refused.contains(&format!("default has one: {one}. First: logystera channel set {one} --fallback off")));
    set(of_acme.as_str().unwrap(), "on", 0);
    let fallbacks = || -> Vec<String> {
        let listed = folder.json(&["channel", "list"]).into_iter();
        listed.filter(|c| c["fallback"] == true).map(|c| c["channel"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(fallbacks(), [of_acme.as_str().unwrap(), &one]);
    let listed = folder.expect(0, &["channel", "list"]);
    let gets = |channel: &str| listed.lines().find(|line| line.starts_with(channel)).unwrap().to_owned();
    assert!(gets(&one).contains("what no other channel took"), "{listed}");
    assert!(gets(&other).contains("everything") && !gets(&other).contains("no other channel"), "{listed}");
    set(&one, "off", 0);
    set(&other, "on", 0);
    assert_eq!(fallbacks(), [of_acme.as_str().unwrap(), &other]);
}

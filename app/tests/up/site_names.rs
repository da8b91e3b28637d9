//! Names, addresses and labels of sites: set, shown, told in messages, and asked by channels and silences.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::commands::send;
use super::support::{Folder, READY, failed_mails};

/// The bodies of requests, each with its `webhook-id`, in the order in which they came.
type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// A receiver that answers 500 to everything.
fn failing_receiver() -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let shared = Arc::clone(&seen);
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(take(stream, &shared))));
    (port, seen)
}

fn take(stream: TcpStream, seen: &Seen) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':').or((line.len() > 2).then_some(("", ""))) else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => value.trim().clone_into(&mut id),
            "content-length" => length = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    seen.lock().unwrap().push((id, String::from_utf8_lossy(&body).into_owned()));
    writer.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// What a site is called, where it is, and the address of the deployment change between two attempts, and the process is killed:
/// whoever knows the first message by its id need not look at the second.
#[test]
fn a_retry_says_what_the_first_attempt_said_after_a_rename_and_a_kill() {
    let folder = Folder::new();
    let (port, seen) = failing_receiver();
    let up = folder.up(&["--allow-private-addresses"], READY);
    folder.expect(0, &["site", "add", "Shop", "--dsn-file", "shop.dsn"]);
    let set = ["site", "set", "shop", "--url", "https://shop.example/", "--label", "env=production"];
    folder.expect(0, &set);
    folder.expect(0, &["channel", "add", "webhook", &format!("http://127.0.0.1:{port}/")]);
    let port = up.word_after("batches   http://127.0.0.1:");
    failed_mails(&folder.path("mails"), 5);
    send(&folder, 0, "mails", "shop.dsn");
    let count = |n: usize| folder.wait_for("an attempt", |_| (seen.lock().unwrap().len() >= n).then_some(()));
    count(1);
    up.signal("KILL");
    drop(up);
    let up = folder.up(&["--allow-private-addresses", "--public-url", "https://other.example"], READY);
    folder.expect(0, &["site", "set", "shop", "--name", "Renamed", "--no-url", "--no-label", "env"]);
    let before = seen.lock().unwrap().len();
    count(before + 1);
    let (id, said) = seen.lock().unwrap()[0].clone();
    assert!(seen.lock().unwrap().iter().all(|one| *one == (id.clone(), said.clone())), "{:?}", seen.lock().unwrap());
    let said: Value = serde_json::from_str(&said).unwrap();
    let data = &said["data"];
    assert_eq!(
        [&data["site"], &data["site_name"], &data["site_url"], &data["site_labels"]],
        [&json!("shop"), &json!("Shop"), &json!("https://shop.example/"), &json!({"env": "production"})]
    );
    assert!(data["url"].as_str().unwrap().starts_with(&format!("http://127.0.0.1:{port}/")), "{data}");
    up.stop();
    folder.expect(0, &["replay", "--verify"]);
}

#[test]
fn a_site_is_set_and_shown_with_up_running_and_without() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    let set = |args: &[&str], code: i32| folder.expect(code, &[&["site", "set", "shop"], args].concat());
    let said = set(&["--name", "Our shop", "--url", "https://shop.example", "--label", "team=shop"], 0);
    assert!(said.contains("name      Our shop\naddress   https://shop.example\nlabels    team=shop"), "{said}");
    let up = folder.up(&[], READY);
    set(&["--label", "env=production"], 0);
    assert!(set(&["--label", "env=production"], 0).contains("nothing was changed"));
    let shown = folder.expect(0, &["site", "show", "shop"]);
    assert!(shown.contains("address   https://shop.example\nlabels    env=production, team=shop\n"), "{shown}");
    for listed in [&folder.json(&["site", "show", "shop"])[0], &folder.json(&["site", "list"])[0]] {
        assert_eq!(
            [&listed["name"], &listed["url"], &listed["labels"]],
            [&json!("Our shop"), &json!("https://shop.example"), &json!({"env": "production", "team": "shop"})]
        );
    }
    for (wrong, says) in [
        (vec![], "name what is to change"),
        (vec!["--url", "shop.example"], "such as https://shop.example"),
        (vec!["--url", ""], "--no-url takes it away"),
        (vec!["--label", "production"], "such as env=production"),
        (vec!["--no-label", "tier"], "has no label tier"),
    ] {
        let said = set(&wrong, 2);
        assert!(said.contains(says), "{wrong:?}: {said}");
    }
    assert!(folder.expect(2, &["site", "set", "blog", "--name", "x"]).contains("`logystera site list` shows them"));
    up.stop();
    set(&["--no-url", "--no-label", "env", "--no-label", "team"], 0);
    assert!(!folder.expect(0, &["site", "show", "shop"]).contains("labels"));
}

#[test]
fn channels_and_silences_go_by_labels_and_by_rules_that_there_are() {
    let folder = Folder::new();
    let up = folder.up(&[], READY);
    folder.expect(0, &["site", "add", "Shop", "--dsn-file", "shop.dsn"]);
    let url = "https://nowhere.invalid/hook";
    let channel = folder.json(&["channel", "add", "webhook", url])[0]["channel"].as_str().unwrap().to_owned();
    let set = |args: &[&str], code: i32| folder.expect(code, &[&["channel", "set", &channel], args].concat());
    set(&["--label", "env=production"], 0);
    assert!(folder.expect(0, &["channel", "list"]).contains("sites with env=production"));
    assert_eq!(folder.json(&["channel", "list"])[0]["labels"], json!(["env=production"]));
    let add = |args: &[&str], code: i32| {
        folder.expect(code, &[&["silence", "add", "--for", "2h", "--reason", "x"], args].concat())
    };
    for (said, says) in [
        (set(&["--rule", "mail-delivery-fail"], 2), "Did you mean mail-delivery-failing?"),
        (set(&["--rule", "mail-delivery-failing", "--rule", "no-such"], 2), "default has no rule no-such."),
        (add(&["--rule", "mail-delivery-faling"], 2), "Did you mean mail-delivery-failing?"),
        (set(&["--label", "env"], 2), "such as env=production"),
        (add(&["--label", "env"], 2), "such as env=production"),
    ] {
        assert!(said.contains(says), "{said}");
    }
    set(&["--rule", "mail-delivery-failing"], 0);

    failed_mails(&folder.path("mails"), 5);
    send(&folder, 0, "mails", "shop.dsn");
    let newest = |reason: &str| {
        folder.wait_for(reason, |folder| {
            folder.json(&["delivery", "list"]).into_iter().rev().find(|row| row["reason"] == reason)
        })
    };
    newest("no_route");
    // The planner hears of the labels, and of the silence that goes by them.
    folder.expect(0, &["site", "set", "shop", "--label", "env=production"]);
    add(&["--label", "env=production"], 0);
    assert!(folder.expect(0, &["silence", "list"]).contains("sites with env=production"));
    folder.expect(0, &["site", "close", "shop"]);
    folder.expect(0, &["site", "add", "Shop", "--id", "shop-2", "--dsn-file", "shop-2.dsn"]);
    folder.expect(0, &["site", "set", "shop-2", "--label", "env=production"]);
    failed_mails(&folder.path("more"), 5);
    send(&folder, 0, "more", "shop-2.dsn");
    let silence = folder.json(&["silence", "list"])[0]["silence"].as_str().unwrap().to_owned();
    assert_eq!(newest("silenced")["site"], "shop-2");
    folder.expect(0, &["silence", "end", &silence]);
    newest("unreachable_dns");
    up.stop();
    folder.expect(0, &["replay", "--verify"]);
}

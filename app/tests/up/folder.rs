//! What a data folder is, what it refuses, and who may make one.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use crate::support::{Folder, READY};

/// Every command that takes a folder, and needs data in it.
const COMMANDS: [&[&str]; 14] = [
    &["site", "add", "Shop"],
    &["site", "list"],
    &["site", "rotate-key", "shop"],
    &["site", "revoke-key", "shop", "k1"],
    &["site", "close", "shop"],
    &["channel", "add", "webhook", "https://example.com/"],
    &["channel", "list"],
    &["channel", "test", "ch_0"],
    &["channel", "remove", "ch_0"],
    &["tail", "signals"],
    &["tail", "detections", "--follow"],
    &["tail", "attempts", "--from", "beginning"],
    &["replay"],
    &["replay", "--verify"],
];

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

fn by_hand(folder: &Folder, sql: &str) {
    Connection::open(folder.path("data/logystera.sqlite")).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_wrong_folder_stays_as_it_is_and_is_described() {
    let folder = Folder::new();
    for command in COMMANDS {
        let said = folder.expect(2, command);
        assert!(said.contains("holds no data (it is not there)") && said.contains("logystera up --data"), "{said}");
    }
    assert!(!folder.data().exists(), "a mistyped folder is not made");

    std::fs::create_dir(folder.data()).unwrap();
    for name in ["a.txt", "b\u{202e}.txt"] {
        std::fs::write(folder.data().join(name), "").unwrap();
    }
    for command in COMMANDS {
        let said = folder.expect(2, command);
        assert!(said.contains(r"(it has a.txt, b\u{202e}.txt)"), "{command:?}: {said}");
        let creates = matches!(command, [_, "add", ..]);
        assert_eq!(said.contains("--create"), creates, "{command:?}: {said}");
    }
    assert_eq!(names(&folder.data()).len(), 2);

    folder.expect(0, &["channel", "add", "webhook", "https://example.com/", "--create"]);
    folder.expect(0, &["site", "add", "Shop"]);
}

#[test]
fn what_an_installation_is_moves_with_its_data() {
    let folder = Folder::new();
    let up = folder.up(&["--audience", "eu-prod", "--public-url", "https://in.example"], READY);
    let first = folder.json(&["site", "add", "Shop"]).remove(0);
    up.stop();
    assert_eq!(first["audience"], "eu-prod");
    assert_eq!(names(&folder.data()), ["lock", "logystera.sqlite", "mark", "master.key", "reserve"]);

    // The backup that the guide tells of.
    let copy = Folder::new();
    std::fs::create_dir(copy.data()).unwrap();
    let backup = format!("VACUUM INTO '{}'", copy.path("data/logystera.sqlite").display());
    by_hand(&folder, &backup);
    std::fs::copy(folder.path("data/master.key"), copy.path("data/master.key")).unwrap();
    let key = copy.json(&["site", "rotate-key", "shop"]).remove(0);
    assert_eq!(
        (key["audience"].as_str(), key["url"].as_str()),
        (Some("eu-prod"), Some("https://in.example/v1/batches"))
    );
    let up = copy.up(&[], READY);
    assert!(up.said.contains("audience eu-prod"), "{}", up.said);
    up.stop();

    // A folder of a version that kept it beside the log: taken in once.
    let digest = copy.json(&["tail", "signals", "--from", "beginning"])[0]["digest"].as_str().unwrap().to_owned();
    let old =
        format!("audience = \"older\"\nurl = \"https://old.example\"\n[rules]\ndigest = \"{digest}\"\nsemantics = 1\n");
    by_hand(&copy, "DELETE FROM log_control WHERE key = CAST('deployment' AS BLOB)");
    std::fs::write(copy.path("data/deployment.toml"), old).unwrap();
    copy.expect(0, &["site", "revoke-key", "shop", "k1"]);
    assert!(!copy.path("data/deployment.toml").exists());
    let key = copy.json(&["site", "rotate-key", "shop"]).remove(0);
    assert_eq!(
        (key["audience"].as_str(), key["url"].as_str()),
        (Some("older"), Some("https://old.example/v1/batches"))
    );

    // Neither: never drawn anew beside sites.
    by_hand(&copy, "DELETE FROM log_control WHERE key = CAST('deployment' AS BLOB)");
    for command in [&["up"][..], &["site", "add", "Other"], &["site", "rotate-key", "shop"]] {
        let said = copy.expect(3, command);
        assert!(said.contains("has sites") && said.contains("--audience NAME"), "{command:?}: {said}");
    }
    copy.up(&["--audience", "older"], READY).stop();
    assert_eq!(copy.json(&["site", "rotate-key", "shop"])[0]["audience"], "older");
}

#[test]
fn a_file_in_the_place_of_a_folder_is_wrong_use() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    std::fs::write(folder.path("notes"), "").unwrap();
    let data = folder.path("data/logystera.sqlite").display().to_string();
    for (named, says) in [
        ("notes", "notes is a file, not a folder"),
        ("notes/data", "notes is a file"),
        (&data, &*format!("lies in: {}", folder.data().display())),
    ] {
        for command in [
            &["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"][..],
            &["site", "list"],
            &["site", "add", "Other", "--create"],
            &["replay"],
        ] {
            let said = folder.expect(2, &[command, &["--data", named]].concat());
            assert!(said.contains(says) && said.contains("--data names the folder"), "{named}, {command:?}: {said}");
        }
    }
}

#[test]
fn a_port_that_is_taken_leaves_no_folder_behind() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flags in [
        ["--listen", &address, "--admin-listen", "127.0.0.1:0"],
        ["--listen", "127.0.0.1:0", "--admin-listen", &address],
    ] {
        let said = folder.expect(3, &[&["up"][..], &flags].concat());
        assert!(said.contains(&address) && said.contains("choose another address with --"), "{said}");
        assert!(!folder.data().exists(), "{flags:?}");
    }
    // Where the port is that of the process that has the folder, the folder is what counts.
    let up = folder.up(&[], READY);
    let said = folder.expect(3, &["up", "--listen", &address]);
    assert!(said.contains("is in use by another logystera (process "), "{said}");
    up.stop();
}

/// Brings a good folder out of order.
type Harm = fn(&Folder);

fn replace_by_fifo(folder: &Folder, name: &str) {
    let path = folder.data().join(name);
    let _ = std::fs::remove_file(&path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn replace_by_link(folder: &Folder, name: &str) {
    let (path, away) = (folder.data().join(name), folder.path("away"));
    std::fs::rename(&path, &away).unwrap();
    symlink(away, path).unwrap();
}

#[test]
fn a_folder_out_of_order_is_refused_by_name_with_the_way_out() {
    let rows: [(&str, Harm, &[&str]); 16] = [
        (
            "the data is cut",
            |f| {
                let data = std::fs::File::options().write(true).open(f.path("data/logystera.sqlite")).unwrap();
                data.set_len(20_000).unwrap();
            },
            &["logystera.sqlite is damaged (", "put it back from a backup, with its master.key", "docs/running.md"],
        ),
        (
            "the data is no database",
            |f| std::fs::write(f.path("data/logystera.sqlite"), "text ".repeat(10_000)).unwrap(),
            &["logystera.sqlite is damaged (", "put it back from a backup"],
        ),
        (
            "no master key beside sealed secrets",
            |f| std::fs::remove_file(f.path("data/master.key")).unwrap(),
            &["master.key is missing, and 1 secrets", "put it back"],
        ),
        (
            "another installation's master key",
            |f| std::fs::write(f.path("data/master.key"), "0f".repeat(32)).unwrap(),
            &["master.key opens none of the 1 secrets", "put the right one back"],
        ),
        ("no key in its file", |f| std::fs::write(f.path("data/master.key"), "").unwrap(), &["64 lowercase hex"]),
        (
            "the master key is a FIFO",
            |f| replace_by_fifo(f, "master.key"),
            &["master.key: it is a FIFO", "take it away"],
        ),
        ("the master key is a link", |f| replace_by_link(f, "master.key"), &["master.key: it is a symbolic link"]),
        ("the lock is a FIFO", |f| replace_by_fifo(f, "lock"), &["lock: it is a FIFO"]),
        ("the lock is a link", |f| replace_by_link(f, "lock"), &["lock: it is a symbolic link"]),
        ("the data is a FIFO", |f| replace_by_fifo(f, "logystera.sqlite"), &["logystera.sqlite: it is a FIFO"]),
        (
            "the data is a link",
            |f| replace_by_link(f, "logystera.sqlite"),
            &["logystera.sqlite: it is a symbolic link"],
        ),
        (
            "the data is empty",
            |f| std::fs::write(f.path("data/logystera.sqlite"), "").unwrap(),
            &["logystera.sqlite is empty, though master.key is there", "from a backup"],
        ),
        (
            "the data is gone",
            |f| std::fs::rename(f.path("data/logystera.sqlite"), f.path("data/logystera.sqlite-wal")).unwrap(),
            &["logystera.sqlite is missing, though logystera.sqlite-wal is there"],
        ),
        (
            "a backup that was put back under its own name",
            |f| {
                std::fs::rename(f.path("data/logystera.sqlite"), f.path("data/copy.sqlite")).unwrap();
                for beside in ["mark", "logystera.sqlite-wal", "logystera.sqlite-shm"] {
                    let _ = std::fs::remove_file(f.path("data").join(beside));
                }
            },
            &["logystera.sqlite is missing, though", "copy.sqlite is there", "give it that name"],
        ),
        (
            "another program's data",
            |f| by_hand(f, "DROP TABLE meta"),
            &["logystera.sqlite is a database, but none of Logystera's"],
        ),
        (
            "an older version's deployment is a FIFO",
            |f| {
                by_hand(f, "DELETE FROM log_control WHERE key = CAST('deployment' AS BLOB)");
                replace_by_fifo(f, "deployment.toml");
            },
            &["deployment.toml: it is a FIFO"],
        ),
    ];
    for (what, harm, says) in rows {
        let folder = Folder::new();
        folder.expect(0, &["site", "add", "Shop", "--create"]);
        harm(&folder);
        let before = names(&folder.data());
        let up = ["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        for command in [&up[..], &["site", "add", "Other"]] {
            let said = folder.expect(3, command);
            assert!(says.iter().all(|says| said.contains(says)), "{what}, {command:?}: {said}");
            let after: Vec<_> = names(&folder.data()).into_iter().filter(|n| !n.ends_with("-shm")).collect();
            assert!(
                after.iter().all(|name| before.contains(name) || name == "logystera.sqlite-wal"),
                "{what}: {after:?}"
            );
        }
    }
}

#[test]
fn what_is_made_is_its_owners_alone_whatever_the_umask_is() {
    let folder = Folder::new();
    let script = format!("umask 0; {} site add Shop --create --dsn-file dsn", env!("CARGO_BIN_EXE_logystera"));
    let added = folder.shell(&script);
    assert!(added.status.success(), "{added:?}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder.data()), mode(&folder.path("dsn"))), (0o700, 0o600));
    for name in names(&folder.data()) {
        assert_eq!(mode(&folder.data().join(&name)), 0o600, "{name}");
    }
}

#[test]
fn a_start_that_waits_for_a_file_ends_when_it_is_told() {
    let folder = Folder::new();
    replace_rules_by_fifo(&folder);
    let script = format!(
        "timeout --foreground --signal=TERM --kill-after=20 2 {} up --rules rules --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0",
        env!("CARGO_BIN_EXE_logystera")
    );
    let ended = folder.shell(&script);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("told to stop before it had started"), "{said}");
    // `timeout` says 124 if the process ended by itself, 137 if it had to be killed.
    assert_eq!(ended.status.code(), Some(124), "{said}");
}

fn replace_rules_by_fifo(folder: &Folder) {
    assert!(Command::new("mkfifo").arg(folder.path("rules")).status().unwrap().success());
}

#[test]
fn a_folder_of_another_user_is_named_with_its_owner() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    let drop_rights = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let able = Command::new(drop_rights[0]).args(&drop_rights[1..]).arg("true").status();
    if !able.is_ok_and(|status| status.success()) {
        eprintln!("passed over: this user can't become another one");
        return;
    }
    // The test's own folder may be entered, the installation's may not.
    std::fs::set_permissions(folder.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    for command in ["tail detections", "site list", "replay", "site add Other", "up"] {
        let run = format!("cd /; {} {} {command}", drop_rights.join(" "), env!("CARGO_BIN_EXE_logystera"));
        let refused = folder.shell(&run);
        let said = String::from_utf8_lossy(&refused.stderr);
        if said.contains("Permission denied") && !said.contains("logystera ") {
            eprintln!("passed over: the binary lies where another user can't reach it");
            return;
        }
        assert!(said.contains("this user may not use it: it belongs to the user "), "{command}: {said}");
        assert_eq!(refused.status.code(), Some(3), "{command}: {said}");
    }
}

#[test]
fn data_that_was_put_back_is_found_by_the_start_and_by_a_verification() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    let (data, copy) = (folder.path("data/logystera.sqlite"), folder.path("copy"));
    std::fs::copy(&data, &copy).unwrap();
    folder.expect(0, &["site", "add", "Other"]);
    folder.expect(0, &["replay", "--verify"]);
    std::fs::copy(&copy, &data).unwrap();
    for (code, command) in [(1, &["replay", "--verify"][..]), (3, &["up"]), (3, &["site", "add", "Third"])] {
        let said = folder.expect(code, command);
        assert!(said.contains("signals ends at 1, and was acknowledged up to 2"), "{command:?}: {said}");
        assert!(said.contains("up --accept-rollback"), "{command:?}: {said}");
    }
    folder.expect(0, &["site", "list"]);
    folder.up(&["--accept-rollback"], READY).stop();
    folder.expect(0, &["replay", "--verify"]);
    folder.expect(0, &["site", "add", "Third"]);
}

#[test]
fn another_name_and_a_plain_address_are_told_with_what_they_mean_for_senders() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    folder.up(&["--audience", "eu", "--public-url", "https://in.example.com"], READY).stop();
    let log = folder.log();
    assert!(log.contains("the audience changes") && log.contains("(401) until their DSN says audience=eu"), "{log}");
    assert!(!log.contains("refuse plain http"), "{log}");
    let up = folder.up(&["--audience", "eu", "--public-url", "http://in.example.com"], READY);
    assert!(up.said.contains("Integrations refuse plain http beyond this machine"), "{}", up.said);
    let log = folder.log();
    assert!(log.contains("senders refuse plain http to another machine"), "{log}");
    assert_eq!(log.matches("the audience changes").count(), 1, "once: {log}");
    let said = folder.expect(0, &["site", "rotate-key", "shop"]);
    assert!(said.contains("Integrations refuse this DSN beyond the gateway's own machine"), "{said}");
    up.stop();
}

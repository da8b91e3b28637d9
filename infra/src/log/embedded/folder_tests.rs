//! What stands beside the data: the mark of what was acknowledged, the reserve for a full disk, the write-ahead log.

use std::os::unix::fs::symlink;
use std::path::Path;

use logystera_schemas::limits::LOG_RESERVE_BYTES;
use logystera_schemas::topic::Topic;

use super::reserve::Reserve;
use super::tables::DATA_FILE;
use super::{Embedded, OpenError};
use crate::conformance::{all, append, entry};

fn append_signals(dir: &Path, texts: &[&str]) {
    let embedded = Embedded::open(dir).unwrap();
    append(&embedded.log(), texts.iter().map(|text| entry(Topic::Signals, "site", text)).collect());
    embedded.close();
}

#[test]
fn data_that_ends_before_what_was_acknowledged_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    append_signals(dir.path(), &["1"]);
    std::fs::copy(path(DATA_FILE), path("copy")).unwrap();
    append_signals(dir.path(), &["2", "3"]);
    std::fs::copy(path("copy"), path(DATA_FILE)).unwrap();
    for _ in 0..2 {
        let error = Embedded::open(dir.path()).unwrap_err();
        let named = matches!(&error, OpenError::RolledBack { topic: "signals", found: 1, acknowledged: 3, .. });
        assert!(named && error.to_string().contains("up --accept-rollback"), "{error}");
    }
    let embedded = Embedded::open_rolled_back(dir.path()).unwrap();
    append(&embedded.log(), vec![entry(Topic::Signals, "site", "2")]);
    // Somebody has the folder: what it was acknowledged up to is not forgotten for it.
    let marked = std::fs::read(path("mark")).unwrap();
    assert!(matches!(Embedded::open_rolled_back(dir.path()), Err(OpenError::InUse { .. })));
    assert_eq!(std::fs::read(path("mark")).unwrap(), marked);
    embedded.close();
    assert_eq!(all(&Embedded::open(dir.path()).unwrap().log(), Topic::Signals).len(), 2);
}

#[test]
fn a_mark_that_is_torn_or_no_file_of_ours_hinders_nothing() {
    for harm in [
        |mark: &Path| std::fs::write(mark, "signals=00000000000000009999").unwrap(),
        |mark: &Path| std::fs::write(mark, "signals=9 crc32c=00000000\n").unwrap(),
        |mark: &Path| std::fs::write(mark, [0xff; 100]).unwrap(),
        |mark: &Path| symlink("/dev/null", mark).unwrap(),
    ] {
        let dir = tempfile::tempdir().unwrap();
        append_signals(dir.path(), &["1"]);
        let mark = dir.path().join("mark");
        assert!(std::fs::read_to_string(&mark).unwrap().starts_with("signals=00000000000000000001 "));
        std::fs::remove_file(&mark).unwrap();
        harm(&mark);
        append_signals(dir.path(), &["2"]);
        assert_eq!(all(&Embedded::open(dir.path()).unwrap().log(), Topic::Signals).len(), 2);
    }
}

#[test]
fn the_reserve_is_whole_given_back_once_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("reserve");
    let bytes = || std::fs::metadata(&path).map_or(0, |found| found.len());
    // What is cut, or was put there by others, is made anew; a link is not followed.
    std::fs::write(dir.path().join("other"), "stays").unwrap();
    symlink(dir.path().join("other"), &path).unwrap();
    let mut reserve = Reserve::open(dir.path());
    assert!(bytes() == LOG_RESERVE_BYTES as u64 && !reserve.is_spent());
    assert_eq!(std::fs::read_to_string(dir.path().join("other")).unwrap(), "stays");

    assert!(reserve.give_back() && bytes() == 0 && reserve.is_spent());
    assert!(!reserve.give_back() && reserve.is_spent());
    assert!(!Reserve::open(dir.path()).is_spent() && bytes() == LOG_RESERVE_BYTES as u64);
}

#[test]
fn only_changes_of_what_is_configured_are_taken_while_the_reserve_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    // So many pages hold the tables, and little more.
    let embedded = Embedded::open_with(dir.path(), Some(40)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let append = |topic, text: &str| {
        use crate::log::Log;
        runtime.block_on(embedded.log().append(vec![entry(topic, "key", text)]))
    };
    append(Topic::Signals, "1").unwrap();
    // The bound on pages stays when the reserve is given back: the change is refused, and the reserve is in use from then on.
    let large = "x".repeat(1 << 20);
    assert!(append(Topic::Signals, &large).is_err() && append(Topic::Signals, "2").is_ok());
    assert!(dir.path().join("reserve").exists(), "what is no change of the configuration does not touch it");
    assert!(append(Topic::Control, &large).is_err() && !dir.path().join("reserve").exists());
    let refused = append(Topic::Signals, "3").unwrap_err();
    assert!(refused.to_string().contains("the disk is full"), "{refused}");
    append(Topic::Control, "a key is revoked").unwrap();
    assert_eq!(all(&embedded.log(), Topic::Control).len(), 1);
}

#[test]
fn a_folder_that_cannot_be_made_is_told_with_whose_place_it_would_be() {
    let dir = tempfile::tempdir().unwrap();
    let refused = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let wanted = dir.path().join("a/b");
    let said = OpenError::making(&wanted, refused()).to_string();
    let parent = dir.path().display();
    assert!(said.starts_with(&format!("the folder {parent}/a/b is not there, and cannot be made: ")), "{said}");
    assert!(said.contains(&format!("may not write to {parent}, which belongs to the user ")), "{said}");
    assert!(said.contains("--data") && !said.contains("`up`"), "{said}");
    // One that is there is somebody's.
    let said = OpenError::making(dir.path(), refused()).to_string();
    assert!(said.contains("this user may not use it: it belongs to the user "), "{said}");
}

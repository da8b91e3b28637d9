//! What was sent before: by a spool from a backup, by a file that grew, and what a sender says when it is done.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use super::tests::{Fake, Seen, later_ms, parsed, reply, run_in, write_input};
use super::*;

/// A signal.
const LINE: &[u8] = b"{\"type\":\"cron.run\",\"at\":5,\"job\":\"a\",\"outcome\":\"ok\"}\n";

/// Bodies by spool and number.
type Taken = Arc<Mutex<BTreeMap<(String, u64), Vec<u8>>>>;

/// A gateway that remembers each spool's batches, as one of today or, `old`, as one that calls everything a duplicate that it
/// cannot compare.
fn remembering(taken: &Taken, old: bool) -> Fake {
    let taken = Arc::clone(taken);
    Fake::answering(move |_, seen| {
        let mut taken = taken.lock().unwrap();
        let id = (seen.spool().to_owned(), seen.seq());
        let newer = taken.range(id.clone()..(id.0.clone(), u64::MAX)).count();
        match taken.get(&id) {
            None => {
                taken.insert(id, seen.body.clone());
                reply(202, "")
            }
            Some(known) if newer <= 64 && *known != seen.body => reply(409, "conflict"),
            Some(_) if old => reply(200, "duplicate"),
            Some(_) if newer <= 64 => (200, String::new(), proven()),
            Some(_) => reply(409, if newer <= 1_024 { "conflict" } else { "below_window" }),
        }
    })
}

fn proven() -> String {
    format!("{{\"server_time\":{},\"code\":\"duplicate\",\"same\":true}}", later_ms(0))
}

#[test]
fn a_spool_from_a_backup_gives_up_no_signal_however_old_it_is() {
    for (batches, old) in [(1, false), (70, false), (70, true), (1_100, false), (1_100, true)] {
        let dir = tempfile::tempdir().unwrap();
        let taken = Taken::default();
        let gateway = remembering(&taken, old);
        write_input(dir.path(), [10]);
        assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
        // What is in the spool now is the backup. What came after it was sent under the numbers that follow.
        let spool = gateway.seen()[0].spool().to_owned();
        taken.lock().unwrap().extend((2..batches + 2).map(|seq| ((spool.clone(), seq), b"since".to_vec())));
        write_input(dir.path(), 100..110);
        assert_eq!(run_in(dir.path(), &gateway.url, &["--json"]), 0);
        let new = gateway.seen().split_off(1);
        assert_eq!(new.len(), 2, "{batches} batches, old: {old}: what was refused goes out anew");
        assert_eq!((new[0].spool() == spool, new[1].spool() == spool), (true, false));
        assert_eq!(new[1].times(), (100..110).collect::<Vec<_>>());
        let state = std::fs::read_to_string(dir.path().join("secret.spool/state.json")).unwrap();
        assert!(state.contains("\"accepted\":10,\"duplicate\":0"), "{state}");
    }
}

#[test]
fn that_a_batch_is_tried_is_on_disk_before_its_first_byte_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("secret.spool/state.json");
    let watched = state.clone();
    let gateway = Fake::answering(move |n, seen| {
        let state = std::fs::read_to_string(&watched).unwrap();
        assert!(state.contains(&format!("\"tried_seq\":{},", seen.seq())), "{state}");
        // The second try of the first batch meets its first one, whose answer was lost.
        [(0, String::new(), String::new()), reply(200, "duplicate")]
            .into_iter()
            .nth(n)
            .unwrap_or_else(|| reply(202, ""))
    });
    write_input(dir.path(), 0..1_001);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    let seen = gateway.seen();
    assert_eq!(seen.iter().map(Seen::seq).collect::<Vec<_>>(), [1, 1, 2]);
    assert!(seen.iter().all(|s| s.spool() == seen[0].spool()));
}

#[test]
fn a_stream_that_ends_ends_its_spool_and_one_that_breaks_off_does_not() {
    /// Gives a line, then fails.
    struct Broken(&'static [u8]);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() { Err(std::io::ErrorKind::BrokenPipe.into()) } else { self.0.read(buffer) }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let gateway = Fake::start(vec![]);
    let says = || gateway.seen().iter().map(|s| (s.times().len(), s.json()["ends"] == true)).collect::<Vec<_>>();
    stream_in(dir.path(), &gateway.url, std::io::empty()).unwrap();
    assert_eq!(says(), [], "a spool that never spoke has nothing to end");
    assert!(stream_in(dir.path(), &gateway.url, Broken(LINE)).is_err());
    stream_in(dir.path(), &gateway.url, LINE).unwrap();
    stream_in(dir.path(), &gateway.url, std::io::empty()).unwrap();
    assert_eq!(says(), [(1, false), (1, true), (0, true)]);
    assert!(dir.path().join("secret.follow.spool").exists());
}

#[test]
fn a_file_that_grew_goes_on_behind_what_was_sent_and_anything_else_is_asked_about() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Fake::start(vec![]);
    let sent = |from: usize| gateway.seen().split_off(from).iter().flat_map(Seen::times).collect::<Vec<_>>();
    write_input(dir.path(), 10..15);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    write_input(dir.path(), 10..16);
    // Another name changes nothing: what a file is, its bytes say.
    std::fs::rename(dir.path().join("in.ndjson"), dir.path().join("moved")).unwrap();
    std::fs::rename(dir.path().join("moved"), dir.path().join("in.ndjson")).unwrap();
    assert_eq!(run_in(dir.path(), &gateway.url, &["--dry-run"]), 1, "the dry run knows, too: it is too old");
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    assert_eq!(sent(1), [15]);
    // The same file again, and with another one in between.
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    write_input(dir.path(), 30..32);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    write_input(dir.path(), 10..16);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    assert_eq!(sent(2), [30, 31]);
    // Cut, or changed: asked about, and sent whole on demand.
    write_input(dir.path(), 10..13);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 2);
    write_input(dir.path(), [10, 12, 40]);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 2);
    assert_eq!(gateway.seen().len(), 3);
    assert_eq!(run_in(dir.path(), &gateway.url, &["--again"]), 0);
    assert_eq!(sent(3), [10, 12, 40]);
    write_input(dir.path(), [10, 12, 40, 41]);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    assert_eq!(sent(4), [41]);
}

#[test]
fn a_line_that_was_being_written_is_sent_once_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Fake::start(vec![]);
    write_input(dir.path(), 10..13);
    let input = dir.path().join("in.ndjson");
    let whole = std::fs::read_to_string(&input).unwrap();
    std::fs::write(&input, &whole[..whole.len() - 9]).unwrap();
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 1);
    std::fs::write(&input, &whole).unwrap();
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    assert_eq!(gateway.seen().iter().flat_map(Seen::times).collect::<Vec<_>>(), [10, 11, 12]);
}

#[test]
fn a_file_of_which_no_line_was_a_signal_is_not_known_again() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Fake::start(vec![]);
    std::fs::write(dir.path().join("in.ndjson"), "{\"type\":\"cron.run\",\"at\":\"2026-01-01\"}\n").unwrap();
    for _ in 0..2 {
        // Not told to be sent already.
        assert_eq!(run_in(dir.path(), &gateway.url, &[]), 1);
    }
    // The same first line, mended further on.
    let mended = "{\"type\":\"cron.run\",\"at\":\"2026-01-01\"}\n{\"type\":\"cron.run\",\"at\":5,\"job\":\"a\",\"outcome\":\"ok\"}\n";
    std::fs::write(dir.path().join("in.ndjson"), mended).unwrap();
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 1);
    write_input(dir.path(), [6]);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    assert_eq!(gateway.seen().iter().flat_map(Seen::times).collect::<Vec<_>>(), [5, 6]);
}

#[test]
fn a_stream_is_told_what_became_of_it_and_not_of_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Fake::start(vec![reply(422, "nothing_acceptable")]);
    let totals = || -> serde_json::Value {
        let state = std::fs::read(dir.path().join("secret.follow.spool/state.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&state).unwrap()["totals"].clone()
    };
    stream_in(dir.path(), &gateway.url, LINE).unwrap();
    assert_eq!(totals()["dropped"], 1, "{}", totals());
    stream_in(dir.path(), &gateway.url, LINE).unwrap();
    assert_eq!((&totals()["dropped"], &totals()["accepted"]), (&0.into(), &1.into()), "{}", totals());
}

#[test]
fn a_spool_of_an_earlier_version_remembers_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Fake::start(vec![]);
    write_input(dir.path(), 10..13);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    let older = dir.path().join("in.ndjson.spool");
    std::fs::rename(dir.path().join("secret.spool"), &older).unwrap();
    let mut state: serde_json::Value =
        serde_json::from_slice(&std::fs::read(older.join("state.json")).unwrap()).unwrap();
    assert!(state.as_object_mut().unwrap().remove("sent").is_some());
    assert!(state.as_object_mut().unwrap().remove("tried_seq").is_some());
    std::fs::write(older.join("state.json"), state.to_string()).unwrap();
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    assert_eq!(gateway.seen().len(), 1);
    write_input(dir.path(), 10..15);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    assert_eq!(gateway.seen()[1].times(), [13, 14]);
    assert!(!dir.path().join("secret.spool").exists());
}

/// Sends a stream to its end.
fn stream_in(dir: &Path, url: &str, input: impl Read + Send + 'static) -> Result<(), SendError> {
    send(&parsed(dir, "-", url, &["--follow"]), input, &Interrupt::default()).map(drop)
}

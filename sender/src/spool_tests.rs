//! The spool over crashes. A crash is played by copying the folder at some moment and opening the copy.

use std::collections::BTreeMap;

use super::*;
use crate::batch_file::GZIP_BYTES_MIN;

pub(crate) fn owner() -> SpoolOwner {
    SpoolOwner {
        url: "https://a.example/v1/batches".into(),
        site: "s".into(),
        audience: Some("a".into()),
        host: "h".into(),
    }
}

pub(crate) fn signal(line: u64, at: i64) -> Signal {
    Signal { line, at, kind: "cron.run".into(), fields: format!(",\"job\":\"j{line}\",\"outcome\":\"ok\"") }
}

/// A copy of a folder as it is now: what a crash, or a backup, leaves.
pub(crate) fn copy(dir: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    copy_into(dir, to.path());
    to
}

fn copy_into(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy_into(&path, &target) } else { assert!(fs::copy(&path, target).is_ok()) }
    }
}

fn open(dir: &Path) -> Spool {
    Spool::open(dir, owner(), Feed::File, 60).unwrap().0
}

/// The signals' jobs in each batch that waits, by its id.
pub(crate) fn waiting(spool: &Spool) -> BTreeMap<u64, Vec<String>> {
    let jobs = |seq| {
        let json: serde_json::Value = serde_json::from_str(&spool.load(seq).unwrap().json().unwrap()).unwrap();
        json["signals"].as_array().unwrap().iter().map(|s| s["job"].as_str().unwrap_or("-").to_owned()).collect()
    };
    spool.queue.iter().map(|seq| (*seq, jobs(*seq))).collect()
}

fn filled(dir: &Path, batches: u64) -> Spool {
    let mut spool = open(dir);
    for batch in 0..batches {
        let signals: Vec<Signal> = (0..4).map(|i| signal(batch * 4 + i + 1, (batch * 4 + i) as i64 * 10)).collect();
        let through = (batch as i64 + 1) * 40 - 1;
        spool.claim(&signals, Says { through, tells_drops: false, ends: false }).unwrap();
    }
    spool.save().unwrap();
    spool
}

#[test]
fn bytes_and_ids_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let spool = filled(dir.path(), 3);
    let before: Vec<_> = spool.queue.iter().map(|s| (spool.id(*s).unwrap(), spool.load(*s).unwrap().body)).collect();
    drop(spool);
    let again = open(dir.path());
    let after: Vec<_> = again.queue.iter().map(|s| (again.id(*s).unwrap(), again.load(*s).unwrap().body)).collect();
    assert_eq!(before, after);
    assert_eq!(before.len(), 3);
    assert_eq!(again.state.next_seq, 4);
}

#[test]
fn a_first_try_is_known_as_such_after_any_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = filled(dir.path(), 3);
    assert!(spool.mark(1).unwrap());
    drop(spool);
    let mut again = open(dir.path());
    assert!(!again.mark(1).unwrap(), "it was tried");
    again.settle(1, |_| {}).unwrap();
    assert!(again.mark(2).unwrap());
    again.renew().unwrap();
    assert!(again.mark(2).unwrap(), "under a new id it was not");
    drop(again);
    let mut other = owner();
    other.site = "t".into();
    let mut moved = Spool::open(dir.path(), other, Feed::File, 60).unwrap().0;
    assert!(moved.mark(2).unwrap());

    // A spool of an older version does not say: what is to go out next may have been tried.
    moved.state.tried_seq = None;
    moved.save().unwrap();
    drop(moved);
    let mut older = Spool::open(dir.path(), SpoolOwner { site: "t".into(), ..owner() }, Feed::File, 60).unwrap().0;
    assert!(!older.mark(2).unwrap());
    assert!(older.mark(3).unwrap());
}

#[test]
fn one_sender_uses_a_spool() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    assert!(matches!(Spool::open(dir.path(), owner(), Feed::File, 60), Err(SpoolError::InUse(_))));
    drop(first);
    open(dir.path());
    assert!(matches!(Spool::open(dir.path(), owner(), Feed::Follow, 60), Err(SpoolError::OtherFeed(..))));
}

#[test]
fn another_site_gateway_or_machine_draws_a_new_id() {
    let changes: [fn(&mut SpoolOwner); 3] =
        [|o| o.url = "https://b.example/v1/batches".into(), |o| o.site = "t".into(), |o| o.host = "i".into()];
    for change in changes {
        let dir = tempfile::tempdir().unwrap();
        let before = filled(dir.path(), 2);
        let (old, jobs) = (before.state.spool.clone(), waiting(&before));
        drop(before);
        let mut other = owner();
        change(&mut other);
        let (after, moved) = Spool::open(dir.path(), other.clone(), Feed::File, 60).unwrap();
        assert!(moved && after.state.spool != old);
        assert_eq!(waiting(&after), jobs, "nothing is lost by it");
        drop(after);
        assert!(!Spool::open(dir.path(), other, Feed::File, 60).unwrap().1, "once");
    }
}

#[test]
fn a_settled_batch_is_not_sent_again_after_a_crash_before_its_file_was_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = filled(dir.path(), 2);
    let file = fs::read(spool.batch_path(1)).unwrap();
    spool.settle(1, |state| state.totals.accepted += 4).unwrap();
    assert_eq!(waiting(&spool).into_keys().collect::<Vec<_>>(), [2]);
    fs::write(spool.batch_path(1), file).unwrap();
    let crashed = copy(dir.path());
    let again = open(crashed.path());
    assert_eq!(waiting(&again).into_keys().collect::<Vec<_>>(), [2]);
    assert_eq!((again.state.totals.accepted, again.state.totals.batches), (4, 1));
    assert!(!again.batch_path(1).exists());
}

#[test]
fn a_refused_batch_is_counted_by_type() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = filled(dir.path(), 2);
    spool.drop_refused(1).unwrap();
    assert_eq!(spool.state.totals.dropped, 4);
    let told = spool.state.dropped.take(99);
    assert_eq!(told.len(), 1);
    assert!(told[0].fields.contains("\"count\":4") && told[0].fields.contains("\"since\":0"), "{}", told[0].fields);
}

#[test]
fn a_batch_is_halved_before_all_that_follow() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = filled(dir.path(), 3);
    spool.settle(1, |_| {}).unwrap();
    let third = spool.load(3).unwrap().body;
    assert!(spool.split(2).unwrap());
    let jobs = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let expected =
        BTreeMap::from([(3, jobs(&["j5", "j6"])), (4, jobs(&["j7", "j8"])), (5, jobs(&["j9", "j10", "j11", "j12"]))]);
    assert_eq!(waiting(&spool), expected);
    assert_eq!(spool.load(5).unwrap().body, third, "what follows keeps its bytes");
    assert_eq!(spool.load(4).unwrap().header.lines, [7, 8]);
    assert_eq!(spool.state.next_seq, 6);
    let crashed = copy(dir.path());
    assert_eq!(waiting(&open(crashed.path())), expected);
}

#[test]
fn a_crash_while_halving_loses_and_repeats_nothing() {
    let all: Vec<String> = (1..=12).map(|i| format!("j{i}")).collect();
    // What the disk holds after each step of halving batch 1 of three.
    let steps: [&dyn Fn(&mut Spool); 5] = [
        &|spool| fs::rename(spool.batch_path(3), spool.batch_path(5)).unwrap(),
        &|spool| fs::rename(spool.batch_path(2), spool.batch_path(4)).unwrap(),
        &|spool| {
            spool.state.splitting = Some(1);
            spool.state.next_seq = 6;
            spool.save().unwrap();
        },
        &|spool| assert!(fs::copy(spool.batch_path(1), spool.batch_path(2)).is_ok()),
        &|spool| assert!(fs::copy(spool.batch_path(1), spool.batch_path(3)).is_ok()),
    ];
    for count in 1..=steps.len() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = filled(dir.path(), 3);
        steps[..count].iter().for_each(|step| step(&mut spool));
        let crashed = copy(dir.path());
        let mut again = open(crashed.path());
        assert_eq!(waiting(&again).into_values().flatten().collect::<Vec<_>>(), all, "{count} steps");
        assert!(again.split(1).unwrap());
        assert_eq!(waiting(&again).into_values().flatten().collect::<Vec<_>>(), all, "{count} steps, then halved");
        assert!(again.state.next_seq > *again.queue.back().unwrap());
    }
}

#[test]
fn files_of_another_version_or_damaged_ones_are_refused_with_their_name() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 1));
    let path = dir.path().join("state.json");
    let text = fs::read_to_string(&path).unwrap();
    let open_error = || Spool::open(dir.path(), owner(), Feed::File, 60).err().unwrap().to_string();
    fs::write(&path, text.replacen("\"version\":1", "\"version\":2", 1)).unwrap();
    assert!(open_error().contains("a spool of version 2"), "{}", open_error());
    fs::write(&path, "{").unwrap();
    assert!(open_error().contains("state.json: not a file of a spool"), "{}", open_error());
    fs::write(&path, text).unwrap();
    fs::write(dir.path().join("batches/000000000001.batch"), "nothing").unwrap();
    assert!(matches!(open(dir.path()).load(1), Err(SpoolError::Damaged(_))));
}

#[test]
fn gzip_is_used_where_it_pays_and_is_the_same_every_time() {
    assert_eq!(gzip("short").unwrap(), None);
    let text = "0123456789".repeat(100);
    let packed = gzip(&text).unwrap().unwrap();
    assert!(packed.len() < 100);
    assert_eq!(gzip(&text).unwrap().unwrap(), packed);
    // Short and without order: the frame costs more than is won.
    let mut random = 1_u32;
    let noise: String = std::iter::repeat_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(33 + (random >> 24) as u8 % 94)
    })
    .take(GZIP_BYTES_MIN)
    .collect();
    assert_eq!(gzip(&noise).unwrap(), None);
}

#[test]
fn what_was_sent_is_forgotten_with_the_installation_that_got_it() {
    let dir = tempfile::tempdir().unwrap();
    let open = |owner: SpoolOwner| Spool::open(dir.path(), owner, Feed::File, 60).unwrap();
    let before = SpoolOwner { audience: None, ..owner() };
    let (mut spool, _) = open(before);
    crate::core::before::remember(&mut spool.state.sent, b"{}\n", 3);
    spool.save().unwrap();
    drop(spool);
    // A spool of an older version takes the name; another machine goes on with a new id; another installation has nothing.
    for (owner, moved, sent) in [
        (owner(), false, 1),
        (SpoolOwner { host: "i".into(), ..owner() }, true, 1),
        (SpoolOwner { host: "i".into(), audience: Some("b".into()), ..owner() }, true, 0),
    ] {
        let (spool, has_moved) = open(owner);
        assert_eq!((has_moved, spool.state.sent.len()), (moved, sent));
    }
}

//! Random commits and crashes at random places, against a map.

use logystera_infra::log::Task;
use logystera_infra::secrets::random_bytes;

use crate::rig::*;

const APP: &str = "recovery";
const CRASHES: usize = 20;
const COMMITS_MAX: u64 = 12;
const KEYS: u64 = 40;

/// A generator that a seed repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn key(&mut self) -> Vec<u8> {
        match self.below(KEYS) {
            0 => b"".to_vec(),
            1 => b"\xffclock".to_vec(),
            // Key groups of partition 0 of 2.
            at => key((at % 6 * 2) as u16, &format!("k{at}")),
        }
    }
}

#[test]
fn what_was_committed_is_restored_wherever_a_crash_hits() {
    let Some(rig) = Rig::new(APP) else { return };
    let seed = u64::from_be_bytes(random_bytes());
    println!("seed {seed}");
    let mut random = Random(seed);
    let (mut expected, mut position) = (Model::new(), 0);
    let cql = {
        drop(rig.task(APP, Some(&rig.store())));
        rig.cql()
    };
    for crash in 0..CRASHES {
        let store = rig.store();
        let how = ["current", "behind", "empty", "as it is"][random.below(4) as usize];
        if how == "empty" {
            cql.empty();
        }
        let mut task = rig.task(APP, Some(&store));
        assert_eq!(task.position(), position, "seed {seed}, crash {crash}");
        assert_eq!(state(&mut task), expected, "seed {seed}, crash {crash}, {how}");
        let commits = random.below(COMMITS_MAX);
        let held_from = if how == "behind" { random.below(commits + 1) } else { u64::MAX };
        for at in 0..commits {
            store.hold_writes(at >= held_from);
            let mut puts = Model::new();
            let mut deletes = std::collections::BTreeSet::new();
            for _ in 0..random.below(8) {
                let key = random.key();
                if random.below(3) == 0 {
                    puts.remove(&key);
                    deletes.insert(key);
                } else {
                    deletes.remove(&key);
                    puts.insert(key, format!("{position}.{at}").into_bytes());
                }
            }
            for key in &deletes {
                expected.remove(key);
            }
            expected.extend(puts.clone());
            position += 1 + random.below(3);
            let puts = puts.into_iter().map(|(key, value)| (key, Some(value)));
            commit(&mut task, position, puts.chain(deletes.into_iter().map(|key| (key, None))).collect());
        }
        match how {
            "current" => stored(&task),
            _ => std::thread::sleep(std::time::Duration::from_millis(random.below(40))),
        }
    }
    let (from_store, from_changelog) = restored(APP);
    println!("{CRASHES} crashes: {from_store} entries from the store, {from_changelog} from the changelog");
    assert!(from_store > 0 && from_changelog > 0, "both were put to the test");
}

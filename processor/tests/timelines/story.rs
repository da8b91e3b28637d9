//! One site's story, in which everything of the second version happens once. The recording `semantics-2` is made of it.

use std::path::Path;

use super::FAILED;
use crate::support::{Sig, World};

const RULES: &str = include_str!("story.yaml");
const CRON: u16 = 1 << 2;

fn mails(at: &[f64]) -> Vec<Sig<'static>> {
    at.iter().map(|at| ("mail.outcome", *at, FAILED)).collect()
}

/// Ticks and batches of a spool every ten seconds, each with a job that ran.
fn live(world: &mut World, spool: u8, from: u32, to: u32) {
    for at in (from..=to).step_by(10) {
        world.ticks(at - 9, at);
        world.batch(spool, f64::from(at), &[("cron.run", f64::from(at) - 1.0, &[("outcome", "ok")])]);
    }
}

/// The first version, the second from 60 on, a batch ahead, a spool that ends, one that stays behind, one that dies.
fn spools(world: &mut World) {
    live(world, 1, 10, 60);
    world.semantics = 2;
    world.configure(RULES);
    world.received_at = Some(70.0);
    world.ticks(61, 70);
    world.batch(1, 70.0, &mails(&[66.0, 67.0, 68.0, 9_000.0]));
    world.batch(1, 80.0, &mails(&[80.0]));
    world.received_at = None;
    world.ends = true;
    world.batch(2, 75.0, &mails(&[74.0]));
    world.ends = false;
    world.batch(3, 20.0, &mails(&[15.0]));
    live(world, 1, 80, 100);
    world.batch(4, 200.0, &mails(&[110.0, 111.0, 112.0]));
    world.enabled.0 &= !CRON;
    for at in (110..=320).step_by(10) {
        world.ticks(at - 9, at);
        world.batch(4, f64::from(at), &[]);
    }
    world.enabled.0 |= CRON;
}

/// Keys, and what is turned away.
fn keys(world: &mut World) {
    world.key = "thief";
    world.batch_numbered(4, 1_000_000, 321.0, &[]);
    world.batch(66, 400.0, &mails(&[322.0, 323.0, 324.0]));
    world.key = "k1";
    world.batch_numbered(4, 60, 322.0, &[]);
    for at in [321.0, 322.0, 323.0] {
        world.tick(at);
        world.refused_for("conflict", 2, Some(4), true);
    }
    world.refused_for("rate_limited", 1, Some(9), true);
    world.key_revoked("thief", true);
    world.key_revoked("nobody", false);
    world.batch_numbered(4, 60, 324.0, &[]);
    for spool in 100..163 {
        world.batch(spool, 324.0, &[]);
    }
    world.key_revoked("k1", false);
    world.key = "k2";
    world.batch(200, 324.0, &[]);
    live(world, 4, 340, 520);
}

/// A silence that is held back and told, and one of our own.
fn silence(world: &mut World) {
    world.ticks(521, 700);
    world.batch(4, 700.0, &[]);
    world.ticks(701, 1_400);
    world.tick(9_000.0);
    world.ticks(9_001, 9_100);
    world.batch(201, 9_100.0, &mails(&[9_090.0, 9_091.0, 9_092.0]));
    live(world, 201, 9_110, 9_900);
}

/// A clock that runs ahead, with things that wait, and is set back.
fn clock(world: &mut World) {
    world.tick(90_000.0);
    world.batch(201, 90_000.0, &mails(&[89_998.0, 89_999.0, 90_000.0]));
    world.batch(202, 90_000.0, &[]);
    world.batch(201, 90_020.0, &mails(&[90_011.0, 90_012.0, 90_013.0]));
    world.ticks(9_901, 9_960);
    world.batch(202, 9_963.0, &mails(&[9_961.0, 9_962.0]));
    live(world, 201, 9_970, 10_300);
    world.ends = true;
    world.batch(201, 10_300.0, &mails(&[10_298.0, 10_299.0, 10_300.0]));
    world.batch(202, 10_300.0, &[]);
    world.ticks(10_301, 10_600);
    world.semantics = 1;
    world.configure(RULES);
    world.ends = false;
    live(world, 203, 10_610, 10_700);
    world.close();
}

/// To record it anew, which is for a new recording only:
/// `RECORD_GOLDEN=tests/golden cargo test -p logystera-processor --test engine story`, then `gzip -9n`.
#[test]
fn everything_happens_once() {
    let mut world = World::of(1, RULES);
    world.tick(0.0);
    spools(&mut world);
    keys(&mut world);
    silence(&mut world);
    clock(&mut world);
    if let Some(folder) = std::env::var_os("RECORD_GOLDEN") {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        world.write_recording(&root.join(folder), "semantics-2");
    }
    let said: Vec<String> = world.detections.iter().map(|d| format!("{} {} {}", d.rule, d.state, d.reason)).collect();
    for expected in [
        "silent firing suppression_expired",
        "silent suppressed blind",
        "refused firing firing",
        "site-time suppressed clock_reset",
        "cron firing stopped",
        "many suppressed firing",
    ] {
        assert!(said.iter().any(|line| line == expected), "{expected} is missing:\n{}", said.join("\n"));
    }
}

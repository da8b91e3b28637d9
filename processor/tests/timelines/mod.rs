//! What the second version of the semantics changes, as timelines; the first is tried beside it.

use crate::support::{Sig, World};

mod absences;
mod clock;
mod days;
mod each;
mod escalations;
mod keys;
mod measures;
mod metrics;
mod refusals;
mod silence;
mod spools;
mod story;
mod switched;
mod view;

const FAILED: &[(&str, &str)] = &[("outcome", "failed")];

const MAIL: &str = "format: 1\nrules:\n- name: mail\n  title: Mail fails\n  severity: critical\n  subsystem: mail\n  signal: mail.outcome\n  \
    where: { outcome: failed }\n  threshold: { count: 3, within: 10s }\n  message: m\n";

fn mails(at: &[f64]) -> Vec<Sig<'static>> {
    at.iter().map(|at| ("mail.outcome", *at, FAILED)).collect()
}

/// What is stored of a site by the first versions of this binary lacks what was added since at the ends of its values.
#[test]
fn a_state_of_before_is_still_read() {
    let mut world = World::of(1, MAIL);
    world.tick(0.0);
    world.batch(1, 0.0, &[]);
    world.batch(2, 0.0, &[]);
    world.batch(1, 9.0, &mails(&[1.0, 2.0]));
    let before = world.stored().clone();
    world.shorten(|key| match key[2] {
        // The counters of the head, its version, and the stolen keys.
        1 => 6,
        // Whether the spool has ended, its key, whether that was revoked, other keys' windows, and before them, where another
        // spool was heard, how long this one is waited for.
        2 if key.ends_with(&[1; 8]) => 4,
        2 => 5,
        // How often a silence was told again.
        3 => 1,
        _ => 0,
    });
    assert_ne!(&before, world.stored());
    assert_eq!(world.batch(2, 9.0, &mails(&[3.0])), ["3: mail firing/firing count 3 since 3"]);
    assert_eq!(world.outcomes().batches, 4);
    assert_eq!(world.engine().semantics(&crate::support::site()), Some(1));
}

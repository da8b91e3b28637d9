//! The silence of a site: told again, held back, promised.

use crate::support::World;

fn silent(suppress: &str) -> String {
    format!(
        "format: 1\nrules:\n- name: silent\n  title: Silent\n  severity: critical\n  subsystem: site\n  \
         absent: {{ blind_after: 2m }}\n  suppress: {suppress}\n  message: m\n"
    )
}

/// A site that was told to be silent at 180 and heard at 200, and is silent from then on.
fn silent_again(semantics: u32, suppress: &str) -> World {
    let mut world = World::of(semantics, &silent(suppress));
    world.tick(0.0);
    world.batch(1, 0.0, &[]);
    assert_eq!(world.ticks(1, 199), ["180: silent firing/blind count 0 since 0"]);
    world.tick(200.0);
    assert_eq!(world.batch(1, 200.0, &[]), ["200: silent resolved/resolved count 0 since 0"]);
    world
}

#[test]
fn a_silence_that_was_held_back_is_told_when_the_suppression_ends() {
    for (semantics, later) in [
        (1, vec![]),
        (
            2,
            vec![
                "780: silent firing/suppression_expired count 0 held 1 since 200",
                "1380: silent firing/suppression_expired count 0 since 200",
            ],
        ),
    ] {
        let mut world = silent_again(semantics, "10m");
        assert_eq!(world.ticks(201, 779), ["380: silent suppressed/blind count 0 held 1 since 200"]);
        assert_eq!(world.ticks(780, 1_400), later, "version {semantics}");
        // Only what was told resolves.
        let end = world.batch(1, 1_400.0, &[]);
        assert_eq!(end.len(), usize::from(semantics == 2), "{end:?}");
    }
}

#[test]
fn a_silence_that_was_held_back_and_ends_is_not_told() {
    let mut world = silent_again(2, "10m");
    world.ticks(201, 700);
    assert_eq!(world.batch(1, 700.0, &[]), [""; 0]);
    assert_eq!(world.ticks(701, 879), [""; 0], "the suppression ends at 780: nothing is open then");
    assert_eq!(world.tick(880.0), ["880: silent firing/blind count 0 held 1 since 700"]);
}

#[test]
fn without_suppression_a_silence_is_told_once() {
    let mut world = silent_again(2, "0s");
    assert_eq!(world.ticks(201, 3_000), ["380: silent firing/blind count 0 since 200"]);
}

#[test]
fn a_silence_is_told_again_so_often_and_no_more() {
    let mut world = World::of(2, &silent("1s"));
    world.crashes = false;
    world.tick(0.0);
    world.batch(1, 0.0, &[]);
    let told = world.ticks(1, 1_000);
    assert_eq!(told.len(), 1 + logystera_schemas::limits::REMINDERS_MAX as usize);
    assert_eq!(world.batch(1, 1_001.0, &[]), ["1000: silent resolved/resolved count 0 since 0"]);
}

/// The end of a suppression lies in wall time, which jumps where open time does not.
#[test]
fn a_reminder_comes_with_the_first_tick_after_our_own_outage() {
    let mut world = World::of(2, &silent("1h"));
    world.tick(0.0);
    world.batch(1, 0.0, &[]);
    assert_eq!(world.ticks(1, 200), ["180: silent firing/blind count 0 since 0"]);
    assert_eq!(world.tick(9_000.0), ["9000: silent firing/suppression_expired count 0 since 0"]);
}

#[test]
fn a_configuration_of_another_version_is_another_one() {
    let rules = silent("10m");
    let mut world = silent_again(1, "10m");
    world.ticks(201, 1_000);
    world.semantics = 2;
    assert_eq!(world.configure(&rules), [""; 0]);
    // Raised while a silence is held back whose suppression has ended: it is told now.
    assert_eq!(world.tick(1_001.0), ["1001: silent firing/suppression_expired count 0 held 1 since 200"]);
    world.semantics = 1;
    world.configure(&rules);
    assert_eq!(world.ticks(1_002, 2_000), [""; 0]);
}

#[test]
fn a_site_whose_spools_have_ended_is_not_silent() {
    let mut world = World::of(2, &silent("10m"));
    world.tick(0.0);
    world.ends = true;
    world.batch(1, 0.0, &[]);
    world.ends = false;
    world.batch(2, 0.0, &[]);
    assert_eq!(world.ticks(1, 200), ["180: silent firing/blind count 0 since 0"], "one of two goes on");
    world.ends = true;
    assert_eq!(world.batch(2, 200.0, &[]), ["200: silent resolved/resolved count 0 since 0"]);
    assert_eq!(world.ticks(201, 2_000), [""; 0]);
    world.ends = false;
    world.batch(2, 2_000.0, &[]);
    assert_eq!(world.ticks(2_001, 2_200), ["2180: silent firing/blind count 0 since 2000"]);
}

#[test]
fn a_silence_that_began_before_the_first_tick_began_at_it() {
    let mut world = World::of(2, &silent("10m"));
    world.batch(1, 0.0, &[]);
    assert_eq!(world.ticks(5, 200), ["185: silent firing/blind count 0 since 5"]);
}

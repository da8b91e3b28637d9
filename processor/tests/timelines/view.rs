//! What is told of a site from its stored entries: its spools, what it holds, and what that waits for.

use logystera_processor::core::{Gathering, HeldView, SiteView, SpoolStatus, Until};
use logystera_schemas::ids::SiteId;

use super::{MAIL, mails};
use crate::support::{T0_MS, World, site};

fn view_of(world: &World, site: SiteId) -> Option<SiteView> {
    let mut gathering = Gathering::new(site);
    for prefix in gathering.prefixes() {
        for (key, value) in world.stored().iter().filter(|(key, _)| key.starts_with(&prefix)) {
            gathering.take(key, value).expect("it can be read");
        }
    }
    gathering.view()
}

/// Tells a site as lines; times are in seconds.
fn lines(world: &World) -> Vec<String> {
    let view = view_of(world, site()).expect("it is configured");
    let s = |ms: i64| (ms - T0_MS) / 1_000;
    let spools = view.spools.iter().map(|spool| {
        let standing = match spool.standing {
            SpoolStatus::Live => "live",
            SpoolStatus::Silent => "silent",
            SpoolStatus::Ended => "ended",
        };
        let (heard, through) = (s(spool.last_batch.0), s(spool.through.0));
        format!("{} {standing}, heard {heard}, through {through}, holds {}", spool.id.0[0], spool.held)
    });
    let waits = |held: &HeldView| {
        let waits = held.waits_for.iter().map(|wait| match wait.until {
            Until::Heard(at) => format!("{} until heard after {}", wait.spool.0[0], s(at.0)),
            Until::Uncounted(ms) => format!("{} for {} s once counted", wait.spool.0[0], ms / 1_000),
        });
        format!(
            "{} of {}..{} wait for {:?}",
            held.signals,
            s(held.oldest.0),
            s(held.newest.0),
            waits.collect::<Vec<_>>()
        )
    };
    let held = view.held.iter().map(waits);
    std::iter::once(format!("at {}", s(view.as_of.0))).chain(spools).chain(held).collect()
}

#[test]
fn a_site_is_told_with_what_it_holds_and_waits_for() {
    let mut world = World::of(2, MAIL);
    world.tick(0.0);
    assert_eq!(lines(&world), ["at 0"]);

    // A file that was sent, then another one.
    world.batch(1, 0.0, &mails(&[0.0]));
    world.ticks(1, 10);
    world.batch(2, 13.0, &mails(&[11.0, 12.0, 13.0]));
    let waits = "3 of 11..13 wait for [\"1 until heard after 190\"]";
    assert_eq!(
        lines(&world),
        ["at 10", "1 live, heard 0, through 0, holds 0", "2 live, heard 10, through 13, holds 3", waits]
    );

    // Time alone ends no wait: what is said of it is what would end it.
    world.ticks(11, 100);
    world.batch(2, 14.0, &[]);
    world.ticks(101, 190);
    assert_eq!(world.batch(2, 14.0, &[]), [""; 0], "not yet");
    assert_eq!(lines(&world)[3], waits);
    world.tick(191.0);
    assert_eq!(world.batch(2, 14.0, &[]), ["13: mail firing/firing count 3 since 13"], "as it was said");
    let silent = "1 silent, heard 0, through 0, holds 0";
    assert_eq!(lines(&world), ["at 191", silent, "2 live, heard 191, through 14, holds 0"]);
}

/// The one thing that moves what was said, besides gateways that are away.
#[test]
fn a_site_that_was_silent_as_a_whole_gives_its_spools_a_pause_more() {
    let mut world = World::of(2, MAIL);
    world.tick(0.0);
    world.batch(1, 0.0, &[]);
    world.ticks(1, 10);
    world.batch(2, 13.0, &mails(&[11.0]));
    world.ticks(11, 150);
    world.batch(2, 13.0, &[]);
    // 150 s, three flushes, twice the silence of 140 s and a minute.
    assert_eq!(lines(&world)[3], "1 of 11..11 wait for [\"1 until heard after 670\"]");
}

#[test]
fn a_spool_waits_for_itself_and_an_ended_one_for_nobody() {
    let mut world = World::of(2, MAIL);
    world.tick(0.0);
    world.batch(1, 5.0, &mails(&[9.0]));
    let waits = "1 of 9..9 wait for [\"1 for 180 s once counted\"]";
    assert_eq!(lines(&world), ["at 0", "1 live, heard 0, through 5, holds 1", waits]);
    world.ends = true;
    world.batch(1, 9.0, &[]);
    assert_eq!(lines(&world), ["at 0", "1 ended, heard 0, through 9, holds 0"]);
}

#[test]
fn another_sites_entries_tell_nothing() {
    let mut world = World::of(2, MAIL);
    world.batch(1, 5.0, &mails(&[9.0]));
    assert_eq!(view_of(&world, "sho".parse().expect("it can be read")), None);
    assert_eq!(view_of(&world, "shop-2".parse().expect("it can be read")), None);
    let mut gathering = Gathering::new("sho".parse().expect("it can be read"));
    world.stored().iter().for_each(|(key, value)| gathering.take(key, value).expect("it can be read"));
    assert_eq!(gathering.view(), None, "nor where they begin as its own do");
    world.close();
    assert_eq!(view_of(&world, site()), None);
}

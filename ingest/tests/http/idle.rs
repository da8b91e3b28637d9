//! The rhythm of ticks while nobody sends, of a gateway that is alone.

use logystera_infra::clock::Clock;
use logystera_infra::pace::TimeWanted;
use logystera_schemas::topic::SignalsRecord;

use super::support::{Mood, NOW, Post, World};

/// A gateway that may be idle, and what tells it that time is wanted.
async fn world() -> (World, TimeWanted) {
    let wanted = TimeWanted::default();
    let idle = wanted.clone();
    (World::with(move |config| config.idle = Some(idle), None).await, wanted)
}

/// So many seconds go by, each with its beat.
async fn seconds(world: &World, seconds: u32) {
    for _ in 0..seconds {
        world.clock.pass(1_000);
        world.gateway.tick().await;
    }
}

/// What the log has from its record `from` on, in seconds: a tick's time and the open time it tells, or a batch.
fn written(world: &World, from: usize) -> Vec<String> {
    let show = |value: &[u8]| match SignalsRecord::decode(value).unwrap() {
        SignalsRecord::Tick(tick) => format!("{} {}", (tick.at.0 - NOW) / 1_000, tick.open_ms / 1_000),
        SignalsRecord::Batch(_) => "batch".to_owned(),
        other => unreachable!("{other:?}"),
    };
    world.log.entries()[from..].iter().map(|entry| show(&entry.value)).collect()
}

#[tokio::test]
async fn while_nobody_sends_ticks_are_seldom_and_tell_how_long_the_door_was_open() {
    let (world, wanted) = world().await;
    seconds(&world, 60).await;
    assert_eq!(written(&world, 59), ["60 1"]);
    seconds(&world, 25).await;
    assert_eq!(written(&world, 60), ["70 10", "80 10"]);
    // A batch is judged in its own time, and the second's rhythm goes on.
    assert_eq!(world.send(&Post::default()).await.status, 202);
    seconds(&world, 2).await;
    assert_eq!(written(&world, 62), ["85 5", "batch", "86 1", "87 1"]);
    seconds(&world, 80).await;
    let from = world.log.entries().len();
    seconds(&world, 10).await;
    assert_eq!(written(&world, from).len(), 1);
    // An alert waits.
    wanted.set(true);
    let from = world.log.entries().len();
    seconds(&world, 3).await;
    assert_eq!(written(&world, from).len(), 3);
}

#[tokio::test]
async fn a_log_that_was_away_was_not_open() {
    let (world, _wanted) = world().await;
    seconds(&world, 69).await;
    world.log.set(Mood::Away);
    seconds(&world, 1).await;
    world.log.set(Mood::Takes);
    seconds(&world, 2).await;
    assert_eq!(written(&world, 60), ["71 1", "72 1"], "the ten seconds before are told by nobody");
}

#[tokio::test]
async fn a_clock_behind_the_logs_ticks_each_second_until_the_logs_time_is_set_back() {
    let (world, _wanted) = world().await;
    seconds(&world, 90).await;
    let from = world.log.entries().len();
    world.clock.set_wall(world.clock.wall_ms() - 7_200_000);
    assert_eq!(world.send(&Post::default()).await.code(), "clock_differs");
    seconds(&world, 60).await;
    assert_eq!(written(&world, from).len(), 60);
    let now = Post { ts: world.clock.wall_ms() / 1_000, ..Post::default() };
    assert_eq!(world.send(&now).await.status, 202);
}

#[tokio::test]
async fn one_of_several_gateways_ticks_each_second() {
    let world = World::with(|config| config.among_others = Some("own".to_owned()), None).await;
    seconds(&world, 100).await;
    let ticks = written(&world, 0);
    assert_eq!(
        (ticks.len(), ticks.last().map(String::as_str)),
        (96, Some("100 0")),
        "but for four in which it listens"
    );
}

//! A gateway among others: whose clock is odd, and who writes the ticks.

use std::sync::atomic::{AtomicU64, Ordering};

use logystera_infra::clock::Clock;
use logystera_ingest::core::election::LeaseSeen;
use logystera_schemas::limits::GATEWAY_SILENT_MS;
use logystera_schemas::time::WallMs;

use super::lifecycle::get;
use super::support::{Mood, NOW, Post, World};

/// A gateway named `m` among others, that hears of their leases.
struct Among {
    world: World,
    renewal: AtomicU64,
}

impl Among {
    /// Where the leases of these stand already.
    async fn these(others: &[&str]) -> Self {
        let world = World::with(|c| c.among_others = Some("m".to_owned()), None).await;
        let among = Self { world, renewal: AtomicU64::new(0) };
        among.hears(&others.iter().map(|name| (*name, 0, true)).collect::<Vec<_>>());
        among
    }

    /// All of them renew their leases: each with how far its clock is ahead, and whether it would write ticks.
    fn hears(&self, others: &[(&str, i64, bool)]) {
        let renewal = self.renewal.fetch_add(1, Ordering::Relaxed);
        let standing = |(name, off_ms, ticks): &(&str, i64, bool)| LeaseSeen {
            instance: (*name).to_owned(),
            incarnation: 1,
            renewal,
            at: WallMs(self.world.clock.wall_ms() + off_ms),
            ticks: *ticks,
        };
        self.world.gateway.see_others(others.iter().map(standing).collect());
    }

    /// How many ticks it writes at its next one.
    async fn ticks(&self) -> usize {
        let before = self.world.log.entries().len();
        self.world.gateway.tick().await;
        self.world.log.entries().len() - before
    }

    async fn ready(&self) -> u16 {
        get(self.world.address, "/health/ready").await.status
    }
}

#[tokio::test]
async fn among_others_a_clock_that_differs_takes_no_batch_and_writes_no_tick() {
    let among = Among::these(&["other"]).await;
    let (world, stands) = (&among.world, among.world.gateway.stands());
    assert_eq!(
        get(world.address, "/health/ready").await.text(),
        format!(r#"503 {{"status":"listening","server_time":{NOW}}}"#)
    );
    among.hears(&[("other", 240_000, true)]);
    assert_eq!(world.send(&Post::default()).await.code(), "clock_differs");
    assert_eq!((among.ticks().await, *stands.borrow()), (0, false));
    // It is not right because the other one is gone.
    among.hears(&[]);
    world.clock.pass(60_000);
    assert_eq!((among.ready().await, among.ticks().await), (503, 0));
    // The clock is set right.
    world.clock.set_wall(world.clock.wall_ms() + 240_000);
    assert_eq!((among.ready().await, among.ticks().await, *stands.borrow()), (200, 1, true));
    // Another one that comes with a wrong clock has no say.
    world.clock.pass(20_000);
    among.hears(&[("other", -3_600_000, true)]);
    assert_eq!(among.ready().await, 200);
}

#[tokio::test]
async fn of_several_gateways_one_writes_the_ticks_and_the_next_if_it_is_gone() {
    let among = Among::these(&[]).await;
    assert_eq!((among.ready().await, among.ticks().await), (200, 1), "it is alone");
    among.hears(&[("z", 0, true)]);
    assert_eq!(among.ticks().await, 1, "z comes after it");
    among.hears(&[("a", 0, true), ("z", 0, true)]);
    assert_eq!(
        (among.ticks().await, *among.world.gateway.stands().borrow()),
        (0, true),
        "a comes before it, and is there"
    );
    among.hears(&[("a", 0, false), ("z", 0, true)]);
    assert_eq!(among.ticks().await, 1, "a stops");
    among.hears(&[("a", 0, true), ("z", 0, true)]);
    among.world.clock.pass(GATEWAY_SILENT_MS as u32 + 1);
    assert_eq!(among.ticks().await, 1, "a was killed");
    among.hears(&[("a", 0, true)]);
    assert_eq!(among.ticks().await, 0);
    // Whatever does not take appends is asked again and again, also by those who need not write.
    among.world.log.set(Mood::Away);
    assert_eq!((among.world.send(&Post::default()).await.status, among.ready().await), (503, 503));
    among.ticks().await;
    assert!(!*among.world.gateway.stands().borrow());
    among.world.log.set(Mood::Takes);
    assert_eq!((among.ticks().await, among.ready().await), (1, 200));
}

//! What was turned away from a known site has a record; what strangers invent has none.

use super::support::{GOOD_SIGNAL, Mood, Post, World, body};

#[tokio::test]
async fn each_refusal_of_a_known_site_is_counted() {
    let world = World::new().await;
    let bad = GOOD_SIGNAL.replace("\"job\"", "\"password\":\"hunter2\",\"job\"");
    for post in [
        Post { secret: 8, ..Post::default() },
        Post { secret: 8, batch: "aaaaaaaaaaaaaaaa.1".into(), ..Post::default() },
        Post { key: "k9", ..Post::default() },
        Post { ts: 0, ..Post::default() },
        Post::of("{}"),
        Post::default(),
        Post::default(),
        Post::of(body("")),
        Post { batch: "9f86d081884c7d65.2".into(), ..Post::of(body(&format!("{GOOD_SIGNAL},{bad},{bad}"))) },
        Post { batch: "9f86d081884c7d65.3".into(), ..Post::of(body("{}")) },
        Post { site: "other", key: "k1", secret: 7, ..Post::default() },
    ] {
        world.send(&post).await;
    }
    world.log.set(Mood::Away);
    world.gateway.flush_refused().await;
    world.log.set(Mood::Takes);
    world.gateway.flush_refused().await;
    world.gateway.flush_refused().await;
    insta::assert_snapshot!(world.log.refused().join("\n"), @r#"
    other - signature_wrong 1 false
    site_7qd - clock_skew 1 false
    site_7qd - key_unknown 1 false
    site_7qd - signature_wrong 2 false
    site_7qd 9f86d081884c7d65 conflict 1 true
    site_7qd 9f86d081884c7d65 duplicate 1 true
    site_7qd 9f86d081884c7d65 field_missing 1 true
    site_7qd 9f86d081884c7d65 field_not_allowed 2 true
    site_7qd 9f86d081884c7d65 head_invalid 1 true
    site_7qd 9f86d081884c7d65 nothing_acceptable 1 true
    "#);
}

#[tokio::test]
async fn invented_sites_leave_no_trace() {
    let world = World::new().await;
    for n in 0..50 {
        let site: &'static str = Box::leak(format!("invented_{n}").into_boxed_str());
        assert_eq!(world.send(&Post { site, ..Post::default() }).await.status, 401);
    }
    world.gateway.flush_refused().await;
    assert_eq!(world.log.refused(), Vec::<String>::new());
}

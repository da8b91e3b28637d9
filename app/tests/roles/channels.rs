//! Where alerts go, as the commands show it of a cluster.

use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_system::process::{PATIENCE, wait_for};
use logystera_system::receiver::Receiver;
use logystera_system::wire::{self, Credentials};
use serde_json::Value;

use crate::oracle::{RULES, batch};
use crate::support::Installation;

fn json(place: &Installation, args: &[&str]) -> Vec<Value> {
    let out = place.ok(&[args, &["--json", "--config", "logystera.toml"]].concat());
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn how_a_channel_fares_is_shown_as_on_a_folder() {
    const PAUSE_S: i64 = 600;
    let Some(place) = Installation::new(2, Some(RULES)) else { return };
    let gateway = place.gateway();
    let by = Credentials::from_json(&json(&place, &["site", "add", "shop"])[0]);
    let busy = Receiver::answering("429 Too Many Requests\r\nRetry-After: 600\r\nContent-Length: 0", Duration::ZERO);
    let gone = Receiver::answering("410 Gone\r\nContent-Length: 0", Duration::ZERO);
    let works = Receiver::start(Duration::ZERO);
    let [busy, gone, works] = [&busy, &gone, &works].map(|receiver| {
        let url = format!("http://127.0.0.1:{}/alerts", receiver.port);
        json(&place, &["channel", "add", "webhook", &url])[0]["channel"].clone()
    });
    let (mut processor, mut alerter) = (place.start("processor", "p1"), place.start("alerter", "a1"));
    processor.is_ready();
    alerter.is_ready();
    let clock = SystemClock::new();
    let began_ms = clock.wall_ms();
    for n in 0..3 {
        let (id, body) = batch(0, n, clock.wall_ms());
        wait_for("the batch is taken", PATIENCE, || {
            wire::post_batch(gateway.port(), &by, &id, &body).filter(|answer| matches!(answer.status, 200 | 202))
        });
        std::thread::sleep(Duration::from_secs(1));
    }
    let state = |channel: &Value, state: &str| {
        wait_for(&format!("{channel} is {state}"), PATIENCE, || {
            let listed = json(&place, &["channel", "list"]);
            listed.into_iter().find(|line| line["channel"] == *channel && line["state"] == state)
        })
    };
    let paused = state(&busy, "paused");
    let until_ms = paused["until"].as_i64().unwrap();
    assert!((began_ms..=clock.wall_ms() + PAUSE_S * 1_000).contains(&until_ms), "{paused}");
    assert!(paused["reason"] == "status_429" && paused["waiting"].as_u64() >= Some(1), "{paused}");
    let left_alone = state(&gone, "gone");
    let (since_ms, until_ms) = (left_alone["since"].as_i64().unwrap(), left_alone["until"].as_i64().unwrap());
    assert!(since_ms >= began_ms - 1_000 && until_ms == since_ms + 3_600_000, "{left_alone}");
    assert!(left_alone["reason"] == "status_410" && left_alone["waiting"].as_u64() >= Some(1), "{left_alone}");
    assert_eq!(state(&works, "working")["waiting"], 0);

    // While no alerter runs it is shown too.
    drop(alerter);
    assert_eq!(state(&busy, "paused")["until"], paused["until"]);
}

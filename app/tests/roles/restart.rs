//! A gateway that is started anew, of a cluster: what it knows of what stands in the log.

use logystera_infra::clock::{Clock, SystemClock};
use logystera_schemas::topic::{SignalsRecord, Topic};
use logystera_system::process::{PATIENCE, wait_for};
use logystera_system::wire::{self, Credentials};
use serde_json::Value;

use crate::oracle::{RULES, batch};
use crate::support::Installation;

/// A sender whose answer was lost is told that the log has its batch, also by a gateway that was not there then.
#[test]
fn what_was_acknowledged_before_a_restart_is_known_after_it() {
    let Some(place) = Installation::new(4, Some(RULES)) else { return };
    let by = place.ok(&["site", "add", "shop", "--config", "logystera.toml", "--json"]);
    let by = Credentials::from_json(&serde_json::from_str(&by).unwrap());
    let gateway = place.gateway();
    let now_ms = SystemClock::new().wall_ms();
    let batches: Vec<_> = (0..5).map(|n| batch(0, n, now_ms)).collect();
    for (id, body) in &batches {
        wait_for("the batch is taken", PATIENCE, || {
            wire::post_batch(gateway.port(), &by, id, body).filter(|answer| answer.status == 202)
        });
    }
    drop(gateway);

    let gateway = place.gateway();
    for (id, body) in &batches {
        let answer = wire::post_batch(gateway.port(), &by, id, body).unwrap();
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, &told["code"], &told["same"]), (200, &"duplicate".into(), &true.into()), "{id}");
    }
    let (_, other) = batch(0, 77, now_ms);
    let conflict = wire::post_batch(gateway.port(), &by, &batches[4].0, &other).unwrap();
    assert_eq!(conflict.status, 409, "{}", conflict.body);
    let (id, body) = batch(0, 5, now_ms);
    assert_eq!(wire::post_batch(gateway.port(), &by, &id, &body).map(|answer| answer.status), Some(202));
    let stored: usize = (0..4)
        .flat_map(|partition| place.records(Topic::Signals, place.part(Topic::Signals, partition)))
        .filter(|record| matches!(SignalsRecord::decode(&record.value), Ok(SignalsRecord::Batch(_))))
        .count();
    assert_eq!(stored, batches.len() + 1, "none is stored twice");
}

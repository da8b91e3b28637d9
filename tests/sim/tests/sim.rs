//! The simulator in small: what CI runs in full with `cargo run -p logystera-sim --release`.

use logystera_schemas::ids::Sha256Digest;
use logystera_sim::drive::{self, Figures, direct};
use logystera_sim::generate::world;
use logystera_sim::outage;

/// A digest over all that goes in and all that comes out of a seed's run.
fn trace_digest(seed: u64) -> Sha256Digest {
    let log = world::log_of(seed);
    let mut trace = Vec::new();
    let lost = log.put_back.iter().flat_map(|put_back| &put_back.lost);
    for input in log.inputs.iter().chain(lost) {
        trace.extend(input.encode());
    }
    for output in direct::run(&log).expect("the engine agrees with the model").outputs {
        trace.extend(drive::crash::encode(&output));
    }
    Sha256Digest::of(&trace)
}

#[test]
fn the_simulator_is_deterministic() {
    let put_back = (0..100).find(|seed| world::log_of(*seed).put_back.is_some());
    for seed in [0, 1, 2, 77, 1_000_003].into_iter().chain(put_back) {
        assert_eq!(trace_digest(seed), trace_digest(seed), "seed {seed}");
    }
    assert_ne!(trace_digest(1), trace_digest(2));
}

#[test]
fn the_engine_agrees_with_the_model() {
    let mut total = Figures::default();
    for seed in 0..300 {
        match drive::check(seed, &world::log_of(seed)) {
            Ok(figures) => total.add(figures),
            Err(difference) => panic!("seed {seed} differs\n{difference}"),
        }
    }
    // A world in which nothing happens would agree as well.
    assert!(total.signals > 10_000 && total.detections > 10_000, "{total:?}");
}

#[test]
fn an_outage_is_invisible() {
    let mut total = Figures::default();
    for seed in 0..60 {
        match outage::check(seed) {
            Ok(figures) => total.add(figures),
            Err(difference) => panic!("seed {seed} differs\n{difference}"),
        }
    }
    assert!(total.signals > 5_000 && total.detections > 1_000, "{total:?}");
}

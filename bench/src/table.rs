//! Ours beside the peers': figures of one run here, and the peers' as measured on a machine of the same kind. Where those
//! come from, with versions and commands: `bench/README.md`.

use crate::engine::{Replayed, StateSize};
use crate::gateway::GatewayFigures;

/// Rows of the engine's table: name, million signals a second, CPU seconds for a million signals.
const ENGINE_PEERS: [(&str, &str, &str); 5] = [
    ("Flink 2.2.1, hashmap, checkpoint 1 s", "3.70", "0.43 marginal, 0.55–0.62 whole"),
    ("Kafka Streams 4.1.0, commit 1 s", "2.22–2.37", "0.61 marginal, 0.72–0.76 whole"),
    ("Kafka Streams 4.1.0, commit 100 ms", "1.99", "0.71 marginal, 0.82–0.92 whole"),
    ("Flink 2.2.1, RocksDB, checkpoint 1 s", "2.14", "0.78 marginal, 0.89–0.93 whole"),
    ("Quix Streams, one process", "0.16", "6.25"),
];

/// Rows of the gateway's table at 64 connections: name, M signals/s, p50 / p99 ms, CPU s/M.
const GATEWAY_PEERS: [(&str, &str, &str, &str); 3] = [
    ("Benthos 4.60.0 + Kafka, GOGC=400, one request repeated", "1.07–1.14", "5.5 / 13.2", "1.1–1.2"),
    ("Benthos 4.60.0 + Kafka, GOGC=400, 2,000 requests", "0.70", "8.3 / 17.8", "1.4–1.5"),
    ("Benthos 4.60.0 + Kafka, default GOGC, 2,000 requests", "0.49", "12.3 / 25.0", "2.3"),
];

/// The engine's table.
pub fn engine(w1: &Replayed, pack: &Replayed) {
    println!("\nEngine, W1 ({} M signals)\n", w1.signals / 1_000_000);
    println!("| | M signals/s | CPU s/M | target |");
    println!("| --- | --- | --- | --- |");
    for (name, done, target) in [("W1's two rules", w1, "0.12"), ("the default pack", pack, "0.3")] {
        println!(
            "| **Logystera, {name}: decode, apply, encode; no I/O** | {:.2} | {:.3} | {target} |",
            done.million_per_s(),
            done.cpu_s_per_million()
        );
    }
    for (name, rate, cpu) in ENGINE_PEERS {
        println!("| {name} (from and to Kafka) | {rate} | {cpu} | |");
    }
    println!("\nFirst firings of W1's rules: {} groups' digest {}", w1.firings, w1.digest_first);
}

/// The table of a group's size; `sizes` with the name of the window's kind.
pub fn state(sizes: &[(String, StateSize)]) {
    println!("\nState of a group (threshold 20, no evidence)\n");
    println!("| window | groups | encoded, mean | encoded, largest | key | heap, all of the engine's | target |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (name, size) in sizes {
        println!(
            "| {name} | {} | {:.0} B | {} B | {:.0} B | {:.0} B | 300 B encoded |",
            size.groups, size.value_bytes_mean, size.value_bytes_max, size.key_bytes_mean, size.heap_bytes
        );
    }
}

/// The gateway's table: `alone`, with an engine that has nothing to judge, and `judged`, with the default pack.
pub fn gateway(alone: &GatewayFigures, judged: &GatewayFigures) {
    println!("\nGateway, 100 signals a batch, 64 connections\n");
    println!("| | M signals/s | p50 / p99 ms | CPU s/M | target |");
    println!("| --- | --- | --- | --- | --- |");
    row(
        "Logystera, gateway and log: parsed, checked, on disk before 202",
        alone,
        alone.gateway_cpu_s_per_million(),
        "0.8",
    );
    row("the same process whole: engine without a rule for them", alone, alone.whole_cpu_s_per_million(), "");
    row("the process whole, judging by the default pack", judged, judged.whole_cpu_s_per_million(), "");
    gateway_peers();
    for (name, done) in [("gateway alone", alone), ("judging", judged)] {
        let commits = done.commits;
        println!(
            "\n{name}: {:.0} commits of the log, {:.2} ms each with its fsync, for {:.1} appends each; answers {:?}; CPU s/M by thread:",
            commits.count, commits.mean_ms, commits.requests_mean, done.load.statuses
        );
        for (thread, cpu_s) in &done.thread_cpu_s {
            println!("  {thread:16} {:.3}", cpu_s / done.load.signals as f64 * 1e6);
        }
    }
}

/// The peers' rows of the gateway's table.
pub fn gateway_peers() {
    for (name, rate, times, cpu) in GATEWAY_PEERS {
        println!("| {name}: forwarded unparsed | {rate} | {times} | {cpu} | |");
    }
}

fn row(name: &str, done: &GatewayFigures, cpu_s_per_million: f64, target: &str) {
    let load = &done.load;
    let (rate, p50, p99) = (load.signals as f64 / load.wall_s / 1e6, load.p50_ms, load.p99_ms);
    println!("| **{name}** | {rate:.2} | {p50:.1} / {p99:.1} | {cpu_s_per_million:.2} | {target} |");
}

//! Runs the benchmarks: see `logystera-bench --help` and `bench/README.md`.

#![expect(clippy::cast_precision_loss, reason = "figures for people, of a few digits")]

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use logystera_bench::engine::StateSize;
use logystera_bench::gateway::{self, GatewayRun};
use logystera_bench::neighbour::{self, NeighbourRun};
use logystera_bench::recording::Recording;
use logystera_bench::{BenchError, codec, control, engine, load, table, w1};
use logystera_processor::core::RuleSet;

#[derive(Parser)]
#[command(about = "Benchmarks of Logystera beside its peers", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The engine on the peers' workload W1: decode, apply and encode, no I/O.
    Engine {
        /// Batches of 100 signals.
        #[arg(long, default_value_t = 100_000)]
        batches: usize,
        /// How late a fifth of the signals come, at most; 0: in the order of time. The peers' default is 2000.
        #[arg(long, default_value_t = 0)]
        disorder_ms: u32,
        /// Only these rules: w1 or pack.
        #[arg(long)]
        rules: Option<String>,
        /// Replays of the log, each by a new engine; the fastest counts.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// Encoded and heap bytes of a group, as JSON. One kind of window a process: memory that is given back is not seen.
    State {
        /// Batches of 100 signals.
        #[arg(long, default_value_t = 100_000)]
        batches: usize,
        /// Exact windows instead of panes of 5 s.
        #[arg(long)]
        exact: bool,
    },
    /// Everything, as tables beside the peers' figures.
    Table {
        /// Batches of 100 signals for the engine.
        #[arg(long, default_value_t = 100_000)]
        batches: usize,
        /// Batches of 100 signals for the gateway.
        #[arg(long, default_value_t = 50_000)]
        requests: usize,
        /// Replays of the engine's log; the fastest counts.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
    },
    /// The gateway with durable commits: the real `logystera up` over loopback.
    Gateway {
        /// Batches of 100 signals.
        #[arg(long, default_value_t = 50_000)]
        requests: usize,
        /// Keep-alive connections.
        #[arg(long, default_value_t = 64)]
        connections: usize,
        /// Sites.
        #[arg(long, default_value_t = 200)]
        sites: usize,
        /// Let the engine judge by the default pack meanwhile, instead of by one rule that concerns no signal.
        #[arg(long)]
        judged: bool,
    },
    /// What a command pays for the sites that there are: it reads topic control before it decides.
    Control {
        /// Sites.
        #[arg(long, default_value_t = 100_000)]
        sites: usize,
        /// An empty folder for their data, which stays.
        #[arg(long)]
        data: PathBuf,
    },
    /// What bodies of one site that inflate to megabytes cost another's sender: alone, and beside them.
    Neighbour {
        /// Connections that send such bodies.
        #[arg(long, default_value_t = 16)]
        bombers: usize,
        /// Seconds of each half.
        #[arg(long, default_value_t = 20)]
        seconds: usize,
    },
    /// The load generator that `gateway` starts.
    #[command(hide = true)]
    Load {
        /// Port of the gateway.
        #[arg(long)]
        port: u16,
        /// Output of `site add --json`, a line a site.
        #[arg(long)]
        credentials: std::path::PathBuf,
        /// Batches of 100 signals.
        #[arg(long)]
        requests: usize,
        /// Keep-alive connections.
        #[arg(long)]
        connections: usize,
        /// Signals a second; as fast as answers come where it is not given.
        #[arg(long)]
        rate: Option<f64>,
        /// Path of the gateway.
        #[arg(long, default_value = load::OURS)]
        path: String,
    },
    /// Nanoseconds a signal of the batch codec.
    Codec {
        /// Runs, of which the fastest counts.
        #[arg(long, default_value_t = 100)]
        rounds: usize,
    },
    #[cfg(feature = "kafka")]
    #[command(flatten)]
    Kafka(logystera_bench::kafka::cli::KafkaCommand),
    /// SHA-256 over the peers' bytes of the workload: whether our port of its generator is exact.
    W1Digest {
        /// Seed.
        #[arg(long, default_value_t = 42)]
        seed: u64,
        /// Batches.
        #[arg(long, default_value_t = 100_000)]
        batches: usize,
    },
}

fn main() -> Result<(), BenchError> {
    match Arguments::parse().command {
        Command::Engine { batches, disorder_ms, rules, rounds } => {
            engine_figures(batches, disorder_ms, rules.as_deref(), rounds)
        }
        Command::State { batches, exact } => {
            let rules = if exact { engine::w1_rules_exact()? } else { engine::w1_rules()? };
            let recording = Recording::w1(42, batches, 0, rules.digest);
            print_json(&engine::state_size(&recording, rules)?)
        }
        Command::Table { batches, requests, rounds } => tables(batches, requests, rounds),
        Command::Gateway { requests, connections, sites, judged } => {
            gateway_figures(&GatewayRun { requests, connections, sites, judged })
        }
        Command::Control { sites, data } => control::run(&data, sites),
        Command::Neighbour { bombers, seconds } => neighbour_figures(NeighbourRun { bombers, seconds }),
        Command::Load { port, credentials, requests, connections, rate, path } => {
            print_json(&load::run(port, &credentials, &load::Plan { requests, connections, rate, path })?)
        }
        Command::Codec { rounds } => {
            codec::run(rounds);
            Ok(())
        }
        #[cfg(feature = "kafka")]
        Command::Kafka(command) => logystera_bench::kafka::cli::run(command),
        Command::W1Digest { seed, batches } => {
            println!("{}", w1::peer_digest(seed, batches));
            Ok(())
        }
    }
}

fn engine_figures(batches: usize, disorder_ms: u32, only: Option<&str>, rounds: usize) -> Result<(), BenchError> {
    for (name, rules) in [("w1", engine::w1_rules()?), ("pack", engine::pack_rules()?)] {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let recording = Recording::w1(42, batches, disorder_ms, rules.digest);
        let bytes = recording.batch_bytes as f64 / recording.signals as f64;
        let done = engine::fastest(&recording, &Arc::new(rules), rounds)?;
        println!(
            "{name}: {} signals, {bytes:.1} B each; {:.2} M/s, {:.3} CPU s/M; {} firings of {} detections ({} B); \
             state puts {:.1} B a signal; digest_first {}",
            done.signals,
            done.million_per_s(),
            done.cpu_s_per_million(),
            done.firings,
            done.detections,
            done.detection_bytes,
            done.state_bytes as f64 / done.signals as f64,
            done.digest_first,
        );
    }
    Ok(())
}

fn print_json(value: &impl serde::Serialize) -> Result<(), BenchError> {
    println!("{}", serde_json::to_string(value).map_err(std::io::Error::other)?);
    Ok(())
}

fn tables(batches: usize, requests: usize, rounds: usize) -> Result<(), BenchError> {
    let replayed = |rules: RuleSet| {
        let recording = Recording::w1(42, batches, 0, rules.digest);
        engine::fastest(&recording, &Arc::new(rules), rounds)
    };
    table::engine(&replayed(engine::w1_rules()?)?, &replayed(engine::pack_rules()?)?);
    let sizes = [("panes of 5 s", None), ("exact", Some("--exact"))].map(|(name, flag)| state_of(batches, name, flag));
    table::state(&sizes.into_iter().collect::<Result<Vec<_>, _>>()?);
    let run = |judged| gateway::run(&GatewayRun { requests, connections: 64, sites: 200, judged });
    table::gateway(&run(false)?, &run(true)?);
    Ok(())
}

fn state_of(batches: usize, name: &str, flag: Option<&str>) -> Result<(String, StateSize), BenchError> {
    let batches = batches.to_string();
    let output = std::process::Command::new(std::env::current_exe()?)
        .args(["state", "--batches", &batches])
        .args(flag)
        .output()?;
    let size = serde_json::from_slice(&output.stdout).map_err(std::io::Error::other)?;
    Ok((name.to_owned(), size))
}

fn neighbour_figures(run: NeighbourRun) -> Result<(), BenchError> {
    let done = neighbour::run(run)?;
    for (which, load) in [("alone", &done.alone), ("beside", &done.beside)] {
        println!("{which}: p50 {:.1} ms, p99 {:.1} ms; answers {:?}", load.p50_ms, load.p99_ms, load.statuses);
    }
    println!(
        "{} connections of bodies of {:.1} KB: answers {:?}",
        run.bombers,
        done.bomb_bytes as f64 / 1e3,
        done.bombs
    );
    Ok(())
}

fn gateway_figures(run: &GatewayRun) -> Result<(), BenchError> {
    let done = gateway::run(run)?;
    let (connections, sites) = (run.connections, run.sites);
    let load = &done.load;
    println!(
        "{} requests of {:.1} KB over {connections} connections, {sites} sites: {:.0} requests/s, {:.2} M signals/s; \
         p50 {:.1} ms, p99 {:.1} ms; answers {:?}",
        load.requests,
        load.body_bytes as f64 / load.requests as f64 / 1e3,
        load.requests as f64 / load.wall_s,
        load.signals as f64 / load.wall_s / 1e6,
        load.p50_ms,
        load.p99_ms,
        load.statuses,
    );
    println!(
        "whole process {:.3} CPU s/M, engine and alerter included; {} MB resident",
        done.whole_cpu_s_per_million(),
        done.resident_bytes >> 20
    );
    let commits = done.commits;
    println!(
        "{:.0} commits of the log, {:.2} ms each with its fsync, for {:.1} appends each",
        commits.count, commits.mean_ms, commits.requests_mean
    );
    for (thread, cpu_s) in &done.thread_cpu_s {
        println!("  {thread:16} {:.3} CPU s/M", cpu_s / load.signals as f64 * 1e6);
    }
    Ok(())
}

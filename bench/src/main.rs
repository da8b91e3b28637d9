//! Runs the benchmarks: see `logystera-bench --help` and `bench/README.md`.

use clap::{Parser, Subcommand};
use logystera_bench::recording::Recording;
use logystera_bench::{BenchError, codec, engine, w1};

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
    },
    /// Encoded and heap bytes of a group.
    State {
        /// Batches of 100 signals.
        #[arg(long, default_value_t = 100_000)]
        batches: usize,
    },
    /// Nanoseconds a signal of the batch codec.
    Codec {
        /// Runs, of which the fastest counts.
        #[arg(long, default_value_t = 100)]
        rounds: usize,
    },
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
        Command::Engine { batches, disorder_ms, rules } => engine_figures(batches, disorder_ms, rules.as_deref()),
        Command::State { batches } => state_figures(batches),
        Command::Codec { rounds } => {
            codec::run(rounds);
            Ok(())
        }
        Command::W1Digest { seed, batches } => {
            println!("{}", w1::peer_digest(seed, batches));
            Ok(())
        }
    }
}

fn engine_figures(batches: usize, disorder_ms: u32, only: Option<&str>) -> Result<(), BenchError> {
    for (name, rules) in [("w1", engine::w1_rules()?), ("pack", engine::pack_rules()?)] {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let recording = Recording::w1(42, batches, disorder_ms, rules.digest);
        let bytes = recording.batch_bytes as f64 / recording.signals as f64;
        let done = engine::replay(&recording, rules)?;
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

fn state_figures(batches: usize) -> Result<(), BenchError> {
    for (name, rules) in [("panes of 5 s", engine::w1_rules()?), ("exact", engine::w1_rules_exact()?)] {
        let recording = Recording::w1(42, batches, 0, rules.digest);
        let size = engine::state_size(&recording, rules)?;
        println!(
            "{name}: {} groups; encoded {:.0} B mean, {} B at most, and a key of {:.0} B; heap {:.0} B",
            size.groups, size.value_bytes_mean, size.value_bytes_max, size.key_bytes_mean, size.heap_bytes
        );
    }
    Ok(())
}

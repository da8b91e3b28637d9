//! The commands that need a broker.

use clap::Subcommand;

use super::place::Cluster;
use super::{drain, gateway, latency, outage, takeover};
use crate::BenchError;
use crate::load::{OURS, Plan};
use crate::w1::BATCH_SIGNALS;

/// A benchmark on Kafka.
#[derive(Debug, Subcommand)]
pub enum KafkaCommand {
    /// The real processor drains the peers' workload W1 from Kafka, exactly once.
    KafkaW1 {
        /// The broker and the topics.
        #[command(flatten)]
        cluster: Cluster,
        /// Signals, in millions: 10 or 50 as the peers have them.
        #[arg(long, default_value = "10M", value_parser = millions)]
        signals: usize,
        /// A fifth of the signals come up to 2 s late, as in the workload as published.
        #[arg(long)]
        disorder: bool,
    },
    /// A processor is killed with a transaction open, and another takes over.
    Takeover {
        /// The broker and the topics.
        #[command(flatten)]
        cluster: Cluster,
        /// Groups in its state: 102000 is W1's own state, any other number is made for it.
        #[arg(long, default_value_t = takeover::W1_GROUPS)]
        groups: usize,
        /// Who takes over.
        #[arg(long, value_enum, default_value = "same-name")]
        heir: takeover::Heir,
    },
    /// The real gateway under load over loopback, saturated and paced.
    KafkaGateway {
        /// The broker and the topics.
        #[command(flatten)]
        cluster: Cluster,
        /// Batches of 100 signals of the saturated load: a quarter of a minute, so that the processes' start is little of it.
        #[arg(long, default_value_t = 200_000)]
        requests: usize,
        /// Keep-alive connections.
        #[arg(long, default_value_t = 64)]
        connections: usize,
        /// Sites.
        #[arg(long, default_value_t = 64)]
        sites: usize,
        /// Signals a second of the paced load, which lasts 20 s; 0: none.
        #[arg(long, default_value_t = 50_000.0)]
        rate: f64,
        /// A peer's gateway under the same loads, before ours and after it: a command that answers `POST /ingest` on ADDRESS with
        /// 200 when BROKER has the body in TOPIC, and checks its HMAC by KEY. These stand in its environment.
        #[arg(long)]
        peer: Option<String>,
    },
    /// The store is away for minutes under load.
    StoreOutage {
        /// The broker, the store and the topics. One partition, so that its queue comes to its bound.
        #[command(flatten)]
        cluster: Cluster,
        /// How long it is away.
        #[arg(long, default_value_t = 600.0)]
        seconds: f64,
        /// New groups in that time: each is a row that waits.
        #[arg(long, default_value_t = 2_000_000)]
        groups: usize,
    },
    /// From the gateway's answer to the detection that can be read, and to the webhook.
    Latency {
        /// The broker and the topics.
        #[command(flatten)]
        cluster: Cluster,
        /// Signals a second.
        #[arg(long, default_value_t = 20_000.0)]
        rate: f64,
        /// How long.
        #[arg(long, default_value_t = 30.0)]
        seconds: f64,
        /// Kill the processor with -9 every so many seconds, and start it again at once.
        #[arg(long)]
        kill_every: Option<f64>,
    },
}

/// How long a paced load lasts, seconds.
const PACED_S: f64 = 20.0;

fn millions(text: &str) -> Result<usize, String> {
    let number = text.strip_suffix('M').map_or((text, 1), |n| (n, 1_000_000));
    let signals = number.0.parse::<usize>().map_err(|e| e.to_string())? * number.1;
    if signals >= 100 { Ok(signals) } else { Err("at least one batch of 100 signals".to_owned()) }
}

/// Runs one and prints its figures as JSON.
pub fn run(command: KafkaCommand) -> Result<(), BenchError> {
    match command {
        KafkaCommand::KafkaW1 { cluster, signals, disorder } => {
            let disorder_ms = if disorder { crate::w1::DISORDER_MS } else { 0 };
            print(&drain::run(&cluster, signals / BATCH_SIGNALS, disorder_ms)?)
        }
        KafkaCommand::Takeover { cluster, groups, heir } => print(&takeover::run(&cluster, groups, heir)?),
        KafkaCommand::KafkaGateway { cluster, requests, connections, sites, rate, peer } => {
            let mut plans = vec![Plan { requests, connections, rate: None, path: OURS.to_owned() }];
            if rate > 0.0 {
                let requests = (rate * PACED_S / BATCH_SIGNALS as f64) as usize;
                plans.push(Plan { requests, rate: Some(rate), ..plans[0].clone() });
            }
            let beside = || peer.as_ref().map_or(Ok(vec![]), |peer| gateway::run_peer(&cluster, sites, &plans, peer));
            let figures = [beside()?, gateway::run(&cluster, sites, &plans)?, beside()?];
            print(&figures.concat())?;
            crate::table::gateway_peers();
            Ok(())
        }
        KafkaCommand::StoreOutage { cluster, seconds, groups } => print(&outage::run(&cluster, seconds, groups)?),
        KafkaCommand::Latency { cluster, rate, seconds, kill_every } => {
            print(&latency::run(&cluster, rate, seconds, kill_every)?)
        }
    }
}

fn print(figures: &impl serde::Serialize) -> Result<(), BenchError> {
    println!("{}", serde_json::to_string_pretty(figures).map_err(std::io::Error::other)?);
    Ok(())
}

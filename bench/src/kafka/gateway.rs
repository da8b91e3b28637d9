//! The gateway on Kafka under the load of W2: 202 when every copy of the partition has the batch. A peer's beside it.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use logystera_infra::log::Log;
use logystera_schemas::topic::Topic;
use logystera_system::process::free_port;
use serde::Serialize;

use super::place::{Cluster, Place, wait_until};
use super::process::{Machine, Process};
use crate::gateway::{IDLE_RULES, Loading, settle};
use crate::load::{LoadReport, PEER_KEY, Plan};
use crate::{BenchError, cpu};

/// What a load came to.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Whose gateway.
    pub gateway: String,
    /// Signals a second that were asked for; none: as fast as answers came.
    pub rate: Option<f64>,
    /// Connections.
    pub connections: usize,
    /// What the senders saw.
    pub load: LoadReport,
    /// Signals a second, in millions.
    pub million_per_s: f64,
    /// CPU seconds of the gateway's whole process for a million signals.
    pub cpu_s_per_million: f64,
    /// The broker's.
    pub broker_cpu_s_per_million: Option<f64>,
    /// CPU seconds of everything else on the machine but the load generator.
    pub others_cpu_s: f64,
    /// The load generator's.
    pub loader_cpu_s: f64,
    /// CPU seconds of the gateway by the names of its threads, for a million signals.
    pub threads: BTreeMap<String, f64>,
    /// Peak of the gateway's resident memory, megabytes.
    pub peak_mb: u64,
    /// Records that came into topic `signals`: batches, and a tick for each second and partition.
    pub records: u64,
}

/// Starts a gateway, and measures it under each of the plans.
pub fn run(cluster: &Cluster, sites: usize, plans: &[Plan]) -> Result<Vec<Figures>, BenchError> {
    let place = Place::new(cluster, IDLE_RULES)?;
    let credentials = place.add_sites(sites)?;
    eprintln!("{sites} sites were added; {:.1} s", place.clock.elapsed_s());
    let mut figures = Vec::new();
    for plan in plans {
        // One of its own for each: what a spool has told is remembered.
        let gateway = place.gateway()?;
        figures.push(measure("logystera", &place, gateway, place.port, &credentials, plan)?);
    }
    Ok(figures)
}

/// The same for a peer's gateway, which `command` starts; it fills a topic `signals` of its own.
pub fn run_peer(cluster: &Cluster, sites: usize, plans: &[Plan], command: &str) -> Result<Vec<Figures>, BenchError> {
    let place = Place::new(cluster, IDLE_RULES)?;
    let credentials = place.add_sites(sites)?;
    let mut figures = Vec::new();
    for plan in plans {
        let port = free_port();
        let mut start = Command::new("sh");
        start
            .args(["-c", &format!("exec {command}")])
            .env("ADDRESS", format!("127.0.0.1:{port}"))
            .env("BROKER", &place.brokers)
            .env("TOPIC", format!("{}signals", place.prefix))
            .env("IN_FLIGHT", plan.connections.to_string())
            .env("KEY", PEER_KEY);
        let mut gateway = Process::start(&mut start, place.clock)?;
        wait_until("the peer's gateway listens", 60.0, || {
            gateway.check()?;
            Ok(TcpStream::connect(("127.0.0.1", port)).is_ok())
        })?;
        let plan = Plan { path: "/ingest".to_owned(), ..plan.clone() };
        figures.push(measure(command, &place, gateway, port, &credentials, &plan)?);
    }
    Ok(figures)
}

fn measure(
    name: &str,
    place: &Place,
    mut gateway: Process,
    port: u16,
    credentials: &Path,
    plan: &Plan,
) -> Result<Figures, BenchError> {
    let pid = gateway.pid();
    let loading = Loading::start(port, credentials, plan)?;
    settle(&pid)?;
    let (end, machine) = (end(place)?, Machine::now(place.broker.as_deref())?);
    let (cpu_s, threads) = (cpu::process_cpu_s(&pid)?, cpu::thread_cpu_s(&pid)?);
    let (load, loader_cpu_s) = loading.go()?;
    let (cpu_s, after) = (cpu::process_cpu_s(&pid)? - cpu_s, cpu::thread_cpu_s(&pid)?);
    let machine = Machine::now(place.broker.as_deref())?.since(machine);
    let millions = load.signals as f64 / 1e6;
    let spent = |(name, s): (&String, &f64)| (name.clone(), (s - threads.get(name).copied().unwrap_or(0.0)) / millions);
    let figures = Figures {
        gateway: name.to_owned(),
        rate: plan.rate,
        connections: plan.connections,
        million_per_s: millions / load.wall_s,
        cpu_s_per_million: cpu_s / millions,
        broker_cpu_s_per_million: machine.broker_s.map(|s| s / millions),
        others_cpu_s: machine.all_s - machine.broker_s.unwrap_or(0.0) - cpu_s - loader_cpu_s,
        loader_cpu_s,
        threads: after.iter().map(spent).filter(|(_, s)| *s >= 0.005).collect(),
        peak_mb: gateway.peak_bytes() >> 20,
        records: self::end(place)? - end,
        load,
    };
    gateway.end()?;
    Ok(figures)
}

fn end(place: &Place) -> Result<u64, BenchError> {
    let partitions = 0..place.log.partitions(Topic::Signals);
    partitions.map(|partition| Ok(place.log.bounds(Topic::Signals, partition)?.end)).sum()
}

//! The load generator: pre-signed requests over keep-alive connections. A process of its own, so that its CPU is not
//! counted; it sends no `Accept-Encoding`, as the peers' load does not.

use std::collections::BTreeMap;
use std::path::Path;

use logystera_system::wire::{Credentials, now_ms, signature};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clock::Stopwatch;
use crate::w1::{BATCH_SIGNALS, Generator};
use crate::{BenchError, body};

/// How far in the past the signals lie, milliseconds: none may lie ahead of the gateway's clock.
const PAST_MS: i64 = 600_000;

/// What the load generator saw. Printed as one JSON object.
#[derive(Debug, Serialize, Deserialize)]
pub struct LoadReport {
    /// Requests.
    pub requests: usize,
    /// Signals in them.
    pub signals: usize,
    /// Bytes of all bodies.
    pub body_bytes: usize,
    /// From the first request to the last answer, seconds.
    pub wall_s: f64,
    /// Time from a request's first byte to its answer's last, milliseconds.
    pub p50_ms: f64,
    /// The same.
    pub p99_ms: f64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, usize>,
}

/// Prepares `requests` batches spread over the sites of `credentials` (a file of `site add --json`, an object a line), waits
/// for a line on standard input, and sends them over `connections`. A site's batches go over one connection, in order.
pub fn run(port: u16, credentials: &Path, requests: usize, connections: usize) -> Result<LoadReport, BenchError> {
    let sites = read_sites(credentials)?;
    let (queues, body_bytes) = prepare(&sites, requests, connections);
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let watch = Stopwatch::start();
        let senders: Vec<_> = queues.into_iter().map(|queue| tokio::spawn(send_all(port, queue))).collect();
        let (mut times, mut statuses) = (Vec::with_capacity(requests), BTreeMap::new());
        for sender in senders {
            let answers = sender.await.map_err(|e| BenchError::Broken(e.to_string()))??;
            for (status, time_s) in answers {
                *statuses.entry(status).or_default() += 1;
                times.push(time_s * 1e3);
            }
        }
        let wall_s = watch.elapsed_s();
        times.sort_by(f64::total_cmp);
        let quantile = |q: f64| times.get((times.len() as f64 * q) as usize).copied().unwrap_or(0.0);
        let (p50_ms, p99_ms) = (quantile(0.5), quantile(0.99));
        Ok(LoadReport { requests, signals: requests * BATCH_SIGNALS, body_bytes, wall_s, p50_ms, p99_ms, statuses })
    })
}

fn read_sites(path: &Path) -> Result<Vec<Credentials>, BenchError> {
    let text = std::fs::read_to_string(path)?;
    let parse = |line: &str| serde_json::from_str(line).map(|json| Credentials::from_json(&json));
    text.lines().map(parse).collect::<Result<_, _>>().map_err(|e| BenchError::Broken(e.to_string()))
}

/// The requests of each connection, whole: head, signature and body.
fn prepare(sites: &[Credentials], requests: usize, connections: usize) -> (Vec<Vec<Vec<u8>>>, usize) {
    let mut generator = Generator::new(42, 0);
    let mut seqs = vec![0_u64; sites.len()];
    let mut queues = vec![Vec::new(); connections];
    let start_ms = now_ms() - PAST_MS;
    let mut body_bytes = 0;
    for number in 0..requests {
        let mut peer = generator.batch();
        // In turn, so that every connection has as much to do: the workload's own skew would leave all but one idle.
        let place = number % sites.len();
        peer.site = place;
        let shift_ms = start_ms + seqs[place] as i64 * BATCH_SIGNALS as i64 - (peer.sent_at - BATCH_SIGNALS as i64);
        seqs[place] += 1;
        let body = body::json(&peer, shift_ms);
        body_bytes += body.len();
        let batch = format!("{:016x}.{}", crate::w1::mix(place as u64), seqs[place]);
        let header =
            signature(&sites[place], &batch, now_ms() / 1_000, ["application/json", "identity"], body.as_bytes());
        let request = format!(
            "POST /v1/batches HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
             Logystera-Signature: {header}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        queues[place % connections].push(request.into_bytes());
    }
    (queues, body_bytes)
}

async fn send_all(port: u16, queue: Vec<Vec<u8>>) -> Result<Vec<(u16, f64)>, std::io::Error> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut answers = Vec::with_capacity(queue.len());
    let mut buffer = Vec::with_capacity(4_096);
    for request in queue {
        let watch = Stopwatch::start();
        stream.write_all(&request).await?;
        buffer.clear();
        let status = read_answer(&mut stream, &mut buffer).await?;
        answers.push((status, watch.elapsed_s()));
    }
    Ok(answers)
}

/// Reads one whole answer; its body has a `Content-Length`.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16, std::io::Error> {
    let broken = |what: &str| std::io::Error::other(what.to_owned());
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(broken("the gateway closed the connection"));
        }
        let Some(head_end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buffer[..head_end]).to_ascii_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let length = length.ok_or_else(|| broken("an answer without a length"))?;
        if buffer.len() >= head_end + 4 + length {
            let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
            return status.ok_or_else(|| broken("an answer without a status"));
        }
    }
}

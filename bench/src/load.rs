//! The load generator: pre-signed requests over keep-alive connections. A process of its own, so that its CPU is not
//! counted; it sends no `Accept-Encoding`, as the peers' load does not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use logystera_system::wire::{Credentials, now_ms, signature, to_hex};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clock::Stopwatch;
use crate::w1::{BATCH_SIGNALS, Generator};
use crate::{BenchError, body};

/// How far in the past the signals lie, milliseconds: none may lie ahead of the gateway's clock.
pub const PAST_MS: i64 = 600_000;
/// Where our gateway takes batches.
pub const OURS: &str = "/v1/batches";
/// The key that a peer's gateway checks the same requests by, in headers of its own.
pub const PEER_KEY: &str = "bench-key";

/// What the load generator saw. Printed as one JSON object.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

/// What to send, and how fast.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Batches.
    pub requests: usize,
    /// Keep-alive connections.
    pub connections: usize,
    /// Signals a second, over all connections; as fast as answers come where it is not there.
    pub rate: Option<f64>,
    /// Path of the gateway.
    pub path: String,
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// From when the request was due to its answer's last byte, seconds.
    pub time_s: f64,
    /// When the answer's last byte came, seconds on the clock of the whole.
    pub at_s: f64,
}

/// Prepares batches spread over the sites of `credentials` (a file of `site add --json`, an object a line), waits for a line on
/// standard input, and sends them. A site's batches go over one connection, in order.
pub fn run(port: u16, credentials: &Path, plan: &Plan) -> Result<LoadReport, BenchError> {
    let requests = plan.requests;
    let sites = read_sites(credentials)?;
    let (queues, body_bytes) = prepare(&sites, plan);
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    let (clock, mut statuses) = (Stopwatch::start(), BTreeMap::new());
    let answers = send(port, queues, plan.rate, clock)?;
    let wall_s = clock.elapsed_s();
    answers.iter().flatten().for_each(|answer| *statuses.entry(answer.status).or_default() += 1);
    let [p50_ms, p99_ms] = quantiles(answers.iter().flatten().map(|answer| answer.time_s * 1e3).collect(), [0.5, 0.99]);
    Ok(LoadReport { requests, signals: requests * BATCH_SIGNALS, body_bytes, wall_s, p50_ms, p99_ms, statuses })
}

/// These quantiles of some times; 0 of none.
pub fn quantiles<const N: usize>(mut times: Vec<f64>, of: [f64; N]) -> [f64; N] {
    times.sort_by(f64::total_cmp);
    of.map(|q| times.get((times.len() as f64 * q) as usize).copied().unwrap_or(0.0))
}

/// Sends each connection's requests in order; with a rate, each when it is due. Gives each connection's answers.
pub fn send(
    port: u16,
    queues: Vec<Vec<Vec<u8>>>,
    rate: Option<f64>,
    clock: Stopwatch,
) -> Result<Vec<Vec<Answered>>, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (start_s, connections) = (clock.elapsed_s(), queues.len());
        let between_s = rate.map(|rate| BATCH_SIGNALS as f64 / rate);
        let senders = queues.into_iter().enumerate().map(|(place, queue)| {
            let due = between_s.map(|s| (start_s + s * place as f64, s * connections as f64));
            tokio::spawn(send_all(port, queue, due, clock))
        });
        let mut answers = Vec::with_capacity(connections);
        for sender in senders.collect::<Vec<_>>() {
            answers.push(sender.await.map_err(|e| BenchError::Broken(e.to_string()))??);
        }
        Ok(answers)
    })
}

/// The sites of a file of `site add --json`.
pub fn read_sites(path: &Path) -> Result<Vec<Credentials>, BenchError> {
    let text = std::fs::read_to_string(path)?;
    let parse = |line: &str| serde_json::from_str(line).map(|json| Credentials::from_json(&json));
    text.lines().map(parse).collect::<Result<_, _>>().map_err(|e| BenchError::Broken(e.to_string()))
}

/// The requests of each connection, whole: head, signature and body.
fn prepare(sites: &[Credentials], plan: &Plan) -> (Vec<Vec<Vec<u8>>>, usize) {
    let mut generator = Generator::new(42, 0);
    let mut seqs = vec![0_u64; sites.len()];
    let mut queues = vec![Vec::new(); plan.connections];
    let start_ms = now_ms() - PAST_MS;
    let mut body_bytes = 0;
    for number in 0..plan.requests {
        let mut peer = generator.batch();
        // In turn, so that every connection has as much to do: the workload's own skew would leave all but one idle.
        let place = number % sites.len();
        peer.site = place;
        let shift_ms = start_ms + seqs[place] as i64 * BATCH_SIGNALS as i64 - (peer.sent_at - BATCH_SIGNALS as i64);
        seqs[place] += 1;
        let body = body::json(&peer, shift_ms);
        body_bytes += body.len();
        let batch = format!("{:016x}.{}", crate::w1::mix(place as u64), seqs[place]);
        queues[place % plan.connections].push(request(&plan.path, &sites[place], &batch, &body));
    }
    (queues, body_bytes)
}

/// A request, whole, signed for our gateway and for a peer's: both get the same headers.
pub fn request(path: &str, by: &Credentials, batch: &str, body: &str) -> Vec<u8> {
    let ts = now_ms() / 1_000;
    let header = signature(by, batch, ts, ["application/json", "identity"], body.as_bytes());
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(PEER_KEY.as_bytes()).expect("a key of any length");
    mac.update(format!("{ts}.{body}").as_bytes());
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Logystera-Signature: {header}\r\nX-Site: {}\r\nX-Timestamp: {ts}\r\nX-Signature: {}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        by.site,
        to_hex(&mac.finalize().into_bytes()),
        body.len()
    );
    request.into_bytes()
}

/// `due`: when the first request is due, and the time between two; none: at once.
async fn send_all(
    port: u16,
    queue: Vec<Vec<u8>>,
    due: Option<(f64, f64)>,
    clock: Stopwatch,
) -> Result<Vec<Answered>, std::io::Error> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut answers = Vec::with_capacity(queue.len());
    let mut buffer = Vec::with_capacity(4_096);
    for (number, request) in queue.into_iter().enumerate() {
        let due_s = match due {
            None => clock.elapsed_s(),
            Some((first_s, between_s)) => {
                let due_s = first_s + between_s * number as f64;
                tokio::time::sleep(Duration::from_secs_f64((due_s - clock.elapsed_s()).max(0.0))).await;
                due_s
            }
        };
        stream.write_all(&request).await?;
        buffer.clear();
        let status = read_answer(&mut stream, &mut buffer).await?;
        let at_s = clock.elapsed_s();
        answers.push(Answered { status, time_s: at_s - due_s, at_s });
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

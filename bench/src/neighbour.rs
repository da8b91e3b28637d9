//! What one tenant's hostile bodies cost the others: an honest sender alone, then beside connections that send small bodies
//! which inflate to megabytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use flate2::Compression;
use flate2::write::GzEncoder;
use logystera_system::wire::{Credentials, exchange, now_ms, signature};

use crate::BenchError;
use crate::gateway::{Loading, Up, in_folder};
use crate::load::{LoadReport, OURS, Plan, read_sites};
use crate::w1::BATCH_SIGNALS;

/// Blanks of a bomb: beside [`NOISE_BYTES`] that do not shrink, so that its ratio is one that the gateway lets pass.
const BLANK_BYTES: usize = 2_400_000;
/// Bytes of a bomb that shrink by little.
const NOISE_BYTES: usize = 30_000;
/// Batches a second of the honest sender.
const BATCHES_PER_S: usize = 100;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct NeighbourRun {
    /// Connections that send bombs, each one after the other.
    pub bombers: usize,
    /// How long each half takes.
    pub seconds: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct NeighbourFigures {
    /// What the honest sender saw without the bombs.
    pub alone: LoadReport,
    /// What it saw beside them.
    pub beside: LoadReport,
    /// Bombs by their answers' status; 0: none came.
    pub bombs: BTreeMap<u16, usize>,
    /// Bytes of one on the wire.
    pub bomb_bytes: usize,
}

/// Starts `up`, and sends.
pub fn run(run: NeighbourRun) -> Result<NeighbourFigures, BenchError> {
    in_folder(|folder| run_in(folder, run))
}

fn run_in(folder: &Path, run: NeighbourRun) -> Result<NeighbourFigures, BenchError> {
    // Two honest sites, one for each half, since a number is taken once; and the hostile one.
    let up = Up::start(folder, 3, false)?;
    let sites = std::fs::read_to_string(&up.credentials)?;
    let bomber = read_sites(&up.credentials)?.pop().ok_or_else(|| BenchError::Broken("no site".to_owned()))?;
    let send = |half: usize| {
        let only = folder.join("honest.ndjson");
        std::fs::write(&only, sites.lines().nth(half).unwrap_or_default())?;
        let rate = Some((BATCHES_PER_S * BATCH_SIGNALS) as f64);
        let plan = Plan { requests: BATCHES_PER_S * run.seconds, connections: 1, rate, path: OURS.to_owned() };
        Ok::<_, BenchError>(Loading::start(up.port, &only, &plan)?.go()?.0)
    };
    let alone = send(0)?;
    let (bomb, stop) = (Arc::new(bomb()?), Arc::new(AtomicBool::new(false)));
    let bombers: Vec<_> =
        (0..run.bombers).map(|n| throw(up.port, bomber.clone(), n, Arc::clone(&bomb), Arc::clone(&stop))).collect();
    let beside = send(1);
    stop.store(true, Ordering::Relaxed);
    let mut bombs = BTreeMap::new();
    for bomber in bombers {
        let answers = bomber.join().map_err(|_| BenchError::Broken("a thread of bombs panicked".to_owned()))?;
        for (status, count) in answers {
            *bombs.entry(status).or_default() += count;
        }
    }
    Ok(NeighbourFigures { alone, beside: beside?, bombs, bomb_bytes: bomb.len() })
}

/// A body of blanks, small on the wire.
fn bomb() -> Result<Vec<u8>, BenchError> {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (state >> 28) as u8
    };
    let mut body = vec![b' '; BLANK_BYTES];
    body.extend((0..NOISE_BYTES).map(|_| noise()));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&body)?;
    Ok(gzip.finish()?)
}

/// Sends bombs until it is stopped; gives the answers by status.
fn throw(
    port: u16,
    by: Credentials,
    number: usize,
    bomb: Arc<Vec<u8>>,
    stop: Arc<AtomicBool>,
) -> JoinHandle<BTreeMap<u16, usize>> {
    thread::spawn(move || {
        let mut answers = BTreeMap::new();
        for seq in 1_u64.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let batch = format!("{number:016x}.{seq}");
            let header = signature(&by, &batch, now_ms() / 1_000, ["application/json", "gzip"], &bomb);
            let head = format!(
                "POST {OURS} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
                 Content-Encoding: gzip\r\nLogystera-Signature: {header}\r\nContent-Length: {}\r\n\r\n",
                bomb.len()
            );
            let status = exchange(port, head.as_bytes(), &bomb).map_or(0, |answer| answer.status);
            *answers.entry(status).or_default() += 1;
        }
        answers
    })
}

//! What is put into topic `signals` as the gateways would have put it there.

use std::ops::Range;

use logystera_infra::log::{Entry, Log};
use logystera_processor::core::RuleSet;
use logystera_schemas::avro::Blob;
use logystera_schemas::control::{Entity, RuleSet as RuleSetRecord};
use logystera_schemas::ids::{KeyGroup, Sha256Digest};
use logystera_schemas::schema;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::Topic;

use super::place::Place;
use crate::BenchError;
use crate::convert::Converter;
use crate::recording::{TICK_BATCHES, configured};
use crate::w1::{Generator, PeerBatch, PeerKind, PeerSignal, SITES, START_MS, peer_bytes, site_name, source_id};

/// Batches of one append.
const CHUNK: usize = 500;
/// Signals of one group of the synthetic state: fewer than the threshold.
const GROUP_SIGNALS: usize = 4;
/// All signals of the synthetic state lie within so much site time, milliseconds.
pub const GROUPS_MS: i64 = 10_000;
/// Most groups of one site of the synthetic state, below the engine's limit.
const GROUPS_OF_SITE: usize = 1_000;

/// What was put there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loaded {
    /// Signals.
    pub signals: usize,
    /// Bytes of our batches.
    pub bytes: usize,
    /// Bytes of the same batches as the peers have them.
    pub peer_bytes: usize,
    /// Time of the last tick of each partition, the last record there.
    pub last_tick: i64,
}

/// Puts records into the partitions of topic `signals`.
pub struct Loader<'a> {
    place: &'a Place,
    partitions: u32,
    converter: Converter,
    waiting: Vec<Entry>,
    /// When each site's newest batch was sent.
    newest: Vec<i64>,
    /// So far.
    pub loaded: Loaded,
}

impl<'a> Loader<'a> {
    /// Configures all sites of W1 with `rules`: the body first.
    pub fn new(place: &'a Place, rules: &RuleSet) -> Result<Self, BenchError> {
        let partitions = place.log.partitions(Topic::Signals);
        let body = Blob(rules.body.clone().into_bytes());
        let record = Entity::RuleSet(RuleSetRecord { digest: rules.digest, body });
        place.append(vec![logystera_infra::directory::entry(&record)])?;
        let (converter, newest) = (Converter::new(), vec![START_MS; SITES]);
        let mut loader = Self { place, partitions, converter, waiting: Vec::new(), newest, loaded: Loaded::default() };
        loader.configure(rules.digest);
        loader.flush()?;
        Ok(loader)
    }

    fn configure(&mut self, digest: Sha256Digest) {
        for site in 0..SITES {
            self.waiting.push(self.entry(site, schema::encode(&configured(site, digest))));
        }
    }

    fn entry(&self, site: usize, value: Vec<u8>) -> Entry {
        let name = site_name(site);
        let partition = KeyGroup::of(&name).partition(self.partitions);
        Entry { topic: Topic::Signals, partition, key: name.into_bytes(), value }
    }

    /// Puts a batch there, when as many wait as are appended at once.
    pub fn batch(&mut self, batch: &PeerBatch) -> Result<(), BenchError> {
        let value = self.converter.record(batch);
        self.newest[batch.site] = self.newest[batch.site].max(batch.sent_at);
        self.loaded.signals += batch.signals.len();
        self.loaded.bytes += value.len();
        self.waiting.push(self.entry(batch.site, value));
        if self.waiting.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    /// A tick in every partition.
    pub fn tick(&mut self, at: i64) {
        self.loaded.last_tick = at;
        for partition in 0..self.partitions {
            let value = schema::encode(&Tick { partition, at: WallMs(at), open_ms: 0 });
            self.waiting.push(Entry { topic: Topic::Signals, partition, key: Vec::new(), value });
        }
    }

    /// Appends what waits.
    pub fn flush(&mut self) -> Result<(), BenchError> {
        self.place.append(std::mem::take(&mut self.waiting))
    }

    /// W1, with a tick in every partition among each thousand batches and one at the end. Gives its generator, which can go on.
    pub fn w1(&mut self, batches: usize, disorder_ms: u32) -> Result<Generator, BenchError> {
        let mut generator = Generator::new(42, disorder_ms);
        let at = |number: usize| START_MS + number as i64 * 1_000 / TICK_BATCHES as i64;
        for number in 0..batches {
            if number % TICK_BATCHES == 0 {
                self.tick(at(number));
            }
            let batch = generator.batch();
            self.loaded.peer_bytes += peer_bytes(&batch).len();
            self.batch(&batch)?;
        }
        self.tick(at(batches) + 1);
        self.flush()?;
        Ok(generator)
    }

    /// Failed sign-ins, a few from each of `groups` sources, spread over the sites; none of them reaches the threshold.
    pub fn groups(&mut self, groups: usize) -> Result<(), BenchError> {
        let of_site = groups.div_ceil(SITES);
        if of_site > GROUPS_OF_SITE {
            return Err(BenchError::Broken(format!("at most {} groups", SITES * GROUPS_OF_SITE)));
        }
        self.tick(START_MS);
        for site in 0..SITES {
            self.groups_of(site, 0..of_site)?;
        }
        self.tick(START_MS + 1_000);
        self.flush()
    }

    /// The same of those groups, counted over all sites, that a range has: a site has as many as it may.
    pub fn new_groups(&mut self, groups: Range<usize>) -> Result<(), BenchError> {
        let mut from = groups.start;
        while from < groups.end {
            let (site, first) = (from / GROUPS_OF_SITE, from % GROUPS_OF_SITE);
            let last = (first + groups.end - from).min(GROUPS_OF_SITE);
            self.groups_of(site % SITES, first..last)?;
            from += last - first;
        }
        Ok(())
    }

    fn groups_of(&mut self, site: usize, sources: Range<usize>) -> Result<(), BenchError> {
        let sources: Vec<_> = sources.flat_map(|source| std::iter::repeat_n(source, GROUP_SIGNALS)).collect();
        for sources in sources.chunks(100) {
            let sent_at = self.newest[site] + 100;
            let failed = |(place, source): (usize, &usize)| failed(site, *source, sent_at - 99 + place as i64);
            let signals = sources.iter().enumerate().map(failed).collect();
            self.batch(&PeerBatch { site, sent_at, signals })?;
        }
        Ok(())
    }
}

/// A failed sign-in from the source at a place.
pub fn failed(site: usize, source: usize, occurred_at: i64) -> PeerSignal {
    let mut user = [b'0'; 16];
    user[..8].copy_from_slice(&source_id(site, source).to_be_bytes().map(|b| b'a' + b % 16));
    PeerSignal {
        id: [b'0'; 24],
        kind: PeerKind::Auth,
        occurred_at,
        user: Some((user, 8)),
        source: Some(source),
        failed: true,
        path: Some(0),
        status: None,
        duration_ms: None,
    }
}

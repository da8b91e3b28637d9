//! The peers' workload W1: the same signals that Kafka Streams and Flink were measured on, and what they are as records
//! of ours. `README.md` beside this crate says how each field is mapped.
//!
//! A pure function of (seed, number of batches). The SHA-256 over all of the peers' values is known, so that a port that
//! differs in one bit is found ([`peer_digest`]).

use logystera_schemas::avro::Writer;
use logystera_schemas::ids::Sha256Digest;
use sha2::{Digest, Sha256};

/// Sites.
pub const SITES: usize = 2_000;
/// Sources of one site.
pub const SOURCES: usize = 50;
/// Signals of one batch.
pub const BATCH_SIGNALS: usize = 100;
/// How late a fifth of the signals come, at most, in milliseconds, in the workload as published.
pub const DISORDER_MS: u32 = 2_000;
/// Time of the first signal of each site, milliseconds since the epoch.
pub const START_MS: i64 = 1_760_000_000_000;

const PATHS: usize = 40;
const ZIPF_EXPONENT: f64 = 1.1;

/// `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: u32) -> u32 {
        ((self.next() >> 33) % u64::from(end)) as u32
    }

    /// An index drawn from the cumulative distribution `cdf`.
    fn zipf(&mut self, cdf: &[f64]) -> usize {
        let u = (self.next() >> 11) as f64 * f64::from_bits(0x3ca0_0000_0000_0000); // 2^-53
        cdf.binary_search_by(|c| c.total_cmp(&u)).unwrap_or_else(|at| at.min(cdf.len() - 1))
    }

    fn hex<const N: usize>(&mut self) -> [u8; N] {
        let low = self.next();
        let high = if N > 16 { self.next() } else { 0 };
        std::array::from_fn(|i| {
            let nibble = if i < 16 { low >> (i * 4) } else { high >> ((i - 16) * 4) } & 15;
            b"0123456789abcdef"[nibble as usize]
        })
    }
}

fn zipf_cdf(n: usize) -> Vec<f64> {
    let mut total = 0.0;
    let mut cdf: Vec<f64> = (1..=n)
        .map(|i| {
            total += (i as f64).powf(-ZIPF_EXPONENT);
            total
        })
        .collect();
    for share in &mut cdf {
        *share /= total;
    }
    cdf
}

/// What a signal tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerKind {
    /// `http.request`
    Http,
    /// `auth.attempt`
    Auth,
    /// `mail.outcome`
    Mail,
    /// `cron.run`
    Cron,
    /// `php.error`
    Php,
}

impl PeerKind {
    fn of(percent: u32) -> Self {
        match percent {
            0..40 => Self::Http,
            40..70 => Self::Auth,
            70..80 => Self::Mail,
            80..90 => Self::Cron,
            _ => Self::Php,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http.request",
            Self::Auth => "auth.attempt",
            Self::Mail => "mail.outcome",
            Self::Cron => "cron.run",
            Self::Php => "php.error",
        }
    }
}

/// A signal as the peers have it.
#[derive(Clone, Copy, Debug)]
pub struct PeerSignal {
    /// Random, 24 hex digits.
    pub id: [u8; 24],
    /// What it tells of.
    pub kind: PeerKind,
    /// Milliseconds since the epoch.
    pub occurred_at: i64,
    /// 16 hex digits and the length of the name.
    pub user: Option<([u8; 16], u32)>,
    /// Place among the site's sources.
    pub source: Option<usize>,
    /// `failure`, or `success`.
    pub failed: bool,
    /// Place among the paths.
    pub path: Option<usize>,
    /// HTTP status.
    pub status: Option<u32>,
    /// How long it took.
    pub duration_ms: Option<u32>,
}

/// A batch as the peers have it.
#[derive(Clone, Debug)]
pub struct PeerBatch {
    /// Place among the sites.
    pub site: usize,
    /// Milliseconds since the epoch.
    pub sent_at: i64,
    /// In the order in which they were sent.
    pub signals: Vec<PeerSignal>,
}

/// Draws one batch after the other.
#[derive(Debug)]
pub struct Generator {
    random: SplitMix64,
    disorder_ms: u32,
    site_cdf: Vec<f64>,
    source_cdf: Vec<f64>,
    clocks: Vec<i64>,
}

impl Generator {
    /// The workload with this seed; `disorder_ms` 0 puts each site's signals in the order of time.
    pub fn new(seed: u64, disorder_ms: u32) -> Self {
        Self {
            random: SplitMix64(seed),
            disorder_ms,
            site_cdf: zipf_cdf(SITES),
            source_cdf: zipf_cdf(SOURCES),
            clocks: vec![START_MS; SITES],
        }
    }

    /// The next batch.
    pub fn batch(&mut self) -> PeerBatch {
        let site = self.random.zipf(&self.site_cdf);
        let sent_at = self.clocks[site] + BATCH_SIGNALS as i64;
        let signals = (0..BATCH_SIGNALS).map(|_| self.signal(site)).collect();
        PeerBatch { site, sent_at, signals }
    }

    /// The order of the draws is part of the workload.
    fn signal(&mut self, site: usize) -> PeerSignal {
        self.clocks[site] += 1;
        let now = self.clocks[site];
        let random = &mut self.random;
        let is_late = random.below(5) == 0;
        let occurred_at = if is_late { now - i64::from(random.below(self.disorder_ms + 1)) } else { now };
        let kind = PeerKind::of(random.below(100));
        let percent = random.below(100);
        let failed = match kind {
            PeerKind::Auth => percent < 60,
            PeerKind::Mail => percent < 5,
            PeerKind::Php => true,
            PeerKind::Http => percent < 3,
            PeerKind::Cron => false,
        };
        let id = random.hex();
        let (http, auth) = (kind == PeerKind::Http, kind == PeerKind::Auth);
        let user = (auth || http && percent >= 70).then(|| (random.hex(), 4 + random.below(20)));
        let source = (auth || http).then(|| random.zipf(&self.source_cdf));
        let path = match kind {
            PeerKind::Auth => Some(0),
            PeerKind::Http | PeerKind::Php => Some(random.below(PATHS as u32) as usize),
            PeerKind::Mail | PeerKind::Cron => None,
        };
        let status = http.then_some(if failed { 500 } else { 200 });
        let duration_ms = (http || kind == PeerKind::Cron).then(|| random.below(1_500));
        PeerSignal { id, kind, occurred_at, user, source, failed, path, status, duration_ms }
    }
}

/// Name of a site.
pub fn site_name(site: usize) -> String {
    format!("site-{site:06}")
}

/// A source's 16 hex digits as a number.
pub fn source_id(site: usize, source: usize) -> u64 {
    mix((site * 1_000 + source) as u64)
}

/// The first number of a generator with this seed.
pub fn mix(seed: u64) -> u64 {
    SplitMix64(seed).next()
}

/// The path at `place`.
pub fn path(place: usize) -> String {
    if place == 0 { "/wp-login.php".to_owned() } else { format!("/shop/category-{place}/item") }
}

/// The peers' Avro datum of a batch.
pub fn peer_bytes(batch: &PeerBatch) -> Vec<u8> {
    let mut to = Writer::with(Vec::with_capacity(10_000));
    to.bytes(site_name(batch.site).as_bytes());
    to.long(batch.sent_at);
    to.long(batch.signals.len() as i64);
    for signal in &batch.signals {
        to.bytes(&signal.id);
        to.bytes(signal.kind.name().as_bytes());
        to.long(signal.occurred_at);
        optional(&mut to, signal.user.as_ref(), |to, (hash, _)| to.bytes(hash));
        optional(&mut to, signal.user.as_ref(), |to, (_, length)| to.long(i64::from(*length)));
        let source = signal.source.map(|source| format!("{:016x}", source_id(batch.site, source)));
        optional(&mut to, source.as_ref(), |to, source| to.bytes(source.as_bytes()));
        to.bytes(if signal.failed { b"failure" } else { b"success" });
        optional(&mut to, signal.path.as_ref(), |to, place| to.bytes(path(*place).as_bytes()));
        optional(&mut to, signal.status.as_ref(), |to, status| to.long(i64::from(*status)));
        optional(&mut to, signal.duration_ms.as_ref(), |to, duration| to.long(i64::from(*duration)));
    }
    to.long(0);
    to.into_bytes()
}

fn optional<T>(to: &mut Writer, value: Option<&T>, write: impl Fn(&mut Writer, &T)) {
    to.long(i64::from(value.is_some()));
    if let Some(value) = value {
        write(to, value);
    }
}

/// SHA-256 over the peers' bytes of the first `batches` batches, in hex.
pub fn peer_digest(seed: u64, batches: usize) -> String {
    let mut generator = Generator::new(seed, DISORDER_MS);
    let mut sha = Sha256::new();
    for _ in 0..batches {
        sha.update(peer_bytes(&generator.batch()));
    }
    Sha256Digest(sha.finalize().into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::peer_digest;

    /// The digest of a prefix, taken when the digest of the whole was the published one.
    #[test]
    fn the_port_gives_the_peers_bytes() {
        assert_eq!(peer_digest(42, 500), "021b440551edfaad05ad5b4915ea684db421a89ff43d43c778920d660809b03a");
    }
}

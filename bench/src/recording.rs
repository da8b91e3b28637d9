//! A recorded log of topic `signals`, in memory: W1 as the gateway would have written it.

use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::{SiteConfigured, Tick};
use logystera_schemas::time::WallMs;

use crate::convert::{Converter, TENANT};
use crate::w1::{BATCH_SIGNALS, Generator, SITES, START_MS, site_name};

/// Batches between two ticks: a gateway at 100,000 signals a second writes one a second.
pub const TICK_BATCHES: usize = 1_000;

/// Records one after the other, without the cost of a vector for each.
#[derive(Debug, Default)]
pub struct Recording {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Signals in all batches.
    pub signals: usize,
    /// Bytes of the batches alone.
    pub batch_bytes: usize,
}

impl Recording {
    /// The workload: every site is configured with `digest`, then `batches` batches with a tick among each thousand.
    pub fn w1(seed: u64, batches: usize, disorder_ms: u32, digest: Sha256Digest) -> Self {
        let mut recording = Self::default();
        for site in 0..SITES {
            recording.push(&schema::encode(&configured(site, digest)));
        }
        let (mut generator, mut converter) = (Generator::new(seed, disorder_ms), Converter::new());
        for number in 0..batches {
            if number % TICK_BATCHES == 0 {
                let at = WallMs(START_MS + number as i64 * 1_000 / TICK_BATCHES as i64);
                recording.push(&schema::encode(&Tick { partition: 0, at, open_ms: 0 }));
            }
            let record = converter.record(&generator.batch());
            recording.batch_bytes += record.len();
            recording.signals += BATCH_SIGNALS;
            recording.push(&record);
        }
        recording
    }

    fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    /// The records in order.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let record = &self.bytes[start..*end];
            start = *end;
            record
        })
    }
}

/// A site of W1 with the configuration of this digest.
#[expect(clippy::expect_used, reason = "the names are ours")]
pub fn configured(site: usize, digest: Sha256Digest) -> SiteConfigured {
    SiteConfigured {
        site: site_name(site).parse().expect("a site id"),
        tenant: TENANT.parse().expect("a tenant id"),
        name: site_name(site),
        digest,
        semantics: logystera_processor::core::SEMANTICS,
    }
}

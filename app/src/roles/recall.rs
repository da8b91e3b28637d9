//! What a gateway of a cluster remembers across a restart, from the newest records of the log: which batches it has, so that a
//! sender whose answer was lost is told `duplicate` and nothing is stored twice; and the log's time, which its clock must not be
//! behind. What stands further back only the engine knows.

use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::LogError;
use logystera_ingest::Gateway;
use logystera_ingest::core::recall::{Recall, Recalled};
use logystera_kafka::{Kafka, KafkaLog, Layouts, TailBounds};
use logystera_schemas::limits::{RECALL_WAIT_MS, RECALLED_BYTES_MAX, RECORDS_RECALLED};
use logystera_schemas::partition::Generation;
use logystera_schemas::topic::{SignalsRecord, Topic};

/// Tells `gateway` what the log's end knows, as far as that can be read soon: it takes batches without it, too.
pub(super) async fn recall(gateway: &Gateway<KafkaLog>, kafka: &Kafka, layouts: &Layouts) {
    let (gateway, kafka, generations) = (gateway.clone(), kafka.clone(), layouts.read(Topic::Signals));
    let reading = tokio::task::spawn_blocking(move || {
        let stopwatch = Stopwatch::start();
        for generation in generations {
            let left = Duration::from_millis(RECALL_WAIT_MS).saturating_sub(stopwatch.elapsed());
            match read(&gateway, &kafka, generation, left) {
                Ok((records, 0)) => {
                    tracing::info!(records, ms = stopwatch.elapsed().as_millis() as u64, "the log's end was read");
                }
                Ok((records, unread)) => tracing::warn!(
                    records,
                    unread,
                    "the log's end was not read in every partition: a batch from before that is sent again there is taken, and counts once"
                ),
                Err(error) => tracing::warn!(
                    %error,
                    "the log's end was not read: a batch from before that is sent again is taken, and counts once"
                ),
            }
        }
    });
    // One that panicked has said so.
    drop(reading.await);
}

/// Gives how many records it took, and how many partitions did not answer.
fn read(
    gateway: &Gateway<KafkaLog>,
    kafka: &Kafka,
    generation: Generation,
    wait: Duration,
) -> Result<(usize, usize), LogError> {
    let bounds = TailBounds { offsets: RECORDS_RECALLED, bytes: RECALLED_BYTES_MAX, wait };
    let keep = |value: &[u8]| SignalsRecord::decode(value).ok().and_then(|record| Recalled::of(record, false));
    let tail = kafka.tail(Topic::Signals, generation, bounds, keep)?;
    let mut taken = 0;
    for kept in tail.kept.into_values() {
        taken += kept.len();
        gateway.remember_ticks(kept.iter().filter_map(Recalled::tick));
        gateway.recall(&mut Recall::default(), kept);
    }
    Ok((taken, tail.unread))
}

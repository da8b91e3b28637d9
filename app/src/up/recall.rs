//! What the gateway remembers across a restart: which batches the log has, so that a sender whose answer was lost is told
//! `duplicate` and nothing is stored twice; and the log's time, which its clock must not be behind.

use std::path::Path;

use logystera_infra::embedded::{EmbeddedLog, EmbeddedReader};
use logystera_infra::log::scan;
use logystera_ingest::Gateway;
use logystera_processor::core::{KeyWindow, stored_spool};
use logystera_processor::task::APP;
use logystera_schemas::limits::{READ_BYTES_MAX, RECORDS_RECALLED};
use logystera_schemas::topic::{SignalsRecord, Topic};

use crate::cli::CliError;

/// Tells `gateway` what the engine's state knows, and what stands in the log behind it.
pub(super) fn recall(gateway: &Gateway<EmbeddedLog>, data: &Path) -> Result<(), CliError> {
    let reader = EmbeddedReader::open(data)?;
    // The position first: what the engine applies meanwhile is then seen twice, which changes nothing.
    let mut next = reader.position(APP)?.unwrap_or_default();
    reader.state(APP, &mut |entry| {
        if let Ok(Some((site, id, spool))) = stored_spool(entry.key, entry.value) {
            let last_ms = spool.last_batch.0;
            // In the order of use: the key that was heard last is the newest.
            for KeyWindow { key, window, .. } in spool.others.into_iter().rev() {
                gateway.remember_spool(&site, id, key.as_ref(), window, last_ms);
            }
            gateway.remember_spool(&site, id, spool.key.as_ref(), spool.window, last_ms);
        }
    })?;
    // Somewhat further back, for ticks: the log's time is that of the highest of the newest.
    next = next.min(reader.bounds(Topic::Signals)?.end.saturating_sub(RECORDS_RECALLED));
    let mut ticks = Vec::new();
    let read = |from| reader.read(Topic::Signals, from, READ_BYTES_MAX);
    scan(next, read, |records| {
        for record in &records {
            match SignalsRecord::decode(&record.value) {
                Ok(SignalsRecord::Batch(batch)) => gateway.remember_batch(&batch.head),
                Ok(SignalsRecord::Tick(tick)) => ticks.push(tick.at),
                _ => {}
            }
        }
        Ok(())
    })?;
    gateway.remember_ticks(ticks);
    Ok(())
}

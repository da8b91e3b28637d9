//! What the gateway remembers across a restart: which batches the log has, so that a sender whose answer was lost is told
//! `duplicate` and nothing is stored twice; and the log's time, which its clock must not be behind.

use std::path::Path;

use logystera_infra::embedded::{EmbeddedLog, EmbeddedReader};
use logystera_infra::log::scan;
use logystera_ingest::Gateway;
use logystera_ingest::core::recall::{Recall, Recalled};
use logystera_processor::core::{KeyWindow, Known};
use logystera_processor::task::APP;
use logystera_schemas::limits::{READ_BYTES_MAX, RECORDS_RECALLED};
use logystera_schemas::topic::{SignalsRecord, Topic};

use crate::cli::CliError;

/// Tells `gateway` what the engine's state knows, and what stands in the log behind it.
pub(super) fn recall(gateway: &Gateway<EmbeddedLog>, data: &Path) -> Result<(), CliError> {
    let reader = EmbeddedReader::open(data)?;
    // The position first: what the engine applies meanwhile is then seen twice, which changes nothing.
    let position = reader.position(APP)?.unwrap_or_default();
    let mut recall = Recall::default();
    reader.state(APP, &mut |entry| match Known::of(entry.key, entry.value) {
        Ok(Some(Known::StolenKeys(site, keys))) => keys.into_iter().for_each(|key| recall.key_stolen(&site, key)),
        Ok(Some(Known::Spool(site, id, windows, last))) => {
            for KeyWindow { key, window, .. } in windows {
                gateway.remember_spool(&site, id, key.as_ref(), window, last.0);
            }
        }
        Ok(None) | Err(_) => {}
    })?;
    // Somewhat further back, for ticks: the log's time is that of the highest of the newest.
    let from = position.min(reader.bounds(Topic::Signals)?.end.saturating_sub(RECORDS_RECALLED));
    let mut ticks = Vec::new();
    let read = |from| reader.read(Topic::Signals, from, READ_BYTES_MAX);
    scan(from, read, |records| {
        let found = records.iter().filter_map(|record| {
            let recalled = Recalled::of(SignalsRecord::decode(&record.value).ok()?, record.offset < position)?;
            ticks.extend(recalled.tick());
            Some(recalled)
        });
        gateway.recall(&mut recall, found);
        Ok(())
    })?;
    gateway.remember_ticks(ticks);
    Ok(())
}

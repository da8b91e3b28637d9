//! How large the write-ahead log is. It is folded into the file and begun anew, unless somebody reads in one long
//! transaction.

use std::path::{Path, PathBuf};

use logystera_schemas::limits::LOG_WAL_BYTES_TOLD;

use super::store::WAL_FILE;

/// The size of a folder's write-ahead log, as a metric and, if it grows, as a line of the log.
pub(super) struct WalSize {
    path: PathBuf,
    gauge: metrics::Gauge,
    /// From how many bytes on it is told of next.
    told_from: u64,
}

impl WalSize {
    pub(super) fn of(dir: &Path) -> Self {
        let gauge = metrics::gauge!("logystera_log_wal_bytes");
        Self { path: dir.join(WAL_FILE), gauge, told_from: LOG_WAL_BYTES_TOLD }
    }

    /// Looks at the size, shows it as the metric, and warns if it has grown.
    pub(super) fn look(&mut self) {
        let bytes = std::fs::metadata(&self.path).map_or(0, |found| found.len());
        self.gauge.set(f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)));
        if bytes < LOG_WAL_BYTES_TOLD {
            self.told_from = LOG_WAL_BYTES_TOLD;
        } else if bytes >= self.told_from {
            // Told again each time it has doubled.
            self.told_from = bytes.saturating_mul(2);
            tracing::warn!(
                bytes,
                path = %self.path.display(),
                "the write-ahead log grows, and the disk fills up: another program has been reading the data in one transaction \
                 for long; end it"
            );
        }
    }
}

//! What each site may send, as it can be set: one number at a time.

use logystera_ingest::core::quota::Quota;
use logystera_schemas::limits::{BATCH_SIGNALS_MAX, WIRE_BYTES_MAX};

/// What was set, under the names that the settings have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Bytes a second.
    pub bytes_per_s: Option<u32>,
    /// Bytes at once.
    pub bytes_burst: Option<u32>,
    /// Signals a second.
    pub signals_per_s: Option<u32>,
    /// Signals at once.
    pub signals_burst: Option<u32>,
}

impl Wanted {
    /// The quota, with the defaults where nothing was set. The largest batch has to fit, or its sender would wait for ever. The
    /// error names the setting, its value and what is expected.
    pub fn checked(self) -> Result<Quota, (&'static str, u32, usize)> {
        let Quota { bytes_per_s, bytes_burst, signals_per_s, signals_burst } = Quota::default();
        let chosen = |name, wanted: Option<u32>, default: u32, least: usize| {
            let value = wanted.unwrap_or(default);
            if value as usize >= least { Ok(value) } else { Err((name, value, least)) }
        };
        Ok(Quota {
            bytes_per_s: chosen("quota-bytes-per-s", self.bytes_per_s, bytes_per_s, 1)?,
            bytes_burst: chosen("quota-bytes-burst", self.bytes_burst, bytes_burst, WIRE_BYTES_MAX)?,
            signals_per_s: chosen("quota-signals-per-s", self.signals_per_s, signals_per_s, 1)?,
            signals_burst: chosen("quota-signals-burst", self.signals_burst, signals_burst, BATCH_SIGNALS_MAX)?,
        })
    }
}

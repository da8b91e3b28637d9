//! What waits until a site's watermark passes it.

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::ids::SpoolId;
use logystera_schemas::time::SiteMs;

/// Names something held: site time, spool, number of the batch, index in the batch. It is judged in this order.
pub(crate) type HeldKey = (SiteMs, SpoolId, u64, u32);

/// Something held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeldItem {
    /// A signal as [`logystera_schemas::batch::Frame::bytes`] has it.
    Signal(Box<[u8]>),
    /// The spool's set of switched-on signal types from here on.
    Enabled(SignalTypes),
}

impl HeldItem {
    /// Bytes that it counts for.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Signal(bytes) => bytes.len(),
            Self::Enabled(_) => 2,
        }
    }
}

/// What one site holds, all of it together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldShare {
    /// Signals, and switches of signal types.
    pub(crate) signals: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
    /// Site time of the oldest.
    pub(crate) oldest: SiteMs,
    /// Whether it may have to judge early because all together hold too much: not under the first version of the semantics.
    pub(crate) yields: bool,
}

impl Datum for HeldItem {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Signal(bytes) => {
                to.long(0);
                to.bytes(bytes);
            }
            Self::Enabled(types) => {
                to.long(1);
                types.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.index(2)? {
            0 => Self::Signal(from.bytes()?.into()),
            _ => Self::Enabled(SignalTypes::read(from)?),
        })
    }
}

//! What waits until the watermark of its site passes it.

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::ids::SpoolId;
use logystera_schemas::time::SiteMs;

/// Names a held item: site time, spool, number of the batch, place in the batch (a signal from 1 on; 0 is the switch of
/// types that the batch declares). Items are judged in this order.
pub(crate) type HeldKey = (SiteMs, SpoolId, u64, u32);

/// A held item: it waits until the watermark passes its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeldItem {
    /// A signal as [`logystera_schemas::batch::Frame::bytes`] has it.
    Signal(Box<[u8]>),
    /// The signal types that the spool has on from the item's time on.
    Enabled(SignalTypes),
}

impl HeldItem {
    /// Bytes that it counts for against the bounds of what is held.
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
    /// Whether it judges early if all sites together hold too much: from the second version of the semantics on.
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

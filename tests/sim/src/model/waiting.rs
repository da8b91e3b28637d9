//! What waits for the watermark.

use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::ids::SpoolId;

use crate::input::SignalIn;

/// Where a held signal stands in its site's order.
pub(super) type Place = (i64, SpoolId, u64, usize);

/// What waits until the watermark passes it.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A signal.
    Signal(SignalIn),
    /// From here on the spool has these types switched on.
    Switch(SignalTypes),
}

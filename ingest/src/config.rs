//! What a gateway can be told. Its defaults are the bounds of the design.

use std::time::Duration;

use logystera_infra::handles::Handles;
use logystera_infra::pace::TimeWanted;
use logystera_schemas::limits::{
    APPEND_WAIT_MS_MAX, BODY_READ_MS_MAX, CONNECTION_AGE_MS_MAX, CONNECTIONS_MAX, CONNECTIONS_PEER_SHARE,
    HEADER_READ_MS_MAX, SHUTDOWN_WAIT_MS_MAX, SIGNAL_AGE_MS_MAX, TICK_MS, UNAUTHENTICATED_BYTES_MAX,
    UNWRITTEN_BYTES_MAX,
};

use crate::core::quota::Quota;

/// A gateway's configuration.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The deployment's name: every signature covers it.
    pub audience: String,
    /// What each site may send.
    pub quota: Quota,
    /// Milliseconds before the gateway's clock at which a signal is too old.
    pub signal_age_ms_max: i64,
    /// Bytes of all bodies that are not verified yet.
    pub unauthenticated_bytes_max: usize,
    /// Bytes of all verified batches that the log does not have yet.
    pub unwritten_bytes_max: usize,
    /// Connections that the senders' listener holds open.
    pub connections_max: usize,
    /// Of these, those of one peer that carried no batch yet.
    pub connections_peer_max: usize,
    /// This gateway's name among those that write to the same log; none: it is the only one.
    pub among_others: Option<String>,
    /// Given if the gateway may write ticks seldom while nobody sends; it tells when time is wanted. For the only
    /// gateway of a log, with everything that waits for time in its process.
    pub idle: Option<TimeWanted>,
    /// How long the gateway waits for what.
    pub timing: Timing,
}

impl GatewayConfig {
    /// The design's bounds.
    pub fn new(audience: impl Into<String>) -> Self {
        Self {
            audience: audience.into(),
            quota: Quota::default(),
            signal_age_ms_max: SIGNAL_AGE_MS_MAX,
            unauthenticated_bytes_max: UNAUTHENTICATED_BYTES_MAX,
            unwritten_bytes_max: UNWRITTEN_BYTES_MAX,
            connections_max: CONNECTIONS_MAX,
            connections_peer_max: CONNECTIONS_MAX / CONNECTIONS_PEER_SHARE,
            among_others: None,
            idle: None,
            timing: Timing::default(),
        }
    }

    /// With as many connections as open files allow.
    #[must_use]
    pub fn within(mut self, handles: Handles) -> Self {
        self.connections_max = handles.connections(CONNECTIONS_MAX);
        self.connections_peer_max = self.connections_max / CONNECTIONS_PEER_SHARE;
        self
    }
}

/// How long the gateway waits for what.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A TLS handshake, the headers of a request, and the next request of a connection.
    pub header_read: Duration,
    /// A whole body.
    pub body_read: Duration,
    /// After this a connection is asked to end.
    pub connection_age: Duration,
    /// An append to the log.
    pub append: Duration,
    /// Requests in flight when the gateway stops.
    pub shutdown: Duration,
    /// Between two ticks; every sixtieth, refusals are written too.
    pub tick: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            header_read: Duration::from_millis(HEADER_READ_MS_MAX),
            body_read: Duration::from_millis(BODY_READ_MS_MAX),
            connection_age: Duration::from_millis(CONNECTION_AGE_MS_MAX),
            append: Duration::from_millis(APPEND_WAIT_MS_MAX),
            shutdown: Duration::from_millis(SHUTDOWN_WAIT_MS_MAX),
            tick: Duration::from_millis(TICK_MS),
        }
    }
}

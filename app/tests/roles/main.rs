//! The roles as processes on a real Apache Kafka.
//!
//! `tests/run services` starts the broker. Without one, `LOGYSTERA_TEST_KAFKA=host:port` names it; where that is not set
//! nothing is tested, and CI fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod channels;
mod chaos;
mod clocks;
mod growth;
mod oracle;
mod restart;
#[cfg(feature = "kafka-tls")]
mod secured;
mod standing;
mod support;
mod way;

//! The log, the store and the clock of one machine: the only crate that touches them.
//!
//! What the rest of the system needs of a backend is in [`log`]; [`runtime`] is the one cycle that runs both state
//! machines on it. [`embedded`] is the backend in one file, for one machine; the one on Apache Kafka is the crate
//! `logystera-kafka`, which this one does not know.

pub mod log;
pub mod pace;
pub mod runtime;

pub use log::embedded;

pub mod directory;
pub mod envelope;
pub mod files;
pub mod reading;
pub mod secrets;

pub mod accept;
pub mod backoff;
pub mod clock;
pub mod handles;
pub mod listen;
pub mod retries;
pub mod shutdown;
pub mod telemetry;
pub mod terminal;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

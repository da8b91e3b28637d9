//! The log, the store and the clock: the only crate that touches them.
//!
//! What the rest of the system needs of a backend is in [`log`]; [`runtime`] is the one cycle that runs both state
//! machines on it.

pub mod log;
pub mod runtime;

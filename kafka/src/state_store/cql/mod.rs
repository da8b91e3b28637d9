//! The store in ScyllaDB or Cassandra.
//!
//! Every row is written and deleted at the write time of its version, so that a late write loses. A connection serves
//! all tasks of a process; it is made in the background and may come late.

mod backlog;
mod batches;
mod connection;
mod migrations;
mod queue;
mod session;
mod store;
mod tls;
mod writer;

use super::StoreError;

pub use store::Store;
pub(crate) use writer::WriteBehind;

/// The store cannot be reached, or does not do what it was asked.
fn away(error: &(impl std::fmt::Display + ?Sized)) -> StoreError {
    StoreError::Away(error.to_string())
}

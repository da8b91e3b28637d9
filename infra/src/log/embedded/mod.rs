//! Log and store in one SQLite file, for one machine: durable by fsync, with no other service.
//!
//! One thread writes. It takes everything that waits, puts it into one transaction and answers all of it when the
//! transaction is on disk: one fsync serves every batch that waits (group commit). Readers have connections of their
//! own and see what is committed. A lock file keeps a second writing process out; a process that only reads uses
//! [`EmbeddedReader`]. The tables are documented in `store.rs`. Local disks only: SQLite's write-ahead log needs shared
//! memory, and a network file system's locks are not to be trusted.

mod error;
mod folder;
mod lock;
mod log;
mod mark;
mod progress;
mod queue;
mod read;
mod reader;
mod reserve;
mod shared;
mod store;
mod tables;
mod task;
mod wal;
mod writer;

#[cfg(test)]
mod folder_tests;
#[cfg(test)]
mod tests;

pub use error::OpenError;
pub use folder::{ControlSeat, Embedded};
pub use log::EmbeddedLog;
pub use progress::Stats;
pub use read::StateEntry;
pub use reader::EmbeddedReader;
pub use store::{DEPLOYMENT_FILE, FORMAT};
pub use tables::{DATA_FILE, record_checksum};
pub use task::EmbeddedTask;

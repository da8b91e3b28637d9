//! The log on Apache Kafka, for many machines: an idempotent producer for those who append, and for each input
//! partition of an application one transactional producer, whose commit holds the outputs, the changed state and the
//! position.
//!
//! State lives in a compacted changelog; a task that takes a partition over fences the owner before, then reads it.
//! Offsets of consumer groups are for display: the position that counts is in the changelog. The traps that were found
//! in librdkafka are noted where they are avoided: mostly in [`transaction`], [`reader`] and [`partition_queue`]. [`state_store`] is a
//! copy of the state, beside the changelog.
//!
//! Without the feature `librdkafka` there is nothing here, so that the workspace builds where there is no make.

#![cfg(feature = "librdkafka")]

mod access;
mod bounds;
mod changelog;
mod client;
mod cluster;
mod config;
mod group;
pub mod growth;
mod library_log;
mod log;
mod member;
mod partition_queue;
pub mod partitions;
mod position;
mod producer;
mod reader;
mod restore;
mod security;
pub mod state_store;
mod tail;
mod takeover;
mod task;
mod topics;
mod transaction;
mod watch;

pub use changelog::Committed;
pub use cluster::Kafka;
pub use config::KafkaConfig;
pub use growth::{Layouts, WriteLease};
pub use log::{KafkaLog, NextWriter};
pub use member::Member;
pub use security::{Properties, PropertyError};
pub use tail::{Tail, TailBounds};
pub use takeover::StateEntries;
pub use task::KafkaTask;

//! The words of Logystera as types: ids, times, the catalogue of signal types, and the records of every topic with
//! their bytes.
//!
//! This crate knows nothing of files, networks, clocks, Kafka, CQL or tokio. Its source of truth is `avsc/`: the
//! catalogue is read from there, and a test holds every hand-written codec against Apache Avro's own.

pub mod limits;

pub mod calendar;
pub mod ids;
pub mod partition;
pub mod text;
pub mod time;

pub mod avro;
pub mod catalogue;
pub mod declare;
pub mod schema;
pub mod signature;

pub mod alert;
pub mod batch;
pub mod control;
pub mod delivery;
pub mod detection;
pub mod json;
pub mod labels;
pub mod noise;
pub mod replay;
pub mod series;
pub mod signals_topic;
pub mod snapshot;
pub mod topic;

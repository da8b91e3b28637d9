//! Benchmarks of the engine and the gateway, beside the peers' figures (`bench/README.md`).

#![expect(clippy::cast_precision_loss, reason = "figures for people, of a few digits")]

pub mod body;
pub mod clock;
pub mod codec;
pub mod control;
pub mod convert;
pub mod cpu;
pub mod engine;
pub mod gateway;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod load;
pub mod neighbour;
pub mod oracle;
pub mod recording;
pub mod table;
pub mod w1;

/// Why a benchmark has no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The rules of the benchmark are not valid.
    #[error("{0}")]
    Rules(String),
    /// The engine stopped.
    #[error(transparent)]
    Engine(#[from] logystera_processor::core::EngineError),
    /// A record of ours could not be read.
    #[error(transparent)]
    Decode(#[from] logystera_schemas::avro::DecodeError),
    /// The log is away.
    #[error(transparent)]
    Log(#[from] logystera_infra::log::LogError),
    /// The broker.
    #[cfg(feature = "kafka")]
    #[error(transparent)]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// A folder of data cannot be opened.
    #[error(transparent)]
    Open(#[from] logystera_infra::embedded::OpenError),
    /// A file, a process or a connection.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What was started did not do its part.
    #[error("{0}")]
    Broken(String),
}

//! What processes that serve share, whether they are one or many.

pub mod advice;
#[cfg(feature = "kafka")]
pub mod health;
pub mod process;
pub(crate) use logystera_installation::quota;
pub mod rule_sets;
pub mod secrets;

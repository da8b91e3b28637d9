//! What processes that serve share, whether they are one or many.

pub mod advice;
pub mod bodies;
#[cfg(feature = "kafka")]
pub mod health;
pub mod process;
pub mod quota;
pub mod secrets;
pub mod supervise;

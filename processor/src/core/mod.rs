//! The pure engine: `apply(state, record) -> outputs`.

pub mod rule;

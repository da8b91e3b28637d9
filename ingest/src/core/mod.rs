//! What the gateway decides, apart from how bytes reach it: pure functions and plain state over facts and a given time.

pub(crate) mod verify;

pub mod replay;

pub mod recall;

pub(crate) mod clock;

pub mod election;

pub(crate) mod rhythm;

pub mod connections;

pub mod quota;

pub mod admit;

pub(crate) mod inflate;

pub mod refusal;

pub(crate) mod tally;

//! What the gateway decides, apart from how bytes reach it: pure functions and plain state over facts and a given time.

pub mod verify;

pub mod replay;

pub mod clock;

pub mod election;

pub mod rhythm;

pub mod crowd;

pub mod quota;

pub mod admit;

pub mod inflate;

pub mod refusal;

pub mod tally;

//! The binary as its users meet it: what the tests share. A real process, a real folder, real sockets; the requests are
//! signed here by code that shares nothing with the gateway's.

#![expect(clippy::panic, reason = "a test fails by it")]

pub mod docs;
pub mod golden;
pub mod hostile;
pub mod leak;
pub mod post;
pub mod process;
pub mod receiver;
pub mod refusals;
pub mod send;
pub mod services;
pub mod wire;

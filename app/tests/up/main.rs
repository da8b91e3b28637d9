//! The real binary, as its users call it.

mod commands;
mod replay;
mod support;

//! The real binary, as its users call it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod channels;
mod commands;
mod dead_letters;
mod folder;
mod full_disk;
mod idle;
mod reload;
mod replay;
mod sending;
mod series;
mod silences;
mod site_names;
mod sites;
mod skip;
mod snapshots;
mod support;

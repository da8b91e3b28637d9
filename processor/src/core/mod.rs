//! The pure engine: `apply(state, record) -> outputs`.
//!
//! It reads no clock, draws no random number, iterates no unordered map and does no I/O: the same log and the same rules
//! give the same detections, byte for byte. Data flows downwards:
//!
//! - [`engine`]: the sites of a partition, log time ([`log_time`]), and what all hold together ([`holding`])
//! - [`site`]: dedup and spools (`spools`, each a [`spool`]), the hold and the watermark (`hold`), refusals (`refusal`),
//!   switched types (`switched`), silence (`silence`, [`blind`]), a clock that was wrong (`reset`); [`head`] is what it keeps
//! - [`board`]: groups and deadlines of the site's rules ([`program`] is the rule set made ready), what makes room
//!   ([`evict`]), when absences count ([`absence`])
//! - [`group`]: one group: its [`window`], its [`episode`] (the state machine), its [`evidence`]
//! - [`voice`]: detections, numbered and chained
//! - [`state`]: all of it as entries of a store, and a key group's at a place in the log ([`snapshot`])
//! - [`view`]: what those entries say of a site, for people

pub mod rule;

pub mod engine;
pub mod holding;
pub mod log_time;
pub mod snapshot;
pub mod state;
pub mod view;

pub mod head;
mod hold;
mod refusal;
mod reset;
mod silence;
pub mod site;
pub mod spool;
mod spools;
mod switched;

pub mod absence;
pub mod blind;
pub mod board;
pub mod evict;
pub mod program;

pub mod episode;
pub mod evidence;
pub mod group;
pub mod voice;
pub mod window;

//! What is configured now, for the gateway, the engine's task, the alerter and the commands: topic `control` as a
//! snapshot in memory, which follows the topic, so that a revocation takes effect within seconds.

mod follow;
mod rule_sets;
mod skips;
mod snapshot;
mod sorted;
mod unreadable;

pub use follow::{DirectoryView, DirectoryWatch};
pub use skips::Skips;
pub use snapshot::{Directory, entry};

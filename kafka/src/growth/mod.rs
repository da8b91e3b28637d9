//! How a topic gets more partitions while traffic flows: how the generations are laid out, who may write meanwhile, and
//! the steps.

mod coordinator;
mod layout;
mod lease;
mod lease_state;
mod plan;

pub use coordinator::{Growth, GrowthError, Readers, Step};
pub use layout::Layouts;
pub(super) use lease::AppendPermit;
pub use lease::WriteLease;

//! The actors of `up --demo`: a site that misbehaves after half a minute, a receiver that prints the alert, and the story of
//! both. Where they act is the binary's affair.

pub mod follow;
pub mod receiver;
pub mod site;
pub mod story;

//! The planner and its channels.

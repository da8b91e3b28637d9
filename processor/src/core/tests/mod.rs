//! Tests of what other crates do not see.

mod bounds;
mod once;
mod transitions;
mod windows;

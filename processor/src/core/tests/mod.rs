//! Tests of what other crates do not see.

mod bounds;
mod transitions;
mod windows;

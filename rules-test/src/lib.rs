//! Runs the tests that stand in rule files: with the engine itself, on no log, with no clock and no files.
//!
//! - `timeline`: the signals of a test, one by one
//! - `world`: an engine with one site, which is told of them
//! - `run`: what is expected beside what is seen, `notify` what is told
//! - `why`: what came until then, counted by hand (each of the `measures`, or of the `absences`): the reason that is given where they differ
//! - `shown`: results for a terminal and as `JUnit` XML

mod absences;
mod groups;
mod measures;
mod notify;
mod timeline;
mod why;
mod world;

mod run;
mod shown;

pub use run::{Failure, RuleResult, TestResult, Unrunnable, run};
pub use shown::{junit, shown};

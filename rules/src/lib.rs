//! Rule files: YAML in, a checked [`RuleSet`](logystera_processor::core::RuleSet) out, or errors that name line, column
//! and the way out; and the default pack, whose files stand beside `src/`.
//!
//! Parsing does the checking: what comes out can run. It is pure: files are read by the caller. The engine knows nothing
//! of all this: it is handed the sets. `docs/rules.md` is the manual.

mod code;
mod duration;
mod escalate;
mod excerpt;
mod explain;
mod foreign;
mod read;
mod report;
mod suggest;
mod yaml;

mod clauses;
mod condition;
mod definition;
mod extras;
mod filter;
mod measure;
mod message;
mod metric;
mod threshold;
mod vanity;
mod watch;
mod window;

mod lint;

mod canonical;
mod cost;
mod metric_set;
mod set;
mod trial;

mod catalogue_doc;
mod pack;

#[cfg(test)]
mod tests;

pub use catalogue_doc::catalogue_markdown;
pub use code::Code;
pub use cost::WorstCase;
pub use duration::short as span;
pub use excerpt::{WIDTH, wrapped};
pub use explain::{codes, explain};
pub use pack::{DEFAULT_METRICS, DEFAULT_PACK, default_pack, pack_yaml, rules_yaml};
pub use report::{Diagnostic, Level, summary};
pub use set::{Checked, check, check_files, from_canonical, from_yaml, published, recorded};
pub use trial::{Expectation, Notify, RuleTest, RuleTests, TestSignal, TestState, TestValue, ToldAt};

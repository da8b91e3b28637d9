//! The pure engine: `apply(state, record) -> outputs`.
//!
//! It reads no clock, draws no random number, iterates no unordered map and does no I/O: the same log and the same rules
//! give the same detections, byte for byte. Data flows downwards:
//!
//! - [`engine`]: the sites of a partition, log time (`log_time`), when they must be looked at (`wakes`), and what all hold
//!   together (`holding`)
//! - `site`: dedup and spools (`spools`, each a `spool`), the hold and the watermark (`hold`), refusals (`refusal`), switched
//!   types (`switched`), silence (`silence`), a clock that was wrong (`reset`); `record` is what is stored of it each time
//! - `rule_groups`: groups and deadlines of the site's rules (`program` is the rule set made ready), what makes room (`evict`,
//!   in its `eviction_order`), from where absences count (`absences`), other rules (`reprogram`)
//! - `group`: one group: its `conditions` (a file for each kind), its `episode` (the state machine; `once`, if each match is told by itself),
//!   its `evidence`
//! - `measure`: where a site counts for its metrics; what it counts, minute by minute, is `logystera-series`
//! - `chain`: detections, numbered and linked
//! - `state`: all of it as entries of a store, each under a `key`, and a key group's at a place in the log (`snapshot`, when
//!   its `schedule` says)
//! - `view`: what those entries say of a site, for people; `why`: what they say of a rule there; `standing`: how a rule stands in an engine
//!
//! A checked rule, and what it is made of, is `logystera-ruleset`.
//!
//! What stands here is what other crates may use.

mod engine;
mod holding;
mod key;
mod log_time;
mod schedule;
mod snapshot;
mod standing;
mod state;
mod view;
mod wakes;
mod why;

mod held;
mod hold;
mod measure;
mod record;
mod refusal;
mod reset;
mod silence;
mod site;
mod spool;
mod spools;
mod switched;
mod version;

mod absences;
mod evict;
mod eviction_order;
mod program;
mod reprogram;
mod rule_groups;

mod chain;
mod conditions;
mod episode;
mod evidence;
mod group;
mod group_key;
mod once;

#[cfg(test)]
mod tests;

pub use chain::DetectionChain;
pub use conditions::kind::Progress;
pub use engine::{Engine, EngineError, Output, SEMANTICS};
pub use group::bytes_max as group_bytes_max;
pub use holding::HeldTotal;
pub use log_time::LogTime;
pub use logystera_ruleset::{
    Clause, Condition, Escalation, Expected, Filter, LabelValues, Metric, MetricKind, MetricLabel, NamedRange, Part,
    PartTest, Piece, Predicate, Rule, RuleSet, StateLimits, Template, Test, Worse, show_value,
};
pub use record::{Outcomes, SiteRecord};
pub use spool::{KeyWindow, SilentSince, Spool};
pub use standing::{GroupStanding, Stage};
pub use state::{Known, Put};
pub use version::Version;
pub use view::{Gathering, HeldView, SiteView, SpoolStatus, SpoolView, Until, Wait};
pub use why::{GroupView, Next, RuleGathering, RuleView, SilenceView};

//! What a checked rule set is: rules, filters, message templates, metric definitions; and how a filter is judged.
//!
//! It is pure, and checks nothing: what stands in a set was checked by `logystera-rules`, which makes it of text. The engine
//! runs it.

mod filter;
mod metric;
mod rule;
mod template;
mod value;

pub use filter::{Clause, Filter, Part, PartTest, Predicate, Test};
pub use metric::{LabelValues, Metric, MetricKind, MetricLabel, NamedRange};
pub use rule::{Condition, Escalation, Expected, Rule, RuleSet, StateLimits, Worse};
pub use template::{Piece, Template};
pub use value::{digest, read_present, show as show_value, write_present};

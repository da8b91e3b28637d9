//! Rules that can be used, and may not do what they say. Each finding is a warning: a set that was published once must
//! stay readable.

mod domain;

mod conditions;
mod people;
mod values;

use logystera_processor::core::Rule;

use crate::report::Report;
use crate::yaml::Node;

/// Looks for what may not be meant in one rule, which stands at `node`.
pub(crate) fn rule(node: &Node, rule: &Rule, report: &mut Report<'_>) {
    values::check(node, rule, report);
    conditions::check(node, rule, report);
    people::check(node, rule, report);
}

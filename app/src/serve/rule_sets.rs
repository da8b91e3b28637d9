//! The rule sets of topic `control`, for the engine.

use logystera_infra::directory::DirectoryView;
use logystera_infra::log::Log;
use logystera_processor::core::RuleSet;
use logystera_processor::task::{NoRuleSet, RuleSets};
use logystera_rules::recorded;
use logystera_schemas::ids::Sha256Digest;

/// The rule sets whose bodies stand in the topic. The snapshot in memory can be behind the record that names one: then the log itself is read on.
pub(crate) struct ControlRules<L> {
    /// The log.
    pub(crate) log: L,
    /// What is known of topic `control`.
    pub(crate) view: DirectoryView,
}

impl<L: Log> RuleSets for ControlRules<L> {
    fn find(&mut self, digest: &Sha256Digest) -> Result<RuleSet, NoRuleSet> {
        recorded(self.view.rule_set(&self.log, digest).ok().flatten().as_deref())
    }
}

//! The bodies of rule sets, for the engine.

use std::sync::Arc;

use logystera_infra::control::DirectoryView;
use logystera_infra::log::Log;
use logystera_processor::task::Bodies;
use logystera_schemas::ids::Sha256Digest;

/// The configurations' bodies. The snapshot in memory can be behind the record that names one: then the log itself is read on.
pub(crate) struct ControlBodies<L> {
    /// The log.
    pub(crate) log: L,
    /// What is known of topic `control`.
    pub(crate) view: DirectoryView,
}

impl<L: Log> Bodies for ControlBodies<L> {
    fn find(&mut self, digest: &Sha256Digest) -> Option<String> {
        let known = self.view.current().rule_set(digest).cloned();
        let body = match known {
            Some(known) => known,
            None => Arc::clone(self.view.caught_up(&self.log).ok()?.rule_set(digest)?),
        };
        String::from_utf8(body.body.0.clone()).ok()
    }
}

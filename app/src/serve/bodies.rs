//! The bodies of rule sets, for the engine.

use logystera_infra::directory::DirectoryView;
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
        let body = self.view.rule_set(&self.log, digest).ok()??;
        String::from_utf8(body.body.0.clone()).ok()
    }
}

//! What no channel was told of, until it is decided who is.

use std::sync::Arc;

use logystera_schemas::alert::{Digest, Failed, Merged};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::EpisodeId;

use super::counted::AlertRef;

/// What no channel was told of.
#[derive(Debug, Default)]
pub(super) struct Untold {
    /// Detections, and what each would have told besides.
    pub(super) alerts: Vec<(Arc<Detection>, Merged)>,
    pub(super) digests: Vec<UntoldDigest>,
}

/// What of a digest no channel was told of.
#[derive(Debug)]
pub(super) struct UntoldDigest {
    pub(super) digest: Digest,
    /// The channel that did not take it.
    pub(super) failed: Failed,
    /// What the message is about if it names none: the detection that the digest was about.
    pub(super) about: (Arc<Detection>, Merged),
    /// Those that it names.
    pub(super) named: Vec<(Arc<Detection>, Merged)>,
    /// Those that it counts. None: a version before stored no more than the episode.
    pub(super) counted: Vec<(EpisodeId, Option<AlertRef>)>,
}

/// How an alert stands when one more of its deliveries has ended, or one could not be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whether a channel failed to take it.
    pub(super) failed: bool,
    /// Whether a channel took it, or knew of it before; or a newer line tells it.
    pub(super) reached: bool,
    /// Whether another channel is still to be told of it, now or later.
    pub(super) pending: bool,
}

impl Standing {
    /// Whether nobody is told of it, so that the fallback channel is. This is decided here and nowhere else.
    pub(super) const fn is_lost(self) -> bool {
        self.failed && !self.reached && !self.pending
    }
}

impl Untold {
    /// One detection, which tells nothing besides.
    pub(super) fn one(detection: &Arc<Detection>) -> Self {
        Self { alerts: vec![(Arc::clone(detection), Merged::default())], digests: Vec::new() }
    }
}

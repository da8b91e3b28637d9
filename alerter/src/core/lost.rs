//! What no channel was told of, until it is decided who is.

use std::sync::Arc;

use logystera_schemas::alert::{Digest, Failed, Merged};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::EpisodeId;

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
    /// Those that it names; at least one.
    pub(super) named: Vec<(Arc<Detection>, Merged)>,
    /// The episodes of those that it counts.
    pub(super) counted: Vec<EpisodeId>,
}

impl Untold {
    /// One detection, which tells nothing besides.
    pub(super) fn one(detection: &Arc<Detection>) -> Self {
        Self { alerts: vec![(Arc::clone(detection), Merged::default())], digests: Vec::new() }
    }
}

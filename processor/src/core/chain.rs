//! A site's detections: each has a number and is linked to the one before, so that it shows if one is changed or taken
//! out later.

use logystera_ruleset::Rule;
use logystera_schemas::avro_record;
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Evidence, Severity};
use logystera_schemas::ids::{EpisodeId, RuleName, Sha256Digest, SiteId, TenantId};
use logystera_schemas::time::SiteMs;
use sha2::{Digest, Sha256};

use super::group_key::labels_of;

avro_record! {
    /// Where a site's chain of detections stands, and what each of them carries.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DetectionChain {
        /// Tenant.
        pub tenant: TenantId,
        /// Site.
        pub site: SiteId,
        /// The site's name for people.
        pub name: String,
        /// Number of the newest detection.
        pub seq: u64,
        /// Chain value of the newest detection.
        pub newest: Sha256Digest,
    }
}

/// What differs from one detection of a rule to the next.
#[derive(Debug)]
pub(crate) struct Emission<'a> {
    /// Key of the group.
    pub(crate) group: &'a [u8],
    /// How bad it is.
    pub(crate) severity: Severity,
    /// State that was reached.
    pub(crate) state: DetectionState,
    /// Why.
    pub(crate) reason: DetectionReason,
    /// Matches of the episode.
    pub(crate) count: u64,
    /// Firings held back.
    pub(crate) held: u64,
    /// When the condition became true, in milliseconds: site time; wall time for the silence of a site.
    pub(crate) started_at: i64,
    /// When the state was reached, in milliseconds of the same time.
    pub(crate) now: i64,
    /// Newest matches.
    pub(crate) evidence: Vec<Evidence>,
}

impl DetectionChain {
    /// The chain of a site without detections.
    pub(crate) fn new(tenant: TenantId, site: SiteId, name: String) -> Self {
        let newest = Detection::genesis(&site);
        Self { tenant, site, name, seq: 0, newest }
    }

    /// Makes the next detection of the chain, for `rule`.
    pub(crate) fn emit(&mut self, rule: &Rule, emission: Emission<'_>) -> Detection {
        let once = rule.condition.tells_each() && emission.reason != DetectionReason::Overflow;
        let id = self.episode_id(&rule.name, emission.group, emission.started_at, once);
        let group = labels_of(rule, emission.group);
        let message = match emission.reason {
            DetectionReason::Overflow => format!(
                "More groups on {} than the rule may keep: the least recently seen were dropped, {} so far",
                self.name, emission.count
            ),
            _ => rule.message.fill(emission.count, &self.name, &group),
        };
        self.link(Detection {
            id,
            tenant: self.tenant.clone(),
            site: self.site.clone(),
            encryption_key: None,
            rule: rule.name.clone(),
            revision: rule.revision.clone(),
            title: rule.title.clone(),
            severity: emission.severity,
            subsystem: rule.subsystem.clone(),
            state: emission.state,
            reason: emission.reason,
            group,
            count: emission.count,
            held: emission.held,
            started_at: emission.started_at,
            last_evaluated_at: emission.now,
            evidence: emission.evidence,
            message,
            url: format!("/sites/{}/alerts/{id}", self.site),
            seq: 0,
            chain: Sha256Digest([0; 32]),
            bundle: rule.bundle.clone(),
            once,
        })
    }

    /// Makes the detection that says that the time of the site went back from `now` to `to`. It is suppressed: it is
    /// recorded, and nobody is told.
    pub(crate) fn emit_reset(&mut self, to: SiteMs, now: SiteMs) -> Detection {
        let rule = reset_rule();
        let id = self.episode_id(&rule, &[], to.0, false);
        self.link(Detection {
            id,
            tenant: self.tenant.clone(),
            site: self.site.clone(),
            encryption_key: None,
            rule,
            revision: "000000000000".to_owned(),
            title: "The site's time starts anew".to_owned(),
            severity: Severity::Info,
            subsystem: "integration".to_owned(),
            state: DetectionState::Suppressed,
            reason: DetectionReason::ClockReset,
            group: Vec::new(),
            count: 0,
            held: 0,
            started_at: to.0,
            last_evaluated_at: now.0,
            evidence: Vec::new(),
            message: "The clock ran ahead; judging goes on at the right time".to_owned(),
            url: format!("/sites/{}/alerts/{id}", self.site),
            seq: 0,
            chain: Sha256Digest([0; 32]),
            bundle: None,
            once: false,
        })
    }

    /// Gives a detection its number and its place in the chain.
    fn link(&mut self, mut detection: Detection) -> Detection {
        self.seq += 1;
        detection.seq = self.seq;
        detection.chain = detection.link(&self.newest);
        self.newest = detection.chain;
        detection
    }

    /// Names an episode by its beginning. What is told once is an episode by itself, also if several happen at one time: its
    /// number names it, too.
    fn episode_id(&self, rule: &RuleName, group: &[u8], started_at: i64, once: bool) -> EpisodeId {
        let mut sha = Sha256::new();
        sha.update(self.site.as_str());
        sha.update([0]);
        sha.update(rule.as_str());
        sha.update([0]);
        sha.update(group);
        sha.update(started_at.to_be_bytes());
        if once {
            sha.update((self.seq + 1).to_be_bytes());
        }
        let digest: [u8; 32] = sha.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        EpisodeId(id)
    }
}

/// The name under which it is recorded that a site's time starts anew.
#[expect(clippy::expect_used, reason = "a constant, and a test reads it")]
fn reset_rule() -> RuleName {
    "site-time".parse().expect("a rule name")
}

//! How a site speaks: it numbers its detections and links them into its chain.

use logystera_schemas::avro_record;
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Evidence, Severity};
use logystera_schemas::ids::{EpisodeId, RuleName, Sha256Digest, SiteId, TenantId};
use logystera_schemas::time::SiteMs;
use sha2::{Digest, Sha256};

use super::group::labels_of;
use super::rule::Rule;

avro_record! {
    /// What a site's detections carry, and where its numbering and its chain stand.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Voice {
        /// Tenant.
        pub tenant: TenantId,
        /// Site.
        pub site: SiteId,
        /// The site's name for people.
        pub name: String,
        /// Number of the newest detection.
        pub seq: u64,
        /// Chain value of the newest detection.
        pub chain: Sha256Digest,
    }
}

/// What a detection says that differs from one to the next.
#[derive(Debug)]
pub struct Saying<'a> {
    /// Key of the group.
    pub group: &'a [u8],
    /// State that was reached.
    pub state: DetectionState,
    /// Why.
    pub reason: DetectionReason,
    /// Matches of the episode.
    pub count: u64,
    /// Firings held back.
    pub held: u64,
    /// When the condition became true.
    pub started_at: i64,
    /// When that was found.
    pub now: i64,
    /// Newest matches.
    pub evidence: Vec<Evidence>,
}

impl Voice {
    /// A site that has said nothing yet.
    pub fn new(tenant: TenantId, site: SiteId, name: String) -> Self {
        let chain = Detection::genesis(&site);
        Self { tenant, site, name, seq: 0, chain }
    }

    /// The next detection.
    pub fn speak(&mut self, rule: &Rule, saying: Saying<'_>) -> Detection {
        let id = self.episode_id(&rule.name, saying.group, saying.started_at);
        let group = labels_of(rule, saying.group);
        let message = match saying.reason {
            DetectionReason::Overflow => format!(
                "More groups on {} than the rule may keep: the least recently seen were dropped, {} so far",
                self.name, saying.count
            ),
            _ => rule.message.fill(saying.count, &self.name, &group),
        };
        self.link(Detection {
            id,
            tenant: self.tenant.clone(),
            site: self.site.clone(),
            encryption_key: None,
            rule: rule.name.clone(),
            revision: rule.revision.clone(),
            title: rule.title.clone(),
            severity: rule.severity,
            subsystem: rule.subsystem.clone(),
            state: saying.state,
            reason: saying.reason,
            group,
            count: saying.count,
            held: saying.held,
            started_at: saying.started_at,
            last_evaluated_at: saying.now,
            evidence: saying.evidence,
            message,
            url: format!("/sites/{}/alerts/{id}", self.site),
            seq: 0,
            chain: Sha256Digest([0; 32]),
        })
    }

    /// What is put on record, and told to nobody, when the site's time starts anew at `to`, from `now`.
    pub fn speak_of_reset(&mut self, to: SiteMs, now: SiteMs) -> Detection {
        let rule = reset_rule();
        let id = self.episode_id(&rule, &[], to.0);
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
        })
    }

    /// Gives a detection its number and its place in the chain.
    fn link(&mut self, mut detection: Detection) -> Detection {
        self.seq += 1;
        detection.seq = self.seq;
        detection.chain = detection.link(&self.chain);
        self.chain = detection.chain;
        detection
    }

    fn episode_id(&self, rule: &RuleName, group: &[u8], started_at: i64) -> EpisodeId {
        let mut sha = Sha256::new();
        sha.update(self.site.as_str());
        sha.update([0]);
        sha.update(rule.as_str());
        sha.update([0]);
        sha.update(group);
        sha.update(started_at.to_be_bytes());
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

//! How a site tells what was found: numbered, chained, in words (design, section 6, "A detection carries").

use logystera_processor::core::Rule;
use logystera_schemas::detection::{Detection, DetectionReason};
use logystera_schemas::ids::{EpisodeId, Sha256Digest};

use super::group::{Group, Said};
use super::measures::tells_each;
use super::site::Site;
use super::{show, worse};

impl Site {
    /// Appends a detection of a group.
    pub(super) fn emit(&mut self, rule: &Rule, key: &[u8], group: &Group, said: Said) {
        self.seq += 1;
        let mut identity = Vec::new();
        for part in [self.id.as_str().as_bytes(), rule.name.as_str().as_bytes(), key] {
            identity.extend_from_slice(part);
            identity.push(0);
        }
        identity.pop();
        identity.extend_from_slice(&said.started_at.to_be_bytes());
        let once = tells_each(rule) && said.reason != DetectionReason::Overflow;
        if once {
            // Several may happen at one time: the number names it.
            identity.extend_from_slice(&self.seq.to_be_bytes());
        }
        let mut id = EpisodeId([0; 16]);
        id.0.copy_from_slice(&Sha256Digest::of(&identity).0[..16]);
        let mut detection = Detection {
            id,
            tenant: self.config.tenant.clone(),
            site: self.id.clone(),
            encryption_key: None,
            rule: rule.name.clone(),
            revision: rule.revision.clone(),
            title: rule.title.clone(),
            severity: worse::severity(rule, said.level),
            subsystem: rule.subsystem.clone(),
            state: said.state,
            reason: said.reason,
            group: group.labels.clone(),
            count: said.count,
            held: said.held,
            started_at: said.started_at,
            last_evaluated_at: said.at,
            evidence: group.evidence(rule),
            message: match said.reason {
                DetectionReason::Overflow => format!(
                    "More groups on {} than the rule may keep: the least recently seen were dropped, {} so far",
                    self.config.name, said.count
                ),
                _ => show::message(rule, said.count, &self.config.name, &group.labels),
            },
            url: format!("/sites/{}/alerts/{id}", self.id),
            seq: self.seq,
            chain: self.chain,
            bundle: rule.bundle.clone(),
            once,
        };
        detection.chain = detection.link(&self.chain);
        self.chain = detection.chain;
        self.said.push(detection);
    }
}

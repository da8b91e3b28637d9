//! Rows of the delivery history.

use logystera_schemas::delivery::{Attempt, AttemptState};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId, EpisodeId, Sha256Digest, TenantId};
use logystera_schemas::time::WallMs;

use super::counted::AlertRef;
use super::reason::Reason;
use super::retry;

/// One delivery about to get a row.
pub(super) struct RowOf<'a> {
    pub(super) detection: &'a Detection,
    pub(super) channel: &'a str,
    pub(super) delivery: DeliveryId,
    pub(super) attempt: u32,
    /// Set if the delivery is the news that this channel was switched off.
    pub(super) disabled: Option<&'a ChannelId>,
}

impl RowOf<'_> {
    pub(super) fn row(&self, state: AttemptState, reason: &Reason, at: WallMs) -> Attempt {
        Attempt {
            tenant: self.detection.tenant.clone(),
            site: self.detection.site.clone(),
            encryption_key: self.detection.encryption_key.clone(),
            detection: self.detection.id,
            seq: self.detection.seq,
            rule: self.detection.rule.clone(),
            channel: self.channel.to_owned(),
            delivery: self.delivery,
            attempt: self.attempt,
            state,
            reason: reason.to_string(),
            status: None,
            at,
            next_attempt_at: None,
            disabled: self.disabled.cloned(),
            outcome: None,
            // When all rows of a record are there they are linked.
            number: 0,
            chain: None,
            semantics: 0,
        }
    }
}

/// A line that a channel does not get now.
pub(super) fn not_sent(
    detection: &Detection,
    channel: &str,
    reason: &Reason,
    next: Option<WallMs>,
    wall: WallMs,
) -> Attempt {
    let delivery = retry::delivery_id(detection, channel, None);
    let row = RowOf { detection, channel, delivery, attempt: 0, disabled: None };
    Attempt { next_attempt_at: next, ..row.row(AttemptState::NotSent, reason, wall) }
}

/// An alert that reached nobody.
pub(super) fn nobody_told(tenant: &TenantId, episode: EpisodeId, alert: &AlertRef, wall: WallMs) -> Attempt {
    let AlertRef { site, seq, chain, encryption_key, rule } = alert;
    Attempt {
        tenant: tenant.clone(),
        site: site.clone(),
        encryption_key: encryption_key.clone(),
        detection: episode,
        seq: *seq,
        rule: rule.clone(),
        channel: String::new(),
        delivery: retry::id_of(chain, "", None),
        attempt: 0,
        state: AttemptState::NotSent,
        reason: Reason::NobodyTold.to_string(),
        status: None,
        at: wall,
        next_attempt_at: None,
        disabled: None,
        outcome: None,
        number: 0,
        chain: None,
        semantics: 0,
    }
}

/// The newest link of a tenant's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Number of the row.
    pub(super) number: u64,
    /// Its chain value.
    pub(super) chain: Sha256Digest,
}

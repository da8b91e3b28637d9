//! Topic `detections`, the firing topic: what the engine says. Key: the tenant.

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use sha2::{Digest, Sha256};

use crate::avro::{Datum, Writer};
use crate::ids::{EpisodeId, RuleName, Sha256Digest, SiteId, TenantId};
use crate::schema::{Kind, TopicRecord};
use crate::{avro_enum, avro_record};

avro_enum! {
    /// How bad it is.
    pub enum Severity {
        /// Worth knowing; nothing to do now.
        Info = "info",
        /// Look at it today.
        Warning = "warning",
        /// Visitors or the site's safety suffer: act now.
        Critical = "critical",
    }
}

avro_enum! {
    /// The state that a group reached.
    pub enum DetectionState {
        /// A person should hear of it.
        Firing = "firing",
        /// It is over.
        Resolved = "resolved",
        /// It fired while a suppression ran: recorded, not told.
        Suppressed = "suppressed",
    }
}

avro_enum! {
    /// Why a detection was written.
    pub enum DetectionReason {
        /// The condition held for as long as the rule asks.
        Firing = "firing",
        /// The suppression ended and the condition still, or again, holds.
        SuppressionExpired = "suppression_expired",
        /// The condition was false for as long as the rule asks.
        Resolved = "resolved",
        /// What used to come did not come.
        Stopped = "stopped",
        /// What is expected never came.
        NeverSeen = "never_seen",
        /// The whole site is silent.
        Blind = "blind",
        /// The group made room for others.
        Evicted = "evicted",
        /// The rule has more groups than it may.
        Overflow = "overflow",
        /// The rule is no longer there.
        RuleRemoved = "rule_removed",
        /// The rule counts something else now.
        RuleChanged = "rule_changed",
        /// The site was closed.
        SiteClosed = "site_closed",
        /// The clock of the log was set back, and the site's time starts anew.
        ClockReset = "clock_reset",
        /// What should come was missed for so long that it is expected no more.
        Forgotten = "forgotten",
        /// The alert grew worse: its severity is higher from here on.
        Escalated = "escalated",
    }
}

avro_record! {
    /// A field and its value, as text.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Label {
        /// Name of the field.
        pub field: String,
        /// Its value as JSON would show it, without quotes.
        pub value: String,
    }
}

avro_record! {
    /// One matching signal, cut to what the rule allows.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Evidence {
        /// Site time of the signal, milliseconds since the epoch.
        pub at: i64,
        /// Its allowlisted fields.
        pub fields: Vec<Label>,
    }
}

avro_enum! {
    /// What the alerts of a bundle have in common, besides their rule.
    pub enum BundleBy {
        /// The tenant, which they have anyway: alerts of all its sites go together.
        Tenant = "tenant",
        /// The site.
        Site = "site",
        /// The rule, which they have anyway.
        Rule = "rule",
        /// How bad it is.
        Severity = "severity",
        /// The part of the site.
        Subsystem = "subsystem",
    }
}

avro_record! {
    /// How a rule's alerts may be put together.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct BundleSpec {
        /// What the alerts of a bundle have in common besides their rule, in order, each once.
        pub by: Vec<BundleBy>,
        /// How long the first alert waits for others, in milliseconds.
        pub wait_ms: i64,
        /// Alerts in one bundle at most.
        pub max: u32,
    }
}

avro_record! {
    /// A group of a rule changed its state. Written by the engine, once; kept as long as the topic.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Detection {
        /// The episode.
        pub id: EpisodeId,
        /// Tenant.
        pub tenant: TenantId,
        /// Site.
        pub site: SiteId,
        /// Id of the key that the values are encrypted under.
        pub encryption_key: Option<String>,
        /// Name of the rule.
        pub rule: RuleName,
        /// 12 hex digits of the rule's canonical form.
        pub revision: String,
        /// Title of the rule.
        pub title: String,
        /// How bad.
        pub severity: Severity,
        /// Part of the site.
        pub subsystem: String,
        /// State that was reached.
        pub state: DetectionState,
        /// Why.
        pub reason: DetectionReason,
        /// The group, in the rule's order.
        pub group: Vec<Label>,
        /// Matches of the episode.
        pub count: u64,
        /// Firings that the suppression held back since the last one emitted.
        pub held: u64,
        /// Site time at which the condition became true.
        pub started_at: i64,
        /// Site time of this evaluation.
        pub last_evaluated_at: i64,
        /// Newest matching signals, oldest first.
        pub evidence: Vec<Evidence>,
        /// The rule's message, filled in.
        pub message: String,
        /// Path of the alert in the console.
        pub url: String,
        /// Number of the detection in its site, from 1.
        pub seq: u64,
        /// Links the site's detections: see [`Detection::link`].
        pub chain: Sha256Digest,
        /// How its alert may be put together with others; none: not at all. It says how a detection is delivered, and
        /// is no part of what was found: the chain does not cover it.
        pub bundle: Option<BundleSpec> where since 3,
        /// Whether it says what happened, of a rule that tells each match: nothing is open, and no other detection follows that
        /// says that it is over. The chain covers it only if it is set.
        pub once: bool where since 4,
    }
}

impl TopicRecord for Detection {
    const KIND: Kind = Kind::Detection;
}

impl Detection {
    /// The chain value before a site's first detection: SHA-256 of the site's id.
    pub fn genesis(site: &SiteId) -> Sha256Digest {
        Sha256Digest::of(site.as_str().as_bytes())
    }

    /// The chain value of this detection after `previous`: SHA-256(previous ‖ the datum with `chain` zeroed and without
    /// `bundle`, and without `once` unless that is set).
    #[must_use]
    pub fn link(&self, previous: &Sha256Digest) -> Sha256Digest {
        let zeroed = Self { chain: Sha256Digest([0; 32]), bundle: None, ..self.clone() };
        let mut datum = Writer::new();
        zeroed.write(&mut datum);
        let mut bytes = datum.into_bytes();
        // The last bytes say that there is no `bundle`, which is not covered, and whether it is `once`.
        bytes.truncate(bytes.len() - 2);
        if self.once {
            bytes.push(1);
        }
        let mut sha = Sha256::new();
        sha.update(previous.0);
        sha.update(bytes);
        Sha256Digest(sha.finalize().into())
    }
}

struct Labels<'a>(&'a [Label]);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|l| (&l.field, &l.value)))
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.fields.len()))?;
        map.serialize_entry("at", &self.at)?;
        for label in &self.fields {
            map.serialize_entry(&label.field, &label.value)?;
        }
        map.end()
    }
}

/// The JSON of design section 11, with `held` besides, and `once` if it is set. How it is delivered, `bundle`, is not in it.
impl Serialize for Detection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Detection", 21)?;
        map.serialize_field("id", &self.id)?;
        map.serialize_field("tenant", &self.tenant)?;
        map.serialize_field("site", &self.site)?;
        map.serialize_field("rule", &self.rule)?;
        map.serialize_field("revision", &self.revision)?;
        map.serialize_field("title", &self.title)?;
        map.serialize_field("severity", &self.severity)?;
        map.serialize_field("subsystem", &self.subsystem)?;
        map.serialize_field("state", &self.state)?;
        map.serialize_field("reason", &self.reason)?;
        map.serialize_field("group", &Labels(&self.group))?;
        map.serialize_field("count", &self.count)?;
        map.serialize_field("held", &self.held)?;
        map.serialize_field("started_at", &self.started_at)?;
        map.serialize_field("last_evaluated_at", &self.last_evaluated_at)?;
        map.serialize_field("evidence", &self.evidence)?;
        map.serialize_field("message", &self.message)?;
        map.serialize_field("url", &self.url)?;
        map.serialize_field("seq", &self.seq)?;
        map.serialize_field("chain", &self.chain)?;
        if self.once {
            map.serialize_field("once", &true)?;
        }
        map.end()
    }
}

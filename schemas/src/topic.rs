//! The topics: what may stand in each, and how a record of one is read.

use crate::avro::{Datum, DecodeError, Reader};
use crate::batch::Batch;
use crate::control::{Entity, GrowingTopic};
use crate::delivery::{AttemptEnded, AttemptStarted, ChannelEnabled, ChannelsConfigured, Resend};
use crate::detection::Detection;
use crate::labels::SiteLabelled;
use crate::noise::Silence;
use crate::schema::{self, Kind};
use crate::signals_topic::{KeyRevoked, Refused, Seal, SiteClosed, SiteConfigured, Tick};

/// A topic of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The engine's whole input. Key: the site; empty for a tick.
    Signals,
    /// The firing topic, and the planner's whole input. Key: the tenant; empty for a tick.
    Detections,
    /// The delivery history. Key: the tenant.
    Attempts,
    /// What is configured. Key: [`Entity::key`]. Compacted.
    Control,
    /// The engine's state, once a day for each key group. Key: the key group. Its partition count never changes.
    Snapshots,
    /// What the metrics of sites counted, a record a site and minute. Key: the site. Its partition count never changes.
    Series,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 6] =
        [Self::Signals, Self::Detections, Self::Attempts, Self::Control, Self::Snapshots, Self::Series];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signals => "signals",
            Self::Detections => "detections",
            Self::Attempts => "attempts",
            Self::Control => "control",
            Self::Snapshots => "snapshots",
            Self::Series => "series",
        }
    }
}

impl From<GrowingTopic> for Topic {
    fn from(topic: GrowingTopic) -> Self {
        match topic {
            GrowingTopic::Signals => Self::Signals,
            GrowingTopic::Detections => Self::Detections,
        }
    }
}

fn whole<R: Datum>(mut reader: Reader<'_>) -> Result<R, DecodeError> {
    let record = R::read(&mut reader)?;
    reader.end()?;
    Ok(record)
}

/// A record of topic `signals`.
#[derive(Clone, Debug)]
pub enum SignalsRecord<'a> {
    /// An accepted batch, borrowed from the record's bytes.
    Batch(Batch<'a>),
    /// What was turned away.
    Refused(Refused),
    /// The clock.
    Tick(Tick),
    /// The configuration that holds from here.
    SiteConfigured(SiteConfigured),
    /// The site's end.
    SiteClosed(SiteClosed),
    /// A key that signs nothing any more.
    KeyRevoked(KeyRevoked),
    /// The partition's end.
    Seal(Seal),
}

impl<'a> SignalsRecord<'a> {
    /// Reads a record's value.
    pub fn decode(value: &'a [u8]) -> Result<Self, DecodeError> {
        let (kind, reader) = schema::open(value)?;
        Ok(match kind {
            Kind::Batch => Self::Batch(Batch::read(reader)?),
            Kind::Refused => Self::Refused(whole(reader)?),
            Kind::Tick => Self::Tick(whole(reader)?),
            Kind::SiteConfigured => Self::SiteConfigured(whole(reader)?),
            Kind::SiteClosed => Self::SiteClosed(whole(reader)?),
            Kind::KeyRevoked => Self::KeyRevoked(whole(reader)?),
            Kind::Seal => Self::Seal(whole(reader)?),
            other => return Err(DecodeError::UnknownSchema(schema::fingerprint(other))),
        })
    }
}

/// A record of topic `detections`.
#[derive(Clone, Debug)]
pub enum DetectionsRecord {
    /// A change of a group's state.
    Detection(Box<Detection>),
    /// The clock, forwarded by the engine.
    Tick(Tick),
    /// A tenant's channels from here on.
    ChannelsConfigured(ChannelsConfigured),
    /// An operator switched a channel on.
    ChannelEnabled(ChannelEnabled),
    /// What a tenant does not want to hear of.
    Silence(Silence),
    /// A site's labels from here on.
    SiteLabelled(SiteLabelled),
    /// An attempt is about to be made.
    AttemptStarted(AttemptStarted),
    /// How an attempt ended.
    AttemptEnded(AttemptEnded),
    /// Somebody asks that a channel gets a detection again.
    Resend(Box<Resend>),
    /// The partition's end.
    Seal(Seal),
}

impl DetectionsRecord {
    /// Reads a record's value.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let (kind, reader) = schema::open(value)?;
        Ok(match kind {
            Kind::Detection => Self::Detection(Box::new(whole(reader)?)),
            Kind::Tick => Self::Tick(whole(reader)?),
            Kind::ChannelsConfigured => Self::ChannelsConfigured(whole(reader)?),
            Kind::ChannelEnabled => Self::ChannelEnabled(whole(reader)?),
            Kind::Silence => Self::Silence(whole(reader)?),
            Kind::SiteLabelled => Self::SiteLabelled(whole(reader)?),
            Kind::AttemptStarted => Self::AttemptStarted(whole(reader)?),
            Kind::AttemptEnded => Self::AttemptEnded(whole(reader)?),
            Kind::Resend => Self::Resend(Box::new(whole(reader)?)),
            Kind::Seal => Self::Seal(whole(reader)?),
            other => return Err(DecodeError::UnknownSchema(schema::fingerprint(other))),
        })
    }
}

impl Entity {
    /// Reads a record's value.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let (kind, reader) = schema::open(value)?;
        Ok(match kind {
            Kind::Tenant => Self::Tenant(whole(reader)?),
            Kind::Site => Self::Site(whole(reader)?),
            Kind::Key => Self::Key(whole(reader)?),
            Kind::RuleSet => Self::RuleSet(whole(reader)?),
            Kind::Channel => Self::Channel(whole(reader)?),
            Kind::Partitions => Self::Partitions(whole(reader)?),
            Kind::Lease => Self::Lease(whole(reader)?),
            Kind::Skip => Self::Skip(whole(reader)?),
            Kind::SiteRules => Self::SiteRules(whole(reader)?),
            Kind::Deployment => Self::Deployment(whole(reader)?),
            Kind::Silence => Self::Silence(whole(reader)?),
            other => return Err(DecodeError::UnknownSchema(schema::fingerprint(other))),
        })
    }

    /// The record's value.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Tenant(r) => schema::encode(r),
            Self::Site(r) => schema::encode(r),
            Self::Key(r) => schema::encode(r),
            Self::RuleSet(r) => schema::encode(r),
            Self::Channel(r) => schema::encode(r),
            Self::Partitions(r) => schema::encode(r),
            Self::Lease(r) => schema::encode(r),
            Self::Skip(r) => schema::encode(r),
            Self::SiteRules(r) => schema::encode(r),
            Self::Deployment(r) => schema::encode(r),
            Self::Silence(r) => schema::encode(r),
        }
    }
}

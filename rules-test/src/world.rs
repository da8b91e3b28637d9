//! An engine with one site under one rule.

use std::sync::Arc;

use logystera_processor::core::{Engine, EngineError, GroupStanding, Output, RuleSet, SEMANTICS};
use logystera_schemas::avro::{DecodeError, Writer};
use logystera_schemas::batch::{BatchHead, Platform, encode, write_signal};
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{IdError, KeyId, RuleName, Sha256Digest, SiteId, SpoolId, TenantId};
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::{SiteConfigured, Tick};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::SignalsRecord;

use crate::timeline::Signal;

/// The start of every test, 2026-01-01 UTC: times are like real ones.
pub(crate) const START_MS: i64 = 1_767_225_600_000;
/// Seconds between batches that the site promises.
const FLUSH_EVERY_S: u32 = 60;

/// Why the engine could not be told.
#[derive(Debug)]
pub(crate) enum WorldError {
    /// A name of ours is none.
    Name(IdError),
    /// A record of ours cannot be read.
    Record(DecodeError),
    /// The engine refuses it.
    Engine(EngineError),
}

impl std::fmt::Display for WorldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::Record(error) => error.fmt(f),
            Self::Engine(error) => error.fmt(f),
        }
    }
}

pub(crate) struct World {
    engine: Engine,
    tenant: TenantId,
    site: SiteId,
    key: KeyId,
    offset: u64,
    seq: u64,
    /// What the engine found, in order.
    pub(crate) found: Vec<Detection>,
}

impl World {
    /// A site under these rules at the start of the test.
    pub(crate) fn new(set: RuleSet) -> Result<Self, WorldError> {
        let mut engine = Engine::new(PartitionRef::ONLY);
        let digest = set.digest;
        engine.learn(Arc::new(set));
        let name = WorldError::Name;
        let (tenant, site) = ("test".parse().map_err(name)?, "test".parse().map_err(name)?);
        let mut world =
            Self { engine, tenant, site, key: "test".parse().map_err(name)?, offset: 0, seq: 0, found: Vec::new() };
        let (site, tenant) = (world.site.clone(), world.tenant.clone());
        let configured = SiteConfigured { site, tenant, name: "the site".to_owned(), digest, semantics: SEMANTICS };
        world.record(&schema::encode(&configured))?;
        Ok(world)
    }

    /// How the groups of the rule stand.
    pub(crate) fn standings(&self, rule: &RuleName) -> Vec<GroupStanding> {
        self.engine.standings(&self.site, rule)
    }

    /// A batch with these signals, which says that nothing else came until `through_ms`.
    pub(crate) fn batch(
        &mut self,
        kind: Option<SignalType>,
        signals: &[Signal<'_>],
        through_ms: i64,
    ) -> Result<(), WorldError> {
        let mut to = Writer::new();
        if let Some(kind) = kind {
            let fields = kind.def().fields.len();
            for signal in signals {
                write_signal(&mut to, kind, START_MS + signal.at_ms, START_MS, &signal.line.fields[..fields]);
            }
        }
        let body = to.into_bytes();
        self.seq += 1;
        let head = BatchHead {
            tenant: self.tenant.clone(),
            site: self.site.clone(),
            key: self.key.clone(),
            encryption_key: None,
            spool: SpoolId([1; 8]),
            seq: self.seq,
            digest: Sha256Digest::of(&body),
            received_at: START_MS + through_ms,
            through: START_MS + through_ms,
            clock_offset_ms: 0,
            flush_every_s: FLUSH_EVERY_S,
            platform: Platform::Other,
            integration_version: String::new(),
            enabled: SignalTypes(SignalTypes::ALL.0 & !SignalTypes::MADE_BY_ENGINE.0),
            refused: 0,
            base_at: START_MS,
            ends: false,
        };
        self.record(&encode(&head, &body))
    }

    /// The gateway's clock.
    pub(crate) fn tick(&mut self, at_ms: i64) -> Result<(), WorldError> {
        self.record(&schema::encode(&Tick { partition: 0, at: WallMs(START_MS + at_ms), open_ms: 0 }))
    }

    fn record(&mut self, value: &[u8]) -> Result<(), WorldError> {
        let record = SignalsRecord::decode(value).map_err(WorldError::Record)?;
        let mut outputs = Vec::new();
        self.engine.apply(self.offset, &record, &mut outputs).map_err(WorldError::Engine)?;
        self.found.extend(outputs.into_iter().filter_map(|output| match output {
            Output::Detection(detection) => Some(*detection),
            Output::Tick(_) | Output::Snapshot(_) | Output::Points(_) => None,
        }));
        self.offset += 1;
        self.engine.take_puts();
        Ok(())
    }
}

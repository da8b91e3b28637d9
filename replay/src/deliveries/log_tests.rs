//! A log that a planner has filled, of two tenants whose topics have grown from one partition to two.

use std::collections::BTreeMap;
use std::ops::Range;

use logystera_alerter::core::Planner;
use logystera_infra::directory::Directory;
use logystera_infra::log::{LogError, Record};
use logystera_infra::reading::{PartitionId, Reading};
use logystera_schemas::delivery::{
    Attempt, AttemptEnded, AttemptOutcome, AttemptStarted, ChannelRef, ChannelsConfigured,
};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Severity};
use logystera_schemas::ids::{EpisodeId, KeyGroup, Sha256Digest, TenantId};
use logystera_schemas::noise::ChannelSettings;
use logystera_schemas::schema::{self, HEADER_BYTES};
use logystera_schemas::signals_topic::{Seal, Tick};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::{DetectionsRecord, Topic};

/// Partitions of the generations of `detections` and `attempts`.
pub(super) const GENERATIONS: [u32; 2] = [1, 2];
pub(super) const START_MS: i64 = 1_767_225_600_000;
pub(super) const TENANTS: [&str; 2] = ["acme", "beta"];
pub(super) const FIRST: PartitionId = PartitionId { generation: 0, partition: 0 };
/// The header of a row of version 2, which was not linked.
pub(super) const UNLINKED: [u8; HEADER_BYTES] = [0xc3, 0x01, 0xe6, 0xd6, 0xfa, 0xb7, 0x5a, 0x95, 0x58, 0xa7];

/// Topics `detections` and `attempts`. A row that is no more leaves its offset empty.
#[derive(Clone, Default)]
pub(super) struct Log {
    pub(super) detections: BTreeMap<PartitionId, Vec<(String, Vec<u8>)>>,
    pub(super) rows: BTreeMap<PartitionId, Vec<Attempt>>,
    pub(super) starts: BTreeMap<(Topic, PartitionId), u64>,
    /// Offset that the alerter reads next of each partition.
    pub(super) position: u64,
    /// Rows of the first partition that were written before rows were linked.
    pub(super) unlinked: usize,
}

/// The partition of a tenant's key group.
pub(super) fn part_of(tenant: &str, generation: u32) -> PartitionId {
    let count = GENERATIONS[generation as usize];
    PartitionId { generation, partition: KeyGroup::of(tenant).partition(count) }
}

/// A log as one planner would fill it that knows nothing of partitions.
pub(super) struct Filled {
    pub(super) log: Log,
    pub(super) planner: Planner,
    pub(super) generation: u32,
}

impl Filled {
    pub(super) fn new() -> Self {
        let mut filled =
            Self { log: Log { position: u64::MAX, ..Log::default() }, planner: Planner::new(), generation: 0 };
        for tenant in TENANTS {
            let channels = ["a", "b"].map(|id| ChannelRef {
                channel: id.parse().unwrap(),
                kind: "webhook".to_owned(),
                settings: ChannelSettings::default(),
                fallback: false,
                labels: Vec::new(),
            });
            let tenant: TenantId = tenant.parse().unwrap();
            let record = ChannelsConfigured { tenant: tenant.clone(), channels: channels.to_vec() };
            filled.put(tenant.as_str(), schema::encode(&record), DetectionsRecord::ChannelsConfigured(record));
        }
        for round in 0..6_u64 {
            if round == 3 {
                filled.grow();
            }
            filled.tick(round as i64 * 4_000);
            for tenant in TENANTS {
                let found = detection(tenant, round + 1);
                filled.put(tenant, schema::encode(&found), DetectionsRecord::Detection(Box::new(found)));
            }
            filled.attempt(round);
        }
        filled
    }

    pub(super) fn put(&mut self, tenant: &str, value: Vec<u8>, record: DetectionsRecord) {
        let mut rows = Vec::new();
        self.planner.apply(record, &mut rows);
        let part = part_of(tenant, self.generation);
        self.log.detections.entry(part).or_default().push((tenant.to_owned(), value));
        self.log.rows.entry(part).or_default().extend(rows);
    }

    /// Concerns every partition.
    pub(super) fn tick(&mut self, after_ms: i64) {
        let tick = Tick { partition: 0, at: WallMs(START_MS + after_ms), open_ms: 0 };
        self.everywhere(&schema::encode(&tick));
        self.planner.apply(DetectionsRecord::Tick(tick), &mut Vec::new());
    }

    pub(super) fn everywhere(&mut self, value: &[u8]) {
        let generation = self.generation;
        for partition in 0..GENERATIONS[generation as usize] {
            let records = self.log.detections.entry(PartitionId { generation, partition }).or_default();
            records.push((String::new(), value.to_vec()));
        }
    }

    pub(super) fn grow(&mut self) {
        let seal = Seal { generation: 0, partition: 0, next_partitions: GENERATIONS[1] };
        self.everywhere(&schema::encode(&seal));
        self.generation = 1;
    }

    /// Starts what is due, and ends it: some are in the air while the topic grows.
    pub(super) fn attempt(&mut self, round: u64) {
        for unfinished in self.planner.unfinished().collect::<Vec<_>>() {
            let is_taken = (unfinished.attempt + round as u32).is_multiple_of(3);
            let ended = AttemptEnded {
                tenant: unfinished.tenant.clone(),
                delivery: unfinished.delivery,
                attempt: unfinished.attempt,
                outcome: if is_taken { AttemptOutcome::Delivered } else { AttemptOutcome::Failed },
                status: Some(if is_taken { 200 } else { 500 }),
                retry_after_s: None,
                duration_ms: 5,
                cause: None,
                detail: None,
            };
            self.put(unfinished.tenant.as_str(), schema::encode(&ended), DetectionsRecord::AttemptEnded(ended));
        }
        for due in self.planner.due().collect::<Vec<_>>() {
            let at = self.planner.wall();
            let (tenant, delivery, attempt) = (due.tenant.clone(), due.delivery, due.attempt);
            let started = AttemptStarted { tenant, delivery, attempt, at, frozen: None };
            self.put(due.tenant.as_str(), schema::encode(&started), DetectionsRecord::AttemptStarted(started));
        }
    }
}

pub(super) fn detection(tenant: &str, seq: u64) -> Detection {
    Detection {
        id: EpisodeId([seq as u8; 16]),
        tenant: tenant.parse().unwrap(),
        site: format!("{tenant}-site").parse().unwrap(),
        encryption_key: None,
        rule: "mail-delivery-failing".parse().unwrap(),
        revision: "0123456789ab".to_owned(),
        title: "Mail delivery is failing".to_owned(),
        severity: Severity::Critical,
        subsystem: "mail".to_owned(),
        state: if seq == 2 { DetectionState::Suppressed } else { DetectionState::Firing },
        reason: DetectionReason::Firing,
        group: Vec::new(),
        count: 5,
        held: 0,
        started_at: START_MS,
        last_evaluated_at: START_MS + seq as i64,
        evidence: Vec::new(),
        message: "5 mails failed".to_owned(),
        url: String::new(),
        seq,
        chain: Sha256Digest::of(format!("{tenant} {seq}").as_bytes()),
        bundle: None,
        once: false,
    }
}

impl Log {
    /// Every row of a tenant, in order.
    pub(super) fn rows_of<'a>(&'a mut self, tenant: &'a str) -> impl Iterator<Item = &'a mut Attempt> {
        self.rows.values_mut().flatten().filter(move |row| row.tenant.as_str() == tenant)
    }

    /// Numbers and links a tenant's rows anew, as who alters them and knows how would.
    pub(super) fn mend(&mut self, tenant: &str, from: usize) {
        let (mut number, mut previous) = (0, Attempt::genesis(&tenant.parse().unwrap()));
        for row in self.rows_of(tenant).skip(from) {
            number += 1;
            row.number = number;
            let chain = row.link(&previous);
            row.chain = Some(chain);
            previous = chain;
        }
    }

    /// The first records of the first partition have passed their time.
    pub(super) fn cut(&mut self, topic: Topic, start: u64) {
        self.starts.insert((topic, FIRST), start);
    }

    /// The place of a row of the first partition.
    pub(super) fn place(&self, tenant: &str, number: u64) -> usize {
        self.rows[&FIRST].iter().position(|row| row.tenant.as_str() == tenant && row.number == number).unwrap()
    }

    pub(super) fn encoded(&self, part: PartitionId, place: usize, row: &Attempt) -> Vec<u8> {
        if part != FIRST || place >= self.unlinked {
            return schema::encode(row);
        }
        let zero = Attempt { number: 0, chain: None, outcome: None, semantics: 0, ..row.clone() };
        let whole = schema::encode(&zero);
        // The four fields that were added take a byte each.
        [&UNLINKED[..], &whole[HEADER_BYTES..whole.len() - 4]].concat()
    }
}

impl Reading for Log {
    fn generations(&self, topic: Topic) -> Vec<u32> {
        if matches!(topic, Topic::Detections | Topic::Attempts) { GENERATIONS.to_vec() } else { vec![1] }
    }

    fn bounds(&self, topic: Topic, part: PartitionId) -> Result<Range<u64>, LogError> {
        let end = match topic {
            Topic::Detections => self.detections.get(&part).map_or(0, Vec::len),
            Topic::Attempts => self.rows.get(&part).map_or(0, Vec::len),
            _ => 0,
        } as u64;
        Ok(self.starts.get(&(topic, part)).copied().unwrap_or(0).min(end)..end)
    }

    fn read(&self, topic: Topic, part: PartitionId, from: u64, _: usize) -> Result<Vec<Record>, LogError> {
        let Range { start, end } = self.bounds(topic, part)?;
        let wanted = from.max(start)..end.min(from.max(start) + 7);
        let record = |offset: u64| {
            if topic == Topic::Detections {
                let (key, value) = self.detections[&part][offset as usize].clone();
                return Record { offset, key: key.into_bytes(), value };
            }
            let row = &self.rows[&part][offset as usize];
            let key = row.tenant.as_str().as_bytes().to_vec();
            Record { offset, key, value: self.encoded(part, offset as usize, row) }
        };
        Ok(wanted.map(record).collect())
    }

    fn directory(&self) -> Result<Directory, LogError> {
        Ok(Directory::default())
    }

    fn position(&self, app: &str, input: Topic, _: PartitionId) -> Result<u64, LogError> {
        assert_eq!((app, input), ("alerter", Topic::Detections));
        Ok(self.position)
    }
}

//! A small world around the engine: records in, one line a detection out. Times are in seconds.

#![expect(
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::format_push_string,
    reason = "a test's figures and failures"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use logystera_processor::core::{Engine, Outcomes, Output, RuleSet};
use logystera_rules::from_yaml;
use logystera_schemas::avro::Writer;
use logystera_schemas::batch::{BatchHead, Platform, Value, encode, write_signal};
use logystera_schemas::catalogue::{FieldKind, SignalType, SignalTypes};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{Sha256Digest, SiteId, SpoolId};
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::schema;
use logystera_schemas::series::Points;
use logystera_schemas::signals_topic::{KeyRevoked, Refused, SiteClosed, SiteConfigured, Tick};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::SignalsRecord;

/// The epoch of a test's clock, so that times are like real ones.
pub(crate) const T0_MS: i64 = 1_767_225_600_000;

/// A signal: its type, its time in seconds, its fields as JSON would write them.
pub(crate) type Sig<'a> = (&'a str, f64, &'a [(&'a str, &'a str)]);

/// An engine that is restored from its puts before every record, as after a crash: what is not stored shows at once.
pub(crate) struct World {
    engine: Engine,
    /// Version of the semantics that configurations ask for.
    pub(crate) semantics: u32,
    /// The same world under the first version, which must tell the same.
    twin: Option<Box<World>>,
    /// Whether every record is stored, and the engine restored before the next one.
    pub(crate) crashes: bool,
    sets: Vec<Arc<RuleSet>>,
    stored: BTreeMap<Vec<u8>, Vec<u8>>,
    offset: u64,
    seqs: BTreeMap<u8, u64>,
    /// Signal types that batches say are switched on.
    pub(crate) enabled: SignalTypes,
    /// Seconds between flushes that batches promise.
    pub(crate) flush_every_s: u32,
    /// Clock offset that batches carry.
    pub(crate) clock_offset_ms: i64,
    /// The gateway's clock, in seconds; none: the batch's own `through`.
    pub(crate) received_at: Option<f64>,
    /// Key that signs batches.
    pub(crate) key: &'static str,
    /// Whether batches say that they are their spool's last.
    pub(crate) ends: bool,
    /// Every detection so far.
    pub(crate) detections: Vec<Detection>,
    /// The points of every minute so far.
    pub(crate) points: Vec<Points>,
    chain: Sha256Digest,
    /// Every record so far.
    records: Vec<Vec<u8>>,
}

pub(crate) fn site() -> SiteId {
    "shop".parse().expect("an id")
}

fn ms(seconds: f64) -> i64 {
    T0_MS + (seconds * 1_000.0).round() as i64
}

impl World {
    /// A world with one site under these rules, in which all versions of the semantics give the same.
    pub(crate) fn new(rules: &str) -> Self {
        let twin = Some(Box::new(Self::of(1, rules)));
        Self { twin, ..Self::of(2, rules) }
    }

    /// A world with one site under these rules, and one version of the semantics.
    pub(crate) fn of(semantics: u32, rules: &str) -> Self {
        let mut world = Self {
            engine: Engine::new(PartitionRef::ONLY),
            semantics,
            twin: None,
            crashes: true,
            sets: Vec::new(),
            stored: BTreeMap::new(),
            offset: 0,
            seqs: BTreeMap::new(),
            enabled: SignalTypes(u16::MAX >> 5),
            flush_every_s: 60,
            clock_offset_ms: 0,
            received_at: None,
            key: "k1",
            ends: false,
            detections: Vec::new(),
            points: Vec::new(),
            chain: Detection::genesis(&site()),
            records: Vec::new(),
        };
        world.configure(rules);
        world
    }

    /// Configures the site; gives the detections as lines.
    pub(crate) fn configure(&mut self, rules: &str) -> Vec<String> {
        let mut twin = self.twin.take();
        let told_twin = twin.as_mut().map(|twin| twin.configure(rules));
        let set = from_yaml(&[("test.yaml", rules)]).unwrap_or_else(|e| panic!("{e:#?}"));
        let digest = set.digest;
        self.sets.push(Arc::new(set));
        let told = self.record(&schema::encode(&SiteConfigured {
            site: site(),
            tenant: "acme".parse().expect("an id"),
            name: "Shop".to_owned(),
            digest,
            semantics: self.semantics,
        }));
        assert!(told_twin.is_none_or(|twin| twin == told), "under the first version");
        self.twin = twin;
        told
    }

    /// A gateway's tick.
    pub(crate) fn tick(&mut self, at: f64) -> Vec<String> {
        self.record(&schema::encode(&Tick { partition: 0, at: WallMs(ms(at)), open_ms: 0 }))
    }

    /// Ticks of every second from `from` to `to`.
    pub(crate) fn ticks(&mut self, from: u32, to: u32) -> Vec<String> {
        (from..=to).flat_map(|at| self.tick(f64::from(at))).collect()
    }

    /// The next batch of a spool.
    pub(crate) fn batch(&mut self, spool: u8, through: f64, signals: &[Sig<'_>]) -> Vec<String> {
        let seq = self.seqs.get(&spool).copied().unwrap_or(0) + 1;
        self.batch_numbered(spool, seq, through, signals)
    }

    /// A batch of a spool with this number.
    pub(crate) fn batch_numbered(&mut self, spool: u8, seq: u64, through: f64, signals: &[Sig<'_>]) -> Vec<String> {
        let highest = self.seqs.entry(spool).or_default();
        *highest = seq.max(*highest);
        let mut to = Writer::new();
        for (kind, at, fields) in signals {
            write(&mut to, kind, ms(*at), fields);
        }
        let body = to.into_bytes();
        let head = BatchHead {
            tenant: "acme".parse().expect("an id"),
            site: site(),
            key: self.key.parse().expect("an id"),
            encryption_key: None,
            spool: SpoolId([spool; 8]),
            seq,
            digest: Sha256Digest::of(&body),
            received_at: ms(self.received_at.unwrap_or(through)) + self.clock_offset_ms,
            through: ms(through),
            clock_offset_ms: self.clock_offset_ms,
            flush_every_s: self.flush_every_s,
            platform: Platform::Other,
            integration_version: String::new(),
            enabled: self.enabled,
            refused: 0,
            base_at: T0_MS,
            ends: self.ends,
        };
        self.record(&encode(&head, &body))
    }

    /// The gateway turned a batch away.
    pub(crate) fn refused(&mut self, spool: Option<u8>, authenticated: bool) -> Vec<String> {
        self.refused_for("rate_limited", 1, spool, authenticated)
    }

    /// The gateway turned so many away for this reason.
    pub(crate) fn refused_for(
        &mut self,
        reason: &str,
        count: u64,
        spool: Option<u8>,
        authenticated: bool,
    ) -> Vec<String> {
        self.record(&schema::encode(&Refused {
            site: site(),
            spool: spool.map(|s| SpoolId([s; 8])),
            reason: reason.to_owned(),
            count,
            authenticated,
        }))
    }

    /// A key was revoked.
    pub(crate) fn key_revoked(&mut self, key: &str, stolen: bool) -> Vec<String> {
        let key = key.parse().expect("an id");
        self.record(&schema::encode(&KeyRevoked { site: site(), key, stolen }))
    }

    /// What happened to the site's batches.
    pub(crate) fn outcomes(&self) -> Outcomes {
        self.engine.outcomes().next().map(|(_, outcomes)| outcomes.clone()).expect("one site")
    }

    /// The site is closed.
    pub(crate) fn close(&mut self) -> Vec<String> {
        self.record(&schema::encode(&SiteClosed { site: site(), tenant: "acme".parse().expect("an id") }))
    }

    /// Writes the log and its configurations as `tests/golden` has them, but for gzip.
    pub(crate) fn write_recording(&self, folder: &Path, name: &str) {
        let write = |file: String, lines: Vec<String>| {
            let path = folder.join(file);
            std::fs::write(&path, lines.join("\n") + "\n").unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        };
        let hex = |bytes: &Vec<u8>| bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        write(format!("{name}.log"), self.records.iter().map(hex).collect());
        let mut bodies: Vec<String> = self.sets.iter().map(|set| set.body.clone()).collect();
        bodies.dedup();
        write(format!("{name}.rules.ndjson"), bodies);
    }

    /// Entries of the state.
    pub(crate) fn stored(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.stored
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    fn record(&mut self, value: &[u8]) -> Vec<String> {
        self.records.push(value.to_vec());
        let told_twin = self.twin.as_mut().map(|twin| {
            twin.crashes = self.crashes;
            twin.record(value)
        });
        if self.crashes {
            self.crash();
        }
        let record = SignalsRecord::decode(value).expect("a record of ours can be read");
        let mut out = Vec::new();
        self.engine.apply(self.offset, &record, &mut out).expect("the record applies");
        self.offset += 1;
        if self.crashes {
            self.store();
        }
        let mut detections = Vec::new();
        for output in out {
            match output {
                Output::Detection(detection) => detections.push(*detection),
                Output::Points(points) => self.points.push(*points),
                Output::Tick(_) | Output::Snapshot(_) => {}
            }
        }
        let told: Vec<String> = detections.iter().map(|d| self.tell(d)).collect();
        assert!(told_twin.is_none_or(|twin| twin == told), "under the first version");
        told
    }

    /// Stores what has changed.
    pub(crate) fn store(&mut self) {
        if let Some(twin) = &mut self.twin {
            twin.store();
        }
        for (key, value) in self.engine.take_puts() {
            match value {
                Some(value) => self.stored.insert(key, value),
                None => self.stored.remove(&key),
            };
        }
    }

    /// Takes so many bytes off the end of each stored value.
    pub(crate) fn shorten(&mut self, by: impl Fn(&[u8]) -> usize) {
        for (key, value) in &mut self.stored {
            value.truncate(value.len() - by(key));
        }
    }

    /// Forgets everything but what is stored.
    fn crash(&mut self) {
        self.engine = Engine::new(PartitionRef::ONLY);
        self.sets.iter().for_each(|set| self.engine.learn(Arc::clone(set)));
        for (key, value) in &self.stored {
            self.engine.restore(key, value).expect("what was stored can be restored");
        }
        self.engine.restored();
    }

    fn tell(&mut self, detection: &Detection) -> String {
        assert_eq!(detection.chain, detection.link(&self.chain), "the chain is linked");
        let rules = self.sets.iter().flat_map(|set| &set.rules);
        for rule in rules.filter(|rule| rule.name == detection.rule && rule.revision == detection.revision) {
            assert_eq!(detection.bundle, rule.bundle, "it says how its rule's alerts are put together");
        }
        self.chain = detection.chain;
        self.detections.push(detection.clone());
        assert_eq!(detection.seq, self.detections.len() as u64, "numbered from 1");
        let seconds = |at: i64| (at - T0_MS) as f64 / 1_000.0;
        let mut group = String::new();
        for label in &detection.group {
            group += &format!(" {}={}", label.field, &label.value[..label.value.len().min(4)]);
        }
        let held = if detection.held > 0 { format!(" held {}", detection.held) } else { String::new() };
        format!(
            "{}: {}{group} {}/{} count {}{held} since {}",
            seconds(detection.last_evaluated_at),
            detection.rule,
            detection.state,
            detection.reason,
            detection.count,
            seconds(detection.started_at),
        )
    }
}

fn write(to: &mut Writer, kind: &str, at: i64, fields: &[(&str, &str)]) {
    let kind = SignalType::from_name(kind).expect("a signal type");
    let hashes: Vec<[u8; 16]> = fields.iter().map(|(_, v)| hash(v)).collect();
    let mut values = Vec::new();
    for def in &kind.def().fields {
        let given = fields.iter().position(|(name, _)| *name == def.name);
        values.push(match (given, &def.kind) {
            (None, _) if def.optional => Value::Absent,
            (None, FieldKind::Hash) => Value::Hash(&[0; 16]),
            (None, FieldKind::Ident { .. }) => Value::Ident("x"),
            (None, FieldKind::Int { min, .. }) => Value::Int(*min),
            (None, FieldKind::Bool) => Value::Bool(false),
            (None, FieldKind::Enum(_)) => Value::Enum(0),
            (None, FieldKind::EnumList(_)) => Value::List(0),
            (Some(place), kind) => value(kind, fields[place].1, &hashes[place]),
        });
    }
    write_signal(to, kind, at, T0_MS, &values);
}

fn value<'a>(kind: &FieldKind, text: &'a str, hash: &'a [u8; 16]) -> Value<'a> {
    let place = |symbols: &[String]| symbols.iter().position(|s| s == text).expect("a symbol");
    match kind {
        FieldKind::Enum(symbols) => Value::Enum(place(symbols) as u8),
        FieldKind::EnumList(symbols) => Value::List(1 << place(symbols)),
        FieldKind::Int { .. } => Value::Int(text.parse().expect("a number")),
        FieldKind::Bool => Value::Bool(text == "true"),
        FieldKind::Hash => Value::Hash(hash),
        FieldKind::Ident { .. } => Value::Ident(text),
    }
}

fn hash(text: &str) -> [u8; 16] {
    let mut hash = [0; 16];
    hash.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    hash
}

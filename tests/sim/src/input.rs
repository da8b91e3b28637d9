//! The records of topic `signals` as plain data that owns all it has: what the generator makes, what the model judges and
//! what a failing seed prints. [`Input::encode`] gives the log's bytes, which is all that the engine sees of them.

use std::fmt;

use logystera_schemas::avro::Writer;
use logystera_schemas::batch::{self, BatchHead, Platform, Value};
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::ids::{KeyId, Sha256Digest, SiteId, SpoolId, TenantId};
use logystera_schemas::schema;
use logystera_schemas::signals_topic::{KeyRevoked, Refused, SiteClosed, SiteConfigured, Tick};

/// One record of topic `signals`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The clock of a gateway.
    Tick(Tick),
    /// An accepted batch.
    Batch(Box<BatchIn>),
    /// What was turned away.
    Refused(Refused),
    /// The configuration that holds from here.
    Configured(SiteConfigured),
    /// A key that holds no more.
    KeyRevoked(KeyRevoked),
    /// The site's end.
    Closed(SiteClosed),
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchIn {
    /// Tenant.
    pub tenant: TenantId,
    /// Site.
    pub site: SiteId,
    /// Key that it was signed with.
    pub key: KeyId,
    /// Spool.
    pub spool: SpoolId,
    /// Number in its spool.
    pub seq: u64,
    /// Digest of the body.
    pub digest: Sha256Digest,
    /// The gateway's clock.
    pub received_at: i64,
    /// The spool's watermark by the sender's clock.
    pub through: i64,
    /// Server minus sender.
    pub clock_offset_ms: i64,
    /// How often the sender promises to speak.
    pub flush_every_s: u32,
    /// Types that are switched on.
    pub enabled: SignalTypes,
    /// The signals.
    pub signals: Vec<SignalIn>,
    /// Whether it is the last one of its spool.
    pub ends: bool,
}

/// A signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalIn {
    /// Its type.
    pub kind: SignalType,
    /// Its time by the sender's clock.
    pub at: i64,
    /// Its fields, in the catalogue's order.
    pub fields: Vec<Field>,
}

/// A field's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The signal lacks the field.
    Absent,
    /// Place of an enum's symbol.
    Enum(u8),
    /// Places of a list's symbols, a bit each.
    List(u32),
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// A keyed hash.
    Hash([u8; 16]),
    /// An identifier.
    Ident(String),
}

impl Field {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Absent => Value::Absent,
            Self::Enum(symbol) => Value::Enum(*symbol),
            Self::List(bits) => Value::List(*bits),
            Self::Int(number) => Value::Int(*number),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Hash(hash) => Value::Hash(hash),
            Self::Ident(text) => Value::Ident(text),
        }
    }
}

impl BatchIn {
    /// A digest over all that the sender chose, as the gateway would have of the body: other content, other digest.
    pub fn content_digest(&self) -> Sha256Digest {
        let text = format!(
            "{} {} {} {:?} {:?} {}",
            self.through, self.clock_offset_ms, self.flush_every_s, self.enabled, self.signals, self.ends
        );
        Sha256Digest::of(text.as_bytes())
    }

    fn encode(&self) -> Vec<u8> {
        let base_at = self.signals.first().map_or(self.through, |s| s.at);
        let head = BatchHead {
            tenant: self.tenant.clone(),
            site: self.site.clone(),
            key: self.key.clone(),
            encryption_key: None,
            spool: self.spool,
            seq: self.seq,
            digest: self.digest,
            received_at: self.received_at,
            through: self.through,
            clock_offset_ms: self.clock_offset_ms,
            flush_every_s: self.flush_every_s,
            platform: Platform::Other,
            integration_version: String::new(),
            enabled: self.enabled,
            refused: 0,
            base_at,
            ends: self.ends,
        };
        let mut signals = Writer::new();
        for signal in &self.signals {
            let fields: Vec<Value<'_>> = signal.fields.iter().map(Field::value).collect();
            batch::write_signal(&mut signals, signal.kind, signal.at, base_at, &fields);
        }
        batch::encode(&head, &signals.into_bytes())
    }
}

impl Input {
    /// The record's bytes in the log.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Tick(r) => schema::encode(r),
            Self::Batch(b) => b.encode(),
            Self::Refused(r) => schema::encode(r),
            Self::Configured(r) => schema::encode(r),
            Self::KeyRevoked(r) => schema::encode(r),
            Self::Closed(r) => schema::encode(r),
        }
    }

    /// The record's key in the log.
    pub fn key(&self) -> &str {
        match self {
            Self::Tick(_) => "",
            Self::Batch(b) => b.site.as_str(),
            Self::Refused(r) => r.site.as_str(),
            Self::Configured(r) => r.site.as_str(),
            Self::KeyRevoked(r) => r.site.as_str(),
            Self::Closed(r) => r.site.as_str(),
        }
    }
}

/// `t` as a person reads it in a trace: seconds since the start of simulated time.
pub fn show_time(t: i64) -> String {
    let since = t - START_MS;
    if since.abs() > 400 * 86_400_000 {
        t.to_string()
    } else {
        format!("{}.{:03}s", since / 1_000, (since % 1_000).abs())
    }
}

/// Where simulated time starts: 2026-01-01T00:00:00Z, a multiple of every pane that rules use.
pub const START_MS: i64 = 1_767_225_600_000;

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tick(t) => write!(f, "tick {} open={}", show_time(t.at.0), t.open_ms),
            Self::Refused(r) => {
                let spool = r.spool.map_or_else(|| "none".to_owned(), |s| s.to_string());
                write!(f, "refused site={} spool={spool} authenticated={}", r.site, r.authenticated)?;
                write!(f, " reason={} count={}", r.reason, r.count)
            }
            Self::Configured(c) => {
                write!(f, "configured site={} name={:?} digest={}", c.site, c.name, c.digest)?;
                write!(f, " semantics={}", c.semantics)
            }
            Self::KeyRevoked(r) => write!(f, "revoked site={} key={} stolen={}", r.site, r.key, r.stolen),
            Self::Closed(c) => write!(f, "closed site={}", c.site),
            Self::Batch(b) => b.fmt(f),
        }
    }
}

impl fmt::Display for BatchIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = &self.digest.to_string()[..6];
        write!(
            f,
            "batch site={} key={} {}.{} digest={digest} received={}",
            self.site,
            self.key,
            self.spool,
            self.seq,
            show_time(self.received_at)
        )?;
        write!(
            f,
            " through={} offset={} flush={}s",
            show_time(self.through),
            self.clock_offset_ms,
            self.flush_every_s
        )?;
        if self.ends {
            write!(f, " ends")?;
        }
        write!(f, " enabled={:?}", self.enabled.iter().map(SignalType::name).collect::<Vec<_>>())?;
        for signal in &self.signals {
            write!(f, "\n        {} {}", show_time(signal.at), signal.kind.name())?;
            for (def, field) in signal.kind.def().fields.iter().zip(&signal.fields) {
                if *field != Field::Absent {
                    write!(f, " {}={}", def.name, crate::model::show::text(signal.kind, def, field))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use logystera_schemas::topic::SignalsRecord;

    use super::*;

    #[test]
    fn a_batch_survives_its_bytes() {
        let kind = SignalType::from_name("file.edit").unwrap();
        let fields = vec![Field::Ident("/a".into()), Field::Int(-3), Field::List(0b101), Field::Hash([7; 16])];
        let mut batch = BatchIn {
            tenant: "t".parse().unwrap(),
            site: "s".parse().unwrap(),
            key: "k2".parse().unwrap(),
            spool: SpoolId([1; 8]),
            seq: 3,
            digest: Sha256Digest([0; 32]),
            received_at: START_MS,
            through: START_MS,
            clock_offset_ms: -5,
            flush_every_s: 60,
            enabled: SignalTypes(3),
            signals: vec![SignalIn { kind, at: START_MS - 1, fields: fields.clone() }],
            ends: true,
        };
        batch.digest = batch.content_digest();
        let bytes = Input::Batch(Box::new(batch.clone())).encode();
        let SignalsRecord::Batch(read) = SignalsRecord::decode(&bytes).unwrap() else { panic!("not a batch") };
        assert_eq!((read.head.seq, read.head.through, read.head.digest), (3, START_MS, batch.digest));
        assert_eq!((read.head.key.as_str(), read.head.ends), ("k2", true));
        let signal = read.signals().next().unwrap().unwrap();
        assert_eq!(signal.at, START_MS - 1);
        let values: Vec<Value<'_>> = fields.iter().map(Field::value).collect();
        assert_eq!(signal.fields[..4], values[..]);
    }
}

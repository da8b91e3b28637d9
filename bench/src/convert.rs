//! W1's signals as our records. What our catalogue asks for and the peers' signals lack is filled in, always the same;
//! what it has no place for is left out: the signal's id, the user of an `http.request`, the path of an `auth.attempt`.

use logystera_schemas::avro::Writer;
use logystera_schemas::batch::{self, BatchHead, Platform, Value};
use logystera_schemas::catalogue::{SIGNAL_TYPES, SignalType, SignalTypes};
use logystera_schemas::ids::{Sha256Digest, SpoolId, TenantId};

use crate::w1::{PeerBatch, PeerKind, PeerSignal, SITES, mix, path, site_name, source_id};

/// The one tenant of all sites.
pub const TENANT: &str = "bench";

/// Converts batches in the order of the workload; numbers each site's batches.
#[derive(Debug)]
pub struct Converter {
    types: Types,
    seqs: Vec<u64>,
    signals: Writer,
}

#[derive(Debug)]
struct Types {
    http: SignalType,
    auth: SignalType,
    mail: SignalType,
    cron: SignalType,
    php: SignalType,
}

/// What a field borrows.
struct Scratch {
    source: [u8; 16],
    user: [u8; 16],
    file: [u8; 16],
    message: [u8; 16],
    path: String,
}

impl Converter {
    /// A converter at the workload's start.
    #[expect(clippy::expect_used, reason = "the catalogue is compiled in")]
    pub fn new() -> Self {
        let named = |name| SignalType::from_name(name).expect("a type of the catalogue");
        let types = Types {
            http: named("http.request"),
            auth: named("auth.attempt"),
            mail: named("mail.outcome"),
            cron: named("cron.run"),
            php: named("php.error"),
        };
        Self { types, seqs: vec![0; SITES], signals: Writer::new() }
    }

    /// The log's record for a batch of the workload: its one spool's next number, `through` = the time it was sent.
    #[expect(clippy::expect_used, reason = "the names are ours")]
    pub fn record(&mut self, peer: &PeerBatch) -> Vec<u8> {
        self.seqs[peer.site] += 1;
        let base_at = peer.sent_at - peer.signals.len() as i64;
        let mut signals = std::mem::take(&mut self.signals).into_bytes();
        signals.clear();
        let mut to = Writer::with(signals);
        for signal in &peer.signals {
            self.signal(&mut to, peer.site, signal, base_at);
        }
        let signals = to.into_bytes();
        let head = BatchHead {
            tenant: TENANT.parse::<TenantId>().expect("a tenant id"),
            site: site_name(peer.site).parse().expect("a site id"),
            key: "k1".parse().expect("a key id"),
            encryption_key: None,
            spool: SpoolId(mix(peer.site as u64).to_be_bytes()),
            seq: self.seqs[peer.site],
            digest: Sha256Digest::of(&signals),
            received_at: peer.sent_at,
            through: peer.sent_at,
            clock_offset_ms: 0,
            flush_every_s: 60,
            platform: Platform::Wordpress,
            integration_version: "1.0.0".to_owned(),
            enabled: SignalTypes((1 << SIGNAL_TYPES) - 1),
            refused: 0,
            base_at,
            ends: false,
        };
        let record = batch::encode(&head, &signals);
        self.signals = Writer::with(signals);
        record
    }

    fn signal(&self, to: &mut Writer, site: usize, peer: &PeerSignal, base_at: i64) {
        let path = peer.path.map(path).unwrap_or_default();
        let scratch = Scratch {
            source: wide(peer.source.map_or(0, |source| source_id(site, source))),
            user: peer.user.map_or([0; 16], |(digits, _)| digits),
            file: wide(peer.path.unwrap_or_default() as u64),
            message: peer.id[..16].try_into().unwrap_or_default(),
            path,
        };
        let (kind, fields) = self.fields(peer, &scratch);
        batch::write_signal(to, kind, peer.occurred_at, base_at, &fields);
    }

    /// The fields in the catalogue's order; a test holds the order against the catalogue's names.
    fn fields<'a>(&self, peer: &PeerSignal, scratch: &'a Scratch) -> (SignalType, [Value<'a>; 7]) {
        let duration = peer.duration_ms.map_or(Value::Absent, |ms| Value::Int(i64::from(ms)));
        let source = Value::Hash(&scratch.source);
        let none = Value::Absent;
        match peer.kind {
            PeerKind::Http => {
                let group = if peer.path == Some(0) { "login" } else { "shop" };
                let status = Value::Int(i64::from(peer.status.unwrap_or(200)));
                let path = Value::Ident(&scratch.path);
                (self.types.http, [Value::Enum(0), path, status, Value::Ident(group), none, duration, source])
            }
            PeerKind::Auth => {
                let (outcome, reason) = if peer.failed { (1, Value::Enum(1)) } else { (0, none) };
                let length = peer.user.map_or(none, |(_, length)| Value::Int(i64::from(length)));
                let user = Value::Hash(&scratch.user);
                (self.types.auth, [Value::Enum(outcome), Value::Enum(0), reason, user, length, source, none])
            }
            PeerKind::Mail => {
                (self.types.mail, [Value::Enum(u8::from(peer.failed)), none, none, none, none, none, none])
            }
            PeerKind::Cron => {
                let job = Value::Ident("wp_version_check");
                (self.types.cron, [job, Value::Enum(0), none, duration, none, none, none])
            }
            PeerKind::Php => {
                let (file, message) = (Value::Hash(&scratch.file), Value::Hash(&scratch.message));
                (self.types.php, [Value::Enum(2), Value::Ident("theme"), file, none, message, none, none])
            }
        }
    }
}

impl Default for Converter {
    fn default() -> Self {
        Self::new()
    }
}

/// The 16 bytes of a hash whose first 8 are `id`, big-endian.
fn wide(id: u64) -> [u8; 16] {
    (u128::from(id) << 64 | u128::from(mix(id))).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use logystera_schemas::topic::SignalsRecord;

    use super::*;
    use crate::w1::Generator;

    /// One line a signal: what the engine will see.
    fn shown(record: &[u8]) -> Vec<String> {
        let Ok(SignalsRecord::Batch(batch)) = SignalsRecord::decode(record) else { panic!("not a batch") };
        let line = |signal: batch::Signal<'_>| {
            let fields = signal.def().fields.iter().zip(&signal.fields).filter(|(_, v)| **v != Value::Absent);
            let fields: Vec<_> = fields.map(|(f, v)| format!("{}={v:?}", f.name)).collect();
            format!("{} {} {}", signal.at - batch.head.base_at, signal.kind.name(), fields.join(" "))
        };
        batch.signals().map(|s| line(s.unwrap())).collect()
    }

    #[test]
    fn signals_are_mapped_field_by_field() {
        let record = Converter::new().record(&Generator::new(42, 0).batch());
        let mut lines = shown(&record);
        assert_eq!(lines.len(), 100);
        // One of each type, the first that comes.
        lines.sort_by_key(|l| l.split(' ').nth(1).map(str::to_owned));
        lines.dedup_by_key(|l| l.split(' ').nth(1).map(str::to_owned));
        insta::assert_snapshot!(lines.join("\n"), @r#"
        2 auth.attempt outcome=Enum(1) method=Enum(0) reason=Enum(1) user_hash=Hash([101, 98, 48, 53, 54, 49, 53, 52, 101, 48, 97, 56, 52, 51, 101, 55]) user_length=Int(8) source=Hash([43, 207, 53, 61, 130, 225, 245, 108, 28, 237, 70, 115, 74, 232, 57, 222])
        8 cron.run job=Ident("wp_version_check") outcome=Enum(0) duration_ms=Int(741)
        5 http.request method=Enum(0) path=Ident("/shop/category-1/item") status=Int(200) route_group=Ident("shop") duration_ms=Int(1127) source=Hash([61, 201, 253, 33, 157, 195, 97, 197, 185, 123, 211, 198, 7, 245, 251, 209])
        1 mail.outcome outcome=Enum(0)
        4 php.error level=Enum(2) component=Ident("theme") file_hash=Hash([0, 0, 0, 0, 0, 0, 0, 9, 174, 175, 82, 254, 190, 112, 96, 100]) message_hash=Hash([53, 100, 53, 49, 97, 99, 48, 48, 49, 98, 102, 56, 100, 56, 57, 57])
        "#);
    }

    #[test]
    fn a_spool_counts_from_one() {
        let (mut generator, mut converter) = (Generator::new(42, 0), Converter::new());
        let mut newest = vec![0; SITES];
        for _ in 0..200 {
            let peer = generator.batch();
            let record = converter.record(&peer);
            let Ok(SignalsRecord::Batch(batch)) = SignalsRecord::decode(&record) else { panic!("not a batch") };
            newest[peer.site] += 1;
            assert_eq!((batch.head.seq, batch.head.through), (newest[peer.site], peer.sent_at));
        }
    }
}

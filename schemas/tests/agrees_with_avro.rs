//! The codec written by hand, held against Apache Avro's own: for values drawn at random, our bytes read by `apache-avro`
//! under the schema of the `.avsc` are the value, and the bytes that it writes for the value are ours.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is the test's")]

use std::collections::BTreeSet;
use std::fmt::Debug;

use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use apache_avro::{GenericSingleObjectWriter, Schema};
use logystera_schemas::batch::{self, Batch, BatchHead, FieldSet, Frame};
use logystera_schemas::catalogue::{SIGNAL_TYPES, SignalType, TYPE_FIELDS_MAX};
use logystera_schemas::schema::{self, HASH_SOURCE, HEADER_BYTES, Kind, SIGNAL_SOURCES, TopicRecord};
use logystera_schemas::topic::SignalsRecord;
use logystera_schemas::{avro, control, delivery, detection, labels, noise, series, signals_topic, snapshot};
use model::signals::DrawnSignal;
use model::{Entropy, Model};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

mod model;

const CASES: u32 = 200;
const ENTROPY_BYTES: usize = 1_500;

/// Runs `test` with entropy of many lengths.
fn for_all(test: impl Fn(&mut Entropy<'_>)) {
    let bytes = prop::collection::vec(any::<u8>(), 0..ENTROPY_BYTES);
    let config =
        ProptestConfig { failure_persistence: None, max_shrink_iters: 100, ..ProptestConfig::with_cases(CASES) };
    TestRunner::new(config)
        .run(&bytes, |bytes| {
            test(&mut Entropy(&bytes));
            Ok(())
        })
        .unwrap();
}

/// The schema of `kind`, whole: without references to other files.
fn parsed(kind: Kind) -> Schema {
    let mut sources = vec![HASH_SOURCE];
    sources.extend(SIGNAL_SOURCES);
    sources.push(kind.source());
    let schemas = Schema::parse_list(sources).unwrap();
    let (last, others) = schemas.split_last().unwrap();
    Schema::parse_str(&last.independent_canonical_form(others).unwrap()).unwrap()
}

#[test]
fn the_fingerprints_are_those_of_the_schemas() {
    let of = |schema: &Schema| u64::from_le_bytes(schema.fingerprint::<Rabin>().bytes.try_into().unwrap());
    let mut all = BTreeSet::new();
    for kind in Kind::ALL {
        let past = kind.past().iter().map(|(written, source)| (*written, of(&Schema::parse_str(source).unwrap())));
        for (written, computed) in past.chain([(schema::fingerprint(*kind), of(&parsed(*kind)))]) {
            assert_eq!(written, computed, "{kind:?}: {computed:#018x} is its fingerprint");
            assert!(all.insert(computed), "{kind:?}: two schemas are the same");
        }
    }
}

/// Holds `ours`, a single-object encoding, against what `apache-avro` reads and writes for `value`.
fn agrees(schema: &Schema, ours: &[u8], value: &Avro) {
    reads_alike(schema, ours, value);
    assert_eq!(avro_writes(schema, value), ours, "apache-avro writes other bytes");
}

fn reads_alike(schema: &Schema, ours: &[u8], value: &Avro) {
    let mut rest = &ours[HEADER_BYTES..];
    let read = GenericDatumReader::builder(schema).build().unwrap().read_value(&mut rest).unwrap();
    assert_eq!(rest, &[0_u8; 0], "apache-avro has bytes left");
    assert_eq!(&read, value, "apache-avro reads another value");
}

fn avro_writes(schema: &Schema, value: &Avro) -> Vec<u8> {
    let mut theirs = Vec::new();
    GenericSingleObjectWriter::new_with_capacity(schema, 0).unwrap().write_value_ref(value, &mut theirs).unwrap();
    theirs
}

fn record_agrees<R: TopicRecord + Model + PartialEq + Debug>() {
    let schema = parsed(R::KIND);
    for_all(|entropy| {
        let record = R::draw(entropy);
        let ours = schema::encode(&record);
        agrees(&schema, &ours, &record.avro());
        assert_eq!(schema::decode::<R>(&ours).unwrap(), record);
    });
}

macro_rules! records_agree {
    ($($test:ident: $type:ty),* $(,)?) => {
        $(#[test] fn $test() { record_agrees::<$type>(); })*

        /// The kinds that this file tests: those above, and the batch.
        const TESTED: &[Kind] = &[Kind::Batch, $(<$type>::KIND),*];
    };
}

records_agree! {
    refused_agrees: signals_topic::Refused,
    tick_agrees: signals_topic::Tick,
    site_configured_agrees: signals_topic::SiteConfigured,
    site_closed_agrees: signals_topic::SiteClosed,
    key_revoked_agrees: signals_topic::KeyRevoked,
    seal_agrees: signals_topic::Seal,
    detection_agrees: detection::Detection,
    channels_configured_agrees: delivery::ChannelsConfigured,
    channel_enabled_agrees: delivery::ChannelEnabled,
    silence_agrees: noise::Silence,
    site_labelled_agrees: labels::SiteLabelled,
    resend_agrees: delivery::Resend,
    attempt_started_agrees: delivery::AttemptStarted,
    attempt_ended_agrees: delivery::AttemptEnded,
    attempt_agrees: delivery::Attempt,
    snapshot_agrees: snapshot::Snapshot,
    points_agree: series::Points,
    tenant_agrees: control::Tenant,
    site_agrees: control::Site,
    key_agrees: control::Key,
    rule_set_agrees: control::RuleSet,
    channel_agrees: control::Channel,
    partitions_agrees: control::Partitions,
    lease_agrees: control::Lease,
    skip_agrees: control::Skip,
    site_rules_agrees: control::SiteRules,
    deployment_agrees: control::Deployment,
}

#[test]
fn every_kind_is_held_against_avro() {
    let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !TESTED.contains(kind)).collect();
    assert_eq!(missing, Vec::<&Kind>::new());
}

/// Encodes a batch with these signals, holds it against `apache-avro`, and reads it back with our reader; then what
/// `apache-avro` writes, which has all signals in one block where ours has each in its own.
fn batch_agrees(schema: &Schema, head: &BatchHead, signals: &[DrawnSignal]) {
    let mut datum = avro::Writer::new();
    for signal in signals {
        let fields: Vec<_> = signal.fields.iter().map(model::signals::Drawn::value).collect();
        batch::write_signal(&mut datum, signal.kind, signal.at, head.base_at, &fields);
    }
    let ours = batch::encode(head, &datum.into_bytes());

    let Avro::Record(mut record) = head.avro() else { unreachable!("a head is a record") };
    record.push(("signals".to_owned(), Avro::Array(signals.iter().map(|s| s.avro(head.base_at)).collect())));
    let record = Avro::Record(record);
    reads_alike(schema, &ours, &record);

    for bytes in [&ours, &avro_writes(schema, &record)] {
        let SignalsRecord::Batch(read) = SignalsRecord::decode(bytes).unwrap() else {
            unreachable!("a batch was written")
        };
        assert_eq!(&read.head, head);
        reads_back(&read, signals);
        reads_some(&read, head.seq);
    }
}

fn reads_back(batch: &Batch<'_>, signals: &[DrawnSignal]) {
    let read: Vec<_> = batch.signals().collect::<Result<_, _>>().unwrap();
    assert_eq!(read.len(), signals.len());
    for (read, written) in read.iter().zip(signals) {
        let mut fields: Vec<_> = written.fields.iter().map(model::signals::Drawn::value).collect();
        fields.resize(TYPE_FIELDS_MAX, batch::Value::Absent);
        assert_eq!((read.kind, read.at, &read.fields[..]), (written.kind, written.at, &fields[..]));
        let again = Frame::of(read.bytes, batch.head.base_at).unwrap().signal().unwrap();
        assert_eq!(again, *read, "a signal's own bytes read again");
    }
}

fn draw_head(entropy: &mut Entropy<'_>) -> BatchHead {
    let head = BatchHead::draw(entropy);
    BatchHead { base_at: head.base_at.clamp(-(1 << 50), 1 << 50), ..head }
}

/// A frame has its signal's type, time and bytes, and gives the fields that are asked for and no other.
fn reads_some(batch: &Batch<'_>, entropy: u64) {
    for (index, (frame, whole)) in batch.frames().zip(batch.signals()).enumerate() {
        let (frame, whole) = (frame.unwrap(), whole.unwrap());
        assert_eq!((frame.kind, frame.at, frame.bytes), (whole.kind, whole.at, whole.bytes));
        let wanted = |place: usize| entropy >> ((index + place) % 64) & 1 != 0;
        let mut set = FieldSet::default();
        (0..TYPE_FIELDS_MAX).filter(|place| wanted(*place)).for_each(|place| set.insert(place));
        let mut fields = [batch::Value::Bool(true); TYPE_FIELDS_MAX];
        frame.read_fields(set, &mut fields).unwrap();
        for (place, _) in whole.def().fields.iter().enumerate() {
            let expected = if wanted(place) { whole.fields[place] } else { batch::Value::Bool(true) };
            assert_eq!(fields[place], expected, "field {place} of {}", whole.kind.name());
        }
    }
}

#[test]
fn each_signal_type_agrees() {
    let schema = parsed(Kind::Batch);
    for kind in SignalType::all() {
        for_all(|entropy| {
            let head = draw_head(entropy);
            let signal = DrawnSignal::draw(kind, head.base_at, entropy);
            batch_agrees(&schema, &head, &[signal]);
        });
    }
}

#[test]
fn batches_of_mixed_signals_agree() {
    let schema = parsed(Kind::Batch);
    for_all(|entropy| {
        let head = draw_head(entropy);
        let signals: Vec<_> = (0..entropy.below(20))
            .map(|_| {
                let kind = SignalType::from_index(entropy.below(SIGNAL_TYPES)).unwrap();
                DrawnSignal::draw(kind, head.base_at, entropy)
            })
            .collect();
        batch_agrees(&schema, &head, &signals);
    });
}

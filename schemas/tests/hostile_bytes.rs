//! Bytes that are not a record: every one is refused with an error, none panics, hangs or allocates by a false count.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is the test's")]

use logystera_schemas::avro::{DecodeError, Reader, Writer};
use logystera_schemas::batch::Frame;
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::control::Entity;
use logystera_schemas::delivery::{Attempt, ChannelsConfigured};
use logystera_schemas::schema::{self, HEADER_BYTES, Kind};
use logystera_schemas::series::Points;
use logystera_schemas::snapshot::Snapshot;
use logystera_schemas::topic::{DetectionsRecord, SignalsRecord};
use proptest::prelude::*;

mod samples;

/// Reads `bytes` as a record of every topic, whole: `Ok` where one of them takes it.
fn read(bytes: &[u8]) -> Result<(), DecodeError> {
    let signals = SignalsRecord::decode(bytes).and_then(|record| match record {
        SignalsRecord::Batch(batch) => batch.signals().try_for_each(|signal| signal.map(drop)),
        _ => Ok(()),
    });
    let attempt = schema::decode::<Attempt>(bytes).map(drop);
    let snapshot = schema::decode::<Snapshot>(bytes).map(drop);
    let points = schema::decode::<Points>(bytes).map(drop);
    signals
        .or(DetectionsRecord::decode(bytes).map(drop))
        .or(Entity::decode(bytes).map(drop))
        .or(attempt)
        .or(snapshot)
        .or(points)
}

#[test]
fn a_whole_record_is_read() {
    for kind in Kind::ALL {
        assert_eq!(read(&samples::of(*kind)), Ok(()), "{kind:?}");
    }
}

#[test]
fn a_record_cut_anywhere_is_refused() {
    for kind in Kind::ALL {
        let whole = samples::of(*kind);
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{kind:?} cut to {length} of {} bytes was read", whole.len());
        }
    }
}

#[test]
fn a_byte_more_is_refused() {
    for kind in Kind::ALL {
        let longer = [samples::of(*kind), vec![0]].concat();
        assert!(read(&longer).is_err(), "{kind:?}");
    }
}

#[test]
fn every_flipped_bit_gives_a_record_or_an_error() {
    for kind in Kind::ALL {
        let whole = samples::of(*kind);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = read(&flipped);
            // The header has no bit to spare; what a datum's bits say, only the log's checksum can tell.
            assert!(
                bit / 8 >= HEADER_BYTES || matches!(read, Err(DecodeError::UnknownSchema(_))),
                "{kind:?} bit {bit}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn random_bytes_under_a_known_fingerprint_never_panic(
        kind in prop::sample::select(Kind::ALL),
        datum in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut record = Writer::new();
        schema::begin(kind, &mut record);
        record.raw(&datum);
        let _never_panics = read(&record.into_bytes());
    }
}

#[test]
fn a_false_count_allocates_nothing() {
    for count in [2, 1 << 20, 1 << 40, i64::MAX, -1, i64::MIN] {
        let mut record = Writer::new();
        schema::begin(Kind::ChannelsConfigured, &mut record);
        record.bytes(b"acme");
        record.long(count);
        let error = schema::decode::<ChannelsConfigured>(&record.into_bytes()).unwrap_err();
        let expected = if count < 0 { DecodeError::Range } else { DecodeError::Truncated };
        assert_eq!(error, expected, "{count}");
    }
}

#[test]
fn a_false_length_is_refused() {
    for length in [5, 1 << 40, i64::MAX, -1] {
        let mut text = Writer::new();
        text.long(length);
        text.raw(b"four");
        assert!(Reader::new(&text.into_bytes()).string().is_err(), "{length}");
    }
}

#[test]
fn numbers_out_of_their_range_are_refused() {
    let overlong = [0xff; 11];
    assert_eq!(Reader::new(&overlong).long(), Err(DecodeError::Range));
    assert_eq!(Reader::new(&overlong[..9]).long(), Err(DecodeError::Truncated));

    // The union's branch after the last one; an enum's symbol after the last one; a time beyond what an i64 holds.
    let read = |numbers: &[i64], base_at| {
        let mut bytes = Writer::new();
        for number in numbers {
            bytes.long(*number);
        }
        Frame::of(&bytes.into_bytes(), base_at)?.signal().map(|s| s.at)
    };
    let types = SignalType::all().count() as i64;
    let mail = SignalType::from_name("mail.outcome").unwrap().index() as i64;
    assert_eq!(read(&[mail, 5, 2, 0, 0, 0], 100), Ok(105));
    assert_eq!(read(&[types, 5, 2, 0, 0, 0], 100), Err(DecodeError::Range));
    assert_eq!(read(&[mail, 5, 3, 0, 0, 0], 100), Err(DecodeError::Range));
    assert_eq!(read(&[mail, 5, 2, 2, 0, 0], 100), Err(DecodeError::Range));
    assert_eq!(read(&[mail, 5, 2, 0, 0, 0], i64::MAX), Err(DecodeError::Range));
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    assert_eq!(Reader::new(&[4, 0xc3, 0x28]).string(), Err(DecodeError::Utf8));
}

#[test]
fn an_unknown_fingerprint_is_named() {
    let mut tick = samples::of(Kind::Tick);
    tick[2..10].copy_from_slice(&0x0123_4567_89ab_cdef_u64.to_le_bytes());
    let error = read(&tick).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no known schema has the fingerprint 0123456789abcdef: the record is of a newer version, or not one of ours"
    );
}

//! The bytes of one fixed record of each kind, fingerprint included, so that a change of a format can't slip in.
//!
//! A difference here means that this binary no longer reads what is retained in logs. A format that must change gets a
//! new schema beside the old one, whose fingerprint stays known; these lines then gain a record, none of them changes.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is the test's")]

use logystera_schemas::batch::{Signal, Value};
use logystera_schemas::control::{Channel, ChannelKind, Entity, Key, Lease, Site};
use logystera_schemas::delivery::{
    Attempt, AttemptEnded, AttemptOutcome, AttemptStarted, ChannelRef, ChannelsConfigured, Resend,
};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::noise::{ChannelSettings, Silence};
use logystera_schemas::schema::{self, Kind};
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::topic::SignalsRecord;

mod samples;

/// Hex in lines of at most 50 bytes: the header (marker and fingerprint) stands in a line of its own.
fn hex(bytes: &[u8]) -> String {
    let (header, datum) = bytes.split_at(schema::HEADER_BYTES);
    let line = |chunk: &[u8]| chunk.iter().fold(String::new(), |line, b| line + &format!("{b:02x}"));
    std::iter::once(line(header)).chain(datum.chunks(50).map(line)).collect::<Vec<_>>().join("\n  ")
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: a record a line or two")]
fn the_bytes_of_each_record_are_what_they_were() {
    let all: Vec<_> = Kind::ALL.iter().map(|kind| format!("{kind:?}\n  {}", hex(&samples::of(*kind)))).collect();
    insta::assert_snapshot!(all.join("\n"), @r"
    Batch
      c301d0783a00fd15beac
      0861636d6510736974655f377164046b32009f9f9f9f9f9f9f9f0ed1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1
      d1d1d1d1d1d1d1d1d1f6a1d5edee6680a0d5edee669f1f78020a312e302e30040004000480a0d5edee660001820100cf0f02
      02020202abababababababababababababababab02f606abababababababababababababababab020102abababababababab
      abababababababab02f606011c02cd0f020202020202f60602f606012004cb0f042f780202f60602f60602f606017c06c90f
      02042f78abababababababababababababababab02f606abababababababababababababababab02abababababababababab
      abababababab02f60601840108c70f042f780202abababababababababababababababab02ababababababababababababab
      ababab02abababababababababababababababab020400060002f606015c0ac50f02042f78ababababababababababababab
      ababab02f60602abababababababababababababababab02f60601600cc30f0202042f7802f60602abababababababababab
      abababababab02abababababababababababababababab02f6060186010ec10f02042f78f606042f7802042f7802f60602ab
      ababababababababababababababab02042f780204000800020202abababababababababababababababab02f606014c10bf
      0f02042f780202042f7802042f7802abababababababababababababababab020202f606014012bd0f042f78f60604000800
      02abababababababababababababababab02f606011614bb0f042f78f606f60602010c16b90f02f606011418b70f02042f78
      02f606010e1ab50f042f780200
    Refused
      c30178b6f6bcf27e21a0
      10736974655f377164029f9f9f9f9f9f9f9f18726174655f6c696d69746564d80401
    Tick
      c301f8ddd814ed5f9bc3
      0680a0d5edee66a09c01
    SiteConfigured
      c301f448ced5e383d84e
      10736974655f3771640861636d651241636d652073686f70d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2
      d2d2d2d2d2d202
    SiteClosed
      c301bd638badd4a9c30e
      10736974655f3771640861636d65
    KeyRevoked
      c301c83ca8a0caf35676
      10736974655f377164046b3201
    Seal
      c301aa3334702427634e
      020620
    Detection
      c30129e676a2d58e76cc
      e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e10861636d6510736974655f377164020465311662727574652d666f72636518303132
      33343536373839616216427275746520666f7263650408617574680002020c736f7572636504616200280280a0d5edee6690
      eed5edee660280a0d5edee66040e6f7574636f6d650e6661696c7572650c6d6574686f6408666f726d000016323020666169
      6c75726573142f616c657274732f653106c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c002
      04020400e0d4032801
    ChannelsConfigured
      c301a6ecc391fa4c385d
      0861636d650208686f6f6b0e776562686f6f6b020202086175746800021662727574652d666f726365000210736974655f37
      7164000102b301d014c80602040214010206656e76086c6976650000
    ChannelEnabled
      c3019d30232aea9017b5
      0861636d6508686f6f6b
    Silence
      c3012204011d8acccb25
      08736c5f310861636d6506616e6e0c6d6f76696e6780a0d5edee6682a0d5edee6684a0d5edee66000210736974655f377164
      0002040208617574680206656e76086c69766500
    SiteLabelled
      c301e1812627f092f4ed
      0861636d6510736974655f3771640206656e76086c69766500
    AttemptStarted
      c3017d38addbaa62c5a5
      0861636d65dddddddddddddddddddddddddddddddd0480a0d5edee66022468747470733a2f2f696e2e6578616d706c650210
      736974655f3771641241636d652073686f70022868747470733a2f2f61636d652e6578616d706c650206656e76086c697665
      000002040280a0d5edee66010001
    AttemptEnded
      c301dd3dc928f50b1240
      0861636d65dddddddddddddddddddddddddddddddd040c02da060278ae0102060224736c61636b5f726174655f6c696d6974
      6564
    Resend
      c3016e433d1aa03b1279
      0861636d655e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e08686f6f6b106f707340686f737480a0d5edee66e1e1e1e1e1e1e1e1e1
      e1e1e1e1e1e1e10861636d6510736974655f377164020465311662727574652d666f72636518303132333435363738396162
      16427275746520666f7263650408617574680002020c736f7572636504616200280280a0d5edee6690eed5edee660280a0d5
      edee66040e6f7574636f6d650e6661696c7572650c6d6574686f6408666f726d0000163230206661696c75726573142f616c
      657274732f653106c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c00204020400e0d4032801
    Attempt
      c30180229134057fad32
      0861636d6510736974655f37716400e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1061662727574652d666f72636508686f6f6bdd
      dddddddddddddddddddddddddddddd0404147374617475735f35303002e80780a0d5edee6602e0f4d8edee6602066f6c640e
      02c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1021202
    Snapshot
      c301efd23b3230cfb6e4
      e6010206d80480a0d5edee660204000210736974655f377164d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2
      d2d2d2d2d2d2d206c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c000020600730106000102
      00
    Points
      c3015743e9666300a135
      0861636d6510736974655f3771640080a0d5edee66040202040c6c6f67696e7318303132333435363738396162040e6f7574
      636f6d650c726561736f6e000002040e6661696c757265086e6f6e6500d80402000000107265717565737473186261393837
      363534333231300004c801d00f0002000c00882706060402000000
    Tenant
      c30190e5f007d90ef9dc
      0861636d650841636d6580a0d5edee66
    Site
      c301dbd6f330e2c12979
      10736974655f3771640861636d651241636d652073686f7080a0d5edee660282a0d5edee66022868747470733a2f2f61636d
      652e6578616d706c650206656e76086c69766500
    Key
      c3014e6bf77b82f6930f
      10736974655f377164046b320601020380a0d5edee6680a0d5edee66000282a0d5edee6601
    RuleSet
      c30115b00bf83fa8e51a
      d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2047b7d
    Channel
      c301ddd8b62207efd5a5
      08686f6f6b0861636d65000601020380a0d5edee6600020202086175746800021662727574652d666f726365000210736974
      655f377164000102b301d014c80602040214010206656e76086c69766500
    Partitions
      c301bb36f1af4d3844ef
      020408200002
    Lease
      c3015baad11da5e95404
      020c686f73742d310dd8040202000280a0d5edee6601
    Skip
      c3017de4dd2df75bd251
      000206d804da04086a756e6b80a0d5edee66
    SiteRules
      c3015841c0a4a76a3113
      10736974655f377164d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d20280a0d5edee662e72
      756c6573207075626c697368206f6e20686f73742d31
    Deployment
      c301dce8f3b2ea4d296d
      0e65752d70726f642468747470733a2f2f696e2e6578616d706c650102d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2
      d2d2d2d2d2d2d2d2d2d2d202
    ");
}

/// What an attempt ended as in the first versions is read as it was written: its status still says what it means.
#[test]
fn an_attempts_end_of_before_is_still_read() {
    let now: AttemptEnded = schema::decode(&samples::of(Kind::AttemptEnded)).unwrap();
    assert!(now.detail.is_some());
    let before = AttemptEnded { outcome: AttemptOutcome::Refused, detail: None, ..now };
    for (cause, digits) in [
        (None, "c30151a62cdb4e0a68d20861636d65dddddddddddddddddddddddddddddddd040202da060278ae01"),
        (before.cause, "c3010ab2461ad9f934930861636d65dddddddddddddddddddddddddddddddd040202da060278ae010206"),
    ] {
        let read: AttemptEnded = schema::decode(&from_hex(digits)).unwrap();
        assert_eq!(read, AttemptEnded { cause, ..before.clone() });
    }
}

/// Before channels had kinds, and before they had settings.
#[test]
fn a_channel_of_before_is_still_read_as_a_webhook_that_takes_everything() {
    let Entity::Channel(now) = Entity::decode(&samples::of(Kind::Channel)).unwrap() else {
        unreachable!("it is a channel")
    };
    assert!(!now.settings.is_default());
    let now = Channel { settings: ChannelSettings::default(), fallback: false, labels: Vec::new(), ..now };
    for header in ["c301ea18b2d69591ece6", "c301d4a354911c39a510"] {
        let before = from_hex(&format!("{header}08686f6f6b0861636d65000601020380a0d5edee6600"));
        assert_eq!(Entity::decode(&before).unwrap(), Entity::Channel(now.clone()), "{header}");
    }
    assert_eq!(now.kind, ChannelKind::Webhook);
}

#[test]
fn channels_of_before_are_still_read_and_take_everything() {
    let before = "c3015069e76f83df32e10861636d650408686f6f6b0e776562686f6f6b06706f740a736c61636b00";
    let read: ChannelsConfigured = schema::decode(&from_hex(before)).unwrap();
    let of = |channel: &str, kind: &str| {
        let (channel, kind) = (channel.parse().unwrap(), kind.to_owned());
        ChannelRef { channel, kind, settings: ChannelSettings::default(), fallback: false, labels: Vec::new() }
    };
    assert_eq!(read.channels, [of("hook", "webhook"), of("pot", "slack")]);
    // With settings, and no fallback channel.
    let before = "c301f05237dcca8099b50861636d650208686f6f6b0e776562686f6f6b000000000100021400";
    let read: ChannelsConfigured = schema::decode(&from_hex(before)).unwrap();
    assert_eq!((read.channels[0].settings.per_minute, read.channels[0].fallback), (Some(10), false));
}

/// Before sites had labels, each record with the bytes that the first versions wrote.
#[test]
fn what_knew_no_labels_is_still_read_and_has_none() {
    let of = |kind, digits: &str| (samples::of(kind), from_hex(digits));
    let (now, before) = of(
        Kind::Site,
        "c30103a9b3b9f939d83f10736974655f3771640861636d651241636d652073686f7080a0d5edee660282a0d5edee66",
    );
    let (Entity::Site(now), Entity::Site(before)) = (Entity::decode(&now).unwrap(), Entity::decode(&before).unwrap())
    else {
        unreachable!("both are sites")
    };
    assert!(now.url.is_some() && !now.labels.is_empty());
    assert_eq!(before, Site { url: None, labels: Vec::new(), ..now });

    let (now, before) = of(
        Kind::Silence,
        "c30134136181fd0b942108736c5f310861636d6506616e6e0c6d6f76696e6780a0d5edee6682a0d5edee6684a0d5edee66000210736974655f377164\
         000204020861757468",
    );
    let (now, before) = (schema::decode::<Silence>(&now).unwrap(), schema::decode::<Silence>(&before).unwrap());
    assert_eq!(before, Silence { labels: Vec::new(), ..now });

    let (now, before) = of(
        Kind::Channel,
        "c3010ef72424aabffaa808686f6f6b0861636d65000601020380a0d5edee6600020202086175746800021662727574652d666f726365000210736974\
         655f377164000102b301d014c8060204021401",
    );
    let (Entity::Channel(now), Entity::Channel(before)) =
        (Entity::decode(&now).unwrap(), Entity::decode(&before).unwrap())
    else {
        unreachable!("both are channels")
    };
    assert_eq!(before, Channel { labels: Vec::new(), ..now });

    let (now, before) = of(
        Kind::ChannelsConfigured,
        "c301fc2cdec95c42f0220861636d650208686f6f6b0e776562686f6f6b020202086175746800021662727574652d666f726365000210736974655f37\
         7164000102b301d014c806020402140100",
    );
    let read = |bytes: &[u8]| schema::decode::<ChannelsConfigured>(bytes).unwrap();
    let (now, before) = (read(&now), read(&before));
    assert_eq!(before.channels, [ChannelRef { labels: Vec::new(), ..now.channels[0].clone() }]);
}

/// Before the first attempt said what each later one says.
#[test]
fn an_attempts_start_of_before_is_still_read_and_says_nothing_more() {
    let before = from_hex("c301b492f441a12b93050861636d65dddddddddddddddddddddddddddddddd0480a0d5edee66");
    let now: AttemptStarted = schema::decode(&samples::of(Kind::AttemptStarted)).unwrap();
    assert!(now.frozen.is_some());
    assert_eq!(schema::decode::<AttemptStarted>(&before).unwrap(), AttemptStarted { frozen: None, ..now });
}

#[test]
fn a_row_of_before_is_still_read_as_one_of_an_alert() {
    let digits = "0861636d6510736974655f37716400e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1061662727574652d666f72636508686f6f6b\
                  dddddddddddddddddddddddddddddddd0404147374617475735f35303002e80780a0d5edee6602e0f4d8edee66";
    let now: Attempt = schema::decode(&samples::of(Kind::Attempt)).unwrap();
    assert!(now.disabled.is_some());
    let unlinked = Attempt { number: 0, chain: None, outcome: None, semantics: 0, ..now };
    for (head, more, disabled) in
        [("c30149e574aef11726f0", "", None), ("c301e6d6fab75a9558a7", "02066f6c64", unlinked.disabled.clone())]
    {
        let read: Attempt = schema::decode(&from_hex(&format!("{head}{digits}{more}"))).unwrap();
        assert_eq!(read, Attempt { disabled, ..unlinked.clone() });
    }
}

/// The link is over the bytes as they stand in the log: a version that adds fields links rows of before as they were.
#[test]
fn a_row_is_linked_by_the_bytes_that_it_was_stored_as() {
    let value = samples::of(Kind::Attempt);
    let row: Attempt = schema::decode(&value).unwrap();
    let previous = Attempt::genesis(&row.tenant);
    assert_eq!(previous, Sha256Digest::of(b"acme"));
    let by_hand = |value: &[u8]| {
        let chain = row.chain.unwrap().0;
        let at = value.windows(32).position(|bytes| bytes == chain).unwrap();
        let mut linked = [&previous.0, &value[schema::HEADER_BYTES..]].concat();
        linked[32 + at - schema::HEADER_BYTES..][..32].fill(0);
        Sha256Digest::of(&linked)
    };
    assert_eq!(row.link(&previous), by_hand(&value));
    for bytes in [value.len(), value.len() - 1, value.len() - 3] {
        assert_eq!(row.link_as_stored(&previous, &value[..bytes]), by_hand(&value[..bytes]), "{bytes} bytes");
    }
}

#[test]
fn a_tick_of_before_is_still_read_as_one_of_each_second() {
    let before: Tick = schema::decode(&from_hex("c301550e0f48e35b36f30680a0d5edee66")).unwrap();
    let now: Tick = schema::decode(&samples::of(Kind::Tick)).unwrap();
    assert_ne!(now.open_ms, 0);
    assert_eq!(before, Tick { open_ms: 0, ..now });
}

/// The header of a batch of version 1, without `ends`.
const VERSION_1: [u8; schema::HEADER_BYTES] = [0xc3, 0x01, 0xd6, 0x2e, 0xda, 0xb3, 0xc7, 0xba, 0x96, 0x0b];

/// The datum of the same batch as the first gateways wrote it: all signals in one block of the array.
const ONE_BLOCK: &[&str] = &[
    "0861636d6510736974655f377164046b32009f9f9f9f9f9f9f9f0ed1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
    "d1d1d1d1d1d1d1d1d1f6a1d5edee6680a0d5edee669f1f78020a312e302e30040004000480a0d5edee661600cf0f02020202",
    "02abababababababababababababababab02f606abababababababababababababababab020102cd0f020202020202f60604",
    "cb0f042f780202f60602f60606c90f02042f78abababababababababababababababab02f606abababababababababababab",
    "abababab08c70f042f780202abababababababababababababababab02abababababababababababababababab02abababab",
    "abababababababababababab0ac50f02042f78abababababababababababababababab02f60602ababababababababababab",
    "ababababab0cc30f0202042f7802f60602abababababababababababababababab0ec10f02042f78f606042f7802042f7802",
    "f60602abababababababababababababababab10bf0f02042f780202042f7802042f7802abababababababababababababab",
    "abab12bd0f042f78f6060400080002abababababababababababababababab14bb0f042f78f606f6060200",
];

fn from_hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A batch of version 2, whose signals had fewer fields: the whole record, each signal in a block of its own.
const BATCH_2: &[&str] = &[
    "c3013007612b740870a3",
    "0861636d6510736974655f377164046b32009f9f9f9f9f9f9f9f0ed1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",
    "d1d1d1d1d1d1d1d1d1f6a1d5edee6680a0d5edee669f1f78020a312e302e30040004000480a0d5edee6600015a00cf0f0202",
    "020202abababababababababababababababab02f606abababababababababababababababab0201011602cd0f0202020202",
    "02f606011a04cb0f042f780202f60602f606015406c90f02042f78abababababababababababababababab02f606abababab",
    "abababababababababababab017408c70f042f780202abababababababababababababababab02ababababababababababab",
    "ababababab02abababababababababababababababab01560ac50f02042f78abababababababababababababababab02f606",
    "02abababababababababababababababab01380cc30f0202042f7802f60602abababababababababababababababab01480e",
    "c10f02042f78f606042f7802042f7802f60602abababababababababababababababab014210bf0f02042f780202042f7802",
    "042f7802abababababababababababababababab013a12bd0f042f78f6060400080002ababababababababababababababab",
    "ab011614bb0f042f78f606f60602010c16b90f02f60600",
];

/// What a batch's signals say with the fields that their types always had. `lacks_others`: they say nothing else.
fn signals(bytes: &[u8], lacks_others: bool) -> Vec<String> {
    let SignalsRecord::Batch(batch) = SignalsRecord::decode(bytes).unwrap() else { unreachable!("it is a batch") };
    assert!(!batch.head.ends, "a batch before version 2 does not end its spool");
    let said = |signal: Signal<'_>| {
        let fields = || signal.def().fields.iter().zip(&signal.fields);
        let mut added = fields().filter(|(def, _)| def.since > 1);
        assert!(added.all(|(_, value)| (*value == Value::Absent) == lacks_others), "{:?}", signal.kind);
        let base: Vec<_> = fields().filter(|(def, _)| def.since == 1).map(|(_, value)| *value).collect();
        format!("{:?} {} {base:?}", signal.kind, signal.at)
    };
    batch.signals().map(|signal| said(signal.unwrap())).collect()
}

#[test]
fn a_batch_of_one_block_is_still_read() {
    let before: Vec<u8> = VERSION_1.into_iter().chain(from_hex(&ONE_BLOCK.concat())).collect();
    // Types came since.
    assert_eq!(signals(&before, true), signals(&samples::of(Kind::Batch), false)[..11]);
}

#[test]
fn a_batch_whose_signals_had_fewer_fields_is_still_read() {
    let before = from_hex(&BATCH_2.concat());
    assert_eq!(signals(&before, true), signals(&samples::of(Kind::Batch), false)[..12]);
}

/// The header of a detection of version 1, whose reasons ended with `site_closed`.
const DETECTION_1: [u8; schema::HEADER_BYTES] = [0xc3, 0x01, 0x9d, 0x73, 0x95, 0x33, 0x23, 0x6a, 0x4c, 0xeb];

/// The header of one of version 2, which had no `bundle`.
const DETECTION_2: [u8; schema::HEADER_BYTES] = [0xc3, 0x01, 0x5b, 0x31, 0xd3, 0x9f, 0xa3, 0x69, 0x0d, 0x73];
/// The header of one of version 3, which had no `once`.
const DETECTION_3: [u8; schema::HEADER_BYTES] = [0xc3, 0x01, 0x30, 0x8a, 0xac, 0x4c, 0x5c, 0x30, 0x21, 0x07];
/// Bytes of the sample's `bundle`: there is one, two of `by`, 30 s, 20 alerts.
const BUNDLE: [u8; 9] = [2, 4, 2, 4, 0, 0xe0, 0xd4, 3, 40];
/// The byte of its `once`.
const ONCE: [u8; 1] = [1];

#[test]
fn a_detection_of_before_is_still_read_and_has_no_bundle_and_no_mark() {
    let now = samples::of(Kind::Detection);
    let third = now[schema::HEADER_BYTES..].strip_suffix(&ONCE).unwrap();
    let datum = third.strip_suffix(&BUNDLE).unwrap();
    let read = |bytes: &[u8]| schema::decode::<Detection>(bytes).unwrap();
    assert!(read(&now).bundle.is_some() && read(&now).once);
    let before = read(&[&DETECTION_3, third].concat());
    assert_eq!(before, Detection { once: false, ..read(&now) });
    // What it says is linked as it was before it could say how it is delivered, and that nothing follows.
    let zeroed = [&datum[..datum.len() - 32], &[0; 32]].concat();
    let chain = logystera_schemas::ids::Sha256Digest([7; 32]);
    let of = |bytes: &[u8]| logystera_schemas::ids::Sha256Digest::of(&[&chain.0[..], bytes].concat());
    let (expected, marked) = (of(&zeroed), of(&[&zeroed[..], &ONCE].concat()));
    assert_eq!((before.link(&chain), read(&now).link(&chain)), (expected, marked));
    for header in [&DETECTION_1, &DETECTION_2] {
        let before = read(&[header, datum].concat());
        assert_eq!(before, Detection { bundle: None, once: false, ..read(&now) });
        assert_eq!(before.link(&chain), expected);
    }
}

#[test]
fn a_resend_of_before_is_still_read_with_the_bundle_of_its_detection() {
    let now = samples::of(Kind::Resend);
    let datum = now[schema::HEADER_BYTES..].strip_suffix(&ONCE).unwrap();
    let header = [0xc3, 0x01, 0x19, 0x2e, 0x6f, 0xc3, 0x8f, 0x8b, 0x9f, 0x64];
    let read = |bytes: &[u8]| schema::decode::<Resend>(bytes).unwrap();
    let (before, now) = (read(&[&header, datum].concat()), read(&now));
    assert!(now.detection.bundle.is_some() && now.detection.once);
    let detection = Detection { once: false, ..now.detection.clone() };
    assert_eq!(before, Resend { detection, ..now });
}

#[test]
fn a_key_of_before_is_still_read_as_not_stolen() {
    let before =
        from_hex("c30144ccac4660e7506e10736974655f377164046b320601020380a0d5edee6680a0d5edee66000282a0d5edee66");
    let (Entity::Key(before), Entity::Key(now)) =
        (Entity::decode(&before).unwrap(), Entity::decode(&samples::of(Kind::Key)).unwrap())
    else {
        unreachable!("both are keys")
    };
    assert!(now.stolen);
    assert_eq!(before, Key { stolen: false, ..now });
}

#[test]
fn a_lease_of_before_is_still_read_and_tells_no_time() {
    let before = from_hex("c301b369d414b7b8a380020c686f73742d310dd804020200");
    let (Entity::Lease(before), Entity::Lease(now)) =
        (Entity::decode(&before).unwrap(), Entity::decode(&samples::of(Kind::Lease)).unwrap())
    else {
        unreachable!("both are leases")
    };
    assert!(now.at.is_some() && now.ticks);
    assert_eq!(before, Lease { at: None, ticks: false, ..now });
}

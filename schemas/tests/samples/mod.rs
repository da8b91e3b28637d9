//! One fixed record of each kind.

use logystera_schemas::alert::{Frozen, Merged, NamedSite};
use logystera_schemas::avro::{Blob, Writer};
use logystera_schemas::batch::{self, BatchHead, Platform, Value};
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::control::{
    Channel, ChannelKind, Deployment, GrowingTopic, GrowthPhase, Key, Lease, Partitions, ProcessRole, RuleSet, Site,
    SiteRules, Skip, Tenant,
};
use logystera_schemas::delivery::{
    Attempt, AttemptCause, AttemptEnded, AttemptOutcome, AttemptStarted, AttemptState, ChannelEnabled, ChannelRef,
    ChannelsConfigured, Resend,
};
use logystera_schemas::detection::{
    BundleBy, BundleSpec, Detection, DetectionReason, DetectionState, Evidence, Label, Severity,
};
use logystera_schemas::ids::{DeliveryId, EpisodeId, ResendId, Sha256Digest, SpoolId};
use logystera_schemas::labels::{SiteLabel, SiteLabelled};
use logystera_schemas::noise::{ChannelSettings, QuietHours, Silence};
use logystera_schemas::schema::{self, Kind};
use logystera_schemas::series::{MetricPoints, Points, SeriesPoint};
use logystera_schemas::signals_topic::{KeyRevoked, Refused, Seal, SiteClosed, SiteConfigured, Tick};
use logystera_schemas::snapshot::{Snapshot, SnapshotEntry, SnapshotSite};
use logystera_schemas::time::{SiteMs, WallMs};

const AT: i64 = 1_767_225_600_000;

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn label(field: &str, value: &str) -> Label {
    Label { field: field.to_owned(), value: value.to_owned() }
}

/// A batch with a signal of each type, every field set.
pub(crate) fn batch() -> Vec<u8> {
    let head = BatchHead {
        tenant: id("acme"),
        site: id("site_7qd"),
        key: id("k2"),
        encryption_key: None,
        spool: SpoolId([0x9f; 8]),
        seq: 7,
        digest: Sha256Digest([0xd1; 32]),
        received_at: AT + 123,
        through: AT,
        clock_offset_ms: -2_000,
        flush_every_s: 60,
        platform: Platform::Drupal,
        integration_version: "1.0.0".to_owned(),
        enabled: SignalTypes(0b101),
        refused: 2,
        base_at: AT,
        ends: false,
    };
    let mut signals = Writer::new();
    for kind in SignalType::all() {
        let fields: Vec<_> = kind.def().fields.iter().map(|f| sample_value(&f.kind)).collect();
        batch::write_signal(&mut signals, kind, AT - 1_000 + kind.index() as i64, AT, &fields);
    }
    batch::encode(&head, &signals.into_bytes())
}

fn sample_value(kind: &logystera_schemas::catalogue::FieldKind) -> Value<'static> {
    use logystera_schemas::catalogue::FieldKind;
    match kind {
        FieldKind::Enum(_) => Value::Enum(1),
        FieldKind::EnumList(symbols) => Value::List(1 | 1 << (symbols.len() - 1)),
        FieldKind::Int { min, max } => Value::Int((*min).max(443).min(*max)),
        FieldKind::Bool => Value::Bool(true),
        FieldKind::Hash => Value::Hash(&[0xab; 16]),
        FieldKind::Ident { .. } => Value::Ident("/x"),
    }
}

fn detection() -> Detection {
    Detection {
        id: EpisodeId([0xe1; 16]),
        tenant: id("acme"),
        site: id("site_7qd"),
        encryption_key: Some("e1".to_owned()),
        rule: id("brute-force"),
        revision: "0123456789ab".to_owned(),
        title: "Brute force".to_owned(),
        severity: Severity::Critical,
        subsystem: "auth".to_owned(),
        state: DetectionState::Firing,
        reason: DetectionReason::SuppressionExpired,
        group: vec![label("source", "ab")],
        count: 20,
        held: 1,
        started_at: AT,
        last_evaluated_at: AT + 5_000,
        evidence: vec![Evidence { at: AT, fields: vec![label("outcome", "failure"), label("method", "form")] }],
        message: "20 failures".to_owned(),
        url: "/alerts/e1".to_owned(),
        seq: 3,
        chain: Sha256Digest([0xc0; 32]),
        bundle: Some(BundleSpec { by: vec![BundleBy::Site, BundleBy::Rule], wait_ms: 30_000, max: 20 }),
        once: true,
    }
}

fn attempt() -> Attempt {
    Attempt {
        tenant: id("acme"),
        site: id("site_7qd"),
        encryption_key: None,
        detection: EpisodeId([0xe1; 16]),
        seq: 3,
        rule: id("brute-force"),
        channel: "hook".to_owned(),
        delivery: DeliveryId([0xdd; 16]),
        attempt: 2,
        state: AttemptState::Failed,
        reason: "status_500".to_owned(),
        status: Some(500),
        at: WallMs(AT),
        next_attempt_at: Some(WallMs(AT + 30_000)),
        disabled: Some(id("old")),
        number: 7,
        chain: Some(Sha256Digest([0xc1; 32])),
        outcome: Some(AttemptOutcome::Failed),
        semantics: 1,
    }
}

/// The single-object encoding of one record of `kind`.
pub(crate) fn of(kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Batch => batch(),
        Kind::Refused => schema::encode(&Refused {
            site: id("site_7qd"),
            spool: Some(SpoolId([0x9f; 8])),
            reason: "rate_limited".to_owned(),
            count: 300,
            authenticated: true,
        }),
        Kind::Tick => schema::encode(&Tick { partition: 3, at: WallMs(AT), open_ms: 10_000 }),
        Kind::SiteConfigured => schema::encode(&SiteConfigured {
            site: id("site_7qd"),
            tenant: id("acme"),
            name: "Acme shop".to_owned(),
            digest: Sha256Digest([0xd2; 32]),
            semantics: 1,
        }),
        Kind::SiteClosed => schema::encode(&SiteClosed { site: id("site_7qd"), tenant: id("acme") }),
        Kind::KeyRevoked => schema::encode(&KeyRevoked { site: id("site_7qd"), key: id("k2"), stolen: true }),
        Kind::Seal => schema::encode(&Seal { generation: 1, partition: 3, next_partitions: 16 }),
        Kind::Detection => schema::encode(&detection()),
        Kind::ChannelsConfigured => schema::encode(&ChannelsConfigured {
            tenant: id("acme"),
            channels: vec![ChannelRef {
                channel: id("hook"),
                kind: "webhook".to_owned(),
                settings: settings(),
                fallback: true,
                labels: vec![env()],
            }],
        }),
        Kind::Resend => schema::encode(&Resend {
            tenant: id("acme"),
            resend: ResendId([0x5e; 16]),
            channel: id("hook"),
            by: "ops@host".to_owned(),
            at: WallMs(AT),
            detection: detection(),
        }),
        Kind::ChannelEnabled => schema::encode(&ChannelEnabled { tenant: id("acme"), channel: id("hook") }),
        Kind::Silence => schema::encode(&silence()),
        Kind::SiteLabelled => {
            schema::encode(&SiteLabelled { tenant: id("acme"), site: id("site_7qd"), labels: vec![env()] })
        }
        Kind::AttemptStarted => schema::encode(&AttemptStarted {
            tenant: id("acme"),
            delivery: DeliveryId([0xdd; 16]),
            attempt: 2,
            at: WallMs(AT),
            frozen: Some(frozen()),
        }),
        Kind::AttemptEnded => schema::encode(&AttemptEnded {
            tenant: id("acme"),
            delivery: DeliveryId([0xdd; 16]),
            attempt: 2,
            outcome: AttemptOutcome::Throttled,
            status: Some(429),
            retry_after_s: Some(60),
            duration_ms: 87,
            cause: Some(AttemptCause::Reset),
            detail: Some("slack_rate_limited".to_owned()),
        }),
        Kind::Attempt => schema::encode(&attempt()),
        Kind::Snapshot => schema::encode(&snapshot()),
        Kind::Points => schema::encode(&points()),
        control => control_record(control),
    }
}

fn settings() -> ChannelSettings {
    ChannelSettings {
        severity: Some(Severity::Warning),
        subsystems: vec!["auth".to_owned()],
        rules: vec![id("brute-force")],
        sites: vec![id("site_7qd")],
        resolved: true,
        quiet: Some(QuietHours { utc_offset_min: -90, from_min: 1_320, to_min: 420, except: Some(Severity::Critical) }),
        per_minute: Some(10),
    }
}

fn silence() -> Silence {
    Silence {
        silence: id("sl_1"),
        tenant: id("acme"),
        author: "ann".to_owned(),
        reason: "moving".to_owned(),
        created_at: WallMs(AT),
        from: WallMs(AT + 1),
        until: WallMs(AT + 2),
        ended_at: None,
        site: Some(id("site_7qd")),
        rule: None,
        severity: Some(Severity::Critical),
        subsystem: Some("auth".to_owned()),
        labels: vec![env()],
    }
}

fn env() -> SiteLabel {
    SiteLabel { key: "env".to_owned(), value: "live".to_owned() }
}

fn frozen() -> Frozen {
    let (site, name, url) = (id("site_7qd"), "Acme shop".to_owned(), Some("https://acme.example".to_owned()));
    let merged = Merged { lines: 2, firings: 1, since: AT, untold: true };
    let sites = vec![NamedSite { site, name, url, labels: vec![env()] }];
    Frozen { public_url: "https://in.example".to_owned(), sites, merged: vec![merged], advised: true }
}

fn snapshot() -> Snapshot {
    Snapshot {
        key_group: 115,
        generation: 1,
        partition: 3,
        position: 300,
        at: WallMs(AT),
        part: 1,
        parts: 2,
        encryption_key: None,
        sites: vec![SnapshotSite {
            site: id("site_7qd"),
            digest: Sha256Digest([0xd2; 32]),
            seq: 3,
            chain: Sha256Digest([0xc0; 32]),
        }],
        entries: vec![SnapshotEntry { key: Blob(vec![0, 115, 1]), value: Blob(vec![0, 1, 2]) }],
    }
}

fn points() -> Points {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let counter = MetricPoints {
        name: "logins".to_owned(),
        revision: "0123456789ab".to_owned(),
        labels: texts(&["outcome", "reason"]),
        ends: Vec::new(),
        series: vec![SeriesPoint {
            values: texts(&["failure", "none"]),
            count: 300,
            late: 1,
            sum: 0,
            buckets: Vec::new(),
        }],
    };
    let distribution = MetricPoints {
        name: "requests".to_owned(),
        revision: "ba9876543210".to_owned(),
        labels: Vec::new(),
        ends: vec![100, 1_000],
        series: vec![SeriesPoint { values: Vec::new(), count: 6, late: 0, sum: 2_500, buckets: vec![3, 2, 1] }],
    };
    Points {
        tenant: id("acme"),
        site: id("site_7qd"),
        encryption_key: None,
        minute: SiteMs(AT),
        resets: 2,
        part: 1,
        parts: 1,
        metrics: vec![counter, distribution],
    }
}

fn control_record(kind: Kind) -> Vec<u8> {
    let sealed = Blob(vec![1, 2, 3]);
    match kind {
        Kind::Tenant => schema::encode(&Tenant { tenant: id("acme"), name: "Acme".to_owned(), created_at: AT }),
        Kind::Site => schema::encode(&Site {
            site: id("site_7qd"),
            tenant: id("acme"),
            name: "Acme shop".to_owned(),
            created_at: AT,
            closed_at: Some(AT + 1),
            url: Some("https://acme.example".to_owned()),
            labels: vec![env()],
        }),
        Kind::Key => schema::encode(&Key {
            site: id("site_7qd"),
            key: id("k2"),
            sealed_secret: sealed,
            created_at: AT,
            not_before: AT,
            not_after: None,
            revoked_at: Some(AT + 1),
            stolen: true,
        }),
        Kind::RuleSet => schema::encode(&RuleSet { digest: Sha256Digest([0xd2; 32]), body: Blob(b"{}".to_vec()) }),
        Kind::Channel => schema::encode(&Channel {
            channel: id("hook"),
            tenant: id("acme"),
            kind: ChannelKind::Webhook,
            sealed_config: sealed,
            created_at: AT,
            removed_at: None,
            settings: settings(),
            fallback: true,
            labels: vec![env()],
        }),
        Kind::Partitions => schema::encode(&Partitions {
            topic: GrowingTopic::Detections,
            generations: vec![4, 16],
            phase: GrowthPhase::Closing,
        }),
        Kind::Lease => schema::encode(&Lease {
            role: ProcessRole::Processor,
            instance: "host-1".to_owned(),
            incarnation: -7,
            renewal: 300,
            left: Some(1),
            released: false,
            at: Some(AT),
            ticks: true,
        }),
        Kind::Skip => schema::encode(&Skip {
            topic: GrowingTopic::Signals,
            generation: 1,
            partition: 3,
            from: 300,
            to: 301,
            reason: "junk".to_owned(),
            at: AT,
        }),
        Kind::SiteRules => schema::encode(&SiteRules {
            site: id("site_7qd"),
            digest: Sha256Digest([0xd2; 32]),
            semantics: 1,
            at: AT,
            by: "rules publish on host-1".to_owned(),
        }),
        Kind::Deployment => schema::encode(&Deployment {
            audience: "eu-prod".to_owned(),
            url: "https://in.example".to_owned(),
            allow_private_addresses: true,
            rules: Some(Sha256Digest([0xd2; 32])),
            semantics: 1,
        }),
        other => unreachable!("{other:?} is not a record of topic control"),
    }
}

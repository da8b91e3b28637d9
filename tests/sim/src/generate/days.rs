//! Three days of a few sites: long enough that each key group has snapshots. Always the same log.

use std::sync::Arc;

use logystera_processor::core::SEMANTICS;
use logystera_rules::from_yaml;
use logystera_schemas::catalogue::{FieldKind, SignalType, SignalTypes};
use logystera_schemas::ids::{SiteId, SpoolId, TenantId};
use logystera_schemas::signals_topic::{SiteConfigured, Tick};
use logystera_schemas::time::WallMs;

use super::Log;
use crate::input::{BatchIn, Field, Input, SignalIn};
use crate::rng::Rng;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// 2026-01-01 06:00 UTC.
const BEGIN_MS: i64 = 1_767_247_200_000;
const END_MS: i64 = BEGIN_MS + 72 * HOUR_MS;
/// Below a minute: a gateway that is open leaves no gap in the ticks.
const TICK_MS: i64 = 59_000;
const BATCH_MS: i64 = 10 * MINUTE_MS;

const RULES: &str = "
format: 1
rules:
- name: mail-failing
  title: Mail is failing
  severity: critical
  subsystem: mail
  signal: mail.outcome
  where: { outcome: failed }
  threshold: { count: 5, within: 1h }
  suppress: 6h
  resolve_after: 20m
  evidence: [outcome, transport, error_class]
  message: '{count} mails failed'
- name: probing
  title: Somebody probes
  severity: warning
  subsystem: auth
  signal: auth.attempt
  where: { outcome: failure }
  group_by: [source]
  threshold: { count: 4, within: 3h }
  suppress: 1h
  resolve_after: 30m
  evidence: [outcome, method]
  message: '{count} failed'
- name: cron-stopped
  title: Cron has stopped
  severity: critical
  subsystem: cron
  signal: cron.run
  where: { outcome: ok }
  absent: { for: 45m, expected: once_seen }
  suppress: 2h
  message: 'cron has stopped'
- name: silent
  title: The site is silent
  severity: critical
  subsystem: site
  absent: { blind_after: 5m }
  message: 'the site is silent'
";

/// A site and what is peculiar about it.
struct Site {
    name: &'static str,
    /// Hours in which it says nothing.
    silent: std::ops::Range<i64>,
    /// Hours in which its cron stands still.
    stopped: std::ops::Range<i64>,
    /// Hour from which it is configured.
    from: i64,
}

const SITES: [Site; 4] = [
    Site { name: "shop", silent: 30..33, stopped: 0..0, from: 0 },
    Site { name: "blog", silent: 0..0, stopped: 20..52, from: 0 },
    Site { name: "forum", silent: 0..0, stopped: 60..62, from: 0 },
    Site { name: "late", silent: 65..72, stopped: 0..0, from: 40 },
];

/// The log.
#[expect(clippy::expect_used, reason = "the rules and the names are ours")]
pub fn log() -> Log {
    let set = Arc::new(from_yaml(&[("days.yaml", RULES)]).expect("the rules are sound"));
    let changed = RULES.replace("count: 4", "count: 5");
    let changed = Arc::new(from_yaml(&[("days.yaml", &changed)]).expect("the rules are sound"));
    let mut rng = Rng::new(0).part(7);
    let (mut inputs, mut seqs) = (Vec::new(), [0; SITES.len()]);
    let configured = |site: &Site, digest| {
        Input::Configured(SiteConfigured {
            site: site.name.parse().expect("a site id"),
            tenant: tenant(),
            name: site.name.to_owned(),
            digest,
            semantics: SEMANTICS,
        })
    };
    for at in (BEGIN_MS..END_MS).step_by(TICK_MS as usize) {
        let is_first = |moment: i64| (at - TICK_MS..at).contains(&(moment - 1));
        inputs.push(Input::Tick(Tick { partition: 0, at: WallMs(at), open_ms: 0 }));
        for (place, site) in SITES.iter().enumerate() {
            let (from, hour) = (BEGIN_MS + site.from * HOUR_MS, (at - BEGIN_MS) / HOUR_MS);
            if is_first(from) {
                inputs.push(configured(site, set.digest));
            } else if is_first(BEGIN_MS + 50 * HOUR_MS) && site.name == "forum" {
                inputs.push(configured(site, changed.digest));
            }
            let through = at - at.rem_euclid(BATCH_MS);
            if is_first(through) && at > from + BATCH_MS && !site.silent.contains(&hour) {
                seqs[place] += 1;
                let is_stopped = site.stopped.contains(&hour);
                inputs.push(batch(site, seqs[place], at, through, signals(&mut rng, through, is_stopped)));
            }
        }
    }
    Log::new(vec![set, changed], inputs)
}

#[expect(clippy::expect_used, reason = "the name is ours")]
fn tenant() -> TenantId {
    "acme".parse().expect("a tenant id")
}

#[expect(clippy::expect_used, reason = "the names are ours")]
fn batch(site: &Site, seq: u64, received_at: i64, through: i64, signals: Vec<SignalIn>) -> Input {
    let site: SiteId = site.name.parse().expect("a site id");
    let mut spool = [0x5a; 8];
    spool[0] = site.as_str().len() as u8;
    let batch = BatchIn {
        tenant: tenant(),
        site,
        key: "k1".parse().expect("a key id"),
        spool: SpoolId(spool),
        seq,
        digest: logystera_schemas::ids::Sha256Digest([0; 32]),
        received_at,
        through,
        clock_offset_ms: 0,
        flush_every_s: 60,
        enabled: SignalTypes(SignalTypes::ALL.0 & !SignalTypes::MADE_BY_ENGINE.0),
        signals,
        ends: false,
    };
    Input::Batch(Box::new(BatchIn { digest: batch.content_digest(), ..batch }))
}

/// Ten minutes of a site, in the order of time.
fn signals(rng: &mut Rng, through: i64, is_stopped: bool) -> Vec<SignalIn> {
    let mut signals = Vec::new();
    let mut at = through - BATCH_MS;
    if !is_stopped {
        signals.push(signal("cron.run", at + 1, &[("job", "wp_version_check"), ("outcome", "ok")]));
    }
    for _ in 0..rng.below(4) {
        at += rng.range(2, 120_000);
        let outcome = if rng.chance(25) { "failed" } else { "sent" };
        signals.push(signal("mail.outcome", at, &[("outcome", outcome), ("transport", "smtp")]));
    }
    for _ in 0..rng.below(2) {
        at += rng.range(2, 60_000);
        let source = *rng.pick(&["a", "b", "c"]);
        signals.push(signal("auth.attempt", at, &[("outcome", "failure"), ("method", "form"), ("source", source)]));
    }
    signals
}

/// A signal with these fields; a hash is one letter here.
#[expect(clippy::expect_used, reason = "the names are ours")]
fn signal(kind: &str, at: i64, values: &[(&str, &str)]) -> SignalIn {
    let kind = SignalType::from_name(kind).expect("a signal type");
    let fields = kind.def().fields.iter().map(|field| {
        let value = values.iter().find(|(name, _)| *name == field.name).map(|(_, value)| *value);
        match (value, &field.kind) {
            (None, _) => Field::Absent,
            (Some(value), FieldKind::Enum(symbols)) => {
                Field::Enum(symbols.iter().position(|symbol| symbol.as_str() == value).expect("a symbol") as u8)
            }
            (Some(value), FieldKind::Hash) => Field::Hash([value.as_bytes()[0]; 16]),
            (Some(value), _) => Field::Ident(value.to_owned()),
        }
    });
    SignalIn { kind, at, fields: fields.collect() }
}

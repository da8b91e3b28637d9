//! Scripts for the planner: a line is an action, then what must come of it.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test helper: whoever fails here fails a test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use logystera_alerter::core::{About, AttemptRef, Due, Planner, SEMANTICS, retry};
use logystera_schemas::delivery::{
    Attempt, AttemptCause, AttemptEnded, AttemptOutcome, AttemptStarted, AttemptState, ChannelEnabled, ChannelRef,
    ChannelsConfigured, Resend,
};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Evidence, Label, Severity};
use logystera_schemas::ids::{ChannelId, DeliveryId, EpisodeId, ResendId, Sha256Digest};
use logystera_schemas::limits::RETRY_DELAYS_MS;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;

/// Wall time at which scripts begin.
pub(crate) const START_MS: i64 = 1_767_225_600_000;

/// A detection of `tenant`'s site `<tenant>-site`, of a group and an episode of its own.
pub(crate) fn detection(tenant: &str, seq: u64, state: DetectionState) -> Detection {
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
        state,
        reason: DetectionReason::Firing,
        group: vec![Label {
            field: "transport".to_owned(),
            value: if seq == 1 { "smtp".to_owned() } else { format!("smtp-{seq}") },
        }],
        count: 5,
        held: 0,
        started_at: START_MS - 60_000,
        last_evaluated_at: START_MS,
        evidence: vec![Evidence {
            at: START_MS - 1_000,
            fields: vec![Label { field: "outcome".to_owned(), value: "failed".to_owned() }],
        }],
        message: "5 mails failed on Shop within 10m".to_owned(),
        url: format!("/alerts/{seq}"),
        seq,
        chain: Sha256Digest::of(format!("{tenant} {seq}").as_bytes()),
    }
}

/// The same of this group and episode, found at `at_ms`.
pub(crate) fn line_of(mut detection: Detection, group: &str, episode: u8, at_ms: i64) -> Detection {
    group.clone_into(&mut detection.group[0].value);
    detection.id = EpisodeId([episode; 16]);
    detection.last_evaluated_at = at_ms;
    if detection.state == DetectionState::Resolved {
        detection.reason = DetectionReason::Resolved;
    }
    detection
}

/// The first attempt of this detection's delivery to channel `a`.
pub(crate) fn due_of_detection(detection: Detection) -> Due {
    let tenant = detection.tenant.to_string();
    let mut planner = Planner::new();
    apply(&mut planner, channels(&tenant, &["a"]));
    apply(&mut planner, DetectionsRecord::Detection(Box::new(detection)));
    planner.due().next().unwrap()
}

pub(crate) fn tick(partition: u32, at: i64) -> DetectionsRecord {
    DetectionsRecord::Tick(Tick { partition, at: WallMs(at), open_ms: 0 })
}

pub(crate) fn channels(tenant: &str, ids: &[&str]) -> DetectionsRecord {
    // `slack` in a channel's id makes it one.
    let kind = |id: &str| if id.contains("slack") { "slack" } else { "webhook" }.to_owned();
    let channels = ids.iter().map(|id| ChannelRef { channel: id.parse().unwrap(), kind: kind(id) }).collect();
    DetectionsRecord::ChannelsConfigured(ChannelsConfigured { tenant: tenant.parse().unwrap(), channels })
}

pub(crate) fn fired(tenant: &str, seq: u64, state: DetectionState) -> DetectionsRecord {
    DetectionsRecord::Detection(Box::new(detection(tenant, seq, state)))
}

pub(crate) fn started(due: &Due, at: WallMs) -> DetectionsRecord {
    let Due { tenant, delivery, attempt, .. } = due.clone();
    DetectionsRecord::AttemptStarted(AttemptStarted { tenant, delivery, attempt, at })
}

pub(crate) fn ended(
    attempt: &AttemptRef,
    outcome: AttemptOutcome,
    status: Option<u32>,
    retry_after_s: Option<u64>,
) -> DetectionsRecord {
    let AttemptRef { tenant, delivery, attempt } = attempt.clone();
    let (duration_ms, cause) = (12, None);
    let ended =
        AttemptEnded { tenant, delivery, attempt, outcome, status, retry_after_s, duration_ms, cause, detail: None };
    DetectionsRecord::AttemptEnded(ended)
}

/// How an attempt ended that was due.
pub(crate) fn answered(due: &Due, outcome: AttemptOutcome, status: Option<u32>) -> AttemptEnded {
    let Due { tenant, delivery, attempt, .. } = due.clone();
    match ended(&AttemptRef { tenant, delivery, attempt }, outcome, status, None) {
        DetectionsRecord::AttemptEnded(ended) => ended,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn enabled(tenant: &str, channel: &str) -> DetectionsRecord {
    let (tenant, channel) = (tenant.parse().unwrap(), channel.parse().unwrap());
    DetectionsRecord::ChannelEnabled(ChannelEnabled { tenant, channel })
}

/// The rows of one record.
pub(crate) fn apply(planner: &mut Planner, record: DetectionsRecord) -> Vec<Attempt> {
    let mut rows = Vec::new();
    planner.apply(record, &mut rows);
    rows
}

/// Plays a script against one planner, with tenant `t`. Each line is `action => result`, empty results may be left out:
///
/// | action | result |
/// | --- | --- |
/// | `at 5s`, `at 5s p1` | a tick at so long after the start, of partition 0 or 1 |
/// | `channels a b` | rows |
/// | `enable a` | rows |
/// | `firing 1`, `resolved 2`, `suppressed 3` | rows of the detection with this `seq`, of a group and an episode of its own |
/// | `firing 1 x e1`, `resolved 2 x e1 6m` | the same, of group `x` and episode 1; found so long ago |
/// | `resend a 1` | rows; somebody asks that channel `a` gets detection 1 again: `a1-again1`, then `a1-again2` |
/// | `due` | what is due, as `<channel><seq>#<attempt>` |
/// | `start a1` | rows; starts what is due under that name |
/// | `end a1 ok`, `end a1 500`, `end a1 429/30`, `end a1 timeout`, `end a1 dns` | rows; ends attempt in the air |
/// | `end a1 gone:slack_no_service` | rows; ends it as the outcome with this detail |
/// | `end a1#1 ok` | rows; ends this attempt, in the air or not |
///
/// A row is `<channel><seq>#<attempt> <state> <reason>` and `next <delay>`; `~` stands for the jitter, `of <name>` says that it
/// is another delivery's.
///
/// Rows must be a chain. Every script is played by one planner, and by one that is stored and restored after each line; and with the outcomes
/// that the first versions wrote.
pub(crate) fn play(script: &str) {
    for (restoring, as_before) in [(false, false), (true, false), (false, true)] {
        play_one(script, Played { restoring, as_before });
    }
}

/// How a script is played.
#[derive(Clone, Copy, Debug)]
struct Played {
    restoring: bool,
    as_before: bool,
}

/// What a webhook's status means.
pub(crate) fn outcome_of_status(status: u32, retry_after_s: Option<u64>) -> AttemptOutcome {
    match status {
        200..=299 => AttemptOutcome::Delivered,
        429 => AttemptOutcome::Throttled,
        503 if retry_after_s.is_some() => AttemptOutcome::Throttled,
        410 => AttemptOutcome::Gone,
        400..=499 => AttemptOutcome::Rejected,
        _ => AttemptOutcome::Failed,
    }
}

/// The outcome as the first versions wrote it.
fn as_before(outcome: AttemptOutcome, status: Option<u32>) -> AttemptOutcome {
    match (outcome, status) {
        (AttemptOutcome::Throttled | AttemptOutcome::Rejected | AttemptOutcome::Gone, _)
        | (AttemptOutcome::Failed, Some(_)) => AttemptOutcome::Refused,
        (AttemptOutcome::Failed, None) => AttemptOutcome::Unreachable,
        (outcome, _) => outcome,
    }
}

/// Plays a script behind the lines that several have in common.
pub(crate) fn play_behind(beginning: &str, script: &str) {
    play(&format!("{beginning}\n{script}"));
}

fn play_one(script: &str, played: Played) {
    let mut stage = Stage {
        planner: Planner::new(),
        names: BTreeMap::new(),
        played,
        found: BTreeMap::new(),
        resends: 0,
        chain: None,
    };
    let mut store = Store::new();
    stage.act("at 0s");
    for (number, line) in
        script.lines().map(str::trim).enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with("//"))
    {
        let (action, expected) = line.split_once("=>").map_or((line, ""), |(a, e)| (a.trim(), e.trim()));
        assert_eq!(stage.act(action), expected, "line {number}, {played:?}: {line}\n{script}");
        if played.restoring {
            commit(&mut stage.planner, &mut store);
            stage.planner = restored(&store);
        }
    }
}

/// Stored entries, by key.
pub(crate) type Store = BTreeMap<Vec<u8>, Vec<u8>>;

/// Stores what changed.
pub(crate) fn commit(planner: &mut Planner, store: &mut Store) {
    let puts = planner.take_puts();
    assert!(puts.is_sorted_by(|a, b| a.0 < b.0), "each key once, in order");
    for (key, value) in puts {
        match value {
            Some(value) => store.insert(key, value),
            None => store.remove(&key),
        };
    }
}

/// A planner of what is stored.
pub(crate) fn restored(store: &Store) -> Planner {
    let mut planner = Planner::new();
    for (key, value) in store {
        planner.restore(key, value).unwrap();
    }
    planner
}

struct Stage {
    planner: Planner,
    /// Names of deliveries, such as `a1`.
    names: BTreeMap<DeliveryId, String>,
    played: Played,
    /// Detections, by `seq`.
    found: BTreeMap<u64, Detection>,
    /// How often it was asked that one be sent again.
    resends: u8,
    /// The tenant's newest row.
    chain: Option<Attempt>,
}

/// The newest of a tenant's rows, each of which must be linked to the one before.
pub(crate) fn chain_behind(mut newest: Option<Attempt>, rows: &[Attempt]) -> Option<Attempt> {
    for row in rows {
        let (number, chain) = newest.as_ref().map_or((0, None), |before| (before.number, before.chain));
        let previous = chain.unwrap_or_else(|| Attempt::genesis(&row.tenant));
        assert_eq!(
            (row.number, row.chain, row.semantics),
            (number + 1, Some(row.link(&previous)), SEMANTICS),
            "{row:?}"
        );
        newest = Some(row.clone());
    }
    newest
}

impl Stage {
    fn act(&mut self, action: &str) -> String {
        let words: Vec<&str> = action.split_whitespace().collect();
        let record = match words[..] {
            ["at", time] => tick(0, START_MS + ms(time)),
            ["at", time, partition] => tick(partition[1..].parse().unwrap(), START_MS + ms(time)),
            ["channels", ref ids @ ..] => channels("t", ids),
            ["enable", channel] => enabled("t", channel),
            ["resend", channel, seq] => self.resend(channel, seq.parse().unwrap()),
            ["due"] => return self.due(),
            ["start", name] => {
                let due = self.planner.due().find(|d| self.name(d) == name);
                started(&due.unwrap_or_else(|| panic!("{name} is not due")), self.planner.wall())
            }
            ["end", name, outcome] => self.end(name, outcome),
            [state, seq, ref of @ ..] => self.detection(state, seq.parse().unwrap(), of),
            _ => panic!("no such action: {action}"),
        };
        let rows = apply(&mut self.planner, record);
        self.chain = chain_behind(self.chain.take(), &rows);
        rows.iter().map(|row| self.show(row)).collect::<Vec<_>>().join(", ")
    }

    fn detection(&mut self, state: &str, seq: u64, of: &[&str]) -> DetectionsRecord {
        let mut found = detection("t", seq, DetectionState::from_symbol(state).unwrap());
        let age = of.get(2).map_or(0, |age| ms(age));
        let group = of.first().map_or(found.group[0].value.clone(), |group| (*group).to_owned());
        let episode = of.get(1).map_or(seq as u8, |e| e[1..].parse().unwrap());
        found = line_of(found, &group, episode, self.planner.wall().0 - age);
        self.found.insert(seq, found.clone());
        for channel in ["a", "b", "c", "slack"] {
            self.names.insert(retry::delivery_id(&found, channel, None), format!("{channel}{seq}"));
        }
        DetectionsRecord::Detection(Box::new(found))
    }

    fn resend(&mut self, channel: &str, seq: u64) -> DetectionsRecord {
        self.resends += 1;
        let (channel, resend): (ChannelId, _) = (channel.parse().unwrap(), ResendId([self.resends; 16]));
        let detection = self.found[&seq].clone();
        let name = format!("{channel}{seq}-again{}", self.resends);
        self.names.insert(retry::resent_id(&detection, &channel, &resend), name);
        let (tenant, by, at) = (detection.tenant.clone(), "ops".to_owned(), self.planner.wall());
        DetectionsRecord::Resend(Box::new(Resend { tenant, resend, channel, by, at, detection }))
    }

    fn due(&mut self) -> String {
        let due: Vec<Due> = self.planner.due().collect();
        due.iter().map(|d| format!("{}#{}", self.name(d), d.attempt)).collect::<Vec<_>>().join(" ")
    }

    fn name(&mut self, due: &Due) -> String {
        if let Some(again) = self.names.get(&due.delivery).filter(|name| name.contains("-again")) {
            return again.clone();
        }
        let mut name = format!("{}{}", due.channel, due.detection.seq);
        if let About::ChannelDisabled(channel) = &due.about {
            write!(name, "(no-more-{channel})").unwrap();
        }
        self.names.insert(due.delivery, name.clone());
        name
    }

    fn end(&mut self, name: &str, outcome: &str) -> DetectionsRecord {
        let (name, attempt) = name.split_once('#').map_or((name, None), |(n, a)| (n, Some(a.parse().unwrap())));
        let delivery = *self.names.iter().find(|(_, n)| *n == name).expect("a known delivery").0;
        let in_the_air = self.planner.unfinished().find(|u| u.delivery == delivery).map(|u| u.attempt);
        let attempt = attempt.or(in_the_air).expect("an attempt in the air");
        let attempt = AttemptRef { tenant: "t".parse().unwrap(), delivery, attempt };
        let (outcome, retry_after) =
            outcome.split_once('/').map_or((outcome, None), |(o, r)| (o, Some(r.parse().unwrap())));
        let cause = AttemptCause::from_symbol(outcome);
        let detail = outcome.split_once(':').map(|(_, detail)| detail.to_owned());
        let (outcome, status) = match outcome {
            _ if cause.is_some() => (AttemptOutcome::Failed, None),
            "ok" => (AttemptOutcome::Delivered, Some(200)),
            "timeout" => (AttemptOutcome::Timeout, None),
            "unreachable" => (AttemptOutcome::Failed, None),
            "forbidden" => (AttemptOutcome::Forbidden, None),
            "unknown" => (AttemptOutcome::Unknown, None),
            said if said.contains(':') => (AttemptOutcome::from_symbol(said.split_once(':').unwrap().0).unwrap(), None),
            status => {
                let status = status.parse().unwrap();
                (outcome_of_status(status, retry_after), Some(status))
            }
        };
        let mut record = ended(&attempt, outcome, status, retry_after);
        if let DetectionsRecord::AttemptEnded(ended) = &mut record {
            (ended.cause, ended.detail) = (cause, detail);
            if self.played.as_before && ended.detail.is_none() {
                ended.outcome = as_before(ended.outcome, ended.status);
            }
        }
        record
    }

    fn show(&self, row: &Attempt) -> String {
        let name = self.names.get(&row.delivery).cloned().unwrap_or_else(|| {
            let channel = if row.channel.is_empty() { "-" } else { &row.channel };
            let news = row.disabled.as_ref().map_or(String::new(), |disabled| format!("(no-more-{disabled})"));
            format!("{channel}{}{news}", row.seq)
        });
        assert_eq!(row.disabled.is_some(), name.contains("(no-more-"), "{name}");
        let mut text = format!("{name}#{} {} {}", row.attempt, row.state, row.reason);
        if row.state.to_string() == row.reason {
            text = format!("{name}#{} {}", row.attempt, row.state);
        }
        if let Some(next) = row.next_attempt_at {
            let delay = next.since(self.planner.wall());
            let base = RETRY_DELAYS_MS.iter().find(|d| (**d..=**d + **d / 5).contains(&delay) && delay != **d);
            let is_of = |delivery| row.attempt > 0 && (2..=8).any(|step| retry::delay_ms(delivery, step) == delay);
            let other = || self.names.iter().find(|(id, _)| is_of(**id)).map(|(_, name)| name);
            match base {
                Some(base) if is_of(row.delivery) => write!(text, " next ~{}", span(*base)).unwrap(),
                Some(base) if let Some(other) = other() => write!(text, " next ~{} of {other}", span(*base)).unwrap(),
                _ => write!(text, " next {}", span(delay)).unwrap(),
            }
        }
        let is_unmade = matches!(row.state, AttemptState::NotSent | AttemptState::Waiting);
        assert_eq!(row.attempt == 0, is_unmade, "{text}");
        text
    }
}

fn ms(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => panic!("no such unit: {other}"),
    };
    number.parse::<i64>().unwrap() * unit
}

fn span(ms: i64) -> String {
    match ms {
        ms if ms > 0 && ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms > 0 && ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

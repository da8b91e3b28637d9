//! Plays scripts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use logystera_alerter::core::{About, AttemptRef, Due, Planner, retry};
use logystera_schemas::delivery::{Attempt, AttemptCause, AttemptOutcome, AttemptState, Resend};
use logystera_schemas::detection::{BundleBy, BundleSpec, Detection, DetectionReason, DetectionState, Severity};
use logystera_schemas::ids::{ChannelId, DeliveryId, ResendId};
use logystera_schemas::limits::RETRY_DELAYS_MS;
use logystera_schemas::noise::{ChannelSettings, Silence};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;

use super::noise::{channels_set, settings_of, silence_of};
use super::{
    START_MS, Store, apply, chain_behind, commit, detection, enabled, ended, line_of, restored, started, tick,
};

/// Plays a script against one planner, with tenant `t`. Each line is `action => result`, empty results may be left out:
///
/// | action | result |
/// | --- | --- |
/// | `at 5s`, `at 5s p1` | a tick at so long after the start, of partition 0 or 1 |
/// | `channels a b` | rows |
/// | `enable a` | rows |
/// | `set a severity=warning subsystem=mail rule=r site=s quiet=22:00-07:00 except=critical no-resolved` | rows; the channel's settings from here on |
/// | `silence s1 2h rule=r site=s severity=critical subsystem=mail` | rows; holds from now on for so long |
/// | `silence s1 1h..3h`, `unsilence s1` | rows; holds between these times; is ended by hand |
/// | `firing 1`, `resolved 2`, `suppressed 3` | rows of the detection with this `seq`, of a group and an episode of its own |
/// | `firing 1 x e1`, `resolved 2 x e1 6m` | the same, of group `x` and episode 1; found so long ago |
/// | `firing 1 severity=warning` | the same, of another severity (critical), rule, site, subsystem or reason |
/// | `firing 1 x e1 @blog` | the same of another site |
/// | `firing 1 once=yes reason=suppression_expired` | the same of a rule that tells each match; found for this reason |
/// | `severity info` | from here on detections are so bad |
/// | `bundle 30s 3 site`, `bundle none` | from here on detections are of a rule that says `bundle` so, or not |
/// | `resend a 1` | rows; somebody asks that channel `a` gets detection 1 again: `a1-again1`, then `a1-again2` |
/// | `due` | what is due, as `<channel><seq>#<attempt>`; a bundle as `<channel><seq>[<seqs>]#<attempt>`, a digest as `<channel>-digest<seq>(<alerts>: <seqs>)#<attempt>` |
/// |  | what the channel named `fallback` is told in place of others is `fallback<seq>(for <channels>)#<attempt>` |
/// | `start a1` | rows; starts what is due under that name |
/// | `end a1 ok`, `end a1 500`, `end a1 429/30`, `end a1 timeout`, `end a1 dns` | rows; ends attempt in the air |
/// | `end a1 gone:slack_no_service` | rows; ends it as the outcome with this detail |
/// | `end a1#1 ok` | rows; ends this attempt, in the air or not |
///
/// A row is `<channel><seq>#<attempt> <state> <reason>` and `next <delay>`; `~` stands for the jitter, `of <name>` says that it
/// is another delivery's. A row about another detection than the one that names the delivery has that behind it: `a1[2]#0`.
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
    let (names, channels, silences) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let (planner, bundle, severity) = (Planner::new(), None, Severity::Critical);
    let (found, resends, chain) = (BTreeMap::new(), 0, None);
    let mut stage = Stage { planner, names, channels, silences, bundle, severity, played, found, resends, chain };
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

struct Stage {
    planner: Planner,
    /// Names of deliveries, such as `a1`.
    names: BTreeMap<DeliveryId, String>,
    channels: BTreeMap<String, ChannelSettings>,
    silences: BTreeMap<String, Silence>,
    /// How detections are bundled from here on.
    bundle: Option<BundleSpec>,
    severity: Severity,
    played: Played,
    /// Detections, by `seq`.
    found: BTreeMap<u64, Detection>,
    /// How often it was asked that one be sent again.
    resends: u8,
    /// The tenant's newest row.
    chain: Option<Attempt>,
}

impl Stage {
    fn act(&mut self, action: &str) -> String {
        let words: Vec<&str> = action.split_whitespace().collect();
        let record = match words[..] {
            ["at", time] => tick(0, START_MS + ms(time)),
            ["at", time, partition] => tick(partition[1..].parse().unwrap(), START_MS + ms(time)),
            ["channels", ref ids @ ..] => {
                self.channels.retain(|id, _| ids.contains(&id.as_str()));
                for id in ids {
                    self.channels.entry((*id).to_owned()).or_default();
                }
                channels_set("t", &self.channels)
            }
            ["set", id, ref settings @ ..] => {
                self.channels.insert(id.to_owned(), settings_of(settings));
                channels_set("t", &self.channels)
            }
            ["silence", id, time, ref matchers @ ..] => self.silence(id, time, matchers),
            ["unsilence", id] => {
                let ended_at = Some(self.planner.wall());
                DetectionsRecord::Silence(Silence { ended_at, ..self.silences[id].clone() })
            }
            ["enable", channel] => enabled("t", channel),
            ["resend", channel, seq] => self.resend(channel, seq.parse().unwrap()),
            ["due"] => return self.due(),
            ["bundle", ref of @ ..] => return self.bundle(of),
            ["severity", severity] => {
                self.severity = Severity::from_symbol(severity).unwrap();
                return String::new();
            }
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

    fn silence(&mut self, id: &str, time: &str, matchers: &[&str]) -> DetectionsRecord {
        let wall = self.planner.wall();
        let (from, until) = match time.split_once("..") {
            Some((from, to)) => (WallMs(START_MS + ms(from)), WallMs(START_MS + ms(to))),
            None => (wall, wall.plus(ms(time))),
        };
        let silence = Silence { from, until, created_at: wall, ..silence_of("t", id, matchers) };
        self.silences.insert(id.to_owned(), silence.clone());
        DetectionsRecord::Silence(silence)
    }

    fn detection(&mut self, state: &str, seq: u64, of: &[&str]) -> DetectionsRecord {
        let mut found = detection("t", seq, DetectionState::from_symbol(state).unwrap());
        let (site, of): (Vec<&str>, Vec<&str>) = of.iter().partition(|word| word.starts_with('@'));
        if let Some(site) = site.first() {
            found.site = site[1..].parse().unwrap();
        }
        found.bundle.clone_from(&self.bundle);
        found.severity = self.severity;
        let (named, of): (Vec<&str>, Vec<&str>) = of.iter().partition(|word| word.contains('='));
        for (name, value) in named.iter().filter_map(|word| word.split_once('=')) {
            match name {
                "severity" => found.severity = Severity::from_symbol(value).unwrap(),
                "rule" => found.rule = value.parse().unwrap(),
                "site" => found.site = value.parse().unwrap(),
                "subsystem" => value.clone_into(&mut found.subsystem),
                "once" => found.once = value == "yes",
                "reason" => found.reason = DetectionReason::from_symbol(value).unwrap(),
                other => panic!("no such field: {other}"),
            }
        }
        let age = of.get(2).map_or(0, |age| ms(age));
        let group = of.first().map_or(found.group[0].value.clone(), |group| (*group).to_owned());
        let episode = of.get(1).map_or(seq as u8, |e| e[1..].parse().unwrap());
        found = line_of(found, &group, episode, self.planner.wall().0 - age);
        self.found.insert(seq, found.clone());
        for channel in ["a", "b", "c", "slack", "mail"] {
            self.names.insert(retry::digest_id(&found, channel), format!("{channel}-digest{seq}"));
            self.names.insert(retry::delivery_id(&found, channel, None), format!("{channel}{seq}"));
        }
        let fallback = "fallback".parse().unwrap();
        self.names.insert(retry::fallback_id(&found, &fallback), format!("fallback{seq}"));
        self.names.insert(retry::fallback_digest_id(&found, &fallback), format!("fallback-digest{seq}"));
        DetectionsRecord::Detection(Box::new(found))
    }

    fn bundle(&mut self, of: &[&str]) -> String {
        self.bundle = match of {
            ["none"] => None,
            [wait, max, by @ ..] => {
                let by = by.iter().map(|by| BundleBy::from_symbol(by).unwrap()).collect();
                Some(BundleSpec { by, wait_ms: ms(wait), max: max.parse().unwrap() })
            }
            other => panic!("no such bundle: {other:?}"),
        };
        String::new()
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
        let of = |due: &Due, name: &str| match &due.about {
            About::Bundle(told) => {
                let seqs: Vec<String> = told.iter().map(|one| one.detection.seq.to_string()).collect();
                format!("[{}]", seqs.join(" "))
            }
            About::Digest(digest, named) => {
                let seqs: Vec<String> = named.iter().map(|one| one.seq.to_string()).collect();
                let failed = due.fallback.iter().flatten().map(|one| format!(" for {}", one.channel));
                format!("({}: {}{})", digest.alerts(), seqs.join(" "), failed.collect::<String>())
            }
            About::Detection if let Some(failed) = &due.fallback => {
                let failed: Vec<&str> = failed.iter().map(|one| one.channel.as_str()).collect();
                format!("(for {})", failed.join(" "))
            }
            About::Detection => seq_of_another(name, due.channel.as_str(), due.detection.seq),
            About::ChannelDisabled(_) => String::new(),
        };
        let show = |d: &Due| {
            let name = self.name(d);
            format!("{name}{}#{}", of(d, &name), d.attempt)
        };
        due.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    fn name(&mut self, due: &Due) -> String {
        if let Some(name) = self.names.get(&due.delivery) {
            return name.clone();
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
        let of = seq_of_another(&name, &row.channel, row.seq);
        let mut text = format!("{name}{of}#{} {} {}", row.attempt, row.state, row.reason);
        if row.state.to_string() == row.reason {
            text = format!("{name}{of}#{} {}", row.attempt, row.state);
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

/// The number of a detection, in brackets, if it is not that by which its delivery is named.
fn seq_of_another(name: &str, channel: &str, seq: u64) -> String {
    let own = name.strip_prefix(channel).and_then(|own| own.trim_start_matches("-digest").parse::<u64>().ok());
    if own.is_some_and(|own| own != seq) { format!("[{seq}]") } else { String::new() }
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

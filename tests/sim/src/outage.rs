//! "An outage is invisible" (design, section 2, invariant 9): the same signals of a site's spools, delivered punctually, and
//! through outages, refusals and retries, in other batches, from clocks that are wrong but known. What is detected and what
//! metrics count must not tell which it was.

use std::sync::Arc;

use logystera_processor::core::{Condition, RuleSet, SEMANTICS};
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::ids::{Sha256Digest, SiteId, SpoolId, TenantId};
use logystera_schemas::signals_topic::{SiteConfigured, Tick};
use logystera_schemas::time::WallMs;

use crate::drive::{Difference, Figures, direct};
use crate::generate::Log;
use crate::generate::rules::{self, Palette};
use crate::generate::sender::key;
use crate::input::{BatchIn, Input, START_MS, SignalIn};
use crate::model::Output;
use crate::rng::Rng;

/// How long signals come, in seconds.
const LIVE_S: i64 = 240;
/// By then everything has been delivered, in seconds.
const END_S: i64 = 60_000;
/// Less than the shortest liveness, with room for the last batch before and the first one after, in seconds.
const ONE_SPOOL_S_MAX: i64 = 90;
/// A longer silence of a whole site is an outage, with room for the last batch before and the first one after, in seconds.
const OUTAGE_S_MIN: i64 = 125;
/// A sender's first pause, in seconds, with room for its batches behind that.
const PAUSE_S_MIN: i64 = 30;

/// A site and what happens on it.
#[derive(Clone, Debug)]
pub struct Story {
    site: SiteId,
    tenant: TenantId,
    rules: Arc<RuleSet>,
    /// Version of the engine's semantics.
    semantics: u32,
    /// The signals of each spool, at true times, in order.
    spools: Vec<Vec<SignalIn>>,
}

/// What goes wrong, in seconds since the start.
#[derive(Clone, Debug)]
enum Trouble {
    /// The gateways are away: no ticks either.
    DoorShut { from: i64, to: i64 },
    /// Nothing of any spool arrives.
    AllCutOff { from: i64, to: i64 },
    /// Nothing of one spool arrives.
    OneCutOff { spool: usize, from: i64, to: i64 },
}

/// One spool on its way.
#[derive(Debug)]
struct Courier {
    id: SpoolId,
    skew_ms: i64,
    unsent: Vec<SignalIn>,
    claimed: Option<BatchIn>,
    seq: u64,
    next_try_s: i64,
}

/// The story of a seed.
pub fn story(seed: u64) -> Option<Story> {
    let mut rng = Rng::new(seed).part(3);
    // Refusals are not a sender's: a story has none.
    let drawn = Palette::draw(&mut rng);
    let palette = Palette { step_ms: 1_000, watched: drawn.types.clone(), ..drawn };
    let mut rules = rules::draw_set(&palette, &mut rng);
    // That a whole site is silent is no secret; and what is disabled is not judged.
    while rules.rules.iter().any(|r| matches!(r.condition, Condition::Blind { .. })) || rules.disabled.0 != 0 {
        rules = rules::draw_set(&palette, &mut rng);
    }
    let spools = 1 + rng.index(3);
    let spools = (0..spools).map(|_| {
        let mut at = START_MS + 1_000;
        let mut signals = Vec::new();
        while at < START_MS + 1_000 * LIVE_S {
            at += 10 * *rng.pick(&[0, 0, 1, 10, 50, 100, 100, 100, 500, 3_000]);
            let kind = *rng.pick(&palette.types);
            let fields = kind.def().fields.iter().map(|def| palette.field(def, &mut rng)).collect();
            signals.push(SignalIn { kind, at, fields });
        }
        signals
    });
    let spools = spools.collect();
    let semantics = if rng.chance(30) { 1 } else { SEMANTICS };
    Some(Story { site: "site".parse().ok()?, tenant: "t".parse().ok()?, rules, semantics, spools })
}

/// Plays the story punctually and with trouble; detections and points must be the same.
pub fn check(seed: u64) -> Result<Figures, Difference> {
    let Some(story) = story(seed) else { return Ok(Figures::default()) };
    let punctual = said(&play(&story, &[], seed, true))?;
    let troubled = said(&play(&story, &troubles(&story, seed), seed, false))?;
    if punctual == troubled {
        let signals = story.spools.iter().map(|s| s.len() as u64).sum();
        let points = punctual.iter().filter(|output| matches!(output, Output::Points(_))).count() as u64;
        let detections = punctual.len() as u64 - points;
        return Ok(Figures { signals, detections, points, ..Figures::default() });
    }
    Err(Difference {
        drive: "through an outage",
        place: None,
        expected: punctual,
        got: troubled,
        what: format!("an outage shows; model: punctual, engine: with {:?}", troubles(&story, seed)),
    })
}

/// The detections, then the points: which of them a record brings about first depends on how batches are cut.
fn said(log: &Log) -> Result<Vec<Output>, Difference> {
    let outputs = direct::run(log)?.outputs.into_iter().filter(|output| !matches!(output, Output::Tick(_)));
    let (mut said, points): (Vec<_>, Vec<_>) = outputs.partition(|output| matches!(output, Output::Detection(_)));
    said.extend(points);
    Ok(said)
}

fn troubles(story: &Story, seed: u64) -> Vec<Trouble> {
    let mut rng = Rng::new(seed).part(4);
    let mut at = 1;
    let mut troubles = Vec::new();
    for _ in 0..rng.below(4) {
        let from = at + rng.range(1, 100);
        let long = from + *rng.pick(&[10, 50, 130, 300, 4_000, 10_000]);
        troubles.push(match rng.below(3) {
            0 => Trouble::DoorShut { from, to: long },
            1 => Trouble::AllCutOff { from, to: long },
            _ => {
                let to = from + rng.range(1, ONE_SPOOL_S_MAX);
                Trouble::OneCutOff { spool: rng.index(story.spools.len()), from, to }
            }
        });
        at = long + 4_000;
    }
    troubles
}

fn play(story: &Story, troubles: &[Trouble], seed: u64, punctual: bool) -> Log {
    let mut rng = Rng::new(seed).part(5);
    let mut log = Log::new(vec![Arc::clone(&story.rules)], Vec::new());
    let now = |second: i64| START_MS + 1_000 * second + 5;
    log.inputs.push(Input::Tick(Tick { partition: 0, at: WallMs(now(0)), open_ms: 0 }));
    log.inputs.push(Input::Configured(SiteConfigured {
        site: story.site.clone(),
        tenant: story.tenant.clone(),
        name: "Site".to_owned(),
        digest: story.rules.digest,
        semantics: story.semantics,
    }));
    let couriers = story.spools.iter().enumerate().map(|(n, signals)| Courier {
        id: SpoolId([n as u8; 8]),
        skew_ms: if punctual { 0 } else { 1_000 * rng.range(-5_000, 5_000) },
        unsent: signals.clone(),
        claimed: None,
        seq: 0,
        next_try_s: 0,
    });
    let mut couriers: Vec<Courier> = couriers.collect();
    for second in 0..END_S {
        let is_shut =
            troubles.iter().any(|t| matches!(t, Trouble::DoorShut { from, to } if (*from..*to).contains(&second)));
        let done = couriers.iter().all(|c| c.unsent.is_empty() && c.claimed.is_none());
        let over = second > LIVE_S && troubles.iter().all(|t| second > t.end());
        if done && over {
            break;
        }
        if !is_shut {
            log.inputs.push(Input::Tick(Tick { partition: 0, at: WallMs(now(second)), open_ms: 0 }));
        }
        for (n, courier) in couriers.iter_mut().enumerate() {
            let hit = troubles.iter().find(|t| t.hits(n, second));
            courier.act(story, second, hit, punctual, &mut rng, &mut log);
        }
    }
    // Each spool says that nothing more came, so that both plays reach the same watermark.
    for courier in &mut couriers {
        courier.claim(story, now(END_S), usize::MAX);
        courier.deliver(now(END_S), &mut log);
    }
    log
}

impl Trouble {
    fn end(&self) -> i64 {
        match self {
            Self::DoorShut { to, .. } | Self::AllCutOff { to, .. } | Self::OneCutOff { to, .. } => *to,
        }
    }

    /// How long a sender may back off at `second`: not past the end of an outage that is too short to be told from silence;
    /// and otherwise its pauses double, up to an hour, so that one is hardly longer than twice the time since the first.
    fn pause_s_max(&self, second: i64) -> i64 {
        match self {
            Self::DoorShut { from, to } | Self::AllCutOff { from, to } if to - from > OUTAGE_S_MIN => {
                (2 * (second - from) + PAUSE_S_MIN).min(3_000)
            }
            _ => (self.end() - second).clamp(1, 3_000),
        }
    }

    fn hits(&self, spool: usize, second: i64) -> bool {
        match self {
            Self::DoorShut { from, to } | Self::AllCutOff { from, to } => (*from..*to).contains(&second),
            Self::OneCutOff { spool: one, from, to } => *one == spool && (*from..*to).contains(&second),
        }
    }
}

impl Courier {
    fn act(&mut self, story: &Story, second: i64, hit: Option<&Trouble>, punctual: bool, rng: &mut Rng, log: &mut Log) {
        let now = START_MS + 1_000 * second + 5;
        if second < self.next_try_s {
            return;
        }
        if self.claimed.is_none() {
            let most = if punctual || rng.chance(50) { usize::MAX } else { 1 + rng.index(20) };
            self.claim(story, now, most);
        }
        match hit {
            Some(Trouble::OneCutOff { .. }) => self.next_try_s = second + 1,
            Some(trouble) => self.next_try_s = second + rng.range(1, trouble.pause_s_max(second)),
            None => {
                self.deliver(now, log);
                self.next_try_s = second + if punctual { 1 } else { rng.range(1, 20) };
                // The answer is lost: the same batch again.
                if !punctual && second > 0 && rng.chance(20) {
                    return;
                }
                self.claimed = None;
            }
        }
    }

    /// Cuts a batch at `now`: under the rules of a sender, by its own clock.
    fn claim(&mut self, story: &Story, now: i64, most: usize) {
        let ready = self.unsent.iter().take_while(|s| s.at <= now).count().min(most);
        let mut signals: Vec<SignalIn> = self.unsent.drain(..ready).collect();
        let through = self.unsent.first().filter(|next| next.at <= now).map_or(now, |next| next.at - 1);
        let through = through.max(signals.last().map_or(i64::MIN, |s| s.at - 1));
        for signal in &mut signals {
            signal.at += self.skew_ms;
        }
        self.seq += 1;
        let mut batch = BatchIn {
            tenant: story.tenant.clone(),
            site: story.site.clone(),
            key: key(1),
            spool: self.id,
            seq: self.seq,
            digest: Sha256Digest([0; 32]),
            received_at: 0,
            through: through + self.skew_ms,
            clock_offset_ms: -self.skew_ms,
            flush_every_s: 1,
            enabled: SignalTypes(u16::MAX >> 5),
            signals,
            ends: false,
        };
        batch.digest = batch.content_digest();
        self.claimed = Some(batch);
    }

    fn deliver(&self, now: i64, log: &mut Log) {
        if let Some(batch) = &self.claimed {
            log.inputs.push(Input::Batch(Box::new(BatchIn { received_at: now + 200, ..batch.clone() })));
        }
    }
}

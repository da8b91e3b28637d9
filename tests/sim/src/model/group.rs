//! A group of a rule: its matches, all of them, and where its alert stands (design, section 6).

use logystera_processor::core::{Condition, Expected, Rule};
use logystera_schemas::detection::{DetectionReason, DetectionState, Label};
use logystera_schemas::limits::REMINDERS_MAX;

use super::measures::{self, tells_each};
use super::show;
use crate::input::SignalIn;

/// A time that no window reaches.
pub(super) const LONG_AGO: i64 = i64::MIN / 4;

/// A match that joined its window.
#[derive(Clone, Debug)]
pub struct Match {
    /// Site time, as the window of each measure counts it.
    pub at: Vec<i64>,
    /// Site time, as it is shown: not the same in a window of panes once the site's time started anew.
    pub shown_at: i64,
    /// The signal.
    pub signal: SignalIn,
    /// Whether it is evidence: if the rule is about a part of the matches, only that is.
    pub is_evidence: bool,
}

/// A match that was not told yet: when it happened, and how many signals it stands for.
#[derive(Clone, Copy, Debug)]
pub struct Untold {
    /// Site time.
    pub at: i64,
    /// Signals.
    pub times: u64,
}

/// How a measure that is judged at the ends of panes was judged last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judged {
    /// The last end that is over.
    pub through: i64,
    /// Whether it holds.
    pub holds: bool,
    /// The part that there was.
    pub part: u64,
}

/// The stretch from the condition's becoming true to its end.
#[derive(Clone, Debug)]
pub struct Episode {
    /// When the condition became true.
    pub started_at: i64,
    /// Matches in the window at its start and each since.
    pub count: u64,
    /// Whether it held for `for`.
    pub firing: bool,
    /// When it will have, or did.
    pub for_at: i64,
    /// Whether a firing of it was emitted.
    pub announced: bool,
    /// Whether a suppression ended while the condition was false.
    pub owed: bool,
    /// When it ends; while the condition is false.
    pub resolve_at: Option<i64>,
    /// How often the end of a suppression told it again.
    pub reminders: u32,
    /// Steps by which it has grown worse.
    pub level: usize,
    /// When it does again, if it still fires.
    pub worse_at: Option<i64>,
}

/// What a change of a group says to the world.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// State reached.
    pub state: DetectionState,
    /// Why.
    pub reason: DetectionReason,
    /// Site time of it.
    pub at: i64,
    /// When the episode began.
    pub started_at: i64,
    /// Its matches.
    pub count: u64,
    /// Firings held back since the last one emitted.
    pub held: u64,
    /// Steps by which it has grown worse.
    pub level: usize,
}

/// The deadlines of a group, in the order in which they run at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The condition changes: a count's threshold-th newest match leaves the window, or an absence has lasted.
    Condition,
    /// The condition held for `for`.
    For,
    /// The condition was false for `resolve_after`.
    Resolve,
    /// It was missed for so long that it is expected no more: the group is deleted.
    Forget,
    /// It has fired for so long that it is worse.
    Worse,
    /// The suppression ends.
    Suppression,
    /// Nothing is left to know: the group is deleted.
    Empty,
}

/// A group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The fields that tell it apart.
    pub labels: Vec<Label>,
    /// Every match that joined its window, in the order in which they joined.
    pub matches: Vec<Match>,
    /// Whether the condition is true.
    pub condition: bool,
    /// The episode, from its beginning to its end.
    pub episode: Option<Episode>,
    /// End of the suppression that runs.
    pub suppressed_until: Option<i64>,
    /// Firings held back since the last one emitted.
    pub held: u64,
    /// For an absence: what it is counted from; none while it waits.
    pub absent_since: Option<i64>,
    /// Matches before this one are shown as evidence no more: the rule's evidence fields were edited.
    pub evidence_from: usize,
    /// For each measure, how it was judged last.
    pub judged: Vec<Judged>,
    /// Of a rule that tells each match: those that a suppression keeps.
    pub untold: Vec<Untold>,
}

impl Group {
    /// Site time of the newest match; the start of time where there is none.
    pub fn last_match(&self) -> Option<i64> {
        self.matches.iter().map(|m| m.shown_at).max()
    }

    /// The site's time, which had reached `reached`, starts anew `by` earlier: all that lies ahead or in a window moves with
    /// it, panes by whole ones. When an episode began is its name, and stays.
    pub fn move_back(&mut self, rule: &Rule, reached: i64, by: i64) {
        for (place, measure) in measures::of(rule).iter().enumerate() {
            let pane = measures::pane(measure);
            for m in &mut self.matches {
                let is_gone = measures::leaves_at(measure, m.at[place]) <= reached;
                m.at[place] = if is_gone { LONG_AGO } else { m.at[place] - by.div_euclid(pane) * pane };
            }
            if let Some(judged) = self.judged.get_mut(place) {
                judged.through = (reached - by).div_euclid(pane) * pane;
            }
        }
        for m in &mut self.matches {
            m.shown_at -= by;
        }
        if let Some(episode) = &mut self.episode {
            episode.for_at -= by;
            episode.resolve_at = episode.resolve_at.map(|at| at - by);
            episode.worse_at = episode.worse_at.map(|at| at - by);
        }
        self.suppressed_until = self.suppressed_until.map(|at| at - by);
        self.absent_since = self.absent_since.map(|at| at - by);
    }

    /// Whether an absence is counted though no match came yet, or one came.
    pub fn is_expected(&self, rule: &Rule) -> bool {
        is_expected_from_the_start(rule) || !self.matches.is_empty()
    }

    /// Adds a match that is judged at `now`. One that lies in no window any more changes nothing.
    pub fn add(&mut self, rule: &Rule, at: i64, signal: &SignalIn, now: i64) -> Vec<Said> {
        let all = measures::of(rule);
        if !all.iter().any(|measure| measures::joins(measure, at, signal, now)) {
            return Vec::new();
        }
        self.judged.resize(all.len(), Judged { through: LONG_AGO, ..Judged::default() });
        for (measure, judged) in all.iter().zip(&mut self.judged) {
            // The ends before a signal were judged; what is late finds also that of this very time judged.
            let passed = if at < now { now } else { now - 1 };
            judged.through = judged.through.max(passed.div_euclid(measures::pane(measure)) * measures::pane(measure));
        }
        let counted = if measures::joins(&all[0], at, signal, now) { self.counted(rule, &all[0], signal) } else { 0 };
        let joined: Vec<&Condition> = all.iter().filter(|measure| measures::joins(measure, at, signal, now)).collect();
        let parts: Vec<bool> = joined.iter().filter_map(|measure| measures::is_part(measure, signal)).collect();
        let is_evidence = parts.is_empty() || parts.contains(&true);
        self.matches.push(Match { at: vec![at; all.len()], shown_at: at, signal: signal.clone(), is_evidence });
        if let Some(episode) = &mut self.episode {
            episode.count += counted;
        }
        match rule.condition {
            Condition::Each => self.tell_or_keep(rule, at, signal, now),
            Condition::Blind { .. } => Vec::new(),
            Condition::Absent { at_most, .. } => {
                // A match that alone is enough is what it is counted from; of several only the first one, if that starts it.
                if at_most == 0 || self.absent_since.is_none() && !is_expected_from_the_start(rule) {
                    self.absent_since = self.absent_since.max(Some(at));
                }
                if self.condition && self.are_enough(rule, now) {
                    self.become_false(rule, now);
                }
                self.grow_worse(rule, now, Vec::new())
            }
            _ if !self.condition && self.holds(rule, now) => self.become_true(rule, now, self.begins_with(rule, now)),
            _ => self.grow_worse(rule, now, Vec::new()),
        }
    }

    /// The group's next deadline. `absences_run`: whether absences of the rule are counted now.
    pub fn next_timer(&self, rule: &Rule, absences_run: bool) -> Option<(i64, Timer)> {
        let mut timers = Vec::new();
        if let Condition::Absent { .. } = rule.condition {
            if absences_run {
                timers.extend(self.absence_timers(rule));
            }
        } else {
            timers.extend(self.next_condition(rule).map(|at| (at, Timer::Condition)));
        }
        if let Some(episode) = &self.episode {
            if !episode.firing {
                timers.push((episode.for_at, Timer::For));
            }
            timers.extend(episode.resolve_at.map(|at| (at, Timer::Resolve)));
            timers.extend(
                episode
                    .worse_at
                    .filter(|_| episode.firing && self.condition && !rule.escalate.is_empty())
                    .map(|at| (at, Timer::Worse)),
            );
        } else if tells_each(rule) {
            // Nothing is left to know, at once.
            timers.extend(self.suppressed_until.is_none().then_some((i64::MIN, Timer::Empty)));
        } else if let (false, None, Some(at)) = (is_absence(rule), self.suppressed_until, self.empties_at(rule)) {
            timers.push((at, Timer::Empty));
        }
        timers.extend(self.suppressed_until.map(|at| (at, Timer::Suppression)));
        timers.into_iter().min()
    }

    /// Runs a deadline that was reached at `now`.
    pub fn run(&mut self, timer: Timer, rule: &Rule, now: i64) -> Vec<Said> {
        match timer {
            Timer::Condition if is_absence(rule) => self.become_true(rule, now, 0),
            Timer::Condition => self.run_condition(rule, now),
            Timer::For => self.fire(rule, now),
            Timer::Resolve => self.end(DetectionReason::Resolved, now),
            Timer::Suppression if tells_each(rule) => self.suppression_over(rule, now),
            Timer::Suppression => {
                self.suppressed_until = None;
                match &mut self.episode {
                    // Told often enough.
                    Some(episode) if episode.firing && self.condition && episode.reminders >= REMINDERS_MAX => {
                        Vec::new()
                    }
                    Some(episode) if episode.firing && self.condition => {
                        episode.reminders += 1;
                        self.grows_worse(rule, now);
                        self.announce(rule, DetectionReason::SuppressionExpired, now)
                    }
                    Some(episode) if episode.firing => {
                        episode.owed = true;
                        Vec::new()
                    }
                    _ => Vec::new(),
                }
            }
            Timer::Worse => self.grow_worse(rule, now, Vec::new()),
            Timer::Forget => self.end(DetectionReason::Forgotten, now),
            Timer::Empty => Vec::new(),
        }
    }

    pub(super) fn become_true(&mut self, rule: &Rule, now: i64, count: u64) -> Vec<Said> {
        self.condition = true;
        if let Some(episode) = &mut self.episode {
            episode.resolve_at = None;
            if episode.owed {
                self.grows_worse(rule, now);
                return self.announce(rule, DetectionReason::SuppressionExpired, now);
            }
            return self.grow_worse(rule, now, Vec::new());
        }
        self.episode = Some(Episode {
            started_at: now,
            count,
            firing: false,
            for_at: now + rule.for_ms,
            announced: false,
            owed: false,
            resolve_at: None,
            reminders: 0,
            level: 0,
            worse_at: None,
        });
        if rule.for_ms == 0 { self.fire(rule, now) } else { Vec::new() }
    }

    /// The condition became false: what pends is forgotten, what fires has `resolve_after` to come back.
    pub fn become_false(&mut self, rule: &Rule, now: i64) {
        self.condition = false;
        match &mut self.episode {
            Some(episode) if episode.firing => episode.resolve_at = Some(now + rule.resolve_after_ms),
            _ => self.episode = None,
        }
    }

    fn fire(&mut self, rule: &Rule, now: i64) -> Vec<Said> {
        if let Some(episode) = &mut self.episode {
            episode.firing = true;
            episode.worse_at = Self::worse_after(rule).map(|span| now + span);
        }
        if self.grows_worse(rule, now) {
            return self.begin_worse(rule, reason_of(rule, &self.matches), now);
        }
        let reason = reason_of(rule, &self.matches);
        if self.suppressed_until.is_none() {
            return self.announce(rule, reason, now);
        }
        self.held += 1;
        self.say(DetectionState::Suppressed, reason, now)
    }

    pub(super) fn announce(&mut self, rule: &Rule, reason: DetectionReason, now: i64) -> Vec<Said> {
        let said = self.say(DetectionState::Firing, reason, now);
        self.held = 0;
        self.suppressed_until = (rule.suppress_ms > 0).then_some(now + rule.suppress_ms);
        if let Some(episode) = &mut self.episode {
            (episode.announced, episode.owed) = (true, false);
        }
        said
    }

    /// Ends the episode. Only what was announced is resolved.
    pub fn end(&mut self, reason: DetectionReason, now: i64) -> Vec<Said> {
        if !self.untold.is_empty() {
            return self.tell_kept(reason, now);
        }
        let announced = self.episode.as_ref().is_some_and(|e| e.announced);
        let said = if announced { self.say(DetectionState::Resolved, reason, now) } else { Vec::new() };
        self.episode = None;
        said
    }

    fn say(&self, state: DetectionState, reason: DetectionReason, at: i64) -> Vec<Said> {
        let said = |e: &Episode| Said {
            state,
            reason,
            at,
            started_at: e.started_at,
            count: e.count,
            held: self.held,
            level: e.level,
        };
        self.episode.iter().map(said).collect()
    }

    /// The evidence that its detections show.
    pub fn evidence(&self, rule: &Rule) -> Vec<logystera_schemas::detection::Evidence> {
        let evidence = self.matches[self.evidence_from..].iter().filter(|m| m.is_evidence);
        show::evidence(rule, evidence.map(|m| (m.shown_at, &m.signal)))
    }
}

fn reason_of(rule: &Rule, matches: &[Match]) -> DetectionReason {
    match rule.condition {
        Condition::Absent { .. } if matches.is_empty() => DetectionReason::NeverSeen,
        Condition::Absent { .. } => DetectionReason::Stopped,
        Condition::Blind { .. } => DetectionReason::Blind,
        _ => DetectionReason::Firing,
    }
}

/// Whether the rule waits for something that should come.
pub fn is_absence(rule: &Rule) -> bool {
    matches!(rule.condition, Condition::Absent { .. })
}

/// Whether the rule's groups are there from the start.
pub(super) fn is_expected_from_the_start(rule: &Rule) -> bool {
    match &rule.condition {
        Condition::Absent { expected, .. } => *expected != Expected::OnceSeen,
        _ => false,
    }
}

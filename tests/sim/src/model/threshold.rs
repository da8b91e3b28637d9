//! How the measures of a threshold make a group's condition true or false: always counted anew, from all of its matches.

use logystera_processor::core::{Condition, Rule};
use logystera_schemas::avro::Writer;
use logystera_schemas::ids::Sha256Digest;

use super::group::{Group, Judged, Match, Said};
use super::{measures, show, worse};
use crate::input::{Field, SignalIn};

impl Group {
    /// What a match that joins the first measure's window adds to its episode: of a `distinct` rule one if its value is not among
    /// the newest that the condition rests on; of a part only what belongs to it; of an absence none.
    /// A step of an escalation may rest on more of them.
    pub(super) fn counted(&self, rule: &Rule, first: &Condition, signal: &SignalIn) -> u64 {
        match first {
            Condition::Distinct { field, at_least, .. } => {
                let value = value_bytes(signal, *field);
                let newest = self.newest_values(*field, 0);
                u64::from(
                    !newest.iter().rev().take(worse::most(rule).max(*at_least as usize)).any(|(_, v)| *v == value),
                )
            }
            Condition::Each | Condition::Absent { .. } | Condition::Blind { .. } => 0,
            measure if measures::is_part(measure, signal) == Some(false) => 0,
            measure => measures::weight(measure, signal),
        }
    }

    /// Whether all measures hold: what is judged at the ends of panes as it was judged last, all else at `now`.
    pub(super) fn holds(&self, rule: &Rule, now: i64) -> bool {
        let mut all = measures::of(rule).iter().enumerate();
        all.all(|(place, measure)| {
            if measures::is_judged(measure) {
                self.judged[place].holds
            } else {
                self.clears_at(place, measure).is_some_and(|clears| clears > now)
            }
        })
    }

    /// The count that an episode begins with at `now`.
    pub(super) fn begins_with(&self, rule: &Rule, now: i64) -> u64 {
        let all = measures::of(rule);
        match &all[0] {
            judged if measures::is_judged(judged) => self.judged[0].part,
            first if all.len() > 1 => measures::threshold(first),
            Condition::Distinct { field, .. } => {
                let newest = self.newest_values(*field, 0);
                newest.iter().filter(|(at, _)| measures::leaves_at(&all[0], *at) > now).count() as u64
            }
            first => {
                let inside = self.matches.iter().filter(|m| measures::leaves_at(first, m.at[0]) > now);
                inside.map(|m| measures::weight(first, &m.signal)).sum()
            }
        }
    }

    /// What a count, a sum or different values come to at `now`.
    pub(super) fn measured(&self, measure: &Condition, now: i64) -> u64 {
        match measure {
            Condition::Distinct { field, .. } => {
                let newest = self.newest_values(*field, 0);
                newest.iter().filter(|(at, _)| measures::leaves_at(measure, *at) > now).count() as u64
            }
            Condition::Count { .. } | Condition::Sum { .. } => {
                let inside = self
                    .matches
                    .iter()
                    .filter(|m| measures::takes(measure, &m.signal) && measures::leaves_at(measure, m.at[0]) > now);
                inside.map(|m| measures::weight(measure, &m.signal)).sum()
            }
            _ => 0,
        }
    }

    /// The different values of a field with the newest time of each, ordered by that, then by value. `place` is the measure's.
    fn newest_values(&self, field: usize, place: usize) -> Vec<(i64, Vec<u8>)> {
        let mut newest: Vec<(i64, Vec<u8>)> = Vec::new();
        for m in self.matches.iter().filter(|m| m.signal.fields[field] != Field::Absent) {
            let value = value_bytes(&m.signal, field);
            match newest.iter_mut().find(|(_, v)| *v == value) {
                Some((at, _)) => *at = (*at).max(m.at[place]),
                None => newest.push((m.at[place], value)),
            }
        }
        newest.sort();
        newest
    }

    /// When what a measure asks for, counted from the newest back, leaves the window; none where there is too little.
    fn clears_at(&self, place: usize, measure: &Condition) -> Option<i64> {
        let mut weights: Vec<(i64, u64)> = if let Condition::Distinct { field, .. } = measure {
            self.newest_values(*field, place).iter().map(|(at, _)| (*at, 1)).collect()
        } else {
            let taken = self.matches.iter().filter(|m| measures::takes(measure, &m.signal));
            taken.map(|m| (m.at[place], measures::weight(measure, &m.signal))).collect()
        };
        weights.sort_unstable();
        let mut sum = 0;
        let found = weights.iter().rev().find(|(_, weight)| {
            sum += weight;
            sum >= measures::threshold(measure)
        });
        found.map(|(at, _)| measures::leaves_at(measure, *at))
    }

    /// The next end of a pane at which a measure is judged: each one, for as long as it holds or a match is counted there.
    fn next_end(&self, place: usize, measure: &Condition) -> Option<i64> {
        let judged = self.judged.get(place)?;
        let end = judged.through + measures::pane(measure);
        let counts =
            |m: &Match| measures::takes(measure, &m.signal) && measures::leaves_at(measure, m.at[place]) >= end;
        (judged.holds || self.matches.iter().any(counts)).then_some(end)
    }

    /// Judges a measure at the end of a pane: of what lies in the panes before it.
    fn judge(&mut self, place: usize, measure: &Condition, end: i64) {
        let inside = |m: &&Match| {
            let at = m.at[place];
            measures::takes(measure, &m.signal) && at < end && measures::leaves_at(measure, at) >= end
        };
        let inside: Vec<&SignalIn> = self.matches.iter().filter(inside).map(|m| &m.signal).collect();
        let part = inside.iter().filter(|signal| measures::is_part(measure, signal) == Some(true));
        let part = part.map(|signal| measures::times(signal)).sum();
        self.judged[place] = Judged { through: end, holds: measures::verdict(measure, &inside), part };
    }

    /// Runs the deadline of a threshold: measures are judged if a pane of theirs ends, and the condition is what they are.
    pub(super) fn run_condition(&mut self, rule: &Rule, now: i64) -> Vec<Said> {
        for (place, measure) in measures::of(rule).iter().enumerate() {
            if measures::is_judged(measure) && self.next_end(place, measure) == Some(now) {
                self.judge(place, measure, now);
            }
        }
        match (self.condition, self.holds(rule, now)) {
            (false, true) => self.become_true(rule, now, self.begins_with(rule, now)),
            (true, false) => {
                self.become_false(rule, now);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// When time alone may change the condition of a threshold.
    pub(super) fn next_condition(&self, rule: &Rule) -> Option<i64> {
        let of_measure = |(place, measure): (usize, &Condition)| match measure {
            judged if measures::is_judged(judged) => self.next_end(place, judged),
            measure if self.condition => self.clears_at(place, measure),
            _ => None,
        };
        measures::of(rule).iter().enumerate().filter_map(of_measure).min()
    }

    /// When the last match is counted for the last time.
    pub(super) fn empties_at(&self, rule: &Rule) -> Option<i64> {
        let all = measures::of(rule).iter().enumerate();
        let of_measure = |(place, measure): (usize, &Condition)| {
            let taken = self.matches.iter().filter(|m| measures::takes(measure, &m.signal));
            taken.map(|m| measures::leaves_at(measure, m.at[place])).max()
        };
        all.filter_map(of_measure).max()
    }
}

/// What orders values that were last seen at one time: a hash itself, else 16 bytes of the SHA-256 of the encoding.
fn value_bytes(signal: &SignalIn, field: usize) -> Vec<u8> {
    if let Field::Hash(hash) = &signal.fields[field] {
        return hash.to_vec();
    }
    let mut to = Writer::new();
    show::encode(&signal.fields[field], &mut to);
    Sha256Digest::of(&to.into_bytes()).0[..16].to_vec()
}

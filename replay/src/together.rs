//! Several replays of one log side by side: each record goes to all of them, and partitions take turns in the order of the
//! log's time.

use std::rc::Rc;

use logystera_infra::reading::PartitionId;
use logystera_infra::runtime::StateMachine;
use logystera_schemas::time::WallMs;

use crate::asked::Asked;
use crate::engine::{Found, Replay, State};
use crate::error::ReplayError;

/// Replays of the same part of one log, which differ in their rules.
pub struct Together<'a, const N: usize> {
    asked: [&'a Asked<'a>; N],
    /// The partitions that are not read to their ends.
    lanes: Vec<Lane<'a, N>>,
    /// Records and batches of those that are.
    records: u64,
    batches: u64,
    /// Offsets that they had.
    passed: u64,
}

/// The replays of one partition.
struct Lane<'a, const N: usize> {
    replays: [Replay<'a>; N],
}

/// What some records of a partition brought about.
pub struct Step<const N: usize> {
    /// What each replay found, in its order.
    pub found: [Vec<Found>; N],
    /// Wall time that all partitions have reached. None: all are read.
    pub reached: Option<WallMs>,
}

impl<'a, const N: usize> Together<'a, N> {
    /// Begins. What was `asked` differs in the rules alone.
    pub fn new(asked: [&'a Asked<'a>; N]) -> Result<Self, ReplayError> {
        let mut together = Self { asked, lanes: Vec::new(), records: 0, batches: 0, passed: 0 };
        let Some(first) = asked.first() else { return Ok(together) };
        let nothing: [Rc<State>; N] = std::array::from_fn(|_| Rc::default());
        for part in first.first() {
            together.begin(part, &nothing)?;
        }
        Ok(together)
    }

    fn begin(&mut self, part: PartitionId, states: &[Rc<State>; N]) -> Result<(), ReplayError> {
        let replays = self.asked.iter().zip(states).map(|(asked, state)| Replay::new(asked, part, state));
        let replays: Vec<Replay<'a>> = replays.collect::<Result<_, _>>()?;
        let replays = <[Replay<'a>; N]>::try_from(replays).ok();
        self.lanes.extend(replays.map(|replays| Lane { replays }));
        Ok(())
    }

    /// Applies the next records of the partition that is furthest behind. None: all are read.
    pub fn step(&mut self) -> Result<Option<Step<N>>, ReplayError> {
        let behind = |(_, lane): &(usize, &Lane<'a, N>)| lane.wall();
        let Some((place, _)) = self.lanes.iter().enumerate().min_by_key(behind) else { return Ok(None) };
        let lane = &mut self.lanes[place];
        let records = lane.replays.first().map_or_else(|| Ok(Vec::new()), Replay::read)?;
        let mut found: [Vec<Found>; N] = std::array::from_fn(|_| Vec::new());
        for (found, replay) in found.iter_mut().zip(&mut lane.replays) {
            *found = replay.take(&records)?;
        }
        if records.is_empty() {
            let lane = self.lanes.swap_remove(place);
            self.end(lane)?;
        }
        Ok(Some(Step { found, reached: self.lanes.iter().map(Lane::wall).min() }))
    }

    /// A partition is read: those go on that it has become.
    fn end(&mut self, lane: Lane<'a, N>) -> Result<(), ReplayError> {
        let (Some(replay), Some(asked)) = (lane.replays.first(), self.asked.first()) else { return Ok(()) };
        (self.records, self.batches) = (self.records + replay.records, self.batches + replay.batches);
        // What stands behind a seal is not read.
        self.passed += replay.offsets()?;
        if !replay.machine.is_sealed() {
            return Ok(());
        }
        let next: Vec<PartitionId> = asked.next(replay.part).collect();
        let states = lane.replays.map(|replay| Rc::new(replay.into_state()));
        next.into_iter().try_for_each(|part| self.begin(part, &states))
    }

    /// Records that were read.
    pub fn records(&self) -> u64 {
        self.records + self.first_of_each().map(|replay| replay.records).sum::<u64>()
    }

    /// Of those, batches that concern what was asked for.
    pub fn batches(&self) -> u64 {
        self.batches + self.first_of_each().map(|replay| replay.batches).sum::<u64>()
    }

    /// Offsets that are behind it, of [`Asked::offsets`].
    pub fn passed(&self) -> u64 {
        self.passed + self.first_of_each().map(Replay::passed).sum::<u64>()
    }

    fn first_of_each(&self) -> impl Iterator<Item = &Replay<'a>> {
        self.lanes.iter().filter_map(|lane| lane.replays.first())
    }
}

impl<const N: usize> Lane<'_, N> {
    fn wall(&self) -> WallMs {
        self.replays.first().map(Replay::wall).unwrap_or_default()
    }
}

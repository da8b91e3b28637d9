//! Rule files as tables: what is refused and how that reads, what is accepted and what it becomes.

mod absences;
mod accepted;
mod codes;
mod corpus;
mod doubtful;
mod each;
mod escalate;
mod filters;
mod manual;
mod measures;
mod metrics;
mod pack;
mod refused;
mod round_trip;

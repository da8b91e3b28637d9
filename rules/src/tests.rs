//! Rule files as tables: what is refused and how that reads, what is accepted and what it becomes.

mod accepted;
mod filters;
mod codes;
mod corpus;
mod doubtful;
mod manual;
mod pack;
mod refused;
mod round_trip;

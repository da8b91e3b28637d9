//! What the sender decides, without a file, a clock, a socket or a random number: which lines are signals, where
//! batches are cut, how far they speak for, what an answer means and how long to wait. The shell around it does as it
//! is told.

pub mod foreign;
pub mod line;

pub mod before;
pub mod body;
pub mod cut;
pub mod dropped;

pub mod answer;
pub mod backoff;
pub mod offset;
pub mod permitted;

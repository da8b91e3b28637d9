//! The version of what a log means.

/// A version of the semantics. A site is judged by the one that its newest configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The first.
    One,
    /// A silence brings reminders; a site waits for fewer spools, and finds back when its clock was wrong; what the operator
    /// switches and what the gateway refuses become signals.
    Two,
}

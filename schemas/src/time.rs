//! Times, all in milliseconds. Three clocks never mix: a site's own, the log's wall time and the log's open time.

use std::fmt;

macro_rules! clock {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// Before every time that can occur.
            pub const MIN: Self = Self(i64::MIN);
            /// After every time that can occur.
            pub const MAX: Self = Self(i64::MAX);

            /// This time and `ms` milliseconds more, held at the ends of the range.
            #[must_use]
            pub const fn plus(self, ms: i64) -> Self {
                Self(self.0.saturating_add(ms))
            }

            /// Milliseconds from `earlier` to this time; negative if `earlier` lies after it.
            pub const fn since(self, earlier: Self) -> i64 {
                self.0.saturating_sub(earlier.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

clock! {
    /// Site time: the signals' own `at` plus the sender's clock offset, since the epoch. All rules live in it.
    SiteMs
}
clock! {
    /// Wall time of the log: the highest tick, since the epoch. The planner runs on it.
    WallMs
}
clock! {
    /// Open time of the log: how long the door has been open, from an arbitrary start. It decides only on silence.
    OpenMs
}

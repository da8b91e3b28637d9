//! How many files and sockets this process may have open.

use std::io;

use logystera_schemas::limits::{CONNECTIONS_MIN, HANDLES_RESERVED};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit of open files (`ulimit -n`, `LimitNOFILE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handles {
    /// Before it was raised.
    pub before: usize,
    /// Now.
    pub now: usize,
}

impl Handles {
    /// How many connections that allows, of so many that are wanted: some handles are left for the log, for alerts and for
    /// operators, who have to get through when strangers hold all the rest.
    pub fn connections(self, wanted: usize) -> usize {
        wanted.min(self.now.saturating_sub(HANDLES_RESERVED)).max(CONNECTIONS_MIN)
    }

    /// Tells the log how many connections there can be, and warns if those are fewer than wanted.
    pub fn tell(self, wanted: usize) {
        let (limit, connections) = (self.now, self.connections(wanted));
        if connections < wanted {
            tracing::warn!(
                limit,
                connections,
                wanted,
                "the limit of open files allows few connections: raise it (LimitNOFILE in a unit, ulimit -n in a shell)"
            );
        } else {
            tracing::info!(limit, raised_from = self.before, connections, "open files and connections");
        }
    }
}

/// Raises the soft limit to the hard one. If that is refused it stays.
pub fn raise() -> Handles {
    let count = |limit: Option<u64>| limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
    let now = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => getrlimit(Resource::Nofile),
        Err(_) => before,
    };
    Handles { before: count(before.current), now: count(now.current) }
}

/// The way out, if it is the limit that an error is about.
pub(crate) fn hint(error: &io::Error) -> &'static str {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    match code {
        Some(rustix::io::Errno::MFILE) => {
            ": raise the limit of open files (LimitNOFILE in a unit, ulimit -n in a shell)"
        }
        Some(rustix::io::Errno::NFILE) => ": the machine has no more open files to give (fs.file-max)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_a_reserve() {
        for (now, wanted, connections) in [
            (usize::MAX, 4_096, 4_096),
            (4_096 + HANDLES_RESERVED, 4_096, 4_096),
            (1_024, 4_096, 1_024 - HANDLES_RESERVED),
            (HANDLES_RESERVED, 4_096, CONNECTIONS_MIN),
            (0, 4_096, CONNECTIONS_MIN),
        ] {
            assert_eq!(Handles { before: 0, now }.connections(wanted), connections, "{now}");
        }
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let handles = raise();
        assert!(handles.now >= handles.before);
        assert_eq!(raise(), Handles { before: handles.now, now: handles.now });
    }
}

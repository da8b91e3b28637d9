//! How many messages a channel takes.

use logystera_schemas::avro_record;
use logystera_schemas::control::ChannelKind;
use logystera_schemas::limits::{MAIL_PER_MINUTE, RATE_WINDOW_MS, SLACK_PER_MINUTE, TEAMS_PER_MINUTE};
use logystera_schemas::time::WallMs;

avro_record! {
    /// The minute in which a channel's attempts are counted.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Window {
        /// When its first attempt started.
        pub(super) since: WallMs,
        /// Attempts that started in it.
        pub(super) attempts: u32,
    }
}

/// How many messages a channel of this kind takes a minute. None: it is for programs, and says by itself what is too
/// much.
pub(super) fn per_minute(kind: &str) -> Option<u32> {
    ChannelKind::ALL.iter().find(|known| known.as_str() == kind).and_then(|kind| match kind {
        ChannelKind::Webhook => None,
        ChannelKind::Slack => Some(SLACK_PER_MINUTE),
        ChannelKind::Teams => Some(TEAMS_PER_MINUTE),
        ChannelKind::Email => Some(MAIL_PER_MINUTE),
    })
}

impl Window {
    /// When it ends. None: it has ended.
    pub(super) fn end(self, wall: WallMs) -> Option<WallMs> {
        let end = self.since.plus(RATE_WINDOW_MS);
        (wall < end).then_some(end)
    }

    /// The window after an attempt that starts.
    pub(super) fn started(window: Option<Self>, wall: WallMs) -> Self {
        let current = window.filter(|window| window.end(wall).is_some()).unwrap_or(Self { since: wall, attempts: 0 });
        Self { attempts: current.attempts.saturating_add(1), ..current }
    }
}

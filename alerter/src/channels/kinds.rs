//! All kinds of channels. A new one has a file beside this, and a line in each function here.

use logystera_schemas::control::ChannelKind;

use super::webhook::{self, Webhook};
use super::{Messenger, Target};

/// A messenger for each kind.
#[derive(Clone)]
pub(super) struct Kinds {
    pub(super) webhook: Webhook,
}

impl Kinds {
    /// The messenger of a kind.
    pub(super) fn of(&self, kind: ChannelKind) -> &dyn Messenger {
        match kind {
            ChannelKind::Webhook => &self.webhook,
        }
    }
}

/// Reads a channel's settings as they are stored, in JSON. None: they are not settings of this kind.
pub fn parse(kind: ChannelKind, settings: &[u8]) -> Option<Target> {
    match kind {
        ChannelKind::Webhook => webhook::parse(settings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_are_stored() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let stored = format!(r#"{{"url":"https://example.com/hook","secret":"{secret}"}}"#);
        let target = parse(ChannelKind::Webhook, stored.as_bytes()).unwrap();
        assert_eq!((target.url.as_str(), target.kind), ("https://example.com/hook", ChannelKind::Webhook));
        assert_eq!(*target.secret.expose(), secret);
        for wrong in ["", "{}", r#"{"url":"https://example.com/hook"}"#, r#"{"url":"u","secret":"whsec_short"}"#] {
            assert!(parse(ChannelKind::Webhook, wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}

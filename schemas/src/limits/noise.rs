//! Silences, and what a channel takes.

/// Milliseconds from a silence's making to its end, at most: 90 days. What nobody wants to hear of for longer is a rule
/// to change.
pub const SILENCE_MS_MAX: i64 = 90 * 86_400_000;
/// Silences of one tenant that are kept, those that are over among them; a new one takes the place of the oldest of
/// these.
pub const SILENCES_MAX: usize = 100;
/// Open episodes of one tenant of which it is known which channels were told. Of more the oldest is forgotten: its end
/// goes to every channel that takes it.
pub const EPISODES_MAX: usize = 20_000;
/// Episodes of one tenant whose newest line is held back, by a silence or by quiet hours. Of more the line is not sent
/// later either.
pub const HELD_BACK_MAX: usize = 10_000;
/// Subsystems, rules or sites that a channel's settings name, of each.
pub const SETTINGS_LISTED_MAX: usize = 100;
/// Labels of a site: each is told in messages, and asked by routes.
pub const SITE_LABELS_MAX: usize = 16;
/// Characters of a label's value.
pub const LABEL_VALUE_CHARS_MAX: usize = 64;
/// Characters of a site's address on the web.
pub const SITE_URL_CHARS_MAX: usize = 200;
/// Messages a minute that a channel's limit may say: five a second, far more than people read. Each record of a storm
/// looks at so many.
pub const PER_MINUTE_MAX: u32 = 300;
/// Minutes that any clock is ahead of or behind UTC, at most.
pub const UTC_OFFSET_MIN_MAX: i32 = 14 * 60;

const _: () = assert!(HELD_BACK_MAX < EPISODES_MAX, "there is always an episode to forget");

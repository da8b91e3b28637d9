//! What a message may have, by the kind of its channel.

/// Matching signals that a message for people shows, the newest; of more it says how many.
pub const EVIDENCE_SHOWN_MAX: usize = 10;

/// Alerts of a bundle or of a digest that a message for people shows, the first; of more it says how many.
pub const ALERTS_SHOWN_MAX: usize = 20;

/// Sites of which a message tells more than the id, the first that it names. What is known of them goes with the first
/// attempt into the log, and is kept as long as the delivery lives.
pub const SITES_NAMED_MAX: usize = 100;

/// Milliseconds in which a channel's messages are counted.
pub const RATE_WINDOW_MS: i64 = 60_000;
/// Messages that a channel of Slack gets a minute: half of what Slack takes, and more than anybody reads.
pub const SLACK_PER_MINUTE: u32 = 30;
/// Messages that a channel of Teams gets a minute.
pub const TEAMS_PER_MINUTE: u32 = 30;
/// Mails that a channel gets a minute: servers hold it against a sender if there are many.
pub const MAIL_PER_MINUTE: u32 = 20;
/// Rules that a digest counts by themselves, the worst; the others together.
pub const DIGEST_COUNTS_MAX: usize = 50;
/// Alerts that a digest names, the worst.
pub const DIGEST_NAMED_MAX: usize = 10;

const _: () = assert!(DIGEST_NAMED_MAX <= ALERTS_SHOWN_MAX, "what a digest names is shown");
const _: () = assert!(ALERTS_SHOWN_MAX <= SITES_NAMED_MAX, "each alert that is shown names its site");
const _: () = assert!(
    SLACK_PER_MINUTE as i64 * SLACK_GAP_MS < RATE_WINDOW_MS,
    "what a channel of Slack takes a minute leaves in that minute"
);

/// Blocks of a message to Slack (Slack, "Blocks").
pub const SLACK_BLOCKS_MAX: usize = 50;
/// Characters of a header there (Slack, "Header block").
pub const SLACK_HEADER_CHARS_MAX: usize = 150;
/// Characters of a section's text there (Slack, "Section block").
pub const SLACK_SECTION_CHARS_MAX: usize = 3_000;
/// Fields of a section there.
pub const SLACK_FIELDS_MAX: usize = 10;
/// Characters of a field there.
pub const SLACK_FIELD_CHARS_MAX: usize = 2_000;
/// Characters of all texts of a message there: what it takes without cutting.
pub const SLACK_CHARS_MAX: usize = 13_000;
/// Milliseconds between two messages to a channel of Slack: it takes one a second, with short bursts (Slack, "Rate
/// limits").
pub const SLACK_GAP_MS: i64 = 1_000;

/// Bytes of a message to Teams: workflows take 28 KB, and count more than the card (Microsoft, "Create incoming
/// webhooks").
pub const TEAMS_BYTES_MAX: usize = 20_000;

/// Addresses of one channel of mail: one mail goes to all of them.
pub const MAIL_RECIPIENTS_MAX: usize = 20;
/// Characters of a mail address (RFC 5321, section 4.5.3.1.3: a path of 256 with its brackets).
pub const MAIL_ADDRESS_CHARS_MAX: usize = 254;
/// Characters of a mail's subject: a line of a list of mails, and more.
pub const MAIL_SUBJECT_CHARS_MAX: usize = 200;
/// Characters of a text of several lines in a mail.
pub const MAIL_TEXT_CHARS_MAX: usize = 4_000;
/// Characters of a text of one line in a mail.
pub const MAIL_VALUE_CHARS_MAX: usize = 1_000;
/// Characters of a fact's value in a mail, as in the other channels.
pub const MAIL_FACT_CHARS_MAX: usize = 300;
/// Facts that a mail lists; of more it says how many.
pub const MAIL_FACTS_MAX: usize = 50;
/// Seconds that a mail server which is busy is left alone.
pub const MAIL_BUSY_S: u64 = 60;
/// Seconds that a mail server which greylists is left alone: what most of them ask for (RFC 6647, section 5).
pub const MAIL_GREYLIST_S: u64 = 300;

/// Bytes of a mail server's password.
pub const MAIL_PASSWORD_BYTES_MAX: u64 = 4 << 10;
/// Milliseconds that a mail server may take to take a mail and to answer to its end: some look through it first, and
/// whoever hangs up on them sends it twice (RFC 5321, section 4.5.3.2.6, would wait for ten minutes). It is more than a
/// stopping alerter waits (`ALERTER_STOP_MS`): an attempt that waits for this answer at a stop ends as unknown when the
/// next alerter starts, and the mail is sent again with the same `Message-ID`.
pub const MAIL_END_MS: u64 = 60_000;
/// Milliseconds that a mail server may take to say goodbye: it has the mail.
pub const MAIL_QUIT_MS: u64 = 1_000;
/// Bytes of a line that a mail server says in the clear (RFC 5321, section 4.5.3.1.5, has 512).
pub const MAIL_LINE_BYTES_MAX: usize = 1_000;
/// Bytes of all that a mail server says in a conversation, its certificates with it.
pub const MAIL_ANSWERS_BYTES_MAX: usize = 128 << 10;

const _: () = assert!(
    2 * MAIL_RECIPIENTS_MAX * MAIL_LINE_BYTES_MAX < MAIL_ANSWERS_BYTES_MAX,
    "the answers to all recipients fit, whatever their length, and as much again"
);
const _: () = assert!(MAIL_END_MS > super::ALERTER_STOP_MS, "what waits for this at a stop ends as unknown");

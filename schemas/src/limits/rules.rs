//! What a rule file may say, and what its rules may keep for a site.

/// Groups of one rule, by default (design, section 6).
pub const RULE_GROUPS_MAX: usize = 1_000;
/// Groups of one site, by default (design, section 6).
pub const SITE_GROUPS_MAX: usize = 5_000;
/// Bytes of the groups of one site, by default (design, section 6).
pub const SITE_STATE_BYTES_MAX: usize = 4 << 20;
/// Threshold up to which a window is exact (design, section 6).
pub const EXACT_THRESHOLD_MAX: u32 = 256;
/// Largest threshold of a rule that counts in panes.
pub const THRESHOLD_MAX: u32 = 1_000_000;
/// Panes of a window: what one group may hold of them.
pub const PANES_MAX: u32 = 720;
/// Panes of a window that is added up or judged pane by pane, if the rule names no `resolution`.
pub const PANES_DEFAULT: i64 = 30;
/// Shortest such pane, in milliseconds, if the rule names none.
pub const PANE_MS_DEFAULT_MIN: i64 = 1_000;
/// Largest sum that a rule may ask for: a pane holds more.
pub const SUM_MAX: i64 = 1_000_000_000_000_000;
/// Lowest percentile that a rule may ask for, in thousandths: below the median few values say little.
pub const PERCENTILE_MIN: i64 = 500;
/// Highest percentile that a rule may ask for, in thousandths.
pub const PERCENTILE_MAX: i64 = 999;
/// Least part that a ratio may ask for, in hundredths of a percent.
pub const RATIO_MIN: i64 = 100;
/// Largest part that a ratio may ask for, in hundredths of a percent: all of it.
pub const RATIO_MAX: i64 = 10_000;
/// Longest window, `for`, `suppress`, `resolve_after` or absence of a rule: 7 days, the age that a signal may reach.
pub const RULE_SPAN_MS_MAX: i64 = 7 * 86_400_000;
/// Longest absence, in milliseconds: 90 days. It is a time, no window: nothing is kept of what lies between.
pub const ABSENT_MS_MAX: i64 = 90 * 86_400_000;
/// Matches in the span of an absence that are too few, at most: each takes its time.
pub const ABSENT_AT_MOST_MAX: i64 = 256;
/// Longest time until what stays away is forgotten, in milliseconds: 180 days.
pub const FORGET_AFTER_MS_MAX: i64 = 180 * 86_400_000;
/// Longest test of a rule that is no absence, in milliseconds; one of an absence lasts as long as it may be remembered, and a
/// day more.
pub const RULE_TEST_MS_MAX: i64 = RULE_SPAN_MS_MAX;
/// How often an episode that goes on is told again, once a suppression: what one jump of a site's time can bring about
/// must have a bound. With the default of an hour that is eight days.
pub const REMINDERS_MAX: u32 = 200;
/// Age from which on a late match is not told by itself any more, in milliseconds.
pub const EACH_AGE_MS_MAX: i64 = RULE_SPAN_MS_MAX;
/// Signals kept as evidence of a group (design, section 6).
pub const EVIDENCE_SIGNALS_MAX: usize = 10;
/// Bytes of one value in the evidence (design, section 6).
pub const EVIDENCE_VALUE_BYTES_MAX: usize = 64;
/// Bytes of a group's evidence (design, section 6).
pub const EVIDENCE_BYTES_MAX: usize = 512;
/// Steps at which the alert of a rule grows worse: there are two severities above the lowest.
pub const ESCALATIONS_MAX: usize = 2;
/// Fields in a rule's `group_by`.
pub const GROUP_FIELDS_MAX: usize = 4;
/// Rules of one site.
pub const RULES_MAX: usize = 200;
/// Characters of a rule's message template, and of its title.
pub const MESSAGE_CHARS_MAX: usize = 500;
/// Bytes of one rule file.
pub const RULE_FILE_BYTES_MAX: usize = 1 << 20;
/// Bytes of a rule set's canonical form: with its record around it, it fits Kafka's default message of 1,048,588 bytes.
pub const RULE_SET_BYTES_MAX: usize = 1_000_000;
/// Levels of nesting in a rule file: the deepest rule has 14.
pub const RULE_DEPTH_MAX: usize = 16;
/// Values, lists and maps in one rule file: the parser's memory.
pub const RULE_FILE_NODES_MAX: usize = 100_000;
/// Errors reported of one set of rule files; more are only counted.
pub const RULE_ERRORS_MAX: usize = 100;
/// Characters of an error's problem, label or help.
pub const RULE_ERROR_CHARS_MAX: usize = 400;
/// Characters of a source line that an error shows: canonical JSON is one line of up to a megabyte.
pub const RULE_EXCERPT_CHARS_MAX: usize = 120;
/// Characters shown before the error if its line is cut.
pub const RULE_EXCERPT_LEAD_CHARS: usize = 40;
/// Shortest window, pane or absence of a rule.
pub const RULE_SPAN_MS_MIN: i64 = 100;
/// Shortest `blind_after`: the least silence after which a spool counts as silent (design, section 5).
pub const BLIND_AFTER_MS_MIN: i64 = 120_000;
/// Length of a pane if a rule's threshold needs panes and the rule names none (design, section 6).
pub const RESOLUTION_MS_DEFAULT: i64 = 5_000;
/// `suppress` of a rule that names none, in milliseconds.
pub const SUPPRESS_MS_DEFAULT: i64 = 3_600_000;
/// `suppress` of a rule that tells each match and names none, in milliseconds.
pub const EACH_SUPPRESS_MS_DEFAULT: i64 = 600_000;
/// `resolve_after` of a rule that names none, in milliseconds.
pub const RESOLVE_AFTER_MS_DEFAULT: i64 = 900_000;
/// Values that one test of `where` may list.
pub const WHERE_VALUES_MAX: usize = 100;
/// Levels of one filter: the map itself, and what stands under `any`, `all` and `not`.
pub const WHERE_LEVELS_MAX: usize = 4;
/// Tests of fields in one filter.
pub const WHERE_TESTS_MAX: usize = 64;
/// Least characters of a text that an identifier ends with or contains: a single one is in nearly all of them.
pub const WHERE_NEEDLE_CHARS_MIN: usize = 2;
/// Most groups of one site that a rule set may ask for.
pub const SITE_GROUPS_ALLOWED_MAX: usize = 100_000;
/// Least bytes of a site's groups that a rule set may ask for: every rule of the default pack can hold a group.
pub const SITE_STATE_BYTES_ALLOWED_MIN: usize = 64 << 10;
/// Most bytes of a site's groups that a rule set may ask for.
pub const SITE_STATE_BYTES_ALLOWED_MAX: usize = 64 << 20;
/// Longest wait of a bundle, in milliseconds.
pub const BUNDLE_WAIT_MS_MAX: i64 = 3_600_000;
/// Most alerts in one bundle.
pub const BUNDLE_ALERTS_MAX: i64 = 1_000;
/// Tests of one rule, and lines of signals or expectations in one of them.
pub const RULE_TESTS_MAX: usize = 50;
/// Repeats of one line of a test's signals.
pub const RULE_TEST_TIMES_MAX: i64 = 10_000;

const _: () = assert!(RULE_SPAN_MS_MAX <= u32::MAX as i64, "times in a window are u32 deltas");
const _: () = assert!(RULE_SPAN_MS_MAX <= ABSENT_MS_MAX, "what was allowed stays so");
const _: () = assert!(ABSENT_MS_MAX < FORGET_AFTER_MS_MAX, "the longest absence can be told before it is forgotten");
const _: () = assert!(PANES_DEFAULT <= PANES_MAX as i64, "the default is allowed");
const _: () = assert!(SUM_MAX < 1 << 53, "a pane of a sum holds more than any rule asks for");
const _: () = assert!(PERCENTILE_MAX < 1_000, "some part lies above every percentile");
const _: () = assert!(RULE_GROUPS_MAX <= SITE_GROUPS_MAX, "one rule must fit its site");
const _: () = assert!(RULE_FILE_BYTES_MAX >= RULE_SET_BYTES_MAX, "a canonical set is a rule file too");
const _: () = assert!(RULE_SPAN_MS_MIN <= RESOLUTION_MS_DEFAULT, "the default pane is a legal one");
const _: () = assert!(SUPPRESS_MS_DEFAULT <= RULE_SPAN_MS_MAX, "the default is allowed");
const _: () = assert!(EACH_SUPPRESS_MS_DEFAULT <= RULE_SPAN_MS_MAX, "the default is allowed");
const _: () = assert!(RESOLVE_AFTER_MS_DEFAULT <= RULE_SPAN_MS_MAX, "the default is allowed");
const _: () = assert!(RULE_EXCERPT_LEAD_CHARS < RULE_EXCERPT_CHARS_MAX, "an excerpt shows the error itself");
const _: () = assert!(SITE_GROUPS_MAX <= SITE_GROUPS_ALLOWED_MAX, "the default is allowed");
const _: () = assert!(SITE_STATE_BYTES_ALLOWED_MIN <= SITE_STATE_BYTES_MAX, "the default is allowed");
const _: () = assert!(SITE_STATE_BYTES_MAX <= SITE_STATE_BYTES_ALLOWED_MAX, "the default is allowed");

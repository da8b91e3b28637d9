//! What a message says to a person, whatever its channel speaks: the parts, in the order in which they are read. Every
//! part is of one line or of several, with what cannot be seen written out; a kind escapes it for its target and cuts
//! it to its limits.

use logystera_schemas::calendar;
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Evidence, Label, Severity};
use logystera_schemas::ids::ChannelId;
use logystera_schemas::limits::EVIDENCE_SHOWN_MAX;
use logystera_schemas::text::{Shown, ShownLines, counted};

use super::Advice;
use crate::core::{About, Due, Merged};

/// What a message is about, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something is wrong, so badly.
    Firing(Severity),
    /// It is over.
    Over,
    /// News of a channel.
    News,
    /// A test.
    Test,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// What it is about.
    pub tone: Tone,
    /// The rule in human terms, and whether it is over. One line.
    pub headline: String,
    /// What it matched. One line.
    pub message: String,
    /// Name and value, each of one line: when, where, of which group.
    pub facts: Vec<(String, String)>,
    /// What else is to be known of this message, a sentence each.
    pub notes: Vec<String>,
    /// The newest matching signals, oldest first, a line each: at most [`EVIDENCE_SHOWN_MAX`].
    pub evidence: Vec<String>,
    /// How many older ones are not shown.
    pub evidence_more: usize,
    /// Why it matters. Several lines.
    pub why: Option<String>,
    /// What to do. Several lines.
    pub what_to_do: Option<String>,
    /// Address of the alert.
    pub link: Option<String>,
}

impl Words {
    /// What a delivery says. `public_url` is the deployment's address; `advice` what the rule says to a person.
    pub fn of(due: &Due, public_url: &str, advice: Option<&Advice>) -> Self {
        let detection = due.detection.as_ref();
        let link = Some(format!("{}{}", public_url.trim_end_matches('/'), detection.url));
        match &due.about {
            About::Detection => Self { link, ..of_detection(detection, &due.merged, advice) },
            About::ChannelDisabled(channel) => Self { link, ..of_channel(channel, detection) },
        }
    }

    /// What a test says.
    pub fn of_test(channel: &ChannelId, now_ms: i64) -> Self {
        Self {
            facts: vec![fact("Sent", &calendar::show(now_ms)), fact("Channel", channel.as_str())],
            ..Self::short(
                Tone::Test,
                "A test of this channel",
                "This is a test of the channel. No detection is behind it.",
            )
        }
    }

    fn short(tone: Tone, headline: &str, message: &str) -> Self {
        Self {
            tone,
            headline: headline.to_owned(),
            message: message.to_owned(),
            facts: Vec::new(),
            notes: Vec::new(),
            evidence: Vec::new(),
            evidence_more: 0,
            why: None,
            what_to_do: None,
            link: None,
        }
    }

    /// The line that says how many signals are not shown. None: all are.
    pub fn more(&self) -> Option<String> {
        (self.evidence_more > 0).then(|| format!("and {} more", self.evidence_more))
    }
}

fn of_detection(detection: &Detection, merged: &Merged, advice: Option<&Advice>) -> Words {
    let title = Shown(&detection.title).to_string();
    let (tone, headline) = match detection.state {
        DetectionState::Resolved => (Tone::Over, format!("Over: {title}")),
        // A suppressed one is never delivered.
        DetectionState::Firing | DetectionState::Suppressed => {
            (Tone::Firing(detection.severity), format!("{}: {title}", severity(detection.severity)))
        }
    };
    let mut facts = vec![
        fact("Severity", severity(detection.severity)),
        fact("Site", detection.site.as_str()),
        fact("Part", &detection.subsystem),
        fact("Started", &calendar::show(detection.started_at)),
        fact("Last evaluated", &calendar::show(detection.last_evaluated_at)),
    ];
    facts.extend(detection.group.iter().map(|Label { field, value }| {
        let name = field.replace('_', " ");
        fact(&name, if value.is_empty() { "none" } else { value })
    }));
    let shown = detection.evidence.len().min(EVIDENCE_SHOWN_MAX);
    let hidden = detection.evidence.len() - shown;
    Words {
        facts,
        notes: notes(detection, merged),
        evidence: detection.evidence[hidden..].iter().map(line).collect(),
        evidence_more: hidden,
        why: advice.and_then(|a| a.why.as_ref()).map(|text| ShownLines(text).to_string()),
        what_to_do: advice.and_then(|a| a.what_to_do.as_ref()).map(|text| ShownLines(text).to_string()),
        ..Words::short(tone, &headline, &Shown(&detection.message).to_string())
    }
}

fn of_channel(channel: &ChannelId, detection: &Detection) -> Words {
    let message = format!(
        "Channel {channel} said twice, an hour apart, that it is no more: it is switched off and gets no more alerts. When its \
         receiver is there again: logystera channel enable {channel}"
    );
    Words {
        facts: vec![
            fact("Channel", channel.as_str()),
            fact("At", &calendar::show(detection.last_evaluated_at)),
            fact("On its way", &detection.title),
            fact("Site", detection.site.as_str()),
        ],
        ..Words::short(Tone::News, "An alert channel is switched off", &message)
    }
}

/// What a message tells besides its own detection, and why it ended if that is not that the condition is false.
fn notes(detection: &Detection, merged: &Merged) -> Vec<String> {
    let is_over = detection.state == DetectionState::Resolved;
    let mut notes: Vec<String> =
        ended_because(detection.reason).filter(|_| is_over).into_iter().map(str::to_owned).collect();
    if detection.held > 0 && !is_over {
        notes.push(format!("{} before it were held back.", counted(detection.held, "firing", "firings")));
    }
    if merged.lines > 0 {
        let firings = merged.firings.saturating_add(u32::from(!is_over));
        notes.push(format!(
            "This one message tells {} of the same fault, {firings} of them firings; the oldest began at {}.",
            counted(u64::from(merged.lines) + 1, "line", "lines"),
            calendar::show(merged.since.min(detection.started_at))
        ));
        if is_over && merged.untold {
            notes.push("It began and is over: this channel had no message of its beginning.".to_owned());
        }
    }
    notes
}

/// Why an episode ended, if its condition is not known to be false.
const fn ended_because(reason: DetectionReason) -> Option<&'static str> {
    match reason {
        DetectionReason::Evicted => {
            Some("It is watched no more: the rule has too many groups, and this one made room.")
        }
        DetectionReason::RuleRemoved => Some("It is watched no more: the rule was removed."),
        DetectionReason::RuleChanged => Some("It is watched anew: the rule was changed."),
        DetectionReason::SiteClosed => Some("It is watched no more: the site was closed."),
        DetectionReason::ClockReset => Some("It is watched anew: the log's clock was set back."),
        DetectionReason::Firing
        | DetectionReason::SuppressionExpired
        | DetectionReason::Resolved
        | DetectionReason::Stopped
        | DetectionReason::NeverSeen
        | DetectionReason::Blind
        | DetectionReason::Overflow => None,
    }
}

/// A signal on one line: its time, and its fields.
fn line(evidence: &Evidence) -> String {
    let fields = evidence.fields.iter().filter(|label| !label.value.is_empty());
    let fields: Vec<String> =
        fields.map(|Label { field, value }| format!("{}={}", Shown(field), Shown(value))).collect();
    format!("{}  {}", calendar::show(evidence.at), fields.join(" ")).trim_end().to_owned()
}

fn fact(name: &str, value: &str) -> (String, String) {
    let mut name = Shown(name).to_string();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    (name, Shown(value).to_string())
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Info",
        Severity::Warning => "Warning",
        Severity::Critical => "Critical",
    }
}

/// The beginning of a text that has at most `units_max` UTF-16 code units once `escape` has written it, which is
/// what receivers count at most; "…" stands for what was cut. No character is cut, nor what stands for one.
pub(super) fn cut(text: &str, units_max: usize, escape: fn(char, &mut String)) -> String {
    let units = |text: &str| text.encode_utf16().count();
    let (mut whole, mut piece) = (String::new(), String::new());
    let (mut used, mut fits_with_mark) = (0, 0);
    for c in text.chars() {
        piece.clear();
        escape(c, &mut piece);
        used += units(&piece);
        if used > units_max {
            whole.truncate(fits_with_mark);
            if units_max > 0 {
                whole.push('…');
            }
            return whole;
        }
        whole.push_str(&piece);
        if used < units_max {
            fits_with_mark = whole.len();
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn html(c: char, to: &mut String) {
        match c {
            '&' => to.push_str("&amp;"),
            c => to.push(c),
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        for (text, units_max, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("", 3, ""),
            ("abc", 0, ""),
            ("abc", 1, "…"),
            ("a&b", 7, "a&amp;b"),
            ("a&bc", 7, "a&amp;…"),
            ("a&bc", 6, "a…"),
            ("🛒🛒", 4, "🛒🛒"),
            ("🛒🛒🛒", 4, "🛒…"),
        ] {
            assert_eq!(cut(text, units_max, html), expected, "{text} {units_max}");
        }
    }

    proptest! {
        #[test]
        fn what_is_cut_fits_and_is_a_beginning(text in "\\PC{0,40}", units_max in 0..40_usize) {
            let shown = cut(&text, units_max, html);
            prop_assert!(shown.encode_utf16().count() <= units_max);
            let whole = cut(&text, usize::MAX, html);
            prop_assert!(shown == whole || shown.is_empty() || whole.starts_with(shown.strip_suffix('…').unwrap()));
        }
    }
}

//! What a row of topic `attempts` means, in words. Pure.

use logystera_schemas::delivery::{Attempt, AttemptOutcome, AttemptState};

use logystera_channels::kinds::ended_as;

/// How a delivery stands.
pub const fn state(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Started => "on its way",
        AttemptState::Delivered => "delivered",
        AttemptState::Failed => "did not get through",
        AttemptState::Dead => "given up",
        AttemptState::Unknown => "may have arrived",
        AttemptState::NotSent => "not sent",
        AttemptState::Waiting => "waits for its first attempt",
    }
}

/// Who answers with codes of its own, by how those begin.
const ANSWERERS: [(&str, &str); 3] = [("slack_", "Slack"), ("teams_", "Teams"), ("smtp_", "the mail server")];

/// Why it stands like that. None: the state says it all.
pub fn why(state: AttemptState, reason: &str) -> Option<String> {
    if reason == state.as_str() && state != AttemptState::Unknown {
        return None;
    }
    if let Some(status) = reason.strip_prefix("status_") {
        return Some(format!("its receiver answered {}", if status == "other" { "no known status" } else { status }));
    }
    let known = match reason {
        "unreachable_dns" => "the receiver's name has no address",
        "unreachable_refused" => "the receiver took no connection",
        "unreachable_tls" => "no encrypted connection, or the receiver's certificate is not trusted",
        "unreachable_reset" => "the receiver ended the connection without an answer",
        "unreachable_no_address" => "the channel's address is not known here",
        "unreachable" | "unreachable_other" => "the receiver could not be reached",
        "timeout" => "the receiver did not answer in time",
        "address_forbidden" => "the address leads into a network that may not be called",
        "unknown" => "the process that sent it ended before it knew",
        "bundled" => "it waits for others of its rule, and goes in one message with them",
        "rate_limited" => "the channel has as many messages as it gets a minute: a digest tells of it",
        "suppressed" => "the rule holds repeats back for a while",
        "no_channel" => "the tenant has no channel that is on",
        "queue_full" => "too many deliveries waited",
        "channel_disabled" => "the channel is switched off",
        "channel_removed" => "the channel was removed",
        "silenced" => "a silence holds it back",
        "quiet_hours" => "the channel's quiet hours hold it back",
        "no_route" => "no channel takes it",
        "never_told" => "the channel was not told that it began",
        "resolved_not_wanted" => "the channel does not want to hear that something is over",
        "resent" => "somebody asked for it again",
        "fallback" => "no other channel took it: the fallback channel is told",
        "nobody_told" => "no channel took it, and no fallback channel either",
        "superseded" => "a newer message told this too",
        "throttled" => "the receiver asked for a pause for a whole day",
        "smtp_not_configured" => "the alerter has no mail server: --smtp names one",
        "smtp_no_starttls" => "the mail server offers no encrypted connection",
        "smtp_timeout" => "the mail server did not answer in time",
        "smtp_reset" => "the mail server ended the connection",
        "smtp_not_understood" => "what the mail server answered can't be understood: is it one, and the port right?",
        "smtp_lost_after_data" => "the connection ended after the mail was sent",
        other => return Some(answer(other)),
    };
    Some(known.to_owned())
}

/// A code that somebody answered with, in words as far as it has any.
fn answer(code: &str) -> String {
    let said = ANSWERERS.iter().find_map(|(prefix, who)| Some((who, code.strip_prefix(prefix)?)));
    said.map_or_else(|| code.to_owned(), |(who, said)| format!("{who} answered {}", said.replace('_', " ")))
}

/// What can be done about it: a command, which the flags of the installation follow. None: nothing, or time does it.
pub fn hint(newest: &Attempt) -> Option<String> {
    let gone = newest.reason == "channel_disabled"
        || (newest.state, ended_as(&newest.reason)) == (AttemptState::Dead, Some(AttemptOutcome::Gone));
    match newest.reason.as_str() {
        _ if gone => Some(format!("Once its receiver is there again: logystera channel enable {}", newest.channel)),
        "no_channel" => Some("So that alerts reach somebody: logystera channel add webhook URL".to_owned()),
        "silenced" if newest.next_attempt_at.is_some() => {
            Some("What is silenced, and why: logystera silence list".to_owned())
        }
        "quiet_hours" | "no_route" | "resolved_not_wanted" => {
            Some("What each channel takes, and when: logystera channel list".to_owned())
        }
        _ if newest.state == AttemptState::Dead && newest.reason != "superseded" && !newest.channel.is_empty() => {
            Some(format!("Does the channel work now? logystera channel test {}", newest.channel))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_the_guide_has_words_of_its_own() {
        let guide = include_str!("../../../docs/deliveries.md");
        let listed = guide.split("**Reasons** are these").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
        let codes: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
        assert!(codes.len() > 15, "{codes:?}");
        for code in codes {
            let state = AttemptState::from_symbol(code).unwrap_or(AttemptState::Failed);
            let words = why(state, code);
            assert!(words.as_deref() != Some(code), "{code} has no words");
            assert!(words.is_some() || AttemptState::from_symbol(code).is_some(), "{code}");
        }
    }

    #[test]
    fn a_row_is_said_in_words() {
        for (state, reason, expected) in [
            (AttemptState::Delivered, "delivered", None),
            (AttemptState::Started, "started", None),
            (AttemptState::Failed, "status_503", Some("its receiver answered 503")),
            (
                AttemptState::NotSent,
                "bundled",
                Some("it waits for others of its rule, and goes in one message with them"),
            ),
            (AttemptState::Dead, "throttled", Some("the receiver asked for a pause for a whole day")),
            (AttemptState::Dead, "slack_channel_not_found", Some("Slack answered channel not found")),
            (AttemptState::Failed, "smtp_450_4.2.0", Some("the mail server answered 450 4.2.0")),
            (AttemptState::Failed, "smtp_timeout", Some("the mail server did not answer in time")),
            (AttemptState::Failed, "smtp_reset", Some("the mail server ended the connection")),
            (AttemptState::Failed, "smtp_not_configured", Some("the alerter has no mail server: --smtp names one")),
            (AttemptState::Unknown, "unknown", Some("the process that sent it ended before it knew")),
            (AttemptState::NotSent, "silenced", Some("a silence holds it back")),
            (AttemptState::NotSent, "of_a_newer_version", Some("of_a_newer_version")),
        ] {
            assert_eq!(why(state, reason).as_deref(), expected, "{state} {reason}");
        }
    }
}

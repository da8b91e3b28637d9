//! Hands one mail over (RFC 5321), and says what came of it. How far the conversation was decides what an answer means:
//! until the mail's last line was sent nobody has it, after it a silence says nothing.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use logystera_schemas::delivery::{AttemptCause, AttemptOutcome};
use logystera_schemas::limits::{MAIL_BUSY_S, MAIL_GREYLIST_S, WEBHOOK_CONNECT_MS, WEBHOOK_TOTAL_MS};

use super::server::{MailConfig, Security};
use crate::channels::Answer;
use crate::channels::http::cause_of;

/// Time that a goodbye may take: the mail is handed over.
const QUIT: Duration = Duration::from_secs(1);

/// How far a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Connecting, TLS, signing in: it is about the server, not about this mail.
    Begin,
    /// The sender is named.
    Sender,
    /// The recipients are named.
    Recipients,
    /// The mail is about to be sent.
    Data,
    /// The mail was sent; its end may have been.
    Sent,
}

/// Hands a mail over.
pub(super) async fn attempt(config: &MailConfig, envelope: &Envelope, mail: &[u8]) -> Answer {
    let mut phase = Phase::Begin;
    let total = Duration::from_millis(WEBHOOK_TOTAL_MS);
    match tokio::time::timeout(total, converse(config, envelope, mail, &mut phase)).await {
        Ok(Ok(())) => Answer::none(AttemptOutcome::Delivered),
        Ok(Err(failed)) => failed,
        Err(_) if phase == Phase::Sent => lost(),
        Err(_) => Answer::none(AttemptOutcome::Timeout),
    }
}

async fn converse(config: &MailConfig, envelope: &Envelope, mail: &[u8], phase: &mut Phase) -> Result<(), Answer> {
    let mut connection = connect(config).await?;
    let failed = |phase: Phase| move |error: Error| classify(phase, &error);
    if let (Some(user), Some(password)) = (&config.server.user, &config.password) {
        let credentials = Credentials::new(user.clone(), password.as_str().to_owned());
        let signed_in = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
        signed_in.map_err(failed(Phase::Begin))?;
    }
    *phase = Phase::Sender;
    connection.command(Mail::new(envelope.from().cloned(), vec![])).await.map_err(failed(*phase))?;
    *phase = Phase::Recipients;
    name_recipients(&mut connection, envelope).await?;
    *phase = Phase::Data;
    connection.command(Data).await.map_err(failed(*phase))?;
    *phase = Phase::Sent;
    connection.message(mail).await.map_err(failed(*phase))?;
    // It is delivered, whatever comes now.
    drop(tokio::time::timeout(QUIT, connection.quit()).await);
    Ok(())
}

/// Names the recipients. One that is refused does not keep the mail from the others; if all are, the answer that leaves
/// most hope counts.
async fn name_recipients(connection: &mut AsyncSmtpConnection, envelope: &Envelope) -> Result<(), Answer> {
    let mut refused: Vec<Answer> = Vec::new();
    for address in envelope.to() {
        if let Err(error) = connection.command(Rcpt::new(address.clone(), vec![])).await {
            let answer = classify(Phase::Recipients, &error);
            if error.status().is_none() {
                return Err(answer);
            }
            refused.push(answer);
        }
    }
    if refused.len() < envelope.to().len() {
        for answer in &refused {
            tracing::warn!(
                detail = answer.detail,
                recipients = envelope.to().len(),
                "one recipient of an alert by mail is refused; the others get it"
            );
        }
        return Ok(());
    }
    let hope = |answer: &Answer| match answer.outcome {
        AttemptOutcome::Throttled => 0,
        AttemptOutcome::Failed => 1,
        AttemptOutcome::Rejected => 2,
        _ => 3,
    };
    match refused.into_iter().min_by_key(hope) {
        Some(answer) => Err(answer),
        None => Ok(()),
    }
}

/// Connects, and has TLS before anything is said, unless the server is on this machine.
async fn connect(config: &MailConfig) -> Result<AsyncSmtpConnection, Answer> {
    let server = &config.server;
    let timeout = Duration::from_millis(WEBHOOK_CONNECT_MS);
    let addresses: Vec<SocketAddr> = match tokio::net::lookup_host((server.host.as_str(), server.port)).await {
        Ok(addresses) => addresses.collect(),
        Err(_) => return Err(Answer::unreachable(AttemptCause::Dns)),
    };
    let hello = ClientId::Domain(config.from.domain().to_owned());
    let tls = match server.security {
        Security::Plain => None,
        Security::StartTls | Security::Tls => Some(tls(config).map_err(|e| classify(Phase::Begin, &e))?),
    };
    let failed = |error: Error| classify(Phase::Begin, &error);
    match (server.security, tls) {
        (Security::Tls, tls) => {
            AsyncSmtpConnection::connect_tokio1(&addresses[..], Some(timeout), &hello, tls, None).await
        }
        (_, upgrade) => {
            let connected =
                AsyncSmtpConnection::connect_tokio1(&addresses[..], Some(timeout), &hello, None, None).await;
            let mut connection = connected.map_err(failed)?;
            if let Some(tls) = upgrade {
                if !connection.can_starttls() {
                    connection.abort().await;
                    return Err(Answer::none(AttemptOutcome::Failed).meaning(
                        AttemptOutcome::Failed,
                        "smtp",
                        "no_starttls",
                    ));
                }
                connection.starttls(tls, &hello).await.map_err(failed)?;
            }
            Ok(connection)
        }
    }
    .map_err(failed)
}

fn tls(config: &MailConfig) -> Result<TlsParameters, Error> {
    let mut builder = TlsParameters::builder(config.server.host.clone());
    for root in &config.extra_roots {
        builder = builder.add_root_certificate(Certificate::from_der(root.to_vec())?);
    }
    builder.build_rustls()
}

/// The connection broke when the whole mail was on its way.
fn lost() -> Answer {
    Answer::none(AttemptOutcome::Unknown).meaning(AttemptOutcome::Unknown, "smtp", "lost_after_data")
}

fn classify(phase: Phase, error: &Error) -> Answer {
    if let Some(code) = error.status() {
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        return answer_of(phase, &code.to_string(), &text);
    }
    if phase == Phase::Sent {
        return lost();
    }
    if error.is_tls() {
        return Answer::unreachable(AttemptCause::Tls);
    }
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(known) = cause_of(current) {
            return Answer::unreachable(known);
        }
        cause = current.source();
    }
    match () {
        () if error.is_timeout() => Answer::none(AttemptOutcome::Timeout),
        // It hung up, or said what is no SMTP.
        () if error.is_response() => Answer::unreachable(AttemptCause::Reset),
        () if error.is_client() => {
            Answer::none(AttemptOutcome::Failed).meaning(AttemptOutcome::Failed, "smtp", "no_way_to_sign_in")
        }
        () => Answer::unreachable(AttemptCause::Other),
    }
}

/// What a reply means: its code, the code of RFC 3463 at the beginning of its text, and how far the conversation was.
pub(super) fn answer_of(phase: Phase, code: &str, text: &str) -> Answer {
    use AttemptOutcome::{Failed, Gone, Rejected, Throttled};
    let enhanced = enhanced_code(text);
    let is_about_mailbox = enhanced.is_some_and(|e| matches!(e, "5.1.1" | "5.1.6" | "5.1.10" | "5.2.1"));
    let (outcome, retry_after_s) = match (phase, code) {
        // It closes the connection, or has too many.
        (_, "421") => (Throttled, Some(MAIL_BUSY_S)),
        // What cannot sign in, or may not send at all, is for the operator to mend; alerts wait.
        (Phase::Begin, _) => (Failed, None),
        // Greylisting (RFC 6647): who comes again later is let in.
        (Phase::Recipients | Phase::Data | Phase::Sent, "450" | "451") => (Throttled, Some(MAIL_GREYLIST_S)),
        (Phase::Recipients, _) if is_about_mailbox => (Gone, None),
        (_, code) if code.starts_with('5') => (Rejected, None),
        _ => (Failed, None),
    };
    let said = enhanced.map_or_else(|| code.to_owned(), |enhanced| format!("{code}_{enhanced}"));
    Answer { retry_after_s, ..Answer::none(outcome) }.meaning(outcome, "smtp", &said)
}

/// `5.1.1` of "5.1.1 no such user".
fn enhanced_code(text: &str) -> Option<&str> {
    let word = text.split_whitespace().next()?;
    let parts: Vec<&str> = word.split('.').collect();
    let is_number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    (parts.len() == 3 && parts.iter().all(is_number)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reply_has_one_meaning() {
        use AttemptOutcome::{Failed, Gone, Rejected, Throttled};
        use Phase::{Begin, Data, Recipients, Sender, Sent};
        for (phase, code, text, outcome, detail) in [
            (Begin, "421", "4.7.0 too many connections", Throttled, "smtp_421_4.7.0"),
            (Begin, "454", "4.7.0 TLS not available", Failed, "smtp_454_4.7.0"),
            (Begin, "535", "5.7.8 wrong password", Failed, "smtp_535_5.7.8"),
            (Begin, "554", "no service", Failed, "smtp_554"),
            (Sender, "451", "4.3.0 later", Failed, "smtp_451_4.3.0"),
            (Sender, "550", "5.7.1 not yours", Rejected, "smtp_550_5.7.1"),
            (Recipients, "450", "4.2.0 greylisted, come again", Throttled, "smtp_450_4.2.0"),
            (Recipients, "451", "4.7.1 greylisted", Throttled, "smtp_451_4.7.1"),
            (Recipients, "452", "4.2.2 mailbox full", Failed, "smtp_452_4.2.2"),
            (Recipients, "550", "5.1.1 no such user", Gone, "smtp_550_5.1.1"),
            (Recipients, "550", "5.2.1 disabled", Gone, "smtp_550_5.2.1"),
            (Recipients, "550", "5.7.1 no relaying", Rejected, "smtp_550_5.7.1"),
            (Recipients, "550", "no", Rejected, "smtp_550"),
            (Data, "451", "", Throttled, "smtp_451"),
            (Data, "554", "5.5.1 no recipients", Rejected, "smtp_554_5.5.1"),
            (Sent, "421", "going down", Throttled, "smtp_421"),
            (Sent, "452", "4.3.1 disk full", Failed, "smtp_452_4.3.1"),
            (Sent, "552", "5.3.4 too large", Rejected, "smtp_552_5.3.4"),
            (Sent, "554", "5.7.1 spam", Rejected, "smtp_554_5.7.1"),
            (Sent, "550", "5.1.1.1 odd", Rejected, "smtp_550"),
        ] {
            let answer = answer_of(phase, code, text);
            assert_eq!((answer.outcome, answer.detail.as_deref()), (outcome, Some(detail)), "{phase:?} {code} {text}");
            assert_eq!(answer.retry_after_s.is_some(), outcome == Throttled);
        }
    }
}

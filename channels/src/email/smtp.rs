//! Hands one mail over (RFC 5321), and says what came of it. How far the conversation was decides what an answer means:
//! until the mail is sent nobody has it, from then on a silence says nothing, and after its acceptance nothing counts.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Severity;
use logystera_schemas::delivery::{AttemptCause, AttemptOutcome};
use logystera_schemas::ids::DeliveryId;
use logystera_schemas::limits::{MAIL_BUSY_S, MAIL_GREYLIST_S, WEBHOOK_CONNECT_MS};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::lines::Lines;
use super::server::{MailConfig, Security};
use crate::Answer;
use crate::http::cause_of;

/// How far a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Connecting, TLS, signing in: it is about the server, not about this mail.
    Begin,
    /// The sender is named, the same for all mails.
    Sender,
    /// The recipients are named.
    Recipients,
    /// The mail is about to be sent.
    Data,
    /// The mail was sent; its end may have been.
    Sent,
}

/// The way to a mail server.
pub(super) struct Relay {
    pub(super) config: MailConfig,
    /// None: TLS is not used, or cannot be.
    tls: Option<TlsParameters>,
}

impl Relay {
    /// Reads the certificates that are trusted, once.
    pub(super) fn new(config: MailConfig) -> Self {
        let tls = if config.server.security == Security::Plain { None } else { tls(&config) };
        Self { config, tls }
    }

    /// Hands a mail over.
    pub(super) async fn hand_over(&self, envelope: &Envelope, mail: &[u8], id: DeliveryId) -> Answer {
        let (mut connection, refused) = match timeout(self.config.total, self.begin(envelope, id)).await {
            Ok(Ok(begun)) => begun,
            Ok(Err(answer)) => return answer,
            Err(_) => return failed("timeout"),
        };
        match timeout(self.config.end, connection.message(mail)).await {
            Ok(Ok(reply)) if reply.code().severity == Severity::PositiveCompletion => {}
            Ok(Err(error)) => return classify(Phase::Sent, &error),
            Ok(Ok(_)) | Err(_) => return lost(),
        }
        // It is delivered, whatever comes now.
        drop(timeout(self.config.quit, connection.quit()).await);
        let delivered = Answer::none(AttemptOutcome::Delivered);
        if refused == 0 {
            return delivered;
        }
        let said = format!("{refused}_of_{}_refused", envelope.to().len());
        delivered.meaning(AttemptOutcome::Delivered, "smtp", &said)
    }

    /// All that comes before the mail. Gives how many recipients are refused.
    async fn begin(&self, envelope: &Envelope, id: DeliveryId) -> Result<(AsyncSmtpConnection, usize), Answer> {
        let mut connection = self.connect().await?;
        let failed = |phase: Phase| move |error: Error| classify(phase, &error);
        if let (Some(user), Some(password)) = (&self.config.server.user, &self.config.password) {
            let credentials = Credentials::new(user.clone(), password.as_str().to_owned());
            let signed_in = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            signed_in.map_err(failed(Phase::Begin))?;
        }
        let sender = Mail::new(envelope.from().cloned(), vec![]);
        connection.command(sender).await.map_err(failed(Phase::Sender))?;
        let refused = name_recipients(&mut connection, envelope, id).await?;
        let reply = connection.command(Data).await.map_err(failed(Phase::Data))?;
        if !reply.has_code(354) {
            // It does not wait for a mail: what is sent now it would take for commands.
            return Err(answer_of(Phase::Data, &reply.code().to_string(), reply.first_line().unwrap_or_default()));
        }
        Ok((connection, refused))
    }

    /// Connects, and has TLS before anything is said, unless the server is on this machine.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Answer> {
        let server = &self.config.server;
        let hello = ClientId::Domain(self.config.from.domain().to_owned());
        let failed_with = |error: Error| classify(Phase::Begin, &error);
        match (server.security, self.tls.clone()) {
            (Security::Plain, _) => {
                let stream = Box::new(Lines::new(self.reach().await?));
                AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(failed_with)
            }
            (Security::StartTls, Some(tls)) => {
                let stream = Box::new(Lines::new(self.reach().await?));
                let connected = AsyncSmtpConnection::connect_with_transport(stream, &hello).await;
                let mut connection = connected.map_err(failed_with)?;
                if !connection.can_starttls() {
                    return Err(failed("no_starttls"));
                }
                connection.starttls(tls, &hello).await.map_err(failed_with)?;
                Ok(connection)
            }
            (Security::Tls, tls @ Some(_)) => {
                // Nothing is read in the clear here. What a server that is trusted says is bounded by the time alone.
                let (to, limit) = (self.addresses().await?, Duration::from_millis(WEBHOOK_CONNECT_MS));
                AsyncSmtpConnection::connect_tokio1(&to[..], Some(limit), &hello, tls, None).await.map_err(failed_with)
            }
            (Security::StartTls | Security::Tls, None) => Err(Answer::unreachable(AttemptCause::Tls)),
        }
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, Answer> {
        let server = &self.config.server;
        let found = tokio::net::lookup_host((server.host.as_str(), server.port)).await;
        found.map(Iterator::collect).map_err(|_| Answer::unreachable(AttemptCause::Dns))
    }

    /// The first address of the server that takes a connection.
    async fn reach(&self) -> Result<TcpStream, Answer> {
        let limit = Duration::from_millis(WEBHOOK_CONNECT_MS);
        let mut last = Answer::unreachable(AttemptCause::Dns);
        for address in self.addresses().await? {
            last = match timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => broken(&error),
                Err(_) => failed("timeout"),
            };
        }
        Err(last)
    }
}

/// TLS with the certificates that the system trusts and those of the settings; with the latter alone if the system's
/// can't be read.
fn tls(config: &MailConfig) -> Option<TlsParameters> {
    let build = |store: CertificateStore| {
        let mut builder = TlsParameters::builder(config.server.host.clone()).certificate_store(store);
        for root in &config.extra_roots {
            builder = builder.add_root_certificate(Certificate::from_der(root.to_vec())?);
        }
        builder.build_rustls()
    };
    build(CertificateStore::Default)
        .or_else(|error| {
            tracing::warn!(%error, "the system's certificates can't be read: the mail server will not be trusted");
            build(CertificateStore::None)
        })
        .ok()
}

/// Names the recipients, and gives how many are refused. One that is refused does not keep the mail from the others; if
/// all are, the answer that leaves most hope counts.
async fn name_recipients(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    id: DeliveryId,
) -> Result<usize, Answer> {
    let mut refused: Vec<Answer> = Vec::new();
    for address in envelope.to() {
        if let Err(error) = connection.command(Rcpt::new(address.clone(), vec![])).await {
            let answer = classify(Phase::Recipients, &error);
            // With 421 the server ends the conversation.
            if error.status().is_none_or(|code| u16::from(code) == 421) {
                return Err(answer);
            }
            refused.push(answer);
        }
    }
    if refused.len() < envelope.to().len() {
        for answer in &refused {
            tracing::warn!(
                delivery = %id,
                detail = answer.detail,
                recipients = envelope.to().len(),
                "one recipient of an alert by mail is refused; the others get it"
            );
        }
        return Ok(refused.len());
    }
    let hope = |answer: &Answer| match answer.outcome {
        AttemptOutcome::Throttled => 0,
        AttemptOutcome::Failed => 1,
        AttemptOutcome::Rejected => 2,
        _ => 3,
    };
    match refused.into_iter().min_by_key(hope) {
        Some(answer) => Err(answer),
        None => Ok(0),
    }
}

/// It did not come to the mail: nobody can have it.
fn failed(said: &str) -> Answer {
    Answer::none(AttemptOutcome::Failed).meaning(AttemptOutcome::Failed, "smtp", said)
}

/// The mail was on its way, and no answer to it came that can be understood.
fn lost() -> Answer {
    Answer::none(AttemptOutcome::Unknown).meaning(AttemptOutcome::Unknown, "smtp", "lost_after_data")
}

fn classify(phase: Phase, error: &Error) -> Answer {
    let said = error.source().map(ToString::to_string).unwrap_or_default();
    match error.status() {
        Some(code) => answer_of(phase, &code.to_string(), &said),
        None if phase == Phase::Sent => lost(),
        None if error.is_tls() => Answer::unreachable(AttemptCause::Tls),
        None if error.is_client() => failed("no_way_to_sign_in"),
        // The end of the connection is such a response too.
        None if error.is_response() => failed(if said == "incomplete response" { "reset" } else { "not_understood" }),
        None => broken(error),
    }
}

/// The connection was not made, or broke before the mail. The first of its causes that is known counts.
fn broken(error: &(dyn StdError + 'static)) -> Answer {
    let mut cause = Some(error);
    while let Some(current) = cause {
        match (cause_of(current), current.downcast_ref::<io::Error>().map(io::Error::kind)) {
            (Some(AttemptCause::Reset), _) => return failed("reset"),
            (Some(known), _) => return Answer::unreachable(known),
            (None, Some(io::ErrorKind::TimedOut)) => return failed("timeout"),
            // More than a line may have, or no text.
            (None, Some(io::ErrorKind::InvalidData)) => return failed("not_understood"),
            (None, _) => cause = current.source(),
        }
    }
    Answer::unreachable(AttemptCause::Other)
}

/// What a reply means: its code, the code of RFC 3463 at the beginning of its text, and how far the conversation was.
fn answer_of(phase: Phase, code: &str, text: &str) -> Answer {
    use AttemptOutcome::{Failed, Gone, Rejected, Throttled};
    let enhanced = enhanced_code(text);
    let is_about_mailbox = enhanced.is_some_and(|e| matches!(e, "5.1.1" | "5.1.6" | "5.1.10" | "5.2.1"));
    let (outcome, retry_after_s) = match (phase, code) {
        // It closes the connection, or has too many.
        (_, "421") => (Throttled, Some(MAIL_BUSY_S)),
        // What cannot sign in, or may not send at all or from this sender, is for the operator to mend; alerts wait.
        (Phase::Begin | Phase::Sender, _) | (_, "530") => (Failed, None),
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
            (Sender, "550", "5.7.1 not yours", Failed, "smtp_550_5.7.1"),
            (Sender, "553", "5.1.8 no such sender", Failed, "smtp_553_5.1.8"),
            (Recipients, "530", "5.7.0 sign in first", Failed, "smtp_530_5.7.0"),
            (Data, "530", "5.7.0 TLS first", Failed, "smtp_530_5.7.0"),
            (Data, "250", "2.0.0 ok", Failed, "smtp_250_2.0.0"),
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

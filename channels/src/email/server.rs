//! The mail server of an installation, as its operator names it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use lettre::Address;
use logystera_schemas::limits::{MAIL_END_MS, MAIL_QUIT_MS, WEBHOOK_TOTAL_MS};
use reqwest::Url;
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::mailbox::address;

/// How the connection to the server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// `smtp://`: it begins in the clear and must become TLS before anything is said (RFC 3207).
    StartTls,
    /// `smtps://`: TLS from the first byte (RFC 8314).
    Tls,
    /// `smtp+plain://`: none, to this machine only.
    Plain,
}

/// Where mail is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// How the connection is protected.
    pub security: Security,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Who signs in. None: nobody does.
    pub user: Option<String>,
}

/// What mail is sent with. Its `Debug` has no password.
#[derive(Clone)]
pub struct MailConfig {
    /// Where it is handed over.
    pub server: Server,
    /// The user's password.
    pub password: Option<Zeroizing<String>>,
    /// Whom it comes from.
    pub from: Address,
    /// Certificates of authorities that are trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// How long everything before the mail may take.
    pub total: Duration,
    /// How long the mail and the answer to its end may take.
    pub end: Duration,
    /// How long the goodbye may take.
    pub quit: Duration,
}

impl fmt::Debug for MailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailConfig").field("server", &self.server).field("from", &self.from).finish_non_exhaustive()
    }
}

/// Why settings of mail cannot be used. No error has the password, or what stands in its place in an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The address of the server cannot be read.
    #[error("expected smtp://USER@HOST:587, smtps://USER@HOST:465 or smtp+plain://127.0.0.1:25")]
    Server,
    /// A password stands in the address, which others can see.
    #[error("a password does not belong into the address, where others can see it: name a file that has it")]
    PasswordInAddress,
    /// Mail in the clear would leave this machine.
    #[error("smtp+plain:// is for a server on this machine; for another one use smtp:// or smtps://")]
    PlainAbroad,
    /// A user without a password, or the other way round.
    #[error("a user and a password belong together")]
    UserAndPassword,
    /// The sender is no mail address.
    #[error("expected a mail address in ASCII, such as alerts@example.com")]
    From,
}

impl Server {
    /// Reads the address of a server.
    pub fn parse(text: &str) -> Result<Self, MailError> {
        let url = Url::parse(text).map_err(|_| MailError::Server)?;
        let (security, port) = match url.scheme() {
            "smtp" => (Security::StartTls, 587),
            "smtps" => (Security::Tls, 465),
            "smtp+plain" => (Security::Plain, 25),
            _ => return Err(MailError::Server),
        };
        if url.password().is_some() {
            return Err(MailError::PasswordInAddress);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(MailError::Server)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(MailError::Server);
        }
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if security == Security::Plain && !is_here {
            return Err(MailError::PlainAbroad);
        }
        let user = (!url.username().is_empty()).then(|| decoded(url.username())).transpose()?;
        Ok(Self { security, host, port: url.port().unwrap_or(port), user })
    }
}

impl MailConfig {
    /// Checks what an operator gave. `password` is a file's content: one line end at its end does not count.
    pub fn new(server: &str, password: Option<&str>, from: &str) -> Result<Self, MailError> {
        let server = Server::parse(server)?;
        let password = password.map(|text| {
            let text = text.strip_suffix('\n').unwrap_or(text);
            Zeroizing::new(text.strip_suffix('\r').unwrap_or(text).to_owned())
        });
        if server.user.is_some() != password.is_some() {
            return Err(MailError::UserAndPassword);
        }
        let from = address(from).ok_or(MailError::From)?;
        Ok(Self {
            server,
            password,
            from,
            extra_roots: Vec::new(),
            total: Duration::from_millis(WEBHOOK_TOTAL_MS),
            end: Duration::from_millis(MAIL_END_MS),
            quit: Duration::from_millis(MAIL_QUIT_MS),
        })
    }
}

/// A user's name, in which an address writes `@` as `%40` (RFC 3986, section 2.1).
fn decoded(text: &str) -> Result<String, MailError> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = after.get(..2).and_then(|d| std::str::from_utf8(d).ok()).ok_or(MailError::Server)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| MailError::Server)?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| MailError::Server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_the_server_and_how_it_is_protected() {
        let of = |security, host: &str, port, user: Option<&str>| {
            Ok(Server { security, host: host.to_owned(), port, user: user.map(str::to_owned) })
        };
        for (text, expected) in [
            ("smtp://mail.example.com", of(Security::StartTls, "mail.example.com", 587, None)),
            ("smtp://me@mail.example.com:2525", of(Security::StartTls, "mail.example.com", 2525, Some("me"))),
            (
                "smtps://me%40example.com@mail.example.com",
                of(Security::Tls, "mail.example.com", 465, Some("me@example.com")),
            ),
            ("smtp+plain://127.0.0.1", of(Security::Plain, "127.0.0.1", 25, None)),
            ("smtp+plain://[::1]:1025", of(Security::Plain, "::1", 1025, None)),
            ("smtp+plain://localhost:1025/", of(Security::Plain, "localhost", 1025, None)),
            ("smtp+plain://10.0.0.1:25", Err(MailError::PlainAbroad)),
            ("smtp+plain://localhost.example.com", Err(MailError::PlainAbroad)),
            ("smtp://me:secret@mail.example.com", Err(MailError::PasswordInAddress)),
            ("http://mail.example.com", Err(MailError::Server)),
            ("mail.example.com:587", Err(MailError::Server)),
            ("smtp://mail.example.com/path", Err(MailError::Server)),
            ("smtp://%zz@mail.example.com", Err(MailError::Server)),
            ("smtp://", Err(MailError::Server)),
        ] {
            assert_eq!(Server::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_user_has_a_password_which_is_not_shown() {
        let made = MailConfig::new("smtp://me@mail.example.com", Some("s3cret\r\n"), "alerts@example.com").unwrap();
        assert_eq!(made.password.as_ref().map(|p| p.as_str()), Some("s3cret"));
        assert!(!format!("{made:?}").contains("s3cret"), "{made:?}");
        for (server, password, from, expected) in [
            ("smtp://me@mail.example.com", None, "a@example.com", MailError::UserAndPassword),
            ("smtp://mail.example.com", Some("s3cret"), "a@example.com", MailError::UserAndPassword),
            ("smtp://mail.example.com", None, "alerts", MailError::From),
            ("smtp://mail.example.com", None, "alerts@größe.example", MailError::From),
            ("smtp://mail.example.com", None, "\"a b\"@x", MailError::From),
            ("smtp://mail.example.com", None, "a@example.com\r\nBcc: b@example.com", MailError::From),
        ] {
            assert_eq!(MailConfig::new(server, password, from).unwrap_err(), expected, "{server} {from:?}");
        }
    }
}

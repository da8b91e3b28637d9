//! Why nothing came back from a gateway, in a sentence that says what to do.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// What went wrong, as far as it is known; else the causes as the libraries tell them.
pub(crate) fn sentence(error: &(dyn Error + 'static)) -> String {
    known(error).map_or_else(|| causes(error), str::to_owned)
}

fn known(error: &(dyn Error + 'static)) -> Option<&'static str> {
    chain(error).find_map(|cause| {
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return of_tls(tls);
        }
        let text = cause.to_string();
        match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => {
                Some("nothing listens there: is the gateway up, and are host and port of the DSN right?")
            }
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe) => {
                Some(CUT)
            }
            _ if text.contains("dns error") => {
                Some("the name of the host cannot be found: is it spelled right, and does this machine resolve names?")
            }
            _ if text.contains("connection closed before message completed") => Some(CUT),
            _ if text.contains("invalid HTTP version parsed") => {
                Some("what answers there does not speak HTTP: does it want https://, or is it another port?")
            }
            _ => None,
        }
    })
}

const CUT: &str =
    "the connection was cut before an answer came: does it want https://, or is something between that cuts it?";

fn of_tls(error: &rustls::Error) -> Option<&'static str> {
    use CertificateError as Cert;
    Some(match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            Cert::UnknownIssuer => {
                "its certificate is signed by no authority that this machine trusts; one of your own is named with --ca FILE"
            }
            Cert::Expired | Cert::ExpiredContext { .. } => {
                "its certificate has expired: renew it at the gateway; or this machine's clock is ahead"
            }
            Cert::NotValidYet | Cert::NotValidYetContext { .. } => {
                "its certificate is not valid yet: is this machine's clock behind?"
            }
            Cert::NotValidForName | Cert::NotValidForNameContext { .. } => {
                "its certificate is for another host name: use a name that stands in it, or get one for this name"
            }
            Cert::Revoked => "its certificate was revoked: it needs a new one",
            Cert::BadSignature => {
                "its certificate is not signed by the authority that it names: is --ca FILE the right one, and no older one?"
            }
            Cert::InvalidPurpose | Cert::InvalidPurposeContext { .. } => {
                "its certificate is not one for servers: it needs one for serverAuth"
            }
            other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                "its certificate is that of an authority, as `openssl req -x509` makes it: sign one for the gateway with that, and \
                 name the authority with --ca FILE"
            }
            _ => return None,
        },
        rustls::Error::NoCertificatesPresented => "it shows no certificate: the gateway needs one",
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => "what answers there does not speak TLS: is it http:// (this machine only), or another port?",
        rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            "it has no certificate for this host name: use the name that it serves"
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure)
        | rustls::Error::PeerIncompatible(_) => "it offers no version of TLS from 1.2 on that this sender knows",
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it asks for a certificate of the sender's, which a gateway does not: what is between?"
        }
        _ => return None,
    })
}

/// An error and its causes. The error inside an I/O error counts as its cause; `source` would skip it.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let next = |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    };
    std::iter::successors(Some(error), next)
}

/// An error with its causes: the first alone says only that a request failed.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in chain(error).skip(1) {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    fn said(error: rustls::Error) -> String {
        // As the client wraps it.
        sentence(&io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    #[test]
    fn what_tls_says_becomes_what_to_do() {
        use CertificateError::{BadSignature, Expired, NotValidForName, NotValidYet, UnknownIssuer};
        let certificate = rustls::Error::InvalidCertificate;
        for (error, says) in [
            (certificate(UnknownIssuer), "--ca FILE"),
            (certificate(Expired), "has expired: renew it"),
            (certificate(NotValidYet), "clock behind?"),
            (certificate(NotValidForName), "for another host name"),
            (certificate(BadSignature), "not signed by the authority that it names"),
            (rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType), "does not speak TLS"),
            (rustls::Error::AlertReceived(AlertDescription::HandshakeFailure), "no version of TLS"),
            (rustls::Error::NoCertificatesPresented, "shows no certificate"),
            // What is not known is told as it is.
            (rustls::Error::DecryptError, "decrypt"),
        ] {
            assert!(said(error.clone()).contains(says), "{error:?}: {}", said(error.clone()));
        }
    }

    /// What a request says to an address at which `answer` is written.
    fn at(scheme: &str, answer: &'static [u8]) -> String {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}/", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(answer);
        });
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let error = client.post(url).body("x").send().unwrap_err();
        served.join().unwrap();
        sentence(&error.without_url())
    }

    #[test]
    fn what_a_connection_says_becomes_what_to_do() {
        let plain = at("https", b"HTTP/1.1 400 Bad Request\r\n\r\n");
        assert!(plain.contains("does not speak TLS"), "{plain}");
        let tls = at("http", b"\x15\x03\x03\x00\x02\x02\x46");
        assert!(tls.contains("does it want https://"), "{tls}");
        let cut = at("http", b"");
        assert!(cut.contains("was cut before an answer"), "{cut}");
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let refused = sentence(&client.get("http://127.0.0.1:9/").send().unwrap_err());
        assert!(refused.contains("nothing listens there"), "{refused}");
        let unknown = sentence(&client.get("http://nowhere.invalid/").send().unwrap_err());
        assert!(unknown.contains("cannot be found"), "{unknown}");
    }
}

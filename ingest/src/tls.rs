//! TLS for the senders' listener: rustls with the ring provider, TLS 1.2 and 1.3.

mod error;
mod pem;
mod validity;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use logystera_infra::clock::{Clock, SystemClock};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use error::TlsError;

/// A certificate with its key, ready to serve HTTP/2 and HTTP/1.1.
#[derive(Clone)]
pub struct Tls(pub(crate) Arc<ServerConfig>, Arc<Current>, Option<String>);

impl Tls {
    /// Reads a certificate chain, the gateway's own first, and its private key, both PEM.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (certificates, secret) = (pem::certificates(certificate)?, pem::private_key(key)?);
        let fault = certificates.first().and_then(|c| validity::fault(c, SystemClock::new().wall_ms() / 1_000));
        let fault =
            fault.map(|fault| format!("the certificate in {} {fault}: senders refuse it", certificate.display()));
        let pair = |what| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), what };
        let pairing = CertifiedKey::from_der(certificates, secret, &provider).map_err(pair)?;
        let current = Arc::new(Current(RwLock::new(Arc::new(pairing))));
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(pair)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::clone(&current) as Arc<_>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config), current, fault))
    }

    /// Why senders refuse the certificate: when it was read it had expired, or was not valid yet. None: it was valid.
    pub fn fault(&self) -> Option<&str> {
        self.2.as_deref()
    }

    /// Gives connections from now on the certificate of `other`; those that are open keep theirs.
    pub fn replace_by(&self, other: &Self) {
        let pairing = Arc::clone(&other.1.0.read().unwrap_or_else(PoisonError::into_inner));
        *self.1.0.write().unwrap_or_else(PoisonError::into_inner) = pairing;
    }
}

/// The certificate and key that a handshake gets.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

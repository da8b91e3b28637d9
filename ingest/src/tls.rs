//! TLS for the senders' listener: rustls with the ring provider, TLS 1.2 and 1.3.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate with its key, ready to serve HTTP/2 and HTTP/1.1.
#[derive(Clone)]
pub struct Tls(pub(crate) Arc<ServerConfig>);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// Certificate and key cannot be used, or not together.
    #[error("the certificate in {} and the key in {}: {what}", certificate.display(), key.display())]
    Pair {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// Why.
        what: rustls::Error,
    },
}

impl Tls {
    /// Reads a certificate chain, the site's own first, and its private key, both PEM.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |what: rustls::pki_types::pem::Error| TlsError::File { path, what: what.to_string() }
        };
        let chain = CertificateDer::pem_file_iter(certificate).map_err(file(certificate))?;
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(file(certificate))?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(file(key))?;
        let pair = |what| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), what };
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(pair)?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, secret).map_err(pair)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

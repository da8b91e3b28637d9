//! Why TLS cannot be served.

use std::path::{Path, PathBuf};

/// Why there is no certificate with its key.
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
    #[error("{}", pair(certificate, key, what))]
    Pair {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// Why.
        what: rustls::Error,
    },
}

/// Why a certificate and a key cannot be used.
fn pair(certificate: &Path, key: &Path, what: &rustls::Error) -> String {
    let (certificate, key) = (certificate.display(), key.display());
    match what {
        rustls::Error::InconsistentKeys(_) => format!(
            "the key in {key} does not belong to the certificate in {certificate}: name the key that the certificate was made with. If the \
             file holds several certificates, the gateway's own must stand first"
        ),
        what => format!("the certificate in {certificate} and the key in {key} cannot be used: {what}"),
    }
}

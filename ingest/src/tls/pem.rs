//! The two PEM files (RFC 7468): what is in them, and what is wrong with them.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::TlsError;

/// The certificates of a file, in its order: the gateway's own must be first.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let held = labels(&bytes);
    if !held.iter().any(|label| is_certificate(label)) {
        return Err(file(path, nothing(&held, &bytes, "certificate", "private key", "openssl x509 -inform der")));
    }
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    parsed.map_err(|error| file(path, format!("its certificate is not well formed: {error}")))
}

/// The private key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(path)?;
    let held = labels(&bytes);
    let legacy = bytes.windows(LEGACY_ENCRYPTED.len()).any(|window| window == LEGACY_ENCRYPTED);
    if legacy || held.iter().any(|label| label == "ENCRYPTED PRIVATE KEY") {
        let way_out = "openssl pkey -in ENCRYPTED -out KEY, and chmod 600 KEY";
        return Err(file(
            path,
            format!("the private key is encrypted, and nobody is asked for its passphrase: {way_out}"),
        ));
    }
    if !held.iter().any(|label| is_key(label)) {
        return Err(file(path, nothing(&held, &bytes, "private key", "certificate", "openssl pkey -inform der")));
    }
    let parsed = PrivateKeyDer::from_pem_slice(&bytes);
    parsed.map_err(|error| file(path, format!("its private key is not well formed: {error}")))
}

/// In an encrypted key as OpenSSL wrote it before PKCS #8 (RFC 1421).
const LEGACY_ENCRYPTED: &[u8] = b"Proc-Type: 4,ENCRYPTED";

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| file(path, error.to_string()))
}

fn file(path: &Path, what: String) -> TlsError {
    TlsError::File { path: path.to_owned(), what }
}

fn is_certificate(label: &str) -> bool {
    label == "CERTIFICATE"
}

fn is_key(label: &str) -> bool {
    label.ends_with("PRIVATE KEY")
}

/// The labels of a file's sections, such as `CERTIFICATE`.
fn labels(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let label = |line: &str| Some(line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")?.to_owned());
    text.lines().filter_map(label).collect()
}

/// Why a file has none of what was looked for.
fn nothing(held: &[String], bytes: &[u8], wanted: &str, other: &str, convert: &str) -> String {
    let is_other = |label: &String| if other == "certificate" { is_certificate(label) } else { is_key(label) };
    if held.iter().any(is_other) {
        return format!("it holds a {other} and no {wanted}: are the two files swapped?");
    }
    match (held.first(), bytes) {
        (Some(label), _) => format!("it holds a {label} and no {wanted}"),
        (None, []) => format!("it is empty; expected a {wanted} in PEM"),
        // A sequence, as every certificate and key in DER begins.
        (None, [0x30, ..]) => format!("it is DER; expected PEM: {convert} -in DER -out PEM"),
        (None, _) => format!("it is no PEM file; expected a {wanted} between -----BEGIN … and -----END …"),
    }
}

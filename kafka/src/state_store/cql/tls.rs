//! TLS to the nodes.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::state_store::{StoreConfig, StoreError};

/// Trusts what the settings name, and nothing else.
pub(super) fn context(config: &StoreConfig) -> Result<Option<Arc<ClientConfig>>, StoreError> {
    let Some(path) = &config.tls_ca else { return Ok(None) };
    let failed = |error: &dyn std::fmt::Display| StoreError::Unusable(format!("{}: {error}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| failed(&e))? {
        roots.add(certificate.map_err(|e| failed(&e))?).map_err(|e| failed(&e))?;
    }
    if roots.is_empty() {
        return Err(failed(&"no certificate is in it"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| failed(&e))?;
    Ok(Some(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        let config = StoreConfig::new(["a:1"]);
        assert!(context(&config).unwrap().is_none());
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path().to_owned(), "/nowhere".into()] {
            let config = StoreConfig { tls_ca: Some(path), ..config.clone() };
            assert!(matches!(context(&config), Err(StoreError::Unusable(_))));
        }
    }
}

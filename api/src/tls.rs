//! The certificate of the service, which can be read again while it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::server::ServeError;

/// A certificate and its key, in files.
#[derive(Clone)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    config: Arc<ArcSwap<ServerConfig>>,
}

impl Tls {
    /// Reads the two PEM files.
    ///
    /// # Errors
    ///
    /// [`ServeError::Tls`].
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, ServeError> {
        let config = ArcSwap::from_pointee(read(certificate, key)?);
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            config: Arc::new(config),
        })
    }

    /// Reads them again: connections from now on get what they say.
    pub(crate) fn reload(&self) -> Result<(), ServeError> {
        self.config.store(Arc::new(read(&self.certificate, &self.key)?));
        Ok(())
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }
}

fn read(certificate: &Path, key: &Path) -> Result<ServerConfig, ServeError> {
    let wrong = |path: &Path, what, reason: String| ServeError::Tls {
        path: path.display().to_string(),
        what,
        reason,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|it| it.collect::<Result<Vec<_>, _>>())
        .map_err(|error| wrong(certificate, "certificate", error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(certificate, "certificate", "there is none in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| wrong(key, "private key", error.to_string()))?;
    let versions = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions();
    let config = versions
        .and_then(|it| it.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| wrong(key, "key of that certificate", error.to_string()))?;
    Ok(config)
}

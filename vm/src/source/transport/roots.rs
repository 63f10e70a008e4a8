//! The certificate authorities that are trusted.
//!
//! The system's bundle, as a company's own authority is installed there; the
//! built-in list of Mozilla's only where a system has none (a static binary
//! also runs in an empty container). Read once, and only when the first secure
//! connection is made.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, parse_pem};

use crate::config::KeyPair;

/// Where distributions keep the bundle; the list of Go's crypto/x509
/// (`root_linux.go`), so that docker and rbc trust the same.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A certificate file that cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot use the certificate file {path:?}: {why}")]
pub(crate) struct CertificateError {
    pub(crate) path: PathBuf,
    pub(crate) why: String,
}

/// Returns the system's authorities, or the built-in ones.
pub(crate) fn system() -> RootCerts {
    match system_certificates() {
        [] => RootCerts::WebPki,
        certificates => RootCerts::new_with_certs(certificates),
    }
}

/// Returns the system's authorities and those of the files.
///
/// Where the system has no bundle, only the files' authorities are trusted:
/// the built-in list cannot be extended.
pub(crate) fn with_files(files: &[PathBuf]) -> Result<RootCerts, CertificateError> {
    if files.is_empty() {
        return Ok(system());
    }
    let mut all = system_certificates().to_vec();
    for file in files {
        let found = certificates(file)?;
        if found.is_empty() {
            return Err(error(file, &"it holds no certificate"));
        }
        all.extend(found);
    }
    Ok(RootCerts::from(all))
}

/// Reads a client certificate.
pub(crate) fn client_cert(pair: &KeyPair) -> Result<ClientCert, CertificateError> {
    let chain = certificates(&pair.cert)?;
    if chain.is_empty() {
        return Err(error(&pair.cert, &"it holds no certificate"));
    }
    let pem = read(&pair.key)?;
    let key = PrivateKey::from_pem(&pem).map_err(|e| error(&pair.key, &e))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn system_certificates() -> &'static [Certificate<'static>] {
    static CERTIFICATES: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    CERTIFICATES.get_or_init(|| {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        named
            .into_iter()
            .chain(BUNDLES.iter().map(PathBuf::from))
            .filter_map(|path| certificates(&path).ok())
            .find(|found| !found.is_empty())
            .unwrap_or_default()
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, CertificateError> {
    let pem = read(path)?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(c) = item.map_err(|e| error(path, &e))? {
            found.push(c);
        }
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|e| error(path, &e))
}

fn error(path: &Path, why: &dyn ToString) -> CertificateError {
    CertificateError { path: path.to_owned(), why: why.to_string() }
}

//! TLS for the drivers: one stack (rustls with ring), one idea of whom to trust.

use std::sync::Once;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::domain::policy::{ServerAccess, Tls};

/// Makes ring the one crypto provider of this process. Safe to call often; the drivers' constructors do.
pub fn provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that another part of the process was first: with the same, for there is only one in the build.
        let _already = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Whether an error of a stream is one of TLS: a certificate refused, a handshake that failed.
pub(super) fn is_tls(error: &std::io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<rustls::Error>())
}

/// Whom a connection trusts.
pub(super) enum Trust {
    /// No encryption: a socket, or as configured.
    Plain,
    /// The authorities of the operating system.
    System,
    /// These authorities, as PEM.
    Authority(Vec<u8>),
}

/// Why no trust could be set up. It names a file, which the policy names too.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrustError {
    /// The file can't be read.
    #[error("cannot read the file of authorities {path}: {cause}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// There is no certificate in the file, or one that is none.
    #[error("the file of authorities {0} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate(String),
}

/// Reads what `tls` names. A socket needs no TLS: it never leaves the machine.
pub(super) fn trust(access: &ServerAccess) -> Result<Trust, TrustError> {
    provider();
    match &access.tls {
        _ if access.socket.is_some() => Ok(Trust::Plain),
        Tls::Off => Ok(Trust::Plain),
        Tls::System => Ok(Trust::System),
        Tls::Authority(path) => {
            let pem = std::fs::read(path).map_err(|cause| TrustError::Read { path: path.clone(), cause })?;
            if usable(&pem) { Ok(Trust::Authority(pem)) } else { Err(TrustError::NoCertificate(path.clone())) }
        }
    }
}

fn usable(pem: &[u8]) -> bool {
    let certificates: Result<Vec<CertificateDer<'_>>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates.is_ok_and(|all| {
        !all.is_empty() && all.into_iter().all(|certificate| RootCertStore::empty().add(certificate).is_ok())
    })
}

/// The operating system's authorities, those that rustls can read, as DER.
pub(super) fn system_roots() -> Vec<Vec<u8>> {
    let loaded = rustls_native_certs::load_native_certs();
    let readable = |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
    loaded.certs.into_iter().filter(readable).map(|certificate| certificate.to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(tls: Tls) -> ServerAccess {
        ServerAccess {
            host: "localhost".into(),
            port: 1,
            socket: None,
            database: "shop".into(),
            schema: None,
            user: "bewaard".into(),
            password: None,
            tls,
        }
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        let refused = trust(&access(Tls::Authority(path.clone()))).err().unwrap();
        assert!(refused.to_string().contains(&path) && refused.to_string().contains("no certificate"), "{refused}");
        let missing = trust(&access(Tls::Authority("/nonexistent/ca.pem".into()))).err().unwrap();
        assert!(matches!(missing, TrustError::Read { .. }));
    }

    #[test]
    fn a_socket_needs_no_tls() {
        let mut over = access(Tls::Authority("/nonexistent/ca.pem".into()));
        over.socket = Some("/run/mysqld/mysqld.sock".into());
        assert!(matches!(trust(&over), Ok(Trust::Plain)));
    }
}

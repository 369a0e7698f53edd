//! TLS as `libpq` means it: whom a connection trusts.

use std::path::PathBuf;
use std::sync::Arc;

use fluid_core::BrokerError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Whether a connection uses TLS, and whom it trusts; `sslmode` of a URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SslMode {
    /// `disable`: never.
    Disable,
    /// `prefer`: if the server speaks it, whoever the server is.
    #[default]
    Prefer,
    /// `require`: always. As with `libpq`, the server is whoever answers, unless a CA is named: then it is as
    /// `verify-ca`.
    Require,
    /// `verify-ca`: always, and its certificate is signed by a CA that is trusted.
    VerifyCa,
    /// `verify-full`: and it is for this host.
    VerifyFull,
}

impl SslMode {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "disable" => Self::Disable,
            // `allow` begins without TLS; whoever does not mind may as well begin with it.
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    pub(crate) fn of_client(self) -> tokio_postgres::config::SslMode {
        use tokio_postgres::config::SslMode as Client;
        match self {
            Self::Disable => Client::Disable,
            Self::Prefer => Client::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => Client::Require,
        }
    }
}

/// What TLS needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    pub(crate) mode: SslMode,
    /// The file with the certificates of the CAs that are trusted; those of the system unless set.
    pub(crate) root: Option<PathBuf>,
    /// The client's certificate and key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// What connections are made with.
    pub(crate) fn connector(&self, broker: &str) -> Result<MakeRustlsConnect, BrokerError> {
        let invalid = |reason: String| BrokerError::Invalid {
            broker: broker.to_owned(),
            reason,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mode = match self.mode {
            SslMode::Require if self.root.is_some() => SslMode::VerifyCa,
            mode => mode,
        };
        let verifier: Arc<dyn ServerCertVerifier> = match mode {
            SslMode::VerifyCa | SslMode::VerifyFull => {
                let roots = self.roots().map_err(invalid)?;
                let strict =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                        .build()
                        .map_err(|error| invalid(format!("no CA can be trusted: {error}")))?;
                if mode == SslMode::VerifyFull {
                    strict
                } else {
                    Arc::new(AnyName(strict))
                }
            }
            _ => Arc::new(Anybody(provider.signature_verification_algorithms)),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(format!("TLS can't be set up: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &self.client {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate).map_err(invalid)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| invalid(format!("sslkey {key:?} can't be used: {error}")))?;
                config
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| invalid(format!("sslcert and sslkey don't fit: {error}")))?
            }
        };
        Ok(MakeRustlsConnect::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.root {
            for certificate in certificates(file)? {
                let added = roots.add(certificate);
                added.map_err(|error| format!("sslrootcert {file:?} can't be used: {error}"))?;
            }
            return Ok(roots);
        }
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let reason = "this system has no certificates of CAs: name a file with sslrootcert";
            return Err(reason.to_owned());
        }
        Ok(roots)
    }
}

fn certificates(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = || CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>();
    let found =
        read().map_err(|error| format!("certificate file {file:?} can't be used: {error}"))?;
    if found.is_empty() {
        return Err(format!(
            "certificate file {file:?} has no certificate in it"
        ));
    }
    Ok(found)
}

/// Takes every certificate, as long as the server has its key.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Trusts who signed the certificate, whatever name it is for.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The name is looked at last, when everything else is right.
        match self
            .0
            .verify_server_cert(certificate, chain, name, ocsp, now)
        {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            answer => answer,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

//! Whether a connection is encrypted, and whom it trusts.

use std::path::Path;
use std::path::PathBuf;

use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgSslMode;

/// The `sslmode` of a connection and its files.
#[derive(Clone, Debug, Default)]
pub struct PostgresTls {
    /// How much is asked of the server.
    pub mode: TlsMode,
    /// Certificates that the server's is checked against, besides the machine's; the mode is one that checks.
    pub root_certificate: Option<PathBuf>,
    /// Our own certificate with its key, for a server that asks for one.
    pub client: Option<ClientCertificate>,
}

/// What we show a server that asks who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// File with the certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// File with its key.
    pub key: PathBuf,
}

/// How much is asked of the server, in PostgreSQL's own words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server insists.
    Allow,
    /// Encrypted if the server can.
    #[default]
    Prefer,
    /// Encrypted, with whoever answers; with a root certificate as [`VerifyCa`](Self::VerifyCa).
    Require,
    /// Encrypted, with a certificate that somebody we trust has signed.
    VerifyCa,
    /// As before, and the certificate names the host.
    VerifyFull,
}

/// The files of a [`PostgresTls`], read.
pub(super) struct TlsFiles {
    root: Option<Vec<u8>>,
    client: Option<[Vec<u8>; 2]>,
}

/// Why a file of a [`PostgresTls`] is of no use.
pub(super) struct UnusableFile {
    pub(super) message: String,
    pub(super) help: &'static str,
}

impl PostgresTls {
    /// What is tried first, and what is tried when the server does not want that.
    pub(super) fn modes(&self, is_socket: bool) -> (PgSslMode, Option<PgSslMode>) {
        if is_socket {
            // It never leaves the machine, and servers do not encrypt there.
            return (PgSslMode::Disable, None);
        }
        match self.mode {
            TlsMode::Disable => (PgSslMode::Disable, None),
            TlsMode::Allow => (PgSslMode::Disable, Some(PgSslMode::Require)),
            TlsMode::Prefer => (PgSslMode::Prefer, Some(PgSslMode::Disable)),
            // As in PostgreSQL's own library.
            TlsMode::Require if self.root_certificate.is_some() => (PgSslMode::VerifyCa, None),
            TlsMode::Require => (PgSslMode::Require, None),
            TlsMode::VerifyCa => (PgSslMode::VerifyCa, None),
            TlsMode::VerifyFull => (PgSslMode::VerifyFull, None),
        }
    }

    /// Reads the files, so that one that is missing is not taken for a server that is.
    pub(super) async fn files(&self) -> Result<TlsFiles, UnusableFile> {
        const ROOT: &str = "Check `sslrootcert`: a file with certificates in PEM format, named from the project's folder.";
        const CLIENT: &str =
            "Check `sslcert` and `sslkey`: files in PEM format, named from the project's folder.";
        let root = match &self.root_certificate {
            None => None,
            Some(path) => Some(pem(path, "CERTIFICATE-----", "certificate", ROOT).await?),
        };
        let client = match &self.client {
            None => None,
            Some(ClientCertificate { certificate, key }) => Some([
                pem(certificate, "CERTIFICATE-----", "certificate", CLIENT).await?,
                pem(key, "PRIVATE KEY-----", "key", CLIENT).await?,
            ]),
        };
        Ok(TlsFiles { root, client })
    }
}

async fn pem(
    path: &Path,
    mark: &str,
    what: &str,
    help: &'static str,
) -> Result<Vec<u8>, UnusableFile> {
    let fail = |message| UnusableFile { message, help };
    let bytes = tokio::fs::read(path)
        .await
        .map_err(|error| fail(format!("file `{}` cannot be read: {error}", path.display())))?;
    if !String::from_utf8_lossy(&bytes).contains(mark) {
        return Err(fail(format!("file `{}` holds no {what}", path.display())));
    }
    Ok(bytes)
}

impl TlsFiles {
    pub(super) fn add_to(&self, mut options: PgConnectOptions) -> PgConnectOptions {
        if let Some(root) = &self.root {
            options = options.ssl_root_cert_from_pem(root.clone());
        }
        if let Some([certificate, key]) = &self.client {
            options = options
                .ssl_client_cert_from_pem(certificate)
                .ssl_client_key_from_pem(key);
        }
        options
    }
}

/// Whether the server may let us in when we ask for the other of encryption and none.
pub(super) fn may_want_the_other(error: &sqlx::Error) -> bool {
    super::sql_state(error).as_deref() == Some("28000") || is_about_tls(error)
}

/// Whether encryption itself failed.
pub(super) fn is_about_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        // What the handshake finds out comes as an error of reading.
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// What is wrong with the other side's certificate, or with encryption at all, and what can be done about it.
pub(super) fn explained(error: &sqlx::Error) -> (String, &'static str) {
    let text = match error {
        sqlx::Error::Tls(error) => error.to_string(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    let has = |part: &str| text.contains(part);
    let help = if has("server does not support TLS") {
        "Switch on `ssl` at the server; `sslmode: prefer` or `disable` goes without encryption."
    } else if has("UnknownIssuer") || has("BadSignature") {
        "Name the file with the certificates of whoever signed the server's as `sslrootcert`."
    } else if has("not valid for name") {
        "Write a name that the certificate has as `host`; `sslmode: verify-ca` does not look at names."
    } else if has("CaUsedAsEndEntity") {
        "Give the server a certificate that an authority has signed (`CA:FALSE`): its own, used as an authority, is not accepted."
    } else if has("xpired") {
        "Renew the server's certificate, or set the clock of this machine."
    } else {
        "Check `sslmode` and `sslrootcert`: `verify-full` needs a certificate that names `host`, `disable` needs a server that allows it."
    };
    (text, help)
}

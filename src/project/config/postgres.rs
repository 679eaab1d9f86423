//! A connection of `type: postgres`.

use std::fmt;

use crate::diagnostic::Diagnostic;
use crate::project::config::Connection;
use crate::project::config::reader::Reader;
use crate::project::config::reader::Unsupported;
use crate::project::yaml::Node;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A PostgreSQL database, for the warehouse or for the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresConnection {
    /// Name or address; with a leading `/` the folder of a Unix socket.
    pub host: String,
    /// TCP port; 5432 unless set.
    pub port: u16,
    /// Who connects.
    pub user: String,
    /// `None` leaves it to `~/.pgpass` or to a server that asks for none.
    pub password: Option<Secret>,
    /// Name of the database.
    pub database: String,
    /// Seconds that one attempt to connect may take; 10 unless set.
    pub connect_timeout_seconds: u32,
    /// Seconds of silence until the server asks whether we are still there; `None` means its own default.
    pub keepalives_idle_seconds: Option<u32>,
    /// Seconds that one statement may take; `None` means no limit but the server's.
    pub statement_timeout_seconds: Option<u32>,
    /// Role to take on after connecting.
    pub role: Option<String>,
    /// Whether the connection is encrypted and whom we trust.
    pub ssl_mode: SslMode,
    /// File with the certificates that the server's is checked against, besides the machine's, as written.
    pub ssl_root_cert: Option<String>,
    /// Files with our own certificate and its key, as written, for a server that asks for one.
    pub ssl_client: Option<[String; 2]>,
    /// What the server's lists of connections show; `siding` unless set.
    pub application_name: String,
    /// Most statements at once; `None` means the engine's default.
    pub concurrent_tasks: Option<u32>,
}

/// `sslmode`, in PostgreSQL's own words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "PostgreSQL's names")]
pub enum SslMode {
    Disable,
    Allow,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    /// Whether it checks the server's certificate if there is something to check it against.
    fn may_check(self) -> bool {
        match self {
            Self::Disable | Self::Allow | Self::Prefer => false,
            Self::Require | Self::VerifyCa | Self::VerifyFull => true,
        }
    }
}

const SSL_MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

const KEYS: [&str; 17] = [
    "type",
    "host",
    "user",
    "password",
    "port",
    "database",
    "keepalives_idle",
    "connect_timeout",
    "statement_timeout",
    "role",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "concurrent_tasks",
    "register_comments",
];
const UNSUPPORTED: [(&str, Unsupported); 6] = [
    ("pre_ping", Unsupported::Harmless),
    ("pretty_sql", Unsupported::Harmless),
    ("check_import", Unsupported::Harmless),
    ("shared_connection", Unsupported::Harmless),
    ("schema_differ_overrides", Unsupported::Error),
    ("catalog_type_overrides", Unsupported::Error),
];

/// The connection at `node`; `None` when something that it needs is missing or wrong.
pub(super) fn connection(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Connection> {
    reader.section(node, what, &KEYS, &UNSUPPORTED)?;
    let needed = [
        ("host", "db.example.com"),
        ("user", "siding"),
        ("database", "warehouse"),
    ]
    .map(|(key, example)| {
        let text = reader.text(node, what, key).filter(|text| !text.is_empty());
        if text.is_none() {
            let message = format!("`{what}` has no `{key}`");
            let diagnostic = Diagnostic::error("missing-key", message)
                .help(format!("Write it as in `{key}: {example}`."));
            reader.report(diagnostic, node.place);
        }
        text
    });
    let port = reader.positive(node, what, "port").unwrap_or(5432);
    let Ok(port) = u16::try_from(port) else {
        let message = format!("`{what}.port` must be at most 65535, not {port}");
        let diagnostic = Diagnostic::error("wrong-value", message);
        reader.report(diagnostic, Reader::place(node, "port"));
        return None;
    };
    let mut text = |key| reader.text(node, what, key).filter(|text| !text.is_empty());
    let (password, role) = (text("password"), text("role"));
    let (ssl_root_cert, application_name) = (text("sslrootcert"), text("application_name"));
    let (ssl_cert, ssl_key) = (text("sslcert"), text("sslkey"));
    let ssl_mode = reader.choice(node, what, "sslmode", &SSL_MODES);
    let ssl_mode = ssl_mode.unwrap_or_default();
    if ssl_root_cert.is_some() && !ssl_mode.may_check() {
        let message = format!("`{what}.sslrootcert` has no effect: nothing is checked against it");
        let diagnostic = Diagnostic::error("wrong-value", message)
            .help("Write `sslmode: verify-full` beside it (or `verify-ca`, which does not look at the host's name).");
        reader.report(diagnostic, Reader::place(node, "sslrootcert"));
    }
    let ssl_client = match (ssl_cert, ssl_key) {
        (Some(certificate), Some(key)) => Some([certificate, key]),
        (None, None) => None,
        (certificate, _) => {
            let (has, lacks) = match certificate {
                Some(_) => ("sslcert", "sslkey"),
                None => ("sslkey", "sslcert"),
            };
            let message = format!("`{what}` has `{has}` and no `{lacks}`");
            let diagnostic = Diagnostic::error("missing-key", message)
                .help("A certificate and its key go together: name both files.");
            reader.report(diagnostic, Reader::place(node, has));
            None
        }
    };
    let mut number = |key| reader.positive(node, what, key);
    let connect_timeout = number("connect_timeout");
    let keepalives_idle_seconds = number("keepalives_idle");
    let statement_timeout_seconds = number("statement_timeout");
    let concurrent_tasks = number("concurrent_tasks");
    let [host, user, database] = needed;
    Some(Connection::Postgres(Box::new(PostgresConnection {
        host: host?,
        port,
        user: user?,
        password: password.map(Secret),
        database: database?,
        connect_timeout_seconds: connect_timeout.unwrap_or(10),
        keepalives_idle_seconds,
        statement_timeout_seconds,
        role,
        ssl_mode,
        ssl_root_cert,
        ssl_client,
        application_name: application_name.unwrap_or_else(|| "siding".to_owned()),
        concurrent_tasks,
    })))
}

//! How a PostgreSQL server is reached: the same for the warehouse and for the state.

mod error;
mod tls;

use std::fmt;
use std::time::Duration;

use secrecy::ExposeSecret;
use secrecy::SecretString;
use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::Executor;
use sqlx::PgConnection;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::postgres::PgSslMode;

pub use error::ConnectError;
pub use error::is_lost;
pub use error::is_out_of_room;
pub use error::sql_state;
pub use error::words;
pub use tls::ClientCertificate;
pub use tls::PostgresTls;
pub use tls::TlsMode;

use tls::TlsFiles;
use tls::UnusableFile;

/// As whom the log has what a server remarks beside its answers.
pub const REMARKS: &str = "sqlx::postgres::notice";

/// The oldest release whose statements and catalogs are as we expect them.
const OLDEST_VERSION: i64 = 130_000;

/// A server, a database on it and who we are there.
#[derive(Clone)]
pub struct PostgresServer {
    /// Name, address or, with a leading `/`, the folder of a Unix socket.
    pub host: String,
    /// TCP port, also part of the socket's name.
    pub port: u16,
    /// Who connects.
    pub user: String,
    /// `None` leaves it to the user's `~/.pgpass`, or to a server that asks for none.
    pub password: Option<SecretString>,
    /// The one database; nothing crosses into another.
    pub database: String,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// How long the connection may be silent until the server asks whether we are still there.
    pub keepalives_idle: Option<Duration>,
    /// Role to take on after connecting; it then owns what we make.
    pub role: Option<String>,
    /// Whether the connection is encrypted and whom we trust.
    pub tls: PostgresTls,
    /// What the server's own lists of connections show.
    pub application_name: String,
}

impl PostgresServer {
    /// `user` on the default port, with ten seconds to connect.
    pub fn new(host: &str, user: &str, database: &str) -> Self {
        Self {
            host: host.to_owned(),
            port: 5432,
            user: user.to_owned(),
            password: None,
            database: database.to_owned(),
            connect_timeout: Duration::from_secs(10),
            keepalives_idle: None,
            role: None,
            tls: PostgresTls::default(),
            application_name: "siding".to_owned(),
        }
    }

    /// One connection with these settings on top.
    pub async fn connect(
        &self,
        settings: &[(&'static str, String)],
    ) -> Result<(PgConnection, ServerVersion), ConnectError> {
        let (connection, version, _) = self.enter(settings).await?;
        Ok((connection, version))
    }

    /// As [`connect`](Self::connect), with the options that the server agreed to.
    async fn enter(
        &self,
        settings: &[(&'static str, String)],
    ) -> Result<(PgConnection, ServerVersion, PgConnectOptions), ConnectError> {
        let unusable = |file: UnusableFile| ConnectError::unusable_file(self, file);
        let files = self.tls.files().await.map_err(unusable)?;
        let (first, second) = self.tls.modes(self.host.starts_with('/'));
        let connecting = async {
            let options = self.options(settings, first, &files);
            let refused = match self.attempt(&options).await {
                Ok((connection, version)) => return Ok((connection, version, options)),
                Err(error) => error,
            };
            let Some(second) = second.filter(|_| tls::may_want_the_other(&refused)) else {
                return Err(refused);
            };
            let options = self.options(settings, second, &files);
            match self.attempt(&options).await {
                Ok((connection, version)) => Ok((connection, version, options)),
                Err(again) if tls::may_want_the_other(&again) => Err(refused),
                Err(other) => Err(other),
            }
        };
        let (connection, version, options) = tokio::time::timeout(self.connect_timeout, connecting)
            .await
            .map_err(|_| ConnectError::timed_out(self))?
            .map_err(|error| ConnectError::new(self, &error))?;
        let version = ServerVersion(version.parse().unwrap_or(0));
        if version.0 < OLDEST_VERSION {
            return Err(ConnectError::too_old(self, version));
        }
        Ok((connection, version, options))
    }

    /// A connection with the role taken on, and the server's version.
    async fn attempt(&self, options: &PgConnectOptions) -> sqlx::Result<(PgConnection, String)> {
        let mut connection = PgConnection::connect_with(options).await?;
        if let Some(statement) = self.take_role() {
            connection.execute(sqlx::AssertSqlSafe(statement)).await?;
        }
        let version = sqlx::query_scalar("SHOW server_version_num")
            .fetch_one(&mut connection)
            .await?;
        Ok((connection, version))
    }

    /// A pool of at most `size` connections, after one attempt that says what is wrong.
    pub async fn pool(
        &self,
        size: u32,
        settings: &[(&'static str, String)],
    ) -> Result<(PgPool, ServerVersion), ConnectError> {
        // A pool would try again and again, and in the end only say that it took too long.
        let (connection, version, options) = self.enter(settings).await?;
        connection.close().await.ok();
        let role = self.take_role();
        let pool = PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(self.connect_timeout.max(Duration::from_secs(10)))
            .after_connect(move |connection, _| {
                let role = role.clone();
                Box::pin(async move {
                    if let Some(statement) = role {
                        connection.execute(sqlx::AssertSqlSafe(statement)).await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Ok((pool, version))
    }

    fn options(
        &self,
        settings: &[(&'static str, String)],
        mode: PgSslMode,
        files: &TlsFiles,
    ) -> PgConnectOptions {
        let mut options = PgConnectOptions::new()
            .port(self.port)
            .username(&self.user)
            .database(&self.database)
            .ssl_mode(mode)
            .application_name(&self.application_name)
            // It would warn of slow statements, and a warehouse's are slow.
            .disable_statement_logging()
            // Otherwise the same query means something else for a user or a server in another zone.
            .options([("TimeZone", "UTC")])
            .options(settings.iter().map(|(name, value)| (*name, value.as_str())));
        options = if self.host.starts_with('/') {
            options.socket(&self.host)
        } else {
            options.host(&self.host)
        };
        if let Some(password) = &self.password {
            options = options.password(password.expose_secret());
        }
        if let Some(idle) = self.keepalives_idle {
            options = options.options([("tcp_keepalives_idle", idle.as_secs().to_string())]);
        }
        files.add_to(options)
    }

    fn take_role(&self) -> Option<String> {
        let role = self.role.as_ref()?;
        Some(format!("SET ROLE \"{}\"", role.replace('"', "\"\"")))
    }
}

impl PartialEq for PostgresServer {
    fn eq(&self, other: &Self) -> bool {
        let secret = |server: &Self| {
            let password = server.password.as_ref();
            password.map(|password| password.expose_secret().to_owned())
        };
        self.to_string() == other.to_string()
            && self.role == other.role
            && secret(self) == secret(other)
    }
}

impl Eq for PostgresServer {}

/// `user@host:port/database`: for people, without the password.
impl fmt::Display for PostgresServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            port,
            user,
            database,
            ..
        } = self;
        write!(f, "{user}@{host}:{port}/{database}")
    }
}

impl fmt::Debug for PostgresServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresServer({self})")
    }
}

/// The server's release as it counts itself: `150004` is 15.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerVersion(i64);

impl ServerVersion {
    /// Whether it knows `MERGE`.
    pub fn has_merge(self) -> bool {
        self.0 >= 150_000
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10_000, self.0 % 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let server = PostgresServer {
            password: Some("hunter2".into()),
            ..PostgresServer::new("db.example.com", "ada", "dwh")
        };
        let shown = format!("{server} {server:?}");
        assert_eq!(
            shown,
            "ada@db.example.com:5432/dwh PostgresServer(ada@db.example.com:5432/dwh)"
        );
    }

    #[test]
    fn the_release_decides_about_merge() {
        assert!(!ServerVersion(140_012).has_merge());
        assert!(ServerVersion(150_000).has_merge());
        assert_eq!(ServerVersion(150_004).to_string(), "15.4");
    }
}

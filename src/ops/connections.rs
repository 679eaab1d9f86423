//! From a configuration to the databases that it names.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::engine::ConnectionConfig;
use crate::engine::DuckDbCatalog;
use crate::engine::DuckDbConfig;
use crate::engine::DuckDbDatabase;
use crate::engine::PostgresConfig;
use crate::engine::Sandbox;
use crate::ops::SessionOptions;
use crate::postgres::ClientCertificate;
use crate::postgres::PostgresServer;
use crate::postgres::PostgresTls;
use crate::postgres::TlsMode;
use crate::project::Config;
use crate::project::Connection;
use crate::project::PostgresConnection;
use crate::project::SslMode;
use crate::state::StateError;
use crate::state::StateStore;

/// The schema of the state's tables unless the configuration names another.
const STATE_SCHEMA: &str = "siding";

/// How many transactions a warehouse gets at once unless the configuration says. A daily batch seldom has work for more
/// than one of DuckDB's threads either.
const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(4).expect("4 is above 0");

/// How to reach the warehouse of the selected gateway, with `catalogs` besides those of its configuration.
pub(super) fn warehouse(
    config: &Config,
    options: &SessionOptions,
    catalogs: Vec<DuckDbCatalog>,
) -> anyhow::Result<ConnectionConfig> {
    let gateway = config
        .gateway()
        .context("the configuration has no gateway")?;
    let concurrency = |tasks: Option<u32>| {
        let tasks = tasks.and_then(|tasks| usize::try_from(tasks).ok());
        tasks.and_then(NonZeroUsize::new).unwrap_or(CONCURRENCY)
    };
    match &gateway.connection {
        Connection::DuckDb {
            database,
            catalogs: attached,
            concurrent_tasks,
            register_comments,
        } => {
            // DuckDB takes relative paths from the process's folder; ours start from the project.
            let root =
                std::path::absolute(&options.project).context("resolving the project's folder")?;
            let sandbox = options.sandboxed.then(|| Sandbox {
                allowed_directories: vec![root.clone()],
            });
            let in_file = |database: &Option<String>| match database {
                Some(database) => DuckDbDatabase::File(options.data.join(database)),
                None => DuckDbDatabase::Memory,
            };
            let declared = attached.iter().map(|catalog| DuckDbCatalog {
                name: catalog.name.clone(),
                database: in_file(&catalog.database),
                read_only: catalog.read_only,
            });
            Ok(ConnectionConfig::DuckDb(DuckDbConfig {
                concurrency: concurrency(*concurrent_tasks),
                file_root: Some(root),
                register_comments: *register_comments,
                sandbox,
                catalogs: declared.chain(catalogs).collect(),
                default_catalog: attached.first().map(|first| first.name.clone()),
                ..DuckDbConfig::new(in_file(database))
            }))
        }
        Connection::Postgres(connection) => {
            let timeout = connection.statement_timeout_seconds;
            Ok(ConnectionConfig::Postgres(Box::new(PostgresConfig {
                server: server(connection, &options.data),
                concurrency: concurrency(connection.concurrent_tasks),
                statement_timeout: timeout.map(|seconds| Duration::from_secs(seconds.into())),
                sandboxed: options.sandboxed,
            })))
        }
        Connection::Sqlite { .. } => anyhow::bail!(
            "a `sqlite` connection holds the state only; the warehouse must be `duckdb` or `postgres`"
        ),
    }
}

/// Opens the state: as configured, else in a PostgreSQL warehouse itself, else in a file beside the project.
pub(super) async fn state(config: &Config, data: &Path) -> Result<StateStore, StateError> {
    let gateway = config.gateway();
    let schema = gateway.and_then(|gateway| gateway.state_schema.as_deref());
    let configured = gateway.map(|gateway| (gateway.state.as_ref(), &gateway.connection));
    let path = match configured {
        Some((Some(Connection::Postgres(connection)), _))
        // Who shares the warehouse has to share the record of what is in it.
        | Some((None, Connection::Postgres(connection))) => {
            let server = server(connection, data);
            return StateStore::open_postgres(&server, schema.unwrap_or(STATE_SCHEMA)).await;
        }
        Some((Some(Connection::Sqlite { database }), _)) => data.join(database),
        // A DuckDB file of that name may hold another tool's state.
        Some((
            Some(Connection::DuckDb {
                database: Some(database),
                ..
            }),
            _,
        )) => data.join(format!("{database}.siding.db")),
        Some((Some(Connection::DuckDb { database: None, .. }) | None, _)) | None => {
            data.join("siding_state.db")
        }
    };
    StateStore::open(&path).await
}

fn server(connection: &PostgresConnection, data: &Path) -> PostgresServer {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    PostgresServer {
        host: connection.host.clone(),
        port: connection.port,
        user: connection.user.clone(),
        password: connection
            .password
            .as_ref()
            .map(|password| password.expose().into()),
        database: connection.database.clone(),
        connect_timeout: seconds(connection.connect_timeout_seconds),
        keepalives_idle: connection.keepalives_idle_seconds.map(seconds),
        role: connection.role.clone(),
        tls: PostgresTls {
            mode: match connection.ssl_mode {
                SslMode::Disable => TlsMode::Disable,
                SslMode::Allow => TlsMode::Allow,
                SslMode::Prefer => TlsMode::Prefer,
                SslMode::Require => TlsMode::Require,
                SslMode::VerifyCa => TlsMode::VerifyCa,
                SslMode::VerifyFull => TlsMode::VerifyFull,
            },
            root_certificate: connection
                .ssl_root_cert
                .as_ref()
                .map(|file| data.join(file)),
            client: connection
                .ssl_client
                .as_ref()
                .map(|[certificate, key]| ClientCertificate {
                    certificate: data.join(certificate),
                    key: data.join(key),
                }),
        },
        application_name: connection.application_name.clone(),
    }
}

/// The warehouse, for people.
pub(super) fn describe(config: &Config, data: &Path) -> String {
    match config.gateway().map(|gateway| &gateway.connection) {
        Some(Connection::DuckDb { catalogs, .. }) if !catalogs.is_empty() => {
            let names = catalogs.iter().map(|catalog| match &catalog.database {
                Some(database) => data.join(database).display().to_string(),
                None => "in memory".to_owned(),
            });
            format!("DuckDB {}", names.collect::<Vec<_>>().join(", "))
        }
        Some(Connection::DuckDb {
            database: Some(database),
            ..
        }) => format!("DuckDB {}", data.join(database).display()),
        Some(Connection::DuckDb { database: None, .. }) | None => "DuckDB in memory".to_owned(),
        Some(Connection::Sqlite { database }) => format!("SQLite {database}"),
        Some(Connection::Postgres(connection)) => {
            format!("PostgreSQL {}", server(connection, data))
        }
    }
}

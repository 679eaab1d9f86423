//! A project with its warehouse and its state, on one of the two engines.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::Instant;

use sqlx::Connection;
use sqlx::Executor;
use sqlx::Row;
use sqlx::ValueRef;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::cluster;
use crate::cluster::Database;
use crate::process::Ended;
use crate::process::Running;
use crate::server::Turn;

/// Where the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// A file, with the state in an SQLite file beside it.
    DuckDb,
    /// A database, with the state in a schema of it.
    Postgres,
}

/// A folder with a project, and its warehouse. Gone when dropped.
pub(crate) struct World {
    folder: Arc<TempDir>,
    database: Option<Database>,
    turn: Option<Arc<Turn>>,
}

/// Rows of a query as text, `NULL` for null.
pub(crate) type Rows = Vec<Vec<String>>;

/// Runs `future` to its end.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| Runtime::new().unwrap())
        .block_on(future)
}

impl World {
    pub(crate) fn new(engine: Engine) -> Self {
        match engine {
            Engine::DuckDb => Self::on(None),
            Engine::Postgres => Self::on(Some(Turn::shared())),
        }
    }

    /// On PostgreSQL, with nobody else on the server.
    pub(crate) fn alone() -> Self {
        Self::on(Some(Turn::alone()))
    }

    fn on(turn: Option<Turn>) -> Self {
        let world = Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            database: turn.as_ref().map(|_| wait(Database::new())),
            turn: turn.map(Arc::new),
        };
        world.write("config.yaml", &world.config(""));
        world
    }

    /// Another clone of the project, with the same warehouse and state; on DuckDB the very same folder.
    pub(crate) fn beside(&self) -> Self {
        let Some(Database { host, name }) = &self.database else {
            return Self {
                folder: Arc::clone(&self.folder),
                database: None,
                turn: None,
            };
        };
        let world = Self {
            folder: Arc::new(tempfile::tempdir().unwrap()),
            database: Some(Database {
                host: host.clone(),
                name: name.clone(),
            }),
            turn: self.turn.clone(),
        };
        world.write("config.yaml", &world.config(""));
        world
    }

    /// `config.yaml`, with `more` lines about the connection.
    pub(crate) fn config(&self, more: &str) -> String {
        let (connection, state, dialect) = match &self.database {
            None => (
                "type: duckdb\n      database: wh.duckdb\n".to_owned(),
                "    state_connection:\n      type: sqlite\n      database: state.db\n",
                "duckdb",
            ),
            Some(Database { host, name }) => {
                let user = cluster::USER;
                let text = format!(
                    "type: postgres\n      host: {host}\n      user: {user}\n      database: {name}\n"
                );
                (text, "", "postgres")
            }
        };
        format!(
            "gateways:\n  local:\n    connection:\n      {connection}{more}{state}default_gateway: local
model_defaults:\n  dialect: {dialect}\n  start: 2024-01-01\n"
        )
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn database(&self) -> Option<&Database> {
        self.database.as_ref()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let target = self.path().join(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, text).unwrap();
    }

    /// The command, with nothing inherited that changes what it does.
    pub(crate) fn command(&self, arguments: &[impl AsRef<str>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siding"));
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .current_dir(self.path())
            .stdin(Stdio::null())
            .env_remove("RUST_LOG")
            .env_remove("SIDING_GATEWAY")
            .env("USER", "tester")
            .env("XDG_CACHE_HOME", self.path().join(".cache"));
        command
    }

    pub(crate) fn start(&self, arguments: &[impl AsRef<str>]) -> Running {
        Running::start(self.command(arguments))
    }

    pub(crate) fn run(&self, arguments: &[impl AsRef<str>]) -> Ended {
        self.start(arguments).wait()
    }

    /// Changes the warehouse by hand.
    pub(crate) fn execute(&self, sql: &str) {
        match &self.database {
            Some(database) => wait(database.execute(sql)),
            None => duckdb::Connection::open(self.path().join("wh.duckdb"))
                .unwrap()
                .execute_batch(sql)
                .unwrap(),
        }
    }

    /// Looks at warehouse and state as they are. Opening the files themselves would tidy up what a kill has left, so
    /// copies are opened.
    pub(crate) fn look(&self) -> Look {
        if let Some(database) = &self.database {
            let [warehouse, mut state] = [wait(database.connect()), wait(database.connect())];
            wait(state.execute("SET search_path = siding")).unwrap();
            return Look::Postgres { warehouse, state };
        }
        let folder = tempfile::tempdir().unwrap();
        for name in ["wh.duckdb", "wh.duckdb.wal", "state.db", "state.db-wal"] {
            let from = self.path().join(name);
            if from.exists() {
                fs::copy(from, folder.path().join(name)).unwrap();
            }
        }
        Look::Files(Box::new(Files {
            warehouse: duckdb::Connection::open(folder.path().join("wh.duckdb")).unwrap(),
            state: wait(sqlite(folder.path().join("state.db"))),
            _folder: folder,
        }))
    }

    /// Returns once the server has noticed that nobody waits for it any more.
    pub(crate) fn settle(&self) {
        let Some(database) = &self.database else {
            return;
        };
        let mut connection = wait(database.connect());
        let others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let since = Instant::now();
        while !wait(in_postgres(&mut connection, others))
            .unwrap()
            .is_empty()
        {
            assert!(
                since.elapsed() < Duration::from_secs(30),
                "the server goes on by itself"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The state, to be changed by hand.
    pub(crate) fn state(&self) -> State {
        match &self.database {
            Some(database) => {
                let mut connection = wait(database.connect());
                wait(connection.execute("SET search_path = siding")).unwrap();
                State::Postgres(connection)
            }
            None => State::Sqlite(wait(sqlite(self.path().join("state.db")))),
        }
    }
}

async fn sqlite(path: PathBuf) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap()
}

/// A connection to the state.
pub(crate) enum State {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

/// What warehouse and state held at one moment.
pub(crate) enum Look {
    Files(Box<Files>),
    Postgres {
        warehouse: sqlx::PgConnection,
        state: sqlx::PgConnection,
    },
}

pub(crate) struct Files {
    warehouse: duckdb::Connection,
    state: sqlx::SqliteConnection,
    _folder: TempDir,
}

impl Look {
    /// Rows of the warehouse.
    pub(crate) fn rows(&mut self, sql: &str) -> Rows {
        match self {
            Self::Files(files) => in_duckdb(&files.warehouse, sql),
            Self::Postgres { warehouse, .. } => {
                wait(in_postgres(warehouse, sql)).unwrap_or_else(|error| panic!("{error}: {sql}"))
            }
        }
    }

    /// Rows of the state; none while its tables are not there.
    pub(crate) fn state(&mut self, sql: &str) -> Rows {
        match self {
            Self::Files(files) => wait(in_sqlite(&mut files.state, sql)).unwrap_or_default(),
            Self::Postgres { state, .. } => wait(in_postgres(state, sql)).unwrap_or_default(),
        }
    }

    pub(crate) fn is_duckdb(&self) -> bool {
        matches!(self, Self::Files(_))
    }
}

impl State {
    pub(crate) fn rows(&mut self, sql: &str) -> Rows {
        match self {
            Self::Sqlite(state) => wait(in_sqlite(state, sql)).unwrap(),
            Self::Postgres(state) => wait(in_postgres(state, sql)).unwrap(),
        }
    }

    pub(crate) fn execute(&mut self, sql: &str) {
        let text = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
        let done = match self {
            Self::Sqlite(state) => wait(state.execute(text)).map(drop),
            Self::Postgres(state) => wait(state.execute(text)).map(drop),
        };
        done.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }
}

fn in_duckdb(connection: &duckdb::Connection, sql: &str) -> Rows {
    let wrapped = format!("SELECT COLUMNS(*)::VARCHAR FROM ({sql})");
    let mut statement = connection
        .prepare(&wrapped)
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
    let mut rows = statement.query([]).unwrap();
    let mut result = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let columns = row.as_ref().column_count();
        let value = |index| row.get::<_, Option<String>>(index).unwrap();
        result.push((0..columns).map(|index| or_null(value(index))).collect());
    }
    result
}

async fn in_sqlite(connection: &mut sqlx::SqliteConnection, sql: &str) -> sqlx::Result<Rows> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .fetch_all(connection)
        .await?;
    let value = |row: &sqlx::sqlite::SqliteRow, index| or_null(row.get_unchecked(index));
    let rows = rows.iter();
    Ok(rows
        .map(|row| (0..row.len()).map(|index| value(row, index)).collect())
        .collect())
}

async fn in_postgres(connection: &mut sqlx::PgConnection, sql: &str) -> sqlx::Result<Rows> {
    let text = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
    let rows = connection.fetch_all(text).await?;
    let value = |row: &sqlx::postgres::PgRow, index| {
        let value = row.try_get_raw(index).unwrap();
        or_null((!value.is_null()).then(|| value.as_str().unwrap().to_owned()))
    };
    let rows = rows.iter();
    Ok(rows
        .map(|row| (0..row.len()).map(|index| value(row, index)).collect())
        .collect())
}

fn or_null(value: Option<String>) -> String {
    value.unwrap_or_else(|| "NULL".to_owned())
}

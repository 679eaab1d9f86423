//! The record of what exists: snapshots, filled intervals, environments, promotions, objects.
//!
//! One SQLite file, or one schema of a PostgreSQL database. Each method is one transaction; what it wrote is on the
//! disk when it returns.
//!
//! # Migrations
//!
//! A change of the tables is one file in `migrations/`, the next number and a word, for both databases. It is written
//! in the SQL that they share: `TEXT`, `BIGINT`, `BOOLEAN`, `CREATE TABLE`, `CREATE INDEX`, `ALTER TABLE … ADD COLUMN`,
//! `$1` for values, `replace`, `coalesce`, `ON CONFLICT`. A number that the database gives out is
//! `INTEGER PRIMARY KEY AUTOINCREMENT`; PostgreSQL gets its own words for that, see [`migrations`]. Truth values are
//! written `TRUE` and `FALSE`. It ends with `UPDATE siding_state SET version = …`, its own number. The tests run on both.

mod auto_restatements;
mod batches;
mod condemned;
mod database;
mod destroying;
mod environments;
mod error;
mod intervals;
mod keys;
mod leases;
mod ledger;
mod leftovers;
mod migrations;
mod objects;
mod open_plans;
mod own_tables;
mod placed;
mod process;
mod promotions;
mod restatements;
mod snapshots;
mod stamp;

#[cfg(test)]
mod samples;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::sqlite::SqlitePoolOptions;

use crate::postgres::PostgresServer;
use crate::state::database::Pool;
use crate::state::database::Transaction;

pub use batches::BatchRecord;
pub use batches::Pace;
pub use environments::PromoteError;
pub use error::StateError;
pub use intervals::FilledInterval;
pub use leases::Claim;
pub use leases::HeldBy;
pub use leases::Holder;
pub use leases::Lease;
pub use leases::Subject;
pub use ledger::LedgerEntry;
pub use ledger::LedgerKind;
pub use ledger::LedgerRecord;
pub use objects::PhysicalObject;
pub use objects::PhysicalObjectKind;
pub use open_plans::OpenPlan;
pub use own_tables::InProduction;
pub use placed::MARKS;
pub use placed::former_view;
pub use promotions::PromotionRecord;
pub use restatements::Descent;
pub use restatements::Marks;
pub use restatements::RestatementRecord;
pub use snapshots::Definition;

/// How long a statement waits for another process to finish writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many connections a process has to the state at most.
const CONNECTIONS: u32 = 4;

/// An open state database. Cloning is cheap and gives the same database.
#[derive(Clone, Debug)]
pub struct StateStore {
    pool: Pool,
    /// The file or the server and schema, for people.
    place: String,
}

impl StateStore {
    /// Opens the file, makes it and its folder if they are missing, and brings its tables up to date.
    ///
    /// The file may hold tables of others; ours begin with `siding_`.
    ///
    /// # Errors
    /// [`StateError::NewerVersion`] if a later release has written it, [`StateError::Open`] if it is
    /// no database or cannot be read or written.
    pub async fn open(path: &Path) -> Result<Self, StateError> {
        let place = path.display().to_string();
        let fail = |message: String| StateError::Open {
            place: place.clone(),
            message,
            help: None,
        };
        if path.is_dir() {
            return Err(fail("it is a folder".to_owned()));
        }
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder)
                .await
                .map_err(|error| fail(format!("folder `{}`: {error}", folder.display())))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            // A file does not go away as a server does, and asking costs as much as a statement.
            .test_before_acquire(false)
            .connect_with(options)
            .await
            .map_err(|error| fail(error::reason(&error)))?;
        let pool = Pool::Sqlite(pool);
        Self { pool, place }.migrated().await
    }

    /// Connects to the server, makes the schema if it is missing, and brings its tables up to date.
    ///
    /// The schema may hold tables of others; ours begin with `siding_`. Several processes may use it at once:
    /// whoever writes waits for the others.
    ///
    /// # Errors
    /// [`StateError::NewerVersion`] if a later release has written it, [`StateError::Open`] if the server does not let
    /// us in or the schema cannot be made.
    pub async fn open_postgres(server: &PostgresServer, schema: &str) -> Result<Self, StateError> {
        let place = format!("{server}, schema {schema}");
        let search_path = format!("\"{}\"", schema.replace('"', "\"\""));
        let busy = BUSY_TIMEOUT.as_millis().to_string();
        let settings = [
            ("search_path", search_path),
            ("lock_timeout", busy),
            // A process whose machine is gone keeps nobody waiting for longer than this.
            ("idle_in_transaction_session_timeout", "60000".to_owned()),
            // What is recorded is on the disk, whatever the server's default says.
            ("synchronous_commit", "on".to_owned()),
        ];
        let (pool, _) =
            server
                .pool(CONNECTIONS, &settings)
                .await
                .map_err(|error| StateError::Open {
                    place: place.clone(),
                    message: error.message,
                    help: Some(error.help),
                })?;
        let pool = Pool::Postgres(pool);
        Self { pool, place }.migrated().await
    }

    /// Closes every connection; what is written stays.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Where the record is, for people: a path, or a server with a schema.
    pub fn place(&self) -> &str {
        &self.place
    }

    async fn migrated(self) -> Result<Self, StateError> {
        match migrations::run(&self.pool, &self.place).await {
            Ok(()) => Ok(self),
            Err(StateError::Database(error)) => Err(StateError::Open {
                place: self.place,
                message: error::reason(&error),
                help: None,
            }),
            Err(other) => Err(other),
        }
    }

    /// A transaction whose reads all see the same moment.
    async fn read(&self) -> Result<Transaction, StateError> {
        self.pool.read().await
    }

    /// Where statements run that are a transaction of their own.
    fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A transaction that has the right to write from its start, so it never fails half way for it.
    async fn write(&self) -> Result<Transaction, StateError> {
        let mut transaction = self.pool.write().await?;
        stamp::renew(&mut transaction).await?;
        Ok(transaction)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::SqlitePool;

    use super::*;
    use crate::cluster::Database;
    use crate::snapshot::Snapshot;
    use crate::snapshot::Surface;
    use crate::state::migrations::known_version;

    #[tokio::test]
    async fn a_missing_file_is_made_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join("b").join("state.db");
        StateStore::open(&path).await.unwrap();
        StateStore::open(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_of_a_later_release_is_refused_and_left_alone() {
        let refused = |error: StateError| {
            assert!(matches!(
                error,
                StateError::NewerVersion { found: 99, known, .. } if known == known_version()
            ));
            assert!(error.help().is_some());
        };
        let newer = "UPDATE siding_state SET version = 99";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        StateStore::open(&path).await.unwrap().tamper(newer).await;
        refused(StateStore::open(&path).await.unwrap_err());

        let database = Database::new().await;
        let server = samples::server(&database);
        let open = async || StateStore::open_postgres(&server, "siding").await;
        open().await.unwrap().tamper(newer).await;
        refused(open().await.unwrap_err());
    }

    #[tokio::test]
    async fn the_version_is_the_number_of_the_last_migration() {
        samples::on_both(async |store| {
            let mut transaction = store.read().await.unwrap();
            let stored = migrations::stored_version(&mut transaction).await.unwrap();
            assert_eq!(stored, Some(known_version()));
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_no_database_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("notes.txt");
        std::fs::write(&text, "no database ".repeat(100)).unwrap();
        let below_a_file = text.join("state.db");
        for (path, reason) in [
            (text.as_path(), "not a SQLite database"),
            (folder.path(), "it is a folder"),
            (below_a_file.as_path(), "notes.txt"),
        ] {
            let error = StateStore::open(path).await.unwrap_err();
            assert!(matches!(error, StateError::Open { .. }));
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(
            std::fs::read_to_string(&text)
                .unwrap()
                .starts_with("no database")
        );
    }

    #[tokio::test]
    async fn the_file_may_hold_the_tables_of_another_migrator() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true);
        let other = SqlitePool::connect_with(options).await.unwrap();
        let foreign =
            sqlx::migrate::Migrator::with_migrations(vec![sqlx::migrate::Migration::new(
                1,
                "other".into(),
                sqlx::migrate::MigrationType::Simple,
                sqlx::SqlSafeStr::into_sql_str("CREATE TABLE jobs (id BIGINT)"),
                false,
            )]);
        foreign.run(&other).await.unwrap();
        StateStore::open(&path).await.unwrap();
        foreign.run(&other).await.unwrap();
    }

    #[tokio::test]
    async fn two_processes_may_make_the_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let opened = futures::future::join_all((0..8).map(|_| StateStore::open(&path))).await;
        for store in opened {
            store.unwrap();
        }

        let database = Database::new().await;
        let server = samples::server(&database);
        let open = || StateStore::open_postgres(&server, "Its \"own\" schema");
        let opened = futures::future::join_all((0..8).map(|_| open())).await;
        for store in opened {
            store.unwrap();
        }
    }

    /// Rows as the first migration knew them; later migrations must keep them readable.
    #[tokio::test]
    async fn rows_written_after_the_first_migration_read_back() {
        samples::on_both(async |store| {
            store.tamper(include_str!("samples/after_0001.sql")).await;

            let environment = store
                .environment(&"dev".parse().unwrap())
                .await
                .unwrap()
                .unwrap();
            let ids: Vec<_> = environment.snapshots.iter().map(|s| s.id.clone()).collect();
            let snapshots = store.snapshots(&ids).await.unwrap();
            let expected = Snapshot {
                surface: std::sync::Arc::new(Surface::unknown("db.orders", "i1")),
                choice: None,
                ..samples::snapshot("db.orders", "i1", "v1")
            };
            assert_eq!(snapshots, [expected]);
            assert_eq!(environment.plan_id, "plan-1");
            assert_eq!(environment.expires_at, Some(samples::at(1_000)));
            let key = (snapshots[0].id.name.clone(), snapshots[0].version.clone());
            let filled = store.intervals(std::slice::from_ref(&key)).await.unwrap();
            assert_eq!(filled[&key], [(0, 50), (70, 100)]);
            let history = store.history(&environment.name).await.unwrap();
            assert_eq!(history[0].snapshots, environment.snapshots);
            assert_eq!(store.objects_for(&[key]).await.unwrap().len(), 1);
        })
        .await;
    }
}

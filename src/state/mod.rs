//! The record of what exists: snapshots, filled intervals, environments, promotions, objects.
//!
//! One SQLite file. Each method is one transaction; what it wrote is on the disk when it returns.

mod environments;
mod error;
mod intervals;
mod keys;
mod objects;
mod promotions;
mod snapshots;

#[cfg(test)]
mod samples;

use std::path::Path;
use std::time::Duration;

use sqlx::Sqlite;
use sqlx::SqlitePool;
use sqlx::Transaction;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::sqlite::SqlitePoolOptions;

pub use environments::PromoteError;
pub use error::StateError;
pub use intervals::FilledInterval;
pub use objects::PhysicalObject;
pub use objects::PhysicalObjectKind;
pub use promotions::PromotionRecord;

/// The version of the tables that this program knows: the number of the last migration.
const KNOWN_VERSION: i64 = 2;

/// How long a statement waits for another process to finish writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// An open state database. Cloning is cheap and gives the same database.
#[derive(Clone, Debug)]
pub struct StateStore {
    pool: SqlitePool,
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
        let fail = |message: String| StateError::Open {
            path: path.display().to_string(),
            message,
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
            .max_connections(4)
            .connect_with(options)
            .await
            .map_err(|error| fail(error::reason(&error)))?;
        let store = Self { pool };
        match store.migrate(path).await {
            Ok(()) => Ok(store),
            Err(StateError::Database(error)) => Err(fail(error::reason(&error))),
            Err(other) => Err(other),
        }
    }

    /// Closes every connection; what is written stays.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn migrate(&self, path: &Path) -> Result<(), StateError> {
        if stored_version(&mut self.read().await?).await? == Some(KNOWN_VERSION) {
            return Ok(());
        }
        // Asked again under the lock: another process may be migrating as well.
        let mut transaction = self.write().await?;
        if let Some(found) = stored_version(&mut transaction).await?
            && found > KNOWN_VERSION
        {
            return Err(StateError::NewerVersion {
                path: path.display().to_string(),
                found,
                known: KNOWN_VERSION,
            });
        }
        let mut migrator = sqlx::migrate!("src/state/migrations");
        // The usual name is for whoever else lives in this file.
        migrator.dangerous_set_table_name("siding_migrations");
        migrator
            .run(&mut *transaction)
            .await
            .map_err(|error| StateError::Open {
                path: path.display().to_string(),
                message: error.to_string(),
            })?;
        transaction.commit().await?;
        Ok(())
    }

    /// A transaction whose reads all see the same moment.
    async fn read(&self) -> Result<Transaction<'static, Sqlite>, StateError> {
        Ok(self.pool.begin().await?)
    }

    /// A transaction that has the right to write from its start, so it never fails half way for it.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>, StateError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}

async fn stored_version(
    transaction: &mut Transaction<'static, Sqlite>,
) -> Result<Option<i64>, StateError> {
    let there: bool = sqlx::query_scalar(
        "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = 'siding_state'",
    )
    .fetch_one(&mut **transaction)
    .await?;
    if !there {
        return Ok(None);
    }
    Ok(sqlx::query_scalar("SELECT max(version) FROM siding_state")
        .fetch_one(&mut **transaction)
        .await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;
    use crate::snapshot::Surface;

    #[tokio::test]
    async fn a_missing_file_is_made_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join("b").join("state.db");
        StateStore::open(&path).await.unwrap();
        StateStore::open(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_of_a_later_release_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let store = StateStore::open(&path).await.unwrap();
        sqlx::query("UPDATE siding_state SET version = 99")
            .execute(&store.pool)
            .await
            .unwrap();
        let error = StateStore::open(&path).await.unwrap_err();
        assert!(matches!(
            error,
            StateError::NewerVersion {
                found: 99,
                known: KNOWN_VERSION,
                ..
            }
        ));
        assert!(error.help().is_some());
    }

    #[tokio::test]
    async fn the_version_is_the_number_of_the_last_migration() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::open(&folder.path().join("s.db")).await.unwrap();
        let last = sqlx::migrate!("src/state/migrations")
            .iter()
            .map(|m| m.version)
            .max();
        let stored = stored_version(&mut store.read().await.unwrap())
            .await
            .unwrap();
        assert_eq!((last, stored), (Some(KNOWN_VERSION), Some(KNOWN_VERSION)));
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
    }

    /// Rows as the first migration knew them; later migrations must keep them readable.
    #[tokio::test]
    async fn rows_written_after_the_first_migration_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::open(&folder.path().join("s.db")).await.unwrap();
        sqlx::raw_sql(include_str!("samples/after_0001.sql"))
            .execute(&store.pool)
            .await
            .unwrap();

        let environment = store
            .environment(&"dev".parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        let ids: Vec<_> = environment.snapshots.iter().map(|s| s.id.clone()).collect();
        let snapshots = store.snapshots(&ids).await.unwrap();
        let expected = Snapshot {
            surface: Surface::unknown("db.orders", "i1"),
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
    }
}

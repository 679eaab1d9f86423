//! What the server remembers: inbox, jobs, pull requests, promotions, outbox. SQLite through sqlx.
//!
//! One server per database: a lock on a file beside it is held for as long as the store lives, so a job that is
//! marked as running when the store is opened was left by a server that died.

mod deliveries;
mod jobs;
mod outbox;
mod promotions;
mod pulls;

use std::fs::File;
use std::fs::TryLockError;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteJournalMode;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::sqlite::SqliteSynchronous;

pub(crate) use deliveries::Delivery;
pub(crate) use deliveries::Received;
pub(crate) use jobs::Counted;
pub(crate) use outbox::OutboxRow;
pub(crate) use promotions::NewPromotion;
pub(crate) use pulls::AnsweredCommand;
pub(crate) use pulls::Plan;
pub(crate) use pulls::Pull;
pub(crate) use pulls::PullStatus;
pub(crate) use pulls::Repository;

use crate::github::PrNumber;

/// A pull request, over all repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct PullKey {
    /// GitHub's number of the repository.
    pub repository: u64,
    /// Its number there.
    pub number: PrNumber,
}

/// The database.
#[derive(Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
    // Held, never read: closing it gives the database free.
    _lock: File,
}

/// Every write takes the lock first, so that none fails halfway because a reader became a writer.
const WRITE: &str = "BEGIN IMMEDIATE";

impl Store {
    /// Opens the database, creates it when it is missing, and brings its tables up to date.
    ///
    /// # Errors
    /// When another server uses it, or it cannot be opened or migrated.
    pub(crate) async fn open(path: &Path) -> anyhow::Result<Self> {
        let lock = lock(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A delivery that was answered must survive the loss of power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await
            .with_context(|| format!("opening the database `{}`", path.display()))?;
        let mut migrations = sqlx::migrate!("src/bot/migrations");
        // The engine's record may live in the same file, under its own migrations.
        migrations.dangerous_set_table_name("bot_migrations");
        migrations
            .run(&pool)
            .await
            .with_context(|| format!("migrating the database `{}`", path.display()))?;
        Ok(Self { pool, _lock: lock })
    }

    /// Writes one line of history.
    pub(crate) async fn audit(
        &self,
        pull: PullKey,
        actor: &str,
        what: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO bot_audit (at, repository, pr, actor, what) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(now.timestamp_millis())
        .bind(pull.repository.cast_signed())
        .bind(pull.number.0.cast_signed())
        .bind(actor)
        .bind(what)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The process groups of jobs that were started and not seen to end, each with its start time.
    pub(crate) async fn children(&self) -> sqlx::Result<Vec<(u32, String)>> {
        sqlx::query_as("SELECT pid, started FROM bot_children")
            .fetch_all(&self.pool)
            .await
    }

    /// Records a process group.
    pub(crate) async fn child_started(&self, pid: u32, started: &str) -> sqlx::Result<()> {
        sqlx::query("INSERT OR REPLACE INTO bot_children (pid, started) VALUES ($1, $2)")
            .bind(pid)
            .bind(started)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets a process group.
    pub(crate) async fn child_ended(&self, pid: u32) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM bot_children WHERE pid = $1")
            .bind(pid)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".serve-lock");
    let name = PathBuf::from(name);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .with_context(|| format!("opening `{}`", name.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another server uses the database `{}`", path.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("locking `{}`", name.display()))
        }
    }
}

/// What a column holds that we wrote as JSON.
fn read_json<T: for<'de> Deserialize<'de>>(text: &str) -> sqlx::Result<T> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// What a column shall hold.
fn write_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types become JSON")
}

/// A commit or a name that we stored.
fn read_text<T: std::str::FromStr>(text: &str) -> sqlx::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_server_is_told_that_the_database_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("siding.db");
        let first = Store::open(&path).await.unwrap();
        let error = Store::open(&path).await.unwrap_err().to_string();
        assert!(
            error.starts_with("another server uses the database"),
            "{error}"
        );
        drop(first);
        Store::open(&path).await.unwrap();
    }
}

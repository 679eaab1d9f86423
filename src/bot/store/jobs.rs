//! The queue.

use chrono::DateTime;
use chrono::Utc;
use sqlx::SqliteConnection;

use super::PullKey;
use super::Store;
use super::WRITE;
use super::read_json;
use super::write_json;
use crate::bot::job::Job;
use crate::bot::job::JobKind;
use crate::bot::job::NewJob;
use crate::github::PrNumber;

impl Store {
    /// Puts a job into the queue, unless one with its key was ever there.
    pub(crate) async fn enqueue(&self, job: &NewJob, now: DateTime<Utc>) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin_with(WRITE).await?;
        Self::enqueue_in(&mut transaction, job, now).await?;
        transaction.commit().await
    }

    /// The same, as part of a transaction.
    pub(super) async fn enqueue_in(
        connection: &mut SqliteConnection,
        job: &NewJob,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let head = match &job.kind {
            JobKind::Prepare { head, .. } => Some(head.as_str()),
            JobKind::Comment { .. } | JobKind::Gate | JobKind::Closed | JobKind::Promote { .. } => {
                None
            }
        };
        let result = sqlx::query(
            "INSERT INTO bot_jobs (key, repository, pr, kind, head, payload, run_after, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
             ON CONFLICT DO NOTHING",
        )
        .bind(&job.key)
        .bind(job.pull.repository.cast_signed())
        .bind(job.pull.number.0.cast_signed())
        .bind(job.kind.name())
        .bind(head)
        .bind(write_json(&job.kind))
        .bind(now.timestamp_millis())
        .execute(&mut *connection)
        .await?;
        if result.rows_affected() == 1 && head.is_some() {
            // The newest commit is read again when the job starts, so one waiting job is enough.
            sqlx::query(
                "UPDATE bot_jobs SET state = 'superseded'
                 WHERE repository = $1 AND pr = $2 AND kind = 'prepare' AND state = 'queued' AND head <> $3",
            )
            .bind(job.pull.repository.cast_signed())
            .bind(job.pull.number.0.cast_signed())
            .bind(head)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }

    /// Takes the oldest job whose turn it is: no job of the same pull request runs or waits before it.
    pub(crate) async fn claim(&self, now: DateTime<Utc>) -> sqlx::Result<Option<Job>> {
        let row: Option<(i64, i64, i64, String, u32)> = sqlx::query_as(
            "UPDATE bot_jobs SET state = 'running', attempts = attempts + 1
             WHERE id = (
                 SELECT id FROM bot_jobs AS job
                 WHERE state = 'queued' AND run_after <= $1 AND NOT EXISTS (
                     SELECT 1 FROM bot_jobs AS other
                     WHERE other.repository = job.repository AND other.pr = job.pr
                       AND (other.state = 'running' OR other.state = 'queued' AND other.id < job.id)
                 )
                 ORDER BY id LIMIT 1
             )
             RETURNING id, repository, pr, payload, attempts",
        )
        .bind(now.timestamp_millis())
        .fetch_optional(&self.pool)
        .await?;
        let Some((id, repository, number, payload, attempt)) = row else {
            return Ok(None);
        };
        Ok(Some(Job {
            id,
            pull: PullKey {
                repository: repository.cast_unsigned(),
                number: PrNumber(number.cast_unsigned()),
            },
            kind: read_json(&payload)?,
            attempt,
        }))
    }

    /// When the next job that waits for a time may start; `None` when none waits.
    pub(crate) async fn next_run(&self) -> sqlx::Result<Option<DateTime<Utc>>> {
        let millis: Option<i64> =
            sqlx::query_scalar("SELECT min(run_after) FROM bot_jobs WHERE state = 'queued'")
                .fetch_one(&self.pool)
                .await?;
        Ok(millis.and_then(DateTime::from_timestamp_millis))
    }

    /// Marks a job as done, and the delivery that asked for it as handled.
    pub(crate) async fn finish(&self, job: &Job, now: DateTime<Utc>) -> sqlx::Result<()> {
        self.end(job, "done", None, now).await
    }

    /// Gives a job up.
    pub(crate) async fn fail(
        &self,
        job: &Job,
        error: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        self.end(job, "failed", Some(error), now).await
    }

    async fn end(
        &self,
        job: &Job,
        state: &str,
        error: Option<&str>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin_with(WRITE).await?;
        sqlx::query("UPDATE bot_jobs SET state = $2, error = $3 WHERE id = $1")
            .bind(job.id)
            .bind(state)
            .bind(error)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "UPDATE bot_deliveries SET handled_at = $2, error = $3
             WHERE 'delivery:' || guid = (SELECT key FROM bot_jobs WHERE id = $1)",
        )
        .bind(job.id)
        .bind(now.timestamp_millis())
        .bind(error)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// Puts a job back, not to be taken before `run_after`. A try that only waited is not counted.
    pub(crate) async fn put_back(
        &self,
        job: &Job,
        run_after: DateTime<Utc>,
        counted: Counted,
        error: &str,
    ) -> sqlx::Result<()> {
        let back = match counted {
            Counted::Yes => 0,
            Counted::No => 1,
        };
        sqlx::query(
            "UPDATE bot_jobs SET state = 'queued', run_after = $2, attempts = attempts - $3, error = $4 WHERE id = $1",
        )
        .bind(job.id)
        .bind(run_after.timestamp_millis())
        .bind(back)
        .bind(error)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Puts every job back that runs nowhere: at start all that are marked as running. Returns how many.
    pub(crate) async fn reclaim(&self) -> sqlx::Result<u64> {
        let result = sqlx::query("UPDATE bot_jobs SET state = 'queued' WHERE state = 'running'")
            .execute(&self.pool)
            .await?;
        Ok(result.rows_affected())
    }

    /// Whether work of a kind waits or runs for a pull request.
    pub(crate) async fn has_open(&self, pull: PullKey, kind: &str) -> sqlx::Result<bool> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM bot_jobs
             WHERE repository = $1 AND pr = $2 AND kind = $3 AND state IN ('queued', 'running'))",
        )
        .bind(pull.repository.cast_signed())
        .bind(pull.number.0.cast_signed())
        .bind(kind)
        .fetch_one(&self.pool)
        .await
    }
}

/// Whether a try counts against the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// It was tried and failed.
    Yes,
    /// It had to wait for something else.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::github::CommitSha;

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("bot.db")).await.unwrap();
        (folder, store)
    }

    fn now() -> DateTime<Utc> {
        "2024-01-01T00:00:00Z".parse().unwrap()
    }

    fn pull(number: u64) -> PullKey {
        PullKey {
            repository: 1,
            number: PrNumber(number),
        }
    }

    fn prepare(digit: char) -> JobKind {
        let head: CommitSha = digit.to_string().repeat(40).parse().unwrap();
        JobKind::Prepare { head, again: false }
    }

    async fn enqueue(store: &Store, key: &str, number: u64, kind: JobKind) {
        let job = NewJob {
            key: key.to_owned(),
            pull: pull(number),
            kind,
        };
        store.enqueue(&job, now()).await.unwrap();
    }

    #[tokio::test]
    async fn a_pull_request_is_served_in_order_and_beside_others() {
        let (_folder, store) = store().await;
        enqueue(&store, "a", 1, JobKind::Gate).await;
        enqueue(&store, "b", 1, JobKind::Closed).await;
        enqueue(&store, "c", 2, JobKind::Gate).await;

        let first = store.claim(now()).await.unwrap().unwrap();
        let second = store.claim(now()).await.unwrap().unwrap();
        assert_eq!((first.pull, second.pull), (pull(1), pull(2)));
        assert!(store.claim(now()).await.unwrap().is_none());

        store.finish(&first, now()).await.unwrap();
        assert_eq!(
            store.claim(now()).await.unwrap().unwrap().kind,
            JobKind::Closed
        );
    }

    #[tokio::test]
    async fn a_job_that_waits_keeps_its_place() {
        let (_folder, store) = store().await;
        enqueue(&store, "a", 1, JobKind::Gate).await;
        enqueue(&store, "b", 1, JobKind::Closed).await;
        let job = store.claim(now()).await.unwrap().unwrap();
        let later = now() + chrono::TimeDelta::seconds(5);
        store
            .put_back(&job, later, Counted::No, "waits")
            .await
            .unwrap();

        assert!(store.claim(now()).await.unwrap().is_none());
        let again = store.claim(later).await.unwrap().unwrap();
        assert_eq!((again.id, again.attempt), (job.id, 1));
    }

    #[tokio::test]
    async fn the_newest_commit_supersedes_what_waits() {
        let (_folder, store) = store().await;
        enqueue(&store, "a", 1, prepare('a')).await;
        enqueue(&store, "b", 1, prepare('b')).await;
        assert_eq!(
            store.claim(now()).await.unwrap().unwrap().kind,
            prepare('b')
        );
    }

    #[tokio::test]
    async fn a_job_of_a_dead_server_is_done_again() {
        let (_folder, store) = store().await;
        enqueue(&store, "a", 1, JobKind::Gate).await;
        store.claim(now()).await.unwrap().unwrap();
        assert_eq!(store.reclaim().await.unwrap(), 1);
        assert_eq!(store.claim(now()).await.unwrap().unwrap().attempt, 2);
    }
}

//! The inbox.

use chrono::DateTime;
use chrono::Utc;

use super::PullKey;
use super::Store;
use super::WRITE;
use crate::bot::job::JobKind;
use crate::bot::job::NewJob;
use crate::github::CommitSha;
use crate::github::InstallationId;
use crate::github::RepositoryRef;

/// A webhook, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Delivery<'a> {
    /// GitHub's name for it; a redelivery has the same.
    pub guid: &'a str,
    /// `X-GitHub-Event`.
    pub event: &'a str,
    /// The body's `action`, empty when it has none.
    pub action: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// What a delivery asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    /// Whose repository it is about.
    pub repository: Option<(RepositoryRef, InstallationId)>,
    /// What a pull request looked like: its head and base branch.
    pub head: Option<(PullKey, CommitSha, String)>,
    /// What to do.
    pub job: Option<(PullKey, JobKind)>,
    /// An installation that may no longer be used (`false`) or may be used again.
    pub active: Option<(InstallationId, bool)>,
    /// Why nothing can be done.
    pub error: Option<String>,
}

impl Store {
    /// Records a delivery and the job that it asks for, both or none; on disk when this returns.
    ///
    /// Returns `false` and changes nothing if the delivery was there already: GitHub may send it twice.
    pub(crate) async fn record(
        &self,
        delivery: &Delivery<'_>,
        received: &Received,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let mut transaction = self.pool.begin_with(WRITE).await?;
        let repository = received.repository.as_ref();
        let result = sqlx::query(
            "INSERT INTO bot_deliveries
                 (guid, event, action, installation, repository, received_at, body, handled_at, error)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT DO NOTHING",
        )
        .bind(delivery.guid)
        .bind(delivery.event)
        .bind(delivery.action)
        .bind(repository.map(|(_, installation)| installation.0.cast_signed()))
        .bind(repository.map(|(repository, _)| repository.id.cast_signed()))
        .bind(now.timestamp_millis())
        .bind(delivery.body)
        .bind(received.job.is_none().then(|| now.timestamp_millis()))
        .bind(received.error.as_deref())
        .execute(&mut *transaction)
        .await?;
        if result.rows_affected() == 0 {
            return Ok(false);
        }
        if let Some((repository, installation)) = repository {
            sqlx::query(
                "INSERT INTO bot_repositories (id, name, installation) VALUES ($1, $2, $3)
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, installation = excluded.installation, active = 1",
            )
            .bind(repository.id.cast_signed())
            .bind(repository.name.to_string())
            .bind(installation.0.cast_signed())
            .execute(&mut *transaction)
            .await?;
        }
        if let Some((installation, active)) = received.active {
            sqlx::query("UPDATE bot_repositories SET active = $2 WHERE installation = $1")
                .bind(installation.0.cast_signed())
                .bind(active)
                .execute(&mut *transaction)
                .await?;
        }
        if let Some((pull, head, base_ref)) = &received.head {
            // A hint: the worker reads the pull request again before it acts.
            Self::see_head(&mut transaction, *pull, head, base_ref).await?;
        }
        if let Some((pull, kind)) = &received.job {
            let mut kind = kind.clone();
            if let JobKind::Comment { head, .. } = &mut kind {
                // A command is about what its author could see: the newest commit of this moment.
                *head = Self::head_in(&mut transaction, *pull).await?;
            }
            let job = NewJob {
                key: format!("delivery:{}", delivery.guid),
                pull: *pull,
                kind,
            };
            Self::enqueue_in(&mut transaction, &job, now).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Forgets deliveries that are older than GitHub can send again, and the work that is done with.
    pub(crate) async fn forget_deliveries(&self, before: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query(
            "DELETE FROM bot_jobs WHERE created_at < $1 AND state NOT IN ('queued', 'running')",
        )
        .bind(before.timestamp_millis())
        .execute(&self.pool)
        .await?;
        sqlx::query("DELETE FROM bot_deliveries WHERE received_at < $1 AND handled_at IS NOT NULL")
            .bind(before.timestamp_millis())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

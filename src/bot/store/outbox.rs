//! What GitHub shall show, and what it shows.

use chrono::DateTime;
use chrono::Utc;

use super::PullKey;
use super::Store;
use super::read_json;
use super::write_json;
use crate::bot::outbox::Desired;
use crate::bot::outbox::Target;
use crate::github::CommitSha;
use crate::github::PrNumber;

/// A thing on GitHub that is not yet as it shall be.
#[derive(Clone, Debug)]
pub(crate) struct OutboxRow {
    /// Whose.
    pub pull: PullKey,
    /// Which comment or check.
    pub target: Target,
    /// What it shall say.
    pub desired: Desired,
    /// Names what it shall say.
    pub desired_hash: String,
    /// GitHub's number of it; `None` until it is known to exist.
    pub remote_id: Option<u64>,
    /// Which of its kind: a check that has ended is started again as a new one.
    pub attempt: u32,
    /// Whether what was sent last is a check that has ended.
    pub sent_completed: bool,
}

impl Store {
    /// Sets what a comment or a check shall say. Sends nothing.
    pub(crate) async fn desire(
        &self,
        pull: PullKey,
        target: &Target,
        desired: &Desired,
    ) -> sqlx::Result<()> {
        let text = write_json(desired);
        let hash = blake3::hash(text.as_bytes()).to_hex();
        sqlx::query(
            "INSERT INTO bot_outbox (repository, pr, target, desired, desired_hash) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (repository, pr, target) DO UPDATE SET
                 next_try = CASE WHEN desired_hash = excluded.desired_hash THEN next_try ELSE 0 END,
                 desired = excluded.desired, desired_hash = excluded.desired_hash",
        )
        .bind(pull.repository.cast_signed())
        .bind(pull.number.0.cast_signed())
        .bind(target.to_string())
        .bind(text)
        .bind(hash.as_str())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What is to be sent now, for one pull request or for all, comments first.
    pub(crate) async fn unsent(
        &self,
        pull: Option<PullKey>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<OutboxRow>> {
        type Columns = (i64, i64, String, String, String, Option<i64>, u32, bool);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT repository, pr, target, desired, desired_hash, remote_id, attempt, sent_completed
             FROM bot_outbox
             WHERE sent_hash IS NOT desired_hash AND next_try <= $1
               AND ($2 IS NULL OR repository = $2 AND pr = $3)
             ORDER BY target = 'comment' DESC, repository, pr, target",
        )
        .bind(now.timestamp_millis())
        .bind(pull.map(|pull| pull.repository.cast_signed()))
        .bind(pull.map(|pull| pull.number.0.cast_signed()))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(
                |(
                    repository,
                    pr,
                    target,
                    desired,
                    desired_hash,
                    remote_id,
                    attempt,
                    sent_completed,
                )| {
                    Ok(OutboxRow {
                        pull: PullKey {
                            repository: repository.cast_unsigned(),
                            number: PrNumber(pr.cast_unsigned()),
                        },
                        target: super::read_text(&target)?,
                        desired: read_json(&desired)?,
                        desired_hash,
                        remote_id: remote_id.map(i64::cast_unsigned),
                        attempt,
                        sent_completed,
                    })
                },
            )
            .collect()
    }

    /// Records that the check that has ended is left as it is, and a new one begins.
    pub(crate) async fn next_attempt(&self, row: &OutboxRow) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE bot_outbox SET attempt = $4, remote_id = NULL, sent_completed = 0
             WHERE repository = $1 AND pr = $2 AND target = $3",
        )
        .bind(row.pull.repository.cast_signed())
        .bind(row.pull.number.0.cast_signed())
        .bind(row.target.to_string())
        .bind(row.attempt)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Records what GitHub shows now.
    pub(crate) async fn sent(&self, row: &OutboxRow, remote_id: u64) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE bot_outbox SET sent_hash = $4, remote_id = $5, sent_completed = $6, failures = 0, error = NULL
             WHERE repository = $1 AND pr = $2 AND target = $3",
        )
        .bind(row.pull.repository.cast_signed())
        .bind(row.pull.number.0.cast_signed())
        .bind(row.target.to_string())
        .bind(&row.desired_hash)
        .bind(remote_id.cast_signed())
        .bind(row.desired.is_completed())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Records that GitHub did not take it, and when to try again. Returns how often that happened in a row.
    pub(crate) async fn not_sent(
        &self,
        row: &OutboxRow,
        error: &str,
        next_try: DateTime<Utc>,
    ) -> sqlx::Result<u32> {
        sqlx::query_scalar(
            "UPDATE bot_outbox SET failures = failures + 1, error = $4, next_try = $5
             WHERE repository = $1 AND pr = $2 AND target = $3 RETURNING failures",
        )
        .bind(row.pull.repository.cast_signed())
        .bind(row.pull.number.0.cast_signed())
        .bind(row.target.to_string())
        .bind(error)
        .bind(next_try.timestamp_millis())
        .fetch_one(&self.pool)
        .await
    }

    /// Waits longer before a row is tried again.
    pub(crate) async fn postpone(
        &self,
        row: &OutboxRow,
        next_try: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE bot_outbox SET next_try = $4 WHERE repository = $1 AND pr = $2 AND target = $3",
        )
        .bind(row.pull.repository.cast_signed())
        .bind(row.pull.number.0.cast_signed())
        .bind(row.target.to_string())
        .bind(next_try.timestamp_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Checks of other commits than `head` that shall still say that they are going on.
    pub(crate) async fn unfinished_checks(
        &self,
        pull: PullKey,
        head: &CommitSha,
    ) -> sqlx::Result<Vec<Target>> {
        let targets: Vec<String> = sqlx::query_scalar(
            "SELECT target FROM bot_outbox
             WHERE repository = $1 AND pr = $2 AND target LIKE 'check:%' AND target NOT LIKE '%:' || $3
               AND json_extract(desired, '$.status') IN ('queued', 'in_progress')
             ORDER BY target",
        )
        .bind(pull.repository.cast_signed())
        .bind(pull.number.0.cast_signed())
        .bind(head.as_str())
        .fetch_all(&self.pool)
        .await?;
        targets
            .iter()
            .map(|target| super::read_text(target))
            .collect()
    }
}

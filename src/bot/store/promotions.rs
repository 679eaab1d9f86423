//! Promotions and the lock that lets one go on at a time.

use chrono::DateTime;
use chrono::Utc;
use sqlx::SqliteConnection;

use super::PullKey;
use super::Store;
use super::WRITE;
use super::read_json;
use super::read_text;
use super::write_json;
use crate::bot::job::JobKind;
use crate::bot::job::NewJob;
use crate::bot::promotion::Detail;
use crate::bot::promotion::Promotion;
use crate::bot::promotion::PromotionState;
use crate::github::CommitSha;
use crate::github::PrNumber;

/// A promotion that someone asks for.
#[derive(Clone, Debug)]
pub(crate) struct NewPromotion {
    /// Whose.
    pub pull: PullKey,
    /// The commit that is asked for.
    pub head: CommitSha,
    /// Where it starts.
    pub state: PromotionState,
    /// Login of who asked, or who merged.
    pub requested_by: String,
    /// The comment that asked and which of its commands.
    pub command: Option<(u64, u32)>,
    /// The commit that the merge made, when it is merged already.
    pub merge: Option<CommitSha>,
}

type Columns = (
    i64,
    i64,
    i64,
    String,
    String,
    String,
    Option<i64>,
    u32,
    Option<String>,
    String,
);

const COLUMNS: &str = "id, repository, pr, head, state, requested_by, comment, line, merge, detail";

fn read(row: Columns) -> sqlx::Result<Promotion> {
    let (id, repository, pr, head, state, requested_by, comment, line, merge, detail) = row;
    Ok(Promotion {
        id,
        pull: PullKey {
            repository: repository.cast_unsigned(),
            number: PrNumber(pr.cast_unsigned()),
        },
        head: read_text(&head)?,
        state: read_text(&state)?,
        requested_by,
        command: comment.map(|comment| (comment.cast_unsigned(), line)),
        merge: merge.map(|merge| read_text(&merge)).transpose()?,
        detail: read_json(&detail)?,
    })
}

impl Store {
    /// Starts a promotion and queues its work, unless one of this pull request goes on. Returns the one that does.
    pub(crate) async fn start_promotion(
        &self,
        new: &NewPromotion,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Promotion> {
        let mut transaction = self.pool.begin_with(WRITE).await?;
        let existing = Self::newest_promotion(&mut transaction, new.pull).await?;
        if let Some(promotion) = existing
            && !promotion.state.is_final()
        {
            return Ok(promotion);
        }
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO bot_promotions
                 (repository, pr, head, state, requested_by, comment, line, merge, detail, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
        )
        .bind(new.pull.repository.cast_signed())
        .bind(new.pull.number.0.cast_signed())
        .bind(new.head.as_str())
        .bind(new.state.to_string())
        .bind(&new.requested_by)
        .bind(new.command.map(|(comment, _)| comment.cast_signed()))
        .bind(new.command.map_or(0, |(_, line)| line))
        .bind(new.merge.as_ref().map(CommitSha::as_str))
        .bind(write_json(&Detail::default()))
        .bind(now.timestamp_millis())
        .fetch_one(&mut *transaction)
        .await?;
        let job = NewJob {
            key: format!("promotion:{id}"),
            pull: new.pull,
            kind: JobKind::Promote { promotion: id },
        };
        Self::enqueue_in(&mut transaction, &job, now).await?;
        transaction.commit().await?;
        Ok(Promotion {
            id,
            pull: new.pull,
            head: new.head.clone(),
            state: new.state,
            requested_by: new.requested_by.clone(),
            command: new.command,
            merge: new.merge.clone(),
            detail: Detail::default(),
        })
    }

    /// The promotion of a row.
    pub(crate) async fn promotion(&self, id: i64) -> sqlx::Result<Option<Promotion>> {
        let row: Option<Columns> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM bot_promotions WHERE id = $1"
        )))
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        row.map(read).transpose()
    }

    /// The newest promotion of a pull request.
    pub(crate) async fn promotion_of(&self, pull: PullKey) -> sqlx::Result<Option<Promotion>> {
        let mut connection = self.pool.acquire().await?;
        Self::newest_promotion(&mut connection, pull).await
    }

    async fn newest_promotion(
        connection: &mut SqliteConnection,
        pull: PullKey,
    ) -> sqlx::Result<Option<Promotion>> {
        let row: Option<Columns> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM bot_promotions WHERE repository = $1 AND pr = $2 ORDER BY id DESC LIMIT 1"
        )))
        .bind(pull.repository.cast_signed())
        .bind(pull.number.0.cast_signed())
        .fetch_optional(connection)
        .await?;
        row.map(read).transpose()
    }

    /// Promotions that are not at their end, oldest first.
    pub(crate) async fn open_promotions(&self) -> sqlx::Result<Vec<Promotion>> {
        let rows: Vec<Columns> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM bot_promotions
             WHERE state NOT IN ('finalised', 'refused', 'swap_failed') ORDER BY id"
        )))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(read).collect()
    }

    /// Writes how far a promotion is. At its end this also gives the lock free and queues what follows.
    pub(crate) async fn set_promotion(
        &self,
        promotion: &Promotion,
        then: &[NewJob],
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin_with(WRITE).await?;
        sqlx::query("UPDATE bot_promotions SET state = $2, merge = $3, detail = $4, updated_at = $5 WHERE id = $1")
            .bind(promotion.id)
            .bind(promotion.state.to_string())
            .bind(promotion.merge.as_ref().map(CommitSha::as_str))
            .bind(write_json(&promotion.detail))
            .bind(now.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
        if promotion.state.is_final() {
            sqlx::query("DELETE FROM bot_locks WHERE promotion = $1")
                .bind(promotion.id)
                .execute(&mut *transaction)
                .await?;
        }
        for job in then {
            Self::enqueue_in(&mut transaction, job, now).await?;
        }
        transaction.commit().await
    }

    /// Takes the lock of a project. Returns who has it: the promotion itself, or another one.
    pub(crate) async fn lock(&self, promotion: &Promotion) -> sqlx::Result<i64> {
        let mut transaction = self.pool.begin_with(WRITE).await?;
        sqlx::query(
            "INSERT INTO bot_locks (project, promotion) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(promotion.pull.repository.cast_signed())
        .bind(promotion.id)
        .execute(&mut *transaction)
        .await?;
        let holder = sqlx::query_scalar("SELECT promotion FROM bot_locks WHERE project = $1")
            .bind(promotion.pull.repository.cast_signed())
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_promotion_at_a_time_and_the_lock_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("bot.db")).await.unwrap();
        let now = "2024-01-01T00:00:00Z".parse().unwrap();
        let new = |number| NewPromotion {
            pull: PullKey {
                repository: 1,
                number: PrNumber(number),
            },
            head: "a".repeat(40).parse().unwrap(),
            state: PromotionState::Requested,
            requested_by: "ada".to_owned(),
            command: None,
            merge: None,
        };
        let mut first = store.start_promotion(&new(1), now).await.unwrap();
        let again = store.start_promotion(&new(1), now).await.unwrap();
        assert_eq!(again.id, first.id);
        let second = store.start_promotion(&new(2), now).await.unwrap();

        assert_eq!(store.lock(&first).await.unwrap(), first.id);
        assert_eq!(store.lock(&second).await.unwrap(), first.id);
        first.state = PromotionState::Finalised;
        store.set_promotion(&first, &[], now).await.unwrap();
        assert_eq!(store.lock(&second).await.unwrap(), second.id);
        assert_eq!(store.open_promotions().await.unwrap().len(), 1);
    }
}

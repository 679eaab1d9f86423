//! Repositories, pull requests, what came out of preparing them, and commands that were obeyed.

use chrono::DateTime;
use chrono::Utc;
use sqlx::SqliteConnection;

use super::PullKey;
use super::Store;
use super::WRITE;
use super::read_json;
use super::read_text;
use super::write_json;
use crate::bot::gate::Gate;
use crate::bot::outcome::Outcome;
use crate::environment::EnvironmentName;
use crate::github::CommitSha;
use crate::github::InstallationId;
use crate::github::PrNumber;
use crate::github::RepositoryName;
use crate::plan::Policy;

/// A repository that sent us something.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    /// GitHub's number of it.
    pub id: u64,
    /// Its current name.
    pub name: RepositoryName,
    /// Whose installation it belongs to.
    pub installation: InstallationId,
}

/// A pull request as last seen.
#[derive(Clone, Debug)]
pub(crate) struct Pull {
    /// Its newest commit.
    pub head: CommitSha,
    /// The branch that it wants to be merged into.
    pub base_ref: String,
    /// Open, closed or merged.
    pub state: PullStatus,
    /// The environment that was built for it and not removed since.
    pub environment: Option<EnvironmentName>,
    /// The base branch's policy when it was last prepared.
    pub policy: Option<Policy>,
    /// Whether it may be deployed; `None` until that was judged for this head.
    pub gate: Option<Gate>,
}

/// Whether work on a pull request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PullStatus {
    /// It can be merged.
    Open,
    /// It was given up.
    Closed,
    /// It was merged.
    Merged,
}

impl PullStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Merged => "merged",
        }
    }
}

/// What came out of preparing a commit.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The pull request's commit.
    pub head: CommitSha,
    /// The commit of the base branch that it was merged with for the test.
    pub base: CommitSha,
    /// Git's name of the merged files; empty when it did not come to that.
    pub tree: String,
    /// The result.
    pub outcome: Outcome,
}

type PullColumns = (
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
);

impl Store {
    /// The repository, if its app installation may be used.
    pub(crate) async fn repository(&self, id: u64) -> sqlx::Result<Option<Repository>> {
        let row: Option<(String, i64)> = sqlx::query_as(
            "SELECT name, installation FROM bot_repositories WHERE id = $1 AND active",
        )
        .bind(id.cast_signed())
        .fetch_optional(&self.pool)
        .await?;
        let Some((name, installation)) = row else {
            return Ok(None);
        };
        Ok(Some(Repository {
            id,
            name: read_text(&name)?,
            installation: InstallationId(installation.cast_unsigned()),
        }))
    }

    /// All repositories whose installation may be used.
    pub(crate) async fn repositories(&self) -> sqlx::Result<Vec<Repository>> {
        let rows: Vec<(i64, String, i64)> = sqlx::query_as(
            "SELECT id, name, installation FROM bot_repositories WHERE active ORDER BY id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|(id, name, installation)| {
                Ok(Repository {
                    id: id.cast_unsigned(),
                    name: read_text(&name)?,
                    installation: InstallationId(installation.cast_unsigned()),
                })
            })
            .collect()
    }

    /// Records that a pull request has this head, and that it is open if it is new. A moved head has no gate.
    pub(super) async fn see_head(
        connection: &mut SqliteConnection,
        key: PullKey,
        head: &CommitSha,
        base_ref: &str,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO bot_pull_requests (repository, number, head, base_ref, state)
             VALUES ($1, $2, $3, $4, 'open')
             ON CONFLICT (repository, number) DO UPDATE SET
                 gate = CASE WHEN head = excluded.head THEN gate END,
                 head = excluded.head, base_ref = excluded.base_ref",
        )
        .bind(key.repository.cast_signed())
        .bind(key.number.0.cast_signed())
        .bind(head.as_str())
        .bind(base_ref)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Records what GitHub says about a pull request now.
    pub(crate) async fn see_pull(
        &self,
        key: PullKey,
        head: &CommitSha,
        base_ref: &str,
        state: PullStatus,
    ) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin_with(WRITE).await?;
        Self::see_head(&mut transaction, key, head, base_ref).await?;
        sqlx::query(
            "UPDATE bot_pull_requests SET state = $3 WHERE repository = $1 AND number = $2",
        )
        .bind(key.repository.cast_signed())
        .bind(key.number.0.cast_signed())
        .bind(state.as_str())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// The newest commit that we know; `None` for a pull request that we never saw.
    pub(crate) async fn head(&self, key: PullKey) -> sqlx::Result<Option<CommitSha>> {
        let mut connection = self.pool.acquire().await?;
        Self::head_in(&mut connection, key).await
    }

    pub(super) async fn head_in(
        connection: &mut SqliteConnection,
        key: PullKey,
    ) -> sqlx::Result<Option<CommitSha>> {
        let head: Option<String> = sqlx::query_scalar(
            "SELECT head FROM bot_pull_requests WHERE repository = $1 AND number = $2",
        )
        .bind(key.repository.cast_signed())
        .bind(key.number.0.cast_signed())
        .fetch_optional(connection)
        .await?;
        head.map(|head| read_text(&head)).transpose()
    }

    /// The pull request; `None` if we never saw it.
    pub(crate) async fn pull(&self, key: PullKey) -> sqlx::Result<Option<Pull>> {
        let row: Option<PullColumns> = sqlx::query_as(
            "SELECT head, base_ref, state, environment, policy, gate
             FROM bot_pull_requests WHERE repository = $1 AND number = $2",
        )
        .bind(key.repository.cast_signed())
        .bind(key.number.0.cast_signed())
        .fetch_optional(&self.pool)
        .await?;
        let Some((head, base_ref, state, environment, policy, gate)) = row else {
            return Ok(None);
        };
        Ok(Some(Pull {
            head: read_text(&head)?,
            base_ref,
            state: match state.as_str() {
                "merged" => PullStatus::Merged,
                "closed" => PullStatus::Closed,
                _ => PullStatus::Open,
            },
            environment: environment.map(EnvironmentName::from),
            policy: policy.as_deref().map(read_json).transpose()?,
            gate: gate.as_deref().map(read_json).transpose()?,
        }))
    }

    /// Pull requests of a repository with a state, by number.
    pub(crate) async fn pulls(
        &self,
        repository: u64,
        state: PullStatus,
    ) -> sqlx::Result<Vec<PullKey>> {
        let numbers: Vec<i64> = sqlx::query_scalar(
            "SELECT number FROM bot_pull_requests WHERE repository = $1 AND state = $2 ORDER BY 1",
        )
        .bind(repository.cast_signed())
        .bind(state.as_str())
        .fetch_all(&self.pool)
        .await?;
        Ok(numbers
            .into_iter()
            .map(|number| PullKey {
                repository,
                number: PrNumber(number.cast_unsigned()),
            })
            .collect())
    }

    /// Records the name of the environment before it is built, so that it is removed whatever happens; `None` once
    /// it is gone.
    pub(crate) async fn set_environment(
        &self,
        key: PullKey,
        environment: Option<&EnvironmentName>,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE bot_pull_requests SET environment = $3 WHERE repository = $1 AND number = $2",
        )
        .bind(key.repository.cast_signed())
        .bind(key.number.0.cast_signed())
        .bind(environment.map(EnvironmentName::as_str))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Records the base branch's policy.
    pub(crate) async fn set_policy(&self, key: PullKey, policy: &Policy) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE bot_pull_requests SET policy = $3 WHERE repository = $1 AND number = $2",
        )
        .bind(key.repository.cast_signed())
        .bind(key.number.0.cast_signed())
        .bind(write_json(policy))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The policy that was read last for any pull request of the repository.
    pub(crate) async fn any_policy(&self, repository: u64) -> sqlx::Result<Option<Policy>> {
        let policy: Option<String> = sqlx::query_scalar(
            "SELECT policy FROM bot_pull_requests
             WHERE repository = $1 AND policy IS NOT NULL ORDER BY number DESC LIMIT 1",
        )
        .bind(repository.cast_signed())
        .fetch_optional(&self.pool)
        .await?;
        policy.as_deref().map(read_json).transpose()
    }

    /// Records the judgement about a head; says nothing about another one that came meanwhile.
    pub(crate) async fn set_gate(
        &self,
        key: PullKey,
        head: &CommitSha,
        gate: &Gate,
    ) -> sqlx::Result<()> {
        sqlx::query("UPDATE bot_pull_requests SET gate = $4 WHERE repository = $1 AND number = $2 AND head = $3")
            .bind(key.repository.cast_signed())
            .bind(key.number.0.cast_signed())
            .bind(head.as_str())
            .bind(write_json(gate))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Records what came out of preparing a commit, in place of what came out before.
    pub(crate) async fn set_plan(
        &self,
        key: PullKey,
        plan: &Plan,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let mut transaction = self.pool.begin_with(WRITE).await?;
        sqlx::query(
            "DELETE FROM bot_plans WHERE repository = $1 AND pr = $2 AND head = $3 AND base = $4",
        )
        .bind(key.repository.cast_signed())
        .bind(key.number.0.cast_signed())
        .bind(plan.head.as_str())
        .bind(plan.base.as_str())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO bot_plans (repository, pr, head, base, tree, outcome, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(key.repository.cast_signed())
        .bind(key.number.0.cast_signed())
        .bind(plan.head.as_str())
        .bind(plan.base.as_str())
        .bind(&plan.tree)
        .bind(write_json(&plan.outcome))
        .bind(now.timestamp_millis())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// The newest result for a commit.
    pub(crate) async fn plan(&self, key: PullKey, head: &CommitSha) -> sqlx::Result<Option<Plan>> {
        let row: Option<(String, String, String)> = sqlx::query_as(
            "SELECT base, tree, outcome FROM bot_plans
             WHERE repository = $1 AND pr = $2 AND head = $3 ORDER BY id DESC LIMIT 1",
        )
        .bind(key.repository.cast_signed())
        .bind(key.number.0.cast_signed())
        .bind(head.as_str())
        .fetch_optional(&self.pool)
        .await?;
        let Some((base, tree, outcome)) = row else {
            return Ok(None);
        };
        Ok(Some(Plan {
            head: head.clone(),
            base: read_text(&base)?,
            tree,
            outcome: read_json(&outcome)?,
        }))
    }

    /// Whether a command was answered before.
    pub(crate) async fn command_done(&self, comment: u64, line: u32) -> sqlx::Result<bool> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM bot_commands WHERE comment = $1 AND line = $2)",
        )
        .bind(comment.cast_signed())
        .bind(line)
        .fetch_one(&self.pool)
        .await
    }

    /// Records that a command was answered.
    pub(crate) async fn set_command(
        &self,
        key: PullKey,
        command: &AnsweredCommand<'_>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO bot_commands (comment, line, repository, pr, login, text, outcome, at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(command.comment.cast_signed())
        .bind(command.line)
        .bind(key.repository.cast_signed())
        .bind(key.number.0.cast_signed())
        .bind(command.login)
        .bind(command.text)
        .bind(command.outcome)
        .bind(now.timestamp_millis())
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// A command and what became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnsweredCommand<'a> {
    /// The comment.
    pub comment: u64,
    /// Which of its commands, from 0.
    pub line: u32,
    /// Who gave it.
    pub login: &'a str,
    /// The line.
    pub text: &'a str,
    /// One word.
    pub outcome: &'static str,
}

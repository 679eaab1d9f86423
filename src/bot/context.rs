//! What the work on one pull request has at hand.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chrono::DateTime;
use chrono::Utc;

use crate::bot::checkout::Checkouts;
use crate::bot::commands::Given;
use crate::bot::options::ServeOptions;
use crate::bot::outbox;
use crate::bot::outbox::Desired;
use crate::bot::outbox::Sent;
use crate::bot::outbox::Target;
use crate::bot::report;
use crate::bot::runner::Runner;
use crate::bot::store;
use crate::bot::store::OutboxRow;
use crate::bot::store::PullKey;
use crate::bot::store::Store;
use crate::github::App;
use crate::github::GithubError;
use crate::github::Reaction;
use crate::github::Repository;
use crate::plan::Policy;

/// What all work shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub options: ServeOptions,
    pub store: Arc<Store>,
    pub app: App,
    pub checkouts: Checkouts,
    pub runner: Runner,
    /// Held while the outbox is sent: a worker and the reconciler that send the same row at once would each
    /// look for the comment, find none, and write one.
    pub sending: tokio::sync::Mutex<()>,
}

impl Shared {
    /// The clock of the server; jobs may be given another one.
    #[expect(
        clippy::disallowed_methods,
        reason = "the bot is a door: its clock is the wall's"
    )]
    pub(crate) fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    /// How long to wait before try `attempt + 1`.
    pub(crate) fn delay(&self, attempt: u32) -> Duration {
        let factor = 1_u32 << attempt.saturating_sub(1).min(7);
        self.options.retry_delay.saturating_mul(factor)
    }

    /// Sends what GitHub does not show yet, for one pull request or for all. What fails is tried again later.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub(crate) async fn flush(&self, pull: Option<PullKey>) -> anyhow::Result<usize> {
        let _sending = self.sending.lock().await;
        let mut sent = 0;
        for row in self.store.unsent(pull, self.now()).await? {
            let Some(repository) = self.store.repository(row.pull.repository).await? else {
                continue;
            };
            let result = match self.github(&repository).await {
                Ok(github) => self.send(&github, row.clone()).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(Ok(())) => sent += 1,
                Ok(Err(error)) => return Err(error.into()),
                Err(error) => {
                    let wait = match &error {
                        GithubError::RateLimited { retry_after, .. } => *retry_after,
                        _ => self.delay(1),
                    };
                    let text = error.to_string();
                    let failures = self.store.not_sent(&row, &text, self.now() + wait).await?;
                    let wait = wait.max(self.delay(failures));
                    if failures > 1 {
                        tracing::warn!(pull = %row.pull.number, failures, "GitHub did not take `{}`: {text}", row.target);
                        self.store.postpone(&row, self.now() + wait).await?;
                    }
                }
            }
        }
        Ok(sent)
    }

    async fn send(
        &self,
        github: &Repository,
        mut row: OutboxRow,
    ) -> Result<sqlx::Result<()>, GithubError> {
        loop {
            match outbox::send(github, &row).await? {
                Sent::Done(id) => {
                    if row.target == Target::Comment {
                        crate::bot::FailPoint::CommentSent.hit(self.options.failpoint);
                    }
                    return Ok(self.store.sent(&row, id).await);
                }
                Sent::NewAttempt => {
                    row.attempt += 1;
                    row.remote_id = None;
                    row.sent_completed = false;
                    if let Err(error) = self.store.next_attempt(&row).await {
                        return Ok(Err(error));
                    }
                }
            }
        }
    }

    async fn github(&self, repository: &store::Repository) -> Result<Repository, GithubError> {
        self.app
            .repository(
                repository.installation,
                repository.id,
                repository.name.clone(),
            )
            .await
    }
}

/// What the work on one pull request has at hand.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub shared: Arc<Shared>,
    pub pull: PullKey,
    pub repository: store::Repository,
    pub github: Repository,
}

impl Context {
    /// For one pull request; `None` when the app may no longer act in its repository.
    ///
    /// # Errors
    /// When GitHub gives no token.
    pub(crate) async fn open(shared: &Arc<Shared>, pull: PullKey) -> anyhow::Result<Option<Self>> {
        let Some(repository) = shared.store.repository(pull.repository).await? else {
            return Ok(None);
        };
        let github = shared
            .github(&repository)
            .await
            .context("getting a token")?;
        Ok(Some(Self {
            shared: Arc::clone(shared),
            pull,
            repository,
            github,
        }))
    }

    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.shared.now()
    }

    /// The policy that was read last; `None` when none ever was.
    pub(crate) async fn known_policy(&self) -> anyhow::Result<Option<Policy>> {
        let own = self
            .store()
            .pull(self.pull)
            .await?
            .and_then(|pull| pull.policy);
        Ok(match own {
            Some(policy) => Some(policy),
            None => self.store().any_policy(self.pull.repository).await?,
        })
    }

    /// Recomputes what GitHub shall show of this pull request, and shows it.
    pub(crate) async fn report(&self) -> anyhow::Result<()> {
        report::desire(self).await?;
        self.shared.flush(Some(self.pull)).await?;
        Ok(())
    }

    /// Puts a sign below somebody's comment. `step` is when in the course of the work.
    pub(crate) async fn sign(
        &self,
        comment: u64,
        step: u32,
        reaction: Reaction,
    ) -> anyhow::Result<()> {
        let target = Target::Reaction(comment, step);
        self.store()
            .desire(self.pull, &target, &Desired::Sign { reaction })
            .await?;
        self.shared.flush(Some(self.pull)).await?;
        Ok(())
    }

    /// Shows that the work that a command asks for has begun.
    pub(crate) async fn sign_started(&self, given: &Given<'_>) -> anyhow::Result<()> {
        self.sign(given.comment, 1, Reaction::Rocket).await
    }

    /// Answers a command.
    pub(crate) async fn reply(
        &self,
        comment: u64,
        line: u32,
        markdown: &str,
    ) -> anyhow::Result<()> {
        let body = format!("{}\n{markdown}", outbox::reply_marker(comment, line));
        self.store()
            .desire(
                self.pull,
                &Target::Reply(comment, line),
                &Desired::Text { body },
            )
            .await?;
        self.shared.flush(Some(self.pull)).await?;
        Ok(())
    }
}

//! Takes jobs and does them: those of one pull request in order, those of others beside them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::task::JoinSet;

use crate::bot::cleanup;
use crate::bot::commands;
use crate::bot::commands::Command;
use crate::bot::commands::Given;
use crate::bot::commands::Misunderstood;
use crate::bot::context::Context;
use crate::bot::context::Shared;
use crate::bot::job::Job;
use crate::bot::job::JobKind;
use crate::bot::markdown::one_line;
use crate::bot::outcome::Outcome;
use crate::bot::prepare;
use crate::bot::promote;
use crate::bot::promote::Turn;
use crate::bot::replies;
use crate::bot::store::AnsweredCommand;
use crate::bot::store::Counted;
use crate::bot::store::Plan;
use crate::github::Account;
use crate::github::CommitSha;
use crate::github::GithubError;
use crate::github::PullState;
use crate::github::Reaction;
use crate::plan::Policy;

/// How many pull requests are worked on at once; those that need the warehouse wait for each other besides.
const AT_ONCE: usize = 8;

/// Longest sleep without looking whether a job that waits for its time is due.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// Most commands that one comment gives.
const MAX_COMMANDS: usize = 10;

/// Does what is in the queue.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    wake: Arc<Notify>,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, wake: Arc<Notify>) -> Self {
        Self { shared, wake }
    }

    /// Works until it is dropped. This is what the server calls.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(crate) async fn run(&self) -> anyhow::Result<()> {
        let mut running = JoinSet::new();
        loop {
            self.fill(&mut running).await?;
            let sleep = self.sleep().await?;
            tokio::select! {
                Some(_) = running.join_next() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(sleep) => {
                    self.shared.flush(None).await?;
                }
            }
        }
    }

    /// Does what is due now and what follows from it, then returns how many jobs that was. This is what tests call.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(crate) async fn drain(&self) -> anyhow::Result<usize> {
        let mut running = JoinSet::new();
        let mut count = 0;
        loop {
            count += self.fill(&mut running).await?;
            if running.join_next().await.is_some() {
                continue;
            }
            if self.shared.flush(None).await? == 0 {
                return Ok(count);
            }
        }
    }

    /// Starts what may start; returns how many jobs.
    async fn fill(&self, running: &mut JoinSet<()>) -> anyhow::Result<usize> {
        let mut started = 0;
        while running.len() < AT_ONCE {
            let Some(job) = self
                .shared
                .store
                .claim(self.shared.now())
                .await
                .context("reading the queue")?
            else {
                break;
            };
            let shared = Arc::clone(&self.shared);
            started += 1;
            running.spawn(async move {
                let inner = tokio::spawn(handle(Arc::clone(&shared), job.clone()));
                let _guard = AbortOnDrop(inner.abort_handle());
                // A panic is a failed try like any other.
                let result = match inner.await {
                    Ok(result) => result,
                    Err(error) => Err(anyhow::anyhow!("the work ended early: {error}")),
                };
                if let Err(error) = end(&shared, &job, result).await {
                    tracing::error!(
                        job = job.id,
                        "the end of a job could not be recorded: {error:#}"
                    );
                }
            });
        }
        Ok(started)
    }

    async fn sleep(&self) -> anyhow::Result<Duration> {
        let Some(next) = self.shared.store.next_run().await? else {
            return Ok(MAX_SLEEP);
        };
        let wait = (next - self.shared.now()).to_std().unwrap_or_default();
        // A job whose time has come may wait for another one of its pull request, whose end wakes us.
        Ok(wait.clamp(Duration::from_millis(200), MAX_SLEEP))
    }
}

/// Ends the work with whoever waits for it.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Does one job. Both ways of working end here.
async fn handle(shared: Arc<Shared>, job: Job) -> anyhow::Result<Turn> {
    tracing::info!(
        job = job.id,
        attempt = job.attempt,
        "{} for #{}",
        job.kind.name(),
        job.pull.number
    );
    let Some(context) = Context::open(&shared, job.pull).await? else {
        return Ok(Turn::Done);
    };
    match &job.kind {
        JobKind::Prepare { again, .. } => {
            let again = if *again {
                prepare::Again::Yes
            } else {
                prepare::Again::No
            };
            prepare::run(&context, again).await?;
            Ok(Turn::Done)
        }
        JobKind::Comment {
            comment,
            author,
            body,
            head,
        } => {
            obey(&context, *comment, author, body, head.as_ref()).await?;
            Ok(Turn::Done)
        }
        JobKind::Gate => {
            let live = prepare::look(&context).await?;
            if live.state == PullState::Open {
                prepare::judge(&context, &live).await?;
                context.report().await?;
            }
            Ok(Turn::Done)
        }
        JobKind::Closed => {
            cleanup::closed(&context).await?;
            Ok(Turn::Done)
        }
        JobKind::Promote { promotion } => promote::run(&context, *promotion).await,
    }
}

/// Records how a job ended, and gives up after the last try.
async fn end(shared: &Arc<Shared>, job: &Job, result: anyhow::Result<Turn>) -> anyhow::Result<()> {
    let store = &shared.store;
    let error = match result {
        Ok(Turn::Done) => return Ok(store.finish(job, shared.now()).await?),
        Ok(Turn::Wait(wait)) => {
            return Ok(store
                .put_back(
                    job,
                    shared.now() + wait,
                    Counted::No,
                    "waits for another promotion",
                )
                .await?);
        }
        Err(error) => error,
    };
    let text = one_line(&format!("{error:#}"));
    if let Some(GithubError::RateLimited { retry_after, .. }) = error.downcast_ref() {
        return Ok(store
            .put_back(job, shared.now() + *retry_after, Counted::No, &text)
            .await?);
    }
    if job.attempt < job.kind.max_attempts() {
        tracing::warn!(
            job = job.id,
            attempt = job.attempt,
            "{} failed, to be tried again: {text}",
            job.kind.name()
        );
        return Ok(store
            .put_back(
                job,
                shared.now() + shared.delay(job.attempt),
                Counted::Yes,
                &text,
            )
            .await?);
    }
    tracing::error!(job = job.id, "{} failed for good: {text}", job.kind.name());
    store.fail(job, &text, shared.now()).await?;
    let Some(context) = Context::open(shared, job.pull).await? else {
        return Ok(());
    };
    match &job.kind {
        JobKind::Prepare { .. } => apologise(&context).await,
        JobKind::Comment { comment, .. } => {
            context.reply(*comment, 0, &replies::apology()).await?;
            context.sign(*comment, 2, Reaction::Confused).await
        }
        JobKind::Gate | JobKind::Closed => Ok(()),
        JobKind::Promote { promotion } => {
            // Only the job's own words are for the user: a chain of causes may hold anything.
            let reason = match error.downcast_ref::<promote::NotSwitched>() {
                Some(promote::NotSwitched(reason)) => reason.as_str(),
                None => "something went wrong on the server's side; its log has the details",
            };
            promote::give_up(&context, *promotion, reason).await
        }
    }
}

/// Shows that preparing the newest commit failed on our side.
async fn apologise(context: &Context) -> anyhow::Result<()> {
    let live = prepare::look(context).await?;
    if live.state == PullState::Closed {
        return Ok(());
    }
    let plan = Plan {
        head: live.head_sha.clone(),
        base: live.base_sha.clone(),
        tree: String::new(),
        outcome: Outcome::Broken,
    };
    context
        .store()
        .set_plan(context.pull, &plan, context.now())
        .await?;
    prepare::judge(context, &live).await?;
    context.report().await
}

/// Obeys each command of a comment, once.
async fn obey(
    context: &Context,
    comment: u64,
    author: &Account,
    body: &str,
    head: Option<&CommitSha>,
) -> anyhow::Result<()> {
    let policy: Option<Policy> = context.known_policy().await?;
    let namespace = policy
        .as_ref()
        .and_then(|policy| policy.command_namespace.as_deref());
    let commands = commands::lines(body)
        .into_iter()
        .filter_map(|line| Command::parse_line(&line, namespace).map(|command| (line, command)))
        .take(MAX_COMMANDS);
    for (number, (line, command)) in (0..).zip(commands) {
        if context.store().command_done(comment, number).await? {
            continue;
        }
        if number == 0 {
            context.sign(comment, 0, Reaction::Eyes).await?;
        }
        let given = Given {
            comment,
            line: number,
            author,
            head,
        };
        let (word, sign, answer) = match command {
            Ok(command) => {
                let obeyed = command.obey(context, &given).await?;
                (obeyed.word(), obeyed.sign(), obeyed.answer())
            }
            Err(Misunderstood(reason)) => (
                "misunderstood",
                Some(Reaction::Confused),
                Some(replies::misunderstood(&reason)),
            ),
        };
        if let Some(answer) = answer {
            context.reply(comment, number, &answer).await?;
        }
        if let Some(sign) = sign {
            context.sign(comment, 2, sign).await?;
        }
        let answered = AnsweredCommand {
            comment,
            line: number,
            login: &author.login,
            text: &line,
            outcome: word,
        };
        context
            .store()
            .set_command(context.pull, &answered, context.now())
            .await?;
        context
            .store()
            .audit(
                context.pull,
                &author.login,
                &format!("{line}: {word}"),
                context.now(),
            )
            .await?;
    }
    Ok(())
}

//! Finds what was lost on the way: every few minutes, and at start.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::TimeDelta;

use crate::bot::context::Context;
use crate::bot::context::Shared;
use crate::bot::job::JobKind;
use crate::bot::job::NewJob;
use crate::bot::store::PullKey;
use crate::bot::store::PullStatus;
use crate::bot::store::Repository;

/// How far back GitHub is asked for deliveries that failed.
const SWEEP: TimeDelta = TimeDelta::days(3);

/// How long deliveries are kept: GitHub can send them again for that long.
const KEEP: TimeDelta = TimeDelta::days(30);

/// Puts right after a start what a dead server left behind.
///
/// # Errors
/// When the database cannot be used.
pub(crate) async fn recover(shared: &Arc<Shared>) -> anyhow::Result<()> {
    shared.runner.end_orphans().await?;
    let reclaimed = shared.store.reclaim().await?;
    if reclaimed > 0 {
        tracing::warn!("{reclaimed} jobs of a server that died go on");
    }
    resume(shared).await
}

/// Queues the work of promotions that nobody works on.
async fn resume(shared: &Shared) -> anyhow::Result<()> {
    for promotion in shared.store.open_promotions().await? {
        if !shared.store.has_open(promotion.pull, "promote").await? {
            let job = NewJob {
                key: format!(
                    "resume:{}:{}",
                    promotion.id,
                    shared.now().timestamp_millis()
                ),
                pull: promotion.pull,
                kind: JobKind::Promote {
                    promotion: promotion.id,
                },
            };
            shared.store.enqueue(&job, shared.now()).await?;
        }
    }
    Ok(())
}

/// Compares with GitHub: deliveries that failed, pull requests that we do not know, what was not sent.
///
/// One repository that cannot be reached does not keep the others from being looked at.
///
/// # Errors
/// When the database cannot be used.
pub(crate) async fn run(shared: &Arc<Shared>) -> anyhow::Result<()> {
    if let Err(error) = redeliver(shared).await {
        tracing::warn!("failed deliveries could not be asked for: {error:#}");
    }
    resume(shared).await?;
    for repository in shared.store.repositories().await? {
        if let Err(error) = compare(shared, &repository).await {
            tracing::warn!(repository = %repository.name, "a repository could not be compared: {error:#}");
        }
    }
    shared.store.forget_deliveries(shared.now() - KEEP).await?;
    shared.flush(None).await?;
    Ok(())
}

async fn redeliver(shared: &Shared) -> anyhow::Result<()> {
    for delivery in shared.app.failed_deliveries(shared.now() - SWEEP).await? {
        tracing::info!(guid = delivery.guid, "asking for a delivery again");
        shared.app.redeliver(delivery.id).await?;
    }
    Ok(())
}

async fn compare(shared: &Arc<Shared>, repository: &Repository) -> anyhow::Result<()> {
    let github = shared
        .app
        .repository(
            repository.installation,
            repository.id,
            repository.name.clone(),
        )
        .await
        .context("getting a token")?;
    let mut open = BTreeSet::new();
    let stamp = shared.now().timestamp_millis();
    for live in github
        .open_pulls()
        .await
        .context("listing open pull requests")?
    {
        let pull = PullKey {
            repository: repository.id,
            number: live.number,
        };
        open.insert(pull);
        let known = shared.store.pull(pull).await?;
        let is_known = known
            .is_some_and(|known| known.head == live.head_sha && known.state == PullStatus::Open);
        let is_planned = shared.store.plan(pull, &live.head_sha).await?.is_some();
        if (!is_known || !is_planned) && !shared.store.has_open(pull, "prepare").await? {
            let kind = JobKind::Prepare {
                head: live.head_sha,
                again: false,
            };
            enqueue(
                shared,
                &format!("sweep:{}:{}:{stamp}", pull.repository, pull.number),
                pull,
                kind,
            )
            .await?;
        }
    }
    let known_open = shared.store.pulls(repository.id, PullStatus::Open).await?;
    let closed = known_open.into_iter().filter(|pull| !open.contains(pull));
    // Gone from the list, or closed while its environment could not be removed.
    let mut ended: Vec<PullKey> = closed.collect();
    for state in [PullStatus::Closed, PullStatus::Merged] {
        for pull in shared.store.pulls(repository.id, state).await? {
            let row = shared.store.pull(pull).await?;
            if row.is_some_and(|row| row.environment.is_some())
                && is_to_be_removed(shared, pull).await?
            {
                ended.push(pull);
            }
        }
    }
    for pull in ended {
        if !shared.store.has_open(pull, "closed").await?
            && !shared.store.has_open(pull, "promote").await?
        {
            let key = format!("sweep-closed:{}:{}:{stamp}", pull.repository, pull.number);
            enqueue(shared, &key, pull, JobKind::Closed).await?;
        }
    }
    Ok(())
}

/// Whether the policy wants the environment of a merged pull request removed.
async fn is_to_be_removed(shared: &Arc<Shared>, pull: PullKey) -> anyhow::Result<bool> {
    let Some(context) = Context::open(shared, pull).await? else {
        return Ok(false);
    };
    let is_merged = context
        .store()
        .pull(pull)
        .await?
        .is_some_and(|pull| pull.state == PullStatus::Merged);
    let policy = context.known_policy().await?;
    Ok(!is_merged || policy.is_none_or(|policy| policy.invalidate_environment_after_deploy))
}

async fn enqueue(shared: &Shared, key: &str, pull: PullKey, kind: JobKind) -> anyhow::Result<()> {
    let job = NewJob {
        key: key.to_owned(),
        pull,
        kind,
    };
    shared.store.enqueue(&job, shared.now()).await?;
    Ok(())
}

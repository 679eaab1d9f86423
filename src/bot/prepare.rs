//! Plan, build and audit a pull request's newest commit; judge its gate.

use std::time::Duration;

use anyhow::bail;

use crate::bot::checkout::Commit;
use crate::bot::checkout::Refused;
use crate::bot::context::Context;
use crate::bot::gate;
use crate::bot::gate::Gate;
use crate::bot::outcome::Outcome;
use crate::bot::project::Commits;
use crate::bot::project::Failure;
use crate::bot::project::unexpected;
use crate::bot::store::Plan;
use crate::bot::store::PullStatus;
use crate::environment::EnvironmentName;
use crate::github::PullRequest;
use crate::github::PullState;
use crate::plan::JobAnswer;
use crate::plan::JobTask;
use crate::plan::Policy;

/// Whether to prepare a commit that was prepared before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Yes: someone asks for it, or production moved.
    Yes,
    /// No.
    No,
}

/// How often GitHub is asked for the test merge, which it computes when it is first asked.
const MERGE_QUESTIONS: u32 = 7;

/// Prepares the newest commit and shows the result. Returns `None` when the pull request is not open.
///
/// # Errors
/// When we fail. What the author has to fix is a result.
pub(crate) async fn run(context: &Context, again: Again) -> anyhow::Result<Option<PullRequest>> {
    let live = look(context).await?;
    if live.state == PullState::Closed {
        return Ok(None);
    }
    let known = context.store().plan(context.pull, &live.head_sha).await?;
    let has_environment = context
        .store()
        .pull(context.pull)
        .await?
        .is_some_and(|pull| pull.environment.is_some());
    // Another base branch, or a newer one, makes another merge.
    let is_ready = has_environment
        && known
            .is_some_and(|plan| plan.base == live.base_sha && plan.outcome.prepared().is_some());
    if again == Again::Yes || !is_ready {
        // Shows that work has begun, where nothing was shown for this commit yet.
        context.report().await?;
        let plan = prepare(context, &live).await?;
        context
            .store()
            .set_plan(context.pull, &plan, context.now())
            .await?;
    }
    judge(context, &live).await?;
    context.report().await?;
    Ok(Some(live))
}

/// Reads the pull request and records what it is like.
pub(crate) async fn look(context: &Context) -> anyhow::Result<PullRequest> {
    let live = context.github.pull(context.pull.number).await?;
    let status = match (live.merged, live.state) {
        (true, _) => PullStatus::Merged,
        (false, PullState::Closed) => PullStatus::Closed,
        (false, PullState::Open) => PullStatus::Open,
    };
    context
        .store()
        .see_pull(context.pull, &live.head_sha, &live.base_ref, status)
        .await?;
    Ok(live)
}

/// Judges the gate from what is known now and records it.
pub(crate) async fn judge(context: &Context, live: &PullRequest) -> anyhow::Result<Gate> {
    let plan = context.store().plan(context.pull, &live.head_sha).await?;
    let policy = context
        .store()
        .pull(context.pull)
        .await?
        .and_then(|pull| pull.policy);
    let reviews = context.github.reviews(context.pull.number).await?;
    let gate = gate::judge(&gate::Facts {
        head: &live.head_sha,
        author: live.user.id,
        draft: live.draft,
        outcome: plan.as_ref().map(|plan| &plan.outcome),
        policy: policy.as_ref(),
        reviews: &reviews,
    });
    context
        .store()
        .set_gate(context.pull, &live.head_sha, &gate)
        .await?;
    Ok(gate)
}

/// The environment of a pull request: `<prefix>_<number>`.
fn environment_name(context: &Context, policy: &Policy) -> EnvironmentName {
    let prefix = policy
        .pr_environment_name
        .as_deref()
        .filter(|prefix| !prefix.trim().is_empty())
        .unwrap_or_else(|| context.repository.name.name());
    EnvironmentName::from(format!("{prefix}_{}", context.pull.number))
}

async fn prepare(context: &Context, live: &PullRequest) -> anyhow::Result<Plan> {
    let without_files = |outcome| Plan {
        head: live.head_sha.clone(),
        base: live.base_sha.clone(),
        tree: String::new(),
        outcome,
    };
    if live.head_repository_id != Some(context.pull.repository) {
        return Ok(without_files(Outcome::Fork));
    }
    let commits = Commits::open(context).await?;
    let Some((base, merge)) = test_merge(context, &commits, live).await? else {
        return Ok(without_files(Outcome::Conflict));
    };
    let outcome = match build(context, &commits, live, &base, &merge).await {
        Ok(outcome) => outcome,
        Err(error) => match error.downcast_ref::<Refused>() {
            Some(refused) => Outcome::Failed {
                message: refused.to_string(),
                diagnostics: Vec::new(),
            },
            None => return Err(error),
        },
    };
    Ok(Plan {
        head: live.head_sha.clone(),
        base: base.sha,
        tree: merge.tree,
        outcome,
    })
}

async fn build(
    context: &Context,
    commits: &Commits<'_>,
    live: &PullRequest,
    base: &Commit,
    merge: &Commit,
) -> anyhow::Result<Outcome> {
    let config = commits.check_out(base).await?;
    let policy = match commits.policy(&config, &live.user.login).await? {
        Ok(policy) => policy,
        Err(Failure {
            message,
            diagnostics,
        }) => {
            let message = format!("the base branch's configuration cannot be used: {message}");
            return Ok(Outcome::Failed {
                message,
                diagnostics,
            });
        }
    };
    context.store().set_policy(context.pull, &policy).await?;
    let environment = environment_name(context, &policy);
    let project = commits.check_out(merge).await?;
    let changes_policy = commits.changes_policy(base, merge).await?;
    // Before it is built: whatever exists must be found when the pull request is closed.
    context
        .store()
        .set_environment(context.pull, Some(&environment))
        .await?;
    let task = JobTask::Prepare {
        environment: environment.to_string(),
    };
    Ok(
        match commits
            .job(&project, &config, &live.user.login, task)
            .await?
        {
            JobAnswer::Prepared(prepared) => Outcome::Prepared {
                prepared,
                changes_policy,
            },
            JobAnswer::Failed {
                message,
                diagnostics,
            } => Outcome::Failed {
                message,
                diagnostics,
            },
            JobAnswer::Conflict { message } => Outcome::Failed {
                message,
                diagnostics: Vec::new(),
            },
            other => return Err(unexpected(&other)),
        },
    )
}

/// The commit of the base branch and the test merge of it with the newest commit; `None` when they conflict.
///
/// GitHub computes the test merge some time after it is asked and may show an old one until then.
async fn test_merge(
    context: &Context,
    commits: &Commits<'_>,
    live: &PullRequest,
) -> anyhow::Result<Option<(Commit, Commit)>> {
    let mut current = live.clone();
    let mut wait = context
        .shared
        .options
        .retry_delay
        .min(Duration::from_secs(1));
    for _ in 0..MERGE_QUESTIONS {
        if current.head_sha != live.head_sha {
            bail!("the pull request moved while it was prepared");
        }
        match (current.mergeable, &current.merge_commit_sha) {
            (Some(false), _) => return Ok(None),
            (Some(true), Some(sha)) => {
                let merge = commits.fetch(sha).await?;
                if let [base, head] = merge.parents.as_slice()
                    && *head == live.head_sha
                {
                    return Ok(Some((commits.fetch(base).await?, merge)));
                }
            }
            (Some(true) | None, _) => {}
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2);
        current = context.github.pull(context.pull.number).await?;
    }
    bail!("GitHub has not computed the test merge")
}

//! Carries a promotion on from wherever it is.

use std::time::Duration;

use anyhow::Context as _;

use crate::bot::FailPoint;
use crate::bot::checkout::Checkout;
use crate::bot::cleanup;
use crate::bot::context::Context;
use crate::bot::job::JobKind;
use crate::bot::job::NewJob;
use crate::bot::outcome::Outcome;
use crate::bot::prepare;
use crate::bot::project::Commits;
use crate::bot::project::unexpected;
use crate::bot::promotion::Promotion;
use crate::bot::promotion::PromotionState;
use crate::bot::replies;
use crate::bot::store::Plan;
use crate::bot::store::PullStatus;
use crate::github::GithubError;
use crate::github::MergeMethod;
use crate::github::MergeOutcome;
use crate::github::PullRequest;
use crate::github::PullState;
use crate::github::Reaction;
use crate::plan;
use crate::plan::JobAnswer;
use crate::plan::JobTask;
use crate::plan::Policy;

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing follows.
    Done,
    /// Something else has to end first.
    Wait(Duration),
}

/// The job could not switch production, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotSwitched(pub String);

/// How long to wait for another promotion of the same project.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Goes through the states until the end.
///
/// # Errors
/// When we or the warehouse fail; the next try goes on from the same state.
pub(crate) async fn run(context: &Context, id: i64) -> anyhow::Result<Turn> {
    let Some(mut promotion) = context.store().promotion(id).await? else {
        return Ok(Turn::Done);
    };
    loop {
        match promotion.state {
            PromotionState::Requested => {
                FailPoint::Requested.hit(context.shared.options.failpoint);
                check_gate(context, &mut promotion).await?;
            }
            PromotionState::Gated => {
                FailPoint::Gated.hit(context.shared.options.failpoint);
                prepare_again(context, &mut promotion).await?;
            }
            PromotionState::Prepared => {
                FailPoint::Prepared.hit(context.shared.options.failpoint);
                if context.store().lock(&promotion).await? != promotion.id {
                    return Ok(Turn::Wait(
                        LOCK_WAIT.min(context.shared.options.retry_delay),
                    ));
                }
                advance(context, &mut promotion, PromotionState::Merging).await?;
                context.report().await?;
            }
            PromotionState::Merging => {
                FailPoint::Merging.hit(context.shared.options.failpoint);
                merge(context, &mut promotion).await?;
            }
            PromotionState::Merged => {
                FailPoint::Merged.hit(context.shared.options.failpoint);
                // A merge by a person comes without the lock.
                if context.store().lock(&promotion).await? != promotion.id {
                    return Ok(Turn::Wait(
                        LOCK_WAIT.min(context.shared.options.retry_delay),
                    ));
                }
                advance(context, &mut promotion, PromotionState::Swapping).await?;
                context.report().await?;
            }
            PromotionState::Swapping => {
                FailPoint::Swapping.hit(context.shared.options.failpoint);
                swap(context, &mut promotion).await?;
            }
            PromotionState::Swapped => {
                FailPoint::Swapped.hit(context.shared.options.failpoint);
                finalise(context, &mut promotion).await?;
                FailPoint::Finalised.hit(context.shared.options.failpoint);
            }
            PromotionState::Finalised | PromotionState::Refused | PromotionState::SwapFailed => {
                tell(context, &promotion).await?;
                return Ok(Turn::Done);
            }
        }
    }
}

/// Gives up after the last try: before the merge nothing happened, after it production waits.
///
/// # Errors
/// When that cannot be recorded.
pub(crate) async fn give_up(context: &Context, id: i64, error: &str) -> anyhow::Result<()> {
    let Some(mut promotion) = context.store().promotion(id).await? else {
        return Ok(());
    };
    let is_merged = match promotion.state {
        PromotionState::Merged | PromotionState::Swapping => true,
        // The switch was done; only telling about it failed.
        PromotionState::Swapped => return Ok(()),
        PromotionState::Merging => context.github.pull(context.pull.number).await?.merged,
        PromotionState::Requested | PromotionState::Gated | PromotionState::Prepared => false,
        PromotionState::Finalised | PromotionState::Refused | PromotionState::SwapFailed => {
            return Ok(());
        }
    };
    if is_merged {
        promotion.detail.message = Some(error.to_owned());
        advance(context, &mut promotion, PromotionState::SwapFailed).await?;
    } else {
        let message = "something went wrong on the server's side; nothing was merged".to_owned();
        refuse(context, &mut promotion, message).await?;
    }
    tell(context, &promotion).await
}

async fn advance(
    context: &Context,
    promotion: &mut Promotion,
    state: PromotionState,
) -> anyhow::Result<()> {
    promotion.state = state;
    context
        .store()
        .set_promotion(promotion, &[], context.now())
        .await?;
    let pull = context.pull;
    tracing::info!(
        promotion = promotion.id,
        "promotion of #{} is {state}",
        pull.number
    );
    context
        .store()
        .audit(
            pull,
            &promotion.requested_by,
            &format!("promotion {} {state}", promotion.id),
            context.now(),
        )
        .await?;
    Ok(())
}

async fn refuse(
    context: &Context,
    promotion: &mut Promotion,
    message: String,
) -> anyhow::Result<()> {
    promotion.detail.message = Some(message);
    advance(context, promotion, PromotionState::Refused).await
}

/// Everything that forbids the promotion of an open pull request, by what is known now.
async fn objections(
    context: &Context,
    promotion: &Promotion,
    live: &PullRequest,
) -> anyhow::Result<Vec<String>> {
    let mut objections = Vec::new();
    if live.state == PullState::Closed {
        objections.push("the pull request is closed".to_owned());
        return Ok(objections);
    }
    if live.head_sha != promotion.head {
        objections.push(format!(
            "the pull request has a newer commit, `{}`",
            live.head_sha.short()
        ));
    }
    if let Some(policy) = context.known_policy().await? {
        if !policy.enable_deploy_command {
            objections
                .push("`enable_deploy_command` is off in the base branch's `cicd_bot`".to_owned());
        } else if policy.merge_method.is_none() {
            objections.push("the base branch's `cicd_bot` has no `merge_method`: merge it by hand, and production follows".to_owned());
        }
        if !policy.prod_branches.contains(&live.base_ref) {
            objections.push(format!(
                "its base branch `{}` does not deploy to production",
                live.base_ref
            ));
        }
    }
    Ok(objections)
}

async fn check_gate(context: &Context, promotion: &mut Promotion) -> anyhow::Result<()> {
    let live = prepare::look(context).await?;
    let mut objections = objections(context, promotion, &live).await?;
    // A commit that was never prepared is prepared in the next step, and judged then.
    if context
        .store()
        .plan(context.pull, &promotion.head)
        .await?
        .is_some()
    {
        objections.extend(prepare::judge(context, &live).await?.missing);
    }
    if objections.is_empty() {
        advance(context, promotion, PromotionState::Gated).await
    } else {
        refuse(context, promotion, objections.join("; ")).await
    }
}

/// Builds against production as it is now: whatever moved since is found before the merge.
async fn prepare_again(context: &Context, promotion: &mut Promotion) -> anyhow::Result<()> {
    let Some(live) = prepare::run(context, prepare::Again::Yes).await? else {
        return refuse(context, promotion, "the pull request is closed".to_owned()).await;
    };
    let mut objections = objections(context, promotion, &live).await?;
    objections.extend(prepare::judge(context, &live).await?.missing);
    if objections.is_empty() {
        advance(context, promotion, PromotionState::Prepared).await
    } else {
        refuse(context, promotion, objections.join("; ")).await
    }
}

async fn merge(context: &Context, promotion: &mut Promotion) -> anyhow::Result<()> {
    // The call may have been made before a crash.
    let live = prepare::look(context).await?;
    if live.merged {
        promotion.merge = live.merge_commit_sha;
        return advance(context, promotion, PromotionState::Merged).await;
    }
    let policy = context.known_policy().await?;
    let Some(method) = policy.and_then(|policy| policy.merge_method) else {
        return refuse(
            context,
            promotion,
            "the base branch's `cicd_bot` has no `merge_method`".to_owned(),
        )
        .await;
    };
    let method = match method {
        plan::MergeMethod::Merge => MergeMethod::Merge,
        plan::MergeMethod::Squash => MergeMethod::Squash,
        plan::MergeMethod::Rebase => MergeMethod::Rebase,
    };
    match context
        .github
        .merge(context.pull.number, &promotion.head, method)
        .await
    {
        Ok(MergeOutcome::Merged(sha)) => {
            FailPoint::MergeCalled.hit(context.shared.options.failpoint);
            promotion.merge = Some(sha);
            advance(context, promotion, PromotionState::Merged).await
        }
        Ok(MergeOutcome::NotMergeable(reason)) => {
            refuse(
                context,
                promotion,
                format!("GitHub did not merge it: {reason}"),
            )
            .await
        }
        Ok(MergeOutcome::HeadMoved(reason)) => {
            refuse(
                context,
                promotion,
                format!("the pull request has a newer commit: {reason}"),
            )
            .await
        }
        Ok(MergeOutcome::Forbidden(reason)) => {
            refuse(
                context,
                promotion,
                format!("GitHub does not let this app merge it: {reason}"),
            )
            .await
        }
        Err(error) if error.may_have_taken_effect() => {
            let live = prepare::look(context).await?;
            if live.merged {
                promotion.merge = live.merge_commit_sha;
                return advance(context, promotion, PromotionState::Merged).await;
            }
            Err(error.into())
        }
        Err(error @ GithubError::RateLimited { .. }) => Err(error.into()),
        Err(error) => {
            let reason = error.status().map_or_else(
                || "no answer".to_owned(),
                |status| format!("status {status}"),
            );
            tracing::warn!(%error, "the merge failed");
            refuse(
                context,
                promotion,
                format!("GitHub did not merge it: {reason}"),
            )
            .await
        }
    }
}

/// What to show in production, and how much of it is known.
struct Wanted {
    project: Checkout,
    config: Checkout,
    task: JobTask,
}

async fn swap(context: &Context, promotion: &mut Promotion) -> anyhow::Result<()> {
    let commits = Commits::open(context).await?;
    let wanted = wanted(context, &commits, promotion).await?;
    let answer = commits
        .job(
            &wanted.project,
            &wanted.config,
            &promotion.requested_by,
            wanted.task,
        )
        .await?;
    match answer {
        JobAnswer::Promoted(promoted) => {
            FailPoint::SwapCalled.hit(context.shared.options.failpoint);
            promotion.detail.message = None;
            promotion.detail.promoted = Some(promoted);
            advance(context, promotion, PromotionState::Swapped).await
        }
        JobAnswer::Conflict { message } if !promotion.detail.newest => {
            // Production moved between preparing and switching: roll forward to the newest base branch, which holds
            // this merge and whatever came after it.
            tracing::info!(
                promotion = promotion.id,
                "promoting the newest base branch: {message}"
            );
            promotion.detail.newest = true;
            advance(context, promotion, PromotionState::Swapping).await
        }
        JobAnswer::Failed { message, .. } | JobAnswer::Conflict { message } => {
            Err(NotSwitched(message).into())
        }
        other => Err(unexpected(&other)),
    }
}

async fn wanted(
    context: &Context,
    commits: &Commits<'_>,
    promotion: &mut Promotion,
) -> anyhow::Result<Wanted> {
    let plan = context.store().plan(context.pull, &promotion.head).await?;
    if let Some(sha) = promotion
        .merge
        .as_ref()
        .filter(|_| !promotion.detail.newest)
        && let Some(Plan {
            base,
            tree,
            outcome: Outcome::Prepared { prepared, .. },
            ..
        }) = &plan
    {
        let merge = commits.fetch(sha).await?;
        // Equal files were planned, built and audited; anything else was not.
        if merge.tree == *tree {
            return Ok(Wanted {
                project: commits.check_out(&merge).await?,
                // What was prepared with. A changed configuration counts from the next change on.
                config: commits.check_out(&commits.fetch(base).await?).await?,
                task: JobTask::Promote {
                    expected_prod_plan: prepared.prod_plan.clone(),
                    expected_project: Some(prepared.project_digest.clone()),
                    build: false,
                },
            });
        }
    }
    promotion.detail.newest = true;
    let pull = context
        .store()
        .pull(context.pull)
        .await?
        .context("a pull request that is promoted was seen")?;
    let tip = commits.tip(&pull.base_ref).await?;
    Ok(Wanted {
        project: commits.check_out(&tip).await?,
        config: commits.check_out(&tip).await?,
        task: JobTask::Promote {
            expected_prod_plan: None,
            expected_project: None,
            build: true,
        },
    })
}

async fn finalise(context: &Context, promotion: &mut Promotion) -> anyhow::Result<()> {
    context.report().await?;
    let policy: Option<Policy> = context.known_policy().await?;
    if policy.is_none_or(|policy| policy.invalidate_environment_after_deploy)
        && let Err(error) = cleanup::remove_environment(context).await
    {
        // Production shows the change; the reconciler removes the rest.
        tracing::warn!("an environment could not be removed: {error:#}");
    }
    let mut then = Vec::new();
    for pull in context
        .store()
        .pulls(context.pull.repository, PullStatus::Open)
        .await?
    {
        if pull == context.pull {
            continue;
        }
        if let Some(head) = context.store().head(pull).await? {
            then.push(NewJob {
                key: format!(
                    "replan:{}:{}:{}",
                    promotion.id, pull.repository, pull.number
                ),
                pull,
                kind: JobKind::Prepare { head, again: true },
            });
        }
    }
    promotion.state = PromotionState::Finalised;
    context
        .store()
        .set_promotion(promotion, &then, context.now())
        .await?;
    Ok(())
}

/// Shows the end of it.
async fn tell(context: &Context, promotion: &Promotion) -> anyhow::Result<()> {
    context.report().await?;
    let Some((comment, line)) = promotion.command else {
        return Ok(());
    };
    let sign = match promotion.state {
        PromotionState::Finalised => Reaction::ThumbsUp,
        _ => Reaction::ThumbsDown,
    };
    if promotion.state == PromotionState::Refused {
        let message = promotion.detail.message.as_deref().unwrap_or_default();
        context
            .reply(comment, line, &replies::refused(message))
            .await?;
    }
    context.sign(comment, 2, sign).await
}

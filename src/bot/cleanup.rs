//! What happens when a pull request is closed.

use anyhow::bail;

use crate::bot::context::Context;
use crate::bot::prepare;
use crate::bot::project::Commits;
use crate::bot::project::unexpected;
use crate::bot::promotion::PromotionState;
use crate::bot::store::NewPromotion;
use crate::github::PullState;
use crate::plan::JobAnswer;
use crate::plan::JobTask;

/// Promotes what was merged by a person; removes the environment of what was given up.
///
/// # Errors
/// When we fail.
pub(crate) async fn closed(context: &Context) -> anyhow::Result<()> {
    let live = prepare::look(context).await?;
    if live.state == PullState::Open {
        return Ok(());
    }
    if live.merged && deploys(context, &live.base_ref).await? {
        let promotion = context.store().promotion_of(context.pull).await?;
        // Our own merge, or a delivery that comes twice.
        let is_promoted =
            promotion.is_some_and(|promotion| promotion.state != PromotionState::Refused);
        if !is_promoted {
            let new = NewPromotion {
                pull: context.pull,
                head: live.head_sha.clone(),
                state: PromotionState::Merged,
                requested_by: live.user.login.clone(),
                command: None,
                merge: live.merge_commit_sha.clone(),
            };
            context.store().start_promotion(&new, context.now()).await?;
            return context.report().await;
        }
        let removes = context
            .known_policy()
            .await?
            .is_none_or(|policy| policy.invalidate_environment_after_deploy);
        if !removes {
            return context.report().await;
        }
    }
    remove_environment(context).await?;
    context.report().await
}

/// Whether a branch deploys to production, by the policy of its newest commit.
async fn deploys(context: &Context, branch: &str) -> anyhow::Result<bool> {
    if let Some(policy) = context.known_policy().await? {
        return Ok(policy.prod_branches.iter().any(|name| name == branch));
    }
    let commits = Commits::open(context).await?;
    let config = commits.check_out(&commits.tip(branch).await?).await?;
    match commits.policy(&config, "siding").await? {
        Ok(policy) => {
            context.store().set_policy(context.pull, &policy).await?;
            Ok(policy.prod_branches.iter().any(|name| name == branch))
        }
        Err(failure) => bail!("reading the policy: {}", failure.message),
    }
}

/// Removes the environment, if there is one.
///
/// # Errors
/// When we fail, or the job says that it cannot be removed now.
pub(crate) async fn remove_environment(context: &Context) -> anyhow::Result<()> {
    let Some(pull) = context.store().pull(context.pull).await? else {
        return Ok(());
    };
    let Some(environment) = pull.environment else {
        return Ok(());
    };
    let commits = Commits::open(context).await?;
    let config = commits
        .check_out(&commits.tip(&pull.base_ref).await?)
        .await?;
    let task = JobTask::Cleanup {
        environment: environment.to_string(),
    };
    match commits.job(&config, &config, "siding", task).await? {
        JobAnswer::Cleaned { views } => {
            tracing::info!(%environment, views = views.len(), "removed environment `{environment}`");
            context.store().set_environment(context.pull, None).await?;
            Ok(())
        }
        JobAnswer::Failed { message, .. } | JobAnswer::Conflict { message } => bail!("{message}"),
        other => Err(unexpected(&other)),
    }
}

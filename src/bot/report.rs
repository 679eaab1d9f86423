//! What GitHub shall show of a pull request, from what the database knows.

use crate::bot::checks;
use crate::bot::context::Context;
use crate::bot::outbox::CheckKind;
use crate::bot::outbox::Desired;
use crate::bot::outbox::Status;
use crate::bot::outbox::Target;
use crate::bot::outbox::comment_marker;
use crate::bot::promotion::Promotion;
use crate::bot::replies;
use crate::bot::store::Plan;
use crate::bot::store::Pull;
use crate::bot::store::PullStatus;

/// All that the comment and the checks are made of.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The pull request.
    pub pull: Pull,
    /// What came out of preparing its newest commit.
    pub plan: Option<Plan>,
    /// Its newest promotion.
    pub promotion: Option<Promotion>,
}

/// Puts into the outbox what the comment and the checks shall say now.
///
/// # Errors
/// When the database cannot be used.
pub(crate) async fn desire(context: &Context) -> anyhow::Result<()> {
    let store = context.store();
    let Some(pull) = store.pull(context.pull).await? else {
        return Ok(());
    };
    let view = View {
        plan: store.plan(context.pull, &pull.head).await?,
        promotion: store.promotion_of(context.pull).await?,
        pull,
    };
    for target in store
        .unfinished_checks(context.pull, &view.pull.head)
        .await?
    {
        let cancelled = Desired::Check {
            status: Status::Cancelled,
            title: "Superseded by a newer commit".to_owned(),
            summary: "This commit is no longer the newest one of its pull request.".to_owned(),
            text: None,
        };
        store.desire(context.pull, &target, &cancelled).await?;
    }
    let is_untouched =
        view.plan.is_none() && view.promotion.is_none() && view.pull.environment.is_none();
    if is_untouched && view.pull.state != PullStatus::Open {
        return Ok(());
    }
    let body = format!(
        "{}\n{}",
        comment_marker(context.pull),
        replies::comment(&view)
    );
    store
        .desire(context.pull, &Target::Comment, &Desired::Text { body })
        .await?;
    for kind in CheckKind::ALL {
        let target = Target::Check(kind, view.pull.head.clone());
        store
            .desire(context.pull, &target, &checks::check(kind, &view))
            .await?;
    }
    Ok(())
}

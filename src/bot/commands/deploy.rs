//! `/deploy`.

use std::str::FromStr;

use crate::bot::commands::Given;
use crate::bot::commands::Obeyed;
use crate::bot::context::Context;
use crate::bot::promotion::PromotionState;
use crate::bot::replies;
use crate::bot::store::NewPromotion;
use crate::github::CommitSha;
use crate::github::PullState;

/// Merge this pull request and switch production to it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Deploy only if this is still the newest commit
    pub sha: Option<ShaStart>,
}

/// The beginning of a commit's name, at least 7 digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShaStart(String);

impl ShaStart {
    fn fits(&self, sha: &CommitSha) -> bool {
        sha.as_str().starts_with(&self.0)
    }
}

impl FromStr for ShaStart {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if (7..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err("a commit is named by at least 7 hexadecimal digits")
        }
    }
}

pub(super) async fn run(
    context: &Context,
    args: &Args,
    given: &Given<'_>,
) -> anyhow::Result<Obeyed> {
    let live = context.github.pull(context.pull.number).await?;
    let unfinished = context.store().promotion_of(context.pull).await?;
    let start = |state, merge| NewPromotion {
        pull: context.pull,
        head: live.head_sha.clone(),
        state,
        requested_by: given.author.login.clone(),
        command: Some((given.comment, given.line)),
        merge,
    };
    if live.merged {
        // Merged, and the switch was given up: this is how people try again.
        let Some(failed) =
            unfinished.filter(|promotion| promotion.state == PromotionState::SwapFailed)
        else {
            return Ok(Obeyed::Refused(replies::not_open()));
        };
        context.sign_started(given).await?;
        context
            .store()
            .start_promotion(&start(PromotionState::Merged, failed.merge), context.now())
            .await?;
        return Ok(Obeyed::Started);
    }
    if live.state == PullState::Closed {
        return Ok(Obeyed::Refused(replies::not_open()));
    }
    let is_moved = given.head.is_some_and(|head| *head != live.head_sha);
    if is_moved
        || args
            .sha
            .as_ref()
            .is_some_and(|sha| !sha.fits(&live.head_sha))
    {
        return Ok(Obeyed::Refused(replies::moved(&live.head_sha)));
    }
    context.sign_started(given).await?;
    let promotion = context
        .store()
        .start_promotion(&start(PromotionState::Requested, None), context.now())
        .await?;
    if promotion.command != Some((given.comment, given.line)) {
        return Ok(Obeyed::Answered(replies::already_going_on(
            &promotion.requested_by,
        )));
    }
    Ok(Obeyed::Started)
}

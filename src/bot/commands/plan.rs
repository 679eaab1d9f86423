//! `/plan`.

use crate::bot::commands::Given;
use crate::bot::commands::Obeyed;
use crate::bot::context::Context;
use crate::bot::prepare;
use crate::bot::replies;

/// Compute the plan again and rebuild this pull request's environment
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(super) async fn run(
    context: &Context,
    _args: &Args,
    given: &Given<'_>,
) -> anyhow::Result<Obeyed> {
    context.sign_started(given).await?;
    let pull = prepare::run(context, prepare::Again::Yes).await?;
    if pull.is_none() {
        return Ok(Obeyed::Refused(replies::not_open()));
    }
    Ok(Obeyed::Done)
}

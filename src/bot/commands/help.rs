//! `/help`.

use crate::bot::commands::Command;
use crate::bot::commands::Obeyed;
use crate::bot::context::Context;
use crate::bot::replies;

/// List the commands
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(super) async fn run(context: &Context, _args: &Args) -> anyhow::Result<Obeyed> {
    let policy = context.known_policy().await?;
    let namespace = policy.and_then(|policy| policy.command_namespace);
    Ok(Obeyed::Answered(replies::help(
        &Command::help(),
        namespace.as_deref(),
    )))
}

//! `siding job`: what the server starts; not for people.

use std::time::Duration;

use anyhow::Context;
use tokio::io::AsyncReadExt;

use crate::cli::Ending;
use crate::cli::control::control;
use crate::cli::printer::Printer;
use crate::cli::progress::Display;
use crate::cli::settings::Settings;
use crate::cli::settings::environment_variables;
use crate::cli::settings::now;
use crate::ops;
use crate::plan::JobRequest;
use crate::scheduler::Control;

/// Do one job for the server: a request on standard input, an answer on standard output
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Args {}

/// Longest wait for a table that another process fills: the other pull requests wait too.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 60);

/// Longest request that is read, in bytes.
const LONGEST_REQUEST: u64 = 1 << 20;

pub(super) async fn run(
    settings: &Settings,
    _: &Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let mut text = String::new();
    let mut input = tokio::io::stdin().take(LONGEST_REQUEST);
    input
        .read_to_string(&mut text)
        .await
        .context("reading the request")?;
    let request: JobRequest = serde_json::from_str(&text).context("the request is no job")?;
    // DuckDB's sandbox judges relative file names by where the process runs.
    std::env::set_current_dir(&request.project).with_context(|| {
        format!(
            "entering the project's folder `{}`",
            request.project.display()
        )
    })?;
    let control = Control {
        longest_wait: LONGEST_WAIT,
        ..control("siding job", None)
    };
    let display = Display::new(printer);
    let answer = ops::answer(
        &request,
        settings.gateway.clone(),
        environment_variables(),
        now(),
        &control,
        &|progress| {
            display.show(&progress);
        },
    )
    .await;
    drop(display);
    printer.json_line(&answer)?;
    Ok(Ending::Fine)
}

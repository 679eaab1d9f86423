//! `siding job`: what the server starts; not for people.

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

/// Do one job for the server: a request on standard input, an answer on standard output
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Args {}

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
    let display = Display::new(printer);
    let answer = ops::answer(
        &request,
        settings.gateway.clone(),
        environment_variables(),
        now(),
        &control("siding job", None),
        &|progress| {
            display.show(&progress);
        },
    )
    .await;
    drop(display);
    printer.json_line(&answer)?;
    Ok(Ending::Fine)
}

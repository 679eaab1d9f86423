//! The command line: parse, act, show. One file per subcommand.

mod check_intervals;
mod control;
mod destroy;
mod diagnostics;
mod environments;
mod info;
mod init;
mod invalidate;
mod janitor;
mod job;
mod lineage;
mod plan;
mod plan_options;
mod plan_text;
mod printer;
mod progress;
mod prompt;
mod render;
mod rollback;
mod run;
mod run_text;
mod serve;
mod settings;
mod table_diff;
mod table_name;

use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;

use printer::Printer;
use settings::Format;
use settings::Settings;

/// Change a data warehouse as safely as code
#[derive(Debug, Parser)]
#[command(name = "siding", version, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 fine, 1 failed or the answer is no, 2 wrong usage, 130 and 143 stopped by a signal."
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Plan(Box<plan::Args>),
    Run(run::Args),
    Render(render::Args),
    Lineage(lineage::Args),
    Environments(environments::Args),
    Rollback(rollback::Args),
    #[command(name = "check_intervals")]
    CheckIntervals(check_intervals::Args),
    #[command(name = "table_diff")]
    TableDiff(table_diff::Args),
    #[command(name = "table_name")]
    TableName(table_name::Args),
    Invalidate(invalidate::Args),
    Janitor(janitor::Args),
    Destroy(destroy::Args),
    Info(info::Args),
    Serve(Box<serve::Args>),
    Job(job::Args),
}

/// How a command ended; becomes the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It did what was asked.
    Fine,
    /// It failed, or the answer is no.
    Failed,
    /// It ended early, with this code.
    Code(u8),
}

/// Something was asked in a way that makes no sense: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Runs the command line of this process and returns its exit code.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // Nobody is left to tell when the terminal is gone.
            error.print().ok();
            return ExitCode::from(code);
        }
    };
    let printer = Printer::new(&cli.settings);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(Box::pin(dispatch(cli, &printer))));
    match result {
        Ok(Ending::Fine) => ExitCode::SUCCESS,
        Ok(Ending::Failed) => ExitCode::from(1),
        Ok(Ending::Code(code)) => ExitCode::from(code),
        Err(error) => {
            let usage = error.downcast_ref::<Usage>().is_some() || crate::ops::is_usage(&error);
            match error.downcast_ref::<crate::ops::OpenError>() {
                Some(open) => diagnostics::show_errors(open, &printer),
                None => printer.error(&error),
            }
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

async fn dispatch(cli: Cli, printer: &Printer) -> anyhow::Result<Ending> {
    let settings = &cli.settings;
    if settings.format == Format::Mermaid && !matches!(cli.command, Command::Lineage(_)) {
        let message = "--format mermaid: only `siding lineage` draws diagrams";
        return Err(Usage(message.to_owned()).into());
    }
    match cli.command {
        Command::Init(args) => init::run(settings, &args, printer),
        Command::Plan(args) => plan::run(settings, &args, printer).await,
        Command::Run(args) => run::run(settings, &args, printer).await,
        Command::Render(args) => render::run(settings, &args, printer).await,
        Command::Lineage(args) => lineage::run(settings, &args, printer),
        Command::Environments(args) => environments::run(settings, &args, printer).await,
        Command::Rollback(args) => rollback::run(settings, &args, printer).await,
        Command::CheckIntervals(args) => check_intervals::run(settings, &args, printer).await,
        Command::TableDiff(args) => table_diff::run(settings, &args, printer).await,
        Command::TableName(args) => table_name::run(settings, &args, printer).await,
        Command::Invalidate(args) => invalidate::run(settings, &args, printer).await,
        Command::Janitor(args) => janitor::run(settings, &args, printer).await,
        Command::Destroy(args) => destroy::run(settings, &args, printer).await,
        Command::Info(args) => info::run(settings, &args, printer).await,
        Command::Serve(args) => serve::run(settings, *args, printer).await,
        Command::Job(args) => job::run(settings, &args, printer).await,
    }
}

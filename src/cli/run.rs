//! `siding run`

use crate::cli::Ending;
use crate::cli::control::Interrupts;
use crate::cli::diagnostics;
use crate::cli::plan::check_order;
use crate::cli::printer::Printer;
use crate::cli::progress::Display;
use crate::cli::run_text;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::cli::settings::compared;
use crate::cli::settings::execution_time;
use crate::cli::settings::moment;
use crate::environment::EnvironmentName;
use crate::model::Selector;
use crate::ops;
use crate::ops::OnChange;
use crate::ops::RunReport;
use crate::ops::RunRequest;
use crate::ops::Selection;
use crate::ops::Session;
use crate::plan::RunRange;
use crate::project::Config;
use crate::scheduler::CutShort;

/// Fill what the models' crons call due, with the definitions that were promoted
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Environment to run; `prod` unless the project says otherwise
    #[arg(value_parser = str::parse::<EnvironmentName>)]
    environment: Option<EnvironmentName>,
    /// First day to look at
    #[arg(short, long, value_name = "DATE")]
    start: Option<String>,
    /// Last day to look at (a date counts whole)
    #[arg(short, long, value_name = "DATE")]
    end: Option<String>,
    /// Take this as the current time
    #[arg(long, value_name = "TIME")]
    execution_time: Option<String>,
    /// Fill whole intervals that are over, even if their cron has not fired yet
    #[arg(long)]
    ignore_cron: bool,
    /// Fill only these models and what they read: names, `sales.*`, `tag:nightly`; may be repeated
    #[arg(short = 'm', long = "select-model", value_name = "SELECTOR", value_parser = Selector::parse)]
    select_models: Vec<Selector>,
    /// With --select-model: leave out what the selected models read
    #[arg(long, requires = "select_models")]
    no_auto_upstream: bool,
    /// End with this code when another plan changes the environment, instead of beginning again
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u8).range(1..))]
    exit_on_env_update: Option<u8>,
}

pub(super) async fn run(
    settings: &Settings,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let now = execution_time(args.execution_time.as_deref())?;
    let date = |option: &str, text: &Option<String>| {
        text.as_deref()
            .map(|text| moment(option, text, now))
            .transpose()
    };
    let range = RunRange {
        start: date("--start", &args.start)?,
        end: date("--end", &args.end)?,
        execution_time: now,
        ignore_cron: args.ignore_cron,
    };
    check_order(range.start.as_ref(), range.end.as_ref())?;
    let session = Session::open_config(&settings.session()).await?;
    diagnostics::show_warnings(&session, printer);
    let request = RunRequest {
        environment: args
            .environment
            .clone()
            .unwrap_or_else(|| session.default_environment()),
        range,
        selection: Selection {
            selectors: compared(&session, &args.select_models)?,
            with_upstream: !args.no_auto_upstream,
        },
        on_change: match args.exit_on_env_update {
            Some(_) => OnChange::End,
            None => OnChange::Restart,
        },
    };
    let engine = session.engine().await?;
    let interrupts = Interrupts::watch(printer);
    let command = format!("siding run {}", request.environment);
    let control = interrupts.control(&command, session.config());
    let display = Display::new(printer);
    let report = ops::run(
        engine.as_ref(),
        session.state(),
        &request,
        &control,
        &|progress| display.show(&progress),
    )
    .await;
    drop(display);
    let report = report?;
    show(session.config(), &request, &report, printer)?;
    Ok(match report.outcome.cut_short {
        Some(CutShort::Stopped) => interrupts.ending(),
        Some(CutShort::EnvironmentChanged) => Ending::Code(args.exit_on_env_update.unwrap_or(1)),
        None if report.outcome.is_complete() => Ending::Fine,
        None => Ending::Failed,
    })
}

fn show(
    config: &Config,
    request: &RunRequest,
    report: &RunReport,
    printer: &Printer,
) -> anyhow::Result<()> {
    if printer.format == Format::Json {
        return printer.json(&run_text::json(config, &request.environment, report));
    }
    if !report.restated.is_empty() {
        let names: Vec<String> = report.restated.iter().map(ToString::to_string).collect();
        printer.note(&format!(
            "Filled again by `auto_restatement_cron`, with what reads it: {}.",
            names.join(", ")
        ));
    }
    if !report.outcome.models.is_empty() || !report.outcome.skipped.is_empty() {
        printer.table(&run_text::HEADER, run_text::rows(&report.outcome));
    }
    printer.text(&run_text::summary(&request.environment, report));
    printer.help(report.outcome.failed.iter().map(|(_, error)| error));
    Ok(())
}

//! `siding run`

use serde_json::json;

use crate::cli::Ending;
use crate::cli::diagnostics;
use crate::cli::plan::check_order;
use crate::cli::printer::Printer;
use crate::cli::progress::Display;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::cli::settings::execution_time;
use crate::cli::settings::moment;
use crate::environment::EnvironmentName;
use crate::ops;
use crate::ops::RunReport;
use crate::ops::Session;
use crate::plan::RunRange;

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
    let environment = args
        .environment
        .clone()
        .unwrap_or_else(|| session.default_environment());
    let engine = session.engine().await?;
    let display = Display::new(printer);
    let report = ops::run(
        engine.as_ref(),
        session.state(),
        &environment,
        &range,
        &|progress| display.show(&progress),
    )
    .await;
    drop(display);
    let report = report?;
    let failed = !report.outcome.failed.is_empty() || !report.outcome.skipped.is_empty();
    show(&environment, &report, printer)?;
    Ok(if failed { Ending::Failed } else { Ending::Fine })
}

fn show(
    environment: &EnvironmentName,
    report: &RunReport,
    printer: &Printer,
) -> anyhow::Result<()> {
    let outcome = &report.outcome;
    match printer.format {
        Format::Json => printer.json(&json!({
            "version": 1,
            "environment": environment,
            "due": report.work.iter().map(|work| json!({
                "name": work.name,
                "table": work.table.plain(),
                "intervals": work.ranges.iter().map(|range| (range.start(), range.end())).collect::<Vec<_>>(),
                "batches": work.batches.len(),
            })).collect::<Vec<_>>(),
            "filled": outcome.filled,
            "failed": outcome.failed.iter().map(|(name, error)| json!({"name": name, "error": format!("{error:#}")})).collect::<Vec<_>>(),
            "skipped": outcome.skipped.iter().map(|(name, because)| json!({"name": name, "because": because})).collect::<Vec<_>>(),
            "warnings": outcome.warnings,
        })),
        Format::Text | Format::Markdown | Format::Mermaid => {
            let text = if report.work.is_empty() {
                format!("Nothing is due in `{environment}`.")
            } else if outcome.failed.is_empty() && outcome.skipped.is_empty() {
                format!("Done. Filled {} of `{environment}`.", count(outcome.filled.len()))
            } else {
                format!(
                    "Filled {}, {} failed, {} skipped. What was filled is recorded; run again for the rest.",
                    count(outcome.filled.len()),
                    outcome.failed.len(),
                    outcome.skipped.len()
                )
            };
            printer.text(&text);
            Ok(())
        }
    }
}

fn count(models: usize) -> String {
    if models == 1 {
        "1 model".to_owned()
    } else {
        format!("{models} models")
    }
}

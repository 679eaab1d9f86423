//! `siding check_intervals`

use serde_json::json;

use crate::cli::Ending;
use crate::cli::diagnostics;
use crate::cli::plan::check_order;
use crate::cli::plan_text::range;
use crate::cli::printer::Printer;
use crate::cli::run_text::ranges;
use crate::cli::run_text::waits_json;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::cli::settings::compared;
use crate::cli::settings::execution_time;
use crate::cli::settings::moment;
use crate::environment::EnvironmentName;
use crate::model::Selector;
use crate::ops;
use crate::ops::OnChange;
use crate::ops::RunRequest;
use crate::ops::Selection;
use crate::ops::Session;
use crate::plan::RunRange;

/// Show which intervals of an environment are due and missing; change nothing
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Environment to look at; `prod` unless the project says otherwise
    #[arg(value_parser = str::parse::<EnvironmentName>)]
    environment: Option<EnvironmentName>,
    /// Only these models; may be repeated
    #[arg(short = 'm', long = "select-model", value_name = "SELECTOR", value_parser = Selector::parse)]
    select_models: Vec<Selector>,
    /// First day to look at
    #[arg(short, long, value_name = "DATE")]
    start: Option<String>,
    /// Last day to look at (a date counts whole)
    #[arg(short, long, value_name = "DATE")]
    end: Option<String>,
    /// Take this as the current time
    #[arg(long, value_name = "TIME")]
    execution_time: Option<String>,
    /// Do not ask the models' signals: what waits for one is missing
    #[arg(long)]
    no_signals: bool,
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
    let looked_at = RunRange {
        start: date("--start", &args.start)?,
        end: date("--end", &args.end)?,
        execution_time: now,
        ignore_cron: false,
    };
    check_order(looked_at.start.as_ref(), looked_at.end.as_ref())?;
    let session = Session::open_config(&settings.session()).await?;
    diagnostics::show_warnings(&session, printer);
    let request = RunRequest {
        environment: args
            .environment
            .clone()
            .unwrap_or_else(|| session.default_environment()),
        range: looked_at,
        selection: Selection {
            selectors: compared(&session, &args.select_models)?,
            with_upstream: false,
        },
        on_change: OnChange::End,
    };
    let found = ops::check_intervals(&session, &request, !args.no_signals).await?;
    if printer.format == Format::Json {
        let missing = found.missing.iter().map(|(name, ranges)| {
            let ranges = ranges.iter().map(|range| (range.start(), range.end()));
            json!({"name": name, "intervals": ranges.collect::<Vec<_>>()})
        });
        printer.json(&json!({
            "version": 1,
            "environment": request.environment,
            "complete": found.complete,
            "missing": missing.collect::<Vec<_>>(),
            "waiting": found.waiting.iter().map(waits_json).collect::<Vec<_>>(),
        }))?;
        return Ok(Ending::Fine);
    }
    let mut rows: Vec<Vec<String>> = found
        .missing
        .iter()
        .map(|(name, ranges)| {
            let ranges = ranges
                .iter()
                .map(|missing| range(missing.start(), missing.end()));
            let ranges: Vec<String> = ranges.collect();
            vec![name.to_string(), "missing".to_owned(), ranges.join(", ")]
        })
        .collect();
    rows.extend(found.waiting.iter().map(|(name, wait)| {
        let on = wait.on.to_string().replace('`', "");
        vec![
            name.to_string(),
            format!("waits for {on}"),
            ranges(&wait.ranges),
        ]
    }));
    rows.extend(
        found
            .complete
            .iter()
            .map(|name| vec![name.to_string(), "complete".to_owned(), String::new()]),
    );
    printer.table(&["MODEL", "", "INTERVALS"], rows);
    Ok(Ending::Fine)
}

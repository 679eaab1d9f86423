//! `siding janitor`

use chrono::TimeDelta;
use serde_json::json;

use crate::cli::Ending;
use crate::cli::diagnostics;
use crate::cli::printer::Printer;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::cli::settings::execution_time;
use crate::ops;
use crate::ops::Session;

/// Remove expired environments, and tables that nothing uses
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Remove unused tables whatever their age
    #[arg(long)]
    ignore_ttl: bool,
    /// Take this as the current time
    #[arg(long, value_name = "TIME")]
    execution_time: Option<String>,
}

pub(super) async fn run(
    settings: &Settings,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let now = execution_time(args.execution_time.as_deref())?;
    let session = Session::open_config(&settings.session()).await?;
    diagnostics::show_warnings(&session, printer);
    let time_to_live = if args.ignore_ttl {
        TimeDelta::zero()
    } else {
        session.snapshot_time_to_live(now)
    };
    let engine = session.engine().await?;
    let swept = ops::sweep(engine.as_ref(), session.state(), time_to_live, now).await?;
    if printer.format == Format::Json {
        printer.json(&json!({
            "version": 1,
            "environments": swept.environments,
            "views": swept.views.iter().map(crate::sql::TableName::plain).collect::<Vec<_>>(),
            "tables": swept.tables.iter().map(crate::sql::TableName::plain).collect::<Vec<_>>(),
            "failed": swept.failed.iter().map(|(table, error)| json!({"table": table.plain(), "error": error})).collect::<Vec<_>>(),
        }))?;
    } else {
        let mut lines: Vec<String> = swept
            .environments
            .iter()
            .map(|name| format!("Removed the environment `{name}`."))
            .collect();
        lines.extend(
            swept
                .tables
                .iter()
                .map(|table| format!("Dropped {}.", table.plain())),
        );
        lines.extend(
            swept
                .failed
                .iter()
                .map(|(table, error)| format!("Could not drop {}: {error}", table.plain())),
        );
        if lines.is_empty() {
            lines.push("Nothing to remove.".to_owned());
        }
        printer.text(&lines.join("\n"));
    }
    Ok(if swept.failed.is_empty() {
        Ending::Fine
    } else {
        Ending::Failed
    })
}

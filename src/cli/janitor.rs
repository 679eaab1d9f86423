//! `siding janitor`

use chrono::TimeDelta;
use serde_json::json;

use crate::cli::Ending;
use crate::cli::control::control;
use crate::cli::diagnostics;
use crate::cli::printer::Printer;
use crate::cli::progress::Display;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::cli::settings::execution_time;
use crate::cli::settings::now as real_now;
use crate::environment::EnvironmentName;
use crate::ops;
use crate::ops::Session;
use crate::ops::SweepRequest;
use crate::sql::TableName;

/// Remove expired environments, and tables that nothing uses
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Remove unused tables whatever their age
    #[arg(long)]
    ignore_ttl: bool,
    /// Only this environment, if it has expired, and no tables
    #[arg(long, value_name = "ENV", value_parser = str::parse::<EnvironmentName>)]
    environment: Option<EnvironmentName>,
    /// Say for each object of Siding why it stays or goes; change nothing
    #[arg(long)]
    explain: bool,
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
    let request = SweepRequest {
        time_to_live,
        environment: args.environment.clone(),
        now,
    };
    if args.explain {
        return explain(&session, &request, printer).await;
    }
    let engine = session.engine().await?;
    let control = control("siding janitor", Some(session.config()));
    let display = Display::new(printer);
    let swept = ops::sweep(
        engine.as_ref(),
        session.state(),
        &request,
        &control,
        &|progress| display.show(&progress),
    )
    .await;
    drop(display);
    let swept = swept?;
    let plain = |table: &TableName| ops::plain_name(session.config(), table);
    if printer.format == Format::Json {
        printer.json(&json!({
            "version": 1,
            "environments": swept.environments,
            "views": swept.views.iter().map(plain).collect::<Vec<_>>(),
            "tables": swept.tables.iter().map(plain).collect::<Vec<_>>(),
            "failed": swept.failed.iter().map(|(table, error)| json!({"table": plain(table), "error": error})).collect::<Vec<_>>(),
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
                .map(|table| format!("Dropped {}.", plain(table))),
        );
        lines.extend(
            swept
                .failed
                .iter()
                .map(|(table, error)| format!("Could not drop {}: {error}", plain(table))),
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

async fn explain(
    session: &Session,
    request: &SweepRequest,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let fates = ops::explain(session.state(), request, real_now()).await?;
    let config = session.config();
    if printer.format == Format::Json {
        let objects = fates.iter().map(|fate| {
            let entry = &fate.record.entry;
            json!({
                "object": ops::sql_name(config, &entry.table),
                "kind": entry.kind.name(),
                "model": entry.model,
                "environment": entry.environment,
                "made_by": entry.reason,
                "recorded_at": fate.record.recorded_at,
                "goes": fate.goes,
                "because": fate.because,
            })
        });
        printer.json(&json!({"version": 1, "objects": objects.collect::<Vec<_>>()}))?;
        return Ok(Ending::Fine);
    }
    if fates.is_empty() {
        printer.text("Siding has made nothing that is still there.");
        return Ok(Ending::Fine);
    }
    let rows = fates.into_iter().map(|fate| {
        let entry = fate.record.entry;
        vec![
            if fate.goes { "goes" } else { "stays" }.to_owned(),
            ops::sql_name(config, &entry.table),
            entry.kind.name().to_owned(),
            fate.because,
            entry.reason,
        ]
    });
    printer.table(
        &["", "OBJECT", "KIND", "BECAUSE", "MADE BY"],
        rows.collect(),
    );
    Ok(Ending::Fine)
}

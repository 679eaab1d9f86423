//! `siding invalidate`

use serde_json::json;

use crate::cli::Ending;
use crate::cli::control::control;
use crate::cli::diagnostics;
use crate::cli::printer::Printer;
use crate::cli::progress::Display;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::cli::settings::now;
use crate::environment::EnvironmentName;
use crate::ops;
use crate::ops::Session;
use crate::sql::TableName;

/// Let a development environment expire now; the janitor removes it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Environment that is no longer needed
    #[arg(value_parser = str::parse::<EnvironmentName>)]
    environment: EnvironmentName,
    /// Remove it at once instead of leaving it to the janitor
    #[arg(short, long)]
    sync: bool,
}

pub(super) async fn run(
    settings: &Settings,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let session = Session::open_config(&settings.session()).await?;
    diagnostics::show_warnings(&session, printer);
    ops::invalidate(session.state(), &args.environment, now()).await?;
    let mut removed = None;
    if args.sync {
        let engine = session.engine().await?;
        let command = format!("siding invalidate {}", args.environment);
        let display = Display::new(printer);
        let views = ops::drop_environment(
            engine.as_ref(),
            session.state(),
            &args.environment,
            now(),
            &control(&command, Some(session.config())),
            &|progress| display.show(&progress),
        )
        .await?;
        removed = Some(views);
    }
    if printer.format == Format::Json {
        let views = removed.map(|views| views.iter().map(TableName::plain).collect::<Vec<_>>());
        printer.json(&json!({
            "version": 1,
            "environment": args.environment,
            "removed": views.is_some(),
            "views": views.unwrap_or_default(),
        }))?;
        return Ok(Ending::Fine);
    }
    printer.text(&match removed {
        Some(views) => format!(
            "Removed `{}` and its {} views.",
            args.environment,
            views.len()
        ),
        None => format!(
            "`{}` has expired; the next `siding janitor` removes it.",
            args.environment
        ),
    });
    Ok(Ending::Fine)
}

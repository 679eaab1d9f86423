//! `siding info`

use serde_json::json;

use crate::cli::Ending;
use crate::cli::diagnostics;
use crate::cli::printer::Printer;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::ops::Session;

/// Show what the project holds and whether its databases answer
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Do not connect to the warehouse
    #[arg(long)]
    skip_connection: bool,
}

pub(super) async fn run(
    settings: &Settings,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let session = Session::open(&settings.session()).await?;
    diagnostics::show_warnings(&session, printer);
    let warehouse = if args.skip_connection {
        None
    } else {
        Some(match session.engine().await {
            Ok(engine) => engine
                .query("SELECT 1")
                .await
                .map(|_| ())
                .map_err(|error| error.to_string()),
            Err(error) => Err(format!("{error:#}")),
        })
    };
    let environments = session.state().environments().await?.len();
    let failed = warehouse.as_ref().is_some_and(Result::is_err);
    match printer.format {
        Format::Json => printer.json(&json!({
            "version": 1,
            "siding": env!("CARGO_PKG_VERSION"),
            "project": session.config().project,
            "gateway": session.config().selected_gateway,
            "models": session.models().len(),
            "environments": environments,
            "warehouse": match &warehouse {
                None => json!("skipped"),
                Some(Ok(())) => json!("ok"),
                Some(Err(error)) => json!({"error": error}),
            },
        }))?,
        Format::Text | Format::Markdown | Format::Mermaid => {
            let warehouse = match &warehouse {
                None => "not asked".to_owned(),
                Some(Ok(())) => "answers".to_owned(),
                Some(Err(error)) => format!("does not answer: {error}"),
            };
            printer.text(&format!(
                "Siding {}\nProject: {}\nGateway: {}\nModels: {}\nEnvironments: {environments}\nState: {}\nWarehouse: {} ({warehouse})",
                env!("CARGO_PKG_VERSION"),
                if session.config().project.is_empty() { "(no name)" } else { session.config().project.as_str() },
                if session.config().selected_gateway.is_empty() { "(no name)" } else { session.config().selected_gateway.as_str() },
                session.models().len(),
                session.state().place(),
                session.warehouse(),
            ));
        }
    }
    Ok(if failed { Ending::Failed } else { Ending::Fine })
}

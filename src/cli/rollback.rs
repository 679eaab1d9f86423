//! `siding rollback`

use serde_json::json;

use crate::cli::Ending;
use crate::cli::control::Interrupts;
use crate::cli::diagnostics;
use crate::cli::plan_text::range;
use crate::cli::printer::Printer;
use crate::cli::progress::Display;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::cli::settings::now;
use crate::cli::settings::user;
use crate::environment::EnvironmentName;
use crate::ops;
use crate::ops::Behind;
use crate::ops::RollbackRequest;
use crate::ops::Session;

/// Switch an environment's views back to what an earlier plan had promoted
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Environment to switch back
    #[arg(value_parser = str::parse::<EnvironmentName>)]
    environment: EnvironmentName,
    /// Plan to go back to (the start of its id is enough); by default the one before what is shown
    #[arg(long, value_name = "PLAN")]
    to: Option<String>,
}

pub(super) async fn run(
    settings: &Settings,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let session = Session::open_config(&settings.session()).await?;
    diagnostics::show_warnings(&session, printer);
    let engine = session.engine().await?;
    let interrupts = Interrupts::watch(printer);
    let command = format!("siding rollback {}", args.environment);
    let control = interrupts.control(&command, session.config());
    let request = RollbackRequest {
        environment: &args.environment,
        to: args.to.as_deref(),
        actor: &user(),
        now: now(),
    };
    let display = Display::new(printer);
    let done = ops::rollback(
        engine.as_ref(),
        session.state(),
        &request,
        &control,
        &|progress| display.show(&progress),
    )
    .await;
    drop(display);
    let done = done?;
    if printer.format == Format::Json {
        printer.json(&json!({
            "version": 1,
            "environment": args.environment,
            "from": done.from,
            "to": done.to,
            "plan_id": done.plan_id,
            "views_switched": done.switched.created,
            "views_dropped": done.switched.dropped,
            "not_undone": done.not_undone,
            "behind": done.behind.iter().map(behind_json).collect::<Vec<_>>(),
        }))?;
        return Ok(Ending::Fine);
    }
    if !done.not_undone.is_empty() {
        let names: Vec<String> = done
            .not_undone
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        printer.note(&format!(
            "warning: {} keep their tables, whose rows are in part of the definition that was rolled back: a forward-only \
             change is not undone by a switch. Restate them to get the rows of the definition that is shown now.",
            names.join(", ")
        ));
    }
    for behind in &done.behind {
        printer.note(&behind_text(behind));
    }
    printer.text(&format!(
        "`{}` shows again what plan {} had promoted ({} views switched, {} dropped). What was due since is filled by the next \
         `siding run`. The project's files are as they were: a new plan would promote them again.",
        args.environment,
        done.to,
        done.switched.created,
        done.switched.dropped
    ));
    Ok(Ending::Fine)
}

fn behind_json(behind: &Behind) -> serde_json::Value {
    let lacks = behind.lacks.iter();
    let lacks: Vec<_> = lacks.map(|range| (range.start(), range.end())).collect();
    json!({"name": behind.name, "lacks": lacks, "is_history": behind.is_history})
}

fn behind_text(behind: &Behind) -> String {
    let name = &behind.name;
    let lacks: Vec<String> = behind
        .lacks
        .iter()
        .map(|lacked| range(lacked.start(), lacked.end()))
        .collect();
    let lacks = lacks.join(", ");
    if behind.is_history {
        format!(
            "warning: `{name}` shows a table that lacks {lacks}. The next `siding run` fills it from what its source holds then: \
             what came and went meanwhile is only in the table that was shown before."
        )
    } else {
        format!(
            "warning: `{name}` shows a table that lacks {lacks}; the next `siding run` fills it."
        )
    }
}

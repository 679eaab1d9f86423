//! `siding destroy`

use serde_json::json;

use crate::cli::Ending;
use crate::cli::Usage;
use crate::cli::control::control;
use crate::cli::diagnostics;
use crate::cli::printer::Printer;
use crate::cli::progress::Display;
use crate::cli::prompt::confirm;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::cli::settings::now;
use crate::ops;
use crate::ops::Session;
use crate::sql::TableName;

/// Remove everything that Siding has made in the warehouse, production too, and nothing else
///
/// The state stays, emptied: processes that still run must find out that nothing is theirs any more. Where Siding is not to be used
/// again, delete its file or drop its schema by hand.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Most objects that are listed before the question.
const MOST_LISTED: usize = 20;

pub(super) async fn run(
    settings: &Settings,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let session = Session::open_config(&settings.session()).await?;
    diagnostics::show_warnings(&session, printer);
    let plain = |table: &TableName| ops::plain_name(session.config(), table);
    let doomed = ops::doomed(session.state()).await?;
    if !args.yes {
        if !printer.is_interactive() {
            return Err(Usage("destroying everything needs --yes here".to_owned()).into());
        }
        let mut lines = vec![format!("{} objects go:", doomed.len())];
        let listed = doomed.iter().take(MOST_LISTED);
        lines.extend(listed.map(|(table, kind)| format!("  {} {}", kind.name(), plain(table))));
        if doomed.len() > MOST_LISTED {
            lines.push(format!("  and {} more", doomed.len() - MOST_LISTED));
        }
        printer.note(&lines.join("\n"));
        if !confirm(printer, "Remove all of this, and the record of it?") {
            printer.note("Nothing was removed.");
            return Ok(Ending::Failed);
        }
    }
    let engine = session.engine().await?;
    let control = control("siding destroy", Some(session.config()));
    let display = Display::new(printer);
    let destroyed = ops::destroy(
        engine.as_ref(),
        session.state(),
        now(),
        &control,
        &|progress| display.show(&progress),
    )
    .await;
    drop(display);
    let destroyed = destroyed?;
    if printer.format == Format::Json {
        let failed = destroyed.failed.iter();
        printer.json(&json!({
            "version": 1,
            "dropped": destroyed.dropped.iter().map(plain).collect::<Vec<_>>(),
            "kept": destroyed.kept.iter().map(|(schema, other)| json!({"schema": plain(schema), "because_of": plain(other)})).collect::<Vec<_>>(),
            "failed": failed.map(|(table, error)| json!({"object": plain(table), "error": error})).collect::<Vec<_>>(),
        }))?;
    } else {
        let mut lines = vec![format!("Removed {} objects.", destroyed.dropped.len())];
        let failed = destroyed.failed.iter();
        lines.extend(
            failed.map(|(table, error)| format!("Could not drop {}: {error}", plain(table))),
        );
        lines.extend(destroyed.kept.iter().map(|(schema, other)| {
            format!(
                "Kept the schema {}: {} in it is not Siding's.",
                plain(schema),
                plain(other)
            )
        }));
        lines.push(if destroyed.failed.is_empty() {
            "The state is empty; its file or schema stays until you delete it.".to_owned()
        } else {
            "What is left stays in the record; mend what is in the way and run `siding destroy` again. Until then nothing else \
             is planned or run."
                .to_owned()
        });
        printer.text(&lines.join("\n"));
    }
    Ok(if destroyed.failed.is_empty() {
        Ending::Fine
    } else {
        Ending::Failed
    })
}

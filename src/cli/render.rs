//! `siding render`

use serde_json::json;

use crate::cli::Ending;
use crate::cli::diagnostics;
use crate::cli::plan::check_order;
use crate::cli::printer::Printer;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::cli::settings::execution_time;
use crate::cli::settings::moment;
use crate::ops;
use crate::ops::Session;

/// Show the SQL that a model's query becomes
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Model to render
    model: String,
    /// First day that the query sees
    #[arg(short, long, value_name = "DATE", default_value = "1970-01-01")]
    start: String,
    /// Last day that the query sees (a date counts whole)
    #[arg(short, long, value_name = "DATE", default_value = "1970-01-01")]
    end: String,
    /// Take this as the current time
    #[arg(long, value_name = "TIME", default_value = "1970-01-01")]
    execution_time: String,
}

pub(super) async fn run(
    settings: &Settings,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let now = execution_time(Some(&args.execution_time))?;
    let start = moment("--start", &args.start, now)?;
    let end = moment("--end", &args.end, now)?;
    check_order(Some(&start), Some(&end))?;
    let session = Session::open(&settings.session()).await?;
    diagnostics::show_warnings(&session, printer);
    let sql = ops::render(
        session.candidates(),
        &args.model,
        (start.as_start(), end.as_end()),
        now,
    )?;
    match printer.format {
        Format::Json => printer.json(&json!({"version": 1, "model": args.model, "sql": sql}))?,
        Format::Text | Format::Mermaid => printer.text(&sql),
        Format::Markdown => printer.text(&format!("```sql\n{sql}\n```")),
    }
    Ok(Ending::Fine)
}

//! `siding table_diff`

use anyhow::Context;
use serde_json::json;

use crate::cli::Ending;
use crate::cli::Usage;
use crate::cli::diagnostics;
use crate::cli::printer::Printer;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::ops;
use crate::ops::Session;
use crate::ops::TableDiff;
use crate::ops::TableDiffRequest;
use crate::sql::TableName;

/// Compare two tables, or one model in two environments: columns, keys, and how often each column agrees
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Two tables, or with MODEL two environments: `db.a:db.b`, `prod:dev`
    #[arg(value_name = "SOURCE:TARGET")]
    sides: String,
    /// Model to compare in the two environments
    #[arg(value_parser = str::parse::<ModelName>)]
    model: Option<ModelName>,
    /// Column that identifies a row; may be repeated. The model's grain unless given
    #[arg(short, long = "on", value_name = "COLUMN")]
    on: Vec<String>,
    /// Only rows for which this SQL holds
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// Column that is not compared; may be repeated
    #[arg(short, long, value_name = "COLUMN")]
    skip_columns: Vec<String>,
    /// Digits after the point to which floats are rounded
    #[arg(long, default_value_t = 3, value_name = "DIGITS")]
    decimals: u32,
    /// Show rows that differ
    #[arg(long)]
    show_sample: bool,
    /// How many rows of each kind to show
    #[arg(long, default_value_t = 20, value_name = "ROWS")]
    limit: usize,
}

pub(super) async fn run(
    settings: &Settings,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let session = Session::open_config(&settings.session()).await?;
    diagnostics::show_warnings(&session, printer);
    let (source, target) = args.sides.split_once(':').ok_or_else(|| {
        Usage(format!(
            "`{}` does not name two sides; write SOURCE:TARGET",
            args.sides
        ))
    })?;
    let mut on = args.on.clone();
    let (source, target) = match &args.model {
        None => (table(source)?, table(target)?),
        Some(model) => {
            let (source, _) = shown(&session, source, model).await?;
            let (target, grain) = shown(&session, target, model).await?;
            if on.is_empty() {
                on = grain;
            }
            (source, target)
        }
    };
    if on.is_empty() {
        let message = "nothing says which columns identify a row; name them with --on, or give the model a `grain`";
        return Err(Usage(message.to_owned()).into());
    }
    let request = TableDiffRequest {
        source,
        target,
        on,
        condition: args.condition.clone(),
        skipped: args.skip_columns.clone(),
        decimals: args.decimals,
        samples: if args.show_sample { args.limit } else { 0 },
    };
    let engine = session.engine().await?;
    let diff = ops::table_diff(engine.as_ref(), &request).await?;
    if printer.format == Format::Json {
        printer.json(&as_json(&request, &diff))?;
    } else {
        show(&request, &diff, printer);
    }
    Ok(Ending::Fine)
}

fn table(text: &str) -> anyhow::Result<TableName> {
    let name: ModelName = text
        .parse()
        .map_err(|_| Usage(format!("`{text}` is no name of a table")))?;
    Ok(name.table_name())
}

/// What an environment shows for `model`, and the model's grain.
async fn shown(
    session: &Session,
    environment: &str,
    model: &ModelName,
) -> anyhow::Result<(TableName, Vec<String>)> {
    let name: EnvironmentName = environment
        .parse()
        .map_err(|error| Usage(format!("`{environment}`: {error}")))?;
    let state = session.state();
    let found = state.environment(&name).await?;
    let found = found.with_context(|| {
        format!("there is no environment `{name}`; `siding environments` lists them")
    })?;
    let entry = found
        .snapshots
        .iter()
        .find(|entry| entry.id.name == *model)
        .with_context(|| format!("`{name}` has no model `{model}`"))?;
    let table = entry
        .table
        .clone()
        .with_context(|| format!("`{model}` is embedded: it has no rows of its own"))?;
    let snapshots = state.snapshots(std::slice::from_ref(&entry.id)).await?;
    let grain = snapshots
        .first()
        .and_then(|snapshot| snapshot.model.grains.first().cloned())
        .unwrap_or_default();
    Ok((table, grain))
}

fn as_json(request: &TableDiffRequest, diff: &TableDiff) -> serde_json::Value {
    let typed = |columns: &[(String, String)]| -> Vec<serde_json::Value> {
        let columns = columns.iter();
        columns
            .map(|(name, data_type)| json!({"name": name, "type": data_type}))
            .collect()
    };
    let retyped = diff
        .retyped
        .iter()
        .map(|(name, before, after)| json!({"name": name, "before": before, "after": after}));
    let columns = diff
        .columns
        .iter()
        .map(|(name, agree)| json!({"name": name, "equal": agree}));
    json!({
        "version": 1,
        "source": request.source.plain(),
        "target": request.target.plain(),
        "on": request.on,
        "same": diff.is_same(),
        "columns_added": typed(&diff.added),
        "columns_removed": typed(&diff.removed),
        "columns_changed": retyped.collect::<Vec<_>>(),
        "source_rows": diff.source_rows,
        "target_rows": diff.target_rows,
        "joined": diff.joined,
        "equal": diff.equal,
        "source_only": diff.source_only,
        "target_only": diff.target_only,
        "ambiguous_keys": diff.ambiguous,
        "null_keys": diff.null_keys,
        "columns": columns.collect::<Vec<_>>(),
        "samples": diff.samples,
    })
}

fn show(request: &TableDiffRequest, diff: &TableDiff, printer: &Printer) {
    let mut lines = vec![format!(
        "{} compared with {}, joined on {}:",
        request.source.plain(),
        request.target.plain(),
        request.on.join(", ")
    )];
    for (name, data_type) in &diff.added {
        lines.push(format!("  + {name} {data_type}"));
    }
    for (name, data_type) in &diff.removed {
        lines.push(format!("  - {name} {data_type}"));
    }
    for (name, before, after) in &diff.retyped {
        lines.push(format!("  ~ {name} {before} → {after}"));
    }
    lines.push(format!(
        "  {} rows against {}; {} joined, of which {} are equal; {} only in the source, {} only in the target",
        diff.source_rows, diff.target_rows, diff.joined, diff.equal, diff.source_only, diff.target_only
    ));
    if diff.ambiguous > 0 {
        lines.push(format!(
            "  {} keys have several rows on a side and were not compared",
            diff.ambiguous
        ));
    }
    if diff.null_keys > 0 {
        lines.push(format!("  {} keys hold a NULL", diff.null_keys));
    }
    printer.text(&lines.join("\n"));
    if !diff.columns.is_empty() {
        let rows = diff.columns.iter().map(|(name, agree)| {
            vec![
                name.clone(),
                agree.to_string(),
                percent(*agree, diff.joined),
            ]
        });
        printer.table(&["COLUMN", "EQUAL", "OF JOINED"], rows.collect());
    }
    if let Some(first) = diff.samples.first() {
        let header: Vec<&str> = first.keys().map(String::as_str).collect();
        let rows = diff.samples.iter().map(|sample| {
            let values = sample.values();
            values
                .map(|value| value.clone().unwrap_or_else(|| "NULL".to_owned()))
                .collect()
        });
        printer.table(&header, rows.collect());
    }
}

/// `99.9 %`; never rounded up to all.
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    let tenths = u128::from(part) * 1_000 / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

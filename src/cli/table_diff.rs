//! `siding table_diff`

use std::time::Duration;

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
        None => {
            check_tables(&session, source, target).await?;
            (Side::table(source)?, Side::table(target)?)
        }
        Some(model) => {
            let (source, _) = shown(&session, source, model).await?;
            let (target, grain) = shown(&session, target, model).await?;
            if on.is_empty() {
                on = grain;
            }
            (source, target)
        }
    };
    let names = [source.name, target.name];
    if on.is_empty() {
        let message = "nothing says which columns identify a row; name them with --on, or give the model a `grain`";
        return Err(Usage(message.to_owned()).into());
    }
    let request = TableDiffRequest {
        source: source.table,
        target: target.table,
        on,
        condition: args.condition.clone(),
        skipped: args.skip_columns.clone(),
        decimals: args.decimals,
        samples: if args.show_sample { args.limit } else { 0 },
    };
    let engine = session.engine().await?;
    let mut comparison = std::pin::pin!(ops::table_diff(engine.as_ref(), &request));
    let mut waited = Duration::ZERO;
    let diff = loop {
        let pause = if waited.is_zero() {
            PATIENCE
        } else {
            PATIENCE * 10
        };
        if let Ok(diff) = tokio::time::timeout(pause, &mut comparison).await {
            break diff?;
        }
        waited += pause;
        let [source, target] = &names;
        printer.note(&format!(
            "comparing {source} with {target} for {} s: the warehouse reads all rows of both",
            waited.as_secs()
        ));
    };
    if printer.format == Format::Json {
        printer.json(&as_json(&request, &names, &diff))?;
    } else {
        show(&request, &names, &diff, printer);
    }
    Ok(Ending::Fine)
}

/// How long somebody waits before there is a word, and a tenth of the time between two words.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is compared, and what it is called.
struct Side {
    table: TableName,
    name: String,
}

impl Side {
    fn table(text: &str) -> anyhow::Result<Self> {
        let name: ModelName = text
            .parse()
            .map_err(|_| Usage(format!("`{text}` is no name of a table")))?;
        let table = name.table_name();
        let name = table.plain();
        Ok(Self { table, name })
    }
}

/// Fails where both sides are environments: then a model is missing.
async fn check_tables(session: &Session, source: &str, target: &str) -> anyhow::Result<()> {
    for side in [source, target] {
        let Ok(name) = side.parse::<EnvironmentName>() else {
            return Ok(());
        };
        if name.as_str() != side || session.state().environment(&name).await?.is_none() {
            return Ok(());
        }
    }
    let message = format!(
        "`{source}` and `{target}` are environments; name the model to compare: siding table_diff {source}:{target} MODEL"
    );
    Err(Usage(message).into())
}

/// What an environment shows for `model`, and the model's grain.
async fn shown(
    session: &Session,
    environment: &str,
    model: &ModelName,
) -> anyhow::Result<(Side, Vec<String>)> {
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
    let shown = entry.view.then(|| found.view(model).plain());
    let name = shown.unwrap_or_else(|| format!("{model} of {name}"));
    Ok((Side { table, name }, grain))
}

fn as_json(request: &TableDiffRequest, names: &[String; 2], diff: &TableDiff) -> serde_json::Value {
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
        "source": names[0],
        "target": names[1],
        "source_table": request.source.plain(),
        "target_table": request.target.plain(),
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

fn show(request: &TableDiffRequest, names: &[String; 2], diff: &TableDiff, printer: &Printer) {
    let mut lines = vec![format!(
        "{} compared with {}, joined on {}:",
        names[0],
        names[1],
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
        lines.push(match diff.ambiguous {
            1 => "  1 key has several rows on a side and was not compared".to_owned(),
            keys => format!("  {keys} keys have several rows on a side and were not compared"),
        });
    }
    if diff.null_keys > 0 {
        lines.push(match diff.null_keys {
            1 => "  1 key holds a NULL".to_owned(),
            keys => format!("  {keys} keys hold a NULL"),
        });
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

//! Run a model's audits on its rows.

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::engine::EngineError;
use crate::engine::Rows;
use crate::model::Model;
use crate::model::ModelName;
use crate::scheduler::Scope;
use crate::scheduler::materialize::time_condition;
use crate::snapshot::Interval;
use crate::sql::TableName;

/// What an audit's query calls the rows of one batch.
const THIS_MODEL: &str = "\"_siding_this_model\"";

/// A blocking audit found rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("audit `{audit}` of `{model}` found {rows} bad rows{}", range_text(.range))]
pub struct AuditFailure {
    /// Whose rows.
    pub model: ModelName,
    /// Which audit, with its arguments.
    pub audit: String,
    /// How many rows it found.
    pub rows: u64,
    /// Which interval was checked; `None` means the whole table.
    pub range: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

fn range_text(range: &Option<(DateTime<Utc>, DateTime<Utc>)>) -> String {
    range.map_or_else(String::new, |(start, end)| {
        format!(
            " in [{}, {})",
            start.format("%Y-%m-%dT%H:%M:%SZ"),
            end.format("%Y-%m-%dT%H:%M:%SZ")
        )
    })
}

/// What the audits of one batch said.
#[derive(Clone, Debug, Default)]
pub(super) struct Audited {
    /// How many passed.
    pub(super) passed: usize,
    /// Failures that do not block, one sentence each.
    pub(super) warnings: Vec<String>,
}

/// Which rows of a table to audit.
pub(super) struct Subject<'a> {
    /// Where they are.
    pub(super) engine: &'a dyn EngineAdapter,
    /// The table.
    pub(super) table: &'a TableName,
    /// Only rows of this interval, for models with a time column.
    pub(super) range: Option<Interval>,
    /// Type of the time column, as the engine names it.
    pub(super) time_type: Option<&'a str>,
}

/// Runs the audits of `model` through `query`, in the order declared. `query` runs queries up to the first that fails.
///
/// # Errors
/// [`AuditFailure`] when a blocking audit finds rows; other errors when an audit cannot be rendered or run.
pub(super) async fn run_audits<Q>(
    scope: &Scope<'_>,
    model: &Model,
    subject: &Subject<'_>,
    mut query: Q,
) -> anyhow::Result<Audited>
where
    Q: AsyncFnMut(&[String]) -> (Vec<Rows>, Result<(), EngineError>),
{
    let mut audited = Audited::default();
    let time_column = model.kind.time_column();
    let range = subject.range.filter(|_| time_column.is_some());
    // By a name, which may stand wherever a table may, with an alias or without: not every engine takes a query there.
    let mut named = String::new();
    let rows_of = match (time_column, range) {
        (Some(time_column), Some(range)) => {
            let condition = time_condition(subject.engine, time_column, subject.time_type, range)?;
            named = format!(
                "WITH {THIS_MODEL} AS (SELECT * FROM {} WHERE {condition}) ",
                subject.table
            );
            THIS_MODEL.to_owned()
        }
        _ => subject.table.to_string(),
    };
    let counts = model.audits.iter().map(|audit| {
        let sql = scope.audit(&audit.query, model, subject.range, rows_of.clone());
        let sql =
            sql.with_context(|| format!("rendering audit `{}` of `{}`", audit.name, model.name))?;
        let sql = sql.trim_end().trim_end_matches(';');
        Ok(format!("{named}SELECT COUNT(*) FROM ({sql}) AS audit"))
    });
    let counts: Vec<String> = counts.collect::<anyhow::Result<_>>()?;
    if counts.is_empty() {
        return Ok(audited);
    }
    let (answers, ended) = query(&counts).await;
    let mut answers = answers.into_iter();
    let mut error = ended.err();
    for audit in &model.audits {
        let Some(rows) = answers.next() else {
            let error = error
                .take()
                .map_or_else(|| anyhow::anyhow!("it gave no answer"), anyhow::Error::from);
            return Err(error.context(format!(
                "running audit `{}` of `{}`",
                audit.name, model.name
            )));
        };
        let rows = rows
            .single_u64()
            .context("an audit's count is one number")?;
        if rows == 0 {
            audited.passed += 1;
            continue;
        }
        let arguments: Vec<_> = audit
            .arguments
            .iter()
            .map(|(name, value)| format!("{name} := {value}"))
            .collect();
        let failure = AuditFailure {
            model: model.name.clone(),
            audit: format!("{}({})", audit.name, arguments.join(", ")),
            rows,
            range: range.map(|range| (range.start(), range.end())),
        };
        if audit.blocking {
            return Err(failure.into());
        }
        audited.warnings.push(failure.to_string());
    }
    Ok(audited)
}

/// Runs the audits of `model` on the rows of `table` that `range` holds, or on all of them where there is no time
/// column; the failures that do not block come back.
///
/// # Errors
/// [`AuditFailure`] when a blocking audit finds rows; other errors when an audit cannot be rendered or run.
pub async fn audit_table(
    engine: &dyn EngineAdapter,
    scope: &Scope<'_>,
    model: &Model,
    table: &TableName,
    range: Option<Interval>,
) -> anyhow::Result<Vec<String>> {
    let mut time_type = None;
    if let Some(time_column) = model.kind.time_column() {
        let columns = engine.columns(table).await?.unwrap_or_default();
        let stored = engine.stored_name(&time_column.column);
        time_type = columns
            .into_iter()
            .find(|column| column.name.eq_ignore_ascii_case(&stored))
            .map(|column| column.data_type);
    }
    let subject = Subject {
        engine,
        table,
        range,
        time_type: time_type.as_deref(),
    };
    let query = async |counts: &[String]| {
        let mut answers = Vec::new();
        for sql in counts {
            match engine.query(sql).await {
                Ok(rows) => answers.push(rows),
                Err(error) => return (answers, Err(error)),
            }
        }
        (answers, Ok(()))
    };
    let audited = run_audits(scope, model, &subject, query).await?;
    Ok(audited.warnings)
}

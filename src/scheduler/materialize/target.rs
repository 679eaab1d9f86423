//! The table that batches are written into, and its columns.

use std::sync::OnceLock;

use anyhow::Context;

use crate::engine::EngineColumn;
use crate::model::ModelKind;
use crate::model::OnChange;
use crate::model::TimeColumn;
use crate::scheduler::believed::Believed;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::describe;
use crate::scheduler::materialize::fits;
use crate::scheduler::materialize::store;
use crate::scheduler::materialize::widened;
use crate::snapshot::Interval;
use crate::sql::quote_identifier;

/// The table of a batch, which is there.
pub(super) struct Target {
    /// Its columns in order.
    pub(super) columns: Vec<EngineColumn>,
    /// The column that says when, for models by time range.
    pub(super) time: Option<TargetTime>,
}

/// What batches found out about a table that others of the same filling need not ask.
#[derive(Default)]
pub(crate) struct Known {
    /// Its columns, once it is there. Whoever holds the table is the only one to change them, and does so between fillings;
    /// statements of the model itself might, so for models with some nothing is kept.
    columns: OnceLock<Vec<EngineColumn>>,
    /// That its types hold what the query gives.
    fits: OnceLock<()>,
    /// That nobody who had the table before is writing it any more.
    pub(super) is_alone: OnceLock<()>,
    /// That this process holds the table.
    pub(in crate::scheduler) held: Believed,
}

/// The time column as the engine has it.
pub(super) struct TargetTime {
    /// In the engine's own words.
    pub(super) data_type: String,
    /// The batch's range, widened to what the column can tell apart.
    pub(super) range: Interval,
}

impl Known {
    /// Whether each of `ranges` has rows of its own, for a time column that may not tell all of them apart: then batches of
    /// them may be written at the same time.
    pub(in crate::scheduler) fn tells_apart(
        &self,
        column: &TimeColumn,
        ranges: &[Interval],
    ) -> bool {
        let known = self.columns.get().into_iter().flatten();
        let mut known = known.filter(|known| known.name.eq_ignore_ascii_case(&column.column));
        // Where its type is not known, it may be one of these.
        let types = known
            .next()
            .map_or_else(|| vec!["DATE", "TEXT"], |known| vec![&*known.data_type]);
        ranges.iter().all(|range| {
            let mut types = types.iter();
            types.all(|data_type| widened(column, data_type, *range) == *range)
        })
    }
}

impl Target {
    /// The batch's table; an empty one is made where there is none.
    ///
    /// It comes first, in a statement of its own: its column types decide how values are compared.
    pub(super) async fn of(batch: &Batch<'_>) -> anyhow::Result<Self> {
        let mut columns = columns_of(batch).await?;
        let may_lack = batch.model.policy.on_destructive_change == OnChange::Ignore;
        if may_lack && batch.model.statements.before.is_empty() && !batch.model.reads_itself {
            // The table may keep columns that the query has no longer.
            let mut given = batch.engine.validate(&batch.query()?).await?;
            with_times(batch, &mut given)?;
            columns.retain(|column| {
                let mut given = given.iter();
                given.any(|known| known.name.eq_ignore_ascii_case(&column.name))
            });
        }
        let mut target = Self {
            columns,
            time: None,
        };
        if let Some(time_column) = batch.model.kind.time_column() {
            let column = target.column(batch, &time_column.column).with_context(|| {
                format!(
                    "the time column `{}` of `{}` is not among the columns of its query",
                    time_column.column, batch.model.name
                )
            })?;
            let data_type = column.data_type.clone();
            check_time(batch, time_column, &data_type)?;
            let range = widened(time_column, &data_type, batch.range);
            target.time = Some(TargetTime { data_type, range });
        }
        Ok(target)
    }

    /// Its column with this name.
    pub(super) fn column(&self, batch: &Batch<'_>, name: &str) -> Option<&EngineColumn> {
        let stored = batch.engine.stored_name(name);
        self.columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(&stored))
    }

    /// The names of its columns.
    pub(super) fn names(&self) -> Vec<String> {
        self.columns
            .iter()
            .map(|column| column.name.clone())
            .collect()
    }

    /// `query` with exactly its columns, in its order.
    pub(super) fn select(&self, query: &str) -> String {
        select(&self.names(), query)
    }
}

/// The columns of the batch's table, which is made where there is none.
async fn columns_of(batch: &Batch<'_>) -> anyhow::Result<Vec<EngineColumn>> {
    let known = &batch.known.columns;
    if let Some(columns) = known.get() {
        return Ok(columns.clone());
    }
    let columns = match batch.engine.columns(batch.table).await? {
        Some(columns) => {
            check_types(batch, &columns).await?;
            columns
        }
        None => create(batch).await?,
    };
    if !batch.model.statements.surround_query() {
        known.get_or_init(|| columns.clone());
    }
    Ok(columns)
}

/// Fails when the query gives other types than when the table was made, and writing its rows would change values: what it
/// reads belongs to somebody else, who may change it at any time. Asked once for each filling.
async fn check_types(batch: &Batch<'_>, there: &[EngineColumn]) -> anyhow::Result<()> {
    let (model, policy) = (batch.model, &batch.model.policy);
    let changes = [policy.on_destructive_change, policy.on_additive_change];
    // Who says so wants the table as it is.
    let is_ignored = changes.contains(&OnChange::Ignore);
    let mut declared = model.columns.iter().flatten();
    let is_cast = model.columns.is_some() && declared.all(|column| column.data_type.is_some());
    if is_ignored || is_cast || model.reads_itself || batch.known.fits.get().is_some() {
        return Ok(());
    }
    let mut given = match batch.engine.validate(&batch.query()?).await {
        Ok(given) => given,
        // It may read what only those statements make.
        Err(_) if !model.statements.before.is_empty() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    with_times(batch, &mut given)?;
    fits::check(batch, there, &given)?;
    batch.known.fits.get_or_init(|| ());
    Ok(())
}

/// Whether a column of this type can hold times as the model says.
fn check_time(batch: &Batch<'_>, column: &TimeColumn, data_type: &str) -> anyhow::Result<()> {
    let name = &batch.model.name;
    let upper = data_type.to_ascii_uppercase();
    let is = |words: &[&str]| words.iter().any(|word| upper.starts_with(word));
    if is(&[
        "DATE",
        "TIMESTAMP",
        "VARCHAR",
        "TEXT",
        "CHAR",
        "STRING",
        "BPCHAR",
        "NVARCHAR",
    ]) {
        return Ok(());
    }
    let numbers = [
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "DECIMAL",
        "NUMERIC",
        "NUMBER",
        "DOUBLE",
        "FLOAT",
        "REAL",
    ];
    anyhow::ensure!(
        is(&numbers),
        "the time column `{}` of `{name}` is {data_type}, which says no time; \
         take a column of days or timestamps, or of texts or numbers in the format of the time column",
        column.column
    );
    let written = column.format(chrono::DateTime::UNIX_EPOCH);
    anyhow::ensure!(
        written.bytes().all(|byte| byte.is_ascii_digit()),
        "the time column `{}` of `{name}` is {data_type}, but its format `{}` gives no number; \
         write `time_column ({}, '%Y%m%d')`, as its numbers are",
        column.column,
        column.format,
        column.column
    );
    Ok(())
}

/// `query` with exactly these columns, in this order.
pub(super) fn select(names: &[String], query: &str) -> String {
    let names: Vec<String> = names.iter().map(|name| quote_identifier(name)).collect();
    format!("SELECT {} FROM (\n{query}\n) AS _siding", names.join(", "))
}

/// Makes the empty table unless it is there, and returns its columns.
pub(super) async fn create(batch: &Batch<'_>) -> anyhow::Result<Vec<EngineColumn>> {
    if batch.model.reads_itself {
        create_as_declared(batch).await?;
    } else if batch.model.statements.before.is_empty() {
        let mut columns = batch.engine.validate(&batch.query()?).await?;
        with_times(batch, &mut columns)?;
        let statement = batch.engine.create_table_if_absent(batch.table, &columns);
        create_by(batch, &statement).await?;
    } else {
        // Only after these statements does the engine know what the query reads.
        let mut transaction = batch.engine.begin().await?;
        batch
            .run(&batch.model.statements.before, transaction.as_mut())
            .await?;
        let query = with_times_selected(batch, &batch.query()?);
        let empty = format!("SELECT * FROM (\n{query}\n) AS _siding WHERE FALSE");
        let statement = batch.engine.create_table_as_if_absent(batch.table, &empty);
        transaction.execute(&statement).await?;
        store(batch, transaction.as_mut()).await?;
        transaction.commit().await?;
    }
    describe(batch).await;
    let columns = batch.engine.columns(batch.table).await?;
    columns.with_context(|| format!("the table of `{}` was not made", batch.model.name))
}

/// A query over a table that is not there cannot say what columns it gives: the model does.
async fn create_as_declared(batch: &Batch<'_>) -> anyhow::Result<()> {
    let declared = batch.model.columns.iter().flatten();
    let columns: Option<Vec<EngineColumn>> = declared
        .map(|column| {
            Some(EngineColumn {
                name: column.name.clone(),
                data_type: column.data_type.clone()?,
            })
        })
        .collect();
    let columns = columns.filter(|columns| !columns.is_empty());
    let mut columns = columns.with_context(|| {
        format!(
            "`{}` reads itself, so its table comes before its first rows; \
             declare all `columns` with their types",
            batch.model.name
        )
    })?;
    with_times(batch, &mut columns)?;
    let statement = batch.engine.create_table_if_absent(batch.table, &columns);
    create_by(batch, &statement).await
}

/// Makes the table by `statement`, with what its model asks of the engine: all of it, or there is no table.
async fn create_by(batch: &Batch<'_>, statement: &str) -> anyhow::Result<()> {
    let mut transaction = batch.engine.begin().await?;
    transaction.execute(statement).await?;
    store(batch, transaction.as_mut()).await?;
    transaction.commit().await?;
    Ok(())
}

/// Adds the columns that an SCD_TYPE_2 table has besides those of its query.
fn with_times(batch: &Batch<'_>, columns: &mut Vec<EngineColumn>) -> anyhow::Result<()> {
    let ModelKind::ScdType2(scd) = &batch.model.kind else {
        return Ok(());
    };
    let declared = |name: &str| {
        let mut columns = batch.model.columns.iter().flatten();
        columns.any(|column| column.name == name)
    };
    for name in [&scd.valid_from, &scd.valid_to] {
        let stored = batch.engine.stored_name(name);
        let known = columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(&stored));
        if let Some(known) = known {
            anyhow::ensure!(
                declared(name),
                "the query of `{}` gives a column `{name}`, which its kind writes itself; \
                 rename it, or set `valid_from_name` and `valid_to_name`",
                batch.model.name
            );
            columns.remove(known);
        }
    }
    let updated_at = scd.updated_at().map(|name| batch.engine.stored_name(name));
    for column in columns.iter_mut() {
        if Some(column.name.as_str()) == updated_at.as_deref() {
            column.data_type.clone_from(&scd.time_data_type);
        }
    }
    for name in [&scd.valid_from, &scd.valid_to] {
        columns.push(EngineColumn {
            name: name.clone(),
            data_type: scd.time_data_type.clone(),
        });
    }
    Ok(())
}

fn with_times_selected(batch: &Batch<'_>, query: &str) -> String {
    let ModelKind::ScdType2(scd) = &batch.model.kind else {
        return query.to_owned();
    };
    let time = |name: &str| {
        let name = quote_identifier(name);
        format!("CAST(NULL AS {}) AS {name}", scd.time_data_type)
    };
    format!(
        "SELECT *, {}, {} FROM (\n{query}\n) AS _times",
        time(&scd.valid_from),
        time(&scd.valid_to)
    )
}

//! INCREMENTAL_BY_TIME_RANGE: one slice of time is deleted and written again.

use crate::model::TimeColumn;
use crate::scheduler::audit::Subject;
use crate::scheduler::audit::run_audits;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::Written;
use crate::scheduler::materialize::time_condition;
use crate::scheduler::materialize::widened;
use crate::sql::quote_identifier;

pub(super) async fn write(batch: &Batch<'_>, time_column: &TimeColumn) -> anyhow::Result<Written> {
    let query = batch.query()?;
    // The empty table comes first, in a statement of its own: its column types decide how time is compared.
    let columns = match batch.engine.columns(batch.table).await? {
        Some(columns) => columns,
        None => {
            let columns = batch.engine.validate(&query).await?;
            batch
                .engine
                .execute(&batch.engine.create_table_if_absent(batch.table, &columns))
                .await?;
            columns
        }
    };
    let time = columns
        .iter()
        .find(|column| column.name.eq_ignore_ascii_case(&time_column.column));
    let Some(time) = time else {
        anyhow::bail!(
            "the time column `{}` of `{}` is not among the columns of its query",
            time_column.column,
            batch.model.name
        );
    };
    let range = widened(time_column, &time.data_type, batch.range);
    let query = batch.query_over(range)?;
    let condition = time_condition(time_column, Some(&time.data_type), range)?;
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let list = names
        .iter()
        .map(|name| quote_identifier(name))
        .collect::<Vec<_>>()
        .join(", ");
    // The outer condition keeps rows of other times out, whatever the query lets through.
    let rows_of_batch = format!("SELECT {list} FROM (\n{query}\n) AS _siding\nWHERE {condition}");

    let mut transaction = batch.engine.begin().await?;
    transaction
        .execute(&format!("DELETE FROM {} WHERE {condition}", batch.table))
        .await?;
    let rows = transaction
        .execute(&batch.engine.insert(batch.table, &names, &rows_of_batch))
        .await?;
    let subject = Subject {
        table: batch.table,
        range: Some(range),
        time_type: Some(&time.data_type),
    };
    let audited = run_audits(batch.scope, batch.model, &subject, async |sql| {
        transaction.query(&sql).await
    })
    .await?;
    transaction.commit().await?;
    Ok(Written {
        rows: Some(rows),
        audited,
    })
}

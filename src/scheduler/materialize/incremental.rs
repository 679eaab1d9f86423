//! INCREMENTAL_BY_TIME_RANGE: one slice of time is deleted and written again.

use anyhow::Context;

use crate::engine::Transaction;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::target::Target;
use crate::scheduler::materialize::time_condition;
use crate::snapshot::Interval;

pub(super) async fn write(
    batch: &Batch<'_>,
    target: &Target,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<Option<u64>> {
    let time = target.time.as_ref().context("the table has no time")?;
    let column = batch.model.kind.time_column();
    let column = column.context("the model has no time column")?;
    let query = if batch.model.reads_itself {
        // What lies behind the batch was made of what the batch replaces.
        let itself = before(batch, target, time.range)?;
        batch.query_over_itself(time.range, &itself)?
    } else {
        batch.query_over(time.range)?
    };
    let condition = time_condition(batch.engine, column, Some(&time.data_type), time.range)?;
    // The outer condition keeps rows of other times out, whatever the query lets through.
    let rows = format!("{}\nWHERE {condition}", target.select(&query));
    let delete = format!("DELETE FROM {} WHERE {condition}", batch.table);
    let insert = batch.engine.insert(batch.table, &target.names(), &rows);
    Ok(Some(transaction.execute_each(&[delete, insert]).await?))
}

/// The rows of the model's own table from before `range`: all that there were when it was filled in order.
fn before(batch: &Batch<'_>, target: &Target, range: Interval) -> anyhow::Result<String> {
    let rows = format!("SELECT * FROM {}", batch.table);
    let column = batch.model.kind.time_column();
    let (Some(column), Some(time)) = (column, &target.time) else {
        return Ok(rows);
    };
    let year_one = "0001-01-01T00:00:00Z".parse().context("a time")?;
    let past = Interval::new(year_one, range.start());
    let past = past.context("no batch begins in the year one")?;
    let condition = time_condition(batch.engine, column, Some(&time.data_type), past)?;
    Ok(format!("{rows} WHERE {condition}"))
}

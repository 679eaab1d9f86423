//! FULL, and a VIEW that is materialized: the table is rebuilt from scratch.

use crate::engine::Transaction;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::keys::Stage;
use crate::scheduler::materialize::target::Target;

pub(super) async fn write(
    batch: &Batch<'_>,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<Option<u64>> {
    let query = batch.query()?;
    let mut rows = 0;
    for statement in batch.engine.create_or_replace_table_as(batch.table, &query) {
        rows += transaction.execute(&statement).await?;
    }
    Ok(Some(rows))
}

/// Replaces the rows by those that the query makes of them.
pub(super) async fn write_over_itself(
    batch: &Batch<'_>,
    target: &Target,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<Option<u64>> {
    let clear = format!("DELETE FROM {}", batch.table);
    if batch.first {
        transaction.execute(&clear).await?;
    }
    let stage = Stage::make(batch, &target.select(&batch.query()?), transaction).await?;
    transaction.execute(&clear).await?;
    let rows = stage.insert_all(batch, target, transaction).await?;
    stage.remove(transaction).await?;
    Ok(Some(rows))
}

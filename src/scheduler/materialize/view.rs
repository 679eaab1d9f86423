//! VIEW: nothing is stored; the physical view reads the tables that its parents have.

use crate::engine::Transaction;
use crate::scheduler::materialize::Batch;

pub(super) async fn write(
    batch: &Batch<'_>,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<Option<u64>> {
    let query = batch.query()?;
    for statement in batch.engine.create_or_replace_view(batch.table, &query) {
        transaction.execute(&statement).await?;
    }
    Ok(None)
}

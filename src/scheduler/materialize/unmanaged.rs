//! INCREMENTAL_UNMANAGED: rows are added, and never looked at again.

use crate::engine::Transaction;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::target::Target;

pub(super) async fn write(
    batch: &Batch<'_>,
    target: &Target,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<Option<u64>> {
    let rows = target.select(&batch.query()?);
    let clear = batch.first.then(|| format!("DELETE FROM {}", batch.table));
    let insert = batch.engine.insert(batch.table, &target.names(), &rows);
    let statements: Vec<String> = clear.into_iter().chain([insert]).collect();
    Ok(Some(transaction.execute_each(&statements).await?))
}

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
    if batch.first {
        transaction
            .execute(&format!("DELETE FROM {}", batch.table))
            .await?;
    }
    let rows = transaction
        .execute(&batch.engine.insert(batch.table, &target.names(), &rows))
        .await?;
    Ok(Some(rows))
}

//! INCREMENTAL_BY_PARTITION, and INCREMENTAL_UNMANAGED that overwrites: each partition that the batch has rows of is
//! replaced by them.

use crate::engine::Transaction;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::keys::Key;
use crate::scheduler::materialize::keys::Stage;
use crate::scheduler::materialize::target::Target;

pub(super) async fn write(
    batch: &Batch<'_>,
    target: &Target,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<Option<u64>> {
    let rows = target.select(&batch.query()?);
    let key = Key::of(&batch.model.storage.partitioned_by, batch, target)?;
    if batch.first {
        // Not only once there are partitions to replace.
        key.try_out(batch, "partitioned_by", transaction).await?;
        transaction
            .execute(&format!("DELETE FROM {}", batch.table))
            .await?;
        let insert = batch.engine.insert(batch.table, &target.names(), &rows);
        return Ok(Some(transaction.execute(&insert).await?));
    }
    let stage = Stage::make(batch, &rows, transaction).await?;
    let same = key.equal(stage.has_nulls(&key, transaction).await?);
    transaction
        .execute(&format!(
            "DELETE FROM {} WHERE EXISTS (SELECT 1 FROM ({}) AS _siding_keys WHERE {same})",
            batch.table,
            stage.distinct_keys(&key)
        ))
        .await?;
    let rows = stage.insert_all(batch, target, transaction).await?;
    stage.remove(transaction).await?;
    Ok(Some(rows))
}

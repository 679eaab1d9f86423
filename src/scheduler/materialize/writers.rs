//! Who writes a table at the same time.
//!
//! A lease says who may write a table, but a process that was taken for dead may be in the middle of a batch. On an engine that
//! several processes write to, each batch says first that it writes, by a lock that all batches share, and asks just before its
//! commit whether the lease is still its own. Whoever has got the lease takes that lock alone, once, before its first batch,
//! and gives it back at once. So a batch of the process that had it before either has committed by then, and all that
//! follows sees its rows; or it asks later, when the lease is gone, and takes back what it did. Batches of one process
//! never wait for each other by this: they lie in different slices of time, and those of models that depend on their past run
//! one by one. For these, the mark was read before the wait, so it is compared again behind it.

use crate::engine::Transaction;
use crate::scheduler::materialize::Batch;
use crate::sql::TableName;

/// Waits for batches of whoever had the table before; once for each time that this process gets it.
pub(in crate::scheduler) async fn wait(batch: &Batch<'_>) -> anyhow::Result<()> {
    let Some(lock) = batch.engine.wait_for_writers(version(batch)) else {
        return Ok(());
    };
    if batch.known.is_alone.get().is_some() {
        return Ok(());
    }
    let mut transaction = batch.engine.begin().await?;
    transaction.execute(&lock).await?;
    transaction.commit().await?;
    batch.known.is_alone.get_or_init(|| ());
    Ok(())
}

/// Says that `transaction` writes the table, until its end.
pub(super) async fn join(
    batch: &Batch<'_>,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<()> {
    if let Some(lock) = batch.engine.lock_for_writing(version(batch)) {
        transaction.execute(&lock).await?;
        if let Some(marker) = &batch.marker {
            marker.check(transaction).await?;
        }
    }
    Ok(())
}

/// The name that the table has for all who write it: the table itself may stand elsewhere meanwhile.
fn version<'a>(batch: &Batch<'a>) -> &'a TableName {
    batch.stand_in.unwrap_or(batch.table)
}

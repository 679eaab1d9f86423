//! INCREMENTAL_BY_UNIQUE_KEY: rows with the same key replace each other.
//!
//! A NULL in a key is a value like any other, so that running a batch again changes nothing.

use crate::engine::Transaction;
use crate::model::UniqueKey;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::keys::Key;
use crate::scheduler::materialize::keys::Stage;
use crate::scheduler::materialize::merging::Merging;
use crate::scheduler::materialize::target::Target;

pub(super) async fn write(
    batch: &Batch<'_>,
    unique_key: &UniqueKey,
    target: &Target,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<Option<u64>> {
    let merges = unique_key.when_matched.is_some() || unique_key.merge_filter.is_some();
    if batch.first {
        transaction
            .execute(&format!("DELETE FROM {}", batch.table))
            .await?;
    }
    let key = Key::of(&unique_key.unique_key, batch, target)?;
    if batch.first {
        key.try_out(batch, "unique_key", transaction).await?;
    }
    let rows = target.select(&batch.query()?);
    let mut stage = Stage::make(batch, &rows, transaction).await?;
    stage
        .make_unique(batch, &key, None, &target.columns, transaction)
        .await?;
    let has_nulls = stage.has_nulls(&key, transaction).await?;
    let merging = Merging {
        batch,
        unique_key,
        key: &key,
        names: target.names(),
    };
    let rows = if merges && !batch.first {
        merging.rows(has_nulls, transaction).await?
    } else {
        if !batch.first {
            transaction
                .execute(&format!(
                    "DELETE FROM {} WHERE EXISTS (SELECT 1 FROM ({}) AS _siding_keys WHERE {})",
                    batch.table,
                    stage.keys(&key),
                    key.equal(has_nulls)
                ))
                .await?;
        }
        let rows = stage.insert_all(batch, target, transaction).await?;
        if merges {
            // Without rows: what is wrong with its clauses is wrong from the first batch on.
            merging.try_out(has_nulls, transaction).await?;
        }
        rows
    };
    stage.remove(transaction).await?;
    Ok(Some(rows))
}

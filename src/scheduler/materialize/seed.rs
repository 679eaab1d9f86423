//! SEED: the rows of a CSV file.

use anyhow::Context;

use crate::engine::Transaction;
use crate::model::Seed;
use crate::scheduler::materialize::Batch;

pub(super) async fn write(
    batch: &Batch<'_>,
    seed: &Seed,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<Option<u64>> {
    let declared = batch.model.columns.as_deref().unwrap_or_default();
    let selects = seed
        .insert_values(declared)
        .with_context(|| format!("reading `{}`", seed.path))?;
    let mut rows = 0;
    for (index, select) in selects.iter().enumerate() {
        if index == 0 {
            for statement in batch.engine.create_or_replace_table_as(batch.table, select) {
                rows += transaction.execute(&statement).await?;
            }
        } else {
            rows += transaction
                .execute(&format!("INSERT INTO {} {select}", batch.table))
                .await?;
        }
    }
    Ok(Some(rows))
}

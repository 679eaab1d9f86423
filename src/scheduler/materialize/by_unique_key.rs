//! INCREMENTAL_BY_UNIQUE_KEY: rows with the same key replace each other.
//!
//! A NULL in a key is a value like any other, so that running a batch again changes nothing.

use anyhow::Context;

use crate::engine::Transaction;
use crate::model::UniqueKey;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::keys::Key;
use crate::scheduler::materialize::keys::Stage;
use crate::scheduler::materialize::target::Target;

pub(super) async fn write(
    batch: &Batch<'_>,
    unique_key: &UniqueKey,
    target: &Target,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<Option<u64>> {
    let merges = unique_key.when_matched.is_some() || unique_key.merge_filter.is_some();
    // Not only once there are rows to merge with.
    anyhow::ensure!(
        !merges || batch.engine.supports_merge(),
        "`{}` has a `when_matched` or a `merge_filter`, which needs an engine with MERGE: DuckDB, or PostgreSQL 15 or later",
        batch.model.name
    );
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
    let rows = if merges && !batch.first {
        let source = Stage::name();
        merge(batch, unique_key, target, &source, has_nulls, transaction).await?
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
            let nothing = format!("(SELECT * FROM {} WHERE FALSE)", Stage::name());
            merge(batch, unique_key, target, &nothing, has_nulls, transaction).await?;
        }
        rows
    };
    stage.remove(transaction).await?;
    Ok(Some(rows))
}

async fn merge(
    batch: &Batch<'_>,
    unique_key: &UniqueKey,
    target: &Target,
    source: &str,
    has_nulls: bool,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<u64> {
    let names = target.names();
    let key = Key::of(&unique_key.unique_key, batch, target)?;
    let mut on = key.equal_sides(batch, &names, has_nulls);
    if let Some(filter) = &unique_key.merge_filter {
        on = format!("({filter}) AND {on}");
    }
    let replace = || {
        let set: Vec<String> = names
            .iter()
            .map(|name| crate::sql::quote_identifier(name))
            .map(|name| format!("{name} = \"source\".{name}"))
            .collect();
        format!("WHEN MATCHED THEN UPDATE SET {}", set.join(", "))
    };
    let matched = unique_key.when_matched.clone().unwrap_or_else(replace);
    let statement = batch
        .engine
        .merge(batch.table, source, &on, &matched, &names);
    let merged = transaction.execute(&statement).await;
    merged.with_context(|| {
        format!(
            "merging by the `when_matched` and `merge_filter` of `{}`",
            batch.model.name
        )
    })
}

//! SEED: the rows of a CSV file.

use anyhow::Context;

use crate::model::Seed;
use crate::scheduler::audit::Subject;
use crate::scheduler::audit::run_audits;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::Written;

pub(super) async fn write(batch: &Batch<'_>, seed: &Seed) -> anyhow::Result<Written> {
    let declared = batch.model.columns.as_deref().unwrap_or_default();
    let selects = seed
        .insert_values(declared)
        .with_context(|| format!("reading `{}`", seed.path))?;
    let mut transaction = batch.engine.begin().await?;
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
    let subject = Subject {
        table: batch.table,
        range: None,
        time_type: None,
    };
    let audited = run_audits(batch.scope, batch.model, &subject, async |sql| {
        transaction.query(&sql).await
    })
    .await?;
    transaction.commit().await?;
    Ok(Written {
        rows: Some(rows),
        audited,
    })
}

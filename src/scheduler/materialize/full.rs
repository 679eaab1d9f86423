//! FULL: the table is rebuilt from scratch.

use crate::scheduler::audit::Subject;
use crate::scheduler::audit::run_audits;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::Written;

pub(super) async fn write(batch: &Batch<'_>) -> anyhow::Result<Written> {
    let query = batch.query()?;
    let mut transaction = batch.engine.begin().await?;
    let mut rows = 0;
    for statement in batch.engine.create_or_replace_table_as(batch.table, &query) {
        rows += transaction.execute(&statement).await?;
    }
    let subject = Subject {
        table: batch.table,
        range: Some(batch.range),
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

//! VIEW: nothing is stored; the physical view reads the tables that its parents have.

use crate::scheduler::audit::Subject;
use crate::scheduler::audit::run_audits;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::Written;

pub(super) async fn write(batch: &Batch<'_>) -> anyhow::Result<Written> {
    let query = batch.query()?;
    let mut transaction = batch.engine.begin().await?;
    for statement in batch.engine.create_or_replace_view(batch.table, &query) {
        transaction.execute(&statement).await?;
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
        rows: None,
        audited,
    })
}

//! What a physical table gets besides rows: descriptions, and what its model asks of the engine.

use std::collections::BTreeMap;

use anyhow::Context;

use crate::engine::EngineObject;
use crate::engine::ObjectKind;
use crate::engine::Transaction;
use crate::model::ModelKind;
use crate::scheduler::materialize::Batch;

/// Describes the table, as its model does when it is made; later changes come with a switch (`ops/dress.rs`). What nobody reads rows from is no reason to fail: what the engine
/// refuses is logged.
pub(crate) async fn describe(batch: &Batch<'_>) {
    let (engine, model) = (batch.engine, batch.model);
    let is_described = model.description.is_some() || !model.column_descriptions.is_empty();
    if !is_described || !engine.registers_comments() {
        return;
    }
    let there = match engine.columns(batch.table).await {
        Ok(columns) => columns.unwrap_or_default(),
        Err(error) => return refused(batch, &error.to_string()),
    };
    let described = model.column_descriptions.iter().filter(|(name, _)| {
        let mut there = there.iter();
        there.any(|column| column.name == **name)
    });
    let columns: BTreeMap<String, String> = described
        .map(|(name, text)| (name.clone(), text.clone()))
        .collect();
    let object = EngineObject {
        table: batch.table.clone(),
        kind: match model.kind {
            ModelKind::View => ObjectKind::View,
            _ => ObjectKind::Table,
        },
    };
    for statement in engine.comments(&object, model.description.as_deref(), &columns) {
        if let Err(error) = engine.execute(&statement).await {
            return refused(batch, &error.to_string());
        }
    }
}

fn refused(batch: &Batch<'_>, error: &str) {
    let table = batch.table.plain();
    tracing::warn!(
        error,
        "the descriptions of `{table}` cannot be registered: {error}"
    );
}

/// Gives the table, made in this transaction, the storage parameters that its model asks for.
pub(crate) async fn store(
    batch: &Batch<'_>,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<()> {
    let parameters = batch.model.storage.postgres_parameters();
    for statement in batch.engine.set_storage(batch.table, &parameters) {
        let done = transaction.execute(&statement).await;
        done.with_context(|| format!("applying `physical_properties` of `{}`", batch.model.name))?;
    }
    Ok(())
}

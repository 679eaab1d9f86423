//! One model in production beside the same model in an environment: rows and columns.

use std::collections::BTreeMap;

use anyhow::Context;

use crate::engine::EngineAdapter;
use crate::environment::EnvironmentName;
use crate::environment::Naming;
use crate::model::ModelName;
use crate::plan::ModelChange;
use crate::plan::ModelComparison;
use crate::plan::Plan;
use crate::sql::TableName;

/// Each changed model of `plan` that has views, prod (named like `prod`) beside the plan's environment, sorted by name.
pub(super) async fn compare_with_prod(
    engine: &dyn EngineAdapter,
    plan: &Plan,
    prod: &Naming,
) -> anyhow::Result<Vec<ModelComparison>> {
    let shown: BTreeMap<&ModelName, bool> = plan
        .promoted
        .snapshots
        .iter()
        .map(|entry| (&entry.id.name, entry.view))
        .collect();
    let mut comparisons = Vec::new();
    for (name, change) in &plan.draft.changes {
        let removed = change.change == ModelChange::Removed;
        let has_view = shown.get(name).copied().unwrap_or(false);
        let had_view = plan
            .draft
            .previous
            .get(name)
            .is_some_and(|previous| !previous.model.kind.is_symbolic());
        if change.change == ModelChange::Unchanged || !(has_view || (removed && had_view)) {
            continue;
        }
        let views = (
            prod.view(name, &EnvironmentName::prod()),
            plan.promoted.view(name),
        );
        comparisons.push(compare(engine, name, views, has_view).await?);
    }
    Ok(comparisons)
}

async fn compare(
    engine: &dyn EngineAdapter,
    name: &ModelName,
    (prod, view): (TableName, TableName),
    has_view: bool,
) -> anyhow::Result<ModelComparison> {
    let before = columns(engine, &prod).await?;
    let after = if has_view {
        columns(engine, &view).await?
    } else {
        None
    };
    let rows_prod = if before.is_some() {
        Some(rows(engine, &prod).await?)
    } else {
        None
    };
    let rows_environment = if after.is_some() {
        Some(rows(engine, &view).await?)
    } else {
        None
    };
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let lacking = |of: &[(String, String)], other: &[(String, String)]| -> Vec<String> {
        of.iter()
            .filter(|(name, _)| !other.iter().any(|(known, _)| known == name))
            .map(|(name, data_type)| format!("{name} {data_type}"))
            .collect()
    };
    let changed = after.iter().filter_map(|(name, data_type)| {
        let (_, old) = before.iter().find(|(known, _)| known == name)?;
        (old != data_type).then(|| format!("{name} {old} → {data_type}"))
    });
    Ok(ModelComparison {
        name: name.to_string(),
        view: view.plain(),
        rows_prod,
        rows_environment,
        columns_added: if rows_prod.is_some() {
            lacking(&after, &before)
        } else {
            Vec::new()
        },
        columns_removed: if rows_environment.is_some() {
            lacking(&before, &after)
        } else {
            Vec::new()
        },
        columns_changed: changed.collect(),
    })
}

async fn columns(
    engine: &dyn EngineAdapter,
    view: &TableName,
) -> anyhow::Result<Option<Vec<(String, String)>>> {
    let columns = engine
        .columns(view)
        .await
        .with_context(|| format!("reading the columns of `{}`", view.plain()))?;
    Ok(columns.map(|columns| {
        columns
            .into_iter()
            .map(|column| (column.name, column.data_type))
            .collect()
    }))
}

async fn rows(engine: &dyn EngineAdapter, view: &TableName) -> anyhow::Result<u64> {
    let rows = engine.query(&format!("SELECT COUNT(*) FROM {view}")).await;
    let rows = rows.with_context(|| format!("counting the rows of `{}`", view.plain()))?;
    rows.single_u64().context("a count is one number")
}

//! Remove what nobody needs: expired environments, then tables that no environment and no young snapshot uses.

use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::environment::view_name;
use crate::sql::TableName;
use crate::sql::quote_identifier;
use crate::state::PhysicalObjectKind;
use crate::state::StateStore;

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Environments whose views and record are gone.
    pub environments: Vec<EnvironmentName>,
    /// Views that were dropped.
    pub views: Vec<TableName>,
    /// Physical tables and views that were dropped.
    pub tables: Vec<TableName>,
    /// What could not be dropped, with the reason; it is tried again next time.
    pub failed: Vec<(TableName, String)>,
}

/// Removes expired environments and tables that nothing uses. Tables of snapshots that were used within
/// `time_to_live` stay, so that an open plan or a revert finds them.
///
/// # Errors
/// When the state does not answer. What the engine refuses to drop is in the result.
pub async fn sweep(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    time_to_live: TimeDelta,
    now: DateTime<Utc>,
) -> anyhow::Result<Swept> {
    let mut swept = Swept::default();
    for environment in state
        .environments()
        .await
        .context("reading the environments")?
    {
        let expired = environment.expires_at.is_some_and(|expires| expires <= now);
        if expired && !environment.name.is_prod() {
            let views = drop_environment(engine, state, &environment.name).await?;
            swept.environments.push(environment.name);
            swept.views.extend(views);
        }
    }
    let expired = state
        .expired_snapshots(now, time_to_live)
        .await
        .context("looking for old snapshots")?;
    let expired: Vec<_> = expired.into_iter().map(|snapshot| snapshot.id).collect();
    // First the record, then the tables: a kill in between leaves tables that the next sweep finds.
    state
        .delete_snapshots(&expired)
        .await
        .context("removing old snapshots")?;
    let mut left = state
        .orphaned_objects()
        .await
        .context("looking for unused tables")?;
    // An engine that binds views keeps what a view reads: views go first, and again what others of them have read.
    left.sort_by_key(|object| object.kind == PhysicalObjectKind::Table);
    loop {
        let before = left.len();
        swept.failed.clear();
        for object in std::mem::take(&mut left) {
            let statement = match object.kind {
                PhysicalObjectKind::View => engine.drop_view(&object.table),
                PhysicalObjectKind::Table => engine.drop_table(&object.table),
            };
            match engine.execute(&statement).await {
                Ok(_) => {
                    state
                        .mark_dropped(std::slice::from_ref(&object.table), now)
                        .await
                        .context("recording a dropped table")?;
                    swept.tables.push(object.table);
                }
                Err(error) => {
                    swept.failed.push((object.table.clone(), error.to_string()));
                    left.push(object);
                }
            }
        }
        if left.is_empty() || left.len() == before {
            break;
        }
    }
    state
        .compact_intervals(now)
        .await
        .context("compacting the intervals")?;
    Ok(swept)
}

/// Drops an environment's views in one transaction, then its record. Returns the views.
///
/// Succeeds when the environment is gone already.
///
/// # Errors
/// For `prod`, and when the state or the engine does not answer; then it can be run again.
pub async fn drop_environment(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    name: &EnvironmentName,
) -> anyhow::Result<Vec<TableName>> {
    anyhow::ensure!(!name.is_prod(), "`prod` cannot be removed");
    let Some(environment) = state
        .environment(name)
        .await
        .context("reading the environment")?
    else {
        return Ok(Vec::new());
    };
    let views = views_of(state, &environment).await?;
    let schemas: BTreeSet<_> = views
        .iter()
        .filter_map(|view| Some((view.catalog.clone(), view.schema.clone()?)))
        .collect();
    // If this ends half way, a plan of the environment must make its views again.
    state
        .reopen(name, &environment.plan_id)
        .await
        .context("recording that the views go")?;
    let mut transaction = engine.begin().await?;
    for view in &views {
        transaction
            .execute(&engine.drop_view(view))
            .await
            .with_context(|| format!("dropping `{}`", view.plain()))?;
    }
    transaction.commit().await?;
    let names: Vec<String> = schemas.iter().map(|(_, schema)| schema.clone()).collect();
    let left = engine.objects(&names).await?;
    for (catalog, schema) in schemas {
        // Somebody may keep own tables in there; then the schema stays.
        if left
            .iter()
            .any(|object| object.table.schema.as_ref() == Some(&schema))
        {
            continue;
        }
        let prefix = catalog.map_or_else(String::new, |catalog| {
            format!("{}.", quote_identifier(&catalog))
        });
        let drop = format!(
            "DROP SCHEMA IF EXISTS {prefix}{}",
            quote_identifier(&schema)
        );
        // What else may be in there, such as a sequence, is not ours either.
        engine.execute(&drop).await.ok();
    }
    state
        .delete_environment(name, &environment.plan_id)
        .await
        .context("removing the record")?;
    Ok(views)
}

/// The views that the record shows, and those of earlier records if the last switch may not be done.
async fn views_of(state: &StateStore, environment: &Environment) -> anyhow::Result<Vec<TableName>> {
    let mut entries = environment.snapshots.clone();
    if environment.finalized_at.is_none() {
        let history = state
            .history(&environment.name)
            .await
            .context("reading the history")?;
        entries.extend(
            history
                .into_iter()
                .flat_map(|promotion| promotion.snapshots),
        );
    }
    let views: BTreeSet<TableName> = entries
        .iter()
        .filter(|entry| entry.view)
        .map(|entry| view_name(&entry.id.name, &environment.name))
        .collect();
    Ok(views.into_iter().collect())
}

//! What the views of an environment get besides rows, and what the tables that they show say of themselves.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::engine::EngineObject;
use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::model::Model;
use crate::model::ModelName;
use crate::ops::drops::objects_beside;
use crate::plan::Dressing;
use crate::plan::Shown;
use crate::plan::ViewSwitch;
use crate::scheduler::Control;
use crate::scheduler::time_to_live;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::sql::TableName;
use crate::state::Claim;
use crate::state::StateStore;
use crate::state::Subject;

/// The dressings of the views that `views` creates, and of those whose model says something else than `before` did,
/// as `environment` is to show them.
///
/// # Errors
/// When the state does not answer.
pub(super) async fn dressings(
    state: &StateStore,
    environment: &Environment,
    before: Option<&Environment>,
    views: &ViewSwitch,
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<(TableName, Dressing)>> {
    let created: BTreeSet<&TableName> = views.create.iter().map(|(view, _)| view).collect();
    let known: BTreeMap<&ModelName, &SnapshotId> = before
        .iter()
        .flat_map(|before| &before.snapshots)
        .map(|entry| (&entry.id.name, &entry.id))
        .collect();
    let is_known = |id: &SnapshotId| known.get(&id.name) == Some(&id);
    let ids: Vec<SnapshotId> = environment
        .snapshots
        .iter()
        .filter(|entry| entry.view)
        .filter(|entry| !is_known(&entry.id) || created.contains(&environment.view(&entry.id.name)))
        .map(|entry| entry.id.clone())
        .collect();
    let snapshots = state.snapshots(&ids).await;
    let snapshots = snapshots.context("reading the snapshots of the views")?;
    let former = ids.iter().filter(|id| !is_known(id));
    let former = former.filter_map(|id| known.get(&id.name));
    let former: Vec<SnapshotId> = former.map(|id| (*id).clone()).collect();
    let former = state.snapshots(&former).await;
    let former = former.context("reading the snapshots that were shown")?;
    let former: BTreeMap<&ModelName, &Model> = former
        .iter()
        .map(|snapshot| (&snapshot.id.name, snapshot.model.as_ref()))
        .collect();
    let entries: BTreeMap<_, _> = environment
        .snapshots
        .iter()
        .map(|entry| (entry.id.name.clone(), entry.clone()))
        .collect();
    let shown = Shown {
        environment,
        entries: &entries,
        now,
    };
    let dressings = snapshots.iter().map(|snapshot| {
        let former = former.get(&snapshot.id.name).copied();
        shown.dressing(snapshot, former)
    });
    Ok(dressings.flatten().collect())
}

/// Lets tables and physical views say what the views say that show them, where their model was described in another way
/// when they were made. What production shows says what production's model says, whoever else shows it.
///
/// What nobody reads rows from is no reason to fail, nor to wait for who writes a table: that is logged.
///
/// # Errors
/// When the state does not answer.
pub(super) async fn describe_tables(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    environment: &Environment,
    dressed: &[(TableName, Dressing)],
    control: &Control,
) -> anyhow::Result<()> {
    if !engine.registers_comments() {
        return Ok(());
    }
    let dressed: BTreeMap<&TableName, &Dressing> =
        dressed.iter().map(|(view, it)| (view, it)).collect();
    let mut described = Vec::new();
    for entry in environment.snapshots.iter().filter(|entry| entry.view) {
        if let (Some(dressing), Some(table)) =
            (dressed.get(&environment.view(&entry.id.name)), &entry.table)
        {
            described.push((entry, table, *dressing));
        }
    }
    // One that only one snapshot has was described when it was made.
    let keys: Vec<(ModelName, Version)> = described
        .iter()
        .map(|(entry, _, _)| (entry.id.name.clone(), entry.version.clone()))
        .collect();
    let shared = state.snapshot_ids_of_versions(&keys).await;
    let shared = shared.context("reading the snapshots of the tables")?;
    let mut keys = keys.iter();
    described.retain(|_| {
        let of_table = keys.next().and_then(|key| shared.get(key));
        of_table.is_some_and(|ids| ids.len() > 1)
    });
    if !environment.name.is_prod() && !described.is_empty() {
        let prod = state.environment(&EnvironmentName::prod()).await;
        let prod = prod.context("reading `prod`")?;
        let shown: BTreeSet<&TableName> = prod
            .iter()
            .flat_map(|prod| &prod.snapshots)
            .filter_map(|entry| entry.table.as_ref())
            .collect();
        described.retain(|(_, table, _)| !shown.contains(table));
    }
    if described.is_empty() {
        return Ok(());
    }
    let objects = objects_beside(engine, described.iter().map(|(_, table, _)| *table)).await?;
    for (entry, table, dressing) in described {
        let listed = engine.listed(table);
        let Some(found) = objects.iter().find(|object| object.table == listed) else {
            continue;
        };
        let object = EngineObject {
            table: table.clone(),
            kind: found.kind,
        };
        let subject = Subject::table(&entry.id.name, &entry.version);
        let (ttl, now) = (time_to_live(control), control.now());
        match state.claim(&subject, &control.holder, ttl, now).await? {
            Claim::Given(lease) => {
                describe(engine, &object, dressing).await;
                state.release(&lease).await?;
            }
            Claim::Held(by) => tracing::warn!(
                "`{}` is being written by {}, so it keeps its description until the next time that this changes",
                table.plain(),
                by.label
            ),
        }
    }
    Ok(())
}

async fn describe(engine: &dyn EngineAdapter, object: &EngineObject, dressing: &Dressing) {
    let description = dressing.description.as_deref();
    for statement in engine.comments(object, description, &dressing.columns) {
        if let Err(error) = engine.execute(&statement).await {
            let table = object.table.plain();
            tracing::warn!(%error, "the descriptions of `{table}` cannot be registered: {error}");
            return;
        }
    }
}

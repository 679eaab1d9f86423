//! Destroy: everything that Siding has made goes, and nothing else.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::environment::EnvironmentName;
use crate::ops::drops::drop_all;
use crate::ops::drops::objects_beside;
use crate::ops::own_tables::stand_ins;
use crate::scheduler::Control;
use crate::scheduler::Keeper;
use crate::scheduler::Reporter;
use crate::scheduler::hold;
use crate::sql::TableName;
use crate::state::LedgerKind;
use crate::state::StateStore;
use crate::state::Subject;

/// What is gone, and what is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Views, tables and schemas that were dropped.
    pub dropped: Vec<TableName>,
    /// What could not be dropped, with the reason; the ledger keeps it.
    pub failed: Vec<(TableName, String)>,
    /// Schemas that stay because of what others have in them, each with one of these.
    pub kept: Vec<(TableName, TableName)>,
}

/// Fails where a [`destroy`] was begun and is not done: what the state says may be gone.
///
/// # Errors
/// That, and when the state does not answer.
pub(super) async fn ensure_whole(state: &StateStore) -> anyhow::Result<()> {
    let begun = state.is_destroying().await;
    anyhow::ensure!(
        !begun.context("looking whether everything is being removed")?,
        "a destroy was begun and is not done, so tables may be gone; run `siding destroy` again"
    );
    Ok(())
}

/// What would go: everything in the ledger and the views of every environment, sorted by name.
pub async fn doomed(state: &StateStore) -> anyhow::Result<Vec<(TableName, LedgerKind)>> {
    let ledger = state.ledger().await.context("reading the ledger")?;
    let mut objects: BTreeMap<TableName, LedgerKind> = ledger
        .into_iter()
        .map(|record| (record.entry.table, record.entry.kind))
        .collect();
    let gone = state.ledger_of_gone().await;
    let gone: BTreeSet<TableName> = gone.context("reading the ledger")?.into_iter().collect();
    // Views of earlier releases were not written down.
    for environment in state
        .environments()
        .await
        .context("reading the environments")?
    {
        for promotion in state.history(&environment.name).await? {
            for entry in promotion.snapshots.iter().filter(|entry| entry.view) {
                let view = environment.view(&entry.id.name);
                if !gone.contains(&view) {
                    objects.entry(view).or_insert(LedgerKind::EnvironmentView);
                }
            }
        }
    }
    Ok(objects.into_iter().collect())
}

/// Drops everything that is [`doomed`] and forgets what it was, while nobody else works.
///
/// # Errors
/// When somebody applies a plan, or the state or the engine does not answer.
pub async fn destroy(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    now: DateTime<Utc>,
    control: &Control,
    report: Reporter<'_>,
) -> anyhow::Result<Destroyed> {
    let keeper = Keeper::start(state, control);
    let destroyed = destroy_held(engine, state, now, control, report).await;
    keeper.finish(state, control).await;
    destroyed
}

async fn destroy_held(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    now: DateTime<Utc>,
    control: &Control,
    report: Reporter<'_>,
) -> anyhow::Result<Destroyed> {
    hold(state, control, &Subject::janitor(), "cleaning up", report).await?;
    if let Some(open) = state.open_plans(control.now()).await?.first() {
        anyhow::bail!(
            "{} is applying a plan of `{}`; wait until it has ended, or end it",
            open.label,
            open.environment
        );
    }
    state
        .begin_destroying(now)
        .await
        .context("recording that everything goes")?;
    for environment in state.environments().await? {
        state
            .reopen(&environment.name, &environment.plan_id)
            .await
            .context("recording that the views go")?;
    }
    let doomed = as_they_stand(engine, state, doomed(state).await?).await?;
    let mut destroyed = Destroyed::default();
    // Views before what they show; what is in a schema before the schema.
    for kinds in [
        &[LedgerKind::EnvironmentView][..],
        &[LedgerKind::View],
        &[
            LedgerKind::Table,
            LedgerKind::OwnTable,
            LedgerKind::Temporary,
        ],
        &[LedgerKind::Schema],
        &[LedgerKind::Catalog],
    ] {
        let of_kind = doomed.iter().filter(|(_, kind)| kinds.contains(kind));
        let drops = drop_all(engine, state, of_kind.cloned().collect(), now).await?;
        destroyed.dropped.extend(drops.dropped);
        destroyed.failed.extend(drops.failed);
    }
    destroyed.kept = kept(engine, &doomed, &destroyed).await?;
    if destroyed.failed.is_empty() {
        state
            .forget_everything()
            .await
            .context("forgetting what there was")?;
    }
    Ok(destroyed)
}

/// The schemas of `doomed` that are still there, each with something of somebody else that is in it.
async fn kept(
    engine: &dyn EngineAdapter,
    doomed: &[(TableName, LedgerKind)],
    destroyed: &Destroyed,
) -> anyhow::Result<Vec<(TableName, TableName)>> {
    let failed: BTreeSet<&TableName> = destroyed.failed.iter().map(|(table, _)| table).collect();
    let gone: BTreeSet<&TableName> = destroyed.dropped.iter().collect();
    let schemas = doomed
        .iter()
        .filter(|(_, kind)| *kind == LedgerKind::Schema);
    let schemas = schemas.map(|(schema, _)| schema);
    let schemas: Vec<&TableName> = schemas.filter(|schema| !gone.contains(schema)).collect();
    let ours = |table: &TableName| failed.iter().any(|failed| engine.listed(failed) == *table);
    let found = objects_beside(engine, schemas.iter().copied()).await?;
    let found: Vec<TableName> = found.into_iter().map(|object| object.table).collect();
    Ok(schemas
        .into_iter()
        .filter_map(|schema| {
            let within = |table: &&TableName| table.schema == schema.schema && !ours(table);
            let other = found.iter().find(within)?;
            Some((schema.clone(), other.clone()))
        })
        .collect())
}

/// Corrects what kind of object each of `doomed` is, where tables stand under their models' own names.
async fn as_they_stand(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    doomed: Vec<(TableName, LedgerKind)>,
) -> anyhow::Result<Vec<(TableName, LedgerKind)>> {
    let mut kinds: BTreeMap<TableName, LedgerKind> = doomed.into_iter().collect();
    let production = state.environment(&EnvironmentName::prod()).await;
    let Some(production) = production.context("reading `prod`")? else {
        return Ok(kinds.into_iter().collect());
    };
    if !production.naming.own_tables && !kinds.values().any(|kind| *kind == LedgerKind::OwnTable) {
        return Ok(kinds.into_iter().collect());
    }
    // What is known as a table may be a view still, where a switch was left undone; another's table is nothing of ours.
    for kind in kinds.values_mut() {
        if *kind == LedgerKind::OwnTable {
            *kind = LedgerKind::EnvironmentView;
        }
    }
    for (version, name) in stand_ins(engine, state).await? {
        kinds.insert(version, LedgerKind::View);
        kinds.insert(name, LedgerKind::OwnTable);
    }
    Ok(kinds.into_iter().collect())
}

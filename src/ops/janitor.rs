//! Remove what nobody needs: expired environments, then tables that no environment, no open plan and no young snapshot
//! uses. It works from the ledger and touches nothing else.

use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::ops::drops::Drops;
use crate::ops::drops::drop_all;
use crate::ops::own_tables::stand_ins;
use crate::ops::promote::finish_switch;
use crate::ops::promote::hold_environment;
use crate::scheduler::Control;
use crate::scheduler::Keeper;
use crate::scheduler::Reporter;
use crate::scheduler::hold;
use crate::scheduler::time_to_live;
use crate::sql::TableName;
use crate::state::Claim;
use crate::state::Lease;
use crate::state::LedgerKind;
use crate::state::PhysicalObject;
use crate::state::PhysicalObjectKind;
use crate::state::StateStore;
use crate::state::Subject;

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

/// What a janitor looks at.
#[derive(Clone, Debug)]
pub struct SweepRequest {
    /// How long a snapshot stays that nobody uses.
    pub time_to_live: TimeDelta,
    /// Only this environment, and no tables.
    pub environment: Option<EnvironmentName>,
    /// "Now".
    pub now: DateTime<Utc>,
}

/// Removes expired environments and tables that nothing uses. Tables of snapshots that were used within
/// the time to live stay, so that a revert finds them; so does whatever a plan uses that somebody applies meanwhile.
///
/// # Errors
/// When the state does not answer. What the engine refuses to drop is in the result.
pub async fn sweep(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    request: &SweepRequest,
    control: &Control,
    report: Reporter<'_>,
) -> anyhow::Result<Swept> {
    let keeper = Keeper::start(state, control);
    let swept = sweep_held(engine, state, request, control, report).await;
    keeper.finish(state, control).await;
    let mut swept = swept?;
    // What could not be dropped with its environment is tried again with all that nobody shows.
    swept.failed.sort();
    swept.failed.dedup_by(|one, other| one.0 == other.0);
    Ok(swept)
}

async fn sweep_held(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    request: &SweepRequest,
    control: &Control,
    report: Reporter<'_>,
) -> anyhow::Result<Swept> {
    let now = request.now;
    hold(state, control, &Subject::janitor(), "cleaning up", report).await?;
    let mut swept = Swept::default();
    settle_own_tables(engine, state, now, (control, report)).await?;
    let environments = state
        .environments()
        .await
        .context("reading the environments")?;
    if let Some(only) = &request.environment {
        anyhow::ensure!(
            environments.iter().any(|found| found.name == *only),
            "there is no environment `{only}`; `siding environments` lists them"
        );
    }
    let expired = environments.iter().filter(|found| {
        let only = request.environment.as_ref();
        is_expired(found, now) && only.is_none_or(|only| *only == found.name)
    });
    for environment in expired {
        let lease = hold_environment(state, &environment.name, control, report).await?;
        // Somebody may have planned it while this waited.
        let current = state.environment(&environment.name).await?;
        if current.is_some_and(|current| is_expired(&current, now)) {
            let drops = remove(engine, state, &environment.name, now).await?;
            swept.environments.push(environment.name.clone());
            swept.views.extend(drops.dropped);
            swept.failed.extend(drops.failed);
        }
        state.release(&lease).await?;
    }
    if request.environment.is_some() {
        return Ok(swept);
    }
    sweep_views(engine, state, (now, control), &mut swept).await?;
    forget_own_tables(engine, state, now).await?;
    let expired = state
        .expired_snapshots(now, request.time_to_live)
        .await
        .context("looking for old snapshots")?;
    let expired: Vec<_> = expired.into_iter().map(|snapshot| snapshot.id).collect();
    // First the record, then the tables: a kill in between leaves tables that the next sweep finds.
    state
        .forget_unused(&expired, control.now())
        .await
        .context("removing old snapshots")?;
    sweep_tables(engine, state, (now, control), &mut swept).await?;
    state
        .compact_intervals(now)
        .await
        .context("compacting the intervals")?;
    state
        .forget_old_batches()
        .await
        .context("forgetting old batches")?;
    state
        .forget_leftovers(control.now())
        .await
        .context("forgetting what dead processes held")?;
    Ok(swept)
}

fn is_expired(environment: &Environment, now: DateTime<Utc>) -> bool {
    let expired = environment.expires_at.is_some_and(|expires| expires <= now);
    expired && !environment.name.is_prod()
}

/// Drops views that no environment shows any more, such as those that could not be dropped before.
async fn sweep_views(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    (now, control): (DateTime<Utc>, &Control),
    swept: &mut Swept,
) -> anyhow::Result<()> {
    let ledger = state.ledger().await.context("reading the ledger")?;
    let mut names: Vec<EnvironmentName> = ledger
        .iter()
        .filter(|record| record.entry.kind == LedgerKind::EnvironmentView)
        .map(|record| EnvironmentName::from(record.entry.environment.clone()))
        .collect();
    names.dedup();
    names.sort();
    names.dedup();
    for name in names {
        let subject = Subject::environment(&name);
        let Some(lease) = claimed(state, control, &subject).await? else {
            continue;
        };
        let environment = state.environment(&name).await?;
        // While a switch is not known to be done, any of them may be what readers see.
        let is_settled = environment
            .as_ref()
            .is_none_or(|environment| environment.finalized_at.is_some());
        if is_settled {
            let shown = environment.iter().flat_map(|of| {
                let entries = of.snapshots.iter().filter(|entry| entry.view);
                entries.map(|entry| of.view(&entry.id.name))
            });
            let shown: Vec<TableName> = shown.collect();
            let mut left = state.ledger_views(name.as_str()).await?;
            left.retain(|view| !shown.contains(view));
            let left = left.into_iter().map(|view| (view, LedgerKind::View));
            let drops = drop_all(engine, state, left.collect(), now).await?;
            swept.views.extend(drops.dropped);
            swept.failed.extend(drops.failed);
        }
        state.release(&lease).await?;
    }
    Ok(())
}

/// Finishes a switch of production that was left undone, where tables stand under their models' own names: until then the
/// table that readers see may be one that nobody needs any more.
async fn settle_own_tables(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    now: DateTime<Utc>,
    (control, report): (&Control, Reporter<'_>),
) -> anyhow::Result<()> {
    let name = EnvironmentName::prod();
    let is_open = async || -> anyhow::Result<Option<Environment>> {
        let found = state.environment(&name).await;
        let found = found.context("reading `prod`")?;
        Ok(found.filter(|found| found.finalized_at.is_none()))
    };
    if is_open().await?.is_none() || !state.has_own_tables().await? {
        return Ok(());
    }
    let lease = hold_environment(state, &name, control, report).await?;
    // Somebody may have done it while this waited.
    if let Some(open) = is_open().await? {
        finish_switch(engine, state, &open, &lease, now, (control, report)).await?;
    } else {
        state.release(&lease).await?;
    }
    Ok(())
}

/// Forgets tables that were to stand under their models' own names and never did, because whoever was to move them died before.
async fn forget_own_tables(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    if !state.has_own_tables().await? {
        return Ok(());
    }
    let production = state.environment(&EnvironmentName::prod()).await;
    let production = production.context("reading `prod`")?;
    let Some(production) = production.filter(|found| found.finalized_at.is_some()) else {
        return Ok(());
    };
    // First the ledger, then the warehouse: what is written down since is not looked at.
    let ledger = state.ledger().await.context("reading the ledger")?;
    let mut gone: BTreeSet<TableName> = ledger
        .into_iter()
        .filter(|record| record.entry.kind == LedgerKind::OwnTable)
        .map(|record| record.entry.table)
        .collect();
    for entry in &production.snapshots {
        gone.remove(&production.view(&entry.id.name));
    }
    if gone.is_empty() {
        return Ok(());
    }
    for name in stand_ins(engine, state).await?.values() {
        gone.remove(name);
    }
    let gone: Vec<TableName> = gone.into_iter().collect();
    let forgotten = state.mark_gone(&gone, now).await;
    forgotten.context("recording that a table never came")
}

/// Drops physical tables and views that nobody needs. What somebody writes now stays.
async fn sweep_tables(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    (now, control): (DateTime<Utc>, &Control),
    swept: &mut Swept,
) -> anyhow::Result<()> {
    let orphans = state
        .orphaned_objects()
        .await
        .context("looking for unused tables")?;
    let mut going = Vec::new();
    let mut leases = Vec::new();
    let shown = shown_in_production(engine, state, &orphans).await?;
    for object in orphans {
        if shown.contains(&object.table) {
            continue;
        }
        let subject = Subject::table(&object.name, &object.version);
        let Some(lease) = claimed(state, control, &subject).await? else {
            continue;
        };
        let (ttl, at) = (time_to_live(control), control.now());
        // From then on a plan that would show it waits until it is gone.
        match state.condemn(&object, &control.holder, ttl, at).await? {
            Some(drop) => {
                going.push((object.table.clone(), kind(&object)));
                leases.extend([lease, drop]);
            }
            None => state.release(&lease).await?,
        }
    }
    let drops = drop_all(engine, state, going, now).await?;
    swept.tables.extend(drops.dropped);
    swept.failed.extend(drops.failed);
    for lease in leases {
        state.release(&lease).await?;
    }
    Ok(())
}

/// The names of versions whose tables stand under their models' own names: a switch that has begun since takes them away.
async fn shown_in_production(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    orphans: &[PhysicalObject],
) -> anyhow::Result<BTreeSet<TableName>> {
    if orphans.is_empty() || !state.has_own_tables().await? {
        return Ok(BTreeSet::new());
    }
    let found = stand_ins(engine, state).await?;
    Ok(found.into_keys().collect())
}

fn kind(object: &PhysicalObject) -> LedgerKind {
    match object.kind {
        PhysicalObjectKind::Table => LedgerKind::Table,
        PhysicalObjectKind::View => LedgerKind::View,
    }
}

/// Takes `subject` unless somebody has it.
async fn claimed(
    state: &StateStore,
    control: &Control,
    subject: &Subject,
) -> anyhow::Result<Option<Lease>> {
    let (ttl, now) = (time_to_live(control), control.now());
    match state.claim(subject, &control.holder, ttl, now).await? {
        Claim::Given(lease) => Ok(Some(lease)),
        Claim::Held(_) => Ok(None),
    }
}

/// Drops an environment's views, then its record. Returns the views.
///
/// Succeeds when the environment is gone already.
///
/// # Errors
/// For `prod`, and when the state or the engine does not answer or a view cannot be dropped; then it can be run again.
pub async fn drop_environment(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    name: &EnvironmentName,
    now: DateTime<Utc>,
    control: &Control,
    report: Reporter<'_>,
) -> anyhow::Result<Vec<TableName>> {
    anyhow::ensure!(!name.is_prod(), "`prod` cannot be removed");
    let keeper = Keeper::start(state, control);
    let drops = async {
        hold_environment(state, name, control, report).await?;
        remove(engine, state, name, now).await
    }
    .await;
    keeper.finish(state, control).await;
    let drops = drops?;
    if let Some((view, error)) = drops.failed.first() {
        anyhow::bail!(
            "dropping `{}`: {error}; the janitor tries again",
            view.plain()
        );
    }
    Ok(drops.dropped)
}

/// Drops an environment's views, what is left of its schemas, and its record. The caller holds the environment.
pub(super) async fn remove(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    name: &EnvironmentName,
    now: DateTime<Utc>,
) -> anyhow::Result<Drops> {
    let environment = state
        .environment(name)
        .await
        .context("reading the environment")?;
    let mut views = state.ledger_views(name.as_str()).await?;
    if let Some(environment) = &environment {
        views.extend(recorded_views(state, environment).await?);
        // If this ends half way, a plan of the environment must make its views again.
        state
            .reopen(name, &environment.plan_id)
            .await
            .context("recording that the views go")?;
    }
    views.sort();
    views.dedup();
    let going = views.into_iter().map(|view| (view, LedgerKind::View));
    let drops = drop_all(engine, state, going.collect(), now).await?;
    drop_schemas(engine, state, name, &drops.dropped, now).await?;
    // The record goes last: whoever dies before leaves an environment that the next janitor removes.
    if let Some(environment) = &environment {
        state
            .delete_environment(name, &environment.plan_id)
            .await
            .context("removing the record")?;
    }
    Ok(drops)
}

/// Drops the schemas that were made for the environment, where nothing is left in them.
async fn drop_schemas(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    name: &EnvironmentName,
    views: &[TableName],
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let ledger = state.ledger().await.context("reading the ledger")?;
    let suffix = format!("__{name}");
    let mut schemas: Vec<TableName> = ledger
        .iter()
        .filter(|record| record.entry.kind == LedgerKind::Schema)
        .filter(|record| record.entry.environment == name.as_str())
        .map(|record| record.entry.table.clone())
        .collect();
    // Those of earlier releases were not written down, but have a name that is nobody else's.
    schemas.extend(views.iter().filter_map(|view| {
        let schema = view.schema.as_ref()?;
        schema.ends_with(&suffix).then(|| TableName {
            name: String::new(),
            ..view.clone()
        })
    }));
    schemas.sort();
    schemas.dedup();
    // Physical schemas are shared by all environments, and others may be about to use them.
    let is_left = |schema: &TableName| {
        !ledger.iter().any(|record| {
            let table = &record.entry.table;
            !table.name.is_empty()
                && !views.contains(table)
                && (&table.catalog, &table.schema) == (&schema.catalog, &schema.schema)
        })
    };
    schemas.retain(is_left);
    let going = schemas
        .into_iter()
        .map(|schema| (schema, LedgerKind::Schema));
    drop_all(engine, state, going.collect(), now).await?;
    drop_catalogs(engine, state, name, now).await
}

/// Drops the catalogs that were made for the environment, where nothing is left in them.
async fn drop_catalogs(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    name: &EnvironmentName,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let ledger = state.ledger().await.context("reading the ledger")?;
    let is_used = |catalog: &TableName| {
        ledger.iter().any(|record| {
            record.entry.kind != LedgerKind::Catalog
                && record.entry.table.catalog == catalog.catalog
        })
    };
    let going = ledger
        .iter()
        .filter(|record| record.entry.kind == LedgerKind::Catalog)
        .filter(|record| record.entry.environment == name.as_str())
        .map(|record| record.entry.table.clone())
        .filter(|catalog| !is_used(catalog))
        .map(|catalog| (catalog, LedgerKind::Catalog));
    drop_all(engine, state, going.collect(), now).await?;
    Ok(())
}

/// The views that the record shows, and those of earlier records if the last switch may not be done.
async fn recorded_views(
    state: &StateStore,
    environment: &Environment,
) -> anyhow::Result<Vec<TableName>> {
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
    let shown = entries.iter().filter(|entry| entry.view);
    Ok(shown
        .map(|entry| environment.view(&entry.id.name))
        .collect())
}

//! Run: fill what cron says is due in an environment, with the definitions that it was promoted with.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::environment::PromotedSnapshot;
use crate::environment::view_name;
use crate::model::Model;
use crate::model::ModelName;
use crate::model::topological;
use crate::ops::apply::prepare_tables;
use crate::ops::plan::snapshots_of;
use crate::plan::RunRange;
use crate::plan::ViewSwitch;
use crate::plan::Work;
use crate::plan::due;
use crate::scheduler;
use crate::scheduler::Outcome;
use crate::scheduler::Reporter;
use crate::scheduler::Scope;
use crate::snapshot::Snapshot;
use crate::state::StateStore;

/// What a run did.
#[derive(Debug)]
pub struct RunReport {
    /// What was due.
    pub work: Vec<Work>,
    /// How filling it went.
    pub outcome: Outcome,
    /// Whether a switch that an earlier command left undone was finished first.
    pub finished_switch: bool,
}

/// Fills what is due. Local files are not read: seeds are part of what was promoted.
///
/// # Errors
/// When there is no such environment, or the state or the engine does not answer. Failing models are not
/// errors: they are in the outcome.
pub async fn run(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    name: &EnvironmentName,
    range: &RunRange,
    report: Reporter<'_>,
) -> anyhow::Result<RunReport> {
    let now = range.execution_time;
    let environment = state
        .environment(name)
        .await
        .context("reading the environment")?;
    let environment = environment.with_context(|| {
        format!("there is no environment `{name}`; `siding plan {name}` makes it")
    })?;
    let snapshots = snapshots_of(state, Some(&environment)).await?;
    let finished_switch = environment.finalized_at.is_none();
    if finished_switch {
        finish_switch(engine, state, &environment, now, report).await?;
    }
    let models: BTreeMap<ModelName, std::sync::Arc<Model>> = snapshots
        .iter()
        .map(|(name, snapshot)| (name.clone(), std::sync::Arc::clone(&snapshot.model)))
        .collect();
    let order = topological(&models);
    let tables: Vec<_> = environment
        .snapshots
        .iter()
        .map(|entry| (entry.id.name.clone(), entry.version.clone()))
        .collect();
    let filled = state
        .filled(&tables)
        .await
        .context("reading the intervals")?;
    let work = due(&order, &snapshots, &environment, &filled, range);
    let entries: BTreeMap<ModelName, PromotedSnapshot> = environment
        .snapshots
        .iter()
        .map(|entry| (entry.id.name.clone(), entry.clone()))
        .collect();
    let outcome = fill(engine, state, &snapshots, &entries, &work, now, report).await?;
    Ok(RunReport {
        work,
        outcome,
        finished_switch,
    })
}

async fn fill(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    snapshots: &BTreeMap<ModelName, Snapshot>,
    entries: &BTreeMap<ModelName, PromotedSnapshot>,
    work: &[Work],
    now: DateTime<Utc>,
    report: Reporter<'_>,
) -> anyhow::Result<Outcome> {
    prepare_tables(work, snapshots, engine, state, now).await?;
    let scope = Scope {
        snapshots,
        entries,
        execution_time: now,
    };
    Ok(scheduler::fill(engine, state, &scope, work, now, report).await)
}

/// Points every view of `environment` at what its record says, and marks the record done.
///
/// For a switch of which only the record was written when the process died.
pub(super) async fn finish_switch(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    environment: &Environment,
    now: DateTime<Utc>,
    report: Reporter<'_>,
) -> anyhow::Result<()> {
    let mut views = ViewSwitch::default();
    for entry in environment.snapshots.iter().filter(|entry| entry.view) {
        let table = entry
            .table
            .clone()
            .context("a view in the record has no table")?;
        views
            .create
            .push((view_name(&entry.id.name, &environment.name), table));
    }
    for promotion in state
        .history(&environment.name)
        .await
        .context("reading the history")?
    {
        for entry in promotion.snapshots.iter().filter(|entry| entry.view) {
            let view = view_name(&entry.id.name, &environment.name);
            if !views.create.iter().any(|(kept, _)| *kept == view) && !views.drop.contains(&view) {
                views.drop.push(view);
            }
        }
    }
    scheduler::switch(engine, &views, report).await?;
    state
        .finalize(&environment.name, &environment.plan_id, now)
        .await
        .context("recording that the views are switched")
}

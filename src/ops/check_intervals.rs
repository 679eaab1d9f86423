//! Which intervals of an environment are due and missing; nothing is changed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;

use crate::engine::EngineAdapter;
use crate::environment::Environment;
use crate::environment::PromotedSnapshot;
use crate::model::Model;
use crate::model::ModelName;
use crate::ops::RunRequest;
use crate::ops::Session;
use crate::ops::beforehand::withheld;
use crate::ops::destroy::ensure_whole;
use crate::ops::plan::snapshots_of;
use crate::ops::run::Due;
use crate::ops::run::find_due;
use crate::plan::HeldBack;
use crate::scheduler::Scope;
use crate::scheduler::Wait;
use crate::scheduler::ask;
use crate::snapshot::Interval;
use crate::state::StateStore;

/// How complete each model of an environment is.
#[derive(Clone, Debug)]
pub struct Completeness {
    /// What is due, ready and not filled, by model, parents first.
    pub missing: Vec<(ModelName, Vec<Interval>)>,
    /// What is due and waits for a signal, by model, parents first.
    pub waiting: Vec<(ModelName, Wait)>,
    /// The other models, sorted.
    pub complete: Vec<ModelName>,
}

/// What a run would fill. Changes nothing. Signals are asked of the warehouse if they are to be and there are some; all else
/// is asked of the state.
///
/// # Errors
/// When there is no such environment, the state or the warehouse does not answer, or a signal cannot be asked.
pub async fn check_intervals(
    session: &Session,
    request: &RunRequest,
    with_signals: bool,
) -> anyhow::Result<Completeness> {
    let state = session.state();
    ensure_whole(state).await?;
    let name = &request.environment;
    let environment = state
        .environment(name)
        .await
        .context("reading the environment")?;
    let environment = environment.with_context(|| {
        format!("there is no environment `{name}`; `siding plan {name}` makes it")
    })?;
    let models = snapshots_of(state, Some(&environment)).await?;
    let models: BTreeMap<ModelName, Arc<Model>> = models
        .into_iter()
        .map(|(name, snapshot)| (name, snapshot.model))
        .collect();
    let selected = request.selection.among(&models)?;
    let due = find_due(state, &environment, request, &BTreeMap::new()).await?;
    let mut asking = due.work.iter().filter_map(|work| models.get(&work.name));
    let (missing, waiting) = if with_signals && asking.any(|model| model.asks()) {
        let engine = session.engine().await?;
        asked(engine.as_ref(), state, &environment, due, request).await?
    } else {
        let work = due.work.into_iter();
        (
            work.map(|work| (work.name, work.ranges)).collect(),
            Vec::new(),
        )
    };
    let is_missing = missing.iter().map(|(name, _)| name);
    let is_missing: BTreeSet<&ModelName> = is_missing
        .chain(waiting.iter().map(|(name, _)| name))
        .collect();
    let complete = models
        .iter()
        .filter(|(_, model)| !model.kind.is_symbolic())
        .map(|(name, _)| name)
        .filter(|name| !is_missing.contains(name))
        .filter(|name| selected.as_ref().is_none_or(|these| these.contains(*name)));
    Ok(Completeness {
        complete: complete.cloned().collect(),
        missing,
        waiting,
    })
}

type Missing = Vec<(ModelName, Vec<Interval>)>;

/// What is due and ready, and what waits.
async fn asked(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    environment: &Environment,
    mut due: Due,
    request: &RunRequest,
) -> anyhow::Result<(Missing, Vec<(ModelName, Wait)>)> {
    let entries = environment.snapshots.iter();
    let entries: BTreeMap<ModelName, PromotedSnapshot> = entries
        .map(|entry| (entry.id.name.clone(), entry.clone()))
        .collect();
    let scope = Scope {
        snapshots: &due.snapshots,
        entries: &entries,
        execution_time: request.range.execution_time,
        elsewhere: None,
    };
    let withheld = withheld(engine, state, &scope, &due.order, &due.work, &due.filled).await?;
    if !withheld.is_empty() {
        // What is behind something that does not come yet is not made again.
        due = find_due(state, environment, request, &withheld).await?;
    }
    let scope = Scope {
        snapshots: &due.snapshots,
        entries: &entries,
        execution_time: request.range.execution_time,
        elsewhere: None,
    };
    let (mut missing, mut waiting) = (Missing::new(), Vec::new());
    let mut held = HeldBack::default();
    for work in &due.work {
        let model = &due.snapshots[&work.name].model;
        let above = held.above(&work.name, &due.snapshots);
        let filled = due.filled.get(&(work.name.clone(), work.version.clone()));
        let filled = filled.cloned().unwrap_or_default();
        let found = ask(engine, &scope, model, work, &filled, above, None).await?;
        held.add(&work.name, found.unready);
        let ranges = found
            .rest
            .map_or_else(|| work.ranges.clone(), |rest| rest.ranges);
        if !ranges.is_empty() {
            missing.push((work.name.clone(), ranges));
        }
        let waits = found.waits.into_iter();
        waiting.extend(waits.map(|wait| (work.name.clone(), wait)));
    }
    Ok((missing, waiting))
}

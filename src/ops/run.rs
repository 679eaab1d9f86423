//! Run: fill what cron says is due in an environment, with the definitions that it was promoted with.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::environment::PromotedSnapshot;
use crate::model::Cron;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::topological;
use crate::ops::apply::prepare_tables;
use crate::ops::auto_restate::clear_due;
use crate::ops::beforehand::withheld;
use crate::ops::destroy::ensure_whole;
use crate::ops::late;
use crate::ops::late::By;
use crate::ops::ledger::Why;
use crate::ops::plan::snapshots_of;
use crate::ops::promote::finish_switch;
use crate::ops::promote::hold_environment;
use crate::ops::run_selection::Selection;
use crate::plan::Late;
use crate::plan::RunRange;
use crate::plan::Work;
use crate::plan::due;
use crate::scheduler;
use crate::scheduler::BoundTo;
use crate::scheduler::Control;
use crate::scheduler::CutShort;
use crate::scheduler::Filling;
use crate::scheduler::Keeper;
use crate::scheduler::Outcome;
use crate::scheduler::Progress;
use crate::scheduler::Reporter;
use crate::scheduler::Scope;
use crate::scheduler::turns;
use crate::snapshot::Intervals;
use crate::snapshot::Snapshot;
use crate::state::StateStore;

/// What is asked of a run.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// Which environment.
    pub environment: EnvironmentName,
    /// Which part of time.
    pub range: RunRange,
    /// Which models; all where none is named.
    pub selection: Selection,
    /// What to do when another plan changes the environment meanwhile.
    pub on_change: OnChange,
}

/// What a run does when another plan changes its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// Begin again with what the environment is now.
    Restart,
    /// End; what is done is recorded.
    End,
}

/// What a run did.
#[derive(Debug)]
pub struct RunReport {
    /// What was due.
    pub work: Vec<Work>,
    /// How filling it went.
    pub outcome: Outcome,
    /// Whether a switch that an earlier command left undone was finished first.
    pub finished_switch: bool,
    /// How often the run began again because another plan had changed the environment.
    pub restarts: usize,
    /// Models that are filled again by themselves, as they say.
    pub restated: BTreeSet<ModelName>,
    /// When the next model is due; `None` when none ever is.
    pub next: Option<DateTime<Utc>>,
}

/// Fills what is due. Local files are not read: seeds are part of what was promoted.
///
/// # Errors
/// When there is no such environment, or the state or the engine does not answer. Failing models are not
/// errors: they are in the outcome.
pub async fn run(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    request: &RunRequest,
    control: &Control,
    report: Reporter<'_>,
) -> anyhow::Result<RunReport> {
    ensure_whole(state).await?;
    let keeper = Keeper::start(state, control);
    let result = run_held(engine, state, request, (control, &keeper), report).await;
    keeper.finish(state, control).await;
    result
}

async fn run_held(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    request: &RunRequest,
    (control, keeper): (&Control, &Keeper),
    report: Reporter<'_>,
) -> anyhow::Result<RunReport> {
    let now = request.range.execution_time;
    let mut finished_switch = false;
    let mut restarts = 0;
    let mut restated = BTreeSet::new();
    let mut before: Option<(Vec<Work>, Outcome)> = None;
    loop {
        let (environment, finished) = ready(engine, state, request, control, report).await?;
        finished_switch |= finished;
        if environment.name.is_prod() && request.selection.selectors.is_empty() {
            restated.extend(clear_due(state, &environment, now, control, report).await?);
        }
        let mut due = find_due(state, &environment, request, &BTreeMap::new()).await?;
        let entries = environment.snapshots.iter();
        let entries: BTreeMap<ModelName, PromotedSnapshot> = entries
            .map(|entry| (entry.id.name.clone(), entry.clone()))
            .collect();
        let scope = Scope {
            snapshots: &due.snapshots,
            entries: &entries,
            execution_time: now,
            elsewhere: None,
        };
        let withheld = withheld(engine, state, &scope, &due.order, &due.work, &due.filled).await?;
        if !withheld.is_empty() {
            due = find_due(state, &environment, request, &withheld).await?;
        }
        let scope = Scope {
            snapshots: &due.snapshots,
            entries: &entries,
            execution_time: now,
            elsewhere: None,
        };
        let by = By {
            plan_id: &environment.plan_id,
            environment: &environment.name,
            entries: &environment.snapshots,
            actor: &control.holder.label,
        };
        late::clear(&due.late, state, &by, now).await?;
        let why = Why {
            environment: &environment.name,
            reason: format!("run at {}", now.format("%Y-%m-%dT%H:%M:%SZ")),
        };
        prepare_tables(&due.work, &due.snapshots, engine, state, &why, now).await?;
        let filling = Filling {
            engine,
            state,
            scope: &scope,
            environment: &environment.name,
            bound_to: BoundTo {
                plan_id: Some(&environment.plan_id),
                finished: true,
            },
            filled: &due.filled,
            withheld: &withheld,
            now,
            control,
            keeper,
            turns: turns(engine),
            report,
        };
        let around = &control.around;
        if !due.work.is_empty() {
            around.before(engine, &environment.name, now).await?;
        }
        let mut outcome = scheduler::fill(&filling, &due.work).await;
        if !due.work.is_empty() && is_of_another_plan(state, &environment).await? {
            // What was filled last may not be in the tables that it shows now.
            outcome
                .cut_short
                .get_or_insert(CutShort::EnvironmentChanged);
        }
        if !due.work.is_empty() {
            let after = around.after(engine, &environment.name, now).await;
            after.context("what the run has filled is recorded, but what comes after it failed")?;
        }
        let (work, outcome) = match before.take() {
            Some((earlier, done)) => (both(earlier, due.work), outcome.after(done)),
            None => (due.work, outcome),
        };
        let changed = outcome.cut_short == Some(CutShort::EnvironmentChanged);
        if changed && request.on_change == OnChange::Restart {
            report(Progress::Restarted);
            restarts += 1;
            before = Some((work, outcome));
            continue;
        }
        return Ok(RunReport {
            next: next_due(&due.snapshots, &environment, now),
            work,
            outcome,
            finished_switch,
            restarts,
            restated,
        });
    }
}

/// Whether somebody has promoted the environment since it was read.
async fn is_of_another_plan(state: &StateStore, environment: &Environment) -> anyhow::Result<bool> {
    let standing = state.standing(&environment.name).await;
    let standing = standing.context("reading the environment")?;
    Ok(standing.is_some_and(|(plan_id, _)| plan_id != environment.plan_id))
}

/// What was due in all, where `later` was found after a restart: of one table, what was left of it.
fn both(mut earlier: Vec<Work>, later: Vec<Work>) -> Vec<Work> {
    for work in later {
        let same = |known: &&mut Work| known.name == work.name && known.table == work.table;
        let Some(known) = earlier.iter_mut().find(same) else {
            earlier.push(work);
            continue;
        };
        let due: Intervals = known.ranges.iter().copied().collect();
        let new = work
            .batches
            .into_iter()
            .filter(|batch| !due.contains(*batch));
        known.batches.extend(new);
        let ranges: Intervals = work.ranges.into_iter().collect();
        known.ranges = due.merge(&ranges).iter().collect();
    }
    earlier
}

/// The environment, with its views as its record says; and whether they had to be switched.
async fn ready(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    request: &RunRequest,
    control: &Control,
    report: Reporter<'_>,
) -> anyhow::Result<(Environment, bool)> {
    let name = &request.environment;
    let read = async || {
        let environment = state
            .environment(name)
            .await
            .context("reading the environment")?;
        environment.with_context(|| {
            format!("there is no environment `{name}`; `siding plan {name}` makes it")
        })
    };
    let environment = read().await?;
    if environment.finalized_at.is_some() {
        return Ok((environment, false));
    }
    // Somebody may be at it: then this waits, and finds it done.
    let lease = hold_environment(state, name, control, report).await?;
    let environment = read().await?;
    if environment.finalized_at.is_some() {
        state.release(&lease).await?;
        return Ok((environment, false));
    }
    let now = request.range.execution_time;
    finish_switch(engine, state, &environment, &lease, now, (control, report)).await?;
    Ok((read().await?, true))
}

/// What a run of an environment has to do.
pub(super) struct Due {
    pub(super) order: Vec<ModelName>,
    pub(super) snapshots: BTreeMap<ModelName, Snapshot>,
    pub(super) filled: BTreeMap<(ModelName, crate::snapshot::Version), crate::snapshot::Intervals>,
    pub(super) work: Vec<Work>,
    late: Late,
}

pub(super) async fn find_due(
    state: &StateStore,
    environment: &Environment,
    request: &RunRequest,
    withheld: &BTreeMap<ModelName, Intervals>,
) -> anyhow::Result<Due> {
    let snapshots = snapshots_of(state, Some(environment)).await?;
    let models: BTreeMap<ModelName, Arc<Model>> = snapshots
        .iter()
        .map(|(name, snapshot)| (name.clone(), Arc::clone(&snapshot.model)))
        .collect();
    let selected: Option<BTreeSet<ModelName>> = request.selection.among(&models)?;
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
    let selected = selected.as_ref();
    let (work, late) = due(
        &order,
        &snapshots,
        environment,
        &filled,
        &request.range,
        selected,
        withheld,
    );
    Ok(Due {
        order,
        snapshots,
        filled,
        work,
        late,
    })
}

/// When the first model of `environment` is due after `now`; `None` when none ever is.
pub(super) fn next_due(
    snapshots: &BTreeMap<ModelName, Snapshot>,
    environment: &Environment,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let models: BTreeMap<(&str, Option<&str>), &Model> = environment
        .snapshots
        .iter()
        .filter_map(|entry| snapshots.get(&entry.id.name))
        .map(|snapshot| &snapshot.model)
        .filter(|model| is_repeated(model))
        .map(|model| ((model.cron.as_str(), model.cron_tz.as_deref()), &**model))
        .collect();
    let crons = models.values().filter_map(|model| Cron::of(model).ok());
    crons.map(|cron| cron.next(now)).min()
}

/// Whether a model is filled, or looked at by its audits, more than once.
fn is_repeated(model: &Model) -> bool {
    match model.kind {
        ModelKind::View => !model.audits.is_empty(),
        ModelKind::Seed(_) => false,
        _ => !model.kind.is_symbolic(),
    }
}

//! Apply a plan: fill, audit, record, switch.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::environment::PromotedSnapshot;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::ops::Planned;
use crate::ops::beforehand::withheld;
use crate::ops::catch_up::catch_up_and_promote;
use crate::ops::drops::objects_beside;
use crate::ops::in_the_way::check_free;
use crate::ops::kept;
use crate::ops::late;
use crate::ops::late::By;
use crate::ops::ledger::Why;
use crate::ops::ledger::write_down;
use crate::ops::restate;
use crate::ops::waiting::consequences;
use crate::plan::Plan;
use crate::plan::Work;
use crate::plan::late_without;
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
use crate::scheduler::Stopped;
use crate::scheduler::Switched;
use crate::scheduler::Wait;
use crate::scheduler::turns;
use crate::snapshot::Intervals;
use crate::snapshot::Snapshot;
use crate::sql::TableName;
use crate::state::LedgerEntry;
use crate::state::LedgerKind;
use crate::state::PhysicalObject;
use crate::state::PhysicalObjectKind;
use crate::state::PromoteError;
use crate::state::StateStore;

/// What applying a plan did.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Models of which this process ran a batch, in the order they finished.
    pub executed: Vec<ModelName>,
    /// Audits that found rows but do not block, one sentence each.
    pub warnings: Vec<String>,
    /// The switch; `None` when no view and no record changed.
    pub switched: Option<Switched>,
    /// Other environments that have tables to fill again, because what they are made of was restated.
    pub cleared: BTreeSet<String>,
    /// What is not filled, because it waits for a signal; the next run asks again.
    pub waiting: Vec<(ModelName, Wait)>,
}

impl Applied {
    /// Adds what waits of a filling.
    pub(super) fn add_waiting(&mut self, outcome: &Outcome) {
        let waiting = outcome.waiting();
        self.waiting
            .extend(waiting.map(|(name, wait)| (name.clone(), wait.clone())));
    }
}

/// Why a plan was not applied. Nothing that readers see has changed, unless the error says so.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Somebody else changed the environment after this plan was made.
    #[error(
        "`{environment}` was changed by another plan{} after this one was made; plan again",
        by.as_ref().map_or_else(String::new, |by| format!(" (by {by})"))
    )]
    Conflict {
        /// Which environment.
        environment: String,
        /// Who, if known.
        by: Option<String>,
    },
    /// A model failed; the tables that were filled stay and are used again.
    #[error("{}", failures(failed, skipped))]
    Failed {
        /// Models with the cause.
        failed: Vec<(ModelName, anyhow::Error)>,
        /// Models that were not tried, with the failed model that they read.
        skipped: Vec<(ModelName, ModelName)>,
    },
    /// Somebody wanted it to end.
    #[error(
        "stopped before it was done; readers see what they saw before, and what was filled is used by the next plan"
    )]
    Stopped {
        /// Models that are not filled.
        left: Vec<ModelName>,
    },
    /// What the environment shows was filled meanwhile, and this plan may not do the same with its tables.
    #[error(
        "{} of `{environment}` {} filled further after this plan was made; plan again, which fills only the rest",
        names(models),
        if models.len() == 1 { "was" } else { "were" }
    )]
    Behind {
        /// Which environment.
        environment: String,
        /// Models whose new tables would have less than what is shown.
        models: Vec<ModelName>,
    },
    /// Everything is done and readers see it; only what is to run after it failed.
    #[error(
        "the plan is applied and `{environment}` shows it, but what comes after failed: {error:#}; no plan does that again: run the \
         statements of `after_all` by hand, or mend them for the next plan or run that has something to do"
    )]
    After {
        /// Which environment.
        environment: String,
        /// What failed.
        error: anyhow::Error,
    },
    /// The state or the engine did not answer.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

fn failures(failed: &[(ModelName, anyhow::Error)], skipped: &[(ModelName, ModelName)]) -> String {
    let mut lines: Vec<String> = failed
        .iter()
        .map(|(name, error)| format!("`{name}` failed: {error:#}"))
        .collect();
    lines.extend(
        skipped
            .iter()
            .map(|(name, because)| format!("`{name}` was skipped, because `{because}` failed")),
    );
    lines.join("\n")
}

fn names(models: &[ModelName]) -> String {
    let names: Vec<String> = models.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Makes the environment match the plan.
///
/// In this order, each step repeatable: snapshots are stored; tables are written down and filled; what was filled
/// meanwhile of those that they replace is filled in them too; the environment's record is replaced, if nobody else did so meanwhile; views are switched in one
/// transaction; the record is marked done. A kill in between leaves readers with all of the old or
/// all of the new, and the next plan or run of the environment finishes.
///
/// # Errors
/// [`ApplyError`].
pub async fn apply(
    planned: &Planned,
    engine: &dyn EngineAdapter,
    state: &StateStore,
    now: DateTime<Utc>,
    control: &Control,
    report: Reporter<'_>,
) -> Result<Applied, ApplyError> {
    apply_as(planned, engine, state, now, (control, true), report).await
}

/// The same for a plan that is only to switch: where something must be filled before, it is [`ApplyError::Behind`].
///
/// # Errors
/// [`ApplyError`].
pub async fn switch_only(
    planned: &Planned,
    engine: &dyn EngineAdapter,
    state: &StateStore,
    now: DateTime<Utc>,
    control: &Control,
    report: Reporter<'_>,
) -> Result<Applied, ApplyError> {
    apply_as(planned, engine, state, now, (control, false), report).await
}

async fn apply_as(
    planned: &Planned,
    engine: &dyn EngineAdapter,
    state: &StateStore,
    now: DateTime<Utc>,
    (control, may_fill): (&Control, bool),
    report: Reporter<'_>,
) -> Result<Applied, ApplyError> {
    if planned.plan.is_empty() {
        return Ok(Applied::default());
    }
    kept::open(state, &planned.plan.promoted, control).await?;
    let keeper = Keeper::start(state, control);
    let applied = apply_held(
        planned,
        engine,
        state,
        now,
        (control, &keeper, may_fill),
        report,
    )
    .await;
    keeper.finish(state, control).await;
    applied
}

async fn apply_held(
    planned: &Planned,
    engine: &dyn EngineAdapter,
    state: &StateStore,
    now: DateTime<Utc>,
    (control, keeper, may_fill): (&Control, &Keeper, bool),
    report: Reporter<'_>,
) -> Result<Applied, ApplyError> {
    let plan = &planned.plan;
    let waited = kept::await_drops(state, &plan.promoted.snapshots, control, report).await;
    waited.map_err(stopped)?;
    check_current(plan, state).await?;
    kept::check_known(planned, state).await?;
    check_views(plan, state).await?;
    check_tables(plan, engine).await?;
    check_free(engine, state, &plan.promoted, &plan.views.create).await?;
    let new: Vec<Snapshot> = plan
        .draft
        .new
        .iter()
        .map(|name| plan.draft.snapshots[name].clone())
        .collect();
    state
        .store_snapshots(&new, now)
        .await
        .context("storing the snapshots")?;

    let name = &plan.promoted.name;
    control
        .around
        .before(engine, name, plan.execution_time)
        .await?;
    let applied = carry_out(
        planned,
        engine,
        state,
        now,
        (control, keeper, may_fill),
        report,
    )
    .await;
    let after = control.around.after(engine, name, plan.execution_time);
    let ended = after.await;
    let applied = applied?;
    match ended {
        Ok(()) => Ok(applied),
        Err(error) => Err(ApplyError::After {
            environment: plan.promoted.name.to_string(),
            error,
        }),
    }
}

/// Fills, audits, records and switches; the snapshots are stored.
async fn carry_out(
    planned: &Planned,
    engine: &dyn EngineAdapter,
    state: &StateStore,
    now: DateTime<Utc>,
    (control, keeper, may_fill): (&Control, &Keeper, bool),
    report: Reporter<'_>,
) -> Result<Applied, ApplyError> {
    let plan = &planned.plan;
    let entries: BTreeMap<ModelName, PromotedSnapshot> = plan
        .promoted
        .snapshots
        .iter()
        .map(|entry| (entry.id.name.clone(), entry.clone()))
        .collect();
    let scope = Scope {
        snapshots: &plan.draft.snapshots,
        entries: &entries,
        execution_time: plan.execution_time,
        elsewhere: None,
    };
    let cleared = if plan.restated.is_empty() && plan.asked.is_empty() {
        BTreeSet::new()
    } else {
        restate::record(planned, state, now).await?
    };
    let by = By {
        plan_id: &plan.id,
        environment: &plan.promoted.name,
        entries: &plan.promoted.snapshots,
        actor: &plan.promoted.promoted_by,
    };
    let (order, filled) = (&plan.draft.order, &planned.current.filled);
    let withheld = withheld(engine, state, &scope, order, &plan.work, filled).await?;
    let late = late_without(plan, &planned.current, &withheld);
    late::clear(&late, state, &by, now).await?;
    let why = Why {
        environment: &plan.promoted.name,
        reason: format!("plan {}", plan.id),
    };
    prepare_tables(&plan.work, &plan.draft.snapshots, engine, state, &why, now).await?;
    let filling = Filling {
        engine,
        state,
        scope: &scope,
        environment: &plan.promoted.name,
        bound_to: BoundTo {
            plan_id: plan.promoted.previous_plan_id.as_deref(),
            finished: false,
        },
        filled,
        withheld: &withheld,
        now,
        control,
        keeper,
        turns: turns(engine),
        report,
    };
    let outcome = scheduler::fill(&filling, &plan.work).await;
    let outcome = finished(plan, state, outcome).await?;
    let mut applied = Applied::default();
    applied.add_waiting(&outcome);
    let mut warnings = outcome.warnings;
    warnings.extend(audit_only(planned, engine, &scope, report).await?);

    let ran: BTreeSet<ModelName> = outcome
        .models
        .into_iter()
        .filter(|model| !model.batches.is_empty())
        .map(|model| model.name)
        .collect();
    let executed = outcome.filled.into_iter();
    let mut applied = Applied {
        executed: executed.filter(|name| ran.contains(name)).collect(),
        warnings,
        cleared,
        ..applied
    };
    for message in consequences(planned, state, &applied.waiting).await? {
        report(Progress::Warning(message.clone()));
        applied.warnings.push(message);
    }
    close_restatements(planned, state).await?;
    // A record that has or had an end is written again: its time starts anew.
    let unchanged_record = planned.current.target.as_ref().is_some_and(|target| {
        target.snapshots == plan.promoted.snapshots && target.expires_at.is_none()
    });
    if unchanged_record
        && !plan.unfinished
        && plan.views.create.is_empty()
        && plan.views.drop.is_empty()
    {
        // Whoever plans an environment still needs it.
        if let Some(expires_at) = plan.promoted.expires_at {
            let extended = state.expire(&plan.promoted.name, expires_at).await;
            extended.context("extending the environment's time to live")?;
        }
        return Ok(applied);
    }
    let switched = catch_up_and_promote(planned, &filling, may_fill, &mut applied).await?;
    applied.switched = Some(switched);
    Ok(applied)
}

/// An error of waiting for somebody else.
pub(super) fn stopped(error: anyhow::Error) -> ApplyError {
    if error.is::<Stopped>() {
        return ApplyError::Stopped { left: Vec::new() };
    }
    ApplyError::Other(error)
}

/// The outcome of a filling that went through.
///
/// # Errors
/// [`ApplyError`] for any other.
pub(super) async fn finished(
    plan: &Plan,
    state: &StateStore,
    outcome: Outcome,
) -> Result<Outcome, ApplyError> {
    match outcome.cut_short.filter(|_| outcome.failed.is_empty()) {
        Some(CutShort::Stopped) => return Err(ApplyError::Stopped { left: outcome.left }),
        Some(CutShort::EnvironmentChanged) => {
            check_current(plan, state).await?;
            return Err(ApplyError::Conflict {
                environment: plan.promoted.name.to_string(),
                by: None,
            });
        }
        None => {}
    }
    if !outcome.failed.is_empty() || !outcome.skipped.is_empty() {
        return Err(ApplyError::Failed {
            failed: outcome.failed,
            skipped: outcome.skipped,
        });
    }
    Ok(outcome)
}

/// Forgets restatements of which nothing is left to fill.
async fn close_restatements(planned: &Planned, state: &StateStore) -> anyhow::Result<()> {
    let mut open: Vec<_> = planned.current.open.keys().cloned().collect();
    let restated = planned.plan.restated.iter();
    open.extend(restated.map(|restated| (restated.name.clone(), restated.version.clone())));
    if open.is_empty() {
        return Ok(());
    }
    let filled = state.filled(&open).await.context("reading the intervals")?;
    let wanted = state
        .restatements(&open)
        .await
        .context("reading the restatements")?;
    let done: Vec<_> = wanted
        .into_iter()
        .filter(|(table, ranges)| ranges.iter().all(|range| filled[table].contains(*range)))
        .map(|(table, _)| table)
        .collect();
    if !done.is_empty() {
        let closed = state.close_restatements(&done).await;
        closed.context("recording that the restatement is done")?;
    }
    Ok(())
}

/// Fails early when the environment is no longer what the plan was made from; the switch checks again.
pub(super) async fn check_current(plan: &Plan, state: &StateStore) -> Result<(), ApplyError> {
    let found = state
        .environment(&plan.promoted.name)
        .await
        .context("reading the environment")?;
    if found.as_ref().map(|found| &found.plan_id) == plan.promoted.previous_plan_id.as_ref() {
        return Ok(());
    }
    Err(ApplyError::Conflict {
        environment: plan.promoted.name.to_string(),
        by: found.map(|found| found.promoted_by),
    })
}

/// Fails when a view would take the place of another environment's: `sales__dev.orders` may be a model of
/// production, and is what `dev` shows of `sales.orders`.
async fn check_views(plan: &Plan, state: &StateStore) -> anyhow::Result<()> {
    let own = &plan.promoted.name;
    let wanted: BTreeSet<&TableName> = plan.views.create.iter().map(|(view, _)| view).collect();
    let others = state
        .environments()
        .await
        .context("reading the environments")?;
    for other in others.iter().filter(|other| other.name != *own) {
        let mut shown = other.snapshots.iter().filter(|entry| entry.view);
        let taken = shown.find_map(|entry| {
            let view = other.view(&entry.id.name);
            wanted.contains(&view).then_some(view)
        });
        if let Some(view) = taken {
            anyhow::bail!(
                "the view `{}` of `{own}` is one of `{}` already; choose another name for the environment or the model",
                view.plain(),
                other.name
            );
        }
    }
    Ok(())
}

/// Fails early when the warehouse lacks a table that the state says is filled.
async fn check_tables(plan: &Plan, engine: &dyn EngineAdapter) -> anyhow::Result<()> {
    let built: BTreeSet<&TableName> = plan.work.iter().map(|work| &work.table).collect();
    let needed: BTreeSet<&TableName> = plan
        .promoted
        .snapshots
        .iter()
        .filter(|entry| entry.view)
        .filter_map(|entry| entry.table.as_ref())
        .filter(|table| !built.contains(table))
        .collect();
    if needed.is_empty() {
        return Ok(());
    }
    let objects = objects_beside(engine, needed.iter().copied()).await?;
    let found: BTreeSet<&TableName> = objects.iter().map(|object| &object.table).collect();
    let gone: Vec<String> = needed
        .iter()
        .filter(|table| !found.contains(&engine.listed(table)))
        .map(|table| format!("`{}`", table.plain()))
        .collect();
    anyhow::ensure!(
        gone.is_empty(),
        "the warehouse lacks {}, which the state says is filled; if the janitor ran meanwhile, plan again; if the \
         database was replaced, restore it, or remove the state's file to build everything again",
        gone.join(", ")
    );
    Ok(())
}

/// Why the state has refused to record what `plan` promotes.
pub(super) fn conflict(plan: &Plan, error: PromoteError) -> ApplyError {
    match error {
        PromoteError::Conflict { by, .. } => ApplyError::Conflict {
            environment: plan.promoted.name.to_string(),
            by,
        },
        PromoteError::MissingSnapshots { .. }
        | PromoteError::NoLongerCompared { .. }
        | PromoteError::State(_) => {
            ApplyError::Other(anyhow::Error::from(error).context("recording the environment"))
        }
    }
}

/// Writes down what will exist, then makes the schemas that it lives in.
pub(super) async fn prepare_tables(
    work: &[Work],
    snapshots: &BTreeMap<ModelName, Snapshot>,
    engine: &dyn EngineAdapter,
    state: &StateStore,
    why: &Why<'_>,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let mut objects = Vec::new();
    let mut schemas = BTreeSet::new();
    for item in work {
        let view = matches!(snapshots[&item.name].model.kind, ModelKind::View);
        objects.push(PhysicalObject {
            table: item.table.clone(),
            kind: if view {
                PhysicalObjectKind::View
            } else {
                PhysicalObjectKind::Table
            },
            name: item.name.clone(),
            version: item.version.clone(),
        });
        schemas.insert((item.table.catalog.clone(), item.table.schema.clone()));
    }
    if objects.is_empty() {
        return Ok(());
    }
    let entries = objects.iter().map(|object| LedgerEntry {
        table: object.table.clone(),
        kind: match object.kind {
            PhysicalObjectKind::Table => LedgerKind::Table,
            PhysicalObjectKind::View => LedgerKind::View,
        },
        model: Some(object.name.clone()),
        environment: why.environment.to_string(),
        reason: why.reason.clone(),
    });
    write_down(engine, state, entries.collect(), why, now).await?;
    state
        .record_objects(&objects, now)
        .await
        .context("writing down the tables")?;
    for (catalog, schema) in schemas {
        if let Some(schema) = schema {
            engine
                .execute(&engine.create_schema(catalog.as_deref(), &schema))
                .await?;
        }
    }
    Ok(())
}

/// Runs audits that changed on rows that did not.
async fn audit_only(
    planned: &Planned,
    engine: &dyn EngineAdapter,
    scope: &Scope<'_>,
    report: Reporter<'_>,
) -> Result<Vec<String>, ApplyError> {
    let mut warnings = Vec::new();
    for name in &planned.plan.audits {
        let model = &planned.plan.draft.snapshots[name].model;
        let entry = &scope.entries[name];
        let Some(table) = entry.table.clone() else {
            continue;
        };
        let filled = planned
            .current
            .filled
            .get(&(name.clone(), entry.version.clone()));
        let range = filled.and_then(Intervals::span);
        match scheduler::audit_table(engine, scope, model, &table, range).await {
            Ok(found) => {
                for message in &found {
                    report(Progress::AuditWarning {
                        name: name.clone(),
                        message: message.clone(),
                    });
                }
                warnings.extend(found);
            }
            Err(error) => {
                report(Progress::Failed {
                    name: name.clone(),
                    message: format!("{error:#}"),
                });
                return Err(ApplyError::Failed {
                    failed: vec![(name.clone(), error)],
                    skipped: Vec::new(),
                });
            }
        }
    }
    Ok(warnings)
}

//! Build ahead: the tables that a plan would switch to are made, and nothing is switched.
//!
//! A pull request's environment shows a preview of a forward-only change; the table that production will show is
//! another one. It is made here before the merge, so that what comes after the merge is a switch.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::ops::ApplyError;
use crate::ops::Planned;
use crate::ops::apply::finished;
use crate::ops::apply::prepare_tables;
use crate::ops::ledger::Why;
use crate::plan::Plan;
use crate::plan::Work;
use crate::scheduler;
use crate::scheduler::BoundTo;
use crate::scheduler::Control;
use crate::scheduler::Filling;
use crate::scheduler::Keeper;
use crate::scheduler::Reporter;
use crate::scheduler::Scope;
use crate::scheduler::turns;
use crate::snapshot::Snapshot;
use crate::state::StateStore;

/// Whether something of the plan can only be made for its own environment.
pub(super) fn is_needed(planned: &Planned) -> bool {
    planned.plan.work.iter().any(|work| work.base.is_some())
}

/// Fills the tables of `planned` that its environment does not show yet. Tables that it shows, and all that is made of
/// what they lack, are left for whoever they belong to.
///
/// # Errors
/// [`ApplyError`]; what was filled stays and is used again.
pub(super) async fn build_ahead(
    planned: &Planned,
    engine: &dyn EngineAdapter,
    state: &StateStore,
    now: DateTime<Utc>,
    control: &Control,
    report: Reporter<'_>,
) -> Result<Vec<String>, ApplyError> {
    let plan = &planned.plan;
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
    let work = unseen(plan, planned);
    let why = Why {
        environment: &plan.promoted.name,
        reason: format!("plan {}, ahead of it", plan.id),
    };
    prepare_tables(&work, &plan.draft.snapshots, engine, state, &why, now).await?;
    let keeper = Keeper::start(state, control);
    let filling = Filling {
        engine,
        state,
        scope: &scope,
        environment: &plan.promoted.name,
        bound_to: BoundTo {
            plan_id: plan.promoted.previous_plan_id.as_deref(),
            finished: false,
        },
        filled: &planned.current.filled,
        withheld: &BTreeMap::new(),
        now,
        control,
        keeper: &keeper,
        turns: turns(engine),
        report,
    };
    let outcome = scheduler::fill(&filling, &work).await;
    keeper.finish(state, control).await;
    let outcome = finished(plan, state, outcome).await?;
    Ok(outcome.warnings)
}

/// The work on tables that the environment does not show and that stand on no table that it lacks something of.
fn unseen(plan: &Plan, planned: &Planned) -> Vec<Work> {
    let target = planned.current.target.iter();
    let shown: BTreeSet<_> = target
        .flat_map(|target| &target.snapshots)
        .map(|entry| (&entry.id.name, &entry.version))
        .collect();
    let work: BTreeMap<&ModelName, &Work> =
        plan.work.iter().map(|work| (&work.name, work)).collect();
    let mut held: BTreeSet<&ModelName> = BTreeSet::new();
    let mut unseen = Vec::new();
    for name in &plan.draft.order {
        let Some(snapshot) = plan.draft.snapshots.get(name) else {
            continue;
        };
        let mut parents = snapshot.model.depends_on.iter();
        let item = work.get(name);
        let is_shown = item.is_some_and(|item| shown.contains(&(name, &item.version)));
        if is_shown || parents.any(|parent| held.contains(parent)) {
            held.insert(name);
        } else if let Some(item) = item {
            unseen.push((*item).clone());
        }
    }
    unseen
}

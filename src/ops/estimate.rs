//! What a plan's backfill takes: its own history, else the engine's plans, else its parents' history.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;

use crate::engine::EngineAdapter;
use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::ops::Planned;
use crate::plan::ENOUGH;
use crate::plan::Known;
use crate::plan::PastBatch;
use crate::plan::PlanEstimate;
use crate::plan::Prices;
use crate::plan::estimate as estimate_work;
use crate::scheduler::Scope;
use crate::snapshot::Interval;
use crate::state::Pace;
use crate::state::StateStore;

/// Most models that the engine is asked about; the others are judged by their parents.
const MOST_ASKED: usize = 100;

/// How many batches of all models tell how fast the warehouse is.
const MOST_LATEST: u32 = 200;

/// What applying `planned` takes. With an engine, models without a history are judged by its plans.
///
/// # Errors
/// When the state does not answer. What the engine cannot say is left out.
pub async fn estimate(
    planned: &Planned,
    state: &StateStore,
    engine: Option<&dyn EngineAdapter>,
    prices: &Prices,
) -> anyhow::Result<PlanEstimate> {
    let plan = &planned.plan;
    let snapshots = &plan.draft.snapshots;
    let mut names: BTreeSet<ModelName> = BTreeSet::new();
    for work in &plan.work {
        names.insert(work.name.clone());
        let model = snapshots.get(&work.name).map(|snapshot| &snapshot.model);
        names.extend(model.into_iter().flat_map(|model| model.depends_on.clone()));
    }
    let names: Vec<ModelName> = names.into_iter().collect();
    let paces = state
        .paces(&names)
        .await
        .context("reading what earlier batches took")?;
    let past = paces.into_iter();
    let past = past.map(|(name, paces)| (name, paces.into_iter().map(past_batch).collect()));
    let mut known = Known {
        past: past.collect(),
        ..Known::default()
    };
    if let Some(engine) = engine {
        known.asked = true;
        known.expected_rows = expected_rows(planned, engine, &known).await;
    }
    if !known.expected_rows.is_empty() {
        let (rows, took) = ENOUGH;
        let latest = state.latest_paces(rows, took, MOST_LATEST).await;
        let latest = latest.context("reading what the latest batches took")?;
        known.latest = latest.into_iter().map(past_batch).collect();
    }
    let model = |name: &ModelName| snapshots.get(name).map(|snapshot| &*snapshot.model);
    Ok(estimate_work(&plan.work, model, &known, prices))
}

fn past_batch(pace: Pace) -> PastBatch {
    PastBatch {
        units: pace.units,
        rows: pace.rows,
        bytes: pace.bytes,
        took: pace.took,
    }
}

/// How many rows the engine expects of the models without a history. What reads a table that is not there is left out.
async fn expected_rows(
    planned: &Planned,
    engine: &dyn EngineAdapter,
    known: &Known,
) -> BTreeMap<ModelName, u64> {
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
    let mut expected = BTreeMap::new();
    let new = plan
        .work
        .iter()
        .filter(|work| !known.past.contains_key(&work.name));
    for work in new.take(MOST_ASKED) {
        let model = &plan.draft.snapshots[&work.name].model;
        let (Some(first), Some(last)) = (work.batches.first(), work.batches.last()) else {
            continue;
        };
        let Some(range) =
            Interval::new(first.start(), last.end()).filter(|_| model.query.is_some())
        else {
            continue;
        };
        let Ok(sql) = scope.query(model, Some(range)) else {
            continue;
        };
        if let Ok(Some(rows)) = engine.expected_rows(&sql).await {
            expected.insert(work.name.clone(), rows);
        }
    }
    expected
}

//! Plan: compare the project with an environment; nothing is changed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::diagnostic::Diagnostic;
use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::environment::Naming;
use crate::environment::PromotedSnapshot;
use crate::model::Model;
use crate::model::ModelName;
use crate::model::Moment;
use crate::model::topological;
use crate::ops::switches::name_views;
use crate::plan::Choices;
use crate::plan::Current;
use crate::plan::Plan;
use crate::plan::PlanError;
use crate::plan::PlanOptions;
use crate::plan::PlanSummary;
use crate::plan::build;
use crate::plan::draft;
use crate::snapshot::Candidate;
use crate::snapshot::Snapshot;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::state::StateStore;

/// What is asked of a plan.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// The environment to change.
    pub environment: EnvironmentName,
    /// First moment to fill, for a development environment only.
    pub start: Option<Moment>,
    /// Last moment to fill, for a development environment only.
    pub end: Option<Moment>,
    /// "Now".
    pub execution_time: DateTime<Utc>,
    /// Whether a development environment shows every model.
    pub include_unmodified: bool,
    /// Whether to compare with production even if the environment exists.
    pub against_prod: bool,
    /// When a development environment may be removed.
    pub expires_at: Option<DateTime<Utc>>,
    /// What the environment's views are called.
    pub naming: Naming,
    /// Who asks.
    pub actor: String,
    /// What people decided about categories.
    pub choices: Choices,
}

/// A plan with what it was computed from.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What to do.
    pub plan: Plan,
    /// How people and programs read it.
    pub summary: PlanSummary,
    /// What the state said.
    pub current: Current,
}

/// Compares `models` with the environment; `candidates` are what they mean. `diagnostics` are what loading them
/// said; they go into the summary.
///
/// # Errors
/// [`PlanError`] when the request contradicts itself; other errors when the state cannot be read.
pub async fn plan(
    models: &BTreeMap<ModelName, std::sync::Arc<Model>>,
    candidates: BTreeMap<ModelName, Candidate>,
    state: &StateStore,
    request: &PlanRequest,
    mut diagnostics: Vec<Diagnostic>,
) -> anyhow::Result<Planned> {
    let target = state
        .environment(&request.environment)
        .await
        .context("reading the environment")?;
    let target_lives = target.as_ref().is_some_and(|target| {
        target
            .expires_at
            .is_none_or(|expires| expires > request.execution_time)
    });
    let prod = if request.environment.is_prod() {
        target.clone()
    } else {
        state
            .environment(&EnvironmentName::prod())
            .await
            .context("reading `prod`")?
    };
    let compared = if target_lives && !request.against_prod {
        target.as_ref()
    } else {
        prod.as_ref()
    };
    let compared_with = compared.map_or_else(EnvironmentName::prod, |environment| {
        environment.name.clone()
    });
    let previous = snapshots_of(state, compared).await?;
    let known: BTreeSet<&SnapshotId> = previous.values().map(|snapshot| &snapshot.id).collect();
    let others: Vec<SnapshotId> = candidates
        .values()
        .map(|candidate| candidate.id.clone())
        .filter(|id| !known.contains(id))
        .collect();
    let mut stored: BTreeMap<SnapshotId, Snapshot> = previous
        .values()
        .map(|snapshot| (snapshot.id.clone(), snapshot.clone()))
        .collect();
    stored.extend(
        state
            .snapshots(&others)
            .await?
            .into_iter()
            .map(|snapshot| (snapshot.id.clone(), snapshot)),
    );

    let order = topological(models);
    let (draft, found) = draft(
        candidates,
        order,
        previous,
        &stored,
        compared_with,
        &request.choices,
        request.execution_time,
    );
    diagnostics.extend(found);
    let current = current(state, &draft.snapshots, target, prod).await?;
    let options = PlanOptions {
        environment: request.environment.clone(),
        start: request.start,
        end: request.end,
        execution_time: request.execution_time,
        include_unmodified: request.include_unmodified,
        actor: request.actor.clone(),
        expires_at: request.expires_at,
    };
    let mut plan = build(draft, &current, &options)?;
    name_views(&mut plan, &current, request.naming);
    let summary = PlanSummary::new(&plan, &current.filled, diagnostics);
    Ok(Planned {
        plan,
        summary,
        current,
    })
}

/// The snapshots of an environment by name.
pub(super) async fn snapshots_of(
    state: &StateStore,
    environment: Option<&Environment>,
) -> anyhow::Result<BTreeMap<ModelName, Snapshot>> {
    let Some(environment) = environment else {
        return Ok(BTreeMap::new());
    };
    let ids: Vec<SnapshotId> = environment
        .snapshots
        .iter()
        .map(|entry| entry.id.clone())
        .collect();
    let snapshots = state
        .snapshots(&ids)
        .await
        .with_context(|| format!("reading the snapshots of `{}`", environment.name))?;
    anyhow::ensure!(
        snapshots.len() == ids.len(),
        "the state is damaged: `{}` names {} snapshots, of which {} are stored",
        environment.name,
        ids.len(),
        snapshots.len()
    );
    Ok(snapshots
        .into_iter()
        .map(|snapshot| (snapshot.id.name.clone(), snapshot))
        .collect())
}

async fn current(
    state: &StateStore,
    snapshots: &BTreeMap<ModelName, Snapshot>,
    target: Option<Environment>,
    prod: Option<Environment>,
) -> anyhow::Result<Current> {
    let mut tables: BTreeSet<(ModelName, Version)> = BTreeSet::new();
    for (name, snapshot) in snapshots {
        tables.insert((name.clone(), snapshot.version.clone()));
        tables.insert((name.clone(), Version(format!("{}__dev", snapshot.version))));
    }
    let recorded = [&target, &prod].into_iter().flatten();
    for entry in recorded.flat_map(|environment| &environment.snapshots) {
        tables.insert((entry.id.name.clone(), entry.version.clone()));
    }
    let tables: Vec<_> = tables.into_iter().collect();
    let filled = state
        .filled(&tables)
        .await
        .context("reading the intervals")?;
    let key = |entry: &PromotedSnapshot| (entry.id.name.clone(), entry.version.clone());
    let near = [&target, &prod].into_iter().flatten();
    let mut made: BTreeSet<_> = near.flat_map(|of| of.snapshots.iter().map(key)).collect();
    let is_unfilled = |(name, snapshot): (&ModelName, &Snapshot)| {
        filled[&(name.clone(), snapshot.version.clone())].is_empty()
    };
    if snapshots.iter().any(is_unfilled) {
        for environment in state
            .environments()
            .await
            .context("reading the environments")?
        {
            made.extend(environment.snapshots.iter().map(key));
        }
    }
    let mut past_views = BTreeSet::new();
    if let Some(target) = target
        .as_ref()
        .filter(|target| target.finalized_at.is_none())
    {
        for promotion in state
            .history(&target.name)
            .await
            .context("reading the history")?
        {
            let shown = promotion.snapshots.iter().filter(|entry| entry.view);
            past_views.extend(shown.map(|entry| target.view(&entry.id.name)));
        }
    }
    Ok(Current {
        target,
        prod,
        filled,
        made,
        past_views,
    })
}

impl Planned {
    /// What stops the plan from being applied.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.summary
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.is_error())
    }
}

/// Whether `error` is the user's: options that contradict each other.
pub fn is_usage(error: &anyhow::Error) -> bool {
    error.downcast_ref::<PlanError>().is_some()
}

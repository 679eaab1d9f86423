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
use crate::model::ChangedFiles;
use crate::model::Model;
use crate::model::ModelName;
use crate::model::Moment;
use crate::model::Readings;
use crate::model::topological;
use crate::ops::destroy::ensure_whole;
use crate::ops::earlier::ends_earlier;
use crate::ops::mixed::misfits;
use crate::ops::restate::is_anything_stale;
use crate::ops::said::empty_tables;
use crate::ops::select;
use crate::ops::switches::name_views;
use crate::plan::Choices;
use crate::plan::Compared;
use crate::plan::Current;
use crate::plan::ForwardWishes;
use crate::plan::Plan;
use crate::plan::PlanError;
use crate::plan::PlanOptions;
use crate::plan::PlanSummary;
use crate::plan::Wishes;
use crate::plan::build;
use crate::plan::draft_forward;
use crate::plan::possible_versions;
use crate::plan::restate;
use crate::plan::same_until;
use crate::plan::unchanged;
use crate::snapshot::Candidate;
use crate::snapshot::Snapshot;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::state::Definition;
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
    /// What most plans are not asked for.
    pub extra: PlanExtra,
}

/// What most plans are not asked for; selectors as written.
#[derive(Clone, Debug, Default)]
pub struct PlanExtra {
    /// Environment that a new one starts from instead of production.
    pub create_from: Option<EnvironmentName>,
    /// Models to fill again.
    pub restate: Vec<String>,
    /// The only models that are taken from the project; all others are as the environment has them.
    pub select: Vec<String>,
    /// The only models to build and show.
    pub backfill: Vec<String>,
    /// Whether every change is to be forward-only that can be.
    pub forward_only: bool,
    /// Whether that is how the project is, not what somebody asks of this plan.
    pub by_mode: bool,
    /// From when on rows of forward-only changes are computed again.
    pub effective_from: Option<Moment>,
    /// Whether an environment whose last switch is not known to be done is compared as it was before.
    pub finalized_only: bool,
    /// Models whose tables may lose columns.
    pub allow_destructive: Vec<String>,
    /// Models whose tables may gain columns.
    pub allow_additive: Vec<String>,
    /// The files that differ from the branches that selectors name.
    pub changed: ChangedFiles,
    /// The rest, without its sets of models.
    pub wishes: Wishes,
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
    /// Until when a plan that changes nothing is the answer, if nothing is written; `None` when there is no telling.
    pub same_until: Option<DateTime<Utc>>,
}

/// Compares `models` with the environment; `candidates` are what they mean. `diagnostics` are what loading them
/// said; they go into the summary.
///
/// # Errors
/// [`PlanError`] when the request contradicts itself; other errors when the state cannot be read.
pub async fn plan(
    models: &BTreeMap<ModelName, std::sync::Arc<Model>>,
    candidates: &BTreeMap<ModelName, Candidate>,
    state: &StateStore,
    request: &PlanRequest,
    mut diagnostics: Vec<Diagnostic>,
) -> anyhow::Result<Planned> {
    ensure_whole(state).await?;
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
    if !request.extra.restate.is_empty() {
        let target = target.filter(|_| target_lives);
        return plan_restatement(state, request, target, prod, diagnostics).await;
    }
    let source = source(state, request, &mut diagnostics).await?;
    let compared = match &source {
        _ if target_lives && !request.against_prod => target.as_ref(),
        Some(source) => Some(source),
        None => prod.as_ref(),
    };
    let settled = settled(state, compared, &request.extra).await?;
    let compared = settled.as_ref().or(compared);
    let compared_with = compared.map_or_else(EnvironmentName::prod, |environment| {
        environment.name.clone()
    });
    let at_hand = |id: &SnapshotId| {
        let candidate = candidates.get(&id.name).filter(|known| known.id == *id)?;
        Some(Definition {
            fingerprint: std::sync::Arc::clone(&candidate.fingerprint),
            model: std::sync::Arc::clone(&candidate.model),
            parents: candidate.parents.clone(),
            columns: candidate.columns(),
        })
    };
    let previous = snapshots_knowing(state, compared, &at_hand).await?;
    let mixed = select::taken(
        models,
        &previous,
        &request.extra.select,
        &request.extra.changed,
    )?;
    let of_mixed = mixed
        .as_ref()
        .map(|mixed| crate::snapshot::candidates(mixed, &Readings::new()));
    let local = models;
    let models = mixed.as_ref().unwrap_or(models);
    let candidates = of_mixed.as_ref().unwrap_or(candidates);
    let prod_snapshots = if compared_with.is_prod() {
        None
    } else {
        Some(snapshots_of(state, prod.as_ref()).await?)
    };
    let may_mix =
        request.extra.forward_only || models.values().any(|model| model.is_forward_only());
    let stored = stored(
        state,
        candidates,
        &previous,
        prod_snapshots.as_ref(),
        may_mix,
    )
    .await?;
    let order = topological(models);
    if let (Some(mixed), Some(candidates)) = (&mixed, &of_mixed) {
        diagnostics.extend(misfits(local, mixed, candidates, &order, &compared_with));
    }
    let wishes = select::wishes(models, request)?;
    let forward = forward_wishes(request, prod_snapshots, &wishes, &mut diagnostics)?;
    let compared = Compared {
        previous,
        compared_with,
    };
    let (draft, found) = draft_forward(
        candidates,
        order,
        compared,
        &stored,
        &request.choices,
        &forward,
        request.execution_time,
    );
    diagnostics.extend(found);
    let options = options(request, wishes);
    let current = current(state, &draft.snapshots, target, prod, &options).await?;
    let mut plan = build(draft, &current, &options)?;
    name_views(&mut plan, &current, &request.naming);
    diagnostics.extend(empty_tables(&plan, &current, &options));
    diagnostics.extend(ends_earlier(&plan, &current, &options));
    let summary = PlanSummary::new(&plan, &current.filled, diagnostics);
    let is_empty = plan.is_empty();
    Ok(Planned {
        same_until: is_empty
            .then(|| same_until(&plan, &current, &options))
            .flatten(),
        plan,
        summary,
        current,
    })
}

/// What `compared` was when its views were last known to be switched, where that counts and is not what it is now.
async fn settled(
    state: &StateStore,
    compared: Option<&Environment>,
    extra: &PlanExtra,
) -> anyhow::Result<Option<Environment>> {
    let Some(open) = compared.filter(|of| extra.finalized_only && of.finalized_at.is_none()) else {
        return Ok(None);
    };
    let history = state.history(&open.name).await;
    let history = history.context("reading the history")?;
    let last = history.into_iter().find(|it| it.finalized_at.is_some());
    Ok(Some(Environment {
        snapshots: last.map(|last| last.snapshots).unwrap_or_default(),
        ..open.clone()
    }))
}

/// The environment that a new one starts from, when one is named.
async fn source(
    state: &StateStore,
    request: &PlanRequest,
    diagnostics: &mut Vec<Diagnostic>,
) -> anyhow::Result<Option<Environment>> {
    let Some(name) = &request.extra.create_from else {
        return Ok(None);
    };
    let source = state
        .environment(name)
        .await
        .with_context(|| format!("reading `{name}`"))?;
    if source.is_none() {
        let message = format!("there is no environment `{name}` to start from; production counts");
        diagnostics.push(Diagnostic::warning("no-source", message));
    }
    Ok(source)
}

/// What the state knows of the candidates besides what is compared.
async fn stored(
    state: &StateStore,
    candidates: &BTreeMap<ModelName, Candidate>,
    previous: &BTreeMap<ModelName, Snapshot>,
    prod: Option<&BTreeMap<ModelName, Snapshot>>,
    may_mix: bool,
) -> anyhow::Result<BTreeMap<SnapshotId, Snapshot>> {
    let known: BTreeSet<&SnapshotId> = previous.values().map(|snapshot| &snapshot.id).collect();
    let others: Vec<SnapshotId> = candidates
        .values()
        .map(|candidate| candidate.id.clone())
        .filter(|id| !known.contains(id))
        .collect();
    let names: Vec<ModelName> = others.iter().map(|id| id.name.clone()).collect();
    let sides = previous
        .values()
        .chain(prod.into_iter().flat_map(BTreeMap::values));
    let decided = state.forward_only_snapshots_of(&names).await?;
    let is_mixed = |snapshot: &Snapshot| snapshot.forward_only.is_some();
    // Below a table of two definitions, a definition alone does not say which snapshot it is.
    let stored = if may_mix || !decided.is_empty() || sides.clone().any(is_mixed) {
        state.all_snapshots_of(&names).await?
    } else {
        state.snapshots(&others).await?
    };
    Ok(stored
        .into_iter()
        .map(|snapshot| (snapshot.id.clone(), snapshot))
        .collect())
}

fn forward_wishes(
    request: &PlanRequest,
    prod: Option<BTreeMap<ModelName, Snapshot>>,
    wishes: &Wishes,
    diagnostics: &mut Vec<Diagnostic>,
) -> anyhow::Result<ForwardWishes> {
    let extra = &request.extra;
    if let Some(from) = extra.effective_from {
        if !extra.forward_only {
            let message = "--effective-from needs --forward-only: any other change counts from each model's own start";
            return Err(PlanError::Contradiction(message.to_owned()).into());
        }
        if from.as_start() > request.execution_time {
            let message = format!(
                "--effective-from {} is after the execution time {}",
                from.as_start(),
                request.execution_time
            );
            return Err(PlanError::Contradiction(message).into());
        }
    }
    let is_chosen = !request.choices.chosen.is_empty();
    if extra.forward_only && is_chosen && !extra.by_mode {
        let message = "--forward-only decides about every table that keeps its rows; categories are for what reads them";
        diagnostics.push(Diagnostic::warning("forward-only-choice", message));
    }
    Ok(ForwardWishes {
        all: extra.forward_only,
        by_mode: extra.by_mode,
        effective_from: extra.effective_from.map(Moment::as_start),
        prod,
        allow_destructive: wishes.allow_destructive.clone(),
        allow_additive: wishes.allow_additive.clone(),
    })
}

fn options(request: &PlanRequest, wishes: Wishes) -> PlanOptions {
    PlanOptions {
        environment: request.environment.clone(),
        start: request.start,
        end: request.end,
        execution_time: request.execution_time,
        include_unmodified: request.include_unmodified,
        actor: request.actor.clone(),
        expires_at: request.expires_at,
        wishes,
    }
}

/// A plan that fills again what an environment has.
async fn plan_restatement(
    state: &StateStore,
    request: &PlanRequest,
    target: Option<Environment>,
    prod: Option<Environment>,
    mut diagnostics: Vec<Diagnostic>,
) -> anyhow::Result<Planned> {
    let extra = &request.extra;
    let others = [
        (!extra.select.is_empty(), "--select-model"),
        (!extra.backfill.is_empty(), "--backfill-model"),
        (extra.forward_only, "--forward-only"),
        (extra.wishes.skip_backfill, "--skip-backfill"),
        (extra.wishes.empty_backfill, "--empty-backfill"),
        (extra.wishes.run, "--run"),
    ];
    if let Some((_, option)) = others.into_iter().find(|(asked, _)| *asked) {
        let message = format!(
            "--restate-model fills again what is there, with the definitions that the environment has; {option} has no \
             place in it"
        );
        return Err(PlanError::Contradiction(message).into());
    }
    let Some(target) = target else {
        return Err(PlanError::NoEnvironment(request.environment.clone()).into());
    };
    let snapshots = snapshots_of(state, Some(&target)).await?;
    let models: BTreeMap<ModelName, std::sync::Arc<Model>> = snapshots
        .iter()
        .map(|(name, snapshot)| (name.clone(), std::sync::Arc::clone(&snapshot.model)))
        .collect();
    let asked = select::named("--restate-model", &extra.restate, &extra.changed, &models)?;
    let order = topological(&models);
    let draft = unchanged(snapshots, order, target.name.clone());
    let options = options(request, extra.wishes.clone());
    let current = current(state, &draft.snapshots, Some(target), prod, &options).await?;
    let (mut plan, found) = restate(draft, &current, &options, &asked)?;
    name_views(&mut plan, &current, &request.naming);
    diagnostics.extend(found);
    if plan.work.is_empty() && !plan.asked.is_empty() {
        if is_anything_stale(&plan, state).await? {
            let message = format!("nothing that `{}` has is filled again", request.environment);
            let told = Diagnostic::warning("restated-elsewhere", message);
            diagnostics.push(told.help(
                "What other environments made of it is filled again by their next plan or run.",
            ));
        } else {
            plan.asked.clear();
        }
    }
    let summary = PlanSummary::new(&plan, &current.filled, diagnostics);
    Ok(Planned {
        plan,
        summary,
        current,
        same_until: None,
    })
}

/// The snapshots of an environment by name.
pub(super) async fn snapshots_of(
    state: &StateStore,
    environment: Option<&Environment>,
) -> anyhow::Result<BTreeMap<ModelName, Snapshot>> {
    snapshots_knowing(state, environment, &|_| None).await
}

/// As [`snapshots_of`], where `known` gives definitions that need not be read.
async fn snapshots_knowing(
    state: &StateStore,
    environment: Option<&Environment>,
    known: &(dyn Fn(&SnapshotId) -> Option<Definition> + Send + Sync),
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
        .snapshots_knowing(&ids, known)
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
    options: &PlanOptions,
) -> anyhow::Result<Current> {
    let mut tables: BTreeSet<(ModelName, Version)> = BTreeSet::new();
    for (name, snapshot) in snapshots {
        let versions = possible_versions(snapshot, options).into_iter();
        tables.extend(versions.map(|version| (name.clone(), version)));
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
    // What is recorded without a view may have been left out by a selection.
    let shown = |entry: &&PromotedSnapshot| entry.view;
    let near = near.flat_map(|of| of.snapshots.iter().filter(shown));
    let mut made: BTreeSet<_> = near.map(key).collect();
    let is_unfilled = |(name, snapshot): (&ModelName, &Snapshot)| {
        filled[&(name.clone(), snapshot.version.clone())].is_empty()
    };
    if snapshots.iter().any(is_unfilled) {
        for environment in state
            .environments()
            .await
            .context("reading the environments")?
        {
            made.extend(environment.snapshots.iter().filter(shown).map(key));
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
    let open = state
        .restatements(&tables)
        .await
        .context("reading the restatements")?;
    let open = open.into_iter();
    let is_placed = |snapshot: &Snapshot| !snapshot.model.placement.is_default();
    let placed = state
        .placed(&tables, snapshots.values().any(is_placed))
        .await
        .context("reading where the tables are")?;
    Ok(Current {
        placed,
        open: open
            .map(|(key, ranges)| (key, ranges.into_iter().collect()))
            .collect(),
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

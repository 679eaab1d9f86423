//! From changes to a plan: versions, missing intervals, the record to write, the views to switch.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use chrono::DateTime;
use chrono::Utc;

use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::environment::Naming;
use crate::environment::PromotedSnapshot;
use crate::environment::view_name;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::Moment;
use crate::plan::Change;
use crate::plan::Draft;
use crate::plan::ModelChange;
use crate::plan::Plan;
use crate::plan::ViewSwitch;
use crate::plan::Work;
use crate::plan::missing::Times;
use crate::snapshot::Intervals;
use crate::snapshot::Snapshot;
use crate::snapshot::Version;
use crate::snapshot::audits_key;
use crate::snapshot::physical_table;
use crate::sql::TableName;

/// What the caller wants of a plan.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// The environment to change.
    pub environment: EnvironmentName,
    /// First moment to fill, for a development environment only.
    pub start: Option<Moment>,
    /// Last moment to fill (a date counts whole), for a development environment only.
    pub end: Option<Moment>,
    /// "Now".
    pub execution_time: DateTime<Utc>,
    /// Whether a development environment shows every model, not only those that differ.
    pub include_unmodified: bool,
    /// Who asks.
    pub actor: String,
    /// When a development environment may be removed; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What the state says, besides the snapshots that the draft holds.
#[derive(Clone, Debug, Default)]
pub struct Current {
    /// The environment to change, as recorded.
    pub target: Option<Environment>,
    /// Production, as recorded.
    pub prod: Option<Environment>,
    /// What is filled, by table.
    pub filled: BTreeMap<(ModelName, Version), Intervals>,
    /// Tables that some environment has: they exist, even where nothing of them is filled yet.
    pub made: BTreeSet<(ModelName, Version)>,
    /// Every view that the target ever had; used only when its last switch is not known to be done.
    pub past_views: BTreeSet<TableName>,
}

/// Why there can be no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// `--start` or `--end` for production.
    #[error(
        "a start or an end cannot be given for `prod`: production is filled from each model's own start"
    )]
    RangeInProduction,
    /// `--end` before `--start`.
    #[error("the end {end} is not after the start {start}")]
    EmptyRange {
        /// As given.
        start: DateTime<Utc>,
        /// As given, exclusive.
        end: DateTime<Utc>,
    },
    /// `--end` after now.
    #[error("the end {end} is after the execution time {now}")]
    EndInTheFuture {
        /// As given, exclusive.
        end: DateTime<Utc>,
        /// The execution time.
        now: DateTime<Utc>,
    },
}

/// The plan that makes the environment match the draft. The same arguments always give the same plan.
///
/// # Errors
/// [`PlanError`] when the options contradict each other or the environment.
pub fn build(draft: Draft, current: &Current, options: &PlanOptions) -> Result<Plan, PlanError> {
    check_range(options)?;
    let times = Times::new(&draft, current, options);
    let shown = shown(&draft, current, options);
    let wanted = wanted(&draft, &shown, options);
    let mut work = Vec::new();
    let mut targets: BTreeMap<ModelName, PromotedSnapshot> = BTreeMap::new();
    // Models whose own table will hold all that production's has, and whose parents' do too.
    let mut complete: BTreeSet<&ModelName> = BTreeSet::new();
    for name in &draft.order {
        let snapshot = &draft.snapshots[name];
        let whole_parents = snapshot
            .model
            .depends_on
            .iter()
            .all(|parent| complete.contains(parent) || !draft.snapshots.contains_key(parent));
        let version = version_here(snapshot, whole_parents, &targets);
        let filled = current.filled.get(&(name.clone(), version.clone()));
        let missing = if wanted.contains(name) {
            times.missing(snapshot, filled)
        } else {
            Vec::new()
        };
        if whole_parents && times.is_complete(snapshot, filled, &missing) {
            complete.insert(name);
        }
        let table = match snapshot.model.kind {
            ModelKind::Embedded => None,
            ModelKind::External => Some(name.table_name()),
            ModelKind::View
            | ModelKind::MaterializedView
            | ModelKind::Full
            | ModelKind::IncrementalByTimeRange { .. }
            | ModelKind::IncrementalByUniqueKey(_)
            | ModelKind::IncrementalByPartition
            | ModelKind::IncrementalUnmanaged { .. }
            | ModelKind::ScdType2(_)
            | ModelKind::Seed(_) => Some(physical_table(name, &version)),
        };
        let is_to_be_made = wanted.contains(name)
            && table.is_some()
            && !snapshot.model.kind.is_symbolic()
            && filled.is_none_or(Intervals::is_empty)
            && !current.made.contains(&(name.clone(), version.clone()));
        if !missing.is_empty() || is_to_be_made {
            let batches = times.batches(snapshot, &missing);
            work.push(Work {
                name: name.clone(),
                version: version.clone(),
                table: table.clone().expect("only models with a table have work"),
                ranges: missing,
                batches,
            });
        }
        let view = shown.contains(name);
        let target = PromotedSnapshot {
            id: snapshot.id.clone(),
            version,
            table,
            view,
        };
        targets.insert(name.clone(), target);
    }
    let audits = audit_only(&draft, &targets, &work, current);
    let views = views(&targets, current, &options.environment);
    let id = plan_id(&targets, &work, current, options);
    let promoted = Environment {
        name: options.environment.clone(),
        plan_id: id.clone(),
        previous_plan_id: current
            .target
            .as_ref()
            .map(|environment| environment.plan_id.clone()),
        snapshots: targets.values().cloned().collect(),
        promoted_by: options.actor.clone(),
        promoted_at: options.execution_time,
        finalized_at: None,
        naming: Naming::default(),
        expires_at: options
            .expires_at
            .filter(|_| !options.environment.is_prod()),
    };
    let unfinished = current
        .target
        .as_ref()
        .is_some_and(|target| target.finalized_at.is_none());
    Ok(Plan {
        id,
        draft,
        work,
        audits,
        views,
        promoted,
        unfinished,
        execution_time: options.execution_time,
    })
}

fn check_range(options: &PlanOptions) -> Result<(), PlanError> {
    if options.environment.is_prod() && (options.start.is_some() || options.end.is_some()) {
        return Err(PlanError::RangeInProduction);
    }
    let end = options.end.map(Moment::as_end);
    if let Some(end) = end
        && end > options.execution_time
        // A date counts whole; today is as far as today goes.
        && options.end.is_some_and(|moment| moment.as_start() > options.execution_time || !moment.is_date)
    {
        return Err(PlanError::EndInTheFuture {
            end,
            now: options.execution_time,
        });
    }
    let start = options.start.map(Moment::as_start);
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        return Err(PlanError::EmptyRange { start, end });
    }
    Ok(())
}

/// The models that get a view: all of them in production, else those that differ or had one before.
fn shown(draft: &Draft, current: &Current, options: &PlanOptions) -> BTreeSet<ModelName> {
    let all = options.environment.is_prod() || options.include_unmodified;
    let before: BTreeSet<&ModelName> = match &current.target {
        Some(target) if draft.compared_with == target.name => target
            .snapshots
            .iter()
            .filter(|entry| entry.view)
            .map(|entry| &entry.id.name)
            .collect(),
        Some(_) | None => BTreeSet::new(),
    };
    let differs = |name: &ModelName| {
        draft
            .changes
            .get(name)
            .is_some_and(|change: &Change| change.change != ModelChange::Unchanged)
    };
    draft
        .snapshots
        .iter()
        .filter(|(_, snapshot)| !snapshot.model.kind.is_symbolic())
        .filter(|(name, _)| all || before.contains(name) || differs(name))
        .map(|(name, _)| name.clone())
        .collect()
}

/// The models whose missing intervals count: those shown, and all that they are made of.
fn wanted(
    draft: &Draft,
    shown: &BTreeSet<ModelName>,
    options: &PlanOptions,
) -> BTreeSet<ModelName> {
    if options.environment.is_prod() {
        return draft.snapshots.keys().cloned().collect();
    }
    let mut wanted = shown.clone();
    // Parents come before children in the order, so one walk backwards reaches every ancestor.
    for name in draft.order.iter().rev() {
        if wanted.contains(name) {
            wanted.extend(draft.snapshots[name].model.depends_on.iter().cloned());
        }
    }
    wanted
}

/// The version whose table this plan uses: the snapshot's own, or one aside when a parent's history would be
/// cut short by `--start` or `--end`. Rows made of half a history must never be promoted to production.
///
/// A view aside is named after the tables that it stands on: some of them may be aside too, and not for ever.
fn version_here(
    snapshot: &Snapshot,
    whole_parents: bool,
    targets: &BTreeMap<ModelName, PromotedSnapshot>,
) -> Version {
    if whole_parents {
        return snapshot.version.clone();
    }
    let version = match snapshot.model.kind {
        ModelKind::View | ModelKind::Embedded => {
            let parents = snapshot.parents.iter().filter_map(|parent| {
                let target = targets.get(&parent.name)?;
                Some((&parent.name, &target.version))
            });
            snapshot.fingerprint.version_over(parents)
        }
        ModelKind::MaterializedView
        | ModelKind::Full
        | ModelKind::IncrementalByTimeRange { .. }
        | ModelKind::IncrementalByUniqueKey(_)
        | ModelKind::IncrementalByPartition
        | ModelKind::IncrementalUnmanaged { .. }
        | ModelKind::ScdType2(_)
        | ModelKind::Seed(_)
        | ModelKind::External => snapshot.version.clone(),
    };
    Version(format!("{version}__dev"))
}

/// Models whose audits must run on the rows that are there, because only the audits changed.
fn audit_only(
    draft: &Draft,
    targets: &BTreeMap<ModelName, PromotedSnapshot>,
    work: &[Work],
    current: &Current,
) -> Vec<ModelName> {
    let built: BTreeSet<&ModelName> = work.iter().map(|work| &work.name).collect();
    let audits_changed = |name: &ModelName, snapshot: &Snapshot| {
        let previous = draft.previous.get(name)?;
        Some(audits_key(&previous.model) != audits_key(&snapshot.model))
    };
    let has_rows = |name: &ModelName| {
        let key = (name.clone(), targets[name].version.clone());
        current
            .filled
            .get(&key)
            .is_some_and(|filled| !filled.is_empty())
    };
    draft
        .snapshots
        .iter()
        .filter(|(name, snapshot)| {
            !snapshot.model.audits.is_empty()
                && !built.contains(name)
                && audits_changed(name, snapshot) == Some(true)
                && has_rows(name)
        })
        .map(|(name, _)| name.clone())
        .collect()
}

/// The views to create or replace and those to drop, both in order of name.
fn views(
    targets: &BTreeMap<ModelName, PromotedSnapshot>,
    current: &Current,
    environment: &EnvironmentName,
) -> ViewSwitch {
    let finalized = current
        .target
        .as_ref()
        .filter(|target| target.finalized_at.is_some());
    let before: BTreeMap<TableName, Option<&TableName>> = finalized
        .iter()
        .flat_map(|target| &target.snapshots)
        .filter(|entry| entry.view)
        .map(|entry| (view_name(&entry.id.name, environment), entry.table.as_ref()))
        .collect();
    let mut create = BTreeMap::new();
    for (name, target) in targets.iter().filter(|(_, target)| target.view) {
        let view = view_name(name, environment);
        let table = target
            .table
            .clone()
            .expect("only models with a table have a view");
        create.insert(view, table);
    }
    let mut drop: BTreeSet<TableName> = before
        .keys()
        .filter(|view| !create.contains_key(*view))
        .cloned()
        .collect();
    if finalized.is_none() {
        drop.extend(
            current
                .past_views
                .iter()
                .filter(|view| !create.contains_key(*view))
                .cloned(),
        );
    }
    let kept = create.len();
    create.retain(|view, table| before.get(view).copied().flatten() != Some(table));
    ViewSwitch {
        unchanged: kept - create.len(),
        create: create.into_iter().collect(),
        drop: drop.into_iter().collect(),
        dressed: Vec::new(),
    }
}

/// Same project, same state, same arguments: same id.
fn plan_id(
    targets: &BTreeMap<ModelName, PromotedSnapshot>,
    work: &[Work],
    current: &Current,
    options: &PlanOptions,
) -> String {
    let previous = current
        .target
        .as_ref()
        .map(|target| target.plan_id.as_str());
    let content = serde_json::json!({
        "environment": options.environment,
        "previous": previous,
        "snapshots": targets.values().collect::<Vec<_>>(),
        "work": work.iter().map(|work| (&work.name, &work.version, &work.ranges)).collect::<Vec<_>>(),
    });
    let hash = blake3::hash(content.to_string().as_bytes());
    hex::encode(&hash.as_bytes()[..16])
}

//! From changes to a plan: versions, missing intervals, the record to write, the views to switch.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::environment::Naming;
use crate::environment::PromotedSnapshot;
use crate::environment::view_name;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::Change;
use crate::plan::Draft;
use crate::plan::ModelChange;
use crate::plan::Plan;
use crate::plan::PlanError;
use crate::plan::PlanOptions;
use crate::plan::ViewSwitch;
use crate::plan::Work;
use crate::plan::arrivals::Arrivals;
use crate::plan::gaps;
use crate::plan::missing::Times;
use crate::plan::options;
use crate::plan::place::Parents;
use crate::plan::place::Places;
use crate::snapshot::Intervals;
use crate::snapshot::Snapshot;
use crate::snapshot::Version;
use crate::snapshot::audits_key;
use crate::snapshot::physical_table;
use crate::snapshot::placed_table;
use crate::sql::TableName;

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
    /// What is to be filled again of tables, whether it is by now or not.
    pub open: BTreeMap<(ModelName, Version), Intervals>,
    /// Where tables are that are not where they usually would be.
    pub placed: BTreeMap<(ModelName, Version), TableName>,
}

impl Current {
    /// The table of `model` at `version`: where it is, else where it is to be made.
    pub(super) fn table_of(&self, model: &Model, version: &Version) -> TableName {
        let key = (model.name.clone(), version.clone());
        if let Some(placed) = self.placed.get(&key) {
            return placed.clone();
        }
        // What is there already and not listed is in the usual place.
        let is_there = self
            .filled
            .get(&key)
            .is_some_and(|filled| !filled.is_empty())
            || self.made.contains(&key);
        if is_there {
            return physical_table(&model.name, version);
        }
        placed_table(&model.name, version, &model.placement)
    }
}

/// The plan that makes the environment match the draft. The same arguments always give the same plan.
///
/// # Errors
/// [`PlanError`] when the options contradict each other or the environment.
pub fn build(draft: Draft, current: &Current, options: &PlanOptions) -> Result<Plan, PlanError> {
    options::check(options, false)?;
    let times = Times::new(&draft, current, options);
    let shown = shown(&draft, current, options);
    let wanted = wanted(&draft, &shown, options);
    let places = Places {
        times: &times,
        current,
        options,
    };
    let mut arrivals = Arrivals::new(&draft.snapshots);
    let mut work = Vec::new();
    let mut previews = BTreeSet::new();
    let mut targets: BTreeMap<ModelName, PromotedSnapshot> = BTreeMap::new();
    // Models whose own table will hold all that production's has, and whose parents' do too.
    let mut complete: BTreeSet<&ModelName> = BTreeSet::new();
    let mut covering: BTreeSet<&ModelName> = BTreeSet::new();
    for name in &draft.order {
        let snapshot = &draft.snapshots[name];
        let all_in = |set: &BTreeSet<&ModelName>| {
            let mut parents = snapshot.model.depends_on.iter();
            parents.all(|parent| set.contains(parent) || !draft.snapshots.contains_key(parent))
        };
        let parents = match (all_in(&complete), all_in(&covering)) {
            (true, _) => Parents::Complete,
            (false, true) => Parents::Cover,
            (false, false) => Parents::Part,
        };
        let is_wanted = wanted.contains(name);
        let mut place = places.of(snapshot, is_wanted, parents, &targets);
        if place.complete {
            complete.insert(name);
        }
        if place.covers {
            covering.insert(name);
        }
        if place.preview {
            previews.insert(name.clone());
        }
        if options.wishes.skip_backfill && snapshot.model.kind.is_materialized() {
            place.missing.clear();
            place.base = None;
        }
        let table = table_of(snapshot, &place.version, current);
        let key = (name.clone(), place.version.clone());
        // Of a table that is new here, nothing comes late.
        if is_shown_already(current, &key) && place.base.is_none() && !place.hollow {
            let own = current.filled.get(&key).cloned().unwrap_or_default();
            let stale = arrivals.stale(snapshot, &own);
            if !stale.is_empty() && is_wanted {
                place.missing = times.missing(snapshot, Some(&own.difference(&stale)));
            }
            arrivals.add(snapshot, &key.1, &own, &place.missing, &stale);
        }
        let is_to_be_made = is_wanted
            && table.is_some()
            && !snapshot.model.kind.is_symbolic()
            && current.filled.get(&key).is_none_or(Intervals::is_empty)
            && !current.made.contains(&key);
        if !place.missing.is_empty() || place.base.is_some() || is_to_be_made {
            let batches = if place.hollow {
                Vec::new()
            } else {
                times.batches(snapshot, &place.missing)
            };
            work.push(Work {
                name: name.clone(),
                version: place.version.clone(),
                table: table.clone().expect("only models with a table have work"),
                ranges: place.missing,
                batches,
                base: place.base,
                hollow: place.hollow,
            });
        }
        let target = PromotedSnapshot {
            id: snapshot.id.clone(),
            version: place.version,
            table,
            view: shown.contains(name),
        };
        targets.insert(name.clone(), target);
    }
    if options.wishes.no_gaps {
        gaps::check(&targets, &work, &draft, current)?;
    }
    let audits = audit_only(&draft, &targets, &work, current);
    let views = views(&targets, current, &options.environment);
    let id = plan_id(&targets, &work, current, options);
    let promoted = record(&targets, current, options, &id);
    let unfinished = current
        .target
        .as_ref()
        .is_some_and(|target| target.finalized_at.is_none());
    let late = arrivals.found();
    Ok(Plan {
        id,
        draft,
        work,
        audits,
        views,
        promoted,
        unfinished,
        previews,
        restated: Vec::new(),
        late,
        asked: Vec::new(),
        no_gaps: options.wishes.no_gaps,
        execution_time: options.execution_time,
    })
}

/// Whether the environment has the table now, or production where there is no such environment yet.
pub(super) fn is_shown_already(current: &Current, table: &(ModelName, Version)) -> bool {
    let shown = current.target.as_ref().or(current.prod.as_ref());
    let mut entries = shown.iter().flat_map(|shown| &shown.snapshots);
    entries.any(|entry| entry.id.name == table.0 && entry.version == table.1)
}

/// The object that holds the rows of a model at this version.
pub(super) fn table_of(
    snapshot: &Snapshot,
    version: &Version,
    current: &Current,
) -> Option<TableName> {
    let name = &snapshot.id.name;
    match snapshot.model.kind {
        ModelKind::Embedded => None,
        ModelKind::External => Some(name.table_name()),
        _ => Some(current.table_of(&snapshot.model, version)),
    }
}

/// The record that the switch leaves.
pub(super) fn record(
    targets: &BTreeMap<ModelName, PromotedSnapshot>,
    current: &Current,
    options: &PlanOptions,
    id: &str,
) -> Environment {
    Environment {
        name: options.environment.clone(),
        plan_id: id.to_owned(),
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
    }
}

/// The models that get a view: all of them in production, else those that differ or had one before.
fn shown(draft: &Draft, current: &Current, options: &PlanOptions) -> BTreeSet<ModelName> {
    let all = options.environment.is_prod() || options.include_unmodified;
    let selected = &options.wishes.backfill;
    let is_selected = |name: &ModelName| selected.as_ref().is_none_or(|names| names.contains(name));
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
    let left_out = left_out(current);
    let is_new = |name: &ModelName| differs(name) || left_out.contains(name);
    draft
        .snapshots
        .iter()
        .filter(|(_, snapshot)| !snapshot.model.kind.is_symbolic())
        .filter(|(name, _)| {
            before.contains(name)
                || (is_selected(name) && (all || selected.is_some() || is_new(name)))
        })
        .map(|(name, _)| name.clone())
        .collect()
}

/// Models that an earlier plan of this environment did not show, because others were selected, and that are not those of
/// production.
fn left_out(current: &Current) -> BTreeSet<&ModelName> {
    let key = |entry: &PromotedSnapshot| (entry.id.name.clone(), entry.version.clone());
    let prod = current.prod.iter().flat_map(|prod| &prod.snapshots);
    let prod: BTreeSet<_> = prod.map(key).collect();
    let target = current.target.iter().flat_map(|target| &target.snapshots);
    target
        .filter(|entry| !entry.view && !prod.contains(&key(entry)))
        .map(|entry| &entry.id.name)
        .collect()
}

/// The models whose missing intervals count: those shown, and all that they are made of.
fn wanted(
    draft: &Draft,
    shown: &BTreeSet<ModelName>,
    options: &PlanOptions,
) -> BTreeSet<ModelName> {
    if options.environment.is_prod() || (options.wishes.run && options.wishes.backfill.is_none()) {
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
pub(super) fn views(
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
pub(super) fn plan_id(
    targets: &BTreeMap<ModelName, PromotedSnapshot>,
    work: &[Work],
    current: &Current,
    options: &PlanOptions,
) -> String {
    let previous = current
        .target
        .as_ref()
        .map(|target| target.plan_id.as_str());
    let targets: Vec<&PromotedSnapshot> = targets.values().collect();
    let work: Vec<_> = work
        .iter()
        .map(|work| {
            let kept = work.base.as_ref().map(|base| &base.keep);
            (&work.name, &work.version, &work.ranges, kept)
        })
        .collect();
    let mut hasher = blake3::Hasher::new();
    serde_json::to_writer(
        &mut hasher,
        &(&options.environment, previous, targets, work),
    )
    .expect("names, versions and times are JSON");
    hex::encode(&hasher.finalize().as_bytes()[..16])
}

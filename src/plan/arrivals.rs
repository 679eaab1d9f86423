//! Rows that come after what reads them was made.
//!
//! A parent may be filled for time that its readers count as filled: it is due less often than they are, was left out of a
//! run, had a gap, or begins earlier now. What readers made of that time was made without those rows. It is filled again,
//! so that a table has what it would have had if everything had been filled in order of time.
//!
//! Rows that are only filled again, as by a lookback, do not come late, and neither do those of a table that is new here: what
//! is kept of its readers was found to be the same over either.

use std::collections::BTreeMap;

use crate::model::IntervalUnit;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::Changed;
use crate::plan::Current;
use crate::plan::Plan;
use crate::plan::build::is_shown_already;
use crate::plan::missing::without;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;
use crate::snapshot::Snapshot;
use crate::snapshot::Version;

/// What comes late, and what was made before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// Tables that are filled for time for which they were not, with that time. Not all of it need come late.
    pub arrived: Vec<(ModelName, Version, Interval)>,
    /// What of tables of the same environment counts as filled and has to be filled again.
    pub stale: Vec<(ModelName, Version, Interval)>,
}

/// What of `plan` comes late where this is `withheld` of its work, and so does not come yet; `current` is what it was made
/// from.
pub fn late_without(
    plan: &Plan,
    current: &Current,
    withheld: &BTreeMap<ModelName, Intervals>,
) -> Late {
    if withheld.is_empty() || plan.late == Late::default() {
        return plan.late.clone();
    }
    let entries = plan.promoted.snapshots.iter();
    let entries: BTreeMap<_, _> = entries.map(|entry| (&entry.id.name, entry)).collect();
    let work: BTreeMap<_, _> = plan.work.iter().map(|work| (&work.name, work)).collect();
    let mut arrivals = Arrivals::new(&plan.draft.snapshots);
    for name in &plan.draft.order {
        let (Some(entry), Some(snapshot)) = (entries.get(name), plan.draft.snapshots.get(name))
        else {
            continue;
        };
        let work = work.get(name);
        let key = (name.clone(), entry.version.clone());
        let is_started = work.is_some_and(|work| work.base.is_some() || work.hollow);
        if is_started || !is_shown_already(current, &key) {
            continue;
        }
        let own = current.filled.get(&key).cloned().unwrap_or_default();
        let stale = arrivals.stale(snapshot, &own);
        let ranges = work.map_or(&[][..], |work| &work.ranges);
        let coming = without(ranges, withheld.get(name));
        arrivals.add(snapshot, &key.1, &own, &coming, &stale);
    }
    arrivals.found()
}

/// Finds what comes late, model by model, each after what it reads.
pub(super) struct Arrivals<'a> {
    snapshots: &'a BTreeMap<ModelName, Snapshot>,
    /// What is new of each model for whoever reads it.
    since: BTreeMap<ModelName, Interval>,
    late: Late,
}

impl<'a> Arrivals<'a> {
    pub(super) fn new(snapshots: &'a BTreeMap<ModelName, Snapshot>) -> Self {
        Self {
            snapshots,
            since: BTreeMap::new(),
            late: Late::default(),
        }
    }

    /// What of `filled`, the time for which the table of `snapshot` is filled, was made before something that it reads.
    pub(super) fn stale(&self, snapshot: &Snapshot, filled: &Intervals) -> Intervals {
        let model = &snapshot.model;
        let (Some(new), Some(span)) = (self.of_parents(model), filled.span()) else {
            return Intervals::default();
        };
        if span.end() <= new.start() || model.is_never_restated() {
            return Intervals::default();
        }
        match &model.kind {
            ModelKind::IncrementalByTimeRange { .. } => {
                let from = IntervalUnit::Day.floor(new.start());
                let until = if model.reads_itself || self.looks_back(model) {
                    span.end()
                } else {
                    IntervalUnit::Day.ceil(new.end())
                };
                let made = filled.iter();
                made.filter_map(|made| made.intersect(Interval::new(from, until)?))
                    .collect()
            }
            // They are filled whole or not at all.
            ModelKind::Full
            | ModelKind::MaterializedView
            | ModelKind::IncrementalByUniqueKey(_)
            | ModelKind::IncrementalByPartition
            | ModelKind::IncrementalUnmanaged { .. }
            | ModelKind::ScdType2(_) => filled.clone(),
            ModelKind::View | ModelKind::Embedded | ModelKind::External | ModelKind::Seed(_) => {
                Intervals::default()
            }
        }
    }

    /// Adds that `ranges` are filled of the table of `snapshot`, of which `filled` was before and `stale` is made anew.
    pub(super) fn add(
        &mut self,
        snapshot: &Snapshot,
        version: &Version,
        filled: &Intervals,
        ranges: &[Interval],
        stale: &Intervals,
    ) {
        let model = &snapshot.model;
        let name = &model.name;
        let ranges: Intervals = ranges.iter().copied().collect();
        let mut new = match &model.kind {
            ModelKind::View | ModelKind::Embedded => self.of_parents(model),
            // Anything of it may be made of what is new.
            ModelKind::Full | ModelKind::MaterializedView if !stale.is_empty() => {
                self.of_parents(model)
            }
            ModelKind::Full
            | ModelKind::MaterializedView
            | ModelKind::Seed(_)
            | ModelKind::External => None,
            ModelKind::IncrementalByTimeRange { .. }
            | ModelKind::IncrementalByUniqueKey(_)
            | ModelKind::IncrementalByPartition
            | ModelKind::IncrementalUnmanaged { .. }
            | ModelKind::ScdType2(_) => {
                let first = ranges.difference(filled).span();
                if let Some(first) = first {
                    let arrived = (name.clone(), version.clone(), first);
                    self.late.arrived.push(arrived);
                }
                first
            }
        };
        if model.kind.is_incremental() && !stale.is_empty() {
            // What was made anew begins no earlier than what it was made of.
            let parents = self.of_parents(model);
            new = Interval::hull(new.into_iter().chain(parents).chain(stale.iter().last()));
        }
        if let Some(new) = new {
            self.since.insert(name.clone(), new);
        }
        let stale = stale.iter();
        let stale = stale.map(|range| (name.clone(), version.clone(), range));
        self.late.stale.extend(stale);
    }

    pub(super) fn found(self) -> Late {
        self.late
    }

    fn of_parents(&self, model: &Model) -> Option<Interval> {
        let parents = model.depends_on.iter();
        Interval::hull(parents.filter_map(|parent| self.since.get(parent).copied()))
    }

    /// Whether rows of before an interval may come into it.
    fn looks_back(&self, model: &Model) -> bool {
        let columns = |name: &ModelName| self.snapshots.get(name)?.output_columns();
        let mut changed = Changed::default();
        self.add_changed(model, &mut changed, &columns);
        changed.reach(model, &columns).back
    }

    /// The parents of `model` that have something new, each after what it reads.
    fn add_changed(
        &self,
        model: &Model,
        changed: &mut Changed,
        columns: &dyn Fn(&ModelName) -> Option<Vec<String>>,
    ) {
        for parent in &model.depends_on {
            let Some(snapshot) = self.snapshots.get(parent) else {
                continue;
            };
            if !self.since.contains_key(parent) {
                continue;
            }
            let is_seen_through = !snapshot.model.kind.is_materialized();
            if is_seen_through {
                self.add_changed(&snapshot.model, changed, columns);
            }
            changed.add(&snapshot.model, columns);
        }
    }
}

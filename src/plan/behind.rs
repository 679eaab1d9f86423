//! What a plan's tables lack by the time of the switch: somebody filled the tables that they replace while the plan was
//! looked at and carried out.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use chrono::DateTime;
use chrono::Utc;

use crate::environment::PromotedSnapshot;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::Current;
use crate::plan::Plan;
use crate::plan::PlanError;
use crate::plan::Work;
use crate::plan::gaps;
use crate::plan::interval_unit;
use crate::plan::missing::lacking;
use crate::plan::place::is_hollow;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;
use crate::snapshot::Snapshot;
use crate::snapshot::Version;

type Filled = BTreeMap<(ModelName, Version), Intervals>;

/// The tables whose intervals [`behind`] asks for: those that the plan switches to or fills, and those that they replace.
pub fn compared_tables(plan: &Plan, current: &Current) -> Vec<(ModelName, Version)> {
    let entries = plan.promoted.snapshots.iter();
    let concerned = Concerned::of(plan, current);
    let mut tables = Vec::new();
    for entry in entries {
        let Some(replaced) = concerned.replaced(entry) else {
            continue;
        };
        tables.push(key(entry));
        tables.extend(replaced.map(key));
    }
    tables
}

/// What a plan's tables lack by the time of the switch.
#[derive(Clone, Debug)]
pub struct Behind {
    /// What must be filled; parents first.
    pub work: Vec<Work>,
    /// "Now" for it: not before the end of anything that it fills.
    pub execution_time: DateTime<Utc>,
}

/// What must be filled before the switch so that nobody misses a row: parents first, nothing where nothing happened.
///
/// `now` is what is filled by now of [`compared_tables`]; `plan` and `current` say what was filled when it was made, and what
/// it was to fill. A table that replaces another one gets what that one got since, unless it was not to reach as far
/// anyway. What a restatement has cleared meanwhile is filled again.
pub fn behind(plan: &Plan, current: &Current, now: &Filled) -> Behind {
    let concerned = Concerned::of(plan, current);
    let gaps: BTreeMap<&ModelName, Gap> = plan
        .promoted
        .snapshots
        .iter()
        .filter_map(|entry| {
            let replaced = concerned.replaced(entry)?;
            let gap = concerned.gap(entry, replaced, now)?;
            Some((&entry.id.name, gap))
        })
        .collect();
    if gaps.is_empty() {
        return Behind {
            work: Vec::new(),
            execution_time: plan.execution_time,
        };
    }
    let latest = gaps.values().map(|gap| gap.until).max();
    let execution_time = latest.map_or(plan.execution_time, |end| end.max(plan.execution_time));
    let first = gaps.iter().map(|(name, gap)| (*name, gap.first)).collect();
    let entries: BTreeMap<&ModelName, &PromotedSnapshot> = plan
        .promoted
        .snapshots
        .iter()
        .map(|entry| (&entry.id.name, entry))
        .collect();
    // Whoever filled the other table before its cron fired had a reason.
    let portions = lacking(
        &plan.draft,
        &entries,
        &first,
        execution_time,
        &|snapshot, start| gaps.get(&snapshot.id.name)?.asked(snapshot, start),
        &|entry| now.get(&key(entry)),
    );
    let work = portions
        .into_iter()
        .filter_map(|(name, ranges, batches)| {
            let entry = entries[name];
            let hollow = is_hollow(&entry.version);
            Some(Work {
                name: name.clone(),
                version: entry.version.clone(),
                table: entry.table.clone()?,
                ranges,
                batches: if hollow { Vec::new() } else { batches },
                base: None,
                hollow,
            })
        })
        .collect();
    Behind {
        work,
        execution_time,
    }
}

/// What `--no-gaps` asks for, with what is filled by `now` of [`compared_tables`].
///
/// # Errors
/// [`PlanError::Gap`] for the first model that would have less than what the environment shows.
pub fn check_gaps(plan: &Plan, current: &Current, now: &Filled) -> Result<(), PlanError> {
    if !plan.no_gaps {
        return Ok(());
    }
    let targets = plan.promoted.snapshots.iter();
    let targets = targets.map(|entry| (entry.id.name.clone(), entry.clone()));
    let current = Current {
        target: current.target.clone(),
        filled: now.clone(),
        ..Current::default()
    };
    gaps::check(&targets.collect(), &[], &plan.draft, &current)
}

fn key(entry: &PromotedSnapshot) -> (ModelName, Version) {
    (entry.id.name.clone(), entry.version.clone())
}

/// The tables of a plan that somebody may miss rows of.
struct Concerned<'a> {
    plan: &'a Plan,
    current: &'a Current,
    before: BTreeMap<&'a ModelName, &'a PromotedSnapshot>,
    work: BTreeMap<&'a ModelName, &'a Work>,
}

/// What one table lacks.
struct Gap {
    missing: Interval,
    /// All that it is to hold, whether it does or not.
    wanted: Intervals,
    /// Where its history begins.
    first: DateTime<Utc>,
    /// Where it ends.
    until: DateTime<Utc>,
}

impl<'a> Concerned<'a> {
    fn of(plan: &'a Plan, current: &'a Current) -> Self {
        let shown: BTreeSet<&ModelName> = plan.draft.snapshots.keys().collect();
        let before = current.target.iter().flat_map(|target| &target.snapshots);
        Self {
            plan,
            current,
            before: before
                .filter(|entry| entry.view && shown.contains(&entry.id.name))
                .map(|entry| (&entry.id.name, entry))
                .collect(),
            work: plan.work.iter().map(|work| (&work.name, work)).collect(),
        }
    }

    /// What `entry` replaces, if anything; `None` where the plan has nothing to do with its rows.
    fn replaced(&self, entry: &PromotedSnapshot) -> Option<Option<&'a PromotedSnapshot>> {
        let name = &entry.id.name;
        let snapshot = self.plan.draft.snapshots.get(name)?;
        let is_filled_once = matches!(snapshot.model.kind, ModelKind::View | ModelKind::Seed(_));
        if is_filled_once || snapshot.model.kind.is_symbolic() {
            return None;
        }
        let before = self.before.get(name).copied();
        let replaced = before.filter(|before| before.version != entry.version);
        (replaced.is_some() || self.work.contains_key(name)).then_some(replaced)
    }

    /// What `entry`'s table lacks of what it was to hold and of what the table before it got since.
    fn gap(
        &self,
        entry: &PromotedSnapshot,
        replaced: Option<&PromotedSnapshot>,
        now: &Filled,
    ) -> Option<Gap> {
        let nothing = Intervals::default();
        let then = |entry: &PromotedSnapshot| self.current.filled.get(&key(entry));
        let work = self.work.get(&entry.id.name);
        let kept = work.and_then(|work| work.base.as_ref());
        let kept = kept.into_iter().flat_map(|base| &base.keep);
        let own = kept.chain(work.into_iter().flat_map(|work| &work.ranges));
        let mut wanted = then(entry)
            .unwrap_or(&nothing)
            .merge(&own.copied().collect());
        let has = now.get(&key(entry)).unwrap_or(&nothing);
        let mut lacks = wanted.difference(has);
        if let Some(replaced) = replaced {
            let then = then(replaced).unwrap_or(&nothing);
            let now = now.get(&key(replaced)).unwrap_or(&nothing);
            let since = now.difference(then);
            if !since.is_empty() && self.reaches(entry, &wanted, then) {
                lacks = lacks.merge(&since.difference(has));
                wanted = wanted.merge(then).merge(now);
            }
        }
        let (missing, span) = (lacks.span()?, wanted.merge(has).span()?);
        Some(Gap {
            missing,
            first: span.start(),
            until: span.end(),
            wanted,
        })
    }
}

impl Concerned<'_> {
    /// Whether `entry`'s table was to go on for as long as the one before it. Where it was not, somebody asked for that.
    fn reaches(&self, entry: &PromotedSnapshot, wanted: &Intervals, before: &Intervals) -> bool {
        let unit = interval_unit(&self.plan.draft.snapshots[&entry.id.name].model);
        let end = |filled: &Intervals| filled.span().map(|span| unit.floor(span.end()));
        end(wanted) >= end(before)
    }
}

impl Gap {
    /// From when to when the model's history is asked for what is missing; `None` where no whole interval of it is.
    fn asked(&self, snapshot: &Snapshot, start: DateTime<Utc>) -> Option<Interval> {
        let unit = interval_unit(&snapshot.model);
        let whole = |range: Interval| {
            if snapshot.model.allow_partials {
                Some(range)
            } else {
                range.shrink(unit)
            }
        };
        // An interval of the new table may be longer than those of the other one, and over only in part.
        let wanted: Intervals = self.wanted.iter().filter_map(whole).collect();
        let end = wanted.span()?.end();
        let missing = self.missing.expand(unit);
        match snapshot.model.kind {
            ModelKind::IncrementalByTimeRange { .. } if !snapshot.model.reads_itself => {
                Interval::new(missing.start(), missing.end().min(end))
            }
            ModelKind::IncrementalByTimeRange { .. } => Interval::new(missing.start(), end),
            _ => Interval::new(start, end),
        }
    }
}

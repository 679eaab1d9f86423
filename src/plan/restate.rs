//! Restatement: what is filled is filled again, and with it everything that is made of it.
//!
//! Nothing of the project's files counts: an environment is restated with the definitions that it has.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use chrono::DateTime;
use chrono::NaiveTime;
use chrono::Utc;

use crate::diagnostic::Diagnostic;
use crate::environment::PromotedSnapshot;
use crate::model::IntervalUnit;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::Moment;
use crate::plan::Changed;
use crate::plan::ColumnsOf;
use crate::plan::Current;
use crate::plan::Draft;
use crate::plan::Late;
use crate::plan::Plan;
use crate::plan::PlanError;
use crate::plan::PlanOptions;
use crate::plan::Reach;
use crate::plan::Work;
use crate::plan::build::plan_id;
use crate::plan::build::record;
use crate::plan::build::views;
use crate::plan::missing::Times;
use crate::plan::options;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;
use crate::snapshot::Snapshot;
use crate::snapshot::Version;

/// A table of which something is filled again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restated {
    /// Whose.
    pub name: ModelName,
    /// Which table's.
    pub version: Version,
    /// Whole intervals.
    pub range: Interval,
    /// Whether somebody asked for it, instead of for something that it reads.
    pub asked: bool,
}

/// A model of which somebody wants something filled again, whether it has a table of its own or not: what is made of it
/// may be in other environments only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub name: ModelName,
    /// From when on; `None` means from the first row.
    pub from: Option<DateTime<Utc>>,
    /// Until when; `None` means to the last row.
    pub until: Option<DateTime<Utc>>,
}

/// The plan that fills `asked` again, and all that reads it; `draft` is what the environment has.
///
/// A table that is filled whole or not at all is filled whole again, and so is everything below it: any row of it may
/// be another one. What reads more of its parents than its own interval is filled again wherever it may have read them.
///
/// # Errors
/// [`PlanError`] when the options contradict each other.
pub fn restate(
    draft: Draft,
    current: &Current,
    options: &PlanOptions,
    asked: &BTreeSet<ModelName>,
) -> Result<(Plan, Vec<Diagnostic>), PlanError> {
    options::check(options, true)?;
    let target = current
        .target
        .as_ref()
        .ok_or_else(|| PlanError::NoEnvironment(options.environment.clone()))?;
    let targets: BTreeMap<ModelName, PromotedSnapshot> = target
        .snapshots
        .iter()
        .map(|entry| (entry.id.name.clone(), entry.clone()))
        .collect();
    let times = Times::new(&draft, current, options);
    let restatement = Restatement {
        current,
        options,
        times: &times,
        asked,
    };
    let mut diagnostics = Vec::new();
    let mut reached: BTreeMap<&ModelName, Interval> = BTreeMap::new();
    let mut changed = Changed::default();
    let columns: ColumnsOf<'_> = &|name| draft.snapshots.get(name)?.output_columns();
    let mut restated = Vec::new();
    let mut allowed = Vec::new();
    let mut work = Vec::new();
    for name in &draft.order {
        let (Some(snapshot), Some(entry)) = (draft.snapshots.get(name), targets.get(name)) else {
            continue;
        };
        let parents: Vec<Interval> = snapshot
            .model
            .depends_on
            .iter()
            .filter_map(|parent| reached.get(parent).copied())
            .collect();
        let is_asked = asked.contains(name);
        if parents.is_empty() && !is_asked {
            continue;
        }
        if let Some(problem) = restatement.refusal(snapshot, entry) {
            if is_asked || !matches!(snapshot.model.kind, ModelKind::Seed(_)) {
                diagnostics.push(problem);
            }
            continue;
        }
        if is_asked {
            allowed.push(Asked {
                name: name.clone(),
                from: options.start.map(Moment::as_start),
                until: options.end.map(Moment::as_end),
            });
        }
        let own = is_asked
            .then(|| restatement.asked_range(snapshot))
            .flatten();
        let looked_from = |range| {
            let reach = || changed.reach(&snapshot.model, columns);
            restatement.looked_from(snapshot, entry, range, reach)
        };
        let reached_by = Interval::hull(parents).map(looked_from);
        let Some(range) = Interval::hull(reached_by.into_iter().chain(own)) else {
            continue;
        };
        let range = restatement.widened(snapshot, entry, range);
        let again = restatement.again(snapshot, entry, range);
        if is_asked {
            diagnostics.extend(restatement.nothing_again(snapshot, entry, range, again.is_some()));
        }
        // Who reads a table of which nothing is filled again reads what it has read before.
        let seen = match (&snapshot.model.kind, &again) {
            (kind, None) if kind.is_materialized() => continue,
            (ModelKind::IncrementalByTimeRange { .. }, Some((range, _))) => *range,
            _ => range,
        };
        reached.insert(name, seen);
        changed.add(&snapshot.model, columns);
        let Some((range, ranges)) = again else {
            continue;
        };
        restated.push(Restated {
            name: name.clone(),
            version: entry.version.clone(),
            range,
            asked: is_asked,
        });
        work.push(Work {
            name: name.clone(),
            version: entry.version.clone(),
            table: entry.table.clone().expect("what is filled has a table"),
            batches: times.batches(snapshot, &ranges),
            ranges,
            base: None,
            hollow: false,
        });
    }
    let id = plan_id(&targets, &work, current, options);
    let plan = Plan {
        views: views(&targets, current, &options.environment),
        promoted: record(&targets, current, options, &id),
        unfinished: target.finalized_at.is_none(),
        id,
        draft,
        work,
        audits: Vec::new(),
        previews: BTreeSet::new(),
        restated,
        late: Late::default(),
        asked: allowed,
        no_gaps: false,
        execution_time: options.execution_time,
    };
    Ok((plan, diagnostics))
}

struct Restatement<'a> {
    current: &'a Current,
    options: &'a PlanOptions,
    times: &'a Times<'a>,
    asked: &'a BTreeSet<ModelName>,
}

impl Restatement<'_> {
    /// Why a model is not restated, and what reads it neither unless by another way.
    fn refusal(&self, snapshot: &Snapshot, entry: &PromotedSnapshot) -> Option<Diagnostic> {
        let name = &entry.id.name;
        let because = |message: String| {
            let rule = "not-restated";
            Some(Diagnostic::warning(rule, message).in_file(&snapshot.model.file))
        };
        if let ModelKind::Seed(_) = snapshot.model.kind {
            return because(format!(
                "`{name}` is not restated: a seed is what its file says; edit the file and plan"
            ));
        }
        if snapshot.model.is_never_restated() {
            let what = if self.asked.contains(name) {
                "is not restated"
            } else {
                "reads what is restated, but is not restated itself"
            };
            let kind = snapshot.model.kind.name();
            let why = if snapshot.model.policy.disable_restatement.is_some() {
                "it has `disable_restatement`".to_owned()
            } else {
                format!("rows of {kind} models stay, as what they were made of may be gone")
            };
            let help = "If what it reads still holds all of its history, write `disable_restatement false` into its kind, \
                        plan that, and restate it then.";
            return because(format!("`{name}` {what}: {why}")).map(|told| told.help(help));
        }
        let is_shared = |entries: &[PromotedSnapshot]| {
            let mut entries = entries.iter();
            entries.any(|prod| prod.id.name == *name && prod.version == entry.version)
        };
        let prod = self.current.prod.as_ref();
        let stored = snapshot.model.kind.is_materialized();
        if !self.options.environment.is_prod()
            && stored
            && prod.is_some_and(|prod| is_shared(&prod.snapshots))
        {
            return because(format!(
                "`{name}` is not restated: `{}` shows production's table; restate `prod` instead",
                self.options.environment
            ));
        }
        None
    }

    /// What somebody must know who named a model of which nothing is filled `again`.
    fn nothing_again(
        &self,
        snapshot: &Snapshot,
        entry: &PromotedSnapshot,
        range: Interval,
        again: bool,
    ) -> Option<Diagnostic> {
        let name = &entry.id.name;
        let (message, help) = match snapshot.model.kind {
            _ if again => return None,
            ModelKind::External => return None,
            ModelKind::View | ModelKind::Embedded => (
                format!(
                    "`{name}` keeps no rows, so nothing of it is filled again, only what reads it"
                ),
                "Name the tables that it reads, if those are meant.".to_owned(),
            ),
            _ => match self.filled(entry).and_then(Intervals::span) {
                None => (
                    format!("`{name}` is not restated: nothing of it is filled"),
                    "The next plan or run fills it.".to_owned(),
                ),
                Some(filled) => (
                    format!(
                        "`{name}` is not restated: it has nothing from {} to {}",
                        instant(range.start()),
                        instant(range.end())
                    ),
                    format!(
                        "It is filled from {} to {}; give `--start` and `--end` in there.",
                        instant(filled.start()),
                        instant(filled.end())
                    ),
                ),
            },
        };
        let told = Diagnostic::warning("not-restated", message).help(help);
        Some(told.in_file(&snapshot.model.file))
    }

    /// What is asked of a model by name: the range of the options, else its whole history.
    fn asked_range(&self, snapshot: &Snapshot) -> Option<Interval> {
        let own = self.times.span(snapshot);
        let all = if snapshot.model.kind.is_materialized() {
            own?
        } else {
            // What has no rows of its own goes as far back as what is made of it.
            let filled = self
                .current
                .filled
                .values()
                .chain(self.current.open.values());
            Interval::hull(own.into_iter().chain(filled.filter_map(Intervals::span)))?
        };
        let start = self.options.start.map_or(all.start(), Moment::as_start);
        let end = self.options.end.map_or(all.end(), Moment::as_end);
        Interval::new(start, end)
    }

    /// The time whose batches read something of `range` of what the model is made of.
    fn looked_from(
        &self,
        snapshot: &Snapshot,
        entry: &PromotedSnapshot,
        range: Interval,
        reach: impl FnOnce() -> Reach,
    ) -> Interval {
        let filled = self.filled(entry).and_then(Intervals::span);
        let is_sliced = matches!(
            snapshot.model.kind,
            ModelKind::IncrementalByTimeRange { .. }
        );
        let Some(filled) = filled.filter(|_| is_sliced) else {
            return range;
        };
        let reach = reach();
        let range = if reach.day {
            range.expand(IntervalUnit::Day)
        } else {
            range
        };
        let start = if reach.ahead {
            filled.start().min(range.start())
        } else {
            range.start()
        };
        let end = if reach.back {
            filled.end().max(range.end())
        } else {
            range.end()
        };
        Interval::new(start, end).unwrap_or(range)
    }

    /// The range that is filled again, which what reads the model sees: whole intervals, or all there is.
    fn widened(&self, snapshot: &Snapshot, entry: &PromotedSnapshot, range: Interval) -> Interval {
        match snapshot.model.kind {
            // What builds on its own past is filled again up to the end.
            ModelKind::IncrementalByTimeRange { .. } if snapshot.model.reads_itself => {
                let filled = self.filled(entry).and_then(Intervals::span);
                let end = filled.map(Interval::end);
                let to_end = end.and_then(|end| Interval::new(range.start(), end.max(range.end())));
                self.times.whole(snapshot, to_end.unwrap_or(range))
            }
            ModelKind::IncrementalByTimeRange { .. } => self.times.whole(snapshot, range),
            // Nothing is stored: what comes through is what is asked.
            ModelKind::View | ModelKind::Embedded | ModelKind::External => range,
            _ => {
                let filled = self.filled(entry).and_then(Intervals::span);
                Interval::hull(
                    [Some(range), filled, self.times.span(snapshot)]
                        .into_iter()
                        .flatten(),
                )
                .unwrap_or(range)
            }
        }
    }

    fn filled(&self, entry: &PromotedSnapshot) -> Option<&Intervals> {
        let key = (entry.id.name.clone(), entry.version.clone());
        self.current.filled.get(&key)
    }

    /// What is cleared of a table and what is filled for it; `None` when nothing of it is there.
    fn again(
        &self,
        snapshot: &Snapshot,
        entry: &PromotedSnapshot,
        range: Interval,
    ) -> Option<(Interval, Vec<Interval>)> {
        let key = (entry.id.name.clone(), entry.version.clone());
        let filled = self.filled(entry).cloned().unwrap_or_default();
        // What an earlier restatement has cleared and not filled yet was there, too.
        let had = match self.current.open.get(&key) {
            Some(open) => filled.merge(open),
            None => filled.clone(),
        };
        if !snapshot.model.kind.is_materialized() {
            return None;
        }
        let range = range.intersect(had.span()?)?;
        let mut left = filled;
        left.remove(range);
        let missing = self.times.missing_of_all(snapshot, &left);
        let ranges: Vec<Interval> = match snapshot.model.kind {
            ModelKind::IncrementalByTimeRange { .. } => missing
                .into_iter()
                .filter_map(|part| part.intersect(range))
                .collect(),
            _ => missing,
        };
        (!ranges.is_empty()).then_some((range, ranges))
    }
}

/// As people read it: a whole day by its date.
fn instant(time: DateTime<Utc>) -> String {
    let form = if time.time() == NaiveTime::MIN {
        "%Y-%m-%d"
    } else {
        "%Y-%m-%d %H:%M"
    };
    time.format(form).to_string()
}

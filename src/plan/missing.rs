//! Which intervals a plan or a run has to fill.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

use chrono::DateTime;
use chrono::Utc;

use crate::environment::Environment;
use crate::environment::PromotedSnapshot;
use crate::model::Cron;
use crate::model::DateExpr;
use crate::model::IntervalUnit;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::Moment;
use crate::plan::Current;
use crate::plan::Draft;
use crate::plan::Late;
use crate::plan::Plan;
use crate::plan::PlanOptions;
use crate::plan::Work;
use crate::plan::arrivals::Arrivals;
use crate::plan::place::is_aside;
use crate::snapshot::Interval;
use crate::snapshot::IntervalRequest;
use crate::snapshot::Intervals;
use crate::snapshot::Snapshot;
use crate::snapshot::Version;
use crate::snapshot::batches;
use crate::snapshot::missing_intervals;
use crate::snapshot::model_start;

/// Where each model's history starts, by name; `order` lists parents first.
///
/// A model that nothing gives a start has begun where it was `first` filled: what it holds is never left behind.
///
/// Dates and crons that cannot be read have been reported when the project was loaded; here they count as absent.
fn model_starts(
    order: &[ModelName],
    snapshots: &BTreeMap<ModelName, Snapshot>,
    calendars: &Calendars,
    first: &BTreeMap<&ModelName, DateTime<Utc>>,
    now: DateTime<Utc>,
) -> BTreeMap<ModelName, DateTime<Utc>> {
    let mut starts: BTreeMap<ModelName, DateTime<Utc>> = BTreeMap::new();
    for name in order {
        let model = &snapshots[name].model;
        let own = model
            .start
            .as_deref()
            .and_then(|text| DateExpr::parse(text).ok());
        let parents: Vec<_> = model
            .depends_on
            .iter()
            .filter_map(|parent| starts.get(parent).copied())
            .collect();
        let start = model_start(own.as_ref(), parents, &calendars.of(model).cron, now);
        let first = first.get(name).filter(|_| own.is_none());
        starts.insert(name.clone(), first.map_or(start, |first| start.min(*first)));
    }
    starts
}

/// What a run of `environment` has to fill: everything that its crons call due, parents first, and what was made before
/// rows that come only now: what is `withheld` of a model does not. Only the `selected` models are filled.
pub fn due(
    order: &[ModelName],
    snapshots: &BTreeMap<ModelName, Snapshot>,
    environment: &Environment,
    filled: &BTreeMap<(ModelName, Version), Intervals>,
    range: &RunRange,
    selected: Option<&BTreeSet<ModelName>>,
    withheld: &BTreeMap<ModelName, Intervals>,
) -> (Vec<Work>, Late) {
    let calendars = Calendars::of_all(snapshots);
    let entries: BTreeMap<_, _> = environment
        .snapshots
        .iter()
        .map(|entry| (&entry.id.name, entry))
        .collect();
    let first = entries.values().filter_map(|entry| {
        let span = filled
            .get(&(entry.id.name.clone(), entry.version.clone()))?
            .span()?;
        let model = &snapshots.get(&entry.id.name)?.model;
        is_incremental(model).then_some((&entry.id.name, span.start()))
    });
    let first = first.collect();
    let starts = model_starts(order, snapshots, &calendars, &first, range.execution_time);
    let borrowed = borrowed(order, snapshots, &entries);
    let mut work = Vec::new();
    let mut arrivals = Arrivals::new(snapshots);
    let mut open = LeftOpen::default();
    let is_part = range.start.is_some() || selected.is_some();
    for name in order.iter().filter(|name| !borrowed.contains(name)) {
        let (Some(entry), Some(snapshot)) = (entries.get(name), snapshots.get(name)) else {
            continue;
        };
        let table = (name.clone(), entry.version.clone());
        let own = filled.get(&table).cloned().unwrap_or_default();
        let stale = arrivals.stale(snapshot, &own);
        let left = own.difference(&stale);
        let kind = &snapshot.model.kind;
        let calendar = calendars.of(&snapshot.model);
        let by_slices = matches!(kind, ModelKind::IncrementalByTimeRange { .. });
        let history = History {
            model: &snapshot.model,
            calendar,
            start: starts[name],
            // The others are filled from where they end, or leave something out.
            asked_from: range
                .start
                .filter(|_| by_slices)
                .unwrap_or(Moment::instant(starts[name])),
            asked_to: range.end.unwrap_or(Moment::instant(range.execution_time)),
            execution_time: range.execution_time,
            ignore_cron: range.ignore_cron,
            kept_before: snapshot.effective_from(),
        };
        let is_filled = selected.is_none_or(|selected| selected.contains(name));
        let stored = entry.table.clone().filter(|_| !kind.is_symbolic());
        let mut ranges = match stored.is_some() && is_filled {
            true => history.missing(Some(&left)),
            false => Vec::new(),
        };
        if is_part {
            let all = History {
                asked_from: Moment::instant(starts[name]),
                ..history
            };
            ranges = open.without_gaps(&all, &left, ranges);
        }
        let coming = without(&ranges, withheld.get(name));
        arrivals.add(snapshot, &table.1, &own, &coming, &stale);
        if let Some(table) = stored
            && !ranges.is_empty()
        {
            let batches = statements(&snapshot.model, calendar, &ranges);
            work.push(Work {
                name: name.clone(),
                version: entry.version.clone(),
                table,
                ranges,
                batches,
                base: None,
                hollow: false,
            });
        }
    }
    (work, arrivals.found())
}

/// `ranges` but for what is `withheld` of them.
pub(super) fn without(ranges: &[Interval], withheld: Option<&Intervals>) -> Vec<Interval> {
    match withheld {
        None => ranges.to_vec(),
        Some(withheld) => {
            let all: Intervals = ranges.iter().copied().collect();
            all.difference(withheld).iter().collect()
        }
    }
}

/// From where on models, or something that they read, have a gap that a run does not fill, which looks at a part only.
#[derive(Default)]
struct LeftOpen<'a> {
    from: BTreeMap<&'a ModelName, DateTime<Utc>>,
}

impl<'a> LeftOpen<'a> {
    /// `ranges` of the model of `history` up to the first gap of what it reads, if what it makes of that would stay.
    fn without_gaps(
        &mut self,
        history: &History<'a>,
        filled: &Intervals,
        ranges: Vec<Interval>,
    ) -> Vec<Interval> {
        let model = history.model;
        let parents = model.depends_on.iter();
        let gap = parents.filter_map(|parent| self.from.get(parent).copied());
        let gap = gap.min();
        let ranges = match gap.filter(|_| model.is_never_restated()) {
            Some(gap) => ranges
                .iter()
                .filter_map(|range| Interval::new(range.start(), range.end().min(gap)))
                .collect(),
            None => ranges,
        };
        let own = history.left_open(filled, &ranges);
        if let Some(first) = own.into_iter().chain(gap).min() {
            self.from.insert(&model.name, first);
        }
        ranges
    }
}

/// Models that show another environment's table although something that they read has a table aside here: what is
/// missing of it must not be made of that. Whoever the table belongs to fills it.
fn borrowed<'a>(
    order: &'a [ModelName],
    snapshots: &BTreeMap<ModelName, Snapshot>,
    entries: &BTreeMap<&ModelName, &PromotedSnapshot>,
) -> BTreeSet<&'a ModelName> {
    let mut borrowed = BTreeSet::new();
    let mut beside: BTreeSet<&ModelName> = BTreeSet::new();
    for name in order {
        let (Some(snapshot), Some(entry)) = (snapshots.get(name), entries.get(name)) else {
            continue;
        };
        let mut parents = snapshot.model.depends_on.iter();
        if is_aside(&entry.version) {
            beside.insert(name);
        } else if parents.any(|parent| beside.contains(parent)) {
            // What has no table of its own passes it on.
            if snapshot.model.kind.is_materialized() {
                borrowed.insert(name);
            } else {
                beside.insert(name);
            }
        }
    }
    borrowed
}

fn is_incremental(model: &Model) -> bool {
    model.kind.is_incremental()
}

/// What is filled of a model to bring it to a time, and by which statements.
pub(super) type Portion<'a> = (&'a ModelName, Vec<Interval>, Vec<Interval>);

/// What `filled` lacks of the time that is `asked` of each model of `entries`, whatever its cron says; parents first.
///
/// `first` is where what each model holds begins; `asked` is told where its history starts.
pub(super) fn lacking<'a>(
    draft: &'a Draft,
    entries: &BTreeMap<&ModelName, &PromotedSnapshot>,
    first: &BTreeMap<&ModelName, DateTime<Utc>>,
    execution_time: DateTime<Utc>,
    asked: &dyn Fn(&Snapshot, DateTime<Utc>) -> Option<Interval>,
    filled: &dyn Fn(&PromotedSnapshot) -> Option<&'a Intervals>,
) -> Vec<Portion<'a>> {
    let (order, snapshots) = (&draft.order, &draft.snapshots);
    let calendars = Calendars::of_all(snapshots);
    let starts = model_starts(order, snapshots, &calendars, first, execution_time);
    let borrowed = borrowed(order, snapshots, entries);
    let mut portions = Vec::new();
    for name in order.iter().filter(|name| !borrowed.contains(name)) {
        let (Some(entry), Some(snapshot)) = (entries.get(name), snapshots.get(name)) else {
            continue;
        };
        let Some(asked) = asked(snapshot, starts[name]) else {
            continue;
        };
        let calendar = calendars.of(&snapshot.model);
        let history = History {
            model: &snapshot.model,
            calendar,
            start: starts[name],
            asked_from: Moment::instant(asked.start()),
            asked_to: Moment::instant(asked.end()),
            execution_time,
            ignore_cron: true,
            kept_before: snapshot.effective_from(),
        };
        let ranges = history.missing(filled(entry));
        if !ranges.is_empty() {
            let batches = statements(&snapshot.model, calendar, &ranges);
            portions.push((name, ranges, batches));
        }
    }
    portions
}

/// What part of time a run looks at.
#[derive(Clone, Copy, Debug)]
pub struct RunRange {
    /// First moment; `None` means each model's own start.
    pub start: Option<Moment>,
    /// Last moment; `None` means now.
    pub end: Option<Moment>,
    /// "Now".
    pub execution_time: DateTime<Utc>,
    /// Whether intervals that are over count as due before the cron fires.
    pub ignore_cron: bool,
}

/// Until when the same question gives the same answer as this `plan`, which changes nothing, if nothing is written;
/// `None` when there is no telling.
pub fn same_until(plan: &Plan, current: &Current, options: &PlanOptions) -> Option<DateTime<Utc>> {
    let missing = Times::new(&plan.draft, current, options).same_until(&plan.draft)?;
    let expires = current.target.as_ref().and_then(|target| target.expires_at);
    Some(expires.map_or(missing, |expires| expires.min(missing)))
}

/// The times that matter to a plan.
///
/// A plan builds what is new; it does not catch up: no model goes beyond what production has filled of it,
/// and models that production lacks stop where production as a whole does. Catching up is what a run is for.
pub(super) struct Times<'a> {
    options: &'a PlanOptions,
    calendars: Calendars,
    starts: BTreeMap<ModelName, DateTime<Utc>>,
    /// Until when production's table of a model is filled.
    ends: BTreeMap<&'a ModelName, DateTime<Utc>>,
    /// From when on it is, and which version it has: another environment does not show more of that table to its readers.
    begins: BTreeMap<&'a ModelName, (&'a Version, DateTime<Utc>)>,
    default_end: DateTime<Utc>,
    /// How far what models read goes, for those that read something that waits for signals: production does not lack what they
    /// have.
    waits_at: BTreeMap<ModelName, DateTime<Utc>>,
    /// From where on a model is filled at least, if earlier than what is asked.
    at_least_from: BTreeMap<ModelName, DateTime<Utc>>,
}

impl<'a> Times<'a> {
    pub(super) fn new(draft: &Draft, current: &'a Current, options: &'a PlanOptions) -> Self {
        let mut ends = BTreeMap::new();
        let mut first = BTreeMap::new();
        let mut begins = BTreeMap::new();
        for entry in current.prod.iter().flat_map(|prod| &prod.snapshots) {
            // What a view or a seed counts as filled says when it was made, not how far its rows go.
            let stores_history = [&draft.snapshots, &draft.previous]
                .into_iter()
                .filter_map(|side| side.get(&entry.id.name))
                .all(|snapshot| {
                    let kind = &snapshot.model.kind;
                    kind.is_materialized() && !matches!(kind, ModelKind::Seed(_))
                });
            let filled = current
                .filled
                .get(&(entry.id.name.clone(), entry.version.clone()));
            if let Some(span) = filled.and_then(Intervals::span).filter(|_| stores_history) {
                // What is being restated was there, and will be.
                let key = (entry.id.name.clone(), entry.version.clone());
                let open = current.open.get(&key).and_then(Intervals::span);
                let end = open.map_or(span.end(), |open| open.end().max(span.end()));
                ends.insert(&entry.id.name, end);
                let own = draft.snapshots.get(&entry.id.name);
                if own.is_some_and(|snapshot| is_incremental(&snapshot.model)) {
                    first.insert(&entry.id.name, span.start());
                    if !options.environment.is_prod() {
                        begins.insert(&entry.id.name, (&entry.version, span.start()));
                    }
                }
            }
        }
        let default_end = ends
            .values()
            .max()
            .copied()
            .unwrap_or(options.execution_time);
        let calendars = Calendars::of_all(&draft.snapshots);
        let default_end = default_end.min(options.execution_time);
        let at_least_from = at_least_from(draft, options, &calendars, &ends, default_end);
        Self {
            at_least_from,
            waits_at: waits_at(draft, &ends),
            starts: model_starts(
                &draft.order,
                &draft.snapshots,
                &calendars,
                &first,
                options.execution_time,
            ),
            calendars,
            default_end,
            ends,
            begins,
            options,
        }
    }

    /// Until when a plan of the same things finds the same missing; `None` when there is no telling.
    ///
    /// What is due depends on the last firing of each cron and the last end of an interval only, where production says how
    /// far plans go and no date moves along with the clock.
    pub(super) fn same_until(&self, draft: &Draft) -> Option<DateTime<Utc>> {
        let now = self.options.execution_time;
        let asks = self.options.start.is_some() || self.options.end.is_some();
        let wishes = &self.options.wishes;
        let goes_with_clock = asks || wishes.run || wishes.ignore_cron;
        let last = self.ends.values().max()?;
        let moves = |text: &Option<String>| {
            let date = text.as_deref().map(DateExpr::parse);
            date.is_some_and(|date| date.is_ok_and(|date| date.is_relative()))
        };
        let mut models = draft.snapshots.values().map(|snapshot| &snapshot.model);
        if goes_with_clock || *last > now || models.any(|m| moves(&m.start) || moves(&m.end)) {
            return None;
        }
        let calendars = self.calendars.0.values();
        calendars
            .map(|calendar| calendar.cron.next(now).min(calendar.unit.next(now)))
            .min()
    }

    /// What is missing of `snapshot`, given what is filled.
    pub(super) fn missing(&self, snapshot: &Snapshot, filled: Option<&Intervals>) -> Vec<Interval> {
        let asked = match snapshot.model.kind {
            ModelKind::IncrementalByTimeRange { .. } => (self.options.start, self.options.end),
            // The others are built whole or not at all.
            ModelKind::View
            | ModelKind::MaterializedView
            | ModelKind::Full
            | ModelKind::IncrementalByUniqueKey(_)
            | ModelKind::IncrementalByPartition
            | ModelKind::IncrementalUnmanaged { .. }
            | ModelKind::ScdType2(_)
            | ModelKind::Seed(_)
            | ModelKind::Embedded
            | ModelKind::External => (None, None),
        };
        self.history(snapshot, asked).missing(filled)
    }

    /// The same over the model's whole history, whatever range is asked.
    pub(super) fn missing_of_all(&self, snapshot: &Snapshot, filled: &Intervals) -> Vec<Interval> {
        self.history(snapshot, (None, None)).missing(Some(filled))
    }

    /// Which part of a history a preview of a forward-only change computes by the new definition: what is asked, else
    /// from when on the change is to count, else the last interval. `None` when that is nothing.
    pub(super) fn preview(&self, snapshot: &Snapshot, kept: &Intervals) -> Option<Interval> {
        let unit = self.calendars.of(&snapshot.model).unit;
        let span = kept.span()?;
        let last = unit.prev(unit.ceil(span.end()));
        let end = self.options.end.map_or(span.end(), Moment::as_end);
        let start = match (self.options.start, snapshot.effective_from()) {
            (Some(start), _) => start.as_start(),
            (None, Some(from)) => from,
            (None, None) => last.min(end),
        };
        Some(Interval::new(start, end)?.expand(unit))
    }

    /// The begin of the interval that `time` is in.
    pub(super) fn floor(&self, snapshot: &Snapshot, time: DateTime<Utc>) -> DateTime<Utc> {
        self.calendars.of(&snapshot.model).unit.floor(time)
    }

    /// The whole history of a model, as far as a plan goes; `None` when it is empty.
    pub(super) fn span(&self, snapshot: &Snapshot) -> Option<Interval> {
        let history = self.history(snapshot, (None, None));
        Interval::new(history.start, history.asked_to.as_end())
    }

    /// The whole intervals that `range` touches.
    pub(super) fn whole(&self, snapshot: &Snapshot, range: Interval) -> Interval {
        range.expand(self.calendars.of(&snapshot.model).unit)
    }

    /// Whether the table holds the model's whole history once `missing` is filled.
    pub(super) fn is_complete(
        &self,
        snapshot: &Snapshot,
        filled: Option<&Intervals>,
        missing: &[Interval],
    ) -> bool {
        if self.options.start.is_none() && self.options.end.is_none() {
            return true;
        }
        let mut after = filled.cloned().unwrap_or_default();
        for range in missing {
            after.insert(*range);
        }
        self.history(snapshot, (None, None))
            .missing(Some(&after))
            .is_empty()
    }

    /// The statements that fill `ranges`.
    pub(super) fn batches(&self, snapshot: &Snapshot, ranges: &[Interval]) -> Vec<Interval> {
        statements(&snapshot.model, self.calendars.of(&snapshot.model), ranges)
    }

    fn history<'b>(
        &'b self,
        snapshot: &'b Snapshot,
        asked: (Option<Moment>, Option<Moment>),
    ) -> History<'b> {
        let name = &snapshot.id.name;
        let start = match self.begins.get(name) {
            Some((version, begin)) if **version == snapshot.version => {
                self.starts[name].max(*begin)
            }
            _ => self.starts[name],
        };
        let wishes = &self.options.wishes;
        let end = if wishes.run {
            self.options.execution_time
        } else {
            let known = self.ends.get(name).copied();
            known.unwrap_or_else(|| match self.waits_at.get(name) {
                Some(end) => self.default_end.min(*end),
                None => self.default_end,
            })
        };
        let asked_from = asked.0.map(|from| match self.at_least_from.get(name) {
            Some(earlier) if *earlier < from.as_start() => Moment::instant(*earlier),
            _ => from,
        });
        History {
            model: &snapshot.model,
            calendar: self.calendars.of(&snapshot.model),
            start,
            asked_from: asked_from.unwrap_or(Moment::instant(start)),
            asked_to: asked.1.unwrap_or(Moment::instant(end)),
            execution_time: self.options.execution_time,
            ignore_cron: wishes.ignore_cron,
            kept_before: snapshot.effective_from(),
        }
    }
}

/// Until when production has what each model reads, where some of that waits for signals.
fn waits_at(
    draft: &Draft,
    ends: &BTreeMap<&ModelName, DateTime<Utc>>,
) -> BTreeMap<ModelName, DateTime<Utc>> {
    let mut found: BTreeMap<ModelName, DateTime<Utc>> = BTreeMap::new();
    for name in &draft.order {
        let Some(snapshot) = draft.snapshots.get(name) else {
            continue;
        };
        let parents = snapshot.model.depends_on.iter();
        let above = parents.filter_map(|parent| found.get(parent).copied());
        let own = ends.get(name).filter(|_| snapshot.model.asks());
        if let Some(end) = above.chain(own.copied()).min() {
            found.insert(name.clone(), end);
        }
    }
    found
}

/// From where on each model must be filled so that it has `--min-intervals` ticks of its cron, and so that what reads it
/// finds them.
fn at_least_from(
    draft: &Draft,
    options: &PlanOptions,
    calendars: &Calendars,
    ends: &BTreeMap<&ModelName, DateTime<Utc>>,
    default_end: DateTime<Utc>,
) -> BTreeMap<ModelName, DateTime<Utc>> {
    let mut from: BTreeMap<ModelName, DateTime<Utc>> = BTreeMap::new();
    if options.wishes.min_intervals == 0 || options.start.is_none() {
        return from;
    }
    for name in draft.order.iter().rev() {
        let Some(snapshot) = draft.snapshots.get(name) else {
            continue;
        };
        let cron = &calendars.of(&snapshot.model).cron;
        let mut start = cron.floor(ends.get(name).copied().unwrap_or(default_end));
        for _ in 0..options.wishes.min_intervals {
            start = cron.prev(start);
        }
        let start = from.get(name).map_or(start, |known| start.min(*known));
        from.insert(name.clone(), start);
        for parent in &snapshot.model.depends_on {
            let known = from.entry(parent.clone()).or_insert(start);
            *known = start.min(*known);
        }
    }
    from
}

/// One model's history and which part of it is asked for.
struct History<'a> {
    model: &'a Model,
    calendar: &'a Calendar,
    start: DateTime<Utc>,
    asked_from: Moment,
    asked_to: Moment,
    execution_time: DateTime<Utc>,
    ignore_cron: bool,
    /// What is filled before it stays as it is, however far back the lookback reaches.
    kept_before: Option<DateTime<Utc>>,
}

impl History<'_> {
    fn missing(&self, filled: Option<&Intervals>) -> Vec<Interval> {
        let nothing = Intervals::default();
        let filled = filled.unwrap_or(&nothing);
        match self.model.kind {
            ModelKind::Embedded | ModelKind::External => Vec::new(),
            // What it reads changes, and its audits may find something then.
            ModelKind::View if !filled.is_empty() && !self.model.audits.is_empty() => {
                let due = self.ask(filled, 0);
                let whole = self.ask(&nothing, 0);
                if due.is_empty() { due } else { whole }
            }
            // Once they are there they stay right: a view reads what its parents have, a seed is its file.
            ModelKind::View | ModelKind::Seed(_) if !filled.is_empty() => Vec::new(),
            ModelKind::View | ModelKind::Seed(_) => {
                let due = self.ask(&nothing, 0);
                if due.is_empty() {
                    self.last_interval()
                } else {
                    due
                }
            }
            ModelKind::Full | ModelKind::MaterializedView => {
                // One statement builds the whole table, whatever part of it is missing.
                let missing = self.ask(filled, 0);
                let whole = self.ask(&nothing, 0);
                if missing.is_empty() { missing } else { whole }
            }
            ModelKind::IncrementalByTimeRange { .. } => self.of_slices(filled),
            ModelKind::IncrementalByUniqueKey(_)
            | ModelKind::IncrementalByPartition
            | ModelKind::IncrementalUnmanaged { .. }
            | ModelKind::ScdType2(_) => self.behind(filled),
        }
    }

    /// What is missing of a table that is filled in slices of time. Where slices build on those before them, the first
    /// missing one takes all behind it along.
    fn of_slices(&self, filled: &Intervals) -> Vec<Interval> {
        let missing = self.ask(filled, self.model.kind.lookback_intervals());
        let missing = self.without_kept(filled, missing);
        if !self.model.reads_itself {
            return missing;
        }
        let (Some(first), Some(end)) = (
            missing.first().map(|range| range.start()),
            self.ask(&Intervals::default(), 0)
                .last()
                .map(|range| range.end()),
        ) else {
            return missing;
        };
        Interval::new(first, end).into_iter().collect()
    }

    /// What is missing of a table to which batches are added in order of time, with the lookback before it.
    ///
    /// A batch in the past would be written over newer ones. So where something is missing there, because the start was
    /// moved back, all behind it is written again too; where that would not give the same rows, the past stays as it is.
    fn behind(&self, filled: &Intervals) -> Vec<Interval> {
        let Some(span) = filled.span() else {
            return self.ask(filled, 0);
        };
        let unit = self.calendar.unit;
        let so_far = Interval::new(self.start.min(span.start()), span.end());
        let all: Intervals = so_far.into_iter().collect();
        let missing = self.ask(&all, 0);
        let end = missing.last().map_or(span.end(), |last| last.end());
        let in_the_past: Vec<Interval> = self
            .ask(filled, 0)
            .into_iter()
            .filter(|range| range.start() < span.end() && !self.is_kept(*range))
            .collect();
        if let Some(first) = in_the_past.first() {
            match self.model.kind {
                // In any order they are the same rows.
                ModelKind::IncrementalUnmanaged {
                    insert_overwrite: false,
                } if !self.model.reads_itself => {
                    let past: Intervals = in_the_past.into_iter().collect();
                    let all = past.merge(&missing.into_iter().collect());
                    return all.difference(filled).into_iter().collect();
                }
                _ if self.model.may_be_written_again() => {
                    return Interval::new(first.start(), end).into_iter().collect();
                }
                _ => {}
            }
        }
        let Some(first) = missing.first() else {
            return missing;
        };
        let lookback = self.model.kind.lookback_intervals();
        let from = match self.model.kind {
            // What was added from a part of an interval would be added twice.
            ModelKind::IncrementalUnmanaged {
                insert_overwrite: false,
            } => first.start().max(span.end()),
            _ => unit
                .back(unit.ceil(first.start()), lookback)
                .max(span.start())
                .min(first.start()),
        };
        Interval::new(from, end).into_iter().collect()
    }

    /// Where the first slice begins that is due and stays missing when `ranges` are filled; `None` for tables that are not
    /// filled by slices.
    fn left_open(&self, filled: &Intervals, ranges: &[Interval]) -> Option<DateTime<Utc>> {
        if !self.model.kind.is_incremental() {
            return None;
        }
        let ranges: Intervals = ranges.iter().copied().collect();
        let missing = self.ask(&filled.merge(&ranges), 0);
        missing.first().map(|range| range.start())
    }

    /// Whether `range` lies before the date from which a forward-only change counts.
    fn is_kept(&self, range: Interval) -> bool {
        self.kept_before.is_some_and(|date| range.start() < date)
    }

    /// Rows before the date from which a forward-only change counts belong to the definition before it.
    fn without_kept(&self, filled: &Intervals, ranges: Vec<Interval>) -> Vec<Interval> {
        let Some(date) = self.kept_before else {
            return ranges;
        };
        let mut kept = filled.clone();
        if let Some(after) = filled
            .span()
            .and_then(|span| Interval::new(date, span.end()))
        {
            kept.remove(after);
        }
        let ranges: Intervals = ranges.into_iter().collect();
        ranges.difference(&kept).into_iter().collect()
    }

    /// The last interval that is over. What has no history is built even where no part of one is due.
    fn last_interval(&self) -> Vec<Interval> {
        let unit = self.calendar.unit;
        let end = unit.floor(self.execution_time);
        Interval::new(unit.prev(end), end).into_iter().collect()
    }

    fn ask(&self, filled: &Intervals, lookback_intervals: u32) -> Vec<Interval> {
        missing_intervals(&IntervalRequest {
            unit: self.calendar.unit,
            cron: &self.calendar.cron,
            model_start: self.start,
            model_end: self
                .model
                .end
                .as_deref()
                .and_then(|text| DateExpr::parse(text).ok())
                .map(|end| end.resolve(self.execution_time)),
            start: self.asked_from,
            end: self.asked_to,
            execution_time: self.execution_time,
            lookback_intervals,
            ignore_cron: self.ignore_cron,
            allow_partials: self.model.allow_partials,
            filled,
        })
    }
}

/// The statements that fill `ranges` of `model`.
pub(super) fn statements_for(model: &Model, ranges: &[Interval]) -> Vec<Interval> {
    statements(model, &Calendar::new(model), ranges)
}

/// The statements that fill `ranges`: one a batch for incremental models, one in all for the others.
fn statements(model: &Model, calendar: &Calendar, ranges: &[Interval]) -> Vec<Interval> {
    match model.kind {
        ModelKind::IncrementalByTimeRange { .. }
        | ModelKind::IncrementalByUniqueKey(_)
        | ModelKind::IncrementalByPartition
        | ModelKind::IncrementalUnmanaged { .. }
        | ModelKind::ScdType2(_) => {
            let size = model.kind.batch_size_intervals();
            // What builds on the interval before must not depend on how many are filled at once.
            let size = size.or(model.reads_itself.then_some(NonZeroU32::MIN));
            batches(ranges, calendar.unit, size)
        }
        ModelKind::View
        | ModelKind::MaterializedView
        | ModelKind::Full
        | ModelKind::Seed(_)
        | ModelKind::Embedded
        | ModelKind::External => {
            let first = ranges.first().map(|range| range.start());
            let last = ranges.last().map(|range| range.end());
            first
                .zip(last)
                .and_then(|(start, end)| Interval::new(start, end))
                .into_iter()
                .collect()
        }
    }
}

/// When a model is due, and how long its intervals are.
struct Calendar {
    cron: Cron,
    unit: IntervalUnit,
}

/// The calendars of a project's models. Most models share a few, and reading a cron is not cheap.
struct Calendars(BTreeMap<CalendarKey, Calendar>);

/// What decides about a calendar: cron, zone and unit, as written.
type CalendarKey = (String, Option<String>, Option<String>);

impl Calendars {
    fn of_all(snapshots: &BTreeMap<ModelName, Snapshot>) -> Self {
        let mut calendars = BTreeMap::new();
        for snapshot in snapshots.values() {
            let model = &snapshot.model;
            calendars
                .entry(Self::key(model))
                .or_insert_with(|| Calendar::new(model));
        }
        Self(calendars)
    }

    fn of(&self, model: &Model) -> &Calendar {
        self.0
            .get(&Self::key(model))
            .expect("the calendars are those of all snapshots")
    }

    fn key(model: &Model) -> CalendarKey {
        let (zone, unit) = (model.cron_tz.clone(), model.interval_unit.clone());
        (model.cron.clone(), zone, unit)
    }
}

impl Calendar {
    /// Loading has reported texts that cannot be read; here they count as `@daily`.
    fn new(model: &Model) -> Self {
        let cron =
            Cron::of(model).unwrap_or_else(|_| Cron::parse("@daily").expect("`@daily` is a cron"));
        let declared = model
            .interval_unit
            .as_deref()
            .and_then(|text| text.parse().ok());
        let unit = declared
            .or_else(|| cron.interval_unit().ok())
            .unwrap_or(IntervalUnit::Day);
        Self { cron, unit }
    }
}

//! What of a model's work waits: because a signal of its own says so, or because something that it reads waits.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use chrono::DateTime;
use chrono::Utc;

use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::Work;
use crate::plan::interval_unit;
use crate::plan::missing::statements_for;
use crate::plan::units::is_built_whole;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;
use crate::snapshot::Snapshot;

/// Time that is not ready, by the model whose signal says so.
pub type Unready = BTreeMap<ModelName, Intervals>;

/// What is not ready of the models that were looked at, for those that read them.
#[derive(Debug, Default)]
pub struct HeldBack {
    by: BTreeMap<ModelName, Unready>,
    is_anything: bool,
}

impl HeldBack {
    /// What is not ready of anything that `name` reads, directly or through others, all of which were looked at.
    pub fn above(&self, name: &ModelName, snapshots: &BTreeMap<ModelName, Snapshot>) -> Unready {
        let mut found = Unready::new();
        if !self.is_anything {
            return found;
        }
        let (mut open, mut seen) = (vec![name], BTreeSet::from([name]));
        while let Some(next) = open.pop() {
            let parents = snapshots.get(next).map(|known| &known.model.depends_on);
            for parent in parents.into_iter().flatten() {
                match self.by.get(parent) {
                    // It knows what lies above it.
                    Some(unready) => add(&mut found, unready),
                    None if seen.insert(parent) => open.push(parent),
                    None => {}
                }
            }
        }
        found
    }

    /// Says that so much of `name` is not ready, with what lies above it.
    pub fn add(&mut self, name: &ModelName, unready: Unready) {
        self.is_anything |= !unready.is_empty();
        self.by.insert(name.clone(), unready);
    }
}

/// Adds `more` to `unready`.
fn add(unready: &mut Unready, more: &Unready) {
    for (name, times) in more {
        let known = unready.entry(name.clone()).or_default();
        *known = known.merge(times);
    }
}

/// A model's work while it is found out what of it waits.
#[derive(Debug)]
pub struct Asking<'a> {
    model: &'a Model,
    work: &'a Work,
    /// What is filled now.
    filled: &'a Intervals,
    /// What is due and not held back so far.
    left: Intervals,
    /// What waits, by the model whose signal says so.
    waits: Unready,
}

impl<'a> Asking<'a> {
    /// The work of `model`, of whose table so much is `filled`.
    pub fn new(model: &'a Model, work: &'a Work, filled: &'a Intervals) -> Self {
        let due: Intervals = work.ranges.iter().copied().collect();
        let left = if is_built_whole(model) {
            // One statement makes all of it, whatever part is due.
            due.difference(filled)
        } else {
            due
        };
        Self {
            model,
            work,
            filled,
            left,
            waits: Unready::new(),
        }
    }

    /// The contiguous slices that are not held back so far: what a signal is asked about.
    pub fn left(&self) -> Vec<Interval> {
        self.left.iter().collect()
    }

    /// Holds back each interval that `unready` touches. What builds on its past stops at the first.
    pub fn without(&mut self, unready: &Unready) {
        let unit = interval_unit(self.model);
        for (name, times) in unready {
            let touched: Intervals = times.iter().map(|time| time.expand(unit)).collect();
            let rest = self.left.difference(&touched);
            let mut held = self.left.difference(&rest);
            if let Some(first) = held.span().filter(|_| self.model.is_filled_in_order())
                && let Some(last) = self.left.span()
                && let Some(behind) = Interval::new(first.start(), last.end())
            {
                let before = self.left.difference(&[behind].into_iter().collect());
                held = self.left.difference(&before);
            }
            self.left = self.left.difference(&held);
            let waits = held.difference(self.filled);
            if !waits.is_empty() {
                let known = self.waits.entry(name.clone()).or_default();
                *known = known.merge(&waits);
            }
        }
    }

    /// All of `range` but the intervals that hold one of `times`.
    pub fn all_but(&self, range: Interval, times: &[DateTime<Utc>]) -> Intervals {
        let unit = interval_unit(self.model);
        let inside = times
            .iter()
            .filter(|time| range.start() <= **time && **time < range.end());
        let mut starts: Vec<DateTime<Utc>> = inside.map(|time| unit.floor(*time)).collect();
        starts.sort_unstable();
        starts.dedup();
        let ready = starts.into_iter();
        let ready = ready.filter_map(|start| Interval::new(start, unit.next(start)));
        let all: Intervals = [range].into_iter().collect();
        all.difference(&ready.collect())
    }

    /// Holds back `unready` because a signal of the model's own says so. Returns what waits for that.
    pub fn hold(&mut self, unready: Intervals) -> Intervals {
        let own = &self.model.name;
        let before = self.waits.remove(own).unwrap_or_default();
        self.without(&[(own.clone(), unready)].into_iter().collect());
        let waits = self.waits.remove(own).unwrap_or_default();
        let all = before.merge(&waits);
        if !all.is_empty() {
            self.waits.insert(own.clone(), all);
        }
        waits
    }

    /// Holds back everything where something before `time` waits. Returns for which model's signal, and what more waits.
    pub fn all_until(&mut self, time: DateTime<Utc>) -> Option<(ModelName, Intervals)> {
        let first = |times: &Intervals| times.span().map(Interval::start);
        let waits = self.waits.iter();
        let waits = waits.filter_map(|(name, times)| Some((first(times)?, name)));
        let (_, name) = waits.min().filter(|(first, _)| *first < time)?;
        let name = name.clone();
        let more = std::mem::take(&mut self.left);
        let known = self.waits.entry(name.clone()).or_default();
        *known = known.merge(&more);
        Some((name, more))
    }

    /// What waits, by the model whose signal says so.
    pub fn waits(&self) -> &Unready {
        &self.waits
    }

    /// What is done now; `None` where nothing is held back, which means all of it.
    pub fn rest(&self) -> Option<Work> {
        if self.waits.is_empty() {
            return None;
        }
        // What is only written again because of something before it that waits, waits as well.
        let rest = self.left.iter();
        let ranges: Vec<Interval> = rest
            .filter(|run| self.work.base.is_some() || !self.filled.contains(*run))
            .collect();
        Some(Work {
            batches: statements_for(self.model, &ranges),
            ranges,
            ..self.work.clone()
        })
    }

    /// What readers of the model must not read yet, where `above` is not ready of what it reads itself.
    pub fn unready(&self, mut above: Unready) -> Unready {
        // A view has what it reads has, whatever is recorded of it; only its own signals are its own.
        let is_view = matches!(self.model.kind, ModelKind::View);
        for (name, times) in &self.waits {
            if !is_view || *name == self.model.name {
                let known = above.entry(name.clone()).or_default();
                *known = known.merge(times);
            }
        }
        above
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Version;

    const SLICES: &str = "INCREMENTAL_BY_TIME_RANGE";

    fn model(kind: &str) -> Model {
        let column = serde_json::json!({"column": "day", "format": "%Y-%m-%d"});
        let kind = serde_json::json!({
            "kind": kind, "time_column": column, "lookback_intervals": 0, "batch_size_intervals": null,
        });
        let model = serde_json::json!({
            "name": "db.a", "kind": kind, "dialect": crate::sql::Dialect::DuckDb, "query": null,
            "cron": "@daily", "project": "", "file": "m.sql",
        });
        serde_json::from_value(model).unwrap()
    }

    fn at(day: u32) -> DateTime<Utc> {
        format!("2024-01-{day:02}T00:00:00Z").parse().unwrap()
    }

    fn days(first: u32, end: u32) -> Interval {
        Interval::new(at(first), at(end)).unwrap()
    }

    fn set(ranges: &[(u32, u32)]) -> Intervals {
        ranges
            .iter()
            .map(|(first, end)| days(*first, *end))
            .collect()
    }

    fn work(ranges: &[(u32, u32)]) -> Work {
        let ranges: Vec<Interval> = set(ranges).iter().collect();
        Work {
            name: "db.a".parse().unwrap(),
            version: Version("v".to_owned()),
            table: "db.t".parse::<ModelName>().unwrap().table_name(),
            batches: ranges.clone(),
            ranges,
            base: None,
            hollow: false,
        }
    }

    fn unready(ranges: &[(u32, u32)]) -> Unready {
        [("db.p".parse().unwrap(), set(ranges))]
            .into_iter()
            .collect()
    }

    /// What is done now and what waits of `due`, when the parent is not ready at `held`.
    fn split(
        kind: &str,
        due: &[(u32, u32)],
        filled: &[(u32, u32)],
        held: &[(u32, u32)],
    ) -> (Vec<Interval>, Vec<Interval>) {
        let (model, work, filled) = (model(kind), work(due), set(filled));
        let mut asking = Asking::new(&model, &work, &filled);
        asking.without(&unready(held));
        let waits = asking.waits().values().flat_map(Intervals::iter);
        let waits = waits.collect();
        let done = asking.rest().unwrap_or(work.clone());
        (done.ranges, waits)
    }

    #[test]
    fn slices_go_on_around_what_waits() {
        assert_eq!(
            split(SLICES, &[(1, 6)], &[], &[(2, 3)]),
            (vec![days(1, 2), days(3, 6)], vec![days(2, 3)])
        );
    }

    #[test]
    fn a_whole_table_and_what_builds_on_its_past_stop_at_the_first() {
        for kind in ["FULL", "INCREMENTAL_UNMANAGED"] {
            assert_eq!(
                split(kind, &[(1, 6)], &[], &[(2, 3)]),
                (vec![days(1, 2)], vec![days(2, 6)]),
                "{kind}"
            );
        }
        // What is filled of a whole table is not made again for what waits behind it.
        assert_eq!(
            split("FULL", &[(1, 6)], &[(1, 4)], &[(4, 6)]),
            (vec![], vec![days(4, 6)])
        );
    }

    #[test]
    fn what_was_to_be_written_again_for_what_waits_is_left() {
        assert_eq!(
            split(SLICES, &[(3, 6)], &[(1, 5)], &[(5, 6)]),
            (vec![], vec![days(5, 6)])
        );
    }

    #[test]
    fn nothing_waits_for_other_times() {
        let (model, work, filled) = (model(SLICES), work(&[(1, 3)]), set(&[]));
        let mut asking = Asking::new(&model, &work, &filled);
        asking.without(&unready(&[(3, 6)]));
        assert_eq!(asking.rest(), None);
    }

    #[test]
    fn a_time_makes_its_interval_ready_and_others_change_nothing() {
        let (model, work, filled) = (model(SLICES), work(&[(1, 6)]), set(&[]));
        let mut asking = Asking::new(&model, &work, &filled);
        let noon = at(2) + chrono::TimeDelta::hours(12);
        let unready = asking.all_but(days(1, 6), &[noon, noon, at(1), at(9)]);
        assert_eq!(unready, set(&[(3, 6)]));
        assert_eq!(asking.hold(unready), set(&[(3, 6)]));
        assert_eq!(asking.left(), [days(1, 3)]);
        // The next signal is asked about these alone.
        assert_eq!(asking.hold(set(&[(2, 3)])), set(&[(2, 3)]));
        assert_eq!(asking.rest().unwrap().ranges, [days(1, 2)]);
        let own: ModelName = "db.a".parse().unwrap();
        assert_eq!(asking.waits()[&own], set(&[(2, 6)]));
    }
}

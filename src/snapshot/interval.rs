//! Slices of time, and sets of them.

use std::fmt;

use chrono::DateTime;
use chrono::SubsecRound;
use chrono::TimeDelta;
use chrono::Utc;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;

use crate::model::IntervalUnit;

/// A half-open slice of time `[start, end)` in UTC, to the millisecond; never empty.
///
/// Sorted by start, then end. Stored as a pair of epoch milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl Interval {
    /// Cuts both ends to the millisecond; returns `None` unless `start < end` then.
    pub fn new(start: DateTime<Utc>, end: DateTime<Utc>) -> Option<Self> {
        let start = start.trunc_subsecs(3);
        let end = end.trunc_subsecs(3);
        (start < end).then_some(Self { start, end })
    }

    /// First instant inside.
    pub fn start(self) -> DateTime<Utc> {
        self.start
    }

    /// First instant after it.
    pub fn end(self) -> DateTime<Utc> {
        self.end
    }

    /// How long it is.
    pub fn length(self) -> TimeDelta {
        self.end - self.start
    }

    /// Whether all of `other` lies inside.
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// From the first start to the last end; `None` without any.
    pub fn hull(ranges: impl IntoIterator<Item = Self>) -> Option<Self> {
        ranges.into_iter().reduce(Self::join)
    }

    /// From the earlier start to the later end of both.
    pub fn join(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// What both have in common; `None` if that is nothing.
    pub fn intersect(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The smallest slice on the unit's grid that holds it.
    #[must_use]
    pub fn expand(self, unit: IntervalUnit) -> Self {
        Self {
            start: unit.floor(self.start),
            end: unit.ceil(self.end),
        }
    }

    /// The same with its start moved back to the unit's grid; the end stays, for partial intervals.
    #[must_use]
    pub fn start_on(self, unit: IntervalUnit) -> Self {
        Self {
            start: unit.floor(self.start),
            end: self.end,
        }
    }

    /// The largest slice on the unit's grid that it holds; `None` if it holds no whole cell.
    ///
    /// This is what may be recorded as filled.
    pub fn shrink(self, unit: IntervalUnit) -> Option<Self> {
        Self::new(unit.ceil(self.start), unit.floor(self.end))
    }

    /// The cells of the unit's grid that it touches, earliest first; the outer two are cut at its ends.
    pub fn units(self, unit: IntervalUnit) -> impl Iterator<Item = Self> {
        let mut cursor = self.start;
        std::iter::from_fn(move || {
            let cell = Self::new(cursor, unit.next(cursor).min(self.end))?;
            cursor = cell.end;
            Some(cell)
        })
    }

    fn millis(self) -> (i64, i64) {
        (self.start.timestamp_millis(), self.end.timestamp_millis())
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "[{}, {})",
            self.start.to_rfc3339(),
            self.end.to_rfc3339()
        )
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.millis().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (start, end) = <(i64, i64)>::deserialize(deserializer)?;
        DateTime::from_timestamp_millis(start)
            .zip(DateTime::from_timestamp_millis(end))
            .and_then(|(start, end)| Self::new(start, end))
            .ok_or_else(|| D::Error::custom(format!("`[{start}, {end}]` is not an interval")))
    }
}

/// A set of instants, kept as sorted intervals that neither overlap nor touch.
///
/// Stored as a list of pairs of epoch milliseconds. Made from any intervals with `collect`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Intervals(Vec<Interval>);

impl Intervals {
    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The maximal intervals, earliest first; they neither overlap nor touch.
    pub fn as_slice(&self) -> &[Interval] {
        &self.0
    }

    /// The maximal intervals, earliest first; they neither overlap nor touch.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Interval> + ExactSizeIterator {
        self.0.iter().copied()
    }

    /// The slice from its first instant to its last; `None` if it holds nothing.
    pub fn span(&self) -> Option<Interval> {
        Interval::new(self.0.first()?.start, self.0.last()?.end)
    }

    /// Adds all instants of `added`.
    pub fn insert(&mut self, added: Interval) {
        let from = self.0.partition_point(|kept| kept.end < added.start);
        let to = self.0.partition_point(|kept| kept.start <= added.end);
        let mut union = added;
        if let [first, .., last] | [first @ last] = &self.0[from..to] {
            union.start = union.start.min(first.start);
            union.end = union.end.max(last.end);
        }
        self.0.splice(from..to, [union]);
    }

    /// Takes all instants of `removed` out.
    pub fn remove(&mut self, removed: Interval) {
        let from = self.0.partition_point(|kept| kept.end <= removed.start);
        let to = self.0.partition_point(|kept| kept.start < removed.end);
        if from >= to {
            return;
        }
        let before = Interval::new(self.0[from].start, removed.start);
        let after = Interval::new(removed.end, self.0[to - 1].end);
        self.0.splice(from..to, before.into_iter().chain(after));
    }

    /// Whether it holds every instant of `wanted`.
    pub fn contains(&self, wanted: Interval) -> bool {
        let next = self.0.partition_point(|kept| kept.end <= wanted.start);
        self.0.get(next).is_some_and(|kept| kept.contains(wanted))
    }

    /// The parts of `wanted` that this set does not hold, earliest first.
    pub fn missing(&self, wanted: Interval) -> Vec<Interval> {
        let mut missing = Vec::new();
        let mut cursor = wanted.start;
        let from = self.0.partition_point(|kept| kept.end <= wanted.start);
        for kept in &self.0[from..] {
            if wanted.end <= kept.start {
                break;
            }
            missing.extend(Interval::new(cursor, kept.start));
            cursor = cursor.max(kept.end);
        }
        missing.extend(Interval::new(cursor, wanted.end));
        missing
    }

    /// The instants that are in either set.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }

    /// The instants of this set that `other` lacks.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self(self.iter().flat_map(|kept| other.missing(kept)).collect())
    }
}

impl FromIterator<Interval> for Intervals {
    fn from_iter<I: IntoIterator<Item = Interval>>(intervals: I) -> Self {
        let mut sorted: Vec<Interval> = intervals.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup_by(|next, kept| {
            let together = next.start <= kept.end;
            if together {
                kept.end = kept.end.max(next.end);
            }
            together
        });
        Self(sorted)
    }
}

impl IntoIterator for Intervals {
    type Item = Interval;
    type IntoIter = std::vec::IntoIter<Interval>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de> Deserialize<'de> for Intervals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Interval>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hours(start: i64, end: i64) -> Interval {
        let hour = |hour| DateTime::from_timestamp(hour * 3600, 0).unwrap();
        Interval::new(hour(start), hour(end)).unwrap()
    }

    fn any_hours() -> impl Strategy<Value = Interval> {
        (0i64..40, 1i64..10).prop_map(|(start, length)| hours(start, start + length))
    }

    fn any_set() -> impl Strategy<Value = Intervals> {
        proptest::collection::vec(any_hours(), 0..8).prop_map(Intervals::from_iter)
    }

    /// The set as one flag per hour, which is too simple to be wrong.
    fn flags(set: &Intervals) -> Vec<bool> {
        (0..60)
            .map(|hour| set.contains(hours(hour, hour + 1)))
            .collect()
    }

    fn is_normal(set: &Intervals) -> bool {
        set.0.windows(2).all(|pair| pair[0].end < pair[1].start)
    }

    #[test]
    fn an_interval_is_never_empty() {
        let time = DateTime::UNIX_EPOCH;
        assert_eq!(Interval::new(time, time), None);
        assert_eq!(Interval::new(time, time - TimeDelta::hours(1)), None);
        assert_eq!(
            Interval::new(time, time + TimeDelta::microseconds(999)),
            None
        );
    }

    #[test]
    fn touching_intervals_become_one() {
        let mut filled = Intervals::default();
        filled.insert(hours(0, 1));
        filled.insert(hours(1, 2));
        assert_eq!(filled, Intervals(vec![hours(0, 2)]));
    }

    #[test]
    fn one_that_bridges_a_gap_joins_both_sides() {
        let mut filled: Intervals = [hours(0, 2), hours(4, 6), hours(9, 10)]
            .into_iter()
            .collect();
        filled.insert(hours(1, 5));
        assert_eq!(filled, Intervals(vec![hours(0, 6), hours(9, 10)]));
    }

    #[test]
    fn removing_the_middle_leaves_both_ends() {
        let mut filled = Intervals::from_iter([hours(0, 10)]);
        filled.remove(hours(3, 5));
        assert_eq!(filled, Intervals(vec![hours(0, 3), hours(5, 10)]));
    }

    #[test]
    fn what_is_missing_lies_before_between_and_after() {
        let filled = Intervals::from_iter([hours(2, 4), hours(6, 8)]);
        assert_eq!(
            filled.missing(hours(0, 10)),
            [hours(0, 2), hours(4, 6), hours(8, 10)]
        );
        assert_eq!(filled.missing(hours(2, 4)), []);
        assert_eq!(filled.missing(hours(4, 6)), [hours(4, 6)]);
    }

    #[test]
    fn the_outer_units_are_cut_at_the_ends() {
        let cells: Vec<Interval> = hours(20, 50).units(IntervalUnit::Day).collect();
        assert_eq!(cells, [hours(20, 24), hours(24, 48), hours(48, 50)]);
    }

    #[test]
    fn only_whole_units_count_as_filled() {
        assert_eq!(hours(20, 50).shrink(IntervalUnit::Day), Some(hours(24, 48)));
        assert_eq!(hours(20, 30).shrink(IntervalUnit::Day), None);
        assert_eq!(hours(20, 30).expand(IntervalUnit::Day), hours(0, 48));
    }

    #[test]
    fn a_set_is_stored_as_pairs_of_milliseconds() {
        let filled = Intervals::from_iter([hours(0, 1), hours(2, 3)]);
        let text = serde_json::to_string(&filled).unwrap();
        assert_eq!(text, "[[0,3600000],[7200000,10800000]]");
        assert_eq!(serde_json::from_str::<Intervals>(&text).unwrap(), filled);
    }

    #[test]
    fn what_is_read_is_put_in_order_or_refused() {
        let unsorted: Intervals = serde_json::from_str("[[5,9],[0,5]]").unwrap();
        assert_eq!(serde_json::to_string(&unsorted).unwrap(), "[[0,9]]");
        let error = serde_json::from_str::<Intervals>("[[5,5]]").unwrap_err();
        assert!(error.to_string().contains("`[5, 5]` is not an interval"));
    }

    #[test]
    fn a_hundred_thousand_intervals_are_ordinary() {
        let count = 100_000;
        let filled: Intervals = (0..count).rev().map(|n| hours(2 * n, 2 * n + 1)).collect();
        assert_eq!(filled.iter().len(), 100_000);
        let missing = filled.missing(hours(0, 2 * count));
        assert_eq!(missing.len(), 100_000);
        let all = filled.merge(&missing.into_iter().collect());
        assert_eq!(all, Intervals(vec![hours(0, 2 * count)]));
        assert!(all.difference(&filled).difference(&all).is_empty());
    }

    proptest! {
        #[test]
        fn the_order_of_inserts_does_not_matter(
            inserts in proptest::collection::vec(any_hours(), 0..12).prop_flat_map(|inserts| {
                (Just(inserts.clone()), Just(inserts).prop_shuffle())
            }),
        ) {
            let mut sets = [Intervals::default(), Intervals::default()];
            for (set, inserts) in sets.iter_mut().zip([&inserts.0, &inserts.1]) {
                for insert in inserts {
                    set.insert(*insert);
                    prop_assert!(is_normal(set));
                }
            }
            prop_assert_eq!(&sets[0], &sets[1]);
            prop_assert_eq!(&sets[0], &inserts.0.into_iter().collect::<Intervals>());
        }

        #[test]
        fn nothing_is_missing_once_the_missing_parts_are_filled(
            mut filled in any_set(),
            wanted in any_hours(),
        ) {
            for part in filled.missing(wanted) {
                prop_assert!(!filled.contains(part) && wanted.contains(part));
                filled.insert(part);
            }
            prop_assert_eq!(filled.missing(wanted), []);
            prop_assert!(filled.contains(wanted));
        }

        #[test]
        fn removing_and_inserting_what_was_there_changes_nothing(
            set in any_set(),
            part in any_hours(),
        ) {
            let mut changed = set.clone();
            changed.remove(part);
            prop_assert!(is_normal(&changed));
            prop_assert_eq!(changed.missing(part), [part]);
            for kept in set.iter().filter_map(|kept| kept.intersect(part)) {
                changed.insert(kept);
            }
            prop_assert_eq!(changed, set);
        }

        #[test]
        fn sets_behave_like_one_flag_per_hour(left in any_set(), right in any_set()) {
            let merged = left.merge(&right);
            let difference = left.difference(&right);
            prop_assert!(is_normal(&merged) && is_normal(&difference));
            for (hour, (in_left, in_right)) in flags(&left).into_iter().zip(flags(&right)).enumerate() {
                prop_assert_eq!(flags(&merged)[hour], in_left || in_right);
                prop_assert_eq!(flags(&difference)[hour], in_left && !in_right);
            }
        }
    }
}

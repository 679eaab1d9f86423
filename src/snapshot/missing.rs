//! What a model still has to fill, and in which portions.

use std::num::NonZeroU32;

use chrono::DateTime;
use chrono::Utc;

use crate::model::Cron;
use crate::model::DateExpr;
use crate::model::IntervalUnit;
use crate::model::Moment;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;

/// What [`missing_intervals`] needs to know about a model and about what is asked.
#[derive(Clone, Copy, Debug)]
pub struct IntervalRequest<'a> {
    /// The grid of the model's history.
    pub unit: IntervalUnit,
    /// When the model is due.
    pub cron: &'a Cron,
    /// First instant of the model's history, see [`model_start`].
    pub model_start: DateTime<Utc>,
    /// Where the model's history ends, if it does.
    pub model_end: Option<Moment>,
    /// First instant asked for.
    pub start: Moment,
    /// Last day or first instant not asked for.
    pub end: Moment,
    /// When the question is asked.
    pub execution_time: DateTime<Utc>,
    /// How many intervals before a missing one are filled again, in units of the grid.
    pub lookback_intervals: u32,
    /// Whether what is over counts as due even if the cron has not fired since.
    pub ignore_cron: bool,
    /// Whether an interval may be filled before it is over; then the last range may end off the grid.
    pub allow_partials: bool,
    /// What is filled already.
    pub filled: &'a Intervals,
}

/// The ranges to fill, on the grid unless partial intervals are allowed, merged, earliest first.
///
/// An interval that is filled in part is missing as a whole. If anything is missing, then so are the
/// `lookback_intervals` intervals before each missing one and the last ones before the end: their
/// rows may have come late. The reference repeats only the interval at that exact distance and leaves
/// those between stale (spec/engine.md 11, L7).
///
/// The reference's `end_bounded` is not here: whatever it says, nothing outside `start` and `end`,
/// rounded outward, is filled.
///
/// Knows nothing of kinds: a seed that has rows and a model that stores nothing must not ask.
///
/// Source: spec/engine.md 5.5 and 5.6.
pub fn missing_intervals(request: &IntervalRequest<'_>) -> Vec<Interval> {
    let Some(wanted) = due(request) else {
        return Vec::new();
    };
    let unit = request.unit;
    let missing: Intervals = request
        .filled
        .missing(wanted)
        .into_iter()
        .filter_map(|part| part.expand(unit).intersect(wanted))
        .collect();
    let lookback = request.lookback_intervals;
    if missing.is_empty() || lookback == 0 {
        return missing.into_iter().collect();
    }
    let from = |time| unit.back(unit.ceil(time), lookback).max(wanted.start());
    let repeated = missing
        .iter()
        .filter_map(|range| Interval::new(from(range.start()), range.end()));
    let tail = Interval::new(from(wanted.end()), wanted.end());
    let with_lookback: Intervals = repeated.chain(tail).collect();
    with_lookback.into_iter().collect()
}

/// What should be filled by now, on the grid; `None` if nothing.
fn due(request: &IntervalRequest<'_>) -> Option<Interval> {
    let unit = request.unit;
    let start = request.start.as_start().max(request.model_start);
    let end = match request.model_end {
        Some(model_end) if model_end.as_end() < request.end.as_end() => model_end,
        Some(_) | None => request.end,
    };
    let asked = Interval::new(start, end.as_end())?;
    if !end.is_date && !request.allow_partials && asked.length() < unit.length() {
        return None;
    }
    let asked = if request.allow_partials {
        asked.start_on(unit)
    } else {
        asked.expand(unit)
    };
    let due_until = if request.ignore_cron {
        request.execution_time
    } else {
        request.cron.floor(request.execution_time)
    };
    let limit = if request.allow_partials {
        due_until
    } else {
        unit.floor(due_until)
    };
    Interval::new(asked.start(), limit.min(asked.end()))
}

/// Cuts ranges on the unit's grid into portions of at most `batch_size` intervals, in the same order.
///
/// Source: spec/engine.md 5.7.
pub fn batches(
    ranges: &[Interval],
    unit: IntervalUnit,
    batch_size: Option<NonZeroU32>,
) -> Vec<Interval> {
    let Some(size) = batch_size else {
        return ranges.to_vec();
    };
    let mut batches = Vec::new();
    for range in ranges {
        let mut cursor = range.start();
        while let Some(batch) = Interval::new(
            cursor,
            unit.forward(unit.floor(cursor), size.get())
                .min(range.end()),
        ) {
            batches.push(batch);
            cursor = batch.end();
        }
    }
    batches
}

/// Where a model's history starts: its own start, else the earliest of its parents', else the firing
/// before the last one (yesterday for a daily model).
///
/// `parents` are the results of this function for the models that it reads; it may be empty. `now`
/// is the execution time; the reference takes the end that is asked for, where one is, for the last
/// rule.
///
/// Source: spec/engine.md 3.11.
pub fn model_start(
    own: Option<&DateExpr>,
    parents: impl IntoIterator<Item = DateTime<Utc>>,
    cron: &Cron,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    own.map(|start| start.resolve(now).as_start())
        .or_else(|| parents.into_iter().min())
        .unwrap_or_else(|| cron.prev(cron.floor(now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;

    /// Days of January 2024; day 32 is the first of February.
    fn day(day: u32) -> DateTime<Utc> {
        let first: DateTime<Utc> = "2024-01-01T00:00:00Z".parse().unwrap();
        first + TimeDelta::days(i64::from(day) - 1)
    }

    fn days(start: u32, end: u32) -> Interval {
        Interval::new(day(start), day(end)).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Everything of a daily model from January 1st to what is over on the 11th.
    fn daily<'a>(cron: &'a Cron, filled: &'a Intervals) -> IntervalRequest<'a> {
        IntervalRequest {
            unit: IntervalUnit::Day,
            cron,
            model_start: day(1),
            model_end: None,
            start: Moment::instant(day(1)),
            end: Moment::instant(at("2024-01-11T00:30:00Z")),
            execution_time: at("2024-01-11T00:30:00Z"),
            lookback_intervals: 0,
            ignore_cron: false,
            allow_partials: false,
            filled,
        }
    }

    fn cron(text: &str) -> Cron {
        Cron::parse(text).unwrap()
    }

    #[test]
    fn a_day_that_is_filled_in_part_is_missing_as_a_whole() {
        let morning = Interval::new(day(5), day(5) + TimeDelta::hours(6)).unwrap();
        let filled = Intervals::from_iter([days(1, 5), morning, days(6, 11)]);
        let cron = cron("@daily");
        assert_eq!(missing_intervals(&daily(&cron, &filled)), [days(5, 6)]);
    }

    #[test]
    fn nothing_is_due_before_the_cron_fires() {
        let filled = Intervals::default();
        let cron = cron("30 7 * * *");
        let mut request = daily(&cron, &filled);
        request.execution_time = at("2024-01-03T07:00:00Z");
        assert_eq!(missing_intervals(&request), [days(1, 2)]);
        request.execution_time = at("2024-01-03T08:00:00Z");
        assert_eq!(missing_intervals(&request), [days(1, 3)]);
        request.execution_time = at("2024-01-03T07:00:00Z");
        request.ignore_cron = true;
        assert_eq!(missing_intervals(&request), [days(1, 3)]);
    }

    #[test]
    fn a_zone_delays_the_day_but_does_not_move_it() {
        let filled = Intervals::default();
        let cron = cron("@daily").in_zone(chrono_tz::Tz::America__Los_Angeles);
        let mut request = daily(&cron, &filled);
        request.execution_time = at("2024-01-03T07:00:00Z");
        assert_eq!(missing_intervals(&request), [days(1, 2)]);
        request.execution_time = at("2024-01-03T09:00:00Z");
        assert_eq!(missing_intervals(&request), [days(1, 3)]);
    }

    #[test]
    fn lookback_repeats_every_day_before_a_gap_and_the_last_days() {
        let filled = Intervals::from_iter([days(1, 5), days(6, 11)]);
        let cron = cron("@daily");
        let mut request = daily(&cron, &filled);
        request.lookback_intervals = 2;
        assert_eq!(missing_intervals(&request), [days(3, 6), days(9, 11)]);
    }

    #[test]
    fn lookback_alone_fills_nothing() {
        let filled = Intervals::from_iter([days(1, 11)]);
        let cron = cron("@daily");
        let mut request = daily(&cron, &filled);
        request.lookback_intervals = 2;
        assert_eq!(missing_intervals(&request), []);
    }

    #[test]
    fn lookback_stops_at_the_start_and_at_the_end_of_the_model() {
        let filled = Intervals::from_iter([days(1, 5)]);
        let cron = cron("@daily");
        let mut request = daily(&cron, &filled);
        request.lookback_intervals = 30;
        request.model_end = Some(Moment::date(day(6).date_naive()));
        assert_eq!(missing_intervals(&request), [days(1, 7)]);
    }

    #[test]
    fn the_end_of_a_model_includes_its_last_day() {
        let filled = Intervals::default();
        let cron = cron("@daily");
        let mut request = daily(&cron, &filled);
        request.model_end = Some(Moment::date(day(6).date_naive()));
        assert_eq!(missing_intervals(&request), [days(1, 7)]);
        request.start = Moment::instant(day(7));
        assert_eq!(missing_intervals(&request), []);
    }

    #[test]
    fn a_day_is_asked_for_whole_even_if_the_request_ends_at_noon() {
        let filled = Intervals::default();
        let cron = cron("@daily");
        let mut request = daily(&cron, &filled);
        request.end = Moment::date(day(3).date_naive());
        assert_eq!(missing_intervals(&request), [days(1, 4)]);
        request.end = Moment::instant(at("2024-01-03T12:00:00Z"));
        assert_eq!(missing_intervals(&request), [days(1, 4)]);
        request.execution_time = at("2024-01-03T12:00:00Z");
        assert_eq!(missing_intervals(&request), [days(1, 3)]);
    }

    #[test]
    fn an_unfinished_day_is_filled_only_where_partial_intervals_are_allowed() {
        let filled = Intervals::from_iter([days(1, 3)]);
        let cron = cron("@hourly");
        let mut request = daily(&cron, &filled);
        request.end = Moment::date(day(3).date_naive());
        request.execution_time = at("2024-01-03T09:10:00Z");
        assert_eq!(missing_intervals(&request), []);
        request.allow_partials = true;
        let morning = Interval::new(day(3), at("2024-01-03T09:00:00Z")).unwrap();
        assert_eq!(missing_intervals(&request), [morning]);
    }

    #[test]
    fn an_end_before_the_start_asks_for_nothing() {
        let filled = Intervals::default();
        let cron = cron("@daily");
        let mut request = daily(&cron, &filled);
        request.start = Moment::instant(day(9));
        request.end = Moment::date(day(2).date_naive());
        assert_eq!(missing_intervals(&request), []);
    }

    #[test]
    fn batches_restart_at_every_gap() {
        let size = NonZeroU32::new(3);
        assert_eq!(
            batches(&[days(1, 5), days(7, 9)], IntervalUnit::Day, size),
            [days(1, 4), days(4, 5), days(7, 9)]
        );
        assert_eq!(
            batches(&[days(1, 5), days(7, 9)], IntervalUnit::Day, None),
            [days(1, 5), days(7, 9)]
        );
    }

    #[test]
    fn a_model_starts_with_itself_or_its_parents_or_yesterday() {
        let now = at("2024-01-11T00:30:00Z");
        let daily = cron("@daily");
        let own = DateExpr::parse("1 week ago").unwrap();
        let parents = [day(8), day(2)];
        assert_eq!(model_start(Some(&own), parents, &daily, now), day(4));
        assert_eq!(model_start(None, parents, &daily, now), day(2));
        assert_eq!(model_start(None, [], &daily, now), day(10));
    }

    fn any_filled() -> impl Strategy<Value = Intervals> {
        let range = (1u32..12, 1u32..5).prop_map(|(start, length)| days(start, start + length));
        proptest::collection::vec(range, 0..5).prop_map(Intervals::from_iter)
    }

    proptest! {
        #[test]
        fn a_second_run_finds_nothing(mut filled in any_filled(), lookback in 0u32..4) {
            let cron = cron("@daily");
            let mut request = daily(&cron, &filled);
            request.lookback_intervals = lookback;
            for range in missing_intervals(&request) {
                filled.insert(range);
            }
            let mut again = daily(&cron, &filled);
            again.lookback_intervals = lookback;
            prop_assert_eq!(missing_intervals(&again), []);
        }

        #[test]
        fn a_day_is_repeated_if_a_missing_one_follows_within_the_lookback(
            filled in any_filled(),
            lookback in 0u32..4,
        ) {
            let cron = cron("@daily");
            let mut request = daily(&cron, &filled);
            request.lookback_intervals = lookback;
            let ours: Intervals = missing_intervals(&request).into_iter().collect();
            let is_missing = |day: u32| day < 11 && !filled.contains(days(day, day + 1));
            let anything = (1..11).any(is_missing);
            for day in 1..11 {
                let expected = anything
                    && (day + lookback >= 11 || (day..=day + lookback).any(is_missing));
                prop_assert_eq!(ours.contains(days(day, day + 1)), expected, "day {}", day);
            }
        }

        #[test]
        fn batches_cover_the_ranges_exactly_once(filled in any_filled(), size in 1u32..6) {
            let cron = cron("@daily");
            let ranges = missing_intervals(&daily(&cron, &filled));
            let parts = batches(&ranges, IntervalUnit::Day, NonZeroU32::new(size));
            let total = |parts: &[Interval]| parts.iter().map(|part| part.length()).sum::<TimeDelta>();
            prop_assert_eq!(total(&parts), total(&ranges));
            prop_assert!(parts.windows(2).all(|pair| pair[0].end() <= pair[1].start()));
            prop_assert!(parts.iter().all(|part| part.units(IntervalUnit::Day).count() <= size as usize));
            let union: Intervals = parts.into_iter().collect();
            prop_assert_eq!(union.as_slice(), ranges.as_slice());
        }
    }
}

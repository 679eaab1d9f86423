//! The grid that a model's history is cut along.

use std::fmt;
use std::str::FromStr;

use chrono::DateTime;
use chrono::Datelike;
use chrono::Months;
use chrono::NaiveDate;
use chrono::NaiveTime;
use chrono::TimeDelta;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

/// Length of one interval of a model. Its boundaries form a fixed grid in UTC, whatever the cron says.
///
/// Sorted from short to long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntervalUnit {
    /// Minutes 0, 5, 10 and so on.
    FiveMinute,
    /// Minutes 0, 15, 30 and 45.
    QuarterHour,
    /// Minutes 0 and 30.
    HalfHour,
    /// Full hours.
    Hour,
    /// Midnights.
    Day,
    /// Midnights of the first of a month.
    Month,
    /// Midnights of the first of January.
    Year,
}

/// The text names no interval unit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not an interval unit")]
pub struct UnknownIntervalUnit {
    /// What was written.
    pub text: String,
}

impl UnknownIntervalUnit {
    /// What a user may write instead.
    pub fn help(&self) -> String {
        let names: Vec<String> = IntervalUnit::ALL
            .iter()
            .rev()
            .map(|unit| format!("`{unit}`"))
            .collect();
        format!("Use one of {}.", names.join(", "))
    }
}

impl IntervalUnit {
    /// Every unit, from short to long.
    pub const ALL: [Self; 7] = [
        Self::FiveMinute,
        Self::QuarterHour,
        Self::HalfHour,
        Self::Hour,
        Self::Day,
        Self::Month,
        Self::Year,
    ];

    /// As written in a `MODEL` block.
    pub fn name(self) -> &'static str {
        match self {
            Self::FiveMinute => "five_minute",
            Self::QuarterHour => "quarter_hour",
            Self::HalfHour => "half_hour",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The shortest that an interval of this unit can be: a month counts 28 days, a year 365.
    ///
    /// Source: spec/engine.md 5.2.
    pub fn length(self) -> TimeDelta {
        match self {
            Self::FiveMinute => TimeDelta::minutes(5),
            Self::QuarterHour => TimeDelta::minutes(15),
            Self::HalfHour => TimeDelta::minutes(30),
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::days(1),
            Self::Month => TimeDelta::days(28),
            Self::Year => TimeDelta::days(365),
        }
    }

    /// The longest unit that is not longer than `gap`; `None` under five minutes.
    pub fn longest_within(gap: TimeDelta) -> Option<Self> {
        Self::ALL
            .into_iter()
            .rev()
            .find(|unit| unit.length() <= gap)
    }

    /// The last boundary at or before `time`.
    pub fn floor(self, time: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::FiveMinute | Self::QuarterHour | Self::HalfHour | Self::Hour | Self::Day => {
                let length = self.length().num_milliseconds();
                let millis = time.timestamp_millis().div_euclid(length) * length;
                DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MIN_UTC)
            }
            Self::Month => midnight(time.date_naive().with_day(1)),
            Self::Year => midnight(NaiveDate::from_ymd_opt(time.year(), 1, 1)),
        }
    }

    /// The first boundary at or after `time`.
    pub fn ceil(self, time: DateTime<Utc>) -> DateTime<Utc> {
        if self.floor(time) == time {
            time
        } else {
            self.next(time)
        }
    }

    /// The first boundary after `time`.
    pub fn next(self, time: DateTime<Utc>) -> DateTime<Utc> {
        self.forward(self.floor(time), 1)
    }

    /// The last boundary before `time`.
    pub fn prev(self, time: DateTime<Utc>) -> DateTime<Utc> {
        let floor = self.floor(time);
        if floor < time {
            floor
        } else {
            self.back(floor, 1)
        }
    }

    /// `count` intervals after `time`, on the grid if `time` is; stops at the end of time.
    pub fn forward(self, time: DateTime<Utc>, count: u32) -> DateTime<Utc> {
        match self.months() {
            Some(months) => time.checked_add_months(Months::new(count.saturating_mul(months))),
            None => self
                .times(count)
                .and_then(|delta| time.checked_add_signed(delta)),
        }
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// `count` intervals before `time`, on the grid if `time` is; stops at the beginning of time.
    pub fn back(self, time: DateTime<Utc>, count: u32) -> DateTime<Utc> {
        match self.months() {
            Some(months) => time.checked_sub_months(Months::new(count.saturating_mul(months))),
            None => self
                .times(count)
                .and_then(|delta| time.checked_sub_signed(delta)),
        }
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// How many cells of the grid the time from `start` to `end` touches, with those that it only begins or ends in.
    pub fn cells(self, start: DateTime<Utc>, end: DateTime<Utc>) -> u64 {
        if end <= start {
            return 0;
        }
        let last = end - TimeDelta::milliseconds(1);
        let number = |time: DateTime<Utc>| match self.months() {
            Some(months) => {
                let month = i64::from(time.year()) * 12 + i64::from(time.month0());
                month.div_euclid(i64::from(months))
            }
            None => time
                .timestamp_millis()
                .div_euclid(self.length().num_milliseconds()),
        };
        (number(last) - number(start)).unsigned_abs() + 1
    }

    fn times(self, count: u32) -> Option<TimeDelta> {
        let millis = self
            .length()
            .num_milliseconds()
            .checked_mul(i64::from(count))?;
        TimeDelta::try_milliseconds(millis)
    }

    fn months(self) -> Option<u32> {
        match self {
            Self::FiveMinute | Self::QuarterHour | Self::HalfHour | Self::Hour | Self::Day => None,
            Self::Month => Some(1),
            Self::Year => Some(12),
        }
    }
}

impl fmt::Display for IntervalUnit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for IntervalUnit {
    type Err = UnknownIntervalUnit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = text.trim();
        Self::ALL
            .into_iter()
            .find(|unit| unit.name().eq_ignore_ascii_case(wanted))
            .ok_or_else(|| UnknownIntervalUnit {
                text: text.to_owned(),
            })
    }
}

fn midnight(date: Option<NaiveDate>) -> DateTime<Utc> {
    date.map_or(DateTime::<Utc>::MIN_UTC, |date| {
        date.and_time(NaiveTime::MIN).and_utc()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn every_unit_reads_the_name_that_it_writes() {
        for unit in IntervalUnit::ALL {
            assert_eq!(unit.to_string().parse(), Ok(unit));
            assert_eq!(serde_json::to_string(&unit).unwrap(), format!("\"{unit}\""));
        }
        assert_eq!("HOUR".parse(), Ok(IntervalUnit::Hour));
    }

    #[test]
    fn an_unknown_unit_is_told_the_known_ones() {
        let error = "week".parse::<IntervalUnit>().unwrap_err();
        assert_eq!(error.to_string(), "`week` is not an interval unit");
        assert!(error.help().contains("`day`"));
    }

    #[test]
    fn a_time_lies_between_the_boundaries_around_it() {
        let time = at("2024-02-29T13:47:10.5Z");
        let around = |unit: IntervalUnit| (unit.floor(time), unit.next(time));
        let cases = [
            (
                IntervalUnit::FiveMinute,
                "2024-02-29T13:45:00Z",
                "2024-02-29T13:50:00Z",
            ),
            (
                IntervalUnit::QuarterHour,
                "2024-02-29T13:45:00Z",
                "2024-02-29T14:00:00Z",
            ),
            (
                IntervalUnit::HalfHour,
                "2024-02-29T13:30:00Z",
                "2024-02-29T14:00:00Z",
            ),
            (
                IntervalUnit::Hour,
                "2024-02-29T13:00:00Z",
                "2024-02-29T14:00:00Z",
            ),
            (
                IntervalUnit::Day,
                "2024-02-29T00:00:00Z",
                "2024-03-01T00:00:00Z",
            ),
            (
                IntervalUnit::Month,
                "2024-02-01T00:00:00Z",
                "2024-03-01T00:00:00Z",
            ),
            (
                IntervalUnit::Year,
                "2024-01-01T00:00:00Z",
                "2025-01-01T00:00:00Z",
            ),
        ];
        for (unit, floor, next) in cases {
            assert_eq!(around(unit), (at(floor), at(next)), "{unit}");
        }
    }

    #[test]
    fn a_boundary_is_its_own_floor_and_ceiling() {
        let midnight = at("2024-01-01T00:00:00Z");
        for unit in IntervalUnit::ALL {
            assert_eq!(unit.floor(midnight), midnight, "{unit}");
            assert_eq!(unit.ceil(midnight), midnight, "{unit}");
            assert!(unit.prev(midnight) < midnight, "{unit}");
        }
    }

    #[test]
    fn the_end_of_time_is_no_reason_to_panic() {
        for unit in IntervalUnit::ALL {
            for time in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
                unit.floor(time);
                unit.ceil(time);
                unit.back(time, u32::MAX);
                unit.forward(time, u32::MAX);
            }
        }
    }

    proptest! {
        #[test]
        fn cells_are_as_many_as_one_meets_on_the_way(
            start in -2_000_000_000i64..4_000_000_000,
            length in 0i64..100_000_000,
            index in 0..IntervalUnit::ALL.len(),
        ) {
            let unit = IntervalUnit::ALL[index];
            // At most some hundred thousand steps.
            let length = length.min(unit.length().num_seconds() * 300);
            let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
            let (mut met, mut cursor) = (0, at(start));
            while cursor < at(start + length) {
                cursor = unit.next(cursor);
                met += 1;
            }
            prop_assert_eq!(unit.cells(at(start), at(start + length)), met);
        }
    }

    proptest! {
        #[test]
        fn floor_ceil_next_and_prev_agree(
            seconds in -2_000_000_000i64..4_000_000_000,
            index in 0..IntervalUnit::ALL.len(),
        ) {
            let unit = IntervalUnit::ALL[index];
            let time = DateTime::from_timestamp(seconds, 0).unwrap();
            prop_assert!(unit.floor(time) <= time && time <= unit.ceil(time));
            prop_assert!(unit.prev(time) < time && time < unit.next(time));
            prop_assert_eq!(unit.prev(unit.next(time)), unit.floor(time));
            prop_assert!(unit.next(time) - unit.floor(time) >= unit.length());
        }
    }
}

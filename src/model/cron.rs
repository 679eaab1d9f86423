//! When a model is due.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::DateTime;
use chrono::SubsecRound;
use chrono::TimeDelta;
use chrono::TimeZone;
use chrono::Utc;
use chrono_tz::Tz;
use croner::parser::CronParser;
use croner::parser::Seconds;
use croner::parser::Year;
use thiserror::Error;

use crate::model::IntervalUnit;
use crate::model::Model;
use crate::model::cron_fields;

/// A schedule: five cron fields or a nickname such as `@daily`, with at least one firing.
///
/// If both the day of the month and the day of the week are restricted, either is enough.
#[derive(Clone, Debug)]
pub struct Cron {
    text: String,
    pattern: Arc<croner::Cron>,
    zone: Tz,
    /// Whether it fires at midnight of every day in UTC, as most do: that is found without looking for it.
    is_every_midnight: bool,
}

/// Why a text is not a usable schedule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CronError {
    /// Neither five fields nor a nickname.
    #[error("`{text}` is not a cron expression: it has {fields} fields, not 5")]
    Fields {
        /// What was written.
        text: String,
        /// How many fields it has.
        fields: usize,
    },
    /// An `@` word that nobody knows.
    #[error("`{text}` is not a known cron nickname")]
    Nickname {
        /// What was written.
        text: String,
    },
    /// One field is wrong.
    #[error("`{text}` is not a cron expression: `{part}` is not valid as its {field}")]
    Field {
        /// What was written.
        text: String,
        /// The wrong part.
        part: String,
        /// What that part should be.
        field: &'static str,
    },
    /// A date that no year has.
    #[error("cron `{text}` never fires")]
    NeverFires {
        /// What was written.
        text: String,
    },
    /// No interval unit is short enough.
    #[error("cron `{text}` fires more often than every 5 minutes")]
    TooFast {
        /// What was written.
        text: String,
    },
}

impl CronError {
    /// What a user can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Fields { .. } | Self::Field { .. } => {
                "Write five fields (minute, hour, day of month, month, day of week), for example `30 7 * * 1-5`."
            }
            Self::Nickname { .. } => {
                "Use `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly` or `@annually`."
            }
            Self::NeverFires { .. } => "Choose a day that the month has.",
            Self::TooFast { .. } => {
                "Choose a schedule with at least 5 minutes between two firings."
            }
        }
    }
}

const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

const FIELDS: [&str; 5] = ["minute", "hour", "day of month", "month", "day of week"];

/// How many firings are looked at to find the smallest gap: every minute of an hour and a few more.
const SAMPLE_FIRINGS: usize = 64;

impl Cron {
    /// A schedule in UTC.
    ///
    /// # Errors
    /// Every [`CronError`] but [`CronError::TooFast`].
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let text = text.trim();
        let fields = expand(text)?;
        let cron = Self {
            text: text.to_owned(),
            pattern: Arc::new(parse_fields(text, &fields)?),
            zone: Tz::UTC,
            is_every_midnight: fields == ["0", "0", "*", "*", "*"],
        };
        if cron.fires_every_day() || cron.firing_from(sample_start()).is_some() {
            Ok(cron)
        } else {
            Err(CronError::NeverFires {
                text: text.to_owned(),
            })
        }
    }

    /// The same schedule on the clocks of another time zone: it moves when a model is due, never the
    /// intervals, which stay in UTC.
    #[must_use]
    pub fn in_zone(self, zone: Tz) -> Self {
        Self {
            zone,
            is_every_midnight: self.is_every_midnight && zone == Tz::UTC,
            ..self
        }
    }

    /// When `model` is due.
    ///
    /// # Errors
    /// As [`Cron::parse`] has them.
    pub fn of(model: &Model) -> Result<Self, CronError> {
        let cron = Self::parse(&model.cron)?;
        // Loading has reported a zone that is not known.
        let zone = model.cron_tz.as_deref().and_then(|zone| zone.parse().ok());
        Ok(match zone {
            Some(zone) => cron.in_zone(zone),
            None => cron,
        })
    }

    /// The last firing at or before `time`.
    pub fn floor(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        if self.is_every_midnight {
            return IntervalUnit::Day.floor(time);
        }
        self.previous(time.trunc_subsecs(0), true)
    }

    /// The last firing before `time`.
    pub fn prev(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        let second = time.trunc_subsecs(0);
        self.previous(second, second < time)
    }

    /// The first firing after `time`.
    pub fn next(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        let local = self
            .zone
            .from_utc_datetime(&time.trunc_subsecs(0).naive_utc());
        self.pattern
            .find_next_occurrence(&local, false)
            .map_or(DateTime::<Utc>::MAX_UTC, |found| found.with_timezone(&Utc))
    }

    /// The longest unit that is not longer than the smallest gap between two firings.
    ///
    /// The firings are those from 2024 on, in UTC: unlike in the reference the answer does not depend
    /// on the clock, because the unit is part of what identifies a version.
    ///
    /// # Errors
    /// [`CronError::TooFast`] if two firings are less than five minutes apart.
    ///
    /// Source: spec/engine.md 5.2.
    pub fn interval_unit(&self) -> Result<IntervalUnit, CronError> {
        let smallest = if self.fires_every_day() {
            self.smallest_gap_of_a_day()
        } else {
            self.smallest_sampled_gap()
        };
        IntervalUnit::longest_within(smallest).ok_or_else(|| CronError::TooFast {
            text: self.text.clone(),
        })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn fires_every_day(&self) -> bool {
        let pattern = &self.pattern.pattern;
        pattern.is_dom_wildcard()
            && pattern.is_dow_wildcard()
            && pattern.months.values().len() == 12
    }

    /// Exact, and much cheaper than sampling; most models are daily or hourly.
    fn smallest_gap_of_a_day(&self) -> TimeDelta {
        let pattern = &self.pattern.pattern;
        let (hours, minutes) = (pattern.hours.values(), pattern.minutes.values());
        let mut firings = hours.iter().flat_map(|hour| {
            minutes
                .iter()
                .map(move |minute| i64::from(hour * 60 + minute))
        });
        let first = firings.next().unwrap_or_default();
        let mut last = first;
        let mut smallest = 24 * 60;
        for firing in firings.chain([first + 24 * 60]) {
            smallest = smallest.min(firing - last);
            last = firing;
        }
        TimeDelta::minutes(smallest)
    }

    fn smallest_sampled_gap(&self) -> TimeDelta {
        let mut smallest = TimeDelta::MAX;
        let mut last = self.firing_from(sample_start());
        for _ in 1..SAMPLE_FIRINGS {
            let Some(firing) = last else { break };
            last = self.pattern.find_next_occurrence(&firing, false).ok();
            if let Some(next) = last {
                smallest = smallest.min(next - firing);
            }
        }
        smallest
    }

    fn firing_from(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.pattern.find_next_occurrence(&time, true).ok()
    }

    fn previous(&self, time: DateTime<Utc>, inclusive: bool) -> DateTime<Utc> {
        let local = self.zone.from_utc_datetime(&time.naive_utc());
        self.pattern
            .find_previous_occurrence(&local, inclusive)
            .map_or(DateTime::<Utc>::MIN_UTC, |found| found.with_timezone(&Utc))
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.zone == other.zone
    }
}

impl Eq for Cron {}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

fn sample_start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_704_067_200, 0).expect("2024-01-01 is a date")
}

/// The five fields of an expression or nickname.
fn expand(text: &str) -> Result<Vec<&str>, CronError> {
    let expression = if text.starts_with('@') {
        NICKNAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, expression)| *expression)
            .ok_or_else(|| CronError::Nickname {
                text: text.to_owned(),
            })?
    } else {
        text
    };
    let fields: Vec<&str> = expression.split_whitespace().collect();
    if fields.len() == FIELDS.len() {
        Ok(fields)
    } else {
        Err(CronError::Fields {
            text: text.to_owned(),
            fields: fields.len(),
        })
    }
}

fn parse_fields(text: &str, fields: &[&str]) -> Result<croner::Cron, CronError> {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let parse = |fields: &[&str]| {
        let plain = fields.iter().enumerate();
        let plain: Vec<String> = plain
            .map(|(index, field)| cron_fields::plain(field, index))
            .collect();
        parser.parse(&plain.join(" "))
    };
    // `+` is croner's own extension, which no other cron knows.
    let is_foreign = |part: &str| part.contains('+');
    if let Ok(pattern) = parse(fields)
        && !fields.iter().any(|part| is_foreign(part))
    {
        return Ok(pattern);
    }
    let mut parts = fields.iter().zip(FIELDS).enumerate();
    let wrong = parts.find(|(index, (part, _))| {
        let mut alone = ["*"; FIELDS.len()];
        alone[*index] = part;
        is_foreign(part) || parse(&alone).is_err()
    });
    Err(match wrong {
        Some((_, (part, field))) => CronError::Field {
            text: text.to_owned(),
            part: (*part).to_owned(),
            field,
        },
        None => CronError::Fields {
            text: text.to_owned(),
            fields: fields.len(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn cron(text: &str) -> Cron {
        Cron::parse(text).unwrap()
    }

    fn unit(text: &str) -> IntervalUnit {
        cron(text).interval_unit().unwrap()
    }

    #[test]
    fn every_nickname_means_its_five_fields() {
        let time = at("2024-05-15T13:20:00Z");
        for (name, expression) in NICKNAMES {
            assert_eq!(cron(name).next(time), cron(expression).next(time), "{name}");
            assert_eq!(cron(name).to_string(), name);
        }
    }

    #[test]
    fn a_firing_is_its_own_floor_but_not_its_own_neighbour() {
        let daily = cron("30 7 * * *");
        let firing = at("2024-01-03T07:30:00Z");
        assert_eq!(daily.floor(firing), firing);
        assert_eq!(daily.prev(firing), at("2024-01-02T07:30:00Z"));
        assert_eq!(daily.next(firing), at("2024-01-04T07:30:00Z"));
    }

    #[test]
    fn the_second_of_a_firing_is_after_it() {
        let daily = cron("30 7 * * *");
        let firing = at("2024-01-03T07:30:00Z");
        let later = at("2024-01-03T07:30:00.5Z");
        assert_eq!(daily.floor(later), firing);
        assert_eq!(daily.prev(later), firing);
        assert_eq!(daily.next(at("2024-01-03T07:29:59.9Z")), firing);
    }

    #[test]
    fn either_day_field_is_enough_when_both_are_restricted() {
        let both = cron("0 0 13 * 5");
        assert_eq!(
            both.next(at("2024-01-01T00:00:00Z")),
            at("2024-01-05T00:00:00Z")
        );
        assert_eq!(
            both.next(at("2024-01-12T00:00:00Z")),
            at("2024-01-13T00:00:00Z")
        );
    }

    /// As croniter 7 answers, from 2024-01-01 on.
    #[test]
    fn ranges_wrap_round_steps_begin_anywhere_and_a_month_has_a_last_friday() {
        for (text, firings) in [
            (
                "0 22-2 * * *",
                [
                    "01-01T01:00",
                    "01-01T02:00",
                    "01-01T22:00",
                    "01-01T23:00",
                    "01-02T00:00",
                ],
            ),
            (
                "5/15 * * * *",
                [
                    "01-01T00:05",
                    "01-01T00:20",
                    "01-01T00:35",
                    "01-01T00:50",
                    "01-01T01:05",
                ],
            ),
            (
                "50-10/5 * * * *",
                [
                    "01-01T00:05",
                    "01-01T00:10",
                    "01-01T00:50",
                    "01-01T00:55",
                    "01-01T01:00",
                ],
            ),
            (
                "0 0 * * L5",
                [
                    "01-26T00:00",
                    "02-23T00:00",
                    "03-29T00:00",
                    "04-26T00:00",
                    "05-31T00:00",
                ],
            ),
            (
                "0 0 * * fri-mon",
                [
                    "01-05T00:00",
                    "01-06T00:00",
                    "01-07T00:00",
                    "01-08T00:00",
                    "01-12T00:00",
                ],
            ),
            (
                "0 0 1 nov-feb *",
                [
                    "02-01T00:00",
                    "11-01T00:00",
                    "12-01T00:00",
                    "01-01T00:00",
                    "02-01T00:00",
                ],
            ),
            (
                "0 0 28-2 * *",
                [
                    "01-02T00:00",
                    "01-28T00:00",
                    "01-29T00:00",
                    "01-30T00:00",
                    "01-31T00:00",
                ],
            ),
            (
                "0 0 * * 7-2",
                [
                    "01-02T00:00",
                    "01-07T00:00",
                    "01-08T00:00",
                    "01-09T00:00",
                    "01-14T00:00",
                ],
            ),
        ] {
            let cron = cron(text);
            let mut last = at("2024-01-01T00:00:00Z");
            for firing in firings {
                last = cron.next(last);
                assert_eq!(last.format("%m-%dT%H:%M").to_string(), firing, "{text}");
            }
        }
        assert_eq!(unit("0 22-2 * * *"), IntervalUnit::Hour);
        assert_eq!(
            unit("0 0 * * L5"),
            IntervalUnit::Month,
            "four weeks at least"
        );
    }

    #[test]
    fn a_zone_moves_when_a_model_is_due() {
        let berlin = cron("0 2 * * *").in_zone(Tz::Europe__Berlin);
        assert_eq!(
            berlin.next(at("2024-01-10T12:00:00Z")),
            at("2024-01-11T01:00:00Z")
        );
        assert_eq!(
            berlin.next(at("2024-07-10T12:00:00Z")),
            at("2024-07-11T00:00:00Z")
        );
    }

    #[test]
    fn the_unit_fits_into_the_smallest_gap() {
        let cases = [
            ("@daily", IntervalUnit::Day),
            ("@weekly", IntervalUnit::Day),
            ("@monthly", IntervalUnit::Month),
            ("@yearly", IntervalUnit::Year),
            ("0 0 29 2 *", IntervalUnit::Year),
            ("0 */6 * * *", IntervalUnit::Hour),
            ("0 0 * * 1-5", IntervalUnit::Day),
            ("0 0 1,15 * *", IntervalUnit::Day),
            ("*/43 * * * *", IntervalUnit::QuarterHour),
            ("*/10 * * * *", IntervalUnit::FiveMinute),
            ("0 0,4,8,12,16,20,21 * * *", IntervalUnit::Hour),
            ("30 0,23 * * *", IntervalUnit::Hour),
            ("0 0,12 29,30 * *", IntervalUnit::Hour),
            ("0 0 * jan *", IntervalUnit::Day),
        ];
        for (text, expected) in cases {
            assert_eq!(unit(text), expected, "{text}");
        }
    }

    #[test]
    fn more_often_than_every_five_minutes_is_too_fast() {
        for text in [
            "* * * * *",
            "*/3 * * * *",
            "*/29 * * * *",
            "0,58 * * * *",
            "59,0 0,23 * * *",
        ] {
            let error = cron(text).interval_unit().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("cron `{text}` fires more often than every 5 minutes")
            );
        }
    }

    #[test]
    fn a_wrong_cron_is_told_which_part_is_wrong() {
        let cases = [
            ("", "`` is not a cron expression: it has 0 fields, not 5"),
            (
                "0 0 * *",
                "`0 0 * *` is not a cron expression: it has 4 fields, not 5",
            ),
            (
                "0 0 0 * * *",
                "`0 0 0 * * *` is not a cron expression: it has 6 fields, not 5",
            ),
            (
                "0 25 * * *",
                "`0 25 * * *` is not a cron expression: `25` is not valid as its hour",
            ),
            (
                "0 0 * * +1",
                "`0 0 * * +1` is not a cron expression: `+1` is not valid as its day of week",
            ),
            (
                "0 0 * ü *",
                "`0 0 * ü *` is not a cron expression: `ü` is not valid as its month",
            ),
            (
                "@fortnightly",
                "`@fortnightly` is not a known cron nickname",
            ),
            ("0 0 30 2 *", "cron `0 0 30 2 *` never fires"),
        ];
        for (text, message) in cases {
            let error = Cron::parse(text).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(error.help().ends_with('.'));
        }
    }

    proptest! {
        #[test]
        fn floor_prev_and_next_agree(
            seconds in 0i64..4_000_000_000,
            index in 0..NICKNAMES.len(),
        ) {
            let cron = cron(NICKNAMES[index].0);
            let time = DateTime::from_timestamp(seconds, 0).unwrap();
            let next = cron.next(time);
            prop_assert!(cron.floor(time) <= time && cron.prev(time) < time && time < next);
            prop_assert_eq!(cron.prev(next), cron.floor(time));
            prop_assert_eq!(cron.floor(next), next);
        }

        #[test]
        fn the_gap_of_a_day_is_the_sampled_one(
            minutes in proptest::collection::btree_set(0u32..60, 1..4),
            hours in proptest::collection::btree_set(0u32..24, 1..4),
        ) {
            let list = |values: std::collections::BTreeSet<u32>| {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                values.join(",")
            };
            let cron = cron(&format!("{} {} * * *", list(minutes), list(hours)));
            prop_assert!(cron.fires_every_day());
            prop_assert_eq!(cron.smallest_gap_of_a_day(), cron.smallest_sampled_gap());
        }

        #[test]
        fn no_text_panics(text in "[0-9*/,LW#@a-z? +-]{0,20}") {
            if let Ok(cron) = Cron::parse(&text) {
                let _ = cron.interval_unit();
                cron.floor(DateTime::<Utc>::MIN_UTC);
                cron.next(DateTime::<Utc>::MAX_UTC);
            }
        }
    }
}

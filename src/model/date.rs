//! Points in time as people write them.

use std::fmt;
use std::str::FromStr;

use chrono::DateTime;
use chrono::Datelike;
use chrono::NaiveDate;
use chrono::NaiveDateTime;
use chrono::NaiveTime;
use chrono::SubsecRound;
use chrono::TimeDelta;
use chrono::Utc;
use thiserror::Error;

use crate::model::Offset;
use crate::model::offset::TooFar;

/// A point in time as an argument: a date or an instant.
///
/// `is_date` only matters for an end: a date includes its whole day, an instant is excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Moment {
    /// The instant; midnight for a date.
    pub at: DateTime<Utc>,
    /// Whether it was written as a calendar date. `today` and its like are instants.
    pub is_date: bool,
}

impl Moment {
    /// An instant, excluded when it is an end.
    pub fn instant(at: DateTime<Utc>) -> Self {
        Self { at, is_date: false }
    }

    /// A whole day, included when it is an end.
    pub fn date(date: NaiveDate) -> Self {
        Self {
            at: date.and_time(NaiveTime::MIN).and_utc(),
            is_date: true,
        }
    }

    /// The first instant of what starts here.
    pub fn as_start(self) -> DateTime<Utc> {
        self.at
    }

    /// The first instant after what ends here.
    pub fn as_end(self) -> DateTime<Utc> {
        if self.is_date {
            self.at
                .checked_add_signed(TimeDelta::days(1))
                .unwrap_or(DateTime::<Utc>::MAX_UTC)
        } else {
            self.at
        }
    }
}

/// A date, an instant or a phrase such as `1 week ago`, as parsed.
///
/// Source: spec/engine.md 5.1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DateExpr {
    /// `2024-01-31` or `20240131`.
    Date(NaiveDate),
    /// An ISO date and time (UTC if it names no offset) or epoch milliseconds; to the millisecond.
    Instant(DateTime<Utc>),
    /// Depends on the time at which it is asked.
    Relative(Offset),
}

/// Why a text is not a usable point in time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DateError {
    /// Nothing that we can read.
    #[error("`{text}` is not a date")]
    Unreadable {
        /// What was written.
        text: String,
    },
    /// Before the year 1 or after the year 9999, or further than that from now.
    #[error("`{text}` is out of range")]
    OutOfRange {
        /// What was written.
        text: String,
    },
    /// A time to live that is over at once.
    #[error("`{text}` does not lie in the future")]
    NotInTheFuture {
        /// What was written.
        text: String,
    },
}

impl DateError {
    /// What a user may write instead.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "Write `2024-01-31`, `2024-01-31 12:30:00`, epoch milliseconds, or a phrase such as `yesterday` or `1 week ago`."
            }
            Self::OutOfRange { .. } => "Use a year from 1 to 9999.",
            Self::NotInTheFuture { .. } => "Write a phrase such as `in 1 week`.",
        }
    }
}

impl DateExpr {
    /// Reads every form of a date that the reference documents.
    ///
    /// # Errors
    /// [`DateError::Unreadable`] and [`DateError::OutOfRange`].
    pub fn parse(text: &str) -> Result<Self, DateError> {
        let trimmed = text.trim();
        let unreadable = || DateError::Unreadable {
            text: trimmed.to_owned(),
        };
        let out_of_range = || DateError::OutOfRange {
            text: trimmed.to_owned(),
        };
        if let Some(date) = calendar_date(trimmed) {
            return known_year(date.year())
                .then_some(Self::Date(date))
                .ok_or_else(out_of_range);
        }
        if let Some(instant) = epoch_millis(trimmed) {
            return instant
                .filter(|at| known_year(at.year()))
                .map(Self::Instant)
                .ok_or_else(out_of_range);
        }
        if let Some(instant) = iso_instant(trimmed) {
            return known_year(instant.year())
                .then_some(Self::Instant(instant))
                .ok_or_else(out_of_range);
        }
        match Offset::parse(trimmed) {
            Some(Ok(offset)) => Ok(Self::Relative(offset)),
            Some(Err(TooFar)) => Err(out_of_range()),
            None => Err(unreadable()),
        }
    }

    /// The moment that it means when it is asked at `now`.
    pub fn resolve(&self, now: DateTime<Utc>) -> Moment {
        match self {
            Self::Date(date) => Moment::date(*date),
            Self::Instant(at) => Moment::instant(*at),
            Self::Relative(offset) => Moment::instant(offset.from(now)),
        }
    }

    /// Whether it means something else tomorrow.
    pub fn is_relative(&self) -> bool {
        match self {
            Self::Date(_) | Self::Instant(_) => false,
            Self::Relative(_) => true,
        }
    }
}

impl FromStr for DateExpr {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// How long something is kept: a phrase such as `in 1 week`, always in the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ttl(Offset);

impl Ttl {
    /// Reads a relative phrase; `1 week` means a week ago and is refused.
    ///
    /// # Errors
    /// [`DateError::NotInTheFuture`] for the past, for zero and for a fixed date.
    pub fn parse(text: &str) -> Result<Self, DateError> {
        match DateExpr::parse(text)? {
            DateExpr::Relative(offset) if offset.is_future() => Ok(Self(offset)),
            DateExpr::Relative(_) | DateExpr::Date(_) | DateExpr::Instant(_) => {
                Err(DateError::NotInTheFuture {
                    text: text.trim().to_owned(),
                })
            }
        }
    }

    /// When it is over if it starts at `now`: days are whole days from then, not calendar days.
    pub fn expires_at(self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.0.after(now)
    }
}

impl FromStr for Ttl {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for DateExpr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(date) => write!(formatter, "{date}"),
            Self::Instant(at) => {
                let format = chrono::SecondsFormat::AutoSi;
                formatter.write_str(&at.to_rfc3339_opts(format, true))
            }
            Self::Relative(offset) => offset.fmt(formatter),
        }
    }
}

fn known_year(year: i32) -> bool {
    (1..=9999).contains(&year)
}

/// `YYYY-MM-DD` (leading zeros may miss) or eight digits.
fn calendar_date(text: &str) -> Option<NaiveDate> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    let (year, month, day) = match parts.as_slice() {
        [whole] if whole.len() == 8 && digits(whole) => (&whole[..4], &whole[4..6], &whole[6..]),
        [year, month, day]
            if year.len() == 4 && [year, month, day].into_iter().all(|part| digits(part)) =>
        {
            (*year, *month, *day)
        }
        _ => return None,
    };
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

/// `None` if it is no number, `Some(None)` if no calendar has it. A fraction is cut off.
fn epoch_millis(text: &str) -> Option<Option<DateTime<Utc>>> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole.strip_prefix('-').unwrap_or(whole)) || !digits(fraction) {
        return None;
    }
    let millis = whole.parse::<i64>().ok();
    Some(millis.and_then(DateTime::from_timestamp_millis))
}

/// An ISO date and time, with `T` or a space between, seconds and offset optional.
fn iso_instant(text: &str) -> Option<DateTime<Utc>> {
    const WITH_OFFSET: [&str; 4] = [
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        "%Y-%m-%dT%H:%M%#z",
        "%Y-%m-%dT%H:%M:%S%.f %#z",
        "%Y-%m-%dT%H:%M %#z",
    ];
    const WITHOUT: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let date = text
        .get(..10)
        .filter(|date| calendar_date(date).is_some())?;
    let time = text[10..].strip_prefix(['T', 't', ' '])?.trim_start();
    let time = time.strip_suffix(" UTC").unwrap_or(time);
    let iso = format!("{date}T{time}");
    let with_offset = WITH_OFFSET
        .iter()
        .find_map(|format| DateTime::parse_from_str(&iso, format).ok())
        .map(|instant| instant.with_timezone(&Utc));
    let instant = with_offset.or_else(|| {
        WITHOUT
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(&iso, format).ok())
            .map(|naive| naive.and_utc())
    })?;
    Some(instant.trunc_subsecs(3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// What `text` means on a Sunday morning in May.
    fn resolved(text: &str) -> String {
        let now = at("2024-05-05T10:30:15Z");
        let moment = DateExpr::parse(text).unwrap().resolve(now);
        moment
            .at
            .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    }

    #[test]
    fn a_date_has_no_time() {
        for text in ["2024-02-29", "20240229", "2024-2-29", " 2024-02-29 "] {
            let moment = DateExpr::parse(text).unwrap().resolve(DateTime::UNIX_EPOCH);
            assert_eq!(
                moment,
                Moment {
                    at: at("2024-02-29T00:00:00Z"),
                    is_date: true
                }
            );
        }
    }

    #[test]
    fn a_date_as_an_end_includes_its_day_and_an_instant_does_not() {
        let end = |text: &str| {
            DateExpr::parse(text)
                .unwrap()
                .resolve(at("2024-01-05T09:00:00Z"))
                .as_end()
        };
        assert_eq!(end("2024-01-03"), at("2024-01-04T00:00:00Z"));
        assert_eq!(end("2024-01-03 00:00:00"), at("2024-01-03T00:00:00Z"));
        assert_eq!(end("today"), at("2024-01-05T00:00:00Z"));
    }

    #[test]
    fn an_instant_is_in_utc_unless_it_says_otherwise() {
        let cases = [
            ("2024-01-01 12:30:00", "2024-01-01T12:30:00Z"),
            ("2024-01-01T12:30", "2024-01-01T12:30:00Z"),
            ("2024-01-01T12:30:00Z", "2024-01-01T12:30:00Z"),
            ("2024-01-01 12:30:00 UTC", "2024-01-01T12:30:00Z"),
            ("2024-01-01T12:30:00+02:00", "2024-01-01T10:30:00Z"),
            ("2024-01-01 12:30:00 -0530", "2024-01-01T18:00:00Z"),
            ("2024-01-01T00:00:00.123456+00", "2024-01-01T00:00:00.123Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(resolved(text), expected, "{text}");
        }
    }

    #[test]
    fn a_number_is_epoch_milliseconds_unless_it_is_a_date() {
        assert_eq!(resolved("1704067200000"), "2024-01-01T00:00:00Z");
        assert_eq!(resolved("1704067200000.7"), "2024-01-01T00:00:00Z");
        assert_eq!(resolved("1"), "1970-01-01T00:00:00.001Z");
        assert_eq!(resolved("-1"), "1969-12-31T23:59:59.999Z");
        assert_eq!(resolved("20240199"), "1970-01-01T05:37:20.199Z");
    }

    #[test]
    fn days_count_from_midnight_and_hours_from_now() {
        let cases = [
            ("now", "2024-05-05T10:30:15Z"),
            ("today", "2024-05-05T00:00:00Z"),
            ("Yesterday", "2024-05-04T00:00:00Z"),
            ("tomorrow", "2024-05-06T00:00:00Z"),
            ("1 day ago", "2024-05-04T00:00:00Z"),
            ("1 week", "2024-04-28T00:00:00Z"),
            ("2 weeks ago", "2024-04-21T00:00:00Z"),
            ("1 month", "2024-04-05T00:00:00Z"),
            ("1 year", "2023-05-05T00:00:00Z"),
            ("a year ago", "2023-05-05T00:00:00Z"),
            ("last week", "2024-04-28T00:00:00Z"),
            ("last month", "2024-04-05T00:00:00Z"),
            ("last year", "2023-05-05T00:00:00Z"),
            ("next week", "2024-05-12T00:00:00Z"),
            ("in 1 week", "2024-05-12T00:00:00Z"),
            ("3 days from now", "2024-05-08T00:00:00Z"),
            ("1 hour ago", "2024-05-05T09:30:15Z"),
            ("3hours ago", "2024-05-05T07:30:15Z"),
            ("in 30 minutes", "2024-05-05T11:00:15Z"),
            ("15 seconds ago", "2024-05-05T10:30:00Z"),
            ("1 day and 2 hours ago", "2024-05-04T08:30:15Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(resolved(text), expected, "{text}");
        }
    }

    #[test]
    fn a_month_before_a_long_one_ends_on_its_last_day() {
        let expr = DateExpr::parse("1 month ago").unwrap();
        let moment = expr.resolve(at("2024-03-31T12:00:00Z"));
        assert_eq!(moment.at, at("2024-02-29T00:00:00Z"));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "soon",
            "2024-13-01",
            "2024-02-30",
            "week ago",
            "in",
            "1 fortnight ago",
            "2024-01-01T25:00:00",
            "2024-01-01 12",
            "1 2 days",
            "1 day ago ago",
            "1704067200000.x",
        ] {
            let error = DateExpr::parse(text).unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is not a date"));
        }
    }

    #[test]
    fn what_no_calendar_holds_is_out_of_range() {
        for text in [
            "99999999999999999999",
            "999999999999999",
            "0000-01-01",
            "99999999 years ago",
            "9999999999999 days ago",
        ] {
            let error = DateExpr::parse(text).unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is out of range"));
        }
    }

    #[test]
    fn a_time_to_live_lies_in_the_future() {
        let now = at("2024-05-05T10:30:00Z");
        let ttl = Ttl::parse("in 1 week").unwrap();
        assert_eq!(ttl.expires_at(now), at("2024-05-12T10:30:00Z"));
        let late = at("2024-05-05T23:50:00Z");
        let day = Ttl::parse("in 1 day").unwrap();
        assert_eq!(day.expires_at(late), at("2024-05-06T23:50:00Z"));
        for text in [
            "1 week",
            "yesterday",
            "today",
            "now",
            "in 0 days",
            "2099-01-01",
        ] {
            let error = Ttl::parse(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{text}` does not lie in the future")
            );
        }
        assert_eq!(
            Ttl::parse("soon").unwrap_err().to_string(),
            "`soon` is not a date"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(text in "(in )?[1-9][0-9]{0,3} (second|minute|hour|day|week|month|year)s?( ago)?") {
            if let Ok(expr) = DateExpr::parse(&text) {
                prop_assert_eq!(DateExpr::parse(&expr.to_string()), Ok(expr));
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}", digits in "[0-9 .:TZ+-]{0,30}") {
            for text in [text, digits] {
                if let Ok(expr) = DateExpr::parse(&text) {
                    expr.resolve(DateTime::<Utc>::MIN_UTC).as_end();
                    expr.resolve(DateTime::<Utc>::MAX_UTC).as_end();
                }
            }
        }
    }
}

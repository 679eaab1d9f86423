//! How a model's table is filled.

use std::num::NonZeroU32;

use chrono::DateTime;
use chrono::Datelike;
use chrono::DurationRound;
use chrono::Months;
use chrono::NaiveTime;
use chrono::TimeDelta;
use chrono::Timelike;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::model::ScdType2;
use crate::model::Seed;
use crate::model::UniqueKey;

/// The column that holds the event time of a row, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeColumn {
    /// The column's name, normalised.
    pub column: String,
    /// `strftime` format, used when the column is text or a number.
    pub format: String,
}

impl TimeColumn {
    /// The part of the format that cannot be written, such as `%Q`.
    pub fn unknown_part(&self) -> Option<String> {
        let mut characters = self.format.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                continue;
            }
            let letter = characters.next();
            // What other notations of `strftime` write in another way is not among these.
            if !letter.is_some_and(|letter| "YmdHMSfjyFTbBaAIpe%".contains(letter)) {
                return Some(format!("%{}", letter.map_or(String::new(), String::from)));
            }
        }
        None
    }

    /// `time` in the format; the format itself if it has an [`unknown_part`](Self::unknown_part).
    pub fn format(&self, time: DateTime<Utc>) -> String {
        written(&self.format, time)
    }

    /// The shortest text that sorts before all texts of `time` and later, and behind all earlier ones, where the format
    /// [`sorts`](Self::sorts): also behind those that go on where the format ends, and before those that end sooner.
    ///
    /// It ends with the last part of the format that says anything: `Z` sorts behind the fraction of a second that others
    /// write before it, and a day may be written without its midnight. `None` behind the year 9999, which no text reaches.
    pub fn first_text(&self, time: DateTime<Utc>) -> Option<String> {
        if time.year() > 9999 {
            return None;
        }
        let format = self.format.replace("%F", "%Y-%m-%d");
        let format = format.replace("%T", "%H:%M:%S");
        let mut end = 0;
        let mut letters = format.char_indices();
        while let Some((_, character)) = letters.next() {
            if character != '%' {
                continue;
            }
            let Some((at, letter)) = letters.next() else {
                break;
            };
            let says = match letter {
                '%' => false,
                'H' => time.time() != NaiveTime::MIN,
                'M' => time.minute() != 0 || time.second() != 0 || time.nanosecond() != 0,
                'S' => time.second() != 0 || time.nanosecond() != 0,
                'f' => time.nanosecond() != 0,
                _ => true,
            };
            if says {
                end = at + letter.len_utf8();
            }
        }
        Some(written(&format[..end], time))
    }

    /// The smallest part of a time that the format holds; `None` if that is below a second.
    pub fn finest(&self) -> Option<TimePart> {
        let format = self.format.replace("%%", "");
        let holds = |parts: &[&str]| parts.iter().any(|part| format.contains(part));
        if holds(&["%f"]) {
            None
        } else if holds(&["%S", "%T"]) {
            Some(TimePart::Second)
        } else if holds(&["%M"]) {
            Some(TimePart::Minute)
        } else if holds(&["%H", "%I"]) {
            Some(TimePart::Hour)
        } else if holds(&["%d", "%j", "%F", "%e"]) {
            Some(TimePart::Day)
        } else if holds(&["%m", "%b", "%B"]) {
            Some(TimePart::Month)
        } else {
            Some(TimePart::Year)
        }
    }

    /// Whether a later time always has a text that sorts after that of an earlier one, or the same.
    pub fn sorts(&self) -> bool {
        let format = self.format.replace("%%", "");
        let format = format.replace("%F", "%Y%m%d").replace("%T", "%H%M%S");
        let parts = format
            .split('%')
            .skip(1)
            .filter_map(|part| part.chars().next());
        let parts: String = parts.collect();
        !parts.is_empty() && ("YmdHMSf".starts_with(&parts) || "YjHMSf".starts_with(&parts))
    }
}

/// `time` in a `strftime` format; the format itself if it cannot be written.
fn written(format: &str, time: DateTime<Utc>) -> String {
    use std::fmt::Write;
    // Python's `%f`, which the reference writes, are microseconds.
    let micros = format.replace("%f", "%6f");
    let mut text = String::new();
    if write!(text, "{}", time.format(&micros)).is_err() {
        return format.to_owned();
    }
    text
}

/// A part of a time that a column may end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimePart {
    /// Whole seconds.
    Second,
    /// Whole minutes.
    Minute,
    /// Whole hours.
    Hour,
    /// Whole days.
    Day,
    /// Whole months.
    Month,
    /// Whole years.
    Year,
}

impl TimePart {
    /// When the second, minute, hour, day, month or year of `time` begins; `None` at the end of the calendar.
    pub fn begin(self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Second => time.duration_trunc(TimeDelta::seconds(1)).ok(),
            Self::Minute => time.duration_trunc(TimeDelta::minutes(1)).ok(),
            Self::Hour => time.duration_trunc(TimeDelta::hours(1)).ok(),
            Self::Day => time.duration_trunc(TimeDelta::days(1)).ok(),
            Self::Month => Self::Day.begin(time)?.with_day(1),
            Self::Year => Self::Day.begin(time)?.with_ordinal(1),
        }
    }

    /// When the one behind that of `time` begins; `None` at the end of the calendar.
    pub fn next(self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let begin = self.begin(time)?;
        match self {
            Self::Second => begin.checked_add_signed(TimeDelta::seconds(1)),
            Self::Minute => begin.checked_add_signed(TimeDelta::minutes(1)),
            Self::Hour => begin.checked_add_signed(TimeDelta::hours(1)),
            Self::Day => begin.checked_add_signed(TimeDelta::days(1)),
            Self::Month => begin.checked_add_months(Months::new(1)),
            Self::Year => begin.checked_add_months(Months::new(12)),
        }
    }
}

/// How a model's table is filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ModelKind {
    /// A view; nothing is stored.
    View,
    /// A view whose rows are stored, and computed again whenever it is due.
    MaterializedView,
    /// Rebuilt from scratch on every run.
    Full,
    /// One slice of time at a time.
    IncrementalByTimeRange {
        /// Which column says when.
        time_column: TimeColumn,
        /// How many past intervals each run repeats, in units of the model's interval.
        lookback_intervals: u32,
        /// Most intervals that one statement may cover; `None` means no limit.
        batch_size_intervals: Option<NonZeroU32>,
        /// Most batches that may run at once; `None` means no limit but the engine's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch_concurrency: Option<NonZeroU32>,
    },
    /// Rows with the same key replace each other, batch after batch.
    IncrementalByUniqueKey(UniqueKey),
    /// Every partition that a batch has rows of is replaced by them.
    IncrementalByPartition,
    /// Rows are added.
    IncrementalUnmanaged {
        /// Whether they replace the partitions that they are in, instead.
        #[serde(default)]
        insert_overwrite: bool,
    },
    /// Every version of a row, with the times that it was valid from and to.
    #[serde(rename = "SCD_TYPE_2")]
    ScdType2(ScdType2),
    /// Rows from a CSV file of the project.
    Seed(Seed),
    /// Inlined into the models that read it.
    Embedded,
    /// A table that somebody else fills.
    External,
}

impl ModelKind {
    /// The kind's name in a `MODEL` block.
    pub fn name(&self) -> &'static str {
        match self {
            Self::View | Self::MaterializedView => "VIEW",
            Self::Full => "FULL",
            Self::IncrementalByTimeRange { .. } => "INCREMENTAL_BY_TIME_RANGE",
            Self::IncrementalByUniqueKey(_) => "INCREMENTAL_BY_UNIQUE_KEY",
            Self::IncrementalByPartition => "INCREMENTAL_BY_PARTITION",
            Self::IncrementalUnmanaged { .. } => "INCREMENTAL_UNMANAGED",
            Self::ScdType2(scd) => scd.kind_name(),
            Self::Seed(_) => "SEED",
            Self::Embedded => "EMBEDDED",
            Self::External => "EXTERNAL",
        }
    }

    /// Whether there is no object of ours in the warehouse.
    pub fn is_symbolic(&self) -> bool {
        matches!(self, Self::Embedded | Self::External)
    }

    /// Whether rows are stored in a table of ours.
    pub fn is_materialized(&self) -> bool {
        match self {
            Self::MaterializedView
            | Self::Full
            | Self::IncrementalByTimeRange { .. }
            | Self::IncrementalByUniqueKey(_)
            | Self::IncrementalByPartition
            | Self::IncrementalUnmanaged { .. }
            | Self::ScdType2(_)
            | Self::Seed(_) => true,
            Self::View | Self::Embedded | Self::External => false,
        }
    }

    /// Whether the table grows batch by batch instead of being computed anew.
    pub fn is_incremental(&self) -> bool {
        match self {
            Self::IncrementalByTimeRange { .. }
            | Self::IncrementalByUniqueKey(_)
            | Self::IncrementalByPartition
            | Self::IncrementalUnmanaged { .. }
            | Self::ScdType2(_) => true,
            Self::View
            | Self::MaterializedView
            | Self::Full
            | Self::Seed(_)
            | Self::Embedded
            | Self::External => false,
        }
    }

    /// Whether a batch changes what earlier ones wrote: batches run in order, each once, and filling anything again
    /// means filling everything again.
    pub fn builds_on_its_past(&self) -> bool {
        self.is_incremental() && self.time_column().is_none()
    }

    /// Whether its rows depend on when and in which batches it was filled, even if what it reads stays the same.
    pub fn has_history_of_its_own(&self) -> bool {
        match self {
            Self::IncrementalByPartition
            | Self::IncrementalUnmanaged { .. }
            | Self::ScdType2(_) => true,
            Self::IncrementalByUniqueKey(key) => {
                key.when_matched.is_some() || key.merge_filter.is_some()
            }
            Self::View
            | Self::MaterializedView
            | Self::Full
            | Self::IncrementalByTimeRange { .. }
            | Self::Seed(_)
            | Self::Embedded
            | Self::External => false,
        }
    }

    /// Whether the same batch a second time gives other rows.
    pub fn adds_to_its_rows(&self) -> bool {
        match self {
            Self::IncrementalUnmanaged { insert_overwrite } => !insert_overwrite,
            Self::IncrementalByUniqueKey(key) => {
                key.when_matched.is_some() || key.merge_filter.is_some()
            }
            _ => false,
        }
    }

    /// The column that says when, where there is one.
    pub fn time_column(&self) -> Option<&TimeColumn> {
        match self {
            Self::IncrementalByTimeRange { time_column, .. } => Some(time_column),
            _ => None,
        }
    }

    /// How many past intervals each run repeats, in units of the model's interval.
    pub fn lookback_intervals(&self) -> u32 {
        match self {
            Self::IncrementalByTimeRange {
                lookback_intervals, ..
            } => *lookback_intervals,
            Self::IncrementalByUniqueKey(key) => key.lookback_intervals,
            _ => 0,
        }
    }

    /// Most intervals that one statement may cover; `None` means no limit.
    pub fn batch_size_intervals(&self) -> Option<NonZeroU32> {
        match self {
            Self::IncrementalByTimeRange {
                batch_size_intervals,
                ..
            } => *batch_size_intervals,
            Self::IncrementalByUniqueKey(key) => key.batch_size_intervals,
            Self::ScdType2(scd) => scd.batch_size_intervals,
            _ => None,
        }
    }

    /// Whether the query sees only the execution time, not the interval's start and end.
    pub fn only_execution_time(&self) -> bool {
        matches!(self, Self::View | Self::MaterializedView | Self::Full)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(format: &str) -> TimeColumn {
        TimeColumn {
            column: "ds".to_owned(),
            format: format.to_owned(),
        }
    }

    #[test]
    fn a_time_format_without_meaning_is_named_and_never_panics() {
        assert_eq!(column("%Y-%Q").unknown_part().as_deref(), Some("%Q"));
        assert_eq!(column("%Y%").unknown_part().as_deref(), Some("%"));
        assert_eq!(column("100%% %Y-%m-%d %H:%M:%S.%f").unknown_part(), None);
        assert_eq!(column("%Q").format(DateTime::UNIX_EPOCH), "%Q");
    }

    #[test]
    fn fractions_of_seconds_are_microseconds() {
        let text = column("%S.%f").format(DateTime::UNIX_EPOCH);
        assert_eq!(text, "00.000000");
    }

    #[test]
    fn the_first_text_of_a_time_ends_with_the_last_part_that_says_anything() {
        let first = |format: &str, time: &str| column(format).first_text(time.parse().unwrap());
        for (format, midnight, morning) in [
            ("%Y-%m-%d", "2024-01-02", "2024-01-02"),
            ("%FT%TZ", "2024-01-02", "2024-01-02T05:30"),
            ("%Y%m%d%H%M%S%f", "20240102", "202401020530"),
            ("at %Y-%j %H h 100%%", "at 2024-002", "at 2024-002 05"),
            ("%Y-%m", "2024-01", "2024-01"),
        ] {
            let texts = [
                first(format, "2024-01-02T00:00:00Z"),
                first(format, "2024-01-02T05:30:00Z"),
            ];
            assert_eq!(texts.map(Option::unwrap), [midnight, morning], "{format}");
        }
        assert_eq!(first("%Y-%m-%d", "+10000-01-01T00:00:00Z"), None);
    }

    #[test]
    fn only_formats_that_go_from_large_to_small_sort_by_time() {
        for format in ["%Y", "%Y%m%d", "%FT%TZ", "%Y-%j", "%Y-%m-%d %H:%M:%S.%f"] {
            assert!(column(format).sorts(), "{format}");
        }
        for format in [
            "%d/%m/%Y",
            "%Y-%d-%m",
            "%m",
            "yyyy-MM-dd",
            "%Y-%b-%d",
            "%y%m%d",
        ] {
            assert!(!column(format).sorts(), "{format}");
        }
    }

    /// Formats that sort, each with what texts may have behind it and still say the same part of a time, or a finer one.
    const FORMATS: [(&str, &[&str]); 9] = [
        ("%Y", &["", "-01", " was the year"]),
        ("%Y-%m", &["", "-31", "-01 10:00"]),
        (
            "%Y-%m-%d",
            &["", " 00:00:00", "T23:59:59.25Z", "Z", "+00", "\u{e9}"],
        ),
        ("%F %H h", &["", " 59", "!"]),
        ("%Y%m%d%H%M", &["", "59", " "]),
        ("%Y-%jT%T", &["", "Z", ".5Z", ".999999+00"]),
        ("%FT%TZ", &["", "Z", " "]),
        ("day %Y/%m/%d at %H:%M:%S", &["", ",25"]),
        ("%F %T.%f", &["", "9", " UTC"]),
    ];

    proptest! {
        #[test]
        fn a_text_is_behind_the_first_one_of_a_time_exactly_if_its_own_time_is(
            which in 0..FORMATS.len(),
            ending in 0usize..6,
            time in 0i64..2_000_000_000_000_000,
            near in -100_000_000_000i64..100_000_000_000,
        ) {
            let (format, endings) = FORMATS[which];
            let column = column(format);
            let at = |micros| DateTime::from_timestamp_micros(micros).unwrap();
            let boundary = at(time + near);
            let whole = column.finest().map_or(Some(boundary), |part| part.begin(boundary));
            let (time, boundary) = (at(time), whole.unwrap());
            let text = column.format(time) + endings[ending % endings.len()];
            let first = column.first_text(boundary).unwrap();
            prop_assert_eq!(text >= first, time >= boundary, "{} {}", text, first);
        }

        #[test]
        fn a_fraction_before_the_end_of_a_format_stays_in_its_second(
            second in 0i64..2_000_000_000,
            fraction in 0u32..1_000_000,
            days in -3i64..3,
        ) {
            let column = column("%FT%TZ");
            let time = DateTime::from_timestamp(second, 0).unwrap();
            let day = TimePart::Day.begin(time).unwrap() + TimeDelta::days(days);
            let text = format!("{}.{fraction:06}Z", time.format("%FT%T"));
            let first = column.first_text(day).unwrap();
            prop_assert_eq!(text >= first, time >= day, "{} {}", text, first);
        }
    }
}

//! Phrases such as `1 week ago`.

use std::fmt;

use chrono::DateTime;
use chrono::Months;
use chrono::NaiveTime;
use chrono::TimeDelta;
use chrono::Utc;

/// A distance from now.
///
/// One that has only days or longer units counts from midnight, UTC; one with hours, minutes or
/// seconds counts from now exactly; `now` is zero of the latter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offset {
    months: u32,
    days: u32,
    seconds: u32,
    future: bool,
    from_midnight: bool,
}

/// The phrase is readable, but further away than ten thousand years.
pub(super) struct TooFar;

/// What one unit of a phrase adds.
enum Step {
    Months(u32),
    Days(u32),
    Seconds(u32),
}

const MAX_YEARS: u32 = 10_000;

impl Offset {
    const NOW: Self = Self {
        months: 0,
        days: 0,
        seconds: 0,
        future: false,
        from_midnight: false,
    };

    fn days(days: u32, future: bool) -> Self {
        Self {
            days,
            future,
            from_midnight: true,
            ..Self::NOW
        }
    }

    /// `None` if the text is no phrase.
    pub(super) fn parse(text: &str) -> Option<Result<Self, TooFar>> {
        let words = words(text)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (count, future) = match words.as_slice() {
            ["now"] => return Some(Ok(Self::NOW)),
            ["today"] => return Some(Ok(Self::days(0, false))),
            ["yesterday"] => return Some(Ok(Self::days(1, false))),
            ["tomorrow"] => return Some(Ok(Self::days(1, true))),
            ["last", unit] => return Self::sum(&["1", unit], false),
            ["next", unit] => return Self::sum(&["1", unit], true),
            ["in", count @ ..] | [count @ .., "from", "now"] => (count, true),
            [count @ .., "ago"] => (count, false),
            count => (count, false),
        };
        Self::sum(count, future)
    }

    /// Adds up pairs of a number and a unit; `None` if something else is among them.
    fn sum(words: &[&str], future: bool) -> Option<Result<Self, TooFar>> {
        let words: Vec<&str> = words
            .iter()
            .copied()
            .filter(|word| *word != "and")
            .collect();
        if words.is_empty() || !words.len().is_multiple_of(2) {
            return None;
        }
        let mut total = Some(Self {
            future,
            from_midnight: true,
            ..Self::NOW
        });
        for pair in words.chunks(2) {
            let step = unit(pair[1])?;
            if !matches!(pair[0], "a" | "an" | "one")
                && !pair[0].bytes().all(|b| b.is_ascii_digit())
            {
                return None;
            }
            let count = match pair[0] {
                "a" | "an" | "one" => Some(1),
                digits => digits.parse::<u32>().ok(),
            };
            total = total
                .zip(count)
                .and_then(|(total, count)| total.plus(count, &step));
        }
        Some(total.ok_or(TooFar))
    }

    /// `None` if that is too far away.
    fn plus(mut self, count: u32, step: &Step) -> Option<Self> {
        match step {
            Step::Months(months) => {
                self.months = self.months.checked_add(count.checked_mul(*months)?)?;
            }
            Step::Days(days) => self.days = self.days.checked_add(count.checked_mul(*days)?)?,
            Step::Seconds(seconds) => {
                self.seconds = self.seconds.checked_add(count.checked_mul(*seconds)?)?;
                self.from_midnight = false;
            }
        }
        let near = self.months <= MAX_YEARS * 12 && self.days <= MAX_YEARS * 365;
        near.then_some(self)
    }

    /// Whether it ends after it starts.
    pub(super) fn is_future(self) -> bool {
        self.future && !self.is_zero()
    }

    fn is_zero(self) -> bool {
        self.months == 0 && self.days == 0 && self.seconds == 0
    }

    pub(super) fn from(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let base = if self.from_midnight {
            now.date_naive().and_time(NaiveTime::MIN).and_utc()
        } else {
            now
        };
        self.after(base)
    }

    /// That far from `base` itself, whatever it is counted in.
    pub(super) fn after(self, base: DateTime<Utc>) -> DateTime<Utc> {
        let months = Months::new(self.months);
        let rest =
            TimeDelta::days(i64::from(self.days)) + TimeDelta::seconds(i64::from(self.seconds));
        if self.future {
            base.checked_add_months(months)
                .and_then(|time| time.checked_add_signed(rest))
                .unwrap_or(DateTime::<Utc>::MAX_UTC)
        } else {
            base.checked_sub_months(months)
                .and_then(|time| time.checked_sub_signed(rest))
                .unwrap_or(DateTime::<Utc>::MIN_UTC)
        }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return formatter.write_str(if self.from_midnight { "today" } else { "now" });
        }
        let parts = [
            (self.months, "months"),
            (self.days, "days"),
            (self.seconds, "seconds"),
        ];
        if self.future {
            formatter.write_str("in")?;
        }
        let mut separator = if self.future { " " } else { "" };
        for (count, unit) in parts {
            if count > 0 {
                write!(formatter, "{separator}{count} {unit}")?;
                separator = " ";
            }
        }
        if !self.future {
            formatter.write_str(" ago")?;
        }
        Ok(())
    }
}

/// Lower case words and numbers: `3hours ago` has three. `None` if there is anything else.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let mut last = ' ';
    for character in text.chars() {
        let character = character.to_ascii_lowercase();
        match character {
            ' ' | '\t' | ',' => {}
            'a'..='z' | '0'..='9' => {
                let continues = last.is_ascii_alphanumeric()
                    && last.is_ascii_digit() == character.is_ascii_digit();
                if !continues {
                    words.push(String::new());
                }
                words.last_mut()?.push(character);
            }
            _ => return None,
        }
        last = character;
    }
    Some(words)
}

fn unit(word: &str) -> Option<Step> {
    let singular = word.strip_suffix('s').filter(|rest| rest.len() > 1);
    Some(match singular.unwrap_or(word) {
        "second" | "sec" => Step::Seconds(1),
        "minute" | "min" => Step::Seconds(60),
        "hour" | "hr" | "h" => Step::Seconds(3600),
        "day" | "d" => Step::Days(1),
        "week" | "w" => Step::Days(7),
        "month" => Step::Months(1),
        "year" | "y" => Step::Months(12),
        _ => return None,
    })
}

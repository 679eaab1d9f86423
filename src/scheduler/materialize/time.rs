//! Which rows of a table belong to a range of time.

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::model::TimeColumn;
use crate::model::TimePart;
use crate::snapshot::Interval;
use crate::sql::quote_identifier;
use crate::sql::quote_string;

/// `range`, widened to what the time column can tell apart.
///
/// A column of days cannot say which rows of a day belong to one hour of it: all of the day's rows are replaced, so
/// the query has to give all of them.
pub(in crate::scheduler) fn widened(
    column: &TimeColumn,
    data_type: &str,
    range: Interval,
) -> Interval {
    let data_type = data_type.to_ascii_uppercase();
    let finest = if data_type == "DATE" {
        Some(TimePart::Day)
    } else if is_timestamp(&data_type) {
        None
    } else {
        column.finest()
    };
    let Some(part) = finest else {
        return range;
    };
    let last = range.end() - TimeDelta::microseconds(1);
    let whole = part.begin(range.start()).zip(part.next(last));
    whole
        .and_then(|(start, end)| Interval::new(start, end))
        .unwrap_or(range)
}

/// The condition that a row's time lies in `range`, which is as wide as [`widened`] makes it.
///
/// Half-open for every type, so that each row lies in exactly one of the ranges that follow each other. Texts are compared
/// with the first one of a time ([`TimeColumn::first_text`]): those that say more than the format, such as a timestamp
/// where the format ends with the day, lie in their range all the same.
///
/// # Errors
/// When texts of the format do not sort by time, so that no comparison finds the rows.
pub(in crate::scheduler) fn time_condition(
    engine: &dyn EngineAdapter,
    column: &TimeColumn,
    data_type: Option<&str>,
    range: Interval,
) -> anyhow::Result<String> {
    let name = quote_identifier(&column.column);
    let data_type = data_type.unwrap_or("").to_ascii_uppercase();
    if data_type == "DATE" {
        let day = |time: DateTime<Utc>| format!("CAST('{}' AS DATE)", time.format("%Y-%m-%d"));
        let last = range.end() - TimeDelta::microseconds(1);
        return Ok(format!(
            "{name} BETWEEN {} AND {}",
            day(range.start()),
            day(last)
        ));
    }
    if is_timestamp(&data_type) {
        let zoned = data_type.contains("TIME ZONE") || data_type == "TIMESTAMPTZ";
        let instant = |time: DateTime<Utc>| {
            let text = time.format("%Y-%m-%d %H:%M:%S%.6f");
            if zoned {
                format!("CAST('{text}+00:00' AS TIMESTAMPTZ)")
            } else {
                format!("CAST('{text}' AS TIMESTAMP)")
            }
        };
        return Ok(format!(
            "{name} >= {} AND {name} < {}",
            instant(range.start()),
            instant(range.end())
        ));
    }
    anyhow::ensure!(
        column.sorts(),
        "the time column `{}` holds times as `{}`, which does not sort by time; \
         use a format such as `%Y-%m-%d`, or a DATE or TIMESTAMP column",
        column.column,
        column.format
    );
    if is_number(&data_type) {
        return Ok(format!(
            "{name} >= {} AND {name} < {}",
            number(&column.format(range.start())),
            number(&column.format(range.end()))
        ));
    }
    let value = engine.by_bytes(&name);
    let Some(from) = column.first_text(range.start()) else {
        return Ok("FALSE".to_owned());
    };
    let to = column.first_text(range.end());
    let to = to.map(|to| format!(" AND {value} < {}", quote_string(&to)));
    Ok(format!(
        "{value} >= {}{}",
        quote_string(&from),
        to.unwrap_or_default()
    ))
}

fn is_timestamp(data_type: &str) -> bool {
    data_type.starts_with("TIMESTAMP") || data_type.starts_with("DATETIME")
}

fn is_number(data_type: &str) -> bool {
    ["INT", "DECIMAL", "NUMERIC", "DOUBLE", "FLOAT", "REAL"]
        .iter()
        .any(|word| data_type.contains(word))
}

/// The digits of a time; behind the year 9999 it is written with a sign.
fn number(text: &str) -> String {
    let digits = text.trim_start_matches('+');
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.to_owned()
    } else {
        quote_string(text)
    }
}

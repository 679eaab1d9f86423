//! How times become conditions; the laws that all kinds keep.

mod laws;

use super::*;
use crate::model::TimeColumn;

fn range(start: &str, end: &str) -> Interval {
    Interval::new(start.parse().unwrap(), end.parse().unwrap()).unwrap()
}

fn column(format: &str) -> TimeColumn {
    TimeColumn {
        column: "t".to_owned(),
        format: format.to_owned(),
    }
}

#[test]
fn an_hour_in_a_column_of_days_is_its_day() {
    let hour = range("2024-01-02T05:00:00Z", "2024-01-02T06:00:00Z");
    let day = range("2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z");
    let widened = |format, data_type| widened(&column(format), data_type, hour);
    assert_eq!(widened("%Y-%m-%d", "DATE"), day);
    assert_eq!(widened("%Y%m%d", "INTEGER"), day);
    assert_eq!(widened("%Y%m%d%H", "BIGINT"), hour);
    assert_eq!(widened("%Y-%m-%d", "TIMESTAMP"), hour);
    assert_eq!(
        widened("%Y-%m", "VARCHAR"),
        range("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z")
    );
}

#[test]
fn whole_days_in_a_column_of_days_stay_as_they_are() {
    let days = range("2024-01-02T00:00:00Z", "2024-01-05T00:00:00Z");
    assert_eq!(widened(&column("%Y-%m-%d"), "DATE", days), days);
}

#[test]
fn fractions_of_a_second_are_microseconds_as_in_python() {
    let time = "2024-01-02T05:00:00.123456Z".parse().unwrap();
    assert_eq!(column("%H.%f").format(time), "05.123456");
}

//! What people write in a cron field and the parser crate does not read, as the numbers that it means.

/// Smallest and largest value of minute, hour, day of month, month and day of week.
const RANGES: [(u32, u32); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];

const MONTH: usize = 3;
const WEEKDAY: usize = 4;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The field at `index` with plain numbers for ranges that wrap round (`22-2`, `fri-mon`), a start with a step (`5/15`)
/// and the last of a weekday (`L5`); everything else as it is written.
pub(super) fn plain(field: &str, index: usize) -> String {
    let items: Vec<String> = field.split(',').map(|item| of_item(item, index)).collect();
    items.join(",")
}

fn of_item(item: &str, index: usize) -> String {
    let written = || item.to_owned();
    if index == WEEKDAY
        && let Some(day) = item.strip_prefix(['l', 'L'])
        && number(day, index).is_some()
    {
        return format!("{day}L");
    }
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    let (smallest, largest) = RANGES[index];
    let Some((first, last)) = range.split_once('-') else {
        return match (number(range, index), step) {
            (Some(first), Some(step)) => format!("{first}-{largest}/{step}"),
            _ => written(),
        };
    };
    let ends = (number(first, index), number(last, index));
    let step = step.map_or(Some(1), |step| step.parse().ok());
    let (Some(first), Some(last), Some(step @ 1..)) = (ends.0, ends.1, step) else {
        return written();
    };
    // Sunday ends a range as 7; as its beginning it is 0.
    let first = if index == WEEKDAY && first == 7 {
        0
    } else {
        first
    };
    if first <= last {
        return match step {
            1 => format!("{first}-{last}"),
            _ => format!("{first}-{last}/{step}"),
        };
    }
    let round = largest - smallest + 1;
    let values = (first..=last + round).step_by(step);
    let values = values.map(|value| match value > largest {
        true => value - round,
        false => value,
    });
    let values: Vec<String> = values.map(|value| value.to_string()).collect();
    values.join(",")
}

/// The value of a number or a name that the field may have.
fn number(text: &str, index: usize) -> Option<u32> {
    let (smallest, largest) = RANGES[index];
    let named = |names: &[&str], from: u32| {
        let position = names
            .iter()
            .position(|name| text.eq_ignore_ascii_case(name))?;
        Some(from + u32::try_from(position).ok()?)
    };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let largest = if index == WEEKDAY { 7 } else { largest };
    match index {
        _ if is_number => text.parse().ok(),
        MONTH => named(&MONTHS, 1),
        WEEKDAY => named(&WEEKDAYS, 0),
        _ => None,
    }
    .filter(|value| (smallest..=largest).contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wraps_round_goes_on_at_the_beginning_in_the_same_steps() {
        for (field, index, plainly) in [
            ("22-2", 1, "22,23,0,1,2"),
            ("22-2/2", 1, "22,0,2"),
            ("22-3/3", 1, "22,1"),
            ("55-5/5,30", 0, "55,0,5,30"),
            ("30-2", 2, "30,31,1,2"),
            ("nov-Feb", 3, "11,12,1,2"),
            ("fri-mon", 4, "5,6,0,1"),
            ("6-0", 4, "6,0"),
        ] {
            assert_eq!(plain(field, index), plainly, "{field}");
        }
    }

    #[test]
    fn a_start_with_a_step_goes_to_the_end_of_the_field() {
        assert_eq!(plain("5/15", 0), "5-59/15");
        assert_eq!(plain("mon/2", 4), "1-6/2");
        assert_eq!(plain("11/2", 3), "11-12/2");
        assert_eq!(plain("59/15", 0), "59-59/15");
    }

    #[test]
    fn whatever_else_stays_as_it_is_written() {
        for (field, index) in [
            ("*", 0),
            ("*/5", 0),
            ("1-5", 4),
            ("5-7", 4),
            ("0-59/7,3", 0),
            ("L", 2),
            ("15W", 2),
            ("5L", 4),
            ("mon#1", 4),
            ("?", 2),
            ("70/5", 0),
            ("22-2/0", 1),
            ("22-", 1),
            ("Lfri", 3),
            ("", 0),
        ] {
            assert_eq!(plain(field, index), field);
        }
    }
}

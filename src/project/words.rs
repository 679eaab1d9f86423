//! What the loader says about names that it does not know.

use std::fmt::Write;

/// The one of `known` that `word` was probably meant to be.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    // Half the letters wrong is another word.
    let limit = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `Did you mean …?`, or the whole list when nothing is near.
pub(super) fn suggestion<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(near) = nearest(word, known.clone()) {
        return format!("Did you mean `{near}`?");
    }
    let mut help = String::from("It must be one of ");
    for (index, name) in known.into_iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let _ = write!(help, "{separator}`{name}`");
    }
    help.push('.');
    help
}

/// Letters to change, add, remove or swap with the next one to turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    if a.len().abs_diff(b.len()) > 8 || a.len() > 64 {
        return usize::MAX;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j - 1] + changed).min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word() {
        let known = ["owner", "kind", "cron", "grain"];
        assert_eq!(nearest("ownr", known), Some("owner"));
        assert_eq!(nearest("KNID", known), Some("kind"));
        assert_eq!(nearest("warehouse", known), None);
        assert_eq!(
            suggestion("warehouse", ["a", "b"]),
            "It must be one of `a`, `b`."
        );
    }
}

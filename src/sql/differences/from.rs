//! What changed of the tables that a SELECT reads, in words.

use std::collections::BTreeMap;

use sqlparser::ast::TableWithJoins;

use crate::sql::differences::is_as_written;
use crate::sql::differences::short;

/// A table of a FROM clause and how it comes in.
#[derive(PartialEq, Eq)]
struct Joined {
    /// `LEFT JOIN`; empty for the first of a list.
    how: String,
    /// The table with its alias.
    table: String,
    /// `ON …` or `USING (…)`; empty where there is none.
    on: String,
}

/// Sentences for what differs between the tables of two FROM clauses; none when they are read alike.
pub(super) fn changes(old: &[TableWithJoins], new: &[TableWithJoins]) -> Vec<String> {
    let (before, after) = (joined(old), joined(new));
    if before == after {
        return Vec::new();
    }
    let reasons = if before.len() == after.len() {
        let pairs = before.iter().zip(&after);
        pairs.flat_map(|(was, is)| differs(was, is)).collect()
    } else {
        comings_and_goings(&before, &after)
    };
    let mut tables = old.iter().chain(new);
    if reasons.is_empty() || !tables.all(|table| is_as_written(&table.to_string())) {
        return vec!["the FROM clause changed".to_owned()];
    }
    reasons
}

fn joined(from: &[TableWithJoins]) -> Vec<Joined> {
    let mut all = Vec::new();
    for list in from {
        all.push(Joined {
            how: String::new(),
            table: list.relation.to_string(),
            on: String::new(),
        });
        for join in &list.joins {
            let table = join.relation.to_string();
            let text = join.to_string();
            let (how, on) = text.split_once(&table).unwrap_or((&text, ""));
            // Words that change nothing.
            let words = how.split_whitespace();
            let words = words.filter(|word| !["INNER", "OUTER"].contains(word));
            all.push(Joined {
                how: words.collect::<Vec<_>>().join(" "),
                on: on.trim().to_owned(),
                table,
            });
        }
    }
    all
}

fn differs(was: &Joined, is: &Joined) -> Vec<String> {
    if was.table != is.table {
        let (before, now) = (short(&was.table), short(&is.table));
        return vec![format!("it reads `{now}` instead of `{before}`")];
    }
    let table = short(&is.table);
    let mut reasons = Vec::new();
    if was.how != is.how {
        let word = |how: &str| {
            if how.is_empty() {
                "a comma".to_owned()
            } else {
                how.to_owned()
            }
        };
        let (before, now) = (word(&was.how), word(&is.how));
        reasons.push(format!("{before} before `{table}` became {now}"));
    }
    if was.on != is.on {
        let word = |on: &str| match on {
            "" => "without a condition".to_owned(),
            on => format!("`{}`", short(&on)),
        };
        reasons.push(format!(
            "`{table}` is joined {} instead of {}",
            word(&is.on),
            word(&was.on)
        ));
    }
    reasons
}

fn comings_and_goings(before: &[Joined], after: &[Joined]) -> Vec<String> {
    let mut counts: BTreeMap<&str, i32> = BTreeMap::new();
    for joined in after {
        *counts.entry(&joined.table).or_default() += 1;
    }
    for joined in before {
        *counts.entry(&joined.table).or_default() -= 1;
    }
    let changed = counts.into_iter().filter(|(_, count)| *count != 0);
    let sentences = changed.map(|(table, count)| {
        let table = short(&table);
        if count > 0 {
            format!("it reads `{table}` as well")
        } else {
            format!("it no longer reads `{table}`")
        }
    });
    sentences.collect()
}

#[cfg(test)]
mod tests {
    use crate::sql::Dialect;
    use crate::sql::Edit;
    use crate::sql::Query;
    use crate::sql::differences;

    fn said(old: &str, new: &str) -> Vec<String> {
        let edit = Edit {
            rows: true,
            added: &[],
            removed: &[],
            changed: &[],
            renamed: &[],
            reordered: false,
        };
        let query =
            |from: &str| Query::parse(&format!("SELECT 1 AS x FROM {from}"), Dialect::DuckDb);
        differences(&query(old), &query(new), &edit)
    }

    #[test]
    fn a_join_that_changes_is_named() {
        let left = "a LEFT OUTER JOIN b ON a.i = b.i";
        for (new, expected) in [
            (
                "a INNER JOIN b ON a.i = b.i",
                "LEFT JOIN before `b` became JOIN",
            ),
            (
                "a LEFT JOIN b ON a.i = b.j",
                "`b` is joined `ON a.i = b.j` instead of `ON a.i = b.i`",
            ),
            (
                "a LEFT JOIN c AS b ON a.i = b.i",
                "it reads `c AS b` instead of `b`",
            ),
            (
                "a LEFT JOIN b ON a.i = b.i JOIN c USING (i)",
                "it reads `c` as well",
            ),
            ("a", "it no longer reads `b`"),
            ("a ASOF JOIN b ON a.i >= b.i", "the FROM clause changed"),
        ] {
            assert_eq!(said(left, new), [expected], "{new}");
        }
    }

    #[test]
    fn what_is_the_same_join_in_other_words_is_not_named() {
        let nothing: [&str; 0] = [];
        assert_eq!(
            said("a INNER JOIN b USING (i)", "a JOIN b USING (i)"),
            nothing
        );
    }
}

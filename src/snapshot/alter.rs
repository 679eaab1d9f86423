//! What happens to the columns of a table that keeps its rows under a new definition.
//!
//! Source: spec/engine.md 10.1, without what only BigQuery and Databricks can do.

use std::fmt;

/// One change of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// A new column; rows that are there have NULL in it.
    Add {
        /// Its name.
        name: String,
        /// Its type, if known.
        data_type: Option<String>,
    },
    /// A column goes, and its values with it.
    Drop {
        /// Its name.
        name: String,
    },
    /// The type holds more than before; no value changes.
    Widen {
        /// Its name.
        name: String,
        /// The type before.
        from: String,
        /// The type after.
        to: String,
    },
    /// The type does not hold every value of before: the column is made anew, and rows that are there have NULL in it.
    Replace {
        /// Its name.
        name: String,
        /// The type before.
        from: String,
        /// The type after.
        to: String,
    },
}

impl Alteration {
    /// Whether values are lost.
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::Drop { .. } | Self::Replace { .. } => true,
            Self::Add { .. } | Self::Widen { .. } => false,
        }
    }
}

impl fmt::Display for Alteration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { name, .. } => write!(formatter, "adds column `{name}`"),
            Self::Drop { name } => write!(formatter, "drops column `{name}`"),
            Self::Widen { name, from, to } => {
                write!(formatter, "widens column `{name}` from {from} to {to}")
            }
            Self::Replace { name, from, to } => {
                write!(
                    formatter,
                    "makes column `{name}` anew as {to}, which does not hold every {from},"
                )
            }
        }
    }
}

/// What turns a table with the columns `old` into one with the columns `new`: what goes, what comes, what gets another
/// type. Columns are pairs of name and type; types are compared where both are known. The order of columns is no matter.
pub fn alterations(
    old: &[(String, Option<String>)],
    new: &[(String, Option<String>)],
) -> Vec<Alteration> {
    let find = |columns: &'_ [(String, Option<String>)], name: &str| {
        let found = columns
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, data_type)| data_type.clone())
    };
    let mut found = Vec::new();
    for (name, _) in old {
        if find(new, name).is_none() {
            found.push(Alteration::Drop { name: name.clone() });
        }
    }
    for (name, data_type) in new {
        if find(old, name).is_none() {
            found.push(Alteration::Add {
                name: name.clone(),
                data_type: data_type.clone(),
            });
        }
    }
    for (name, from) in old {
        let to = find(new, name).flatten();
        let (Some(from), Some(to)) = (from.clone(), to) else {
            continue;
        };
        if is_same(&from, &to) {
            continue;
        }
        let name = name.clone();
        found.push(if is_wider(&from, &to) {
            Alteration::Widen { name, from, to }
        } else {
            Alteration::Replace { name, from, to }
        });
    }
    found
}

fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || parts(one) == parts(other)
}

/// The name of a type without its parameters, and these.
fn parts(data_type: &str) -> (String, Vec<u32>) {
    let upper = data_type.to_ascii_uppercase();
    let name = |text: &str| match text.trim() {
        "NUMERIC" => "DECIMAL".to_owned(),
        "CHARACTER VARYING" => "VARCHAR".to_owned(),
        "CHARACTER" => "CHAR".to_owned(),
        other => other.to_owned(),
    };
    let Some((base, rest)) = upper.split_once('(') else {
        return (name(&upper), Vec::new());
    };
    let numbers: Option<Vec<u32>> = rest
        .strip_suffix(')')
        .map(|rest| rest.split(','))
        .and_then(|numbers| numbers.map(|number| number.trim().parse().ok()).collect());
    match numbers {
        Some(numbers) => (name(base), numbers),
        None => (upper, Vec::new()),
    }
}

/// Whether every value of `from` is one of `to` as well: the same type with more room, or text without a limit.
fn is_wider(from: &str, to: &str) -> bool {
    let ((base, mut old), (wider, mut new)) = (parts(from), parts(to));
    let is_text = |name: &str| matches!(name, "VARCHAR" | "CHAR" | "BPCHAR" | "TEXT");
    if is_text(&base) && matches!(wider.as_str(), "TEXT" | "VARCHAR") && new.is_empty() {
        return true;
    }
    if base != wider {
        return false;
    }
    if base == "DECIMAL" {
        for numbers in [&mut old, &mut new] {
            if let [precision] = numbers[..] {
                *numbers = vec![precision, 0];
            }
        }
        return match (&old[..], &new[..]) {
            ([precision, scale], [more, finer]) => {
                scale <= finer && precision.saturating_sub(*scale) <= more.saturating_sub(*finer)
            }
            _ => false,
        };
    }
    !old.is_empty() && old.len() == new.len() && old.iter().zip(&new).all(|(old, new)| old <= new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(columns: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        let columns = columns.iter();
        columns
            .map(|(name, kind)| ((*name).to_owned(), Some((*kind).to_owned())))
            .collect()
    }

    fn said(old: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<String> {
        let found = alterations(&columns(old), &columns(new));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_renamed_column_goes_and_comes() {
        assert_eq!(
            said(&[("a", "INTEGER")], &[("b", "INTEGER")]),
            ["drops column `a`", "adds column `b`"]
        );
    }

    #[test]
    fn the_order_and_the_case_of_columns_change_nothing() {
        let (a, b) = (("a", "INTEGER"), ("b", "VARCHAR"));
        assert!(said(&[a, b], &[("B", "varchar"), ("A", "INTEGER")]).is_empty());
        assert!(said(&[("n", "DECIMAL(18,3)")], &[("n", "NUMERIC(18, 3)")]).is_empty());
    }

    #[test]
    fn only_a_type_that_holds_every_value_is_wider() {
        for (from, to) in [
            ("DECIMAL(10,2)", "DECIMAL(12,2)"),
            ("DECIMAL(10,2)", "DECIMAL(12,4)"),
            ("VARCHAR(10)", "VARCHAR(20)"),
            ("CHARACTER VARYING(10)", "TEXT"),
        ] {
            assert!(is_wider(from, to), "{from} → {to}");
        }
        for (from, to) in [
            ("INTEGER", "BIGINT"),
            ("DECIMAL(10,2)", "DECIMAL(10,4)"),
            ("DECIMAL(10,2)", "DECIMAL(9,2)"),
            ("VARCHAR(20)", "VARCHAR(10)"),
            ("INTEGER", "VARCHAR"),
            ("STRUCT(a INTEGER)", "STRUCT(a INTEGER, b INTEGER)"),
            ("TIMESTAMP", "DATE"),
        ] {
            assert!(!is_wider(from, to), "{from} → {to}");
            let alterations = alterations(&columns(&[("c", from)]), &columns(&[("c", to)]));
            assert!(alterations[0].is_destructive());
        }
    }

    #[test]
    fn a_type_that_nobody_knows_is_no_change() {
        let known = columns(&[("a", "INTEGER")]);
        let unknown = vec![("a".to_owned(), None)];
        assert!(alterations(&known, &unknown).is_empty());
        assert!(alterations(&unknown, &known).is_empty());
    }
}

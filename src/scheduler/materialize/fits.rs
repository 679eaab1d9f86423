//! Whether the values that a query gives stay what they are in a table that was made before.
//!
//! An engine that inserts rows casts them to the table's types, and some casts change values without a word: 1.7 becomes 2,
//! a timestamp loses its time. What an engine refuses, such as a number that is too large, is no such cast.

use crate::engine::EngineColumn;
use crate::scheduler::materialize::Batch;

/// Fails when writing rows of `given` into the columns of a table, `there`, would change values.
pub(super) fn check(
    batch: &Batch<'_>,
    there: &[EngineColumn],
    given: &[EngineColumn],
) -> anyhow::Result<()> {
    let model = &batch.model.name;
    for column in there {
        let mut given = given.iter();
        let Some(new) = given.find(|new| new.name.eq_ignore_ascii_case(&column.name)) else {
            continue;
        };
        anyhow::ensure!(
            keeps_values(&column.data_type, &new.data_type),
            "the query of `{model}` gives `{name}` as {new} now, but the column of its table is {old}, which would change \
             values; say in the model's `columns` which type `{name}` shall have, and plan: `{name} {new}` makes a new \
             table, `{name} {old}` casts the values",
            name = column.name,
            new = new.data_type,
            old = column.data_type,
        );
    }
    Ok(())
}

/// Whether a value of the type `given` is the same in a column of the type `table`, or is refused.
fn keeps_values(table: &str, given: &str) -> bool {
    let (table, given) = (table.to_ascii_uppercase(), given.to_ascii_uppercase());
    // A column of nothing but NULL has a type of its own.
    if table == given || given.trim_matches('"') == "NULL" {
        return true;
    }
    if let Some((table, given)) = table.strip_suffix("[]").zip(given.strip_suffix("[]")) {
        return keeps_values(table, given);
    }
    let (table, given) = (Kind::of(&table), Kind::of(&given));
    match (table, given) {
        (Kind::Text, _) => true,
        (Kind::Integer(_), Kind::Integer(_) | Kind::Boolean) => true,
        (Kind::Decimal(_), Kind::Integer(_)) => true,
        (Kind::Integer(_), Kind::Decimal(given)) => given.is_some_and(|(_, scale)| scale == 0),
        (Kind::Decimal(table), Kind::Decimal(given)) => match (table, given) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((_, scale)), Some((_, given))) => given <= scale,
        },
        (Kind::Float(digits), Kind::Integer(given)) => given <= digits,
        (Kind::Float(digits), Kind::Decimal(given)) => {
            given.is_some_and(|(precision, _)| precision <= digits)
        }
        (Kind::Float(digits), Kind::Float(given)) => given <= digits,
        (Kind::Timestamp(_), Kind::Date) => true,
        (Kind::Timestamp(table), Kind::Timestamp(given)) => given <= table,
        (Kind::Other(table), Kind::Other(given)) => table == given,
        _ => false,
    }
}

/// What matters of a type.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Boolean,
    /// With so many digits at most.
    Integer(u32),
    /// Precision and scale; `None` where there is no limit.
    Decimal(Option<(u32, u32)>),
    /// That holds so many digits exactly.
    Float(u32),
    Date,
    /// Without a time zone, with so many digits of a second.
    Timestamp(u32),
    Text,
    Other(String),
}

impl Kind {
    /// `data_type` in capitals, as an engine names it.
    fn of(data_type: &str) -> Self {
        let (name, arguments) = data_type
            .split_once('(')
            .map_or((data_type, ""), |(name, rest)| {
                (name, rest.trim_end_matches(')'))
            });
        let numbers: Vec<u32> = arguments
            .split(',')
            .filter_map(|number| number.trim().parse().ok())
            .collect();
        match name.trim() {
            "BOOLEAN" => Self::Boolean,
            "TINYINT" | "UTINYINT" => Self::Integer(3),
            "SMALLINT" | "USMALLINT" => Self::Integer(5),
            "INTEGER" | "UINTEGER" => Self::Integer(10),
            "BIGINT" | "UBIGINT" => Self::Integer(20),
            "HUGEINT" | "UHUGEINT" | "BIGNUM" => Self::Integer(39),
            "DECIMAL" | "NUMERIC" => Self::Decimal(match numbers[..] {
                [precision, scale] => Some((precision, scale)),
                [precision] => Some((precision, 0)),
                _ => None,
            }),
            "REAL" | "FLOAT" => Self::Float(6),
            "DOUBLE" | "DOUBLE PRECISION" => Self::Float(15),
            "DATE" => Self::Date,
            "TIMESTAMP_S" => Self::Timestamp(0),
            "TIMESTAMP_MS" => Self::Timestamp(3),
            "TIMESTAMP" => Self::Timestamp(numbers.first().copied().unwrap_or(6)),
            "TIMESTAMP_NS" => Self::Timestamp(9),
            "VARCHAR" | "TEXT" | "CHAR" | "BPCHAR" => Self::Text,
            _ => Self::Other(data_type.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_a_cast_would_change_do_not_fit() {
        for (table, given) in [
            ("INTEGER", "DOUBLE"),
            ("INTEGER", "DECIMAL(10,2)"),
            ("BIGINT", "NUMERIC"),
            ("REAL", "DOUBLE PRECISION"),
            ("DOUBLE", "BIGINT"),
            ("DOUBLE", "DECIMAL(18,3)"),
            ("DECIMAL(18,2)", "DECIMAL(10,3)"),
            ("NUMERIC(10,2)", "NUMERIC"),
            ("NUMERIC", "DOUBLE PRECISION"),
            ("DATE", "TIMESTAMP"),
            ("TIMESTAMP", "TIMESTAMP_NS"),
            ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
            ("TIMESTAMP(0)", "TIMESTAMP"),
            ("INTEGER", "VARCHAR"),
            ("BOOLEAN", "INTEGER"),
            ("INTEGER[]", "DOUBLE[]"),
            ("STRUCT(a INTEGER)", "STRUCT(a DOUBLE)"),
        ] {
            assert!(!keeps_values(table, given), "{given} into {table}");
        }
    }

    #[test]
    fn what_a_type_holds_or_the_engine_refuses_fits() {
        for (table, given) in [
            ("INTEGER", "INTEGER"),
            ("INTEGER", "\"NULL\""),
            ("BIGINT", "INTEGER"),
            ("INTEGER", "BIGINT"),
            ("HUGEINT", "DECIMAL(18,0)"),
            ("DOUBLE", "INTEGER"),
            ("DOUBLE PRECISION", "REAL"),
            ("NUMERIC", "NUMERIC(10,2)"),
            ("DECIMAL(10,3)", "DECIMAL(18,2)"),
            ("DECIMAL(10,3)", "BIGINT"),
            ("TIMESTAMP", "DATE"),
            ("TIMESTAMP", "TIMESTAMP_S"),
            ("VARCHAR", "INTEGER"),
            ("TEXT", "VARCHAR(10)"),
            ("BIGINT[]", "INTEGER[]"),
            ("JSON", "JSON"),
        ] {
            assert!(keeps_values(table, given), "{given} into {table}");
        }
    }
}

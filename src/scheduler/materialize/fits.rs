//! Whether the values that a query gives stay what they are in a table that was made before.
//!
//! An engine that inserts rows casts them to the table's types, and some casts change values without a word: 1.7 becomes 2,
//! a timestamp loses its time. What an engine refuses, such as a number that is too large, is no such cast.

use crate::engine::EngineColumn;
use crate::scheduler::materialize::Batch;
use crate::sql::DataType;
use crate::sql::Dialect;
use crate::sql::parse_type;

/// Fails when writing rows of `given` into the columns of a table, `there`, would change values or leave a column out.
pub(super) fn check(
    batch: &Batch<'_>,
    there: &[EngineColumn],
    given: &[EngineColumn],
) -> anyhow::Result<()> {
    let (model, dialect) = (&batch.model.name, batch.engine.dialect());
    for column in there {
        let mut given = given.iter();
        let Some(new) = given.find(|new| new.name.eq_ignore_ascii_case(&column.name)) else {
            anyhow::bail!(
                "the table of `{model}` has a column `{}` that the query does not give; take the column out of the table \
                 (`siding table_name {model}` says which that is), or write `on_destructive_change ignore` into the kind, with which \
                 it stays",
                column.name
            );
        };
        anyhow::ensure!(
            keeps_values(&column.data_type, &new.data_type, dialect),
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

/// Whether a value of the type `given` is the same in a column of the type `table`, or is refused. Types that nobody knows
/// must be the same.
fn keeps_values(table: &str, given: &str, dialect: Dialect) -> bool {
    let known = |text: &str| parse_type(text, dialect);
    match (known(table), known(given)) {
        (Some(table), Some(given)) => holds(&table, &given),
        _ => table.eq_ignore_ascii_case(given),
    }
}

fn holds(table: &DataType, given: &DataType) -> bool {
    use DataType as T;
    match (table, given) {
        (table, given) if table == given => true,
        (T::Varchar | T::CharVarying(_) | T::Char(_), _) | (_, T::Null) => true,
        (T::List(table), T::List(given)) => holds(table, given),
        (table, T::Boolean) => table.is_integer(),
        (T::Float | T::Double, given) => exact_digits(given) <= exact_digits(table),
        (table, given) if table.is_integer() => match given {
            T::Decimal { scale, .. } => *scale <= 0,
            given => given.is_integer(),
        },
        (T::Numeric, given) => given.is_integer() || matches!(given, T::Decimal { .. }),
        (T::Decimal { scale, .. }, given) => match given {
            T::Decimal { scale: finer, .. } => finer <= scale,
            given => given.is_integer(),
        },
        (T::Timestamp(_), T::Date) => true,
        (T::Timestamp(digits), T::Timestamp(given))
        | (T::TimestampTz(digits), T::TimestampTz(given)) => given <= digits,
        _ => false,
    }
}

/// How many decimal digits a type holds at most, or exactly where it does not hold all numbers of its range.
fn exact_digits(number: &DataType) -> u16 {
    use DataType as T;
    match number {
        T::TinyInt | T::UTinyInt => 3,
        T::SmallInt | T::USmallInt => 5,
        T::Float => 6,
        T::Integer | T::UInteger => 10,
        T::Double => 15,
        T::BigInt | T::UBigInt => 20,
        T::HugeInt | T::UHugeInt => 39,
        T::Decimal { precision, .. } => *precision,
        _ => u16::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect::DuckDb;
    use crate::sql::Dialect::Postgres;

    #[test]
    fn values_that_a_cast_would_change_do_not_fit() {
        for (table, given, dialect) in [
            ("INTEGER", "DOUBLE", DuckDb),
            ("INTEGER", "DECIMAL(10,2)", DuckDb),
            ("BIGINT", "NUMERIC", Postgres),
            ("REAL", "DOUBLE PRECISION", Postgres),
            ("DOUBLE", "BIGINT", DuckDb),
            ("DOUBLE", "DECIMAL(18,3)", DuckDb),
            ("DECIMAL(18,2)", "DECIMAL(10,3)", DuckDb),
            ("NUMERIC(10,2)", "NUMERIC", Postgres),
            ("NUMERIC", "DOUBLE PRECISION", Postgres),
            ("DATE", "TIMESTAMP", DuckDb),
            ("TIMESTAMP", "TIMESTAMP_NS", DuckDb),
            ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", DuckDb),
            ("TIMESTAMP(0)", "TIMESTAMP", Postgres),
            ("INTEGER", "VARCHAR", DuckDb),
            ("BOOLEAN", "INTEGER", DuckDb),
            ("INTEGER[]", "DOUBLE[]", DuckDb),
            ("STRUCT(a INTEGER)", "STRUCT(a DOUBLE)", DuckDb),
        ] {
            assert!(!keeps_values(table, given, dialect), "{given} into {table}");
        }
    }

    #[test]
    fn what_a_type_holds_or_the_engine_refuses_fits() {
        for (table, given, dialect) in [
            ("INTEGER", "INTEGER", DuckDb),
            ("INTEGER", "\"NULL\"", DuckDb),
            ("BIGINT", "INTEGER", DuckDb),
            ("INTEGER", "BIGINT", DuckDb),
            ("HUGEINT", "DECIMAL(18,0)", DuckDb),
            ("DOUBLE", "INTEGER", DuckDb),
            ("DOUBLE PRECISION", "REAL", Postgres),
            ("NUMERIC", "NUMERIC(10,2)", Postgres),
            ("DECIMAL(10,3)", "DECIMAL(18,2)", DuckDb),
            ("DECIMAL(10,3)", "BIGINT", DuckDb),
            ("TIMESTAMP", "DATE", DuckDb),
            ("TIMESTAMP", "TIMESTAMP_S", DuckDb),
            ("VARCHAR", "INTEGER", DuckDb),
            ("TEXT", "VARCHAR(10)", Postgres),
            ("BIGINT[]", "INTEGER[]", DuckDb),
            ("JSON", "JSON", DuckDb),
        ] {
            assert!(keeps_values(table, given, dialect), "{given} into {table}");
        }
    }
}

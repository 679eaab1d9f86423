//! What it means for a table when the type of a column changes.

use crate::sql::Dialect;
use crate::sql::types::DataType;

/// What happens to a column that is there and gets another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeChange {
    /// The types are the same.
    Same,
    /// The table keeps its type and takes what comes: the old type holds every value of the new one.
    Coerced,
    /// The column is altered and keeps its values.
    Widened,
    /// The column must be dropped and added: its values are lost.
    Destructive,
}

/// What becomes of a column of type `old` that shall be `new`.
///
/// Only more digits, more characters, and BigQuery's few pairs are altered; everything else, even
/// `INTEGER` to `BIGINT`, is dropped and added. A struct counts as a whole, also where BigQuery and
/// Databricks could alter one of its fields: that calls more changes destructive than need be.
///
/// Source: the specification of SQLMesh's schema diff, `spec/engine.md` 10.1. Not tried on a
/// warehouse.
pub fn type_change(old: &DataType, new: &DataType, dialect: Dialect) -> TypeChange {
    if old == new {
        return TypeChange::Same;
    }
    if dialect == Dialect::BigQuery {
        if bigquery_alters(old, new) {
            return TypeChange::Widened;
        }
        let takes_more = *old == DataType::Double && is_bignumeric(new);
        if takes_more || bigquery_alters(new, old) {
            return TypeChange::Coerced;
        }
    }
    if grows(old, new, dialect) {
        TypeChange::Widened
    } else {
        TypeChange::Destructive
    }
}

/// Whether `new` is the same type with place for more.
fn grows(old: &DataType, new: &DataType, dialect: Dialect) -> bool {
    use DataType as T;
    let numbers_grow = dialect != Dialect::Redshift;
    match (old, new) {
        (
            T::Decimal { precision, scale },
            T::Decimal {
                precision: new_precision,
                scale: new_scale,
            },
        ) => numbers_grow && precision <= new_precision && scale <= new_scale,
        (T::Decimal { .. }, T::Numeric) => numbers_grow,
        (T::Char(old), T::Char(new)) => numbers_grow && old <= new,
        (T::Char(_), T::CharVarying(None) | T::Varchar) => dialect == Dialect::Postgres,
        (T::CharVarying(Some(old)), T::CharVarying(Some(new))) => old <= new,
        (T::CharVarying(_), T::CharVarying(None) | T::Varchar)
        | (T::Varchar, T::CharVarying(None)) => true,
        (T::Time(old), T::Time(new))
        | (T::TimeTz(old), T::TimeTz(new))
        | (T::Timestamp(old), T::Timestamp(new))
        | (T::TimestampTz(old), T::TimestampTz(new)) => {
            // Elsewhere each of them is a type of its own.
            let is_parameter = matches!(
                dialect,
                Dialect::Postgres | Dialect::Snowflake | Dialect::Trino | Dialect::Tsql
            );
            is_parameter && old <= new
        }
        _ => false,
    }
}

/// The changes of type that BigQuery's ALTER COLUMN makes.
fn bigquery_alters(old: &DataType, new: &DataType) -> bool {
    let to_larger = |new: &DataType| *new == DataType::Double || is_bignumeric(new);
    match old {
        DataType::BigInt => is_numeric(new) || to_larger(new),
        old if is_numeric(old) => to_larger(new),
        DataType::Date => *new == DataType::TIMESTAMP,
        _ => false,
    }
}

fn is_numeric(data_type: &DataType) -> bool {
    *data_type == DataType::decimal(38, 9)
}

fn is_bignumeric(data_type: &DataType) -> bool {
    *data_type == DataType::decimal(76, 38)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::types::parse_type;

    fn change(old: &str, new: &str, dialect: Dialect) -> TypeChange {
        let read = |text| parse_type(text, dialect).unwrap();
        type_change(&read(old), &read(new), dialect)
    }

    #[test]
    fn only_more_of_the_same_keeps_the_values() {
        use TypeChange as C;
        for (old, new, expected) in [
            ("int", "integer", C::Same),
            ("int", "bigint", C::Destructive),
            ("varchar(10)", "varchar(20)", C::Widened),
            ("varchar(20)", "varchar(10)", C::Destructive),
            ("varchar(20)", "varchar", C::Widened),
            ("varchar(20)", "text", C::Widened),
            ("char(3)", "text", C::Widened),
            ("text", "varchar(20)", C::Destructive),
            ("numeric(10,2)", "numeric(12,2)", C::Widened),
            ("numeric(10,2)", "numeric(12,1)", C::Destructive),
            ("numeric(10,2)", "numeric", C::Widened),
            ("numeric", "numeric(10,2)", C::Destructive),
            ("timestamp(3)", "timestamp", C::Widened),
            ("timestamp", "timestamptz", C::Destructive),
        ] {
            assert_eq!(
                change(old, new, Dialect::Postgres),
                expected,
                "{old} to {new}"
            );
        }
    }

    #[test]
    fn bigquery_alters_some_types_and_takes_in_the_reverse() {
        use TypeChange as C;
        for (old, new, expected) in [
            ("INT64", "NUMERIC", C::Widened),
            ("NUMERIC", "INT64", C::Coerced),
            ("FLOAT64", "BIGNUMERIC", C::Coerced),
            ("DATE", "DATETIME", C::Widened),
            ("DATE", "TIMESTAMP", C::Destructive),
            ("STRING(10)", "STRING", C::Widened),
            ("STRING", "INT64", C::Destructive),
        ] {
            assert_eq!(
                change(old, new, Dialect::BigQuery),
                expected,
                "{old} to {new}"
            );
        }
    }

    #[test]
    fn redshift_lets_only_texts_grow() {
        let redshift = Dialect::Redshift;
        assert_eq!(
            change("varchar(1)", "varchar(2)", redshift),
            TypeChange::Widened
        );
        assert_eq!(
            change("decimal(10,2)", "decimal(12,2)", redshift),
            TypeChange::Destructive
        );
    }

    #[test]
    fn duckdb_alters_decimals_of_more_digits_and_no_kind_of_timestamp() {
        let duckdb = Dialect::DuckDb;
        assert_eq!(
            change("decimal(10,2)", "decimal", duckdb),
            TypeChange::Widened
        );
        assert_eq!(
            change("timestamp_s", "timestamp", duckdb),
            TypeChange::Destructive
        );
    }
}

//! What stands left and right of an operator, or between the parentheses of a call.

use sqlparser::ast;

use crate::sql::Dialect;
use crate::sql::types::DataType;
use crate::sql::types::in_duckdb;

/// The type of an expression, or the literal that has none yet.
///
/// `tiny + 1` is a `TINYINT` in DuckDB and `'2026-01-01'` is a date in `day = '2026-01-01'`, so a
/// literal keeps its value until something gives it a type. Parentheses keep it a literal; whatever
/// leaves a query has a type: [`Operand::settle`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A bare NULL.
    Null,
    /// A whole number.
    Integer(i128),
    /// A text in quotes, without them.
    String(Box<str>),
    /// Anything else.
    Typed(DataType),
}

impl From<DataType> for Operand {
    fn from(data_type: DataType) -> Self {
        match data_type {
            DataType::Null => Self::Null,
            other => Self::Typed(other),
        }
    }
}

impl Operand {
    /// The type that the expression has as a column of a query.
    pub fn settle(&self, dialect: Dialect) -> Option<DataType> {
        match (self, dialect) {
            (Self::Typed(data_type), _) => Some(data_type.clone()),
            (_, Dialect::DuckDb) => Some(in_duckdb::settle(self)),
            (Self::Null | Self::String(_), Dialect::Postgres) => Some(DataType::Varchar),
            (Self::Integer(_), Dialect::BigQuery) => Some(DataType::BigInt),
            (
                Self::Integer(value),
                Dialect::Postgres
                | Dialect::Redshift
                | Dialect::Databricks
                | Dialect::Spark
                | Dialect::Trino
                | Dialect::Athena
                | Dialect::Tsql,
            ) => {
                if i32::try_from(*value).is_ok() {
                    Some(DataType::Integer)
                } else {
                    i64::try_from(*value).ok().map(|_| DataType::BigInt)
                }
            }
            (
                Self::String(_),
                Dialect::BigQuery | Dialect::Databricks | Dialect::Spark | Dialect::ClickHouse,
            ) => Some(DataType::Varchar),
            // The others give a literal the narrowest type that holds it.
            (Self::Null | Self::Integer(_) | Self::String(_), _) => None,
        }
    }
}

/// The operand that `value` is; `None` for placeholders and for literals that dialects understand
/// differently.
pub fn literal(value: &ast::Value, dialect: Dialect) -> Option<Operand> {
    use ast::Value as V;
    Some(match value {
        V::Null => Operand::Null,
        V::Boolean(_) => DataType::Boolean.into(),
        V::Number(text, _) => return number(text, dialect),
        V::SingleQuotedString(text)
        | V::TripleSingleQuotedString(text)
        | V::TripleDoubleQuotedString(text)
        | V::EscapedStringLiteral(text)
        | V::UnicodeStringLiteral(text)
        | V::SingleQuotedRawStringLiteral(text)
        | V::DoubleQuotedRawStringLiteral(text)
        | V::TripleSingleQuotedRawStringLiteral(text)
        | V::TripleDoubleQuotedRawStringLiteral(text)
        | V::DoubleQuotedString(text) => Operand::String(text.as_str().into()),
        V::DollarQuotedString(text) => Operand::String(text.value.as_str().into()),
        V::SingleQuotedByteStringLiteral(_)
        | V::DoubleQuotedByteStringLiteral(_)
        | V::TripleSingleQuotedByteStringLiteral(_)
        | V::TripleDoubleQuotedByteStringLiteral(_)
            if dialect == Dialect::BigQuery =>
        {
            DataType::Blob.into()
        }
        V::SingleQuotedByteStringLiteral(_)
        | V::DoubleQuotedByteStringLiteral(_)
        | V::TripleSingleQuotedByteStringLiteral(_)
        | V::TripleDoubleQuotedByteStringLiteral(_)
        | V::NationalStringLiteral(_)
        | V::QuoteDelimitedStringLiteral(_)
        | V::NationalQuoteDelimitedStringLiteral(_)
        | V::HexStringLiteral(_)
        | V::Placeholder(_) => return None,
    })
}

/// A number as it is written: `1`, `1.50`, `1e5`, `1_000`.
pub(super) fn number(text: &str, dialect: Dialect) -> Option<Operand> {
    let digits: String = text.chars().filter(|digit| *digit != '_').collect();
    let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    let whole = if is_whole {
        digits.parse::<i128>().ok()
    } else {
        None
    };
    match (whole, dialect) {
        (Some(value), Dialect::Postgres) => Some(if i32::try_from(value).is_ok() {
            DataType::Integer.into()
        } else if i64::try_from(value).is_ok() {
            DataType::BigInt.into()
        } else {
            DataType::Numeric.into()
        }),
        (Some(value), _) => Some(Operand::Integer(value)),
        (None, Dialect::Postgres) => Some(DataType::Numeric.into()),
        (None, Dialect::DuckDb) if is_whole => Some(match digits.parse::<u128>() {
            Ok(_) => DataType::UHugeInt.into(),
            Err(_) => DataType::Double.into(),
        }),
        (None, Dialect::DuckDb) => Some(fraction(&digits).unwrap_or(DataType::Double).into()),
        (None, Dialect::BigQuery) if !is_whole => Some(DataType::Double.into()),
        (None, _) => None,
    }
}

/// The decimal type with as many digits as are written.
fn fraction(text: &str) -> Option<DataType> {
    let (whole, fraction) = text.split_once('.')?;
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let scale = i16::try_from(fraction.len()).ok()?;
    let precision = u16::try_from(whole.len() + fraction.len()).ok()?;
    (precision <= 38).then(|| DataType::decimal(precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(text: &str, dialect: Dialect) -> Option<String> {
        let value = ast::Value::Number(text.to_owned(), false);
        let data_type = literal(&value, dialect)?.settle(dialect)?;
        Some(data_type.in_dialect(dialect).to_string())
    }

    #[test]
    fn numbers_are_as_large_in_duckdb_as_duckdb_makes_them() {
        let connection = ::duckdb::Connection::open_in_memory().unwrap();
        for text in [
            "1",
            "2147483647",
            "2147483648",
            "9223372036854775808",
            "170141183460469231731687303715884105728",
            "340282366920938463463374607431768211456",
            "1.5",
            "0.001",
            ".5",
            "5.",
            "00.5",
            "1_000",
            "1e5",
            "1.5e5",
            "1.23456789012345678901234567890123456789",
        ] {
            let query = format!("SELECT typeof({text})");
            let theirs: String = connection.query_row(&query, [], |row| row.get(0)).unwrap();
            assert_eq!(type_of(text, Dialect::DuckDb), Some(theirs), "{text}");
        }
    }

    #[test]
    fn numbers_are_as_large_in_postgres_as_postgres_makes_them() {
        for (text, expected) in [
            ("1", "integer"),
            ("2147483648", "bigint"),
            ("9223372036854775808", "numeric"),
            ("1.5", "numeric"),
            ("1e5", "numeric"),
        ] {
            assert_eq!(type_of(text, Dialect::Postgres).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_literal_whose_type_depends_on_its_length_is_unknown() {
        let text = Operand::String("abc".into());
        assert_eq!(text.settle(Dialect::Snowflake), None);
        assert_eq!(text.settle(Dialect::BigQuery), Some(DataType::Varchar));
        assert_eq!(type_of("1.5", Dialect::Snowflake), None);
    }
}

//! Types as people read them.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error as _;

use crate::sql::Dialect;
use crate::sql::types::DataType;
use crate::sql::types::parse::is_plain;

/// A type, shown with the names of a dialect.
#[derive(Clone, Copy, Debug)]
pub struct InDialect<'a> {
    data_type: &'a DataType,
    is_postgres: bool,
}

impl DataType {
    /// Shows the type with the names that `dialect` shows: PostgreSQL's own, DuckDB's for the others.
    pub fn in_dialect(&self, dialect: Dialect) -> InDialect<'_> {
        InDialect {
            data_type: self,
            is_postgres: matches!(dialect, Dialect::Postgres | Dialect::Redshift),
        }
    }
}

/// The names that DuckDB shows, which every type can be read back from.
impl fmt::Display for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_dialect(Dialect::DuckDb).fmt(formatter)
    }
}

impl Serialize for DataType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            Self::serialize(self, serializer)
        }
    }
}

impl<'de> Deserialize<'de> for DataType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Self::deserialize(deserializer);
        }
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for InDialect<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_postgres {
            postgres(self.data_type, formatter)
        } else {
            neutral(self.data_type, formatter)
        }
    }
}

fn neutral(data_type: &DataType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = match data_type {
        DataType::Null => "NULL",
        DataType::Boolean => "BOOLEAN",
        DataType::TinyInt => "TINYINT",
        DataType::SmallInt => "SMALLINT",
        DataType::Integer => "INTEGER",
        DataType::BigInt => "BIGINT",
        DataType::HugeInt => "HUGEINT",
        DataType::UTinyInt => "UTINYINT",
        DataType::USmallInt => "USMALLINT",
        DataType::UInteger => "UINTEGER",
        DataType::UBigInt => "UBIGINT",
        DataType::UHugeInt => "UHUGEINT",
        DataType::Float => "FLOAT",
        DataType::Double => "DOUBLE",
        DataType::Decimal { precision, scale } => {
            return write!(formatter, "DECIMAL({precision},{scale})");
        }
        DataType::Numeric => "NUMERIC",
        DataType::Varchar => "VARCHAR",
        DataType::CharVarying(None) => "CHARACTER VARYING",
        DataType::CharVarying(Some(limit)) => {
            return write!(formatter, "CHARACTER VARYING({limit})");
        }
        DataType::Char(length) => return write!(formatter, "CHARACTER({length})"),
        DataType::Blob => "BLOB",
        DataType::Bit => "BIT",
        DataType::Uuid => "UUID",
        DataType::Json => "JSON",
        DataType::Jsonb => "JSONB",
        DataType::Date => "DATE",
        DataType::Time(6) => "TIME",
        DataType::Time(9) => "TIME_NS",
        DataType::Time(digits) => return write!(formatter, "TIME({digits})"),
        DataType::TimeTz(6) => "TIME WITH TIME ZONE",
        DataType::TimeTz(digits) => return write!(formatter, "TIME({digits}) WITH TIME ZONE"),
        DataType::Timestamp(0) => "TIMESTAMP_S",
        DataType::Timestamp(3) => "TIMESTAMP_MS",
        DataType::Timestamp(6) => "TIMESTAMP",
        DataType::Timestamp(9) => "TIMESTAMP_NS",
        DataType::Timestamp(digits) => return write!(formatter, "TIMESTAMP({digits})"),
        DataType::TimestampTz(6) => "TIMESTAMP WITH TIME ZONE",
        DataType::TimestampTz(digits) => {
            return write!(formatter, "TIMESTAMP({digits}) WITH TIME ZONE");
        }
        DataType::Interval => "INTERVAL",
        DataType::Enum(values) => {
            formatter.write_str("ENUM(")?;
            for (at, value) in values.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                write!(formatter, "{comma}'{}'", value.replace('\'', "''"))?;
            }
            ")"
        }
        DataType::List(element) => return write!(formatter, "{element}[]"),
        DataType::Array(element, size) => return write!(formatter, "{element}[{size}]"),
        DataType::Struct(fields) => {
            formatter.write_str("STRUCT(")?;
            write_fields(fields, formatter)?;
            ")"
        }
        DataType::Map(map) => return write!(formatter, "MAP({}, {})", map.0, map.1),
        DataType::Union(members) => {
            formatter.write_str("UNION(")?;
            write_fields(members, formatter)?;
            ")"
        }
        DataType::Other(name) => name,
    };
    formatter.write_str(text)
}

fn write_fields(fields: &[(String, DataType)], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, (name, data_type)) in fields.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        formatter.write_str(comma)?;
        match name.as_str() {
            "" => {}
            name if is_plain(name) => write!(formatter, "{name} ")?,
            name => write!(formatter, "\"{}\" ", name.replace('"', "\"\""))?,
        }
        write!(formatter, "{data_type}")?;
    }
    Ok(())
}

fn postgres(data_type: &DataType, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = match data_type {
        DataType::Null => "unknown",
        DataType::Boolean => "boolean",
        DataType::SmallInt => "smallint",
        DataType::Integer => "integer",
        DataType::BigInt => "bigint",
        DataType::Float => "real",
        DataType::Double => "double precision",
        DataType::Decimal { precision, scale } => {
            return write!(formatter, "numeric({precision},{scale})");
        }
        DataType::Numeric => "numeric",
        DataType::Varchar => "text",
        DataType::CharVarying(None) => "character varying",
        DataType::CharVarying(Some(limit)) => {
            return write!(formatter, "character varying({limit})");
        }
        DataType::Char(length) => return write!(formatter, "character({length})"),
        DataType::Blob => "bytea",
        DataType::Date => "date",
        DataType::Time(6) => "time without time zone",
        DataType::Time(digits) => {
            return write!(formatter, "time({digits}) without time zone");
        }
        DataType::TimeTz(6) => "time with time zone",
        DataType::TimeTz(digits) => return write!(formatter, "time({digits}) with time zone"),
        DataType::Timestamp(6) => "timestamp without time zone",
        DataType::Timestamp(digits) => {
            return write!(formatter, "timestamp({digits}) without time zone");
        }
        DataType::TimestampTz(6) => "timestamp with time zone",
        DataType::TimestampTz(digits) => {
            return write!(formatter, "timestamp({digits}) with time zone");
        }
        DataType::Interval => "interval",
        DataType::Uuid => "uuid",
        DataType::Json => "json",
        DataType::Jsonb => "jsonb",
        DataType::List(element) => {
            postgres(element, formatter)?;
            "[]"
        }
        DataType::Other(name) => return formatter.write_str(&name.to_ascii_lowercase()),
        // PostgreSQL has none of these.
        DataType::TinyInt
        | DataType::HugeInt
        | DataType::UTinyInt
        | DataType::USmallInt
        | DataType::UInteger
        | DataType::UBigInt
        | DataType::UHugeInt
        | DataType::Bit
        | DataType::Enum(_)
        | DataType::Array(..)
        | DataType::Struct(_)
        | DataType::Map(_)
        | DataType::Union(_) => return neutral(data_type, formatter),
    };
    formatter.write_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::types::parse_type;

    #[test]
    fn every_type_is_read_back_from_its_text() {
        for (text, dialect) in [
            ("numeric", Dialect::Postgres),
            ("numeric(1000,-5)", Dialect::Postgres),
            ("varchar", Dialect::Postgres),
            ("varchar(7)", Dialect::Postgres),
            ("char(3)", Dialect::Postgres),
            ("timestamp(2)", Dialect::Postgres),
            ("timestamp(3)", Dialect::Postgres),
            ("timestamptz(2)[]", Dialect::Postgres),
            ("time(2) with time zone", Dialect::Postgres),
            ("jsonb", Dialect::Postgres),
            ("tsvector", Dialect::Postgres),
            ("bit(3)", Dialect::Postgres),
            ("bignumeric", Dialect::BigQuery),
            ("STRUCT<INT64, `a b` STRING>", Dialect::BigQuery),
            ("number", Dialect::Snowflake),
            ("timestamp_ltz(3)", Dialect::Snowflake),
            ("struct<a:int,b:array<string>>", Dialect::Spark),
            ("map(varchar(3), row(x bigint))", Dialect::Trino),
            ("ENUM('a''b', 'c')", Dialect::DuckDb),
            ("UNION(a INT, \"b\"\"c\" TEXT[3])", Dialect::DuckDb),
            ("null[]", Dialect::DuckDb),
            ("time_ns", Dialect::DuckDb),
        ] {
            let data_type = parse_type(text, dialect).unwrap();
            assert_eq!(
                data_type.to_string().parse(),
                Ok(data_type.clone()),
                "{text}"
            );
            let json = serde_json::to_string(&data_type).unwrap();
            assert_eq!(serde_json::from_str::<DataType>(&json).unwrap(), data_type);
        }
    }

    #[test]
    fn postgres_has_names_of_its_own() {
        for (text, expected) in [
            ("int4[]", "integer[]"),
            ("varchar(3)", "character varying(3)"),
            ("text", "text"),
            ("numeric(10,2)", "numeric(10,2)"),
            ("timestamptz", "timestamp with time zone"),
            ("timestamp(3)", "timestamp(3) without time zone"),
            ("float", "double precision"),
            ("tsvector", "tsvector"),
        ] {
            let data_type = parse_type(text, Dialect::Postgres).unwrap();
            assert_eq!(
                data_type.in_dialect(Dialect::Postgres).to_string(),
                expected
            );
        }
    }
}

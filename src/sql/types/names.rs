//! The names of types in each dialect.

use crate::sql::Dialect;
use crate::sql::types::DataType;
use crate::sql::types::parse::Parameter;

/// Whether `word` belongs to the name of a type that starts with `name` (both in lower case).
pub(super) fn continues(name: &str, word: &str) -> bool {
    match word {
        "precision" => name == "double",
        "varying" | "large" => {
            matches!(name, "char" | "character" | "bit" | "binary")
                || name.starts_with("national char")
        }
        "object" => name.ends_with(" large"),
        "char" | "character" | "varchar" => name == "national",
        "unsigned" => matches!(
            name,
            "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "decimal"
        ),
        "with" | "without" => matches!(name, "time" | "timestamp"),
        "local" => name.ends_with(" with"),
        "time" => name.ends_with(" with") || name.ends_with(" without") || name.ends_with(" local"),
        "zone" => name.ends_with(" time"),
        "year" | "month" | "day" | "hour" | "minute" | "second" | "to" => {
            name.starts_with("interval")
        }
        _ => false,
    }
}

/// The type that `name` (in lower case, with single blanks) is in `dialect`.
///
/// The outer `None` is for a name that is not known, the inner one for parameters that the type
/// cannot have. Without a dialect, the names are those that `Display` writes.
pub(super) fn known(
    name: &str,
    parameters: &[Parameter],
    dialect: Option<Dialect>,
) -> Option<Option<DataType>> {
    let Some(dialect) = dialect else {
        return stored(name, parameters).or_else(|| known(name, parameters, Some(Dialect::DuckDb)));
    };
    if let Some(particular) = particular(name, parameters, dialect) {
        return Some(particular);
    }
    let number = number(parameters);
    Some(match name {
        "null" | "unknown" => Some(DataType::Null),
        "boolean" | "bool" => Some(DataType::Boolean),
        "tinyint" => Some(DataType::TinyInt),
        "smallint" | "int2" | "short" => Some(DataType::SmallInt),
        "int" | "integer" | "int4" => Some(DataType::Integer),
        "bigint" | "int8" | "long" => Some(DataType::BigInt),
        "float" | "real" | "float4" => Some(DataType::Float),
        "double" | "double precision" | "float8" => Some(DataType::Double),
        "decimal" | "numeric" | "dec" => decimal(parameters, dialect),
        "text" | "string" => Some(DataType::Varchar),
        "varchar" | "character varying" | "char varying" => Some(match number {
            Some(_) => DataType::CharVarying(number),
            None => DataType::Varchar,
        }),
        "char" | "character" => Some(DataType::Char(number.unwrap_or(1))),
        "blob" | "binary" | "varbinary" | "bytes" => Some(DataType::Blob),
        "uuid" => Some(DataType::Uuid),
        "json" => Some(DataType::Json),
        "date" => Some(DataType::Date),
        "time" | "time without time zone" => Some(DataType::Time(digits(parameters, dialect)?)),
        "time with time zone" | "timetz" => Some(DataType::TimeTz(digits(parameters, dialect)?)),
        "timestamp" | "timestamp without time zone" => {
            Some(DataType::Timestamp(digits(parameters, dialect)?))
        }
        "timestamp with time zone" | "timestamptz" => {
            Some(DataType::TimestampTz(digits(parameters, dialect)?))
        }
        _ => return None,
    })
}

/// What a dialect has for itself, or understands differently from the others.
fn particular(name: &str, parameters: &[Parameter], dialect: Dialect) -> Option<Option<DataType>> {
    match dialect {
        Dialect::DuckDb => duckdb(name, parameters),
        Dialect::Postgres | Dialect::Redshift => postgres(name, parameters, dialect),
        Dialect::Snowflake => snowflake(name, parameters),
        Dialect::BigQuery => bigquery(name, parameters),
        Dialect::Databricks | Dialect::Spark => spark(name),
        Dialect::Trino | Dialect::Athena => None,
        Dialect::ClickHouse => clickhouse(name),
        Dialect::MySql => mysql(name),
        Dialect::Tsql => tsql(name, parameters),
    }
}

fn duckdb(name: &str, parameters: &[Parameter]) -> Option<Option<DataType>> {
    Some(match name {
        "logical" => Some(DataType::Boolean),
        "int1" => Some(DataType::TinyInt),
        "int16" => Some(DataType::SmallInt),
        "int32" | "integral" | "signed" => Some(DataType::Integer),
        "int64" | "oid" => Some(DataType::BigInt),
        "hugeint" | "int128" => Some(DataType::HugeInt),
        "utinyint" | "uint8" => Some(DataType::UTinyInt),
        "usmallint" | "uint16" => Some(DataType::USmallInt),
        "uinteger" | "uint32" => Some(DataType::UInteger),
        "ubigint" | "uint64" => Some(DataType::UBigInt),
        "uhugeint" | "uint128" => Some(DataType::UHugeInt),
        "float" => match number(parameters) {
            Some(25..) => Some(DataType::Double),
            _ => Some(DataType::Float),
        },
        // The length of a text is read and forgotten.
        "varchar"
        | "character varying"
        | "char varying"
        | "char"
        | "character"
        | "bpchar"
        | "nvarchar"
        | "nchar"
        | "national character varying"
        | "national varchar" => Some(DataType::Varchar),
        "bytea" => Some(DataType::Blob),
        "bit" | "bitstring" => Some(DataType::Bit),
        "guid" => Some(DataType::Uuid),
        "time_ns" => Some(DataType::Time(9)),
        "timestamp_s" => Some(DataType::Timestamp(0)),
        "timestamp_ms" => Some(DataType::Timestamp(3)),
        "timestamp_us" => Some(DataType::Timestamp(6)),
        "timestamp_ns" => Some(DataType::Timestamp(9)),
        "timestamp" | "datetime" | "timestamp without time zone" => match number(parameters) {
            None => Some(DataType::Timestamp(6)),
            Some(0) => Some(DataType::Timestamp(0)),
            Some(1..=3) => Some(DataType::Timestamp(3)),
            Some(4..=6) => Some(DataType::Timestamp(6)),
            Some(7..=9) => Some(DataType::Timestamp(9)),
            Some(_) => None,
        },
        "varint" => Some(DataType::Other("BIGNUM".into())),
        _ => return None,
    })
}

fn postgres(name: &str, parameters: &[Parameter], dialect: Dialect) -> Option<Option<DataType>> {
    let number = number(parameters);
    let is_redshift = dialect == Dialect::Redshift;
    Some(match name {
        "serial" => Some(DataType::Integer),
        "bigserial" => Some(DataType::BigInt),
        "float" => match number {
            Some(..25) => Some(DataType::Float),
            _ => Some(DataType::Double),
        },
        "text" if is_redshift => Some(DataType::CharVarying(Some(256))),
        "varchar" | "character varying" | "char varying" | "nvarchar" => match number {
            None if is_redshift => Some(DataType::CharVarying(Some(256))),
            _ => Some(DataType::CharVarying(number)),
        },
        "bytea" | "varbyte" => Some(DataType::Blob),
        "jsonb" => Some(DataType::Jsonb),
        // Not the type that DuckDB calls so: each length is a type.
        "bit" => {
            let length = number.unwrap_or(1);
            Some(DataType::Other(format!("BIT({length})").into()))
        }
        _ => return None,
    })
}

fn snowflake(name: &str, parameters: &[Parameter]) -> Option<Option<DataType>> {
    let number = number(parameters);
    Some(match name {
        "number" => decimal(parameters, Dialect::Snowflake),
        "int" | "integer" | "bigint" | "smallint" | "tinyint" | "byteint" => {
            Some(DataType::decimal(38, 0))
        }
        "float" | "float4" | "real" => Some(DataType::Double),
        "varchar" | "string" | "text" | "nvarchar" | "char varying" | "character varying" => {
            Some(match number {
                None | Some(16_777_216..) => DataType::Varchar,
                Some(_) => DataType::CharVarying(number),
            })
        }
        "char" | "character" | "nchar" => Some(DataType::CharVarying(number.or(Some(1)))),
        // A setting of the account decides which of the three it is.
        "timestamp" => Some(DataType::Other("TIMESTAMP".into())),
        "datetime" | "timestamp_ntz" | "timestampntz" | "timestamp without time zone" => {
            Some(DataType::Timestamp(digits(parameters, Dialect::Snowflake)?))
        }
        "timestamp_tz" | "timestamptz" | "timestamp with time zone" => Some(DataType::TimestampTz(
            digits(parameters, Dialect::Snowflake)?,
        )),
        _ => return None,
    })
}

fn bigquery(name: &str, parameters: &[Parameter]) -> Option<Option<DataType>> {
    Some(match name {
        "int64" | "int" | "integer" | "bigint" | "smallint" | "tinyint" | "byteint" => {
            Some(DataType::BigInt)
        }
        "float64" => Some(DataType::Double),
        "bignumeric" | "bigdecimal" => match parameters {
            [] => Some(DataType::decimal(76, 38)),
            _ => decimal(parameters, Dialect::BigQuery),
        },
        "string" => Some(match number(parameters) {
            None => DataType::Varchar,
            limit => DataType::CharVarying(limit),
        }),
        "datetime" => Some(DataType::Timestamp(6)),
        "timestamp" => Some(DataType::TimestampTz(6)),
        _ => return None,
    })
}

fn spark(name: &str) -> Option<Option<DataType>> {
    Some(match name {
        "byte" => Some(DataType::TinyInt),
        "timestamp" | "timestamp_ltz" => Some(DataType::TimestampTz(6)),
        "timestamp_ntz" => Some(DataType::Timestamp(6)),
        "void" => Some(DataType::Null),
        _ => return None,
    })
}

fn clickhouse(name: &str) -> Option<Option<DataType>> {
    Some(match name {
        "int8" => Some(DataType::TinyInt),
        "int16" => Some(DataType::SmallInt),
        "int32" => Some(DataType::Integer),
        "int64" => Some(DataType::BigInt),
        "int128" => Some(DataType::HugeInt),
        "uint8" => Some(DataType::UTinyInt),
        "uint16" => Some(DataType::USmallInt),
        "uint32" => Some(DataType::UInteger),
        "uint64" => Some(DataType::UBigInt),
        "uint128" => Some(DataType::UHugeInt),
        "float32" => Some(DataType::Float),
        "float64" => Some(DataType::Double),
        _ => return None,
    })
}

fn mysql(name: &str) -> Option<Option<DataType>> {
    Some(match name {
        "tinyint unsigned" => Some(DataType::UTinyInt),
        "smallint unsigned" => Some(DataType::USmallInt),
        "int unsigned" | "integer unsigned" => Some(DataType::UInteger),
        "bigint unsigned" => Some(DataType::UBigInt),
        "real" => Some(DataType::Double),
        _ => return None,
    })
}

fn tsql(name: &str, parameters: &[Parameter]) -> Option<Option<DataType>> {
    Some(match name {
        "bit" => Some(DataType::Boolean),
        "tinyint" => Some(DataType::UTinyInt),
        "float" => Some(match number(parameters) {
            Some(..25) => DataType::Float,
            _ => DataType::Double,
        }),
        "varchar" | "nvarchar" => Some(match parameters {
            [Parameter::Text(_)] => DataType::Varchar,
            _ => DataType::CharVarying(number(parameters).or(Some(1))),
        }),
        "uniqueidentifier" => Some(DataType::Uuid),
        "datetime2" => Some(DataType::Timestamp(digits(parameters, Dialect::Tsql)?)),
        "datetimeoffset" => Some(DataType::TimestampTz(digits(parameters, Dialect::Tsql)?)),
        // Not a time at all.
        "timestamp" => Some(DataType::Other("ROWVERSION".into())),
        _ => return None,
    })
}

/// The names that `Display` writes and that DuckDB reads differently or not at all.
fn stored(name: &str, parameters: &[Parameter]) -> Option<Option<DataType>> {
    let number = number(parameters);
    let digits = number.and_then(|number| u8::try_from(number).ok());
    Some(match name {
        "numeric" => Some(DataType::Numeric),
        "decimal" => {
            let [Parameter::Number(precision), Parameter::Number(scale)] = parameters else {
                return Some(None);
            };
            let precision = u16::try_from(*precision).ok();
            let scale = i16::try_from(*scale).ok();
            precision
                .zip(scale)
                .map(|(precision, scale)| DataType::decimal(precision, scale))
        }
        "character varying" => Some(DataType::CharVarying(number)),
        "character" => number.map(DataType::Char),
        "jsonb" => Some(DataType::Jsonb),
        "bit" if number.is_some() => {
            number.map(|length| DataType::Other(format!("BIT({length})").into()))
        }
        "time" => Some(DataType::Time(digits.unwrap_or(6))),
        "time with time zone" => Some(DataType::TimeTz(digits.unwrap_or(6))),
        "timestamp" => Some(DataType::Timestamp(digits.unwrap_or(6))),
        "timestamp with time zone" => Some(DataType::TimestampTz(digits.unwrap_or(6))),
        _ => return None,
    })
}

fn number(parameters: &[Parameter]) -> Option<u32> {
    match parameters.first()? {
        Parameter::Number(number) => u32::try_from(*number).ok(),
        Parameter::Text(_) => None,
    }
}

/// The digits behind the second that a time has; the outer `None` when they cannot be that many.
fn digits(parameters: &[Parameter], dialect: Dialect) -> Option<u8> {
    match parameters {
        [] => Some(match dialect {
            Dialect::Snowflake => 9,
            Dialect::Trino | Dialect::Athena => 3,
            Dialect::MySql => 0,
            Dialect::Tsql => 7,
            Dialect::DuckDb
            | Dialect::Postgres
            | Dialect::Redshift
            | Dialect::BigQuery
            | Dialect::Databricks
            | Dialect::Spark
            | Dialect::ClickHouse => 6,
        }),
        _ => u8::try_from(number(parameters)?)
            .ok()
            .filter(|digits| *digits <= 12),
    }
}

/// The decimal type with these parameters, or with those that the dialect adds.
fn decimal(parameters: &[Parameter], dialect: Dialect) -> Option<DataType> {
    let largest: u16 = match dialect {
        Dialect::Postgres => 1000,
        Dialect::BigQuery | Dialect::ClickHouse => 76,
        Dialect::MySql => 65,
        Dialect::DuckDb
        | Dialect::Redshift
        | Dialect::Snowflake
        | Dialect::Databricks
        | Dialect::Spark
        | Dialect::Trino
        | Dialect::Athena
        | Dialect::Tsql => 38,
    };
    let (precision, scale) = match parameters {
        [] => match dialect {
            Dialect::Postgres => return Some(DataType::Numeric),
            Dialect::DuckDb => (18, 3),
            Dialect::Redshift | Dialect::Tsql => (18, 0),
            Dialect::Snowflake | Dialect::Trino => (38, 0),
            Dialect::BigQuery => (38, 9),
            Dialect::Databricks | Dialect::Spark | Dialect::Athena | Dialect::MySql => (10, 0),
            Dialect::ClickHouse => return None,
        },
        [Parameter::Number(precision)] => (u16::try_from(*precision).ok()?, 0),
        [Parameter::Number(precision), Parameter::Number(scale)] => {
            (u16::try_from(*precision).ok()?, i16::try_from(*scale).ok()?)
        }
        _ => return None,
    };
    let fits = match dialect {
        Dialect::Postgres => (-1000..=1000).contains(&scale),
        _ => u16::try_from(scale).is_ok_and(|scale| scale <= precision),
    };
    (precision > 0 && precision <= largest && fits).then(|| DataType::decimal(precision, scale))
}

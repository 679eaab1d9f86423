//! What PostgreSQL knows about types: categories, preferred types, casts that it makes by itself.
//!
//! Source: `pg_type` and `pg_cast` of PostgreSQL 15.18.

use crate::sql::types::DataType;

/// A family of types; within one, PostgreSQL casts without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    Array,
    BitString,
    Boolean,
    DateTime,
    Geometric,
    Network,
    Numeric,
    Pseudo,
    Range,
    String,
    Timespan,
    User,
}

/// The category of a type, and whether it is the one that the category prefers.
pub(super) fn category(data_type: &DataType) -> (Category, bool) {
    use DataType as T;
    match data_type {
        T::Boolean => (Category::Boolean, true),
        T::SmallInt | T::Integer | T::BigInt | T::Float | T::Numeric | T::Decimal { .. } => {
            (Category::Numeric, false)
        }
        T::Double => (Category::Numeric, true),
        T::Varchar => (Category::String, true),
        T::CharVarying(_) | T::Char(_) => (Category::String, false),
        T::Date | T::Time(_) | T::TimeTz(_) | T::Timestamp(_) => (Category::DateTime, false),
        T::TimestampTz(_) => (Category::DateTime, true),
        T::Interval => (Category::Timespan, true),
        T::List(_) => (Category::Array, false),
        T::Other(name) => other(name),
        T::Null
        | T::TinyInt
        | T::HugeInt
        | T::UTinyInt
        | T::USmallInt
        | T::UInteger
        | T::UBigInt
        | T::UHugeInt
        | T::Blob
        | T::Bit
        | T::Uuid
        | T::Json
        | T::Jsonb
        | T::Enum(_)
        | T::Array(..)
        | T::Struct(_)
        | T::Map(_)
        | T::Union(_) => (Category::User, false),
    }
}

fn other(name: &str) -> (Category, bool) {
    match name {
        "BPCHAR" | "NAME" => (Category::String, false),
        "OID" => (Category::Numeric, true),
        "MONEY" => (Category::Numeric, false),
        name if name.starts_with("REG") => (Category::Numeric, false),
        "BIT VARYING" => (Category::BitString, true),
        "INET" => (Category::Network, true),
        "CIDR" => (Category::Network, false),
        "BOX" | "CIRCLE" | "LINE" | "LSEG" | "PATH" | "POINT" | "POLYGON" => {
            (Category::Geometric, false)
        }
        "RECORD" => (Category::Pseudo, false),
        name if name.starts_with("BIT(") => (Category::BitString, false),
        name if name.ends_with("RANGE") => (Category::Range, false),
        _ => (Category::User, false),
    }
}

/// Whether PostgreSQL turns `from` into `to` without being asked.
pub(super) fn casts(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    if from == to {
        return true;
    }
    match (from, to) {
        (T::SmallInt, T::Integer | T::BigInt)
        | (T::Integer, T::BigInt)
        | (T::SmallInt | T::Integer | T::BigInt, T::Numeric | T::Float | T::Double)
        | (T::Numeric, T::Float | T::Double)
        | (T::Float, T::Double)
        | (T::Date, T::Timestamp(_) | T::TimestampTz(_))
        | (T::Timestamp(_), T::TimestampTz(_))
        | (T::Time(_), T::TimeTz(_) | T::Interval)
        | (T::CharVarying(_), T::Varchar)
        | (T::Varchar, T::CharVarying(_)) => true,
        (T::Varchar | T::CharVarying(_), T::Other(name)) => {
            matches!(name.as_ref(), "BPCHAR" | "NAME" | "REGCLASS")
        }
        (T::SmallInt | T::Integer | T::BigInt, T::Other(name)) => {
            name.as_ref() == "OID" || name.starts_with("REG")
        }
        (T::Other(name), T::Varchar) => matches!(name.as_ref(), "BPCHAR" | "NAME"),
        (T::Other(name), T::CharVarying(_)) => name.as_ref() == "BPCHAR",
        (T::Other(from), T::Other(to)) => {
            from.starts_with("BIT") && to.starts_with("BIT")
                || matches!(
                    (from.as_ref(), to.as_ref()),
                    ("CIDR", "INET") | ("BPCHAR", "NAME")
                )
        }
        (T::List(from), T::List(to)) => casts(from, to),
        _ => false,
    }
}

/// The type without what a column adds to it: length, precision, digits.
pub(super) fn bare(data_type: &DataType) -> DataType {
    use DataType as T;
    match data_type {
        T::CharVarying(_) => T::CharVarying(None),
        T::Char(_) => T::Other("BPCHAR".into()),
        T::Decimal { .. } => T::Numeric,
        T::Time(_) => T::TIME,
        T::TimeTz(_) => T::TIME_TZ,
        T::Timestamp(_) => T::TIMESTAMP,
        T::TimestampTz(_) => T::TIMESTAMP_TZ,
        T::List(element) => T::list(bare(element)),
        other => other.clone(),
    }
}

/// Whether we know how this type behaves; another may be a domain over a type that we know.
pub(super) fn is_known(data_type: &DataType) -> bool {
    match data_type {
        DataType::Other(name) => other(name).0 != Category::User,
        DataType::List(element) => is_known(element),
        _ => true,
    }
}

//! The types of values.

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

/// The type of a column or of a value; cheap to clone.
///
/// A type that nobody knows is `Option::None` around this, never a guess.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(remote = "Self")] // for formats that nobody reads; the others write its name, see `display.rs`
#[expect(missing_docs, reason = "the names say it")]
pub enum DataType {
    /// A bare NULL, before something gives it a type.
    Null,
    Boolean,
    TinyInt,
    SmallInt,
    Integer,
    BigInt,
    HugeInt,
    UTinyInt,
    USmallInt,
    UInteger,
    UBigInt,
    UHugeInt,
    /// Four bytes.
    Float,
    /// Eight bytes.
    Double,
    Decimal {
        /// Digits in all.
        precision: u16,
        /// Digits behind the point; PostgreSQL allows fewer than none.
        scale: i16,
    },
    /// A decimal number without limits: PostgreSQL's `numeric`.
    Numeric,
    /// Text of any length: DuckDB's `VARCHAR`, PostgreSQL's `text`.
    Varchar,
    /// PostgreSQL's `character varying`, with its limit in characters if it has one.
    CharVarying(Option<u32>),
    /// Text that is filled with blanks up to its length.
    Char(u32),
    Blob,
    Bit,
    Uuid,
    Json,
    /// PostgreSQL's `jsonb`.
    Jsonb,
    Date,
    /// With the digits behind the second: 6 unless said otherwise.
    Time(u8),
    /// With time zone, and with the digits behind the second.
    TimeTz(u8),
    /// Without time zone, with the digits behind the second: 0, 3, 6 and 9 are DuckDB's
    /// `TIMESTAMP_S`, `TIMESTAMP_MS`, `TIMESTAMP` and `TIMESTAMP_NS`.
    Timestamp(u8),
    /// With time zone, and with the digits behind the second.
    TimestampTz(u8),
    Interval,
    Enum(Arc<[String]>),
    List(Arc<Self>),
    /// A list of fixed length.
    Array(Arc<Self>, u32),
    /// The names as they were written; empty for a field without a name.
    Struct(Arc<[(String, Self)]>),
    Map(Arc<(Self, Self)>),
    Union(Arc<[(String, Self)]>),
    /// Another type, by its name; two of them are equal when their names are.
    Other(Arc<str>),
}

impl DataType {
    /// The usual `TIMESTAMP`: microseconds.
    pub const TIMESTAMP: Self = Self::Timestamp(6);
    /// The usual `TIMESTAMP WITH TIME ZONE`: microseconds.
    pub const TIMESTAMP_TZ: Self = Self::TimestampTz(6);
    /// The usual `TIME`: microseconds.
    pub const TIME: Self = Self::Time(6);
    /// The usual `TIME WITH TIME ZONE`: microseconds.
    pub const TIME_TZ: Self = Self::TimeTz(6);

    /// A list of `element`.
    #[must_use]
    pub fn list(element: Self) -> Self {
        Self::List(Arc::new(element))
    }

    /// A map from `key` to `value`.
    #[must_use]
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new((key, value)))
    }

    /// A decimal number with `precision` digits in all and `scale` of them behind the point.
    #[must_use]
    pub fn decimal(precision: u16, scale: i16) -> Self {
        Self::Decimal { precision, scale }
    }

    /// Whether it is a whole number.
    pub fn is_integer(&self) -> bool {
        self.is_signed() || self.is_unsigned()
    }

    /// Whether it is a whole number with a sign.
    pub fn is_signed(&self) -> bool {
        matches!(
            self,
            Self::TinyInt | Self::SmallInt | Self::Integer | Self::BigInt | Self::HugeInt
        )
    }

    /// Whether it is a whole number without a sign.
    pub fn is_unsigned(&self) -> bool {
        matches!(
            self,
            Self::UTinyInt | Self::USmallInt | Self::UInteger | Self::UBigInt | Self::UHugeInt
        )
    }

    /// Whether it is a floating point number.
    pub fn is_floating(&self) -> bool {
        matches!(self, Self::Float | Self::Double)
    }

    /// Whether it is any number.
    pub fn is_numeric(&self) -> bool {
        self.is_integer()
            || self.is_floating()
            || matches!(self, Self::Decimal { .. } | Self::Numeric)
    }

    /// Whether it is text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Varchar | Self::CharVarying(_) | Self::Char(_))
    }

    /// Whether it is a date, a time or both.
    pub fn is_temporal(&self) -> bool {
        matches!(
            self,
            Self::Date
                | Self::Time(_)
                | Self::TimeTz(_)
                | Self::Timestamp(_)
                | Self::TimestampTz(_)
        )
    }

    /// Whether it holds other types.
    pub fn is_nested(&self) -> bool {
        matches!(
            self,
            Self::List(_) | Self::Array(..) | Self::Struct(_) | Self::Map(_) | Self::Union(_)
        )
    }
}

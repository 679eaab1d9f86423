//! Which casts DuckDB makes by itself, and what each costs: the cheapest overload wins.
//!
//! Source: the costs in DuckDB's `src/function/cast_rules.cpp`, corrected where v1.5.6 answers
//! differently; the tests ask it.

use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::in_duckdb::pattern::Family;
use crate::sql::types::in_duckdb::pattern::Pattern;

/// What it costs to give `operand` where `pattern` is wanted; `None` when that is not possible.
pub(super) fn cost(operand: &Operand, pattern: &Pattern) -> Option<u32> {
    match (operand, pattern) {
        (_, Pattern::Any | Pattern::Letter(_)) => Some(ANY),
        (Operand::Null, _) => Some(preference_of_pattern(pattern)),
        (Operand::String(_), Pattern::Exactly(DataType::Varchar)) => Some(1),
        (Operand::String(_), Pattern::Exactly(_)) => Some(20),
        // A text cannot become a type that is not known as a whole.
        (Operand::String(_), _) => None,
        (Operand::Integer(value), Pattern::Exactly(target)) => {
            let natural = natural_type(*value);
            if natural == *target {
                Some(0)
            } else if fits(*value, target) {
                Some(preference(target) - 90)
            } else {
                between(&natural, target)
            }
        }
        (Operand::Integer(value), _) => of_type(&natural_type(*value), pattern),
        (Operand::Typed(from), _) => of_type(from, pattern),
    }
}

/// What it costs to turn `from` into `to` without being asked.
pub(super) fn between(from: &DataType, to: &DataType) -> Option<u32> {
    if from == to {
        return Some(0);
    }
    match (from, to) {
        (DataType::Null, _) => Some(preference(to)),
        (DataType::Decimal { .. }, DataType::Decimal { .. })
        | (DataType::Map(_), DataType::Map(_))
        | (DataType::Enum(_), DataType::Enum(_)) => Some(0),
        (DataType::List(from), DataType::List(to)) => Some(between(from, to)?.saturating_sub(1)),
        (DataType::Array(from, size), DataType::Array(to, wanted)) => {
            let cost = if size == wanted {
                between(from, to)?
            } else {
                return None;
            };
            Some(if cost >= 100 { cost - 1 } else { cost })
        }
        (DataType::Array(from, _), DataType::List(to)) => Some(between(from, to)? + 1),
        (DataType::List(from), DataType::Array(to, _)) => between(from, to),
        (DataType::Struct(from), DataType::Struct(to)) => between_structs(from, to),
        // JSON is a text with a name of its own, and there is a cheap cast between the two.
        (DataType::Json, DataType::Varchar) => Some(1),
        (from, DataType::Json) if *from != DataType::Varchar => Some(NESTED),
        (DataType::Enum(_), DataType::Varchar) => Some(preference(to)),
        (from, DataType::Union(members)) if !matches!(from, DataType::Union(_)) => members
            .iter()
            .filter_map(|(_, member)| between(from, member))
            .min(),
        _ => leads_to(from, to).then(|| preference(to)),
    }
}

fn between_structs(from: &[(String, DataType)], to: &[(String, DataType)]) -> Option<u32> {
    if from.len() != to.len() {
        return None;
    }
    let is_named = |fields: &[(String, DataType)]| fields.iter().all(|(name, _)| !name.is_empty());
    let by_name = is_named(from) && is_named(to);
    let mut most = 0;
    for (at, (name, from)) in from.iter().enumerate() {
        let (_, to) = if by_name {
            to.iter()
                .find(|(other, _)| other.eq_ignore_ascii_case(name))?
        } else {
            to.get(at)?
        };
        most = most.max(between(from, to)?);
    }
    Some(most)
}

fn of_type(from: &DataType, pattern: &Pattern) -> Option<u32> {
    match (from, pattern) {
        (_, Pattern::Exactly(to)) => between(from, to),
        (_, Pattern::Any | Pattern::Letter(_)) => Some(ANY),
        (DataType::Null, _) => Some(preference_of_pattern(pattern)),
        (DataType::Decimal { .. }, Pattern::Decimal) => Some(0),
        (_, Pattern::Decimal) => from.is_integer().then_some(DECIMAL),
        (DataType::List(from), Pattern::List(to)) => Some(of_type(from, to)?.saturating_sub(1)),
        (DataType::Array(from, _), Pattern::List(to)) => Some(of_type(from, to)? + 1),
        (DataType::Array(from, _), Pattern::Array(to)) => of_type(from, to),
        (DataType::Map(map), Pattern::Map(key, value)) => of_type(&map.0, key)
            .and_then(|_| of_type(&map.1, value))
            .map(|_| 0),
        (DataType::List(from), Pattern::Entries(..)) => {
            matches!(from.as_ref(), DataType::Struct(fields) if fields.len() == 2).then_some(0)
        }
        (DataType::Struct(_), Pattern::Family(Family::Struct))
        | (DataType::Union(_), Pattern::Family(Family::Union))
        | (DataType::Map(_), Pattern::Family(Family::Map))
        | (DataType::List(_), Pattern::Family(Family::List))
        | (DataType::Array(..), Pattern::Family(Family::Array))
        | (_, Pattern::Family(Family::Lambda)) => Some(0),
        _ => None,
    }
}

/// Whether a value of type `from` always is a value of the simple type `to`.
fn leads_to(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let further: &[DataType] = match from {
        T::TinyInt => &[T::SmallInt, T::Integer, T::BigInt, T::HugeInt],
        T::SmallInt => &[T::Integer, T::BigInt, T::HugeInt],
        T::Integer => &[T::BigInt, T::HugeInt],
        T::BigInt => &[T::HugeInt],
        T::UTinyInt => &[
            T::USmallInt,
            T::UInteger,
            T::UBigInt,
            T::UHugeInt,
            T::SmallInt,
            T::Integer,
            T::BigInt,
            T::HugeInt,
        ],
        T::USmallInt => &[
            T::UInteger,
            T::UBigInt,
            T::UHugeInt,
            T::Integer,
            T::BigInt,
            T::HugeInt,
        ],
        T::UInteger => &[T::UBigInt, T::UHugeInt, T::BigInt, T::HugeInt],
        T::UBigInt => &[T::UHugeInt, T::HugeInt],
        T::Float => return *to == T::Double,
        T::Decimal { .. } => return to.is_floating(),
        T::Date => return matches!(to, T::Timestamp(_) | T::TimestampTz(_)),
        T::Timestamp(0) => &[T::Timestamp(3), T::Timestamp(6), T::Timestamp(9)],
        T::Timestamp(3) => &[T::Timestamp(6), T::Timestamp(9)],
        T::Timestamp(9) => &[T::Timestamp(6)],
        T::Timestamp(_) => &[T::Timestamp(9), T::TIMESTAMP_TZ],
        _ => &[],
    };
    further.contains(to)
        || from.is_integer() && (to.is_floating() || matches!(to, T::Decimal { .. }))
}

/// The type of a whole number that stands alone.
pub(super) fn natural_type(value: i128) -> DataType {
    // The parser reads the digits without their sign: -2147483648 needs more than 32 bits.
    if value.unsigned_abs() <= 0x7fff_ffff {
        DataType::Integer
    } else if i64::try_from(value).is_ok() {
        DataType::BigInt
    } else {
        DataType::HugeInt
    }
}

/// Whether `value` is one of the values of the number type `target`.
fn fits(value: i128, target: &DataType) -> bool {
    match target {
        DataType::TinyInt => i8::try_from(value).is_ok(),
        DataType::SmallInt => i16::try_from(value).is_ok(),
        DataType::Integer => i32::try_from(value).is_ok(),
        DataType::BigInt => i64::try_from(value).is_ok(),
        DataType::UTinyInt => u8::try_from(value).is_ok(),
        DataType::USmallInt => u16::try_from(value).is_ok(),
        DataType::UInteger => u32::try_from(value).is_ok(),
        DataType::UBigInt => u64::try_from(value).is_ok(),
        DataType::UHugeInt => u128::try_from(value).is_ok(),
        DataType::HugeInt | DataType::Float | DataType::Double => true,
        _ => false,
    }
}

const ANY: u32 = 5;
const DECIMAL: u32 = 105;
const NESTED: u32 = 160;

/// The smaller, the rather DuckDB casts to this type.
fn preference(to: &DataType) -> u32 {
    match to {
        DataType::BigInt => 101,
        DataType::Integer => 102,
        DataType::HugeInt => 103,
        DataType::Double => 104,
        DataType::Decimal { .. } => DECIMAL,
        DataType::Timestamp(9) => 119,
        DataType::Timestamp(6) => 120,
        DataType::Timestamp(3) => 121,
        DataType::Timestamp(0) => 122,
        DataType::TimestampTz(_) => 123,
        DataType::Varchar | DataType::Json => 149,
        other if other.is_nested() => NESTED,
        _ => 110,
    }
}

fn preference_of_pattern(pattern: &Pattern) -> u32 {
    match pattern {
        Pattern::Exactly(to) => preference(to),
        Pattern::Decimal => DECIMAL,
        Pattern::Any | Pattern::Letter(_) => ANY,
        Pattern::List(_)
        | Pattern::Array(_)
        | Pattern::Map(..)
        | Pattern::Entries(..)
        | Pattern::Family(_) => NESTED,
    }
}

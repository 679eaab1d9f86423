//! The type that DuckDB gives to values of different types.
//!
//! Source: the rules of `LogicalType::MaxLogicalType` in DuckDB's `src/common/types.cpp`, corrected
//! where v1.5.6 answers differently; the tests ask it for every pair.

use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::in_duckdb::implicit;
use crate::sql::types::in_duckdb::pattern::Pattern;

/// What happens to types that do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    /// An error.
    No,
    /// The one that can hold more wins: UNION and VALUES do so.
    Yes,
}

/// The type of both; `None` when they do not fit.
pub(super) fn common(left: &Operand, right: &Operand, force: Force) -> Option<Operand> {
    Some(match (left, right) {
        (Operand::Null, Operand::Null) => Operand::Null,
        // Two texts are text; any other type takes a text or a NULL in.
        (Operand::String(_), Operand::String(_) | Operand::Typed(DataType::Enum(_)))
        | (Operand::Typed(DataType::Enum(_)), Operand::String(_)) => DataType::Varchar.into(),
        (Operand::Null, other) | (other, Operand::Null) => settle(other).into(),
        (Operand::String(_), other) | (other, Operand::String(_)) => settle(other).into(),
        (Operand::Integer(one), Operand::Integer(other)) => {
            let one = implicit::natural_type(*one);
            of_types(&one, &implicit::natural_type(*other), force)?.into()
        }
        (Operand::Integer(value), Operand::Typed(other))
        | (Operand::Typed(other), Operand::Integer(value)) => {
            with_literal(*value, other, force)?.into()
        }
        (Operand::Typed(left), Operand::Typed(right)) => of_types(left, right, force)?.into(),
    })
}

/// The type that a literal has alone.
pub(super) fn settle(operand: &Operand) -> DataType {
    match operand {
        Operand::Null => DataType::Null,
        Operand::Integer(value) => implicit::natural_type(*value),
        Operand::String(_) => DataType::Varchar,
        Operand::Typed(data_type) => data_type.clone(),
    }
}

fn with_literal(value: i128, other: &DataType, force: Force) -> Option<DataType> {
    let literal = Operand::Integer(value);
    let pattern = Pattern::Exactly(other.clone());
    let natural = implicit::natural_type(value);
    let is_json = *other == DataType::Json;
    if is_json || other.is_integer() && implicit::cost(&literal, &pattern).is_some() {
        return Some(other.clone());
    }
    of_types(&natural, other, force)
}

/// The type of both; `None` when they do not fit.
pub(super) fn of_types(left: &DataType, right: &DataType, force: Force) -> Option<DataType> {
    if left == right {
        return Some(left.clone());
    }
    match (left, right) {
        // A type with a name of its own wins.
        (DataType::Json, _) | (_, DataType::Json) => return Some(DataType::Json),
        (DataType::Null, other) | (other, DataType::Null) => return Some(other.clone()),
        (DataType::Enum(_), _) => return of_types(&DataType::Varchar, right, force),
        (_, DataType::Enum(_)) => return of_types(left, &DataType::Varchar, force),
        (
            DataType::Decimal { precision, scale },
            DataType::Decimal {
                precision: other_precision,
                scale: other_scale,
            },
        ) => return decimals((*precision, *scale), (*other_precision, *other_scale)),
        (DataType::List(left), DataType::List(right)) => {
            return Some(DataType::list(of_types(left, right, force)?));
        }
        (DataType::Array(left, size), DataType::Array(right, other)) => {
            let element = of_types(left, right, force)?;
            return Some(DataType::Array(element.into(), *size.max(other)));
        }
        (DataType::Map(left), DataType::Map(right)) => {
            let key = of_types(&left.0, &right.0, force)?;
            return Some(DataType::map(key, of_types(&left.1, &right.1, force)?));
        }
        (DataType::Struct(left), DataType::Struct(right)) => return structs(left, right, force),
        (DataType::Union(left_members), DataType::Union(right_members)) => {
            let larger = if right_members.len() > left_members.len() {
                right
            } else {
                left
            };
            return Some(larger.clone());
        }
        _ => {}
    }
    let to_right = implicit::between(left, right);
    let to_left = implicit::between(right, left);
    let target = match (to_right, to_left) {
        (Some(to_right), Some(to_left)) if to_right < to_left => right,
        (_, Some(_)) => left,
        (Some(_), None) => right,
        (None, None) => return unrelated(left, right, force),
    };
    if let DataType::Decimal { precision, scale } = *target {
        let other = if target == left { right } else { left };
        return with_integer(precision, scale, other);
    }
    Some(target.clone())
}

/// A decimal number that has place for a whole number, too.
fn with_integer(precision: u16, scale: i16, other: &DataType) -> Option<DataType> {
    let needed = digits(other)?;
    let whole = precision - scale.unsigned_abs();
    if needed > whole {
        return Some(DataType::decimal(
            (needed + scale.unsigned_abs()).min(38),
            scale,
        ));
    }
    Some(DataType::decimal(precision, scale))
}

fn decimals(left: (u16, i16), right: (u16, i16)) -> Option<DataType> {
    let scale = left.1.max(right.1);
    let whole = |(precision, scale): (u16, i16)| precision.checked_sub(scale.unsigned_abs());
    let whole = whole(left)?.max(whole(right)?);
    let precision = whole + scale.unsigned_abs();
    if precision > 38 {
        return Some(DataType::decimal(38, i16::try_from(38 - whole).ok()?));
    }
    Some(DataType::decimal(precision, scale))
}

/// How many decimal digits a whole number of this type can have.
pub(super) fn digits(data_type: &DataType) -> Option<u16> {
    Some(match data_type {
        DataType::Boolean => 1,
        DataType::TinyInt | DataType::UTinyInt => 3,
        DataType::SmallInt | DataType::USmallInt => 5,
        DataType::Integer | DataType::UInteger => 10,
        DataType::BigInt => 19,
        DataType::UBigInt => 20,
        DataType::HugeInt | DataType::UHugeInt => 38,
        _ => return None,
    })
}

fn structs(
    left: &[(String, DataType)],
    right: &[(String, DataType)],
    force: Force,
) -> Option<DataType> {
    let unnamed = |fields: &[(String, DataType)]| fields.iter().any(|(name, _)| name.is_empty());
    if unnamed(left) || unnamed(right) {
        if left.len() != right.len() {
            return None;
        }
        let names = if unnamed(left) { right } else { left };
        let fields = left.iter().zip(right).zip(names);
        let fields = fields.map(|(((_, left), (_, right)), (name, _))| {
            Some((name.clone(), of_types(left, right, force)?))
        });
        return Some(DataType::Struct(fields.collect::<Option<_>>()?));
    }
    // Fields that only one side has are kept: the other one has NULLs there.
    let mut fields = Vec::new();
    for (name, data_type) in left {
        let other = right
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name));
        let both = match other {
            Some((_, other)) => of_types(data_type, other, force)?,
            None => data_type.clone(),
        };
        fields.push((name.clone(), both));
    }
    for (name, data_type) in right {
        if !left
            .iter()
            .any(|(other, _)| other.eq_ignore_ascii_case(name))
        {
            fields.push((name.clone(), data_type.clone()));
        }
    }
    Some(DataType::Struct(fields.into()))
}

fn unrelated(left: &DataType, right: &DataType, force: Force) -> Option<DataType> {
    if left.is_numeric() && right.is_numeric() {
        return signs(left, right).or_else(|| signs(right, left));
    }
    if *left == DataType::Boolean && right.is_integer() {
        return Some(right.clone());
    }
    if *right == DataType::Boolean && left.is_integer() {
        return Some(left.clone());
    }
    if force == Force::No {
        return None;
    }
    let (left_rank, right_rank) = (rank(left)?, rank(right)?);
    Some(if left_rank < right_rank { right } else { left }.clone())
}

/// The type for a number with a sign and one without.
fn signs(signed: &DataType, unsigned: &DataType) -> Option<DataType> {
    use DataType as T;
    if !signed.is_signed() || !unsigned.is_unsigned() {
        return None;
    }
    Some(match (signed, unsigned) {
        (T::HugeInt, _) => T::Double,
        (T::BigInt, _) | (_, T::UBigInt) => T::HugeInt,
        (T::Integer, _) | (_, T::UInteger) => T::BigInt,
        (T::SmallInt, _) | (_, T::USmallInt) => T::Integer,
        _ => T::SmallInt,
    })
}

/// The type with the higher rank wins where types are forced together.
fn rank(data_type: &DataType) -> Option<u8> {
    use DataType as T;
    Some(match data_type {
        T::Null => 0,
        T::Boolean => 10,
        T::UTinyInt => 11,
        T::TinyInt => 12,
        T::USmallInt => 13,
        T::SmallInt => 14,
        T::UInteger => 15,
        T::Integer => 16,
        T::UBigInt => 17,
        T::BigInt => 18,
        T::UHugeInt => 19,
        T::HugeInt => 20,
        T::Decimal { .. } => 21,
        T::Float => 22,
        T::Double => 23,
        T::Time(9) => 50,
        T::Time(_) | T::TimeTz(_) => 49,
        T::Date => 51,
        T::Timestamp(0) => 52,
        T::Timestamp(3) => 53,
        T::Timestamp(6) | T::TimestampTz(_) => 54,
        T::Timestamp(9) => 55,
        T::Interval => 56,
        T::Varchar => 77,
        T::Bit => 100,
        T::Blob => 101,
        T::Uuid => 102,
        T::Struct(_) => 125,
        T::List(_) | T::Array(..) => 126,
        T::Map(_) => 127,
        T::Union(_) => 150,
        // Not DuckDB's, or in newer versions only.
        T::Timestamp(_)
        | T::Numeric
        | T::CharVarying(_)
        | T::Char(_)
        | T::Json
        | T::Jsonb
        | T::Enum(_)
        | T::Other(_) => return None,
    })
}

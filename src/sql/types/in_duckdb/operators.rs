//! What DuckDB's operators give.

use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::in_duckdb::common;
use crate::sql::types::in_duckdb::common::Force;
use crate::sql::types::in_duckdb::overloads;

/// Most digits that DuckDB computes with in 64 bits.
const SMALL: u16 = 18;
const LARGEST: u16 = 38;

/// The type of `left symbol right`, or of `symbol left`.
pub(super) fn operator(symbol: &str, operands: &[Option<Operand>]) -> Option<Operand> {
    match symbol {
        "||" => return concatenation(operands),
        "->" => return json(DataType::Json, operands),
        "->>" => return json(DataType::Varchar, operands),
        _ => {}
    }
    if let [Some(left), Some(right)] = operands
        && matches!(symbol, "+" | "-" | "*" | "%")
        && let Some(result) = decimals(symbol, left, right)
    {
        return result.map(Operand::from);
    }
    if let [Some(Operand::Typed(operand @ DataType::Decimal { .. }))] = operands
        && matches!(symbol, "+" | "-" | "@")
    {
        return Some(operand.clone().into());
    }
    if symbol == "+" && operands.iter().flatten().any(is_list) {
        let known: Option<Vec<&Operand>> = operands.iter().map(Option::as_ref).collect();
        return lists(&known?);
    }
    overloads::resolve(symbol, operands).map(Operand::from)
}

fn is_list(operand: &Operand) -> bool {
    matches!(
        operand,
        Operand::Typed(DataType::List(_) | DataType::Array(..))
    )
}

/// Decimal numbers among themselves or with whole numbers; the outer `None` is for everything else.
fn decimals(symbol: &str, left: &Operand, right: &Operand) -> Option<Option<DataType>> {
    let is_decimal =
        |operand: &Operand| matches!(operand, Operand::Typed(DataType::Decimal { .. }));
    if *left == Operand::Null && is_decimal(right) || is_decimal(left) && *right == Operand::Null {
        return Some(Some(DataType::Null));
    }
    let size = |operand: &Operand| match common::settle(operand) {
        DataType::Decimal { precision, scale } => Some((precision, scale.unsigned_abs(), true)),
        DataType::Boolean => None,
        other => common::digits(&other).map(|digits| (digits, 0, false)),
    };
    let (left_digits, left_scale, left_is_decimal) = size(left)?;
    let (right_digits, right_scale, right_is_decimal) = size(right)?;
    if !left_is_decimal && !right_is_decimal {
        return None;
    }
    let most = left_digits.max(right_digits);
    let (digits, scale) = if symbol == "*" {
        (left_digits + right_digits, left_scale + right_scale)
    } else {
        let whole = (left_digits - left_scale).max(right_digits - right_scale);
        let scale = left_scale.max(right_scale);
        let carry = u16::from(symbol != "%");
        (whole + scale + carry, scale)
    };
    if scale > LARGEST {
        return Some(None);
    }
    if symbol == "%" && digits > LARGEST {
        return Some(Some(DataType::Double));
    }
    let digits = if digits > SMALL && most <= SMALL && (symbol != "*" || scale < SMALL) {
        SMALL
    } else {
        digits.min(LARGEST)
    };
    let scale = i16::try_from(scale).ok()?;
    Some(Some(DataType::decimal(digits, scale)))
}

/// A part of a JSON value as `part`, or a list of parts for a list of paths.
fn json(part: DataType, operands: &[Option<Operand>]) -> Option<Operand> {
    let path = match operands.get(1)?.as_ref()? {
        Operand::Typed(DataType::List(path)) => {
            return (**path == DataType::Varchar).then(|| DataType::list(part).into());
        }
        path => common::settle(path),
    };
    let is_path = path.is_integer()
        || matches!(
            path,
            DataType::Varchar | DataType::Json | DataType::Null | DataType::Enum(_)
        );
    is_path.then(|| part.into())
}

/// Texts, lists or binary data behind each other.
fn concatenation(operands: &[Option<Operand>]) -> Option<Operand> {
    let [Some(left), Some(right)] = operands else {
        return None;
    };
    if *left == Operand::Null || *right == Operand::Null {
        return Some(Operand::Null);
    }
    if is_list(left) || is_list(right) {
        return lists(&[left, right]);
    }
    let is_blob = |operand: &Operand| *operand == Operand::Typed(DataType::Blob);
    let joined = if is_blob(left) && is_blob(right) {
        DataType::Blob
    } else {
        DataType::Varchar
    };
    Some(joined.into())
}

/// Lists behind each other.
pub(super) fn lists(operands: &[&Operand]) -> Option<Operand> {
    if operands.iter().all(|operand| **operand == Operand::Null) {
        return Some(Operand::Null);
    }
    let mut element = Operand::Null;
    for operand in operands {
        match operand {
            Operand::Null => {}
            Operand::Typed(DataType::List(other) | DataType::Array(other, _)) => {
                let other = other.as_ref().clone().into();
                element = common::common(&element, &other, Force::No)?;
            }
            _ => return None,
        }
    }
    Some(DataType::list(common::settle(&element)).into())
}

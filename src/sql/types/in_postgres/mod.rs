//! The types of PostgreSQL's expressions, by the rules that PostgreSQL itself resolves them with.

mod catalog;
mod common;
mod overloads;
#[cfg(test)]
mod tests;

use crate::sql::Dialect;
use crate::sql::types::Call;
use crate::sql::types::Context;
use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::parse_type;

/// The type of `left symbol right`, or of `symbol left`.
pub(super) fn operator(symbol: &str, operands: &[Option<Operand>]) -> Option<Operand> {
    overloads::operator(symbol, operands).map(Operand::from)
}

/// One type for all of `operands`.
pub(super) fn common(context: Context, operands: &[Option<Operand>]) -> Option<Operand> {
    let known: Option<Vec<&Operand>> = operands.iter().map(Option::as_ref).collect();
    let mut known = known?;
    if context == Context::Case && !known.is_empty() {
        // ELSE counts first.
        known.rotate_right(1);
    }
    common::common(&known)
}

/// The type of `ARRAY[…]` with such elements: an array of arrays is an array with more dimensions.
pub(super) fn array_of(element: DataType) -> Option<DataType> {
    Some(match element {
        DataType::List(_) => element,
        element => DataType::list(element),
    })
}

/// The type that `call` gives.
pub(super) fn function(call: &Call<'_>) -> Option<Operand> {
    let arguments = call.arguments;
    let data_type = match call.name {
        "coalesce" | "greatest" | "least" => return common(Context::Choice, arguments),
        "nullif" => return nullif(arguments),
        "current_date" => DataType::Date,
        "current_time" => DataType::TIME_TZ,
        "current_timestamp" => DataType::TIMESTAMP_TZ,
        "localtime" => DataType::TIME,
        "localtimestamp" => DataType::TIMESTAMP,
        "current_user" | "session_user" | "user" | "current_role" | "current_catalog"
        | "current_schema" => DataType::Other("NAME".into()),
        "grouping" => DataType::Integer,
        "row" => DataType::Other("RECORD".into()),
        "trim" => overloads::function("btrim", arguments)?,
        "char_length" | "character_length" | "position" | "octet_length" | "bit_length" => {
            DataType::Integer
        }
        name if !call.within_group.is_empty() => {
            let mut all = arguments.to_vec();
            all.extend_from_slice(call.within_group);
            overloads::function(name, &all)?
        }
        name => overloads::function(name, arguments).or_else(|| conversion(name, arguments))?,
    };
    Some(data_type.into())
}

/// `text(x)` is a cast when there is no such function.
fn conversion(name: &str, arguments: &[Option<Operand>]) -> Option<DataType> {
    let [Some(_)] = arguments else {
        return None;
    };
    match parse_type(name, Dialect::Postgres)? {
        DataType::Other(_) => None,
        data_type => Some(data_type),
    }
}

/// `NULLIF(a, b)` is `a` as it is compared with `b`, or NULL.
fn nullif(arguments: &[Option<Operand>]) -> Option<Operand> {
    let [Some(first), Some(second)] = arguments else {
        return None;
    };
    let compared = overloads::compared(first, second)?;
    match first {
        Operand::Typed(first) if catalog::bare(first) == compared => Some(first.clone().into()),
        _ => Some(compared.into()),
    }
}

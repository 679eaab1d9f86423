//! What those of DuckDB's functions give that decide it by themselves.

use crate::sql::types::Call;
use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::in_duckdb::aggregates;
use crate::sql::types::in_duckdb::common;
use crate::sql::types::in_duckdb::common::Force;
use crate::sql::types::in_duckdb::nested;
use crate::sql::types::in_duckdb::operators;
use crate::sql::types::in_duckdb::overloads;

/// The type that `call` gives.
pub(super) fn function(call: &Call<'_>) -> Option<Operand> {
    let arguments = call.arguments;
    let data_type = match call.name {
        "coalesce" | "ifnull" | "greatest" | "least" => return choice(arguments),
        "if" => return choice(arguments.get(1..)?),
        "nullif" => settled(arguments, 0)?,
        "constant_or_null" | "struct_position" | "struct_indexof" if has_null(arguments) => {
            DataType::Null
        }
        "constant_or_null" => settled(arguments, 0)?,
        "extract" => {
            return function(&Call {
                name: "date_part",
                ..*call
            });
        }
        "date_part" | "datepart" => date_part(arguments)?,
        "date_add" => return operators::operator("+", arguments),
        "ceil" | "ceiling" | "floor" if is_decimal(arguments) => {
            let DataType::Decimal { precision, .. } = settled(arguments, 0)? else {
                return None;
            };
            DataType::decimal(precision, 0)
        }
        "round" | "trunc" if is_decimal(arguments) => rounded(arguments)?,
        "abs" | "add" | "subtract" | "multiply" | "mod" => {
            let symbol = match call.name {
                "abs" => "@",
                "add" => "+",
                "subtract" => "-",
                "multiply" => "*",
                _ => "%",
            };

            return operators::operator(symbol, arguments);
        }
        "fdiv" | "geomean" | "geometric_mean" => DataType::Double,
        "current_date" => DataType::Date,
        "current_time" => DataType::TIME_TZ,
        "current_timestamp" | "ago" => DataType::TIMESTAMP_TZ,
        "localtime" => DataType::TIME,
        "localtimestamp" => DataType::TIMESTAMP,
        "current_user"
        | "current_role"
        | "current_catalog"
        | "current_schema"
        | "session_user"
        | "user"
        | "split_part"
        | "array_to_string"
        | "array_to_string_comma_default"
        | "regexp_split_to_table"
        | "overlay" => DataType::Varchar,
        "json" | "json_group_array" | "json_group_object" | "json_group_structure" | "->" => {
            DataType::Json
        }
        "days_in_month" | "grouping" | "grouping_id" | "generate_subscripts" => DataType::BigInt,
        "md5_number_lower" | "md5_number_upper" => DataType::UBigInt,
        "substring" | "substr" | "position" | "trim" => {
            return overloads::resolve(call.name, arguments).map(Operand::from);
        }
        "concat" => concat(arguments)?,
        _ => {
            if let Some(known) = nested::function(call) {
                return known;
            }
            if let Some(known) = aggregates::function(call) {
                return known;
            }
            overloads::resolve(call.name, arguments)?
        }
    };
    Some(data_type.into())
}

/// The type that fits all of them.
pub(super) fn choice(operands: &[Option<Operand>]) -> Option<Operand> {
    let (first, others) = operands.split_first()?;
    let mut all = first.clone()?;
    for operand in others {
        all = common::common(&all, operand.as_ref()?, Force::No)?;
    }
    Some(match all {
        Operand::Null => Operand::Null,
        all => common::settle(&all).into(),
    })
}

/// The type of an argument, a literal's own if it is one.
pub(super) fn settled(arguments: &[Option<Operand>], at: usize) -> Option<DataType> {
    arguments.get(at)?.as_ref().map(common::settle)
}

/// Whether a bare NULL is among the arguments.
pub(super) fn has_null(arguments: &[Option<Operand>]) -> bool {
    arguments.contains(&Some(Operand::Null))
}

fn is_decimal(arguments: &[Option<Operand>]) -> bool {
    matches!(
        arguments.first(),
        Some(Some(Operand::Typed(DataType::Decimal { .. })))
    )
}

/// `round(decimal)` and `round(decimal, digits)`, where only a literal says how many digits stay.
fn rounded(arguments: &[Option<Operand>]) -> Option<DataType> {
    let DataType::Decimal { precision, scale } = settled(arguments, 0)? else {
        return None;
    };
    let kept = match arguments.get(1) {
        None => 0,
        Some(Some(Operand::Integer(kept))) => i16::try_from(*kept).ok()?,
        Some(_) => return None,
    };
    Some(if kept < 0 {
        DataType::decimal(precision, 0)
    } else {
        DataType::decimal(precision, kept.min(scale))
    })
}

/// Most parts of a date are whole numbers.
fn date_part(arguments: &[Option<Operand>]) -> Option<DataType> {
    match arguments.first()?.as_ref()? {
        Operand::String(part) => {
            let part = part.to_ascii_lowercase();
            Some(match part.as_str() {
                "epoch" | "julian" => DataType::Double,
                _ => DataType::BigInt,
            })
        }
        Operand::Typed(DataType::Varchar) => Some(DataType::BigInt),
        _ => None,
    }
}

fn concat(arguments: &[Option<Operand>]) -> Option<DataType> {
    let known: Option<Vec<&Operand>> = arguments.iter().map(Option::as_ref).collect();
    let known = known?;
    let is_list = |operand: &&Operand| {
        matches!(
            operand,
            Operand::Typed(DataType::List(_) | DataType::Array(..))
        )
    };
    if known.iter().any(is_list) {
        return match operators::lists(&known)? {
            Operand::Typed(list) => Some(list),
            _ => None,
        };
    }
    Some(DataType::Varchar)
}

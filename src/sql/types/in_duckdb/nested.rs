//! What DuckDB's functions over lists, structs and maps give.

use crate::sql::types::Call;
use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::access;
use crate::sql::types::in_duckdb::aggregates;
use crate::sql::types::in_duckdb::common;
use crate::sql::types::in_duckdb::functions::choice;
use crate::sql::types::in_duckdb::functions::has_null;
use crate::sql::types::in_duckdb::functions::settled;
use crate::sql::types::in_duckdb::operators;

/// The type that `call` gives; the outer `None` when the table of overloads knows.
pub(super) fn function(call: &Call<'_>) -> Option<Option<Operand>> {
    let arguments = call.arguments;
    let first = || settled(arguments, 0);
    let data_type = match call.name {
        "list_value" | "list_pack" if arguments.is_empty() => Some(DataType::list(DataType::Null)),
        "list_value" | "list_pack" => {
            choice(arguments).map(|element| DataType::list(common::settle(&element)))
        }
        "array_value" => array_value(arguments),
        "list_concat" | "array_concat" | "list_cat" | "array_cat" => {
            let lists: Option<Vec<&Operand>> = arguments.iter().map(Option::as_ref).collect();
            return Some(lists.and_then(|lists| operators::lists(&lists)));
        }
        "list_append" | "array_append" | "array_push_back" | "array_push_front" => {
            append(arguments, 0, 1)
        }
        "list_prepend" | "array_prepend" => append(arguments, 1, 0),
        "list_sort" | "array_sort" | "list_reverse_sort" | "array_reverse_sort"
        | "list_grade_up" | "array_grade_up" | "grade_up"
            if has_null(arguments) =>
        {
            Some(DataType::Null)
        }
        "array_pop_back" | "array_pop_front" | "list_reverse" | "array_reverse" | "list_sort"
        | "array_sort" | "list_reverse_sort" | "array_reverse_sort" | "list_filter"
        | "array_filter" | "filter" | "list_resize" | "array_resize" => first().and_then(as_list),
        "list_grade_up" | "array_grade_up" | "grade_up" => first()
            .and_then(as_list)
            .map(|_| DataType::list(DataType::BigInt)),
        "list_transform" | "array_transform" | "list_apply" | "array_apply" | "apply" => {
            settled(arguments, 1).map(DataType::list)
        }
        "list_slice" | "array_slice" => first().and_then(|value| match value {
            DataType::Varchar | DataType::Blob | DataType::Bit => Some(value),
            value => as_list(value),
        }),
        "list_zip" | "array_zip" => zip(arguments),
        "list_aggregate" | "list_aggr" | "array_aggregate" | "array_aggr" | "aggregate" => {
            let [Some(list), Some(Operand::String(name)), further @ ..] = arguments else {
                return Some(None);
            };
            return Some(aggregates::over_list(name, list, further));
        }
        "unnest" | "unlist" => first().and_then(|value| access::element(&value)),
        "row" => fields(call, 0).map(|fields| DataType::Struct(fields.into())),
        "struct_pack" => named_fields(call, 0).map(|fields| DataType::Struct(fields.into())),
        "struct_insert" => first().and_then(|value| match value {
            DataType::Struct(old) => {
                let mut all = old.to_vec();
                all.extend(named_fields(call, 1)?);
                Some(DataType::Struct(all.into()))
            }
            _ => None,
        }),
        "struct_concat" => struct_concat(arguments),
        "struct_extract" | "array_extract" | "struct_extract_at" => match first() {
            Some(DataType::Struct(fields)) => extract(&fields, arguments.get(1)),
            _ => return None,
        },
        "map_concat" => choice(arguments).map(|map| common::settle(&map)),
        "enum_first" | "enum_last" => Some(DataType::Varchar),
        "json_transform" | "json_transform_strict" | "from_json" | "from_json_strict" => None,
        name => {
            let aggregate = aggregates::of_list(name)?;
            let [Some(list), further @ ..] = arguments else {
                return Some(None);
            };
            return Some(aggregates::over_list(aggregate, list, further));
        }
    };
    Some(data_type.map(Operand::from))
}

/// A list, and an array as the list that most functions make of it.
fn as_list(value: DataType) -> Option<DataType> {
    match value {
        DataType::List(_) => Some(value),
        DataType::Array(element, _) => Some(DataType::List(element)),
        _ => None,
    }
}

fn array_value(arguments: &[Option<Operand>]) -> Option<DataType> {
    let size = u32::try_from(arguments.len()).ok()?;
    let element = common::settle(&choice(arguments)?);
    Some(DataType::Array(element.into(), size))
}

fn append(arguments: &[Option<Operand>], list: usize, element: usize) -> Option<DataType> {
    let element = settled(arguments, element)?;
    let one = Operand::Typed(DataType::list(element));
    let joined = operators::lists(&[arguments.get(list)?.as_ref()?, &one])?;
    Some(common::settle(&joined))
}

fn zip(arguments: &[Option<Operand>]) -> Option<DataType> {
    let mut fields = Vec::new();
    for at in 0..arguments.len() {
        match settled(arguments, at)? {
            DataType::List(element) | DataType::Array(element, _) => {
                fields.push((String::new(), element.as_ref().clone()));
            }
            // Whether to cut the longer lists.
            DataType::Boolean if at + 1 == arguments.len() => {}
            _ => return None,
        }
    }
    Some(DataType::list(DataType::Struct(fields.into())))
}

/// The arguments from `from` on as fields of a struct.
fn fields(call: &Call<'_>, from: usize) -> Option<Vec<(String, DataType)>> {
    let mut fields = Vec::new();
    for at in from..call.arguments.len() {
        let name = call.names.get(at).copied().flatten().unwrap_or_default();
        fields.push((name.to_owned(), settled(call.arguments, at)?));
    }
    Some(fields)
}

/// The same, if each has a name.
fn named_fields(call: &Call<'_>, from: usize) -> Option<Vec<(String, DataType)>> {
    let is_named =
        (from..call.arguments.len()).all(|at| call.names.get(at).copied().flatten().is_some());
    if is_named { fields(call, from) } else { None }
}

fn struct_concat(arguments: &[Option<Operand>]) -> Option<DataType> {
    let mut all = Vec::new();
    for at in 0..arguments.len() {
        let DataType::Struct(fields) = settled(arguments, at)? else {
            return None;
        };
        all.extend_from_slice(&fields);
    }
    Some(DataType::Struct(all.into()))
}

/// The field that a literal names or counts.
fn extract(fields: &[(String, DataType)], key: Option<&Option<Operand>>) -> Option<DataType> {
    match key?.as_ref()? {
        Operand::String(name) => access::named(fields, name),
        Operand::Integer(position) => {
            let at = usize::try_from(*position).ok()?.checked_sub(1)?;
            fields.get(at).map(|(_, data_type)| data_type.clone())
        }
        _ => None,
    }
}

//! What those of DuckDB's aggregates give that decide it by themselves.

use crate::sql::types::Call;
use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::in_duckdb::functions;
use crate::sql::types::in_duckdb::functions::settled;
use crate::sql::types::in_duckdb::overloads;

/// The type that `call` gives; the outer `None` when the table of overloads knows.
pub(super) fn function(call: &Call<'_>) -> Option<Option<Operand>> {
    let arguments = call.arguments;
    let data_type = match call.name {
        "any_value" | "arbitrary" | "first" | "last" | "mode" | "first_value" | "last_value"
        | "nth_value" | "fill" => ordered(call, arguments),
        "min" | "max" => match arguments.len() {
            1 => settled(arguments, 0),
            _ => settled(arguments, 0).map(DataType::list),
        },
        "arg_max" | "arg_min" | "argmax" | "argmin" | "max_by" | "min_by" | "arg_max_null"
        | "arg_min_null" | "arg_max_nulls_last" | "arg_min_nulls_last" => match arguments.len() {
            2 => settled(arguments, 0),
            _ => settled(arguments, 0).map(DataType::list),
        },
        "lag" | "lead" => settled(arguments, 0),
        "sum" | "sum_no_overflow" => match settled(arguments, 0) {
            Some(DataType::Decimal { scale, .. }) => Some(DataType::decimal(38, scale)),
            _ => return None,
        },
        "avg" | "mean" => match settled(arguments, 0) {
            Some(DataType::Decimal { .. }) => Some(DataType::Double),
            _ => return None,
        },
        "median" => settled(arguments, 0).and_then(between_two),
        "quantile_cont" => quantile(arguments, 1, settled(arguments, 0).and_then(between_two)),
        "quantile_disc" | "quantile" => quantile(arguments, 1, settled(arguments, 0)),
        "percentile_cont" => quantile(
            arguments,
            0,
            settled(call.within_group, 0).and_then(between_two),
        ),
        "percentile_disc" => quantile(arguments, 0, settled(call.within_group, 0)),
        "mad" => match settled(arguments, 0) {
            Some(data_type @ DataType::Decimal { .. }) => Some(data_type),
            _ => return None,
        },
        "histogram" | "histogram_exact" => histogram(arguments),
        "approx_top_k" => settled(arguments, 0).map(DataType::list),
        "weighted_avg" | "wavg" | "round_even" | "roundbankers" | "fmod" => None,
        _ => return None,
    };
    Some(data_type.map(Operand::from))
}

/// The first argument, or what `WITHIN GROUP` orders.
fn ordered(call: &Call<'_>, arguments: &[Option<Operand>]) -> Option<DataType> {
    if arguments.is_empty() {
        return settled(call.within_group, 0);
    }
    settled(arguments, 0)
}

/// How often each value occurs, or how many lie in each of the bins given.
fn histogram(arguments: &[Option<Operand>]) -> Option<DataType> {
    let key = settled(arguments, 0)?;
    let is_key = |bins: &DataType| matches!(bins, DataType::List(bin) if **bin == key);
    let fits = arguments.len() == 1 || is_key(&settled(arguments, 1)?);
    fits.then(|| DataType::map(key, DataType::UBigInt))
}

/// One value, or a list of them when the fractions at `at` are a list.
fn quantile(arguments: &[Option<Operand>], at: usize, value: Option<DataType>) -> Option<DataType> {
    let value = value?;
    match arguments.get(at) {
        None => Some(value),
        Some(fractions) => match fractions.as_ref()? {
            Operand::Typed(DataType::List(_) | DataType::Array(..)) => Some(DataType::list(value)),
            _ => Some(value),
        },
    }
}

/// The type of what lies between two values.
fn between_two(data_type: DataType) -> Option<DataType> {
    Some(match data_type {
        integer if integer.is_integer() => DataType::Double,
        DataType::Date => DataType::TIMESTAMP,
        DataType::Null => return None,
        // Where nothing lies between two values, one of them is taken.
        same => same,
    })
}

/// The aggregate that `list_…` applies to a list, if the name is that of such a function.
pub(super) fn of_list(name: &str) -> Option<&str> {
    let aggregate = name.strip_prefix("list_")?;
    OF_LISTS.contains(&aggregate).then_some(aggregate)
}

const OF_LISTS: &[&str] = &[
    "any_value",
    "approx_count_distinct",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "count",
    "entropy",
    "first",
    "histogram",
    "kurtosis",
    "kurtosis_pop",
    "last",
    "mad",
    "max",
    "median",
    "min",
    "mode",
    "product",
    "sem",
    "skewness",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
];

/// What `aggregate` gives over the elements of `list`.
pub(super) fn over_list(
    aggregate: &str,
    list: &Operand,
    further: &[Option<Operand>],
) -> Option<Operand> {
    let Operand::Typed(DataType::List(element) | DataType::Array(element, _)) = list else {
        return None;
    };
    let mut arguments = vec![Some(Operand::from(element.as_ref().clone()))];
    arguments.extend_from_slice(further);
    if overloads::overloads(aggregate).is_empty() {
        return None;
    }
    functions::function(&Call {
        name: aggregate,
        arguments: &arguments,
        names: &[],
        within_group: &[],
    })
}

//! What is known about functions by name.
//!
//! A function that stands in neither list may return several rows, or fold all rows into one: a
//! user can define such functions, and engines have many (`unnest`, `explode`, `generate_series`,
//! `json_array_elements`, `regexp_split_to_table`, `COLUMNS`).

/// Whether one call gives one value for one row, in every engine that has it.
pub(super) fn is_scalar(name: &str) -> bool {
    SCALAR.contains(&name) || name.starts_with("list_") && LISTS.contains(&name)
}

/// Whether one call gives one list for one row in DuckDB; elsewhere these return several rows.
pub(super) fn is_list_in_duckdb(name: &str) -> bool {
    matches!(name, "generate_series" | "range")
}

/// Whether a call without OVER folds the rows of a group into one value.
pub(super) fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

#[rustfmt::skip]
const AGGREGATES: &[&str] = &[
    "count", "sum", "avg", "mean", "min", "max", "stddev", "stddev_pop", "stddev_samp", "variance",
    "var_pop", "var_samp", "median", "mode", "quantile", "quantile_cont", "quantile_disc",
    "percentile_cont", "percentile_disc", "approx_count_distinct", "approx_quantile",
    "approx_percentile", "array_agg", "list", "string_agg", "group_concat", "listagg", "bool_and",
    "bool_or", "every", "logical_and", "logical_or", "bit_and", "bit_or", "bit_xor", "corr",
    "covar_pop", "covar_samp", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2",
    "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "any_value", "arbitrary", "first", "last",
    "arg_max", "arg_min", "argmax", "argmin", "max_by", "min_by", "count_if", "countif",
    "count_star", "product", "geomean", "geometric_mean", "histogram", "entropy", "kurtosis",
    "skewness", "mad", "favg", "fsum", "kahan_sum", "sumkahan", "json_group_array",
    "json_group_object", "json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg",
    "object_agg", "collect_list", "collect_set", "hll_count_distinct", "sem", "array_concat_agg",
    "approx_top_k",
];

#[rustfmt::skip]
const LISTS: &[&str] = &[
    "list_value", "list_contains", "list_concat", "list_sort", "list_reverse_sort",
    "list_distinct", "list_unique", "list_extract", "list_element", "list_slice", "list_position",
    "list_transform", "list_filter", "list_reduce", "list_aggregate", "list_sum", "list_avg",
    "list_min", "list_max", "list_count", "list_append", "list_prepend", "list_has",
    "list_has_any", "list_has_all", "list_reverse", "list_zip", "list_first", "list_last",
];

#[rustfmt::skip]
const SCALAR: &[&str] = &[
    // NULLs and choices
    "coalesce", "ifnull", "nullif", "nvl", "nvl2", "if", "iff", "iif", "decode", "greatest",
    "least", "zeroifnull", "nullifzero", "isnull",
    // numbers
    "abs", "sign", "ceil", "ceiling", "floor", "round", "trunc", "truncate", "mod", "div", "power",
    "pow", "sqrt", "cbrt", "exp", "ln", "log", "log2", "log10", "sin", "cos", "tan", "asin",
    "acos", "atan", "atan2", "sinh", "cosh", "tanh", "cot", "degrees", "radians", "pi",
    "factorial", "gcd", "lcm", "isnan", "isinf", "isfinite", "even", "fdiv", "divide", "add",
    "subtract", "multiply", "safe_divide", "div0", "div0null", "width_bucket", "bit_count",
    "to_number", "random", "rand",
    // texts
    "lower", "upper", "lcase", "ucase", "initcap", "length", "len", "char_length",
    "character_length", "octet_length", "strlen", "bit_length", "trim", "ltrim", "rtrim", "btrim",
    "lpad", "rpad", "left", "right", "substr", "substring", "mid", "replace", "translate",
    "concat", "concat_ws", "repeat", "reverse", "position", "strpos", "instr", "charindex",
    "locate", "contains", "starts_with", "startswith", "ends_with", "endswith", "prefix",
    "suffix", "split_part", "split", "string_split", "str_split", "string_to_array",
    "array_to_string", "regexp_replace", "regexp_extract", "regexp_substr",
    "regexp_like", "regexp_full_match", "regexp_contains", "regexp_count", "regexp_instr", "ascii",
    "unicode", "chr", "char", "ord", "format", "printf", "to_char", "to_varchar", "quote_ident",
    "quote_literal", "md5", "sha1", "sha2", "sha256", "sha512", "hash", "xxhash64", "crc32",
    "farm_fingerprint", "md5_number", "base64", "to_base64", "from_base64", "encode", "hex",
    "unhex", "to_hex", "url_encode", "url_decode", "levenshtein", "jaccard", "soundex", "strip_accents",
    "string", "text", "to_json_string",
    // dates and times
    "date", "time", "timestamp", "datetime", "date_trunc", "datetrunc", "date_part", "datepart",
    "date_diff", "datediff", "date_sub", "datesub", "date_add", "dateadd", "add_months",
    "months_between", "last_day", "next_day", "timestamp_trunc", "timestamp_diff",
    "timestamp_add", "timestamp_sub", "timestampdiff", "timestampadd", "datetime_trunc",
    "datetime_diff", "time_bucket", "date_bin", "year", "quarter", "month", "week", "weekofyear",
    "yearweek", "isoyear", "isodow", "dayofweek", "weekday", "dayofmonth", "dayofyear", "day",
    "dayname", "monthname", "hour", "minute", "second", "millisecond", "microsecond", "epoch",
    "epoch_ms", "epoch_us", "epoch_ns", "era", "century", "decade", "strftime", "strptime",
    "try_strptime", "to_date", "try_to_date", "to_timestamp", "try_to_timestamp", "to_time",
    "parse_date", "parse_timestamp", "parse_datetime", "format_date", "format_timestamp",
    "date_format", "from_unixtime", "unix_timestamp", "unix_seconds", "unix_millis", "make_date",
    "make_time", "make_timestamp", "date_from_parts", "timezone", "convert_timezone",
    "from_utc_timestamp", "to_utc_timestamp", "to_days", "to_hours", "to_minutes", "to_seconds",
    "to_months", "to_years", "to_weeks", "interval", "age", "now", "today", "getdate",
    "current_date", "current_time", "current_timestamp", "current_datetime", "localtime",
    "localtimestamp", "sysdate", "clock_timestamp", "statement_timestamp",
    "transaction_timestamp", "get_current_timestamp",
    // types
    "typeof", "pg_typeof", "try_cast", "safe_cast", "convert", "to_decimal", "to_double",
    "to_boolean", "parse_json", "try_parse_json", "to_json", "to_jsonb", "to_variant", "as_json",
    // structures
    "struct_pack", "struct_extract", "struct_insert", "row", "struct", "named_struct", "map",
    "map_from_entries", "map_extract", "map_keys", "map_values", "element_at", "cardinality",
    "array", "array_value", "array_length", "array_size", "array_contains", "array_position",
    "array_append", "array_prepend", "array_cat", "array_concat", "array_distinct", "array_sort",
    "array_slice", "array_extract", "array_join", "array_filter", "array_transform", "size",
    "object_construct", "json_object", "json_array", "json_extract", "json_extract_string",
    "json_extract_scalar", "json_extract_path", "json_extract_path_text", "json_value",
    "json_query", "json_array_length", "json_type", "json_valid", "json_keys", "json_contains",
    "json_build_object", "jsonb_build_object", "json_build_array", "jsonb_build_array",
    "json_typeof", "jsonb_typeof", "get_json_object", "get_path", "get", "jsonb_array_length",
    // identity
    "uuid", "gen_random_uuid", "generate_uuid", "newid", "uuid_string", "uuid_generate_v4",
    "nextval",
];

//! What is known about functions by name.
//!
//! A function that stands in no list may do anything: draw by chance, return several rows, fold all rows into
//! one. Users define functions, and engines have many.

use crate::sql::Dialect;

/// What a call may do besides giving a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sql) enum Family {
    /// One value for one row, the same each time.
    Scalar,
    /// One value for one row, another one each time.
    Volatile,
    /// One value for a group of rows, in whatever order they come. Sums of floating point numbers too, although their
    /// last bits depend on it: nobody builds a table again for these.
    Aggregate,
    /// One value for a group of rows that depends on their order.
    OrderedAggregate,
    /// Needs OVER.
    Window,
    /// Several rows for one.
    Rows,
    /// Nobody knows.
    Unknown,
}

/// What the function `name` (lower case) does, called with so many arguments.
pub(in crate::sql) fn family(name: &str, dialect: Dialect, arguments: usize) -> Family {
    let is_in = |list: &[&str]| list.binary_search(&name).is_ok();
    match name {
        // With one argument, the time since then.
        "age" if arguments == 1 => Family::Volatile,
        "generate_series" | "range" if dialect == Dialect::DuckDb => Family::Scalar,
        _ if is_in(VOLATILE) => Family::Volatile,
        // In Postgres it gives rows.
        "regexp_matches" if dialect != Dialect::DuckDb => Family::Rows,
        _ if is_in(ROWS) => Family::Rows,
        _ if is_in(AGGREGATES) => Family::Aggregate,
        _ if is_in(ORDERED) => Family::OrderedAggregate,
        _ if is_in(WINDOW) => Family::Window,
        _ if is_in(SCALAR) => Family::Scalar,
        _ => Family::Unknown,
    }
}

/// Whether a window function gives rows that tie the same value.
pub(super) fn is_fair_to_ties(name: &str) -> bool {
    matches!(
        name,
        "rank" | "dense_rank" | "rank_dense" | "percent_rank" | "cume_dist"
    )
}

/// Whether the word, unquoted and no column, is a call without brackets: `current_date`.
pub(super) fn is_clock_word(word: &str) -> bool {
    CLOCK_WORDS.binary_search(&word).is_ok()
}

/// Whether an argument is a word of the language, such as the `month` of `dateadd(month, 1, d)`.
pub(super) fn is_word(
    dialect: Dialect,
    name: &str,
    place: usize,
    count: usize,
    word: &str,
) -> bool {
    if dialect == Dialect::BigQuery && name == "week" {
        return word.ends_with("day");
    }
    let is_part = matches!(
        word,
        "year"
            | "quarter"
            | "month"
            | "week"
            | "day"
            | "hour"
            | "minute"
            | "second"
            | "millisecond"
            | "microsecond"
            | "nanosecond"
            | "dayofweek"
            | "dayofyear"
            | "isoweek"
            | "isoyear"
    );
    let first = match name {
        "dateadd" | "datediff" | "date_add" | "date_diff" | "timestampadd" | "timestampdiff" => {
            count == 3
        }
        "date_part" | "datepart" | "datename" | "date_trunc" => count == 2,
        _ => false,
    };
    let last = match name {
        "date_trunc" | "timestamp_trunc" | "datetime_trunc" | "time_trunc" | "last_day" => {
            count == 2
        }
        "date_diff" | "timestamp_diff" | "datetime_diff" | "time_diff" => count == 3,
        _ => false,
    };
    is_part
        && match dialect {
            Dialect::BigQuery => last && place + 1 == count,
            Dialect::Snowflake
            | Dialect::Redshift
            | Dialect::Databricks
            | Dialect::Spark
            | Dialect::MySql
            | Dialect::Tsql => first && place == 0,
            _ => false,
        }
}

/// Whether the function makes fields that have the names of its arguments.
pub(super) fn names_fields(name: &str) -> bool {
    matches!(
        name,
        "struct_pack"
            | "struct_insert"
            | "struct_update"
            | "struct"
            | "row"
            | "to_json"
            | "row_to_json"
            | "json_object"
            | "object_construct"
            | "unpack"
    )
}

/// Whether tables have the column without declaring it.
pub(super) fn is_pseudo_column(name: &str) -> bool {
    matches!(
        name,
        "rowid"
            | "filename"
            | "file_row_number"
            | "file_index"
            | "ctid"
            | "xmin"
            | "xmax"
            | "cmin"
            | "cmax"
            | "tableoid"
            | "_partitiontime"
            | "_partitiondate"
            | "_table_suffix"
            | "_file_name"
            | "$path"
            | "$file_modified_time"
            | "level"
            | "rownum"
    ) || name.starts_with("metadata$")
        || name.starts_with("METADATA$")
        || name.starts_with('_')
}

/// Several rows for one. Sorted.
#[rustfmt::skip]
const ROWS: &[&str] = &[
    "explode", "explode_outer", "flatten_rows", "generate_series", "generate_subscripts", "inline", "inline_outer",
    "json_array_elements", "json_array_elements_text", "json_each", "json_each_text", "json_object_keys",
    "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_each", "jsonb_each_text", "jsonb_object_keys",
    "posexplode", "posexplode_outer", "regexp_split_to_table", "split_to_table", "stack", "string_to_table", "unnest",
];

/// One value for one row, and always the same for the same arguments. Sorted.
#[rustfmt::skip]
const SCALAR: &[&str] = &[
    "abs", "acos", "acosh", "add", "add_months", "age", "aggregate", "alias", "apply", "array", "array_aggr",
    "array_aggregate", "array_append", "array_apply", "array_cat", "array_concat", "array_contains",
    "array_cosine_distance", "array_cosine_similarity", "array_cross_product", "array_distance",
    "array_distinct", "array_dot_product", "array_extract", "array_filter", "array_grade_up", "array_has",
    "array_has_all", "array_has_any", "array_indexof", "array_inner_product", "array_intersect", "array_join",
    "array_length", "array_negative_dot_product", "array_negative_inner_product", "array_pop_back",
    "array_pop_front", "array_position", "array_prepend", "array_push_back", "array_push_front",
    "array_reduce", "array_resize", "array_reverse", "array_reverse_sort", "array_select", "array_size",
    "array_slice", "array_sort", "array_to_json", "array_to_string", "array_to_string_comma_default",
    "array_transform", "array_unique", "array_value", "array_where", "array_zip", "as_json", "ascii", "asin",
    "asinh", "atan", "atan2", "atanh", "bar", "base64", "bin", "bit_count", "bit_length", "bit_position",
    "bitstring", "btrim", "can_cast_implicitly", "cardinality", "cast_to_type", "cbrt", "ceil", "ceiling",
    "century", "char", "char_length", "character_length", "charindex", "chr", "coalesce", "col_description",
    "concat", "concat_ws", "constant_or_null", "contains", "convert", "convert_timezone", "cos", "cosh",
    "cot", "crc32", "create_sort_key", "damerau_levenshtein", "date", "date_add", "date_bin", "date_diff",
    "date_format", "date_from_parts", "date_part", "date_sub", "date_trunc", "dateadd", "datediff",
    "datepart", "datesub", "datetime", "datetime_diff", "datetime_trunc", "datetrunc", "day", "dayname",
    "dayofmonth", "dayofweek", "dayofyear", "days_in_month", "decade", "decode", "degrees", "div", "div0",
    "div0null", "divide", "editdist3", "element_at", "encode", "ends_with", "endswith", "enum_code",
    "enum_first", "enum_last", "enum_range", "enum_range_boundary", "epoch", "epoch_ms", "epoch_ns",
    "epoch_us", "equi_width_bins", "era", "even", "exp", "factorial", "farm_fingerprint", "fdiv", "filter",
    "flatten", "floor", "fmod", "format", "format_bytes", "format_date", "format_pg_type", "format_timestamp",
    "format_type", "from_base64", "from_binary", "from_hex", "from_json", "from_json_strict", "from_unixtime",
    "from_utc_timestamp", "gamma", "gcd", "get", "get_bit", "get_json_object", "get_path", "get_type",
    "grade_up", "greatest", "greatest_common_divisor", "hamming", "hash", "hex", "hour", "icu_sort_key", "if",
    "iff", "ifnull", "iif", "ilike_escape", "initcap", "instr", "interval", "is_histogram_other_bin",
    "isfinite", "isinf", "isnan", "isnull", "isodow", "isoyear", "jaccard", "jaro_similarity",
    "jaro_winkler_similarity", "json", "json_array", "json_array_length", "json_build_array",
    "json_build_object", "json_contains", "json_deserialize_sql", "json_exists", "json_extract",
    "json_extract_path", "json_extract_path_text", "json_extract_scalar", "json_extract_string", "json_keys",
    "json_merge_patch", "json_object", "json_pretty", "json_query", "json_quote", "json_serialize_sql",
    "json_structure", "json_transform", "json_transform_strict", "json_type", "json_typeof", "json_valid",
    "json_value", "jsonb_array_length", "jsonb_build_array", "jsonb_build_object", "jsonb_typeof", "julian",
    "last_day", "lcase", "lcm", "least", "least_common_multiple", "left", "left_grapheme", "len", "length",
    "length_grapheme", "levenshtein", "lgamma", "like_escape", "list_aggr", "list_aggregate", "list_append",
    "list_apply", "list_approx_count_distinct", "list_avg", "list_bit_and", "list_bit_or", "list_bit_xor",
    "list_bool_and", "list_bool_or", "list_cat", "list_concat", "list_contains", "list_cosine_distance",
    "list_cosine_similarity", "list_count", "list_distance", "list_distinct", "list_dot_product",
    "list_element", "list_entropy", "list_extract", "list_filter", "list_first", "list_grade_up", "list_has",
    "list_has_all", "list_has_any", "list_histogram", "list_indexof", "list_inner_product", "list_intersect",
    "list_kurtosis", "list_kurtosis_pop", "list_last", "list_mad", "list_max", "list_median", "list_min",
    "list_mode", "list_negative_dot_product", "list_negative_inner_product", "list_pack", "list_position",
    "list_prepend", "list_product", "list_reduce", "list_resize", "list_reverse", "list_reverse_sort",
    "list_select", "list_sem", "list_skewness", "list_slice", "list_sort", "list_stddev_pop",
    "list_stddev_samp", "list_sum", "list_transform", "list_unique", "list_value", "list_var_pop",
    "list_var_samp", "list_where", "list_zip", "ln", "locate", "log", "log10", "log2", "lower", "lpad",
    "ltrim", "make_date", "make_time", "make_timestamp", "make_timestamp_ms", "make_timestamp_ns",
    "make_timestamptz", "make_type", "map", "map_concat", "map_contains", "map_contains_entry",
    "map_contains_value", "map_entries", "map_extract", "map_extract_value", "map_from_entries", "map_keys",
    "map_to_pg_oid", "map_values", "md5", "md5_number", "md5_number_lower", "md5_number_upper", "microsecond",
    "mid", "millennium", "millisecond", "minute", "mismatches", "mod", "month", "monthname", "months_between",
    "multiply", "named_struct", "nanosecond", "next_day", "nextafter", "nfc_normalize", "normalized_interval",
    "not_ilike_escape", "not_like_escape", "nullif", "nullifzero", "nvl", "nvl2", "obj_description",
    "object_construct", "octet_length", "ord", "parse_date", "parse_datetime", "parse_dirname",
    "parse_dirpath", "parse_filename", "parse_formatted_bytes", "parse_json", "parse_path", "parse_timestamp",
    "pg_typeof", "pi", "position", "pow", "power", "prefix", "printf", "quarter", "quote_ident",
    "quote_literal", "radians", "reduce", "regexp_contains", "regexp_count", "regexp_escape",
    "regexp_extract", "regexp_extract_all", "regexp_full_match", "regexp_instr", "regexp_like",
    "regexp_matches", "regexp_replace", "regexp_split_to_array", "regexp_substr", "remap_struct", "repeat",
    "replace", "replace_type", "reverse", "right", "right_grapheme", "round", "round_even", "roundbankers",
    "row", "row_to_json", "rpad", "rtrim", "safe_cast", "safe_divide", "second", "set_bit", "sha1", "sha2",
    "sha256", "sha512", "shobj_description", "sign", "signbit", "sin", "sinh", "size", "soundex", "split",
    "split_part", "sqrt", "st_asbinary", "st_astext", "st_aswkb", "st_aswkt", "st_crs", "st_geomfromwkb",
    "st_intersects_extent", "st_setcrs", "starts_with", "startswith", "str_split", "str_split_regex",
    "strftime", "string", "string_split", "string_split_regex", "string_to_array", "strip_accents", "strlen",
    "strpos", "strptime", "struct", "struct_concat", "struct_contains", "struct_extract", "struct_extract_at",
    "struct_has", "struct_indexof", "struct_insert", "struct_keys", "struct_pack", "struct_position",
    "struct_update", "struct_values", "substr", "substring", "substring_grapheme", "subtract", "suffix",
    "switch", "tan", "tanh", "text", "time", "time_bucket", "timestamp", "timestamp_add", "timestamp_diff",
    "timestamp_sub", "timestamp_trunc", "timestampadd", "timestampdiff", "timetz_byte_comparable", "timezone",
    "timezone_hour", "timezone_minute", "to_base", "to_base64", "to_binary", "to_boolean", "to_centuries",
    "to_char", "to_date", "to_days", "to_decades", "to_decimal", "to_double", "to_hex", "to_hours", "to_json",
    "to_json_string", "to_jsonb", "to_microseconds", "to_millennia", "to_milliseconds", "to_minutes",
    "to_months", "to_number", "to_quarters", "to_seconds", "to_time", "to_timestamp", "to_utc_timestamp",
    "to_varchar", "to_variant", "to_weeks", "to_years", "translate", "trim", "trunc", "truncate", "try_cast",
    "try_parse_json", "try_strptime", "try_to_date", "try_to_timestamp", "typeof", "ucase", "unbin", "unhex",
    "unicode", "union_extract", "union_tag", "union_value", "unix_millis", "unix_seconds", "upper",
    "url_decode", "url_encode", "uuid_extract_timestamp", "uuid_extract_version", "variant_bytes_to_variant",
    "variant_extract", "variant_normalize", "variant_to_parquet_variant", "variant_typeof", "vector_type",
    "week", "weekday", "weekofyear", "width_bucket", "xor", "xxhash64", "year", "yearweek", "zeroifnull",
];

/// Another value at another time, by chance, or by what the session is. Sorted.
#[rustfmt::skip]
const VOLATILE: &[&str] = &[
    "ago", "clock_timestamp", "connection_id", "curdate", "current_catalog", "current_connection_id",
    "current_database", "current_date", "current_datetime", "current_localtime", "current_localtimestamp",
    "current_query", "current_query_id", "current_role", "current_schema", "current_schemas",
    "current_setting", "current_time", "current_timestamp", "current_transaction_id",
    "current_unix_timestamp", "current_user", "currval", "curtime", "error", "fuzzbits", "gen_random_bytes",
    "gen_random_uuid", "generate_uuid", "generateuuidv4", "get_block_size", "get_current_time",
    "get_current_timestamp", "getdate", "getenv", "getutcdate", "getvariable", "identity", "in_search_path",
    "input_file_name", "json_execute_serialized_sql", "json_serialize_plan", "last_insert_id",
    "last_query_id", "lastval", "list_any_value", "localtime", "localtimestamp",
    "monotonically_increasing_id", "newid", "newsequentialid", "nextval", "normal", "now", "now64",
    "parse_duckdb_log_message", "pg_backend_pid", "pg_conf_load_time", "pg_postmaster_start_time", "pg_sleep",
    "query", "query_table", "rand", "rand32", "rand64", "randconstant", "randf", "randn", "random",
    "random_string", "randomstring", "randstr", "row_number_in_all_blocks", "rownumberinallblocks", "seq1",
    "seq2", "seq4", "seq8", "session_user", "set_config", "setseed", "setval", "sleep", "sleep_ms",
    "spark_partition_id", "statement_timestamp", "stats", "sysdate", "sysdatetime", "sysdatetimeoffset",
    "systimestamp", "sysutcdatetime", "timeofday", "today", "transaction_timestamp", "txid_current",
    "uniform", "unix_timestamp", "user", "utc_date", "utc_time", "utc_timestamp", "uuid", "uuid_generate_v1",
    "uuid_generate_v4", "uuid_string", "uuidv4", "uuidv7", "version", "write_log", "zipf",
];

/// One value for a group, whatever the order of its rows. Sorted.
#[rustfmt::skip]
const AGGREGATES: &[&str] = &[
    "approx_count_distinct", "avg", "bit_and", "bit_or", "bit_xor", "bitstring_agg", "bool_and", "bool_or",
    "corr", "count", "count_if", "count_star", "countif", "covar_pop", "covar_samp", "entropy", "every",
    "favg", "fsum", "geomean", "geometric_mean", "histogram", "histogram_exact", "hll_count_distinct",
    "kahan_sum", "kurtosis", "kurtosis_pop", "logical_and", "logical_or", "mad", "max", "mean", "median",
    "min", "percentile_cont", "percentile_disc", "product", "quantile", "quantile_cont", "quantile_disc",
    "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy",
    "regr_syy", "sem", "skewness", "stddev", "stddev_pop", "stddev_samp", "sum", "sum_no_overflow",
    "sumkahan", "var_pop", "var_samp", "variance", "wavg", "weighted_avg",
];

/// One value for a group that depends on the order of its rows, or on which of several rows that tie is first. Sorted.
#[rustfmt::skip]
const ORDERED: &[&str] = &[
    "any_value", "approx_percentile", "approx_quantile", "approx_top_k", "arbitrary", "arg_max",
    "arg_max_null", "arg_max_nulls_last", "arg_min", "arg_min_null", "arg_min_nulls_last", "argmax", "argmin",
    "array_agg", "array_concat_agg", "array_union_agg", "collect_list", "collect_set", "first",
    "group_concat", "json_agg", "json_arrayagg", "json_group_array", "json_group_object",
    "json_group_structure", "json_object_agg", "json_objectagg", "jsonb_agg", "jsonb_object_agg", "last",
    "list", "listagg", "map_agg", "max_by", "min_by", "mode", "object_agg", "reservoir_quantile",
    "string_agg", "xmlagg",
];

/// Functions that need a window. Sorted.
#[rustfmt::skip]
const WINDOW: &[&str] = &[
    "cume_dist", "dense_rank", "fill", "first_value", "lag", "last_value", "lead", "nth_value", "ntile",
    "percent_rank", "rank", "rank_dense", "row_number",
];

/// Words that stand for a call without brackets. Sorted.
#[rustfmt::skip]
const CLOCK_WORDS: &[&str] = &[
    "current_catalog", "current_date", "current_datetime", "current_role", "current_schema", "current_time", "current_timestamp", "current_user", "localtime", "localtimestamp", "session_user", "sysdate", "systimestamp", "user",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_no_function_is_in_two() {
        let lists = [SCALAR, VOLATILE, AGGREGATES, ORDERED, WINDOW, ROWS];
        for list in lists {
            assert!(list.is_sorted());
        }
        assert!(CLOCK_WORDS.is_sorted());
        let mut all: Vec<&str> = lists.concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}

//! Our answers beside DuckDB's own: for every operator, every function and many types.
//!
//! DuckDB may refuse what we would answer, and we may not know what DuckDB answers. But where both
//! answer, both say the same.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::sql::Dialect;
use crate::sql::types::Call;
use crate::sql::types::Context;
use crate::sql::types::DataType;
use crate::sql::types::Operand;
use crate::sql::types::access;
use crate::sql::types::in_duckdb;
use crate::sql::types::in_duckdb::overloads;
use crate::sql::types::lambda_parameters;
use crate::sql::types::parse_type;

/// Types of columns.
const TYPES: &[&str] = &[
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL(4,1)",
    "DECIMAL(18,3)",
    "DECIMAL(38,0)",
    "DECIMAL(38,10)",
    "VARCHAR",
    "BLOB",
    "BIT",
    "UUID",
    "JSON",
    "DATE",
    "TIME",
    "TIME_NS",
    "TIME WITH TIME ZONE",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP",
    "TIMESTAMP_NS",
    "TIMESTAMP WITH TIME ZONE",
    "INTERVAL",
    "ENUM('a', 'b')",
    "INTEGER[]",
    "TINYINT[]",
    "VARCHAR[]",
    "DATE[]",
    "INTEGER[2]",
    "DOUBLE[3]",
    "INTEGER[][]",
    "STRUCT(a INTEGER, b VARCHAR)",
    "STRUCT(a DOUBLE, b VARCHAR)",
    "MAP(VARCHAR, INTEGER)",
    "UNION(n INTEGER, s VARCHAR)",
];

/// Types that are enough where three or more arguments are combined.
const FEW: &[&str] = &[
    "BIGINT",
    "INTEGER",
    "DOUBLE",
    "VARCHAR",
    "DATE",
    "INTEGER[]",
];

/// Literals as people write them.
const LITERALS: &[&str] = &["1", "300", "-1", "3000000000", "'a'", "NULL", "1.5", "true"];

/// A DuckDB with a table `t` that has one column for each of [`TYPES`].
struct Engine(::duckdb::Connection);

impl Engine {
    fn new() -> Self {
        let connection = ::duckdb::Connection::open_in_memory().unwrap();
        let columns: Vec<String> = TYPES
            .iter()
            .enumerate()
            .map(|(at, data_type)| format!("c{at} {data_type}"))
            .collect();
        let create = format!(
            "CREATE TABLE t ({}); INSERT INTO t DEFAULT VALUES;",
            columns.join(", ")
        );
        connection.execute_batch(&create).unwrap();
        Self(connection)
    }

    /// The type that DuckDB gives to `expression`; `None` when it refuses it.
    fn type_of(&self, expression: &str) -> Option<String> {
        let query = format!("SELECT typeof({expression}) FROM t");
        let mut statement = self.0.prepare(&query).ok()?;
        statement.query_row([], |row| row.get(0)).ok()
    }
}

/// An argument as DuckDB reads it and as we know it.
#[derive(Clone)]
struct Argument {
    text: String,
    operand: Operand,
}

fn column(data_type: &str) -> Argument {
    let at = TYPES.iter().position(|known| *known == data_type);
    let text = match at {
        Some(at) => format!("c{at}"),
        // Not `NULL::type`: DuckDB folds some functions of that away.
        None => format!("(SELECT NULL::{data_type})"),
    };
    let operand = parse_type(data_type, Dialect::DuckDb).unwrap().into();
    Argument { text, operand }
}

fn literal(text: &str) -> Argument {
    let operand = match text {
        "NULL" => Operand::Null,
        "1.5" => DataType::decimal(2, 1).into(),
        "true" => DataType::Boolean.into(),
        "[1, 2]" => DataType::list(DataType::Integer).into(),
        "{'a': 1}" => parse_type("STRUCT(a INTEGER)", Dialect::DuckDb)
            .unwrap()
            .into(),
        text => match text.parse() {
            Ok(number) => Operand::Integer(number),
            Err(_) => Operand::String(text.trim_matches('\'').into()),
        },
    };
    Argument {
        text: text.to_owned(),
        operand,
    }
}

fn arguments(types: &[&str], literals: &[&str]) -> Vec<Argument> {
    let columns = types.iter().map(|data_type| column(data_type));
    columns
        .chain(literals.iter().map(|text| literal(text)))
        .collect()
}

/// What came out when we and DuckDB were asked the same.
#[derive(Default)]
struct Comparison {
    /// The expression, our answer, DuckDB's.
    different: Vec<String>,
    same: usize,
    /// Answered by DuckDB only, by what was called, with an example.
    unknown: BTreeMap<String, (usize, String)>,
}

impl Comparison {
    fn ask(&mut self, engine: &Engine, what: &str, expression: &str, ours: Option<Operand>) {
        let Some(theirs) = engine.type_of(expression) else {
            return;
        };
        let Some(ours) = ours else {
            let (count, example) = self.unknown.entry(what.to_owned()).or_default();
            *count += 1;
            *example = format!("{expression}: {theirs}");
            return;
        };
        let ours = in_duckdb::settle(&ours);
        if parse_type(&theirs, Dialect::DuckDb).as_ref() == Some(&ours) {
            self.same += 1;
        } else {
            self.different
                .push(format!("{expression}: {ours}, but {theirs}"));
        }
    }

    /// Fails if an answer is wrong, or if more than `unknown` of them are missing.
    fn end(self, unknown: usize) {
        let shown = &self.different[..self.different.len().min(400)];
        assert!(
            self.different.is_empty(),
            "{} answers are wrong, {} right:\n{}",
            self.different.len(),
            self.same,
            shown.join("\n")
        );
        let missing: usize = self.unknown.values().map(|(count, _)| count).sum();
        assert!(
            missing <= unknown,
            "{missing} answers are missing, {} are there: {:#?}",
            self.same,
            self.unknown
        );
    }
}

fn readable(argument: &Argument) -> Option<Operand> {
    Some(argument.operand.clone())
}

#[test]
fn operators_give_what_duckdb_says_for_every_pair_of_types() {
    let engine = Engine::new();
    let all = arguments(TYPES, LITERALS);
    let mut comparison = Comparison::default();
    for symbol in [
        "+", "-", "*", "/", "//", "%", "||", "&", "<<", "^", "->>", "->",
    ] {
        for left in &all {
            for right in &all {
                let expression = format!("({} {symbol} {})", left.text, right.text);
                let ours = in_duckdb::operator(symbol, &[readable(left), readable(right)]);
                comparison.ask(&engine, symbol, &expression, ours);
            }
        }
    }
    for symbol in ["+", "-", "~", "@"] {
        for operand in &all {
            let expression = format!("({symbol} ({}))", operand.text);
            let ours = in_duckdb::operator(symbol, &[readable(operand)]);
            comparison.ask(&engine, symbol, &expression, ours);
        }
    }
    comparison.end(0);
}

#[test]
fn choices_lists_and_unions_give_what_duckdb_says_for_every_pair_of_types() {
    let engine = Engine::new();
    let all = arguments(TYPES, LITERALS);
    let mut comparison = Comparison::default();
    for left in &all {
        for right in &all {
            let both = [readable(left), readable(right)];
            let (left, right) = (&left.text, &right.text);
            let mut ask = |context, expression: &str| {
                let ours = in_duckdb::common(context, &both);
                comparison.ask(&engine, &format!("{context:?}"), expression, ours);
            };
            ask(Context::Choice, &format!("coalesce({left}, {right})"));
            ask(
                Context::Case,
                &format!("CASE WHEN c0 THEN {left} ELSE {right} END"),
            );
            ask(Context::Choice, &format!("greatest({left}, {right})"));
            ask(Context::List, &format!("([{left}, {right}])[1]"));
            ask(
                Context::Union,
                &format!("(SELECT x FROM (SELECT {left} AS x UNION ALL SELECT {right}) LIMIT 1)"),
            );
            ask(
                Context::Values,
                &format!("(SELECT x FROM (VALUES ({left}), ({right})) AS v(x) LIMIT 1)"),
            );
        }
    }
    comparison.end(0);
}

/// Functions that stand in no table of DuckDB's, or that are macros.
const MORE_FUNCTIONS: &[(&str, usize)] = &[
    ("coalesce", 2),
    ("ifnull", 2),
    ("if", 3),
    ("nullif", 2),
    ("date_add", 2),
    ("fdiv", 2),
    ("geomean", 1),
    ("split_part", 3),
    ("array_to_string", 2),
    ("days_in_month", 1),
    ("json", 1),
    ("array_append", 2),
    ("array_prepend", 2),
    ("array_push_back", 2),
    ("array_push_front", 2),
    ("array_pop_back", 1),
    ("array_pop_front", 1),
    ("list_append", 2),
    ("list_prepend", 2),
    ("list_reverse", 1),
    ("array_reverse", 1),
    ("list_sum", 1),
    ("list_avg", 1),
    ("list_min", 1),
    ("list_max", 1),
    ("list_count", 1),
    ("list_median", 1),
    ("list_mode", 1),
    ("list_first", 1),
    ("list_last", 1),
    ("list_any_value", 1),
    ("list_string_agg", 1),
    ("list_product", 1),
    ("list_histogram", 1),
    ("json_group_array", 1),
    ("json_group_object", 2),
    ("unnest", 1),
    ("current_date", 0),
    ("current_user", 0),
    ("today", 0),
    ("md5_number_lower", 1),
    ("list_stddev_pop", 1),
    ("list_bool_and", 1),
    ("list_bit_or", 1),
    ("list_entropy", 1),
];

/// These need OVER.
const WINDOW: &[&str] = &[
    "row_number",
    "rank",
    "dense_rank",
    "rank_dense",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
    "fill",
];

#[test]
fn functions_give_what_duckdb_says() {
    let engine = Engine::new();
    let mut comparison = Comparison::default();
    let mut calls: BTreeSet<(String, usize)> = BTreeSet::new();
    for (name, _) in overloads::table() {
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            for overload in overloads::overloads(name) {
                let most = overload.parameters.len() + 2 * usize::from(overload.rest.is_some());
                calls.extend((overload.parameters.len()..=most).map(|n| (name.to_owned(), n)));
            }
        }
    }
    calls.extend(
        MORE_FUNCTIONS
            .iter()
            .map(|(name, n)| ((*name).to_owned(), *n)),
    );
    let all = arguments(TYPES, LITERALS);
    let few = arguments(FEW, &["1", "'year'", "NULL", "1.5", "[1, 2]", "{'a': 1}"]);
    for (name, n) in calls {
        for chosen in choices(&name, n, &all, &few) {
            let first_named = match name.as_str() {
                "struct_pack" => 0,
                "struct_insert" | "struct_update" => 1,
                _ => n,
            };
            let names: Vec<Option<&str>> = (0..n)
                .map(|at| (at >= first_named).then_some(["x", "Y z", "w"][at % 3]))
                .collect();
            let texts: Vec<String> = chosen
                .iter()
                .zip(&names)
                .map(|(argument, name)| match name {
                    Some(name) => format!("\"{name}\" := {}", argument.text),
                    None => argument.text.clone(),
                })
                .collect();
            let over = if WINDOW.contains(&name.as_str()) {
                " OVER ()"
            } else {
                ""
            };
            let expression = format!("{name}({}){over}", texts.join(", "));
            let operands: Vec<Option<Operand>> = chosen.iter().map(readable).collect();
            let ours = in_duckdb::function(&Call {
                name: &name,
                arguments: &operands,
                names: &names,
                within_group: &[],
            });
            // What a function makes of a bare NULL is not worth knowing.
            if ours.is_some() || !operands.contains(&Some(Operand::Null)) {
                comparison.ask(&engine, &name, &expression, ours);
            }
        }
    }
    comparison.end(351);
}

/// The argument lists to try: all types alone, few in pairs, and around each overload if longer.
fn choices(name: &str, n: usize, all: &[Argument], few: &[Argument]) -> Vec<Vec<Argument>> {
    match n {
        0 => vec![Vec::new()],
        1 => all.iter().map(|argument| vec![argument.clone()]).collect(),
        2 if overloads::overloads(name).is_empty() => few
            .iter()
            .flat_map(|left| few.iter().map(|right| vec![left.clone(), right.clone()]))
            .collect(),
        _ => around(name, n, few),
    }
}

fn around(name: &str, n: usize, few: &[Argument]) -> Vec<Vec<Argument>> {
    let mut lists = Vec::new();
    for (_, text) in overloads::table().filter(|(known, _)| *known == name) {
        for overload in text.split(" | ").take(6) {
            let Some((parameters, _)) = overload.split_once(" -> ") else {
                continue;
            };
            let mut types: Vec<&str> = parameters.split(", ").collect();
            if types.len() > n {
                continue;
            }
            while types.len() < n {
                types.push("ANY...");
            }
            let base: Vec<Argument> = types
                .iter()
                .map(|data_type| match data_type.trim_end_matches("...") {
                    "ANY" | "T" | "K" | "V" => column("INTEGER"),
                    "T[]" | "ANY[]" => column("INTEGER[]"),
                    "DECIMAL" => column("DECIMAL(18,3)"),
                    known => match parse_type(known, Dialect::DuckDb) {
                        Some(_) => column(known),
                        None => column("VARCHAR"),
                    },
                })
                .collect();
            for at in 0..n {
                for argument in few {
                    let mut list = base.clone();
                    list[at] = argument.clone();
                    lists.push(list);
                }
            }
        }
    }
    lists
}

#[test]
fn parts_of_values_have_the_types_that_duckdb_says() {
    let engine = Engine::new();
    let all = arguments(TYPES, &["NULL", "'a'"]);
    let indexes = arguments(&["INTEGER", "VARCHAR"], &["1", "'a'", "'b'", "NULL"]);
    let mut comparison = Comparison::default();
    for value in &all {
        for index in &indexes {
            let expression = format!("({})[{}]", value.text, index.text);
            let ours = access::subscript(&value.operand, Some(&index.operand), Dialect::DuckDb);
            comparison.ask(&engine, "subscript", &expression, ours.map(Operand::from));
        }
        let expression = format!("({})[1:2]", value.text);
        let ours = access::slice(&value.operand, Dialect::DuckDb);
        comparison.ask(&engine, "slice", &expression, ours.map(Operand::from));
        if let Operand::Typed(data_type) = &value.operand {
            for name in ["a", "B", "n", "x"] {
                let expression = format!("({}).{name}", value.text);
                let ours = access::field(data_type, name, Dialect::DuckDb);
                comparison.ask(&engine, "field", &expression, ours.map(Operand::from));
            }
        }
    }
    comparison.end(22);
}

#[test]
fn lambdas_get_the_types_that_duckdb_gives_them() {
    let engine = Engine::new();
    let mut comparison = Comparison::default();
    for name in ["list_transform", "array_apply", "apply"] {
        for data_type in ["INTEGER[]", "VARCHAR[]", "DOUBLE[3]", "INTEGER[][]"] {
            let list = column(data_type);
            let given = [Some(list.operand.clone()), None];
            let parameters = lambda_parameters(name, &given, Dialect::DuckDb).unwrap();
            for (at, body) in ["x", "i"].iter().enumerate() {
                let expression = format!("{name}({}, lambda x, i: {body})", list.text);
                let ours = in_duckdb::function(&Call {
                    name,
                    arguments: &[
                        Some(list.operand.clone()),
                        Some(parameters[at].clone().into()),
                    ],
                    names: &[],
                    within_group: &[],
                });
                comparison.ask(&engine, name, &expression, ours);
            }
        }
    }
    assert_eq!(comparison.same, 24);
    comparison.end(0);
}

#[test]
fn the_table_of_overloads_is_what_duckdb_lists() {
    let engine = Engine::new();
    let query = "SELECT DISTINCT function_name, array_to_string(parameter_types, ', ') \
        || coalesce(CASE WHEN len(parameter_types) > 0 THEN ', ' ELSE '' END || varargs || '...', '') \
        || ' -> ' || coalesce(return_type, '?') FROM duckdb_functions() \
        WHERE function_type IN ('scalar', 'aggregate')";
    let mut statement = engine.0.prepare(query).unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let listed: BTreeSet<(String, String)> = rows.map(Result::unwrap).collect();
    for (name, text) in overloads::table() {
        for overload in text.split(" | ") {
            let entry = (name.to_owned(), overload.to_owned());
            assert!(listed.contains(&entry), "{name}: {overload}");
        }
        assert!(!overloads::overloads(name).is_empty());
    }
}

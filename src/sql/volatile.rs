//! Which queries may answer differently each time.

use std::ops::ControlFlow;

use sqlparser::ast::Expr;
use sqlparser::ast::Function;
use sqlparser::ast::FunctionArguments;
use sqlparser::ast::TableFactor;
use sqlparser::ast::Value;
use sqlparser::ast::Visit;
use sqlparser::ast::Visitor;

use crate::sql::columns::function_name;

/// Whether a part of `tree` calls a volatile function or takes a sample.
pub(super) fn is_volatile<V: Visit>(tree: &V) -> bool {
    tree.visit(&mut Volatile).is_break()
}

struct Volatile;

impl Visitor for Volatile {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table {
                sample: Some(_), ..
            }
            | TableFactor::Derived {
                sample: Some(_), ..
            } => ControlFlow::Break(()),
            TableFactor::Table { name, args, .. } if args.is_some() => {
                let name = name.0.last().map(ToString::to_string).unwrap_or_default();
                found(&name.to_lowercase())
            }
            TableFactor::Function { name, .. } => {
                let name = name.0.last().map(ToString::to_string).unwrap_or_default();
                found(&name.to_lowercase())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => {
                let name = function_name(function);
                // With one argument, the time since then.
                if name == "age" && arguments(function) == 1 {
                    return ControlFlow::Break(());
                }
                found(&name)
            }
            // `'now'::timestamp`
            Expr::Cast { expr: inner, .. } => match &**inner {
                Expr::Value(value) if says_today(&value.value) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            },
            Expr::TypedString(typed) if says_today(&typed.value.value) => ControlFlow::Break(()),
            // Some dialects let these stand without brackets, so they look like columns.
            Expr::Identifier(ident) if ident.quote_style.is_none() => {
                let name = ident.value.to_lowercase();
                if WITHOUT_BRACKETS.contains(&name.as_str()) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

fn arguments(function: &Function) -> usize {
    match &function.args {
        FunctionArguments::List(list) => list.args.len(),
        FunctionArguments::None | FunctionArguments::Subquery(_) => 0,
    }
}

fn says_today(value: &Value) -> bool {
    let text = match value {
        Value::SingleQuotedString(text) => text.trim().to_ascii_lowercase(),
        _ => return false,
    };
    ["now", "today", "tomorrow", "yesterday"].contains(&text.as_str())
}

fn found(name: &str) -> ControlFlow<()> {
    if VOLATILE.contains(&name) || WITHOUT_BRACKETS.contains(&name) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

const WITHOUT_BRACKETS: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "current_datetime",
    "localtime",
    "localtimestamp",
    "sysdate",
    "systimestamp",
    "current_user",
    "session_user",
    "user",
    "current_role",
    "current_catalog",
    "current_schema",
];

const VOLATILE: &[&str] = &[
    // chance
    "random",
    "rand",
    "randn",
    "randf",
    "setseed",
    "uuid",
    "uuidv4",
    "uuidv7",
    "gen_random_uuid",
    "uuid_generate_v1",
    "uuid_generate_v4",
    "generate_uuid",
    "uuid_string",
    "newid",
    "newsequentialid",
    "randstr",
    "uniform",
    "normal",
    "zipf",
    "generateuuidv4",
    "rand32",
    "rand64",
    "random_string",
    "fuzzbits",
    "gen_random_bytes",
    "randomstring",
    "randconstant",
    // the clock
    "now",
    "get_current_timestamp",
    "get_current_time",
    "today",
    "getdate",
    "getutcdate",
    "sysdatetime",
    "sysutcdatetime",
    "sysdatetimeoffset",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
    "timeofday",
    "unix_timestamp",
    "utc_timestamp",
    "utc_date",
    "utc_time",
    "curdate",
    "curtime",
    "now64",
    "current_localtime",
    "current_localtimestamp",
    "current_unix_timestamp",
    // sequences and counters
    "nextval",
    "currval",
    "lastval",
    "setval",
    "seq1",
    "seq2",
    "seq4",
    "seq8",
    "monotonically_increasing_id",
    "identity",
    "row_number_in_all_blocks",
    "rownumberinallblocks",
    // the session, and functions that write or sleep
    "current_setting",
    "set_config",
    "txid_current",
    "pg_backend_pid",
    "version",
    "current_database",
    "current_query",
    "current_schemas",
    "connection_id",
    "last_insert_id",
    "last_query_id",
    "pg_sleep",
    "sleep",
    "write_log",
    "getvariable",
    "getenv",
    "input_file_name",
    "spark_partition_id",
    "error",
];

#[cfg(test)]
mod tests {
    use crate::sql::Dialect;
    use crate::sql::Query;

    fn is_volatile(text: &str) -> bool {
        let query = Query::parse(text, Dialect::DuckDb);
        assert_eq!(query.opaque_reason(), None, "{text}");
        query.is_volatile()
    }

    #[test]
    fn chance_clock_and_counters_are_found_at_any_depth() {
        for text in [
            "SELECT random() AS r",
            "SELECT a FROM t WHERE d < (SELECT CURRENT_DATE)",
            "WITH c AS (SELECT nextval('s') AS n) SELECT n FROM c",
            "SELECT a FROM t ORDER BY uuid()",
            "SELECT a FROM t TABLESAMPLE 10 PERCENT",
            "SELECT age(born) AS years FROM t",
            "SELECT 'now'::timestamp AS n",
        ] {
            assert!(is_volatile(text), "{text}");
        }
    }

    #[test]
    fn what_depends_on_the_data_alone_is_not_volatile() {
        for text in [
            "SELECT sum(a) AS s, age(d, e) AS y, 'now' AS word FROM t",
            "SELECT \"current_date\" FROM t",
            "SELECT my_function(a) AS m FROM t",
        ] {
            assert!(!is_volatile(text), "{text}");
        }
        assert!(Query::parse("FROM t POSITIONAL JOIN u", Dialect::DuckDb).is_volatile());
    }
}

//! Grammar that the parser crate does not have: its dialects with our hooks, and rewrites of tokens.
//!
//! A rewrite moves, adds and renames tokens but keeps the places of those that the user wrote, so
//! that names still lead back to the text. Where the tree has no node for a construct it becomes
//! `{fn name(…)}`, a call with `uses_odbc_syntax`: engines that we rewrite for do not read this, so
//! it can never be what a user wrote. Each file says which of these it makes.

mod bigquery;
mod calls;
mod clauses;
mod comprehension;
mod duckdb_dialect;
mod from_first;
mod joins;
mod literals;
mod others;
mod pivot;
mod plain;
mod prefix_alias;
mod redshift;
mod settle;
mod spark;
mod tree;
mod unsupported;

pub(super) use settle::settle;

use sqlparser::ast::Expr;
use sqlparser::ast::Function;
use sqlparser::ast::FunctionArg;
use sqlparser::ast::FunctionArgExpr;
use sqlparser::ast::FunctionArgumentList;
use sqlparser::ast::FunctionArguments;
use sqlparser::ast::Ident;
use sqlparser::ast::ObjectName;
use sqlparser::dialect;
use sqlparser::tokenizer::TokenWithSpan;

use crate::sql::Dialect;

/// The parser's side of a dialect.
pub(super) fn hooks(dialect: Dialect) -> &'static dyn dialect::Dialect {
    match dialect {
        Dialect::DuckDb => &duckdb_dialect::DuckDb,
        Dialect::Postgres => &dialect::PostgreSqlDialect {},
        Dialect::Redshift => &redshift::Redshift,
        Dialect::Snowflake => &dialect::SnowflakeDialect,
        Dialect::BigQuery => &bigquery::BigQuery,
        Dialect::Databricks | Dialect::Spark => &spark::Spark,
        Dialect::Trino | Dialect::Athena => &dialect::GenericDialect,
        Dialect::ClickHouse => &dialect::ClickHouseDialect {},
        Dialect::MySql => &dialect::MySqlDialect {},
        Dialect::Tsql => &dialect::MsSqlDialect {},
    }
}

/// Whether texts stay as they were written: the tokenizer does not know every escape of these
/// dialects, and would make `'\\u00e9'` and `'u00e9'` one text.
pub(super) fn keeps_escapes(dialect: Dialect) -> bool {
    hooks(dialect).supports_string_literal_backslash_escape()
}

/// The tokens that the parser should see in the place of those of the text, and whether their nesting may have
/// changed. Expects one that is not too deep.
///
/// # Errors
///
/// Why nobody here can read what stands in them.
pub(super) fn rewrite(
    tokens: Vec<TokenWithSpan>,
    dialect: Dialect,
) -> Result<(Vec<TokenWithSpan>, bool), &'static str> {
    let mut tokens = literals::rewrite(tokens, dialect)?;
    if dialect == Dialect::DuckDb && plain::is_plain(&tokens) {
        plain::names(&mut tokens);
        return Ok((tokens, false));
    }
    let Some(mut level) = tree::read(&tokens) else {
        return Ok((tokens, false));
    };
    if dialect == Dialect::DuckDb {
        duckdb_level(&mut level, None)?;
    } else {
        others::level(&mut level, None, dialect)?;
    }
    let mut rewritten = Vec::with_capacity(tokens.len());
    tree::write(level, &mut rewritten);
    Ok((rewritten, true))
}

fn duckdb_level(
    level: &mut Vec<tree::Node>,
    before: Option<&tree::Node>,
) -> Result<(), &'static str> {
    for index in 0..level.len() {
        let (left, right) = level.split_at_mut(index);
        if let tree::Node::Group { inner, .. } = &mut right[0] {
            duckdb_level(inner, left.last())?;
        }
        if let Some(call) = comprehension::rewrite(&level[index]) {
            level[index] = call;
        }
    }
    calls::names(level);
    pivot::rewrite(level);
    from_first::rewrite(level, before);
    prefix_alias::rewrite(level);
    joins::rewrite(level);
    calls::rewrite(level);
    unsupported::reason(level).map_or(Ok(()), Err)
}

/// `{fn name(arguments)}` as a tree.
fn marked_call(name: &str, arguments: Vec<Expr>) -> Expr {
    let argument = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    Expr::Function(Function {
        name: ObjectName::from(Ident::new(name)),
        uses_odbc_syntax: true,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(argument).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    mod proof;

    use crate::sql::Dialect;
    use crate::sql::Query;
    use crate::sql::Replacement;
    use crate::sql::TableName;
    use crate::sql::replace_tables;

    fn physical(table: &TableName) -> Option<Replacement> {
        let name = table.plain().replace('.', "_");
        Some(Replacement::Table(TableName::new("phys", &name)))
    }

    /// DuckDB gives the same rows for the text over the tables and for the spliced text over the
    /// tables under their other names, and every table is found.
    fn splices(text: &str, tables: &[&str]) {
        let query = Query::parse(text, Dialect::DuckDb);
        assert_eq!(query.opaque_reason(), None, "{text}");
        let found: Vec<String> = query.tables().iter().map(TableName::plain).collect();
        assert_eq!(found, tables, "{text}");

        let connection = duckdb::Connection::open_in_memory().unwrap();
        let rows = |text: &str| -> String {
            let text = format!(
                "SELECT coalesce(string_agg(r::text, ' ' ORDER BY r::text), '-') FROM ({text}) AS r"
            );
            connection
                .query_row(&text, [], |row| row.get(0))
                .unwrap_or_else(|error| panic!("{text}: {error}"))
        };
        let setup = |a: &str, b: &str| {
            format!(
                "CREATE TABLE {a} AS FROM (VALUES (1, 10, [1, 2]), (2, 20, [3]), (3, NULL, NULL)) t(id, n, l);
                 CREATE TABLE {b} AS FROM (VALUES (1, 'x'), (3, 'y')) t(id, w);"
            )
        };
        connection
            .execute_batch("CREATE SCHEMA s; CREATE SCHEMA phys;")
            .unwrap();
        connection.execute_batch(&setup("s.a", "s.b")).unwrap();
        let before = rows(text);
        connection
            .execute_batch("DROP TABLE s.a; DROP TABLE s.b;")
            .unwrap();
        connection
            .execute_batch(&setup("phys.s_a", "phys.s_b"))
            .unwrap();
        let spliced = replace_tables(text, Dialect::DuckDb, &physical);
        assert_eq!(rows(&spliced), before, "{spliced}");
    }

    #[test]
    fn tables_are_found_and_replaced_in_every_construct() {
        let both = ["s.a", "s.b"];
        for (text, tables) in [
            ("FROM s.a WHERE n > 10", &both[..1]),
            ("FROM s.a SELECT s.a.id, a.n WHERE s.a.n > 10", &both[..1]),
            ("SELECT (FROM s.a SELECT max(n)) AS m FROM s.b", &both[..]),
            (
                "WITH c AS (FROM s.a WHERE n > 1) FROM c WHERE id IN (FROM s.b SELECT id)",
                &both[..],
            ),
            ("SELECT x: s.a.n + 1, y: 2 FROM s.a", &both[..1]),
            (
                "SELECT t.id, u.w FROM t: s.a JOIN u: s.b ON t.id = u.id",
                &both[..],
            ),
            (
                "SELECT [v + s.a.n for v in s.a.l if v > 1] AS c FROM s.a",
                &both[..1],
            ),
            (
                "SELECT [v || t.w FOR v IN ['p']] AS c FROM s.a, (SELECT max(w) AS w FROM s.b) AS t",
                &both[..],
            ),
            ("SELECT a.n, b.w FROM s.a POSITIONAL JOIN s.b", &both[..]),
            (
                "SELECT a.id, b.w FROM s.a ASOF LEFT JOIN s.b ON s.a.id >= s.b.id",
                &both[..],
            ),
            (
                "SELECT a.id, b.w FROM s.a ASOF JOIN s.b USING (id)",
                &both[..],
            ),
            ("TABLE s.a", &both[..1]),
            ("SELECT * FROM (TABLE s.a) AS t", &both[..1]),
            ("PIVOT s.a ON id IN (1, 2) USING sum(n)", &both[..1]),
            (
                "PIVOT s.b ON id IN (1, 3) USING count(*) GROUP BY w",
                &both[1..],
            ),
            ("UNPIVOT s.b ON id INTO NAME k VALUE v", &both[1..]),
            ("SELECT * LIKE 'n%' FROM s.a", &both[..1]),
            (
                "SELECT s.a.id, sum(n) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) AS t FROM s.a",
                &both[..1],
            ),
            (
                "SELECT coalesce(*COLUMNS(['n', 'id'])) AS c FROM s.a",
                &both[..1],
            ),
            ("SELECT id FROM s.a ORDER BY #1 LIMIT 100%", &both[..1]),
            (
                "SELECT id, 1 IN l AS has, n ** 2 AS p, id // 2 AS h FROM s.a",
                &both[..1],
            ),
            (
                "SELECT count(*) FILTER (n > 10) AS c FROM s.a SEMI JOIN s.b ON a.id = b.id",
                &both[..],
            ),
            (
                "WITH c AS MATERIALIZED (SELECT * FROM s.a) SELECT w.upper() AS u FROM c JOIN s.b USING (id)",
                &both[..],
            ),
            (
                "SELECT list_transform(l, lambda v: v + s.a.id) AS k, list_filter(l, v -> v > 1) AS f FROM s.a",
                &both[..1],
            ),
            ("SELECT COLUMNS(* EXCLUDE (l)) FROM s.a", &both[..1]),
            (
                "SELECT * EXCLUDE (l) RENAME (n AS m) FROM s.a UNION ALL BY NAME SELECT id FROM s.b",
                &both[..],
            ),
        ] {
            splices(text, tables);
        }
    }

    #[test]
    fn what_changes_the_meaning_changes_the_print() {
        for (left, right) in [
            ("FROM a POSITIONAL JOIN b", "FROM a CROSS JOIN b"),
            (
                "FROM a ASOF JOIN b USING (x)",
                "FROM a ASOF LEFT JOIN b USING (x)",
            ),
            ("FROM a ASOF JOIN b USING (x)", "FROM a JOIN b USING (x)"),
            (
                "SELECT [v FOR v IN l] FROM a",
                "SELECT [v FOR v IN l IF v] FROM a",
            ),
            ("SELECT * LIKE 'x' FROM a", "SELECT * ILIKE 'x' FROM a"),
            ("SELECT * FROM a LIMIT 10", "SELECT * FROM a LIMIT 10%"),
            ("SELECT #1 FROM a", "SELECT 1 FROM a"),
            (
                "PIVOT a ON x USING sum(y)",
                "PIVOT a ON x USING sum(y) GROUP BY z",
            ),
            (
                "SELECT sum(x) OVER (ORDER BY y ROWS 1 PRECEDING EXCLUDE TIES) FROM a",
                "SELECT sum(x) OVER (ORDER BY y ROWS 1 PRECEDING) FROM a",
            ),
        ] {
            let [left, right] = [left, right].map(|text| Query::parse(text, Dialect::DuckDb));
            assert_eq!(left.opaque_reason(), None, "{}", left.text());
            assert_ne!(left.printed(), right.printed());
            assert_ne!(left.canonical(&|_| None), right.canonical(&|_| None));
        }
    }

    #[test]
    fn an_arrow_is_a_lambda_only_where_a_function_takes_one() {
        let tables = |text: &str| Query::parse(text, Dialect::DuckDb).printed();
        // Both print as they are written; the first reads the column `j`.
        assert_eq!(
            tables("SELECT j -> 'a' ->> 'b', list_filter(l, x -> x > 1) FROM t").as_deref(),
            Some("SELECT j -> 'a' ->> 'b', list_filter(l, x -> x > 1) FROM t")
        );
    }

    #[test]
    fn long_and_deep_texts_take_little_time_and_stack() {
        let n = 2_000;
        let texts = [
            format!("SELECT {}1", "#1, ".repeat(n)),
            format!("SELECT {}1", "x: 1, ".repeat(n)),
            format!("SELECT {}1", "* LIKE 'x', ".repeat(n)),
            format!("SELECT {}1", "a ~~~ b, ".repeat(n)),
            format!("SELECT f({}1)", "*COLUMNS(a), ".repeat(n)),
            format!(
                "SELECT {}1",
                "sum(x) OVER (ORDER BY y EXCLUDE TIES), ".repeat(n)
            ),
            format!("SELECT {}1", "[x FOR x IN l IF x], ".repeat(n)),
            format!("SELECT {}1", "f(x) FILTER (y > 1), ".repeat(n)),
            format!("FROM a{}", " ASOF JOIN b USING (x)".repeat(n)),
            format!("FROM a{}", " POSITIONAL JOIN b".repeat(n)),
            format!("FROM {}a", "x: a, ".repeat(n)),
            format!("SELECT 1{}", " ** 2".repeat(n)),
            format!("SELECT 1{}", " IN l".repeat(n)),
            format!("SELECT {}1", "lambda x: ".repeat(n)),
            format!("SELECT {}1{}", "[x FOR x IN ".repeat(n), "]".repeat(n)),
            format!("{}a{}", "FROM (".repeat(n), ")".repeat(n)),
            format!("FROM a {}", "UNION ALL FROM a ".repeat(n)),
            format!("{}a", "TABLE ".repeat(n)),
            format!("{}a", "PIVOT ".repeat(n)),
            format!("VALUES {}1", "1, ".repeat(n)),
            format!("SELECT CAST(a AS {}INT)", "ARRAY(INT) ".repeat(n)),
            format!("SELECT {}'b'", "'a' ".repeat(n)),
        ];
        for text in texts {
            for dialect in [Dialect::DuckDb, Dialect::Trino] {
                let query = Query::parse(&text, dialect);
                query.canonical(&|_| None);
            }
        }
    }
}

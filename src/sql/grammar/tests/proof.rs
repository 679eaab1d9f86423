//! DuckDB's own parser as the witness that its statements are understood as it understands them.

use std::ops::ControlFlow;
use std::path::PathBuf;

use sqlparser::ast::Expr;
use sqlparser::ast::Query;
use sqlparser::ast::visit_expressions_mut;

use crate::sql::Dialect;
use crate::sql::parse;

fn statements(name: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/sql")
        .join(name);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut statements = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        statements.extend(text.split(";\n").map(|text| text.trim().to_owned()));
    }
    statements.retain(|text| !text.is_empty());
    statements
}

/// Brackets around every operand, so that the text says how the tree is built.
fn with_brackets(mut tree: Query) -> String {
    let _: ControlFlow<()> = visit_expressions_mut(&mut tree, |expr| {
        if matches!(
            expr,
            Expr::BinaryOp { .. }
                | Expr::UnaryOp { .. }
                | Expr::Like { .. }
                | Expr::ILike { .. }
                | Expr::SimilarTo { .. }
                | Expr::Between { .. }
                | Expr::InList { .. }
                | Expr::InSubquery { .. }
                | Expr::IsNull(_)
                | Expr::IsNotNull(_)
                | Expr::IsTrue(_)
                | Expr::IsNotTrue(_)
                | Expr::IsDistinctFrom(..)
                | Expr::IsNotDistinctFrom(..)
                | Expr::AnyOp { .. }
                | Expr::AllOp { .. }
                | Expr::AtTimeZone { .. }
                | Expr::Collate { .. }
        ) {
            let inner = std::mem::replace(expr, Expr::Tuple(Vec::new()));
            *expr = Expr::Nested(Box::new(inner));
        }
        ControlFlow::Continue(())
    });
    tree.to_string()
}

/// DuckDB's tree without the places.
fn tree(connection: &duckdb::Connection, text: &str) -> Result<String, String> {
    let json: String = connection
        .query_row("SELECT json_serialize_sql(?::VARCHAR)", [text], |row| {
            row.get(0)
        })
        .map_err(|error| error.to_string())?;
    let mut value: serde_json::Value = serde_json::from_str(&json).unwrap();
    if value["error"] == true {
        return Err(value["error_message"].to_string());
    }
    without_places(&mut value);
    Ok(value.to_string())
}

fn without_places(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.remove("query_location");
            fields.values_mut().for_each(without_places);
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(without_places),
        _ => {}
    }
}

/// What json cannot hold (statements that create types first) and what has our marks is left out.
#[test]
fn duckdb_reads_the_print_as_it_reads_the_text() {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let mut checked = 0;
    let folders = ["duckdb", "common", "tpch", "tpcds"];
    for text in folders.into_iter().flat_map(statements) {
        let (Ok(ours), Ok(theirs)) = (
            parse::parse(&text, Dialect::DuckDb),
            tree(&connection, &text),
        ) else {
            continue;
        };
        let printed = ours.to_string();
        if printed.contains("{fn ") || printed.contains("CROSS APPLY") {
            continue;
        }
        for print in [printed, with_brackets(ours)] {
            assert_eq!(
                tree(&connection, &print).as_ref(),
                Ok(&theirs),
                "{text}\n{print}"
            );
        }
        checked += 1;
    }
    assert!(checked > 550, "{checked}");
}

//! Stories that are told on each engine: the same files, the same questions, the same rows.
//!
//! What such a story says in SQL is read alike by DuckDB and PostgreSQL.

use crate::workspace::Workspace;

/// Each story once with DuckDB as the warehouse and once with PostgreSQL, as `duckdb::…` and `postgres::…`.
macro_rules! on_both_engines {
    ($($story:ident),+ $(,)?) => {
        mod duckdb {
            $(#[test]
            fn $story() {
                super::$story();
            })+
        }
        mod postgres {
            $(#[test]
            fn $story() {
                crate::workspace::on_postgres(super::$story);
            })+
        }
    };
}

pub(crate) use on_both_engines;

/// The columns of a view or table, in order.
#[track_caller]
pub(crate) fn columns(workspace: &Workspace, name: &str) -> Vec<String> {
    let (schema, table) = name.split_once('.').unwrap();
    let sql = format!(
        "SELECT column_name FROM information_schema.columns
         WHERE table_schema = '{schema}' AND table_name = '{table}' ORDER BY ordinal_position"
    );
    let rows = workspace.rows(&sql).into_iter();
    rows.map(|row| row[0].clone()).collect()
}

/// What `check_intervals` says is missing of a model, ready or not: starts and ends.
#[track_caller]
pub(crate) fn missing(workspace: &Workspace, model: &str, now: &str) -> serde_json::Value {
    let ended = workspace.run(&[
        "check_intervals",
        "--no-signals",
        "--execution-time",
        now,
        "--format",
        "json",
    ]);
    let told: serde_json::Value = serde_json::from_str(&ended.fine().stdout).unwrap();
    let models = told["missing"].as_array().unwrap();
    let found = models.iter().find(|entry| entry["name"] == model);
    found.map_or_else(|| serde_json::json!([]), |entry| entry["intervals"].clone())
}

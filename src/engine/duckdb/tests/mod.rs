//! Statements and transactions, on a real database.

mod catalogs;
mod files;

use std::path::Path;

use serde_json::json;

use super::*;
use crate::engine::ConnectionConfig;
use crate::engine::connect;

async fn memory() -> Arc<dyn EngineAdapter> {
    connect(&ConnectionConfig::DuckDb(DuckDbConfig::new(
        DuckDbDatabase::Memory,
    )))
    .await
    .unwrap()
}

fn file(path: &Path) -> DuckDbConfig {
    DuckDbConfig::new(DuckDbDatabase::File(path.to_owned()))
}

async fn opened(config: DuckDbConfig) -> Result<Arc<dyn EngineAdapter>, EngineError> {
    connect(&ConnectionConfig::DuckDb(config)).await
}

async fn run(engine: &dyn EngineAdapter, statements: &[&str]) {
    for sql in statements {
        engine.execute(sql).await.unwrap();
    }
}

async fn count(engine: &dyn EngineAdapter, table: &str) -> u64 {
    let sql = format!("SELECT count(*) FROM {table}");
    engine.query(&sql).await.unwrap().single_u64().unwrap()
}

#[tokio::test]
async fn rows_come_back_in_every_type() {
    let engine = memory().await;
    let rows = engine
        .query(
            "SELECT 1::TINYINT AS a, 2::UBIGINT AS b, 3::HUGEINT AS c, 1.50::DECIMAL(9,2) AS d, 0.5 ::DOUBLE AS e,
                    'NaN'::FLOAT AS f, true AS g, 'é' AS h, DATE '2024-01-02' AS i, TIMESTAMP '2024-01-02 03:04:05' AS j,
                    TIMESTAMPTZ '2024-01-02 03:04:05+02' AS k, NULL AS l, [1, 2] AS m, {'x': 1} AS n,
                    INTERVAL 1 DAY AS o, TIME '01:02:03' AS p, '\\x01'::BLOB AS q, uuid '00000000-0000-0000-0000-000000000001' AS r,
                    'a'::ENUM('a', 'b') AS s, MAP {'k': 1} AS t, TIMESTAMP_NS '2024-01-02 03:04:05' AS u",
        )
        .await
        .unwrap();
    assert_eq!(
        json!(rows.to_json_rows(10).unwrap()),
        json!([[
            1,
            2,
            3,
            "1.50",
            0.5,
            "NaN",
            true,
            "é",
            "2024-01-02",
            "2024-01-02T03:04:05",
            "2024-01-02T01:04:05+00:00",
            null,
            "[1, 2]",
            "{x: 1}",
            "1 days",
            "01:02:03",
            "01",
            "00000000-0000-0000-0000-000000000001",
            "a",
            "{k: 1}",
            "2024-01-02T03:04:05"
        ]])
    );
    assert_eq!(rows.strings("H").unwrap(), [Some("é".to_owned())]);
}

#[tokio::test]
async fn writers_of_one_row_conflict_and_may_try_again() {
    let engine = memory().await;
    run(&*engine, &["CREATE TABLE t AS SELECT 1 AS x"]).await;
    let mut first = engine.begin().await.unwrap();
    let mut second = engine.begin().await.unwrap();
    first.execute("UPDATE t SET x = 2").await.unwrap();
    let error = second.execute("UPDATE t SET x = 3").await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    first.commit().await.unwrap();
    drop(second);

    let mut one = engine.begin().await.unwrap();
    let mut other = engine.begin().await.unwrap();
    one.execute("CREATE VIEW v AS SELECT 1").await.unwrap();
    let error = other
        .execute("CREATE VIEW v AS SELECT 2")
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    one.commit().await.unwrap();

    run(&*engine, &["CREATE SCHEMA s"]).await;
    let mut filling = engine.begin().await.unwrap();
    filling.execute("CREATE TABLE s.t (x INT)").await.unwrap();
    run(&*engine, &["DROP SCHEMA s"]).await;
    let error = filling.commit().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_view_that_is_broken_has_columns_and_what_is_not_there_has_none() {
    let engine = memory().await;
    let views = [
        "CREATE SCHEMA a",
        "CREATE SCHEMA b",
        "CREATE TABLE b.t AS SELECT 1 AS x",
        "CREATE VIEW a.t AS SELECT x FROM b.t",
        "DROP TABLE b.t",
    ];
    run(&*engine, &views).await;
    let columns = async |schema, name| engine.columns(&TableName::new(schema, name)).await.unwrap();
    let broken = columns("a", "T").await.unwrap();
    assert_eq!(broken[0].name, "x");
    for (schema, name) in [("b", "t"), ("a", "u"), ("nowhere", "t")] {
        assert_eq!(columns(schema, name).await, None, "{schema}.{name}");
    }
}

/// DuckDB's own parser is asked how many statements it sees.
#[tokio::test]
async fn statements_are_counted_as_duckdb_counts_them() {
    let engine = memory().await;
    for sql in [
        "SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT ';' || \";\" FROM t /* ; /* ; */ ; */",
        "SELECT /* /* */ 1; SELECT 2 -- */",
        "SELECT 'it''s; fine'",
        "SELECT E'a\\'; SELECT b'",
        "SELECT 'a\\'; SELECT '2'",
        "SELECT $$ ; $$, $tag$ ; $$ ; $tag$",
        "SELECT 1 AS a$b$; SELECT 2 AS a$b$",
        "SELECT x'00'; SELECT 2",
        "SELECT $1a$ ; SELECT 2",
        "SELECT 1 -- a\r; SELECT 2",
        "SELECT U&'a\\'; SELECT 2 --'",
        "SELECT 1;;",
        // What DuckDB takes for letters: all but ASCII.
        "SELECT 1 AS 🚂$b$; SELECT 2 AS x; SELECT 1 AS 🚂$b$",
        "SELECT $🚂$ ' $🚂$; SELECT 2 --'",
        "SELECT 🚂e'\\'; SELECT 2 --'",
        "SELECT 1 AS éa$b$ ; SELECT 2",
        "SELECT 1 AS _$b$ ; SELECT 2 AS _$b$",
        "SELECT 1\u{a0}AS x; SELECT 2",
    ] {
        let asked = format!(
            "SELECT json_serialize_sql({})",
            crate::sql::quote_string(sql)
        );
        let rows = engine.query(&asked).await.unwrap();
        let answer = rows.to_json_rows(1).unwrap()[0][0]
            .as_str()
            .unwrap()
            .to_owned();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let Some(statements) = answer["statements"].as_array() else {
            continue; // no valid SQL: nothing of it runs
        };
        assert_eq!(is_single(sql), statements.len() == 1, "{sql}");
    }
}

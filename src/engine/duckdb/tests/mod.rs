//! Statements and transactions, on a real database.

mod files;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

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
async fn statements_say_how_many_rows_they_wrote() {
    let engine = memory().await;
    let written = async |sql: &str| engine.execute(sql).await.unwrap();
    assert_eq!(
        written("CREATE TABLE t AS SELECT range AS x FROM range(5)").await,
        5
    );
    assert_eq!(written("INSERT INTO t SELECT x FROM t").await, 5);
    assert_eq!(written("DELETE FROM t WHERE x < 2").await, 4);
    assert_eq!(written("CREATE VIEW v AS SELECT 1 AS one").await, 0);
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
async fn rows_span_batches_and_stop_at_the_limit() {
    let engine = memory().await;
    let rows = engine
        .query("SELECT range AS x FROM range(5000)")
        .await
        .unwrap();
    assert_eq!(rows.len(), 5000);
    assert_eq!(rows.to_json_rows(3000).unwrap()[2999], [json!(2999)]);
    assert!(matches!(rows.single_u64(), Err(EngineError::Answer(_))));
    let nothing = engine.query("SELECT 1 AS x WHERE false").await.unwrap();
    assert_eq!((nothing.len(), nothing.column_names()), (0, vec!["x"]));
}

#[tokio::test]
async fn what_a_transaction_wrote_is_gone_after_a_failed_audit() {
    let engine = memory().await;
    let mut transaction = engine.begin().await.unwrap();
    for sql in ["CREATE SCHEMA s", "CREATE TABLE s.t AS SELECT NULL AS id"] {
        transaction.execute(sql).await.unwrap();
    }
    let audit = transaction
        .query("SELECT count(*) FROM s.t WHERE id IS NULL")
        .await
        .unwrap();
    assert_eq!(audit.single_u64().unwrap(), 1);
    transaction.rollback().await.unwrap();

    let table = TableName::new("s", "t");
    assert_eq!(engine.columns(&table).await.unwrap(), None);
    assert!(engine.objects(&["s".to_owned()]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing_and_frees_its_connection() {
    let engine = memory().await;
    let mut transaction = engine.begin().await.unwrap();
    transaction.execute("CREATE TABLE t (x INT)").await.unwrap();
    transaction.execute("this is no SQL").await.unwrap_err();
    drop(transaction);
    run(&*engine, &["CREATE TABLE t (y INT)"]).await;
    let again = engine.begin().await.unwrap();
    again.commit().await.unwrap();
}

#[tokio::test]
async fn what_a_transaction_creates_is_invisible_until_its_commit() {
    let engine = memory().await;
    let mut transaction = engine.begin().await.unwrap();
    transaction
        .execute("CREATE TABLE t AS SELECT 1 AS x")
        .await
        .unwrap();
    let table = TableName {
        catalog: None,
        schema: None,
        name: "t".to_owned(),
    };
    assert_eq!(engine.columns(&table).await.unwrap(), None);
    transaction.commit().await.unwrap();
    assert_eq!(
        engine.columns(&table).await.unwrap(),
        Some(vec![EngineColumn {
            name: "x".to_owned(),
            data_type: "INTEGER".to_owned()
        }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_views_switched_together_are_never_seen_half() {
    let engine = memory().await;
    run(
        &*engine,
        &[
            "CREATE VIEW a AS SELECT 0 AS n",
            "CREATE VIEW b AS SELECT 0 AS n",
        ],
    )
    .await;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (engine, done) = (Arc::clone(&engine), Arc::clone(&done));
            tokio::spawn(async move {
                let mut versions = std::collections::BTreeSet::new();
                while !done.load(Ordering::Relaxed) {
                    let mut transaction = engine.begin().await.unwrap();
                    let a = transaction.query("SELECT n FROM a").await.unwrap();
                    let b = transaction.query("SELECT n FROM b").await.unwrap();
                    assert_eq!(a.single_u64().unwrap(), b.single_u64().unwrap());
                    versions.insert(a.single_u64().unwrap());
                    transaction.rollback().await.unwrap();
                }
                versions.len()
            })
        })
        .collect();
    for n in 1..=200 {
        let mut swap = engine.begin().await.unwrap();
        let views = ["a", "b"].map(|name| TableName::new("main", name));
        let statements: Vec<String> = views
            .iter()
            .flat_map(|view| engine.create_or_replace_view(view, &format!("SELECT {n} AS n")))
            .collect();
        swap.execute_all(&statements).await.unwrap();
        swap.commit().await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 1, "the reader saw no switch at all");
    }
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
async fn a_commit_that_breaks_a_rule_of_the_table_is_no_conflict() {
    let engine = memory().await;
    run(&*engine, &["CREATE TABLE t (x INT PRIMARY KEY)"]).await;
    let mut one = engine.begin().await.unwrap();
    let mut other = engine.begin().await.unwrap();
    one.execute("INSERT INTO t VALUES (1)").await.unwrap();
    other.execute("INSERT INTO t VALUES (1)").await.unwrap();
    one.commit().await.unwrap();
    let error = other.commit().await.unwrap_err();
    assert!(matches!(error, EngineError::Statement { .. }), "{error}");
    assert_eq!(count(&*engine, "t").await, 1);
}

#[tokio::test]
async fn a_refused_statement_is_told_with_its_text() {
    let engine = memory().await;
    let error = engine.query("SELECT * FROM nowhere").await.unwrap_err();
    assert!(
        matches!(&error, EngineError::MissingObject { sql, .. } if sql == "SELECT * FROM nowhere")
    );
    let error = engine.execute("SELEKT").await.unwrap_err();
    assert!(matches!(&error, EngineError::Statement { message, .. } if message.contains("SELEKT")));
    engine.execute("SELECT '\0'").await.unwrap_err();
}

#[tokio::test]
async fn a_second_statement_is_refused_before_the_first_runs() {
    let engine = memory().await;
    run(&*engine, &["CREATE TABLE t (x INT)"]).await;
    for sql in ["DROP TABLE t; SELECT 1", "SELECT 1; DROP TABLE t"] {
        engine.execute(sql).await.unwrap_err();
        engine.query(sql).await.unwrap_err();
        engine.validate(sql).await.unwrap_err();
        let mut transaction = engine.begin().await.unwrap();
        transaction
            .execute_all(&[sql.to_owned()])
            .await
            .unwrap_err();
        transaction.commit().await.unwrap();
    }
    engine
        .validate("SELECT 1) ; DROP TABLE t; SELECT * FROM (SELECT 1")
        .await
        .unwrap_err();
    assert_eq!(count(&*engine, "t").await, 0);
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

#[tokio::test]
async fn objects_are_tables_and_views_of_the_schemas_asked_for() {
    let engine = memory().await;
    run(
        &*engine,
        &[
            "CREATE SCHEMA \"My Schema\"",
            "CREATE TABLE \"My Schema\".t (\"A b\" INT, c DECIMAL(9, 2))",
            "CREATE VIEW \"My Schema\".v AS SELECT 1 AS one, 'x' AS two",
            "CREATE SCHEMA other",
            "CREATE TABLE other.t (x INT)",
        ],
    )
    .await;
    let schemas = ["my schema".to_owned(), "missing".to_owned()];
    let objects = engine.objects(&schemas).await.unwrap();
    let found: Vec<_> = objects.iter().map(|o| (o.table.plain(), o.kind)).collect();
    assert_eq!(
        found,
        [
            ("My Schema.t".to_owned(), ObjectKind::Table),
            ("My Schema.v".to_owned(), ObjectKind::View)
        ]
    );
    let columns = engine.columns(&objects[0].table).await.unwrap().unwrap();
    let columns: Vec<_> = columns.iter().map(|c| (&*c.name, &*c.data_type)).collect();
    assert_eq!(columns, [("A b", "INTEGER"), ("c", "DECIMAL(9,2)")]);
    assert!(engine.objects(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_hostile_name_is_only_a_name() {
    let engine = memory().await;
    run(&*engine, &["CREATE TABLE keep (x INT)"]).await;
    let table = TableName::new("s\"; DROP TABLE keep; --", "t'; DROP TABLE keep; --");
    let schema = table.schema.clone().unwrap();
    run(&*engine, &[&engine.create_schema(None, &schema)]).await;
    for sql in engine.create_or_replace_table_as(&table, "SELECT 1 AS \"x\"\"'\"") {
        run(&*engine, &[&sql]).await;
    }
    let columns = std::collections::BTreeMap::from([("x\"'".to_owned(), "it's".to_owned())]);
    for object in engine.objects(&[schema]).await.unwrap() {
        assert_eq!(object.table, table);
        for sql in engine.comments(&object, Some("'; DROP TABLE keep"), &columns) {
            run(&*engine, &[&sql]).await;
        }
    }
    assert_eq!(
        engine.columns(&table).await.unwrap().unwrap()[0].name,
        "x\"'"
    );
    assert_eq!(count(&*engine, "keep").await, 0);
}

#[tokio::test]
async fn the_builders_fill_slice_and_remove_a_table() {
    let engine = memory().await;
    let table = TableName::new("main", "t");
    let columns = [EngineColumn {
        name: "d".to_owned(),
        data_type: "DATE".to_owned(),
    }];
    run(
        &*engine,
        &[&engine.create_table_if_absent(&table, &columns)],
    )
    .await;
    let days = "SELECT DATE '2024-01-01' + i::INT FROM range(4) r(i)";
    run(&*engine, &[&engine.insert(&table, &["d".to_owned()], days)]).await;
    let delete = engine.delete_range(&table, "d", "DATE '2024-01-02'", "DATE '2024-01-04'");
    assert_eq!(engine.execute(&delete).await.unwrap(), 2);
    run(
        &*engine,
        &[&engine.create_table_as_if_absent(&table, "SELECT 1")],
    )
    .await;
    assert_eq!(count(&*engine, "t").await, 2);

    let view = TableName::new("main", "v");
    for sql in engine.create_or_replace_view(&view, "SELECT * FROM t -- the end") {
        run(&*engine, &[&sql]).await;
    }
    let object = EngineObject {
        table: view.clone(),
        kind: ObjectKind::View,
    };
    let columns = std::collections::BTreeMap::from([("d".to_owned(), "day".to_owned())]);
    for sql in engine.comments(&object, Some("days"), &columns) {
        run(&*engine, &[&sql]).await;
    }
    run(
        &*engine,
        &[
            &engine.drop_view(&view),
            &engine.drop_view(&view),
            &engine.drop_table(&table),
        ],
    )
    .await;
    assert!(
        engine
            .objects(&["main".to_owned()])
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_query_is_checked_without_running_it() {
    let engine = memory().await;
    run(&*engine, &["CREATE SEQUENCE s"]).await;
    for query in [
        "SELECT nextval('s') AS n, 'x' AS t -- done",
        "WITH c AS (SELECT 1) SELECT nextval('s') AS n, 'x' AS t FROM c ORDER BY 1;",
        "FROM (SELECT nextval('s') AS n, 'x' AS t)",
        "SELECT 1::BIGINT AS n, 'a' AS t UNION ALL SELECT 2, 'b'",
    ] {
        let columns = engine.validate(query).await.unwrap();
        let columns: Vec<_> = columns.iter().map(|c| (&*c.name, &*c.data_type)).collect();
        assert_eq!(columns, [("n", "BIGINT"), ("t", "VARCHAR")], "{query}");
    }
    let next = engine.query("SELECT nextval('s')").await.unwrap();
    assert_eq!(next.single_u64().unwrap(), 1);
    engine.validate("SELECT missing FROM s").await.unwrap_err();
    engine.validate("CREATE TABLE x (y INT)").await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_what_runs_and_nothing_else() {
    let engine = memory().await;
    let endless =
        "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range + b.range = 7";
    let running = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.query(endless).await })
    };
    // The statement may not have begun yet.
    while !running.is_finished() {
        engine.interrupt();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(
        running.await.unwrap(),
        Err(EngineError::Interrupted { .. })
    ));
    run(&*engine, &["CREATE TABLE t (x INT)"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_nobody_waits_for_is_stopped_and_undone() {
    let engine = memory().await;
    let mut transaction = engine.begin().await.unwrap();
    transaction.execute("CREATE TABLE t (x INT)").await.unwrap();
    let endless =
        "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range + b.range = 7";
    tokio::time::timeout(Duration::from_millis(100), transaction.query(endless))
        .await
        .unwrap_err();
    assert!(matches!(
        transaction.query("SELECT 1").await,
        Err(EngineError::Closed { .. })
    ));
    drop(transaction);
    // It is undone as soon as the statement has noticed.
    while let Err(error) = engine.execute("CREATE TABLE t (y INT)").await {
        assert!(error.is_retryable(), "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

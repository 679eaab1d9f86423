//! Statements, rows and errors.

use serde_json::json;

use crate::engine::EngineError;
use crate::engine::contract::World;
use crate::engine::contract::names;

pub(super) async fn statements_say_how_many_rows_they_wrote(world: World) {
    let written = async |sql: &str| world.engine.execute(sql).await.unwrap();
    let five = (world.numbers)(5);
    let create = format!("CREATE TABLE t AS SELECT i AS x FROM {five}");
    assert_eq!(written(&create).await, 5);
    assert_eq!(written("INSERT INTO t SELECT x FROM t").await, 5);
    assert_eq!(written("UPDATE t SET x = 7 WHERE x = 4").await, 2);
    assert_eq!(written("DELETE FROM t WHERE x < 2").await, 4);
    assert_eq!(written("CREATE VIEW v AS SELECT 1 AS one").await, 0);
}

pub(super) async fn values_come_back_the_same(world: World) {
    let rows = world
        .engine
        .query(
            "SELECT CAST(1 AS SMALLINT) AS a, 2 AS b, CAST(3 AS BIGINT) AS c, CAST(1.50 AS DECIMAL(9, 2)) AS d,
                    CAST(0.5 AS DOUBLE PRECISION) AS e, CAST('NaN' AS REAL) AS f, true AS g, 'é' AS h,
                    DATE '2024-01-02' AS i, TIMESTAMP '2024-01-02 03:04:05' AS j,
                    TIMESTAMPTZ '2024-01-02 03:04:05+02' AS k, NULL AS l, TIME '01:02:03' AS m,
                    CAST('00000000-0000-0000-0000-000000000001' AS UUID) AS n, sum(x) AS o, -x AS p,
                    TIMESTAMP '2024-01-02 03:04:05.678' AS q
             FROM (SELECT CAST(4 AS BIGINT) AS x) AS one GROUP BY x",
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
            "01:02:03",
            "00000000-0000-0000-0000-000000000001",
            4,
            -4,
            "2024-01-02T03:04:05.678"
        ]])
    );
    assert_eq!(rows.strings("H").unwrap(), [Some("é".to_owned())]);
}

pub(super) async fn rows_stop_at_the_limit_and_columns_need_no_rows(world: World) {
    let sql = format!("SELECT i AS x FROM {} ORDER BY x", (world.numbers)(5000));
    let rows = world.engine.query(&sql).await.unwrap();
    assert_eq!(rows.len(), 5000);
    assert_eq!(rows.to_json_rows(3000).unwrap()[2999], [json!(2999)]);
    assert!(matches!(rows.single_u64(), Err(EngineError::Answer(_))));
    let nothing = world.engine.query("SELECT 1 AS x, 'a' AS x WHERE false");
    let nothing = nothing.await.unwrap();
    assert_eq!((nothing.len(), nothing.column_names()), (0, vec!["x", "x"]));
}

pub(super) async fn a_query_is_checked_without_running_it(world: World) {
    world.run(&["CREATE SEQUENCE s"]).await;
    let [big, text] = world.big_and_text;
    for query in [
        "SELECT nextval('s') AS n, 'x' AS t -- done",
        "WITH c AS (SELECT 1) SELECT nextval('s') AS n, 'x' AS t FROM c ORDER BY 1;",
        "SELECT CAST(1 AS BIGINT) AS n, 'a' AS t UNION ALL SELECT 2, 'b'",
    ] {
        let columns = world.engine.validate(query).await.unwrap();
        assert_eq!(names(&columns), [("n", big), ("t", text)], "{query}");
    }
    assert_eq!(world.number("SELECT nextval('s')").await, 1);
    for wrong in [
        "SELECT missing FROM s",
        "CREATE TABLE x (y INT)",
        "SELECT 1 +",
    ] {
        let error = world.engine.validate(wrong).await.unwrap_err();
        assert!(error.to_string().contains(wrong), "{error}");
    }
}

pub(super) async fn a_refused_statement_is_told_with_its_text(world: World) {
    let engine = &world.engine;
    let error = engine.query("SELECT * FROM nowhere").await.unwrap_err();
    assert!(
        matches!(&error, EngineError::MissingObject { sql, .. } if sql == "SELECT * FROM nowhere")
    );
    let error = engine.execute("SELEKT").await.unwrap_err();
    assert!(matches!(&error, EngineError::Statement { message, .. } if message.contains("SELEKT")));
    engine.execute("SELECT '\0'").await.unwrap_err();
    engine.execute("").await.unwrap_err();
    assert_eq!(world.number("SELECT 1").await, 1);
}

pub(super) async fn a_second_statement_is_refused_before_the_first_runs(world: World) {
    world.run(&["CREATE TABLE t (x INT)"]).await;
    let engine = &world.engine;
    for sql in ["DROP TABLE t; SELECT 1", "SELECT 1; DROP TABLE t"] {
        engine.execute(sql).await.unwrap_err();
        engine.query(sql).await.unwrap_err();
        engine.validate(sql).await.unwrap_err();
        let mut transaction = engine.begin().await.unwrap();
        let all = [sql.to_owned()];
        transaction.execute_all(&all).await.unwrap_err();
        transaction.rollback().await.unwrap();
    }
    engine
        .validate("SELECT 1) ; DROP TABLE t; SELECT * FROM (SELECT 1")
        .await
        .unwrap_err();
    assert_eq!(world.number("SELECT length(';;') -- one;").await, 2);
    assert_eq!(world.count("t").await, 0);
}

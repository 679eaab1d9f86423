//! What only PostgreSQL does.

use serde_json::json;

use super::*;
use crate::cluster;
use crate::cluster::Database;

fn config(database: &Database) -> PostgresConfig {
    PostgresConfig {
        server: PostgresServer::new(&database.host, cluster::USER, &database.name),
        concurrency: NonZeroUsize::MIN,
        statement_timeout: None,
        sandboxed: false,
    }
}

async fn fresh() -> (Database, Postgres) {
    let database = Database::new().await;
    let engine = open(config(&database)).await.unwrap();
    (database, engine)
}

/// Ends every other connection to this database, as a restart of the server does.
const END_OTHERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test]
async fn values_of_every_type_look_as_in_psql() {
    let (_database, engine) = fresh().await;
    engine
        .execute("CREATE TYPE mood AS ENUM ('sad', 'fine')")
        .await
        .unwrap();
    let rows = engine
        .query(
            r#"SELECT ARRAY[1, NULL, 3] AS a, ARRAY['x y', 'it''s'] AS b, '{"k": [1, null]}'::jsonb AS c, '\x01ff'::bytea AS d,
                INTERVAL '1 day 02:03:04' AS e, 12345678901234567890123456789012345678901234567890::numeric AS f,
                'NaN'::numeric AS g, DATE 'infinity' AS h, TIMESTAMPTZ '0044-03-15 12:00:00+00 BC' AS i, 'fine'::mood AS j,
                '10.0.0.0/8'::cidr AS k, int4range(1, 5) AS l, (1, 'a') AS m, 'a'::char(3) AS n, 1.50::money IS NULL AS o,
                TIME '24:00:00' AS p, TIMESTAMPTZ '2024-01-02 03:04:05.6+05:30' AS q, 0.1::real AS r, 'infinity'::float8 AS s"#,
        )
        .await
        .unwrap();
    assert_eq!(
        json!(rows.to_json_rows(1).unwrap()),
        json!([[
            "{1,NULL,3}",
            "{\"x y\",it's}",
            "{\"k\": [1, null]}",
            "01ff",
            "1 day 02:03:04",
            "12345678901234567890123456789012345678901234567890",
            "NaN",
            "infinity",
            "0044-03-15 12:00:00+00 BC",
            "fine",
            "10.0.0.0/8",
            "[1,5)",
            "(1,a)",
            "a  ",
            false,
            "24:00:00",
            "2024-01-01T21:34:05.600+00:00",
            f64::from(0.1_f32),
            "inf"
        ]])
    );
}

#[tokio::test]
async fn columns_have_their_whole_types() {
    let (_database, engine) = fresh().await;
    engine
        .execute("CREATE TYPE mood AS ENUM ('sad', 'fine')")
        .await
        .unwrap();
    let query = "SELECT 1.5::numeric(10,2) AS a, 'x'::varchar(5) AS b, now() AS c, now()::timestamp(3) AS d,
                        ARRAY[1::bigint] AS e, 'fine'::mood AS f, NULL AS g, 'x'::char(2) AS h, 1::float8 AS i";
    let expected = [
        "NUMERIC(10,2)",
        "VARCHAR(5)",
        "TIMESTAMPTZ",
        "TIMESTAMP(3)",
        "BIGINT[]",
        "MOOD",
        "TEXT",
        "CHAR(2)",
        "DOUBLE PRECISION",
    ];
    let types = |columns: &[EngineColumn]| -> Vec<String> {
        columns.iter().map(|it| it.data_type.clone()).collect()
    };
    let columns = engine.validate(query).await.unwrap();
    assert_eq!(types(&columns), expected);
    // A table that is made of those words has those types.
    let table = TableName::new("public", "t");
    let create = engine.create_table_if_absent(&table, &columns);
    engine.execute(&create).await.unwrap();
    let columns = engine.columns(&table).await.unwrap().unwrap();
    assert_eq!(types(&columns), expected);
    let insert = engine.insert(
        &table,
        &["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(str::to_owned),
        query,
    );
    assert_eq!(engine.execute(&insert).await.unwrap(), 1);
}

/// The servers of the tests are set up as those that lose what they said was committed.
#[tokio::test]
async fn what_is_committed_is_on_the_disk_whatever_the_servers_default_is() {
    let (database, engine) = fresh().await;
    let show = "SHOW synchronous_commit";
    let mut other = database.connect().await;
    let default: String = sqlx::query_scalar(show)
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!(default, "off");
    let ours = engine.query(show).await.unwrap();
    let ours = ours.strings("synchronous_commit").unwrap();
    assert_eq!(ours, [Some("on".to_owned())]);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_told_so() {
    let database = Database::new().await;
    let engine = open(PostgresConfig {
        statement_timeout: Some(Duration::from_millis(50)),
        ..config(&database)
    })
    .await
    .unwrap();
    let error = engine.query("SELECT pg_sleep(60)").await.unwrap_err();
    assert!(error.to_string().contains("statement timeout"), "{error}");
    assert!(!error.is_retryable());
    assert_eq!(engine.query("SELECT 1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lost_connection_may_be_tried_again_and_a_dead_idle_one_is_not_used() {
    let (database, engine) = fresh().await;
    let mut transaction = engine.begin().await.unwrap();
    transaction.execute("CREATE TABLE t (x INT)").await.unwrap();
    database.execute(END_OTHERS).await;
    let error = transaction.query("SELECT 1").await.unwrap_err();
    assert!(matches!(error, EngineError::Lost { .. }), "{error}");
    assert!(error.is_retryable());
    assert!(error.to_string().contains(engine.server.name()), "{error}");
    drop(transaction);
    assert_eq!(
        engine.columns(&TableName::new("public", "t")).await,
        Ok(None)
    );

    // The idle one dies without anybody looking.
    database.execute(END_OTHERS).await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(engine.query("SELECT 1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_connection_that_is_lost_while_committing_leaves_the_outcome_open() {
    let (database, engine) = fresh().await;
    let mut transaction = engine.begin().await.unwrap();
    // The commit waits for the check that is put off until then.
    for sql in [
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$",
        "CREATE TABLE t (x INT)",
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()",
        "INSERT INTO t VALUES (1)",
    ] {
        transaction.execute(sql).await.unwrap();
    }
    let committing = tokio::spawn(transaction.commit());
    while !committing.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let in_commit = END_OTHERS.replace(
            "WHERE",
            "WHERE query LIKE '%COMMIT' AND state = 'active' AND",
        );
        database.execute(&in_commit).await;
    }
    let error = committing.await.unwrap().unwrap_err();
    assert!(
        matches!(error, EngineError::CommitUnknown { .. }),
        "{error}"
    );
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn what_others_built_on_a_view_is_neither_dropped_nor_broken() {
    let (database, engine) = fresh().await;
    let view = TableName::new("public", "v");
    let replace = async |query: &str| {
        for sql in engine.create_or_replace_view(&view, query) {
            engine.execute(&sql).await?;
        }
        Ok::<_, EngineError>(())
    };
    replace("SELECT 1 AS x, 2 AS y").await.unwrap();
    database
        .execute("CREATE VIEW report AS SELECT y FROM v")
        .await;
    replace("SELECT 3 AS x, 4 AS y, 5 AS z").await.unwrap();
    let error = replace("SELECT 6 AS y").await.unwrap_err().to_string();
    assert!(error.contains("view report depends on view v"), "{error}");
    assert!(!error.contains("CASCADE"), "{error}");
    let report = engine.query("SELECT y FROM report").await.unwrap();
    assert_eq!(report.single_u64().unwrap(), 4);
}

#[tokio::test]
async fn a_table_that_views_read_keeps_its_columns_or_says_what_changed() {
    let (database, engine) = fresh().await;
    let table = TableName::new("public", "t");
    let replace = async |query: &str| {
        for sql in engine.create_or_replace_table_as(&table, query) {
            engine.execute(&sql).await?;
        }
        Ok::<_, EngineError>(())
    };
    replace("SELECT 1 AS x, 'a' AS y").await.unwrap();
    database.execute("CREATE VIEW v AS SELECT * FROM t").await;
    let error = replace("SELECT 2::bigint AS x, 1 AS z").await.unwrap_err();
    let said = error.to_string();
    for part in [
        "\"x\" was INTEGER and is BIGINT",
        "\"z\" is new",
        "\"y\" is gone",
        "view v depends",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let x = engine.query("SELECT x FROM v").await.unwrap();
    assert_eq!(x.single_u64().unwrap(), 1);
}

#[tokio::test]
async fn sql_that_nobody_has_reviewed_runs_only_as_a_user_that_stays_in_the_database() {
    let database = Database::new().await;
    let sandboxed = PostgresConfig {
        sandboxed: true,
        ..config(&database)
    };
    let refused = open(sandboxed.clone()).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("no superuser"), "{refused}");

    let role = format!("builder_of_{}", database.name);
    let set_up = format!(
        "CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {} TO {role}",
        database.name
    );
    database.execute(&set_up).await;
    let mut as_role = sandboxed.clone();
    as_role.server.role = Some(role.clone());
    let refused = open(as_role).await.map(drop).unwrap_err();
    assert!(
        refused.to_string().contains("no superuser"),
        "a statement may take the role off again: {refused}"
    );
    let mut as_user = sandboxed;
    as_user.server.user = role;
    let engine = open(as_user).await.unwrap();
    engine.execute("CREATE SCHEMA mine").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_ends_what_an_aborted_task_has_begun() {
    let (database, engine) = fresh().await;
    let engine = Arc::new(engine);
    let task = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.query("SELECT pg_sleep(600)").await.map(drop) })
    };
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep(600)' AND pid <> pg_backend_pid()";
    let mut looking = database.connect().await;
    let mut count = async || -> i64 {
        sqlx::query_scalar(sleeping)
            .fetch_one(&mut looking)
            .await
            .unwrap()
    };
    while count().await == 0 {}
    task.abort();
    while count().await == 1 {}
}

#[tokio::test]
async fn of_many_views_the_ones_with_other_columns_change_too_and_the_wrong_one_is_named() {
    let (_database, engine) = fresh().await;
    let views: Vec<TableName> = (0..500)
        .map(|number| TableName::new("public", format!("v{number:03}")))
        .collect();
    let switch = async |query: &dyn Fn(usize) -> String| {
        let statements: Vec<String> = views
            .iter()
            .enumerate()
            .flat_map(|(number, view)| engine.create_or_replace_view(view, &query(number)))
            .collect();
        let mut transaction = engine.begin().await?;
        transaction.execute_all(&statements).await?;
        transaction.commit().await
    };
    switch(&|number| format!("SELECT {number} AS x, 1 AS y -- ;"))
        .await
        .unwrap();
    let other = |number: usize| match number {
        333 => "SELECT 'a' AS y".to_owned(),
        _ => format!("SELECT {number} AS x, 2 AS y"),
    };
    switch(&other).await.unwrap();
    let sql = "SELECT v000.y || v333.y || v499.x AS found FROM v000, v333, v499";
    let found = engine.query(sql).await.unwrap().strings("found").unwrap();
    assert_eq!(found, [Some("2a499".to_owned())]);

    let wrong = |number: usize| match number {
        123 => "SELECT missing".to_owned(),
        _ => "SELECT 3 AS x, 3 AS y".to_owned(),
    };
    let error = switch(&wrong).await.unwrap_err().to_string();
    assert!(error.contains("v123"), "{error}");
    assert_eq!(
        engine.query(sql).await.unwrap().strings("found").unwrap(),
        found
    );
}

#[tokio::test]
async fn numbers_that_a_table_gives_go_on_in_its_copy_when_the_table_is_gone() {
    let (_database, engine) = fresh().await;
    let (from, to) = (
        TableName::new("public", "t"),
        TableName::new("public", "copy"),
    );
    for sql in [
        "CREATE TABLE t (x INT, \"by Default\" SERIAL, always INT GENERATED ALWAYS AS IDENTITY)",
        "INSERT INTO t (x) SELECT generate_series(1, 5)",
    ] {
        engine.execute(sql).await.unwrap();
    }
    let heir = Heir {
        from: &from,
        to: &to,
        lacks: &[],
        gone: &[],
    };
    // Twice, as after a kill.
    for _ in 0..2 {
        let mut statements = engine.create_or_replace_table_as(&to, "SELECT * FROM t");
        statements.extend(engine.belongings(heir).await.unwrap());
        let mut transaction = engine.begin().await.unwrap();
        transaction.execute_all(&statements).await.unwrap();
        transaction.commit().await.unwrap();
    }
    engine.execute(&engine.drop_table(&from)).await.unwrap();
    engine
        .execute("INSERT INTO copy (x) VALUES (6)")
        .await
        .unwrap();
    let rows = engine
        .query("SELECT \"by Default\" > 5 AND always > 5 AS goes_on FROM copy WHERE x = 6")
        .await
        .unwrap();
    assert_eq!(rows.strings("goes_on").unwrap(), [Some("true".to_owned())]);
}

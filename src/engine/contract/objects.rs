//! Tables, views and schemas.

use std::collections::BTreeMap;

use crate::engine::EngineColumn;
use crate::engine::EngineError;
use crate::engine::EngineObject;
use crate::engine::Heir;
use crate::engine::ObjectKind;
use crate::engine::contract::World;
use crate::engine::contract::names;
use crate::sql::TableName;

pub(super) async fn objects_are_tables_and_views_of_the_schemas_asked_for(world: World) {
    world
        .run(&[
            "CREATE SCHEMA \"My Schema\"",
            "CREATE TABLE \"My Schema\".t (\"A b\" INT, c DECIMAL(9, 2))",
            "CREATE VIEW \"My Schema\".v AS SELECT 1 AS one, 'x' AS two",
            "CREATE SCHEMA other",
            "CREATE TABLE other.t (x INT)",
        ])
        .await;
    let engine = &world.engine;
    let schemas = ["My Schema".to_owned(), "missing".to_owned()];
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
    let decimal = columns[1].data_type.replace("NUMERIC", "DECIMAL");
    assert_eq!(names(&columns)[0], ("A b", "INTEGER"));
    assert_eq!((&*columns[1].name, &*decimal), ("c", "DECIMAL(9,2)"));
    assert_eq!(engine.columns(&TableName::new("no", "no")).await, Ok(None));
    assert!(engine.objects(&[]).await.unwrap().is_empty());
}

pub(super) async fn a_hostile_name_is_only_a_name(world: World) {
    world.run(&["CREATE TABLE keep (x INT)"]).await;
    let engine = &world.engine;
    let table = TableName::new("s\"; DROP TABLE keep; --", "t'; DROP TABLE keep; --");
    let schema = table.schema.clone().unwrap();
    world.run(&[&engine.create_schema(None, &schema)]).await;
    let create = engine.create_or_replace_table_as(&table, "SELECT 1 AS \"x\"\"'\"");
    world.run_all(&create).await;
    let columns = BTreeMap::from([("x\"'".to_owned(), "it's".to_owned())]);
    for object in engine.objects(&[schema]).await.unwrap() {
        assert_eq!(object.table, table);
        let comments = engine.comments(&object, Some("'; DROP TABLE keep"), &columns);
        world.run_all(&comments).await;
    }
    let found = engine.columns(&table).await.unwrap().unwrap();
    assert_eq!(found[0].name, "x\"'");
    assert_eq!(world.count("keep").await, 0);
}

pub(super) async fn the_builders_fill_slice_and_remove_a_table(world: World) {
    let engine = &world.engine;
    let table = world.table("t");
    let columns = [EngineColumn {
        name: "d".to_owned(),
        data_type: "DATE".to_owned(),
    }];
    world
        .run(&[&engine.create_table_if_absent(&table, &columns)])
        .await;
    let days = format!(
        "SELECT DATE '2024-01-01' + CAST(i AS INTEGER) FROM {}",
        (world.numbers)(4)
    );
    world
        .run(&[&engine.insert(&table, &["d".to_owned()], &days)])
        .await;
    let delete = engine.delete_range(&table, "d", "DATE '2024-01-02'", "DATE '2024-01-04'");
    assert_eq!(engine.execute(&delete).await.unwrap(), 2);
    world
        .run(&[&engine.create_table_as_if_absent(&table, "SELECT 1")])
        .await;
    assert_eq!(world.count("t").await, 2);

    let view = world.table("v");
    let create = engine.create_or_replace_view(&view, "SELECT * FROM t -- the end");
    world.run_all(&create).await;
    let object = EngineObject {
        table: view.clone(),
        kind: ObjectKind::View,
    };
    let columns = BTreeMap::from([("d".to_owned(), "day".to_owned())]);
    world
        .run_all(&engine.comments(&object, Some("days"), &columns))
        .await;
    world
        .run(&[
            &engine.drop_view(&view),
            &engine.drop_view(&view),
            &engine.drop_table(&table),
        ])
        .await;
    let left = engine.objects(&[world.schema.to_owned()]).await.unwrap();
    assert!(left.is_empty());
}

pub(super) async fn a_table_is_filled_anew_under_the_view_that_reads_it(world: World) {
    let engine = &world.engine;
    let table = world.table("t");
    let query = |number: u32| format!("SELECT {number} AS x, 'a' AS y -- the end");
    world
        .run_all(&engine.create_or_replace_table_as(&table, &query(1)))
        .await;
    world.run(&["CREATE VIEW v AS SELECT * FROM t"]).await;
    for number in 2..4 {
        let mut transaction = engine.begin().await.unwrap();
        let mut written = 0;
        for sql in engine.create_or_replace_table_as(&table, &query(number)) {
            written += transaction.execute(&sql).await.unwrap();
        }
        let seen = world.number("SELECT x FROM v").await;
        assert_eq!((seen, written), (u64::from(number) - 1, 1));
        transaction.commit().await.unwrap();
        assert_eq!(world.number("SELECT x FROM v").await, u64::from(number));
    }
}

pub(super) async fn a_table_that_nothing_reads_may_get_other_columns(world: World) {
    let engine = &world.engine;
    let table = world.table("t");
    let [big, text] = world.big_and_text;
    for (query, expected) in [
        ("SELECT CAST(1 AS BIGINT) AS x", vec![("x", big)]),
        ("SELECT 'a' AS x", vec![("x", text)]),
        (
            "SELECT CAST(2 AS BIGINT) AS y, 'a' AS x",
            vec![("y", big), ("x", text)],
        ),
    ] {
        world
            .run_all(&engine.create_or_replace_table_as(&table, query))
            .await;
        let columns = engine.columns(&table).await.unwrap().unwrap();
        assert_eq!(names(&columns), expected);
        assert_eq!(world.count("t").await, 1);
    }
}

pub(super) async fn a_view_may_get_other_columns(world: World) {
    let engine = &world.engine;
    let view = world.table("v");
    for query in [
        "SELECT 1 AS x, 'a' AS y",
        "SELECT 1 AS x, 'a' AS y, 2 AS z",
        "SELECT 'a' AS y",
        "SELECT 1 AS y, 2 AS x",
    ] {
        world
            .run_all(&engine.create_or_replace_view(&view, query))
            .await;
        let mut transaction = engine.begin().await.unwrap();
        let again = engine.create_or_replace_view(&view, query);
        transaction.execute_all(&again).await.unwrap();
        transaction.commit().await.unwrap();
        let expected = engine.query(query).await.unwrap();
        let found = engine.query("SELECT * FROM v").await.unwrap();
        assert_eq!(found.column_names(), expected.column_names());
        let rows = |rows: &crate::engine::Rows| rows.to_json_rows(9).unwrap();
        assert_eq!(rows(&found), rows(&expected));
    }
}

pub(super) async fn a_view_is_not_put_over_a_table_nor_a_table_over_a_view(world: World) {
    let engine = &world.engine;
    world
        .run(&[
            "CREATE TABLE t AS SELECT 1 AS x",
            "CREATE VIEW v AS SELECT 2 AS x",
        ])
        .await;
    let over_table = engine.create_or_replace_view(&world.table("t"), "SELECT 3 AS y");
    let over_view = engine.create_or_replace_table_as(&world.table("v"), "SELECT 3 AS y");
    for statements in [over_table, over_view] {
        let mut transaction = engine.begin().await.unwrap();
        let error = transaction.execute_all(&statements).await.unwrap_err();
        assert!(matches!(error, EngineError::Statement { .. }), "{error}");
        transaction.rollback().await.unwrap();
    }
    assert_eq!(world.number("SELECT t.x + v.x FROM t, v").await, 3);
}

pub(super) async fn long_names_that_begin_alike_are_two_tables(world: World) {
    let engine = &world.engine;
    let long = "a_very_long_name_".repeat(5);
    let schema = format!("{long}schema");
    world.run(&[&engine.create_schema(None, &schema)]).await;
    for number in 1..=2 {
        let table = TableName::new(&schema, format!("{long}{number}"));
        let column = format!("{long}column_{number}");
        let query = format!("SELECT {number} AS {column}");
        world
            .run_all(&engine.create_or_replace_table_as(&table, &query))
            .await;
        assert!(engine.columns(&table).await.unwrap().is_some());
    }
    for number in 1..=2 {
        let sql = format!("SELECT {long}column_{number} FROM \"{schema}\".{long}{number}");
        assert_eq!(world.number(&sql).await, number);
    }
    let objects = engine.objects(std::slice::from_ref(&schema)).await.unwrap();
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[0].table.schema, Some(schema));
}

pub(super) async fn a_schema_that_many_make_at_once_is_there_for_all(world: World) {
    let make = (0..8).map(|number| {
        let engine = &world.engine;
        async move {
            let mut transaction = engine.begin().await?;
            let create = [
                engine.create_schema(None, "shared"),
                format!("CREATE TABLE shared.t{number} AS SELECT {number} AS x"),
            ];
            transaction.execute_all(&create).await?;
            transaction.commit().await
        }
    });
    let made = futures::future::join_all(make).await;
    for (number, made) in made.into_iter().enumerate() {
        match made {
            Ok(()) => assert_eq!(world.count(&format!("shared.t{number}")).await, 1),
            // What an engine cannot do at once it says so that it can be tried again.
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
    let there = world.engine.objects(&["shared".to_owned()]).await.unwrap();
    assert!(!there.is_empty());
}

pub(super) async fn two_tables_change_places_in_one_transaction_under_the_views_that_read_them(
    world: World,
) {
    let engine = &world.engine;
    world
        .run(&[
            "CREATE SCHEMA shop",
            "CREATE SCHEMA physical",
            "CREATE TABLE shop.t AS SELECT 1 AS x",
            "CREATE VIEW physical.one AS SELECT * FROM shop.t",
            "CREATE TABLE physical.two AS SELECT 2 AS x",
            "CREATE VIEW reads_one AS SELECT x FROM physical.one",
            "CREATE VIEW reads_two AS SELECT x FROM physical.two",
        ])
        .await;
    let own = TableName::new("shop", "t");
    let [one, two] = ["one", "two"].map(|name| TableName::new("physical", name));
    // There and back: each time the version that leaves gets its name back, and a view stands in for the other.
    for (round, (leaving, coming)) in [(&one, &two), (&two, &one)].into_iter().enumerate() {
        let aside = format!("former_{round}");
        let mut statements = vec![match engine.views_follow_tables() {
            true => engine.rename_view(leaving, &aside),
            false => engine.drop_view(leaving),
        }];
        statements.extend(engine.move_table(&own, leaving));
        statements.extend(engine.move_table(coming, &own));
        statements.extend(engine.create_or_replace_view(coming, &format!("SELECT * FROM {own}")));
        let mut transaction = engine.begin().await.unwrap();
        transaction.execute_all(&statements).await.unwrap();
        transaction.commit().await.unwrap();

        let shown = if round == 0 { 2 } else { 1 };
        assert_eq!(world.number("SELECT x FROM shop.t").await, shown);
        for (version, number) in [("one", 1), ("two", 2)] {
            let by_name = format!("SELECT x FROM physical.{version}");
            assert_eq!(world.number(&by_name).await, number);
            let by_view = format!("SELECT x FROM reads_{version}");
            assert_eq!(world.number(&by_view).await, number);
        }
    }
}

pub(super) async fn a_copy_gets_what_a_table_has_besides_rows(world: World) {
    let engine = &world.engine;
    world
        .run(&[
            "CREATE SCHEMA a",
            "CREATE SCHEMA b",
            "CREATE TABLE a.t (x INT DEFAULT 7, y INT, \"z z\" INT)",
            "ALTER TABLE a.t ALTER COLUMN y SET NOT NULL",
            "ALTER TABLE a.t ADD PRIMARY KEY (y)",
            "CREATE INDEX by_x ON a.t (x)",
            "CREATE UNIQUE INDEX \"by z\" ON a.t (\"z z\", x)",
            "COMMENT ON TABLE a.t IS 'it''s t'",
            "COMMENT ON COLUMN a.t.x IS 'an x'",
            "INSERT INTO a.t VALUES (1, 2, 3)",
            "CREATE TABLE b.other (x INT)",
            "CREATE INDEX by_x ON b.other (x)",
        ])
        .await;
    let [from, to, less] =
        [("a", "t"), ("b", "copy"), ("b", "less")].map(|(s, t)| TableName::new(s, t));
    for (to, query, lacks) in [
        (&to, "SELECT * FROM a.t", vec![]),
        (
            &less,
            "SELECT y FROM a.t",
            vec!["x".to_owned(), "z z".to_owned()],
        ),
    ] {
        let heir = Heir {
            from: &from,
            to,
            lacks: &lacks,
            gone: &[],
        };
        let mut statements = engine.create_or_replace_table_as(to, query);
        statements.extend(engine.belongings(heir).await.unwrap());
        let mut transaction = engine.begin().await.unwrap();
        transaction.execute_all(&statements).await.unwrap();
        transaction.commit().await.unwrap();
    }
    world
        .run(&["INSERT INTO b.copy (y, \"z z\") VALUES (5, 6)"])
        .await;
    assert_eq!(world.number("SELECT x FROM b.copy WHERE y = 5").await, 7);
    for refused in [
        "INSERT INTO b.copy VALUES (1, NULL, 9)",
        "INSERT INTO b.copy VALUES (1, 2, 9)",
        "INSERT INTO b.copy VALUES (1, 9, 3)",
        "INSERT INTO b.less VALUES (2)",
    ] {
        engine.execute(refused).await.unwrap_err();
    }
    let (indexes, comments) = match engine.views_follow_tables() {
        true => (
            "SELECT count(*) FROM pg_indexes WHERE schemaname = 'b' AND tablename = 'copy'",
            "SELECT count(*) FROM pg_description WHERE objoid = 'b.copy'::regclass AND description IN ('it''s t', 'an x')",
        ),
        false => (
            "SELECT count(*) + 1 FROM duckdb_indexes() WHERE schema_name = 'b' AND table_name = 'copy'",
            "SELECT (SELECT count(*) FROM duckdb_tables() WHERE comment = 'it''s t' AND schema_name = 'b' AND table_name = 'copy')
                  + (SELECT count(*) FROM duckdb_columns() WHERE comment = 'an x' AND schema_name = 'b' AND table_name = 'copy')",
        ),
    };
    assert_eq!(world.number(indexes).await, 3);
    assert_eq!(world.number(comments).await, 2);
}

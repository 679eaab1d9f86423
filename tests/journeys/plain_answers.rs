//! What an engine would say in its own words is said in the model's, before anything is written.

use serde_json::Value;

use crate::workspace::Workspace;
use crate::workspace::on_postgres;

const NOW: &str = "2024-01-03";

/// What a plan of these files says that fails while it is applied.
#[track_caller]
fn refused(files: &[(&str, &str)], before: &str) -> String {
    let workspace = Workspace::new(files);
    workspace.execute(before);
    let plan = ["plan", "--auto-apply", "--execution-time", NOW];
    let said = workspace.run(&plan).failed().stderr;
    assert!(workspace.objects("VIEW").is_empty(), "{said}");
    assert!(!said.contains("in the statement"), "{said}");
    said
}

#[test]
fn a_column_without_equality_is_named_where_it_is_compared() {
    on_postgres(|| {
        let docs = "CREATE SCHEMA raw; CREATE TABLE raw.docs (id INT, doc JSON, at POINT);
                    INSERT INTO raw.docs VALUES (1, '{}', '(1,2)')";
        for (kind, column, cast) in [
            (
                "SCD_TYPE_2_BY_COLUMN (unique_key id, columns *)",
                "doc",
                "JSONB",
            ),
            (
                "SCD_TYPE_2_BY_COLUMN (unique_key id, columns [at])",
                "at",
                "TEXT",
            ),
            (
                "SCD_TYPE_2_BY_COLUMN (unique_key doc, columns [id])",
                "doc",
                "JSONB",
            ),
            (
                "INCREMENTAL_BY_UNIQUE_KEY (unique_key (id, doc))",
                "doc",
                "JSONB",
            ),
            (
                "INCREMENTAL_BY_PARTITION, partitioned_by doc",
                "doc",
                "JSONB",
            ),
        ] {
            let model =
                format!("MODEL (name db.m, kind {kind});\nSELECT id, doc, at FROM raw.docs\n");
            let said = refused(&[("models/m.sql", &model)], docs);
            let wanted = format!("compares the column `{column}`");
            assert!(said.contains(&wanted), "{kind}: {said}");
            let wanted = format!("CAST(\"{column}\" AS {cast})");
            assert!(said.contains(&wanted), "{kind}: {said}");
        }
    });
}

#[test]
fn a_history_of_what_is_cast_as_the_answer_says_is_kept() {
    on_postgres(|| {
        let workspace = Workspace::new(&[(
            "models/m.sql",
            "MODEL (name db.m, kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns *));\n\
             SELECT id, CAST(doc AS JSONB) AS doc FROM raw.docs\n",
        )]);
        workspace.execute(
            "CREATE SCHEMA raw; CREATE TABLE raw.docs (id INT, doc JSON); INSERT INTO raw.docs VALUES (1, '{\"a\": 1}')",
        );
        workspace.apply("prod", NOW);
        workspace.execute("UPDATE raw.docs SET doc = '{\"a\":  1}'");
        let run = |now: &str| workspace.run(&["run", "--execution-time", now]).fine();
        run("2024-01-04");
        workspace.execute("UPDATE raw.docs SET doc = '{\"a\": 2}'");
        run("2024-01-05");
        let rows = workspace.rows("SELECT doc FROM db.m ORDER BY valid_from");
        assert_eq!(rows, [["{\"a\": 1}"], ["{\"a\": 2}"]]);
    });
}

#[test]
fn a_nul_byte_in_a_seed_is_told_with_its_line_on_postgres() {
    on_postgres(|| {
        let files = [
            (
                "models/s.sql",
                "MODEL (name db.s, kind SEED (path '../seeds/s.csv'));\n",
            ),
            ("seeds/s.csv", "id,v\n1,a\n2,\"b\nc\"\n3,x\0y\n"),
        ];
        let said = refused(&files, "SELECT 1");
        assert!(
            said.contains("seeds/s.csv:5: the row has a NUL byte"),
            "{said}"
        );
    });
}

#[test]
fn a_name_that_is_cut_is_shown_as_the_database_has_it() {
    on_postgres(|| {
        let name = "orders_of_all_the_customers_that_came_in_the_last_year_and_before";
        let model = format!("MODEL (name db.{name}, kind FULL);\nSELECT 1 AS x\n");
        let workspace = Workspace::new(&[("models/m.sql", &model)]);
        let table = workspace.apply("prod", NOW).table(&format!("db.{name}"));
        let there = || workspace.objects("BASE TABLE");
        assert_eq!(there(), std::slice::from_ref(&table));

        workspace.edit("models/m.sql", "1 AS x", "2 AS x");
        let explain = ["plan", "--explain", "--no-prompts", "--execution-time", NOW];
        let told = workspace.run(&explain).fine().stdout;
        let changed = workspace.plan("prod", NOW).table(&format!("db.{name}"));
        assert!(told.contains(&format!("shows `{changed}`")), "{told}");
        assert!(!told.contains("year_and_before`\n"), "{told}");
        workspace.apply("prod", NOW);
        let janitor = ["janitor", "--ignore-ttl"];
        let told = workspace.run(&janitor).fine().stdout;
        assert!(told.contains(&format!("Dropped {table}.")), "{told}");
        assert_eq!(there(), std::slice::from_ref(&changed));

        let destroy = ["destroy", "--yes", "--format", "json"];
        let told: Value = serde_json::from_str(&workspace.run(&destroy).fine().stdout).unwrap();
        let dropped: Vec<&str> = told["dropped"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert!(dropped.contains(&changed.as_str()), "{dropped:?}");
        assert!(
            dropped
                .iter()
                .all(|name| name.split('.').all(|part| part.len() <= 63)),
            "{dropped:?}"
        );
    });
}

//! A view stores nothing, but what it shows changes: its audits look whenever it is due.

use serde_json::json;

use crate::engines::missing;
use crate::engines::on_both_engines;
use crate::workspace::Workspace;
use crate::workspace::on_postgres;

on_both_engines! {
    a_view_is_audited_each_time_it_is_due_and_a_failure_stops_its_readers,
}

fn a_view_is_audited_each_time_it_is_due_and_a_failure_stops_its_readers() {
    let workspace = Workspace::new(&[
        (
            "models/v.sql",
            "MODEL (name db.v, kind VIEW, audits (not_null(columns := (x))));\nSELECT x FROM raw.s\n",
        ),
        (
            "models/reader.sql",
            "MODEL (name db.reader, kind FULL);\nSELECT count(*) AS n FROM db.v\n",
        ),
    ]);
    workspace
        .execute("CREATE SCHEMA raw; CREATE TABLE raw.s (x INT); INSERT INTO raw.s VALUES (1)");
    workspace.apply("prod", "2024-01-02");
    workspace.execute("INSERT INTO raw.s VALUES (NULL)");

    let ended = workspace
        .run(&["run", "--execution-time", "2024-01-03"])
        .failed();

    assert!(ended.stderr.contains("audit `not_null"), "{}", ended.stderr);
    assert_eq!(workspace.rows("SELECT n FROM db.reader"), [["1"]]);
    assert_eq!(workspace.rows("SELECT count(*) FROM db.v"), [["2"]]);
    assert_ne!(missing(&workspace, "db.v", "2024-01-03"), json!([]));

    workspace.execute("DELETE FROM raw.s WHERE x IS NULL; INSERT INTO raw.s VALUES (2)");
    workspace
        .run(&["run", "--execution-time", "2024-01-03"])
        .fine();
    assert_eq!(workspace.rows("SELECT n FROM db.reader"), [["2"]]);
    assert_eq!(missing(&workspace, "db.v", "2024-01-03"), json!([]));
}

#[test]
fn table_name_prints_what_postgres_has_and_reads() {
    on_postgres(|| {
        let long = "a_model_whose_name_is_longer_than_what_postgresql_keeps_of_any_name_at_all";
        let model = format!("MODEL (name db.{long}, kind FULL);\nSELECT 1 AS x\n");
        let quoted = "MODEL (name db.\"Order Lines\", kind FULL);\nSELECT 2 AS x\n";
        let workspace = Workspace::new(&[("models/m.sql", &model), ("models/q.sql", quoted)]);
        workspace.apply("prod", "2024-01-03");
        for (name, x) in [
            (format!("db.{long}"), "1"),
            ("db.\"Order Lines\"".to_owned(), "2"),
        ] {
            let told = workspace.run(&["table_name", &name]).fine().stdout;
            let rows = workspace.rows(&format!("SELECT x FROM {}", told.trim()));
            assert_eq!(rows, [[x]], "{told}");
        }
        let told = workspace
            .run(&["janitor", "--explain", "--format", "json"])
            .fine();
        let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
        let objects = told["objects"].as_array().unwrap();
        let tables = objects.iter().filter(|object| object["kind"] == "table");
        let tables: Vec<&str> = tables
            .map(|object| object["object"].as_str().unwrap())
            .collect();
        assert_eq!(tables.len(), 2);
        for table in tables {
            workspace.rows(&format!("SELECT x FROM {table}"));
        }
    });
}

#[test]
fn only_the_property_that_postgres_lacks_is_named_with_its_line() {
    on_postgres(|| {
        let model = "MODEL (
  name db.m,
  kind FULL,
  physical_properties (fillfactor = 50, foo = 'bar')
);
SELECT 1 AS x
";
        let workspace = Workspace::new(&[("models/m.sql", model)]);
        let ended = workspace
            .run(&["plan", "--execution-time", "2024-01-03", "--auto-apply"])
            .fine();
        assert!(
            ended
                .stderr
                .contains("`foo` of `physical_properties` has no effect"),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains("models/m.sql:4"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("`physical_properties` has no effect: the engine has no such thing\n  --> models/m.sql:3"));
    });
}

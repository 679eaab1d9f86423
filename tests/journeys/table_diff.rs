//! Two tables are compared inside the engine, row by row and column by column.

use serde_json::Value;
use serde_json::json;

use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    spans_of_time_are_compared_as_the_engine_does_and_with_numbers_as_text,
    keys_of_other_types_find_each_other_by_their_values,
}

fn compared(workspace: &Workspace, arguments: &[&str]) -> Value {
    let mut all = vec!["table_diff", "--format", "json"];
    all.extend(arguments);
    serde_json::from_str(&workspace.run(&all).fine().stdout).unwrap()
}

fn tables() -> Workspace {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind FULL, grain (id));\nSELECT unnest([1, 2, 3]) AS id, 'x' AS v\n",
    )]);
    workspace.execute(
        "CREATE SCHEMA t;
         CREATE TABLE t.one AS SELECT * FROM (VALUES
             (1, NULL, 'same', 1.0::DOUBLE, 10), (2, 'b', 'old', 2.00001::DOUBLE, 20),
             (3, 'c', NULL, 3.0::DOUBLE, 30), (4, 'd', 'gone', 4.0::DOUBLE, 40),
             (5, 'e', 'twice', 5.0::DOUBLE, 50), (5, 'e', 'twice', 5.0::DOUBLE, 50)
         ) AS r(k, l, v, f, old);
         CREATE TABLE t.two AS SELECT * FROM (VALUES
             (1, NULL, 'same', -0.0::DOUBLE + 1, 'x'), (2, 'b', 'new', 2.00002::DOUBLE, 'x'),
             (3, 'c', NULL, 3.1::DOUBLE, 'x'), (6, 'f', 'come', 6.0::DOUBLE, 'x'),
             (5, 'e', 'twice', 5.0::DOUBLE, 'x')
         ) AS r(k, l, v, f, new)",
    );
    workspace
}

#[test]
fn keys_of_several_columns_and_with_nulls_find_their_rows() {
    let workspace = tables();
    let told = compared(&workspace, &["t.one:t.two", "-o", "k", "-o", "l"]);
    assert_eq!(told["source_rows"], 6);
    assert_eq!(told["target_rows"], 5);
    assert_eq!(told["joined"], 3);
    assert_eq!(told["equal"], 1);
    assert_eq!(told["source_only"], 1);
    assert_eq!(told["target_only"], 1);
    assert_eq!(told["ambiguous_keys"], 1, "key 5 is twice in the source");
    assert_eq!(told["null_keys"], 1);
    assert_eq!(
        told["columns"],
        json!([{"name": "v", "equal": 2}, {"name": "f", "equal": 2}]),
        "NULL equals NULL, and floats are rounded"
    );
    assert_eq!(
        told["columns_added"],
        json!([{"name": "new", "type": "VARCHAR"}])
    );
    assert_eq!(
        told["columns_removed"],
        json!([{"name": "old", "type": "INTEGER"}])
    );
    assert_eq!(told["samples"], json!([]), "rows are shown on request only");
}

#[test]
fn rows_that_differ_are_shown_on_request() {
    let workspace = tables();
    let told = compared(
        &workspace,
        &[
            "t.one:t.two",
            "-o",
            "k",
            "-o",
            "l",
            "--show-sample",
            "-s",
            "f",
        ],
    );
    let rows: Vec<String> = told["samples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            format!(
                "{} {} {} {}",
                row["_row"], row["k"], row["v__source"], row["v__target"]
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            "\"differs\" \"2\" \"old\" \"new\"",
            "\"source\" \"4\" \"gone\" null",
            "\"target\" \"6\" null \"come\""
        ]
    );
    let only = compared(&workspace, &["t.one:t.two", "-o", "k", "--where", "k < 2"]);
    assert_eq!((&only["joined"], &only["same"]), (&json!(1), &json!(false)));
}

#[test]
fn a_model_is_compared_in_two_environments_by_its_grain() {
    let workspace = tables();
    workspace.apply("prod", "2024-01-03");
    workspace.edit(
        "models/a.sql",
        "'x' AS v",
        "CASE WHEN id = 2 THEN 'y' ELSE 'x' END AS v",
    );
    workspace.edit(
        "models/a.sql",
        "SELECT unnest([1, 2, 3]) AS id, ",
        "SELECT id, ",
    );
    workspace.edit(
        "models/a.sql",
        "END AS v",
        "END AS v FROM (SELECT unnest([1, 2, 3]) AS id)",
    );
    workspace.apply("dev", "2024-01-03");
    let told = compared(&workspace, &["prod:dev", "db.a"]);
    assert_eq!((&told["joined"], &told["equal"]), (&json!(3), &json!(2)));
    let text = workspace
        .run(&["table_diff", "prod:dev", "db.a"])
        .fine()
        .stdout;
    assert!(text.contains("66.6 %"), "{text}");
}

#[test]
fn what_cannot_be_compared_says_why() {
    let workspace = tables();
    for (arguments, code, text) in [
        (&["t.one"][..], 2, "SOURCE:TARGET"),
        (&["t.one:t.two"], 2, "--on"),
        (
            &["t.one:t.three", "-o", "k"],
            1,
            "no table or view `t.three`",
        ),
        (&["t.one:t.two", "-o", "z"], 1, "no column `z`"),
        (
            &["t.one:t.two", "-o", "k", "--where", "nothing = 1"],
            1,
            "nothing",
        ),
        (&["prod:dev", "db.a"], 1, "no environment `prod`"),
    ] {
        let mut all = vec!["table_diff"];
        all.extend(arguments);
        let ended = workspace.run(&all);
        assert_eq!(ended.code, code, "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(text),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}

#[test]
fn a_column_of_another_type_is_compared_and_rows_that_differ_in_it_are_not_equal() {
    let workspace = tables();
    workspace.execute(
        "CREATE TABLE t.before AS SELECT * FROM (VALUES
             (1, 1::INT, DATE '2024-01-01', 1.5::DOUBLE, 'a'), (2, 2, DATE '2024-01-02', 2.0, 'b')) AS r(k, n, d, f, s);
         CREATE TABLE t.after AS SELECT * FROM (VALUES
             (1, 1::DECIMAL(9,2), TIMESTAMP '2024-01-01', 1.5::DECIMAL(9,2), 1), (2, 5, TIMESTAMP '2024-01-02 01:00', 2.0, 2)
         ) AS r(k, n, d, f, s)",
    );
    let told = compared(&workspace, &["t.before:t.after", "-o", "k"]);
    assert_eq!((&told["joined"], &told["equal"]), (&json!(2), &json!(0)));
    assert_eq!(
        told["columns"],
        json!([
            {"name": "n", "equal": 1}, {"name": "d", "equal": 1}, {"name": "f", "equal": 2}, {"name": "s", "equal": 0}
        ])
    );
    let told = compared(&workspace, &["t.before:t.after", "-o", "k", "-s", "s"]);
    assert_eq!(told["equal"], 1);
}

#[test]
fn what_cannot_be_compared_is_one_short_message() {
    let workspace = tables();
    workspace.apply("prod", "2024-01-03");
    workspace.edit("models/a.sql", "[1, 2, 3]", "[1, 2]");
    workspace.apply("dev", "2024-01-03");
    for (arguments, said) in [
        (
            &["t.one:t.two", "-o", "k", "-s", "nope"][..],
            "neither side has a column `nope`",
        ),
        (
            &["t.one:t.two", "-o", "k", "--where", "nope = 1"],
            "--where does not fit `t.one`",
        ),
        (&["prod:dev"], "are environments; name the model to compare"),
    ] {
        let ended = workspace.run(&[&["table_diff"], arguments].concat());
        assert_ne!(ended.code, 0);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(ended.stderr.len() < 600, "{}", ended.stderr);
    }
    let commented = ["t.one:t.two", "-o", "k", "--where", "k > 0 -- all"];
    compared(&workspace, &commented);

    let text = workspace
        .run(&["table_diff", "prod:dev", "db.a"])
        .fine()
        .stdout;
    assert!(
        text.contains("db.a compared with db__dev.a, joined on id"),
        "{text}"
    );
    assert!(text.contains("3 rows against 2"), "{text}");
}

fn spans_of_time_are_compared_as_the_engine_does_and_with_numbers_as_text() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT 1 AS id\n",
    )]);
    workspace.execute(
        "CREATE SCHEMA t;
         CREATE TABLE t.one AS SELECT * FROM (VALUES
             (1, INTERVAL '1' DAY, INTERVAL '5' DAY), (2, INTERVAL '2' DAY, INTERVAL '5' DAY), (3, NULL, NULL)) AS r(k, took, other);
         CREATE TABLE t.two AS SELECT * FROM (VALUES
             (1, INTERVAL '24' HOUR, 5), (2, INTERVAL '3' DAY, 5), (3, NULL, NULL)) AS r(k, took, other)",
    );
    let told = compared(&workspace, &["t.one:t.two", "-o", "k"]);
    assert_eq!(
        told["columns"],
        json!([{"name": "took", "equal": 2}, {"name": "other", "equal": 1}])
    );
    let told = compared(&workspace, &["t.one:t.two", "-o", "k", "-o", "took"]);
    assert_eq!(
        (&told["joined"], &told["ambiguous_keys"]),
        (&json!(2), &json!(0))
    );
}

fn keys_of_other_types_find_each_other_by_their_values() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT 1 AS id\n",
    )]);
    workspace.execute(
        "CREATE SCHEMA t;
         CREATE TABLE t.one (k INT, day DATE, j JSON); CREATE TABLE t.two (k DECIMAL(9, 2), day TIMESTAMP, j JSON);
         INSERT INTO t.one VALUES (1, '2024-01-01', '{}'), (2, '2024-01-02', NULL);
         INSERT INTO t.two VALUES (1, '2024-01-01', '{}'), (2, '2024-01-02 01:00', NULL)",
    );
    for (key, joined) in [("k", 2), ("day", 1), ("j", 2)] {
        let told = compared(&workspace, &["t.one:t.two", "-o", key]);
        assert_eq!(told["joined"], joined, "{key}");
    }
    let text = workspace.run(&["table_diff", "t.one:t.two", "-o", "j"]);
    assert!(text.fine().stdout.contains("1 key holds a NULL"));
}

//! Answers that were wrong once, small and by name.

use crate::case::Bench;
use crate::judge::Unsound;
use crate::names::SOURCES;
use crate::planner::plan_files;
use crate::project::CONFIG;

/// A model: its name with its kind if that is not FULL, and its query.
type Model = (&'static str, &'static str);

/// What is kept wrongly when the models become others, one project after the other, on several data sets.
#[track_caller]
fn sound(projects: &[&[Model]]) {
    let files: Vec<Vec<(String, String)>> = projects.iter().map(|models| files(models)).collect();
    let steps = plan_files(&files).unwrap();
    let mut bench = Bench::new();
    for seed in 1..4 {
        let judged = bench.judge_steps(steps.clone(), seed);
        let wrong: Vec<Unsound> = judged.verdict.unsound;
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

fn files(models: &[Model]) -> Vec<(String, String)> {
    let mut external = String::new();
    for (name, columns) in SOURCES {
        external.push_str(&format!("- name: {name}\n  columns:\n"));
        for (column, data_type) in *columns {
            external.push_str(&format!("    {column}: '{data_type}'\n"));
        }
    }
    let mut files = vec![
        ("config.yaml".to_owned(), format!("{CONFIG}1\n")),
        ("external_models.yaml".to_owned(), external),
    ];
    for (name, query) in models {
        let (name, kind) = name.split_once(' ').unwrap_or((name, "FULL"));
        let text = format!("MODEL (name {name}, kind {kind});\n{query}\n");
        files.push((format!("models/{name}.sql"), text));
    }
    files
}

#[test]
fn an_added_projection_does_not_hide_a_change_behind_it() {
    let reader = ("db.c", "SELECT id FROM db.b");
    sound(&[
        &[
            ("db.a", "SELECT id, k FROM raw.orders"),
            ("db.b", "SELECT id FROM db.a"),
            reader,
        ],
        &[
            ("db.a", "SELECT id + 1 AS id, k FROM raw.orders"),
            ("db.b", "SELECT id, k FROM db.a"),
            reader,
        ],
    ]);
}

#[test]
fn an_added_projection_may_split_or_join_rows() {
    let reader = ("db.c", "SELECT count(*) AS n FROM db.a");
    for (before, after) in [
        (
            "SELECT DISTINCT k FROM raw.orders",
            "SELECT DISTINCT k, id FROM raw.orders",
        ),
        (
            "SELECT k FROM raw.orders UNION SELECT k FROM raw.items",
            "SELECT k, id FROM raw.orders UNION SELECT k, id FROM raw.items",
        ),
        (
            "SELECT k, count(*) AS n FROM raw.orders GROUP BY ALL",
            "SELECT k, count(*) AS n, id FROM raw.orders GROUP BY ALL",
        ),
        (
            "SELECT 1 AS k FROM raw.orders",
            "SELECT 1 AS k, count(*) AS n FROM raw.orders",
        ),
        (
            "SELECT k FROM raw.orders",
            "SELECT k, unnest([1, 2]) AS n FROM raw.orders",
        ),
        (
            "SELECT o.k FROM raw.orders AS o NATURAL JOIN (SELECT k FROM raw.items) AS i",
            "SELECT o.k FROM raw.orders AS o NATURAL JOIN (SELECT k, id FROM raw.items) AS i",
        ),
    ] {
        sound(&[&[("db.a", before), reader], &[("db.a", after), reader]]);
    }
}

#[test]
fn what_is_drawn_again_is_read_again() {
    let reader = ("db.c", "SELECT v FROM db.a");
    sound(&[
        &[("db.a", "SELECT random() AS v FROM raw.orders"), reader],
        &[("db.a", "SELECT random() AS v, id FROM raw.orders"), reader],
    ]);
}

#[test]
fn names_that_change_places_are_other_columns() {
    let reader = ("db.c", "SELECT k FROM db.a");
    sound(&[
        &[("db.a", "SELECT id AS k, v AS n FROM raw.orders"), reader],
        &[("db.a", "SELECT id AS n, v AS k FROM raw.orders"), reader],
        &[("db.a", "SELECT id AS k, v AS n FROM raw.orders"), reader],
    ]);
}

#[test]
fn what_ties_decide_is_read_again() {
    let reader = ("db.c", "SELECT id, n FROM db.a");
    let number = "row_number() OVER (ORDER BY 1) AS n";
    let before: &'static str = Box::leak(format!("SELECT id, {number} FROM raw.orders").into());
    let after: &'static str = Box::leak(format!("SELECT id, {number}, k FROM raw.orders").into());
    sound(&[&[("db.a", before), reader], &[("db.a", after), reader]]);
}

// DuckDB takes `v` and `q.v` for two keys; which of them an item means depends on how each is written.
#[test]
fn a_key_that_rollup_has_twice_is_as_it_is_written() {
    sound(&[
        &[(
            "db.a",
            "SELECT v FROM raw.orders AS q GROUP BY ROLLUP (v, q.v)",
        )],
        &[(
            "db.a",
            "SELECT q.v FROM raw.orders AS q GROUP BY ROLLUP (q.v, q.v)",
        )],
    ]);
}

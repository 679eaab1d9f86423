//! Golden scenario P5: `virtual_environment_mode: dev_only`. Production has tables under the models' own names, a
//! development environment has views; a change is forward-only, a deployment computes nothing that is there again.
//!
//! Corrected, as the specification lists it: a FULL model that was changed shows its new rows with the deployment (L15), and
//! the table of a model that was removed goes, with a janitor that works (L14).

use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    tables_have_the_models_names_and_a_deployment_shows_what_was_built,
    history_stays_and_later_days_are_of_the_new_definition,
    a_removed_models_table_goes_and_the_janitor_works,
}

const NOW: &str = "2024-01-10";

/// A project in this mode.
fn workspace(files: &[(&str, &str)]) -> Workspace {
    let workspace = Workspace::new(files);
    let config = std::fs::read_to_string(workspace.path().join("config.yaml")).unwrap();
    let mode = "virtual_environment_mode: dev_only\n";
    workspace.write("config.yaml", &format!("{config}{mode}"));
    workspace
}

fn p5() -> Workspace {
    let workspace = workspace(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT x + 10 AS y FROM db.a\n",
        ),
    ]);
    workspace.apply("prod", NOW);
    workspace
}

/// The tables of production that readers use.
fn own_tables(workspace: &Workspace) -> Vec<String> {
    let mut tables = workspace.objects("BASE TABLE");
    tables.retain(|name| name.starts_with("db."));
    tables
}

/// The views that readers use.
fn views(workspace: &Workspace) -> Vec<String> {
    let mut views = workspace.objects("VIEW");
    views.retain(|name| !name.starts_with("siding__"));
    views
}

fn tables_have_the_models_names_and_a_deployment_shows_what_was_built() {
    let workspace = p5();
    assert_eq!(own_tables(&workspace), ["db.a", "db.b"]);
    assert_eq!(views(&workspace), Vec::<String>::new());
    let again = workspace.run(&["plan", "--execution-time", NOW]).fine();
    assert!(again.stdout.contains("No changes"), "{}", again.stdout);

    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    let dev = workspace.apply("dev", NOW);
    assert_eq!(dev.backfilled(), ["db.a", "db.b"]);
    assert_eq!(views(&workspace), ["db__dev.a", "db__dev.b"]);
    assert_eq!(workspace.rows("FROM db__dev.b"), [["12"]]);
    assert_eq!(workspace.rows("FROM db.b"), [["11"]]);

    let prod = workspace.apply("prod", NOW);
    assert_eq!(prod.backfilled(), Vec::<String>::new());
    assert_eq!(workspace.rows("FROM db.a"), [["2"]]);
    assert_eq!(workspace.rows("FROM db.b"), [["12"]]);
    assert_eq!(own_tables(&workspace), ["db.a", "db.b"]);
    assert_eq!(workspace.rows("FROM db__dev.b"), [["12"]]);

    // And a run goes on in the table that readers see.
    workspace
        .run(&["run", "--execution-time", "2024-01-11 00:10:00"])
        .fine();
    assert_eq!(workspace.rows("FROM db.b"), [["12"]]);
    assert_eq!(own_tables(&workspace), ["db.a", "db.b"]);
}

fn history_stays_and_later_days_are_of_the_new_definition() {
    let workspace = workspace(&[
        (
            "models/inc.sql",
            "MODEL (\n  name db.inc,\n  kind INCREMENTAL_BY_TIME_RANGE (time_column day),\n  start '2024-01-01'\n);\n\
             SELECT CAST(@start_ds AS DATE) AS day, 1 AS x\n",
        ),
        (
            "models/total.sql",
            "MODEL (name db.total, kind VIEW);\nSELECT CAST(sum(x) AS INT) AS total FROM db.inc\n",
        ),
    ]);
    workspace.edit(
        "models/inc.sql",
        "(time_column day)",
        "(time_column day, batch_size 1)",
    );
    workspace.apply("prod", "2024-01-04");
    assert_eq!(own_tables(&workspace), ["db.inc"]);
    assert_eq!(views(&workspace), ["db.total"]);
    assert_eq!(workspace.rows("FROM db.total"), [["3"]]);

    workspace.edit("models/inc.sql", "1 AS x", "100 AS x");
    let dev = workspace.apply("dev", "2024-01-04");
    assert_eq!(dev.model("db.inc")["category"], "forward_only");
    // The last day as a preview, over all rows of production.
    assert_eq!(workspace.rows("FROM db__dev.total"), [["102"]]);
    assert_eq!(workspace.rows("FROM db.total"), [["3"]]);

    let prod = workspace.apply("prod", "2024-01-04");
    assert_eq!(prod.model("db.inc")["backfill"], serde_json::json!([]));
    assert_eq!(workspace.rows("FROM db.total"), [["3"]]);
    let run = ["run", "--execution-time", "2024-01-05 00:10:00"];
    workspace.run(&run).fine();
    assert_eq!(workspace.rows("FROM db.total"), [["103"]]);
    assert_eq!(own_tables(&workspace), ["db.inc"]);
    // What dev shows is a table of its own, as it was.
    assert_eq!(workspace.rows("FROM db__dev.total"), [["102"]]);
}

fn a_removed_models_table_goes_and_the_janitor_works() {
    let workspace = p5();
    workspace.remove("models/b.sql");
    workspace.apply("prod", NOW);
    assert_eq!(own_tables(&workspace), ["db.a"]);
    workspace.run(&["janitor", "--execution-time", NOW]).fine();
    let all = workspace.objects("BASE TABLE");
    assert_eq!(all.len(), 2, "a revert would find it: {all:?}");

    workspace.run(&["janitor", "--ignore-ttl"]).fine();
    assert_eq!(workspace.objects("BASE TABLE"), ["db.a"]);
    assert_eq!(workspace.rows("FROM db.a"), [["1"]]);
}

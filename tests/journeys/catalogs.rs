//! Warehouses of several DuckDB files, and environments that have catalogs of their own.

use crate::workspace::CONFIG;
use crate::workspace::Workspace;
use crate::workspace::rows;

const A: &str = "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n";
const V: &str = "MODEL (name db.v, kind VIEW);\nSELECT x + 1 AS y FROM db.a\n";
/// In a catalog of its own, over a model of the default one.
const FAR: &str = "MODEL (name far.db.f, kind FULL);\nSELECT sum(y) AS s FROM db.v\n";
const FAR_VIEW: &str =
    "MODEL (name far.db.w, kind VIEW);\nSELECT s, (SELECT count(*) FROM db.a) AS n FROM far.db.f\n";

fn two_catalogs() -> String {
    CONFIG.replace(
        "      database: wh.duckdb\n",
        "      catalogs:\n        wh: wh.duckdb\n        far:\n          type: duckdb\n          path: other.duckdb\n",
    )
}

/// The rows of a query over these catalogs, each in the file of its name or the one that is given.
#[track_caller]
fn seen(workspace: &Workspace, catalogs: &[&str], sql: &str) -> Vec<Vec<String>> {
    let connection = duckdb::Connection::open_in_memory().unwrap();
    for catalog in catalogs {
        let (name, file) = catalog.split_once('=').unwrap_or((catalog, catalog));
        let file = workspace.path().join(format!("{file}.duckdb"));
        assert!(file.exists(), "{} is missing", file.display());
        connection
            .execute_batch(&format!(
                "ATTACH '{}' AS {name} (READ_ONLY)",
                file.display()
            ))
            .unwrap();
    }
    rows(&connection, sql)
}

fn views(workspace: &Workspace, catalogs: &[&str]) -> Vec<String> {
    let sql = "SELECT table_catalog || '.' || table_schema || '.' || table_name FROM information_schema.tables
               WHERE table_type = 'VIEW' AND table_schema NOT LIKE 'siding__%' ORDER BY 1";
    let found = seen(workspace, catalogs, sql);
    found.into_iter().flatten().collect()
}

#[test]
fn models_of_two_files_read_each_other() {
    let workspace = Workspace::new(&[
        ("models/a.sql", A),
        ("models/v.sql", V),
        ("models/f.sql", FAR),
        ("models/w.sql", FAR_VIEW),
    ]);
    workspace.write("config.yaml", &two_catalogs());
    workspace.apply("prod", "2024-01-03");
    let both = ["wh", "far=other"];
    let all = "SELECT (SELECT x FROM wh.db.a), (SELECT y FROM wh.db.v), s, n FROM far.db.w";
    assert_eq!(seen(&workspace, &both, all), [["1", "2", "2", "1"]]);
    assert_eq!(
        views(&workspace, &both),
        ["far.db.f", "far.db.w", "wh.db.a", "wh.db.v"]
    );
    let plan = workspace.plan("prod", "2024-01-03");
    assert!(
        plan.changes()
            .values()
            .all(|change| change == "unchanged/-")
    );
    assert!(plan.backfilled().is_empty());

    // The default catalog's name may be written, and is the same model.
    workspace.edit("models/a.sql", "db.a", "wh.db.a");
    workspace.edit("models/a.sql", "1 AS x", "10 AS x");
    workspace.apply("dev", "2024-01-03");
    let all = "SELECT (SELECT s FROM far.db__dev.w), (SELECT s FROM far.db.w)";
    assert_eq!(seen(&workspace, &both, all), [["11", "2"]]);
    workspace.apply("prod", "2024-01-03");
    assert_eq!(seen(&workspace, &both, all), [["11", "11"]]);
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(seen(&workspace, &both, all), [["11", "2"]]);

    workspace.run(&["invalidate", "dev", "--sync"]).fine();
    let left = views(&workspace, &both);
    assert_eq!(left, ["far.db.f", "far.db.w", "wh.db.a", "wh.db.v"]);
    workspace.run(&["destroy", "--yes"]).fine();
    let count = "SELECT count(*) FROM information_schema.tables";
    assert_eq!(seen(&workspace, &both, count), [["0"]]);
}

#[test]
fn an_environment_has_its_views_in_a_catalog_of_its_own() {
    let workspace = Workspace::new(&[
        ("models/a.sql", A),
        ("models/v.sql", V),
        ("models/f.sql", FAR),
        ("models/w.sql", FAR_VIEW),
    ]);
    let config = two_catalogs();
    workspace.write(
        "config.yaml",
        &format!("{config}environment_suffix_target: catalog\n"),
    );
    workspace.apply("prod", "2024-01-03");
    let prod = ["wh", "far=other"];
    let shown = ["far.db.f", "far.db.w", "wh.db.a", "wh.db.v"];
    assert_eq!(views(&workspace, &prod), shown);

    workspace.edit("models/a.sql", "1 AS x", "10 AS x");
    let planned = workspace.plan("dev", "2024-01-03");
    assert!(
        !workspace.path().join("wh__dev.duckdb").exists(),
        "a look makes nothing"
    );
    let applied = workspace.apply("dev", "2024-01-03");
    assert_eq!(planned.0["plan_id"], applied.0["plan_id"]);
    let four = ["wh", "far=other", "wh__dev", "far__dev"];
    let all = "SELECT (SELECT y FROM wh__dev.db.v), (SELECT s FROM far__dev.db.w), (SELECT s FROM far.db.w)";
    assert_eq!(seen(&workspace, &four, all), [["11", "11", "2"]]);
    assert_eq!(views(&workspace, &prod), shown, "production is as it was");

    // Again, back, and forward to production.
    workspace.edit("models/a.sql", "10 AS x", "20 AS x");
    workspace.apply("dev", "2024-01-03");
    assert_eq!(seen(&workspace, &four, all), [["21", "21", "2"]]);
    workspace.run(&["rollback", "dev"]).fine();
    assert_eq!(seen(&workspace, &four, all), [["11", "11", "2"]]);
    workspace.apply("prod", "2024-01-03");
    assert_eq!(seen(&workspace, &four, all), [["11", "11", "21"]]);
    let told = workspace.run(&["janitor", "--explain"]).fine().stdout;
    assert!(
        told.contains("catalog") && told.contains("wh__dev"),
        "{told}"
    );

    workspace.run(&["invalidate", "dev", "--sync"]).fine();
    for gone in ["wh__dev.duckdb", "far__dev.duckdb"] {
        assert!(
            !workspace.path().join(gone).exists(),
            "{gone} is still there"
        );
    }
    assert_eq!(views(&workspace, &prod), shown);
    workspace.apply("dev2", "2024-01-03");
    workspace.run(&["destroy", "--yes"]).fine();
    assert!(!workspace.path().join("wh__dev2.duckdb").exists());
}

#[test]
fn what_somebody_has_put_into_an_environments_catalog_keeps_it() {
    let workspace = Workspace::new(&[("models/a.sql", A)]);
    workspace.write(
        "config.yaml",
        &format!("{CONFIG}environment_suffix_target: catalog\n"),
    );
    workspace.apply("prod", "2024-01-03");
    workspace.edit("models/a.sql", "1 AS x", "10 AS x");
    // A file that is there already is not Siding's to use.
    workspace.execute_in("wh__dev.duckdb", "CREATE TABLE mine AS SELECT 1 AS x");
    let plan = [
        "plan",
        "dev",
        "--auto-apply",
        "--execution-time",
        "2024-01-03",
    ];
    let ended = workspace.run(&plan).failed();
    assert!(
        ended.stderr.contains("is there already and not Siding's"),
        "{}",
        ended.stderr
    );
    workspace.remove("wh__dev.duckdb");
    workspace.run(&plan).fine();
    workspace.execute_in("wh__dev.duckdb", "CREATE TABLE mine AS SELECT 1 AS x");
    workspace.run(&["invalidate", "dev", "--sync"]).fine();
    let mine = seen(&workspace, &["wh__dev"], "SELECT x FROM wh__dev.mine");
    assert_eq!(mine, [["1"]]);
    assert!(views(&workspace, &["wh__dev"]).is_empty());
    workspace.execute_in("wh__dev.duckdb", "DROP TABLE mine");
    workspace.run(&["destroy", "--yes"]).fine();
    assert!(!workspace.path().join("wh__dev.duckdb").exists());
}

#[test]
fn environments_are_mapped_to_catalogs_by_their_names() {
    let workspace = Workspace::new(&[("models/a.sql", A), ("models/v.sql", V)]);
    let config = two_catalogs();
    let mapping = "environment_catalog_mapping:\n  pr_\\d+: far\n  ^prod$: shown\n";
    let third = "        shown: shown.duckdb\n        far:\n";
    let config = format!("{}{mapping}", config.replace("        far:\n", third));
    workspace.write("config.yaml", &config);
    workspace.apply("prod", "2024-01-03");
    workspace.edit("models/a.sql", "1 AS x", "10 AS x");
    workspace.apply("pr_12", "2024-01-03");
    workspace.apply("dev", "2024-01-03");
    let all = ["wh", "shown", "far=other"];
    assert_eq!(
        views(&workspace, &all),
        [
            "far.db__pr_12.a",
            "far.db__pr_12.v",
            "shown.db.a",
            "shown.db.v",
            "wh.db__dev.a",
            "wh.db__dev.v"
        ]
    );
    let values = "SELECT (SELECT y FROM shown.db.v), (SELECT y FROM far.db__pr_12.v), (SELECT y FROM wh.db__dev.v)";
    assert_eq!(seen(&workspace, &all, values), [["2", "11", "11"]]);

    // The mapping goes: the next plan shows the same elsewhere, and nothing is built.
    workspace.edit("config.yaml", mapping, "");
    assert!(workspace.plan("prod", "2024-01-03").backfilled().is_empty());
    workspace.apply("prod", "2024-01-03");
    workspace.run(&["invalidate", "pr_12", "--sync"]).fine();
    workspace.run(&["invalidate", "dev", "--sync"]).fine();
    assert_eq!(views(&workspace, &all), ["wh.db.a", "wh.db.v"]);
    assert_eq!(seen(&workspace, &all, "SELECT y FROM wh.db.v"), [["11"]]);
}

#[test]
fn catalogs_that_cannot_be_are_said_when_loading() {
    let workspace = Workspace::new(&[("models/a.sql", A)]);
    let refused = |config: &str, expected: &str| {
        workspace.write("config.yaml", config);
        let ended = workspace.run(&["plan"]).failed();
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    };
    let two = two_catalogs();
    refused(
        &format!("{two}environment_catalog_mapping: {{dev: near}}\n"),
        "names the catalog `near`, which the connection does not have",
    );
    refused(
        &format!(
            "{two}environment_suffix_target: catalog\nenvironment_catalog_mapping: {{dev: far}}\n"
        ),
        "both decide about the catalog",
    );
    refused(
        &format!("{two}environment_catalog_mapping: {{\"dev(\": far}}\n"),
        "`dev(` is no regular expression",
    );
    refused(
        &two.replace(
            "type: duckdb\n          path",
            "type: postgres\n          path",
        ),
        "a catalog of `type: postgres` is not supported yet",
    );
    refused(
        &two.replace("        wh: wh", "        WH: x.duckdb\n        wh: wh"),
        "the catalog name `wh` is taken",
    );
    refused(
        &two.replace("other.duckdb", "wh.duckdb"),
        "are the same file",
    );
    let postgres = "gateways: {pg: {connection: {type: postgres, host: nowhere, user: u, database: d}, state_connection: {type: sqlite, database: s.db}}}\nmodel_defaults: {dialect: postgres}\n";
    for key in [
        "environment_suffix_target: catalog",
        "environment_catalog_mapping: {dev: d}",
    ] {
        refused(&format!("{postgres}{key}\n"), "is nothing for PostgreSQL");
    }
}

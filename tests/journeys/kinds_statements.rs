//! Statements around a model's query, and what its views get besides rows.

use crate::workspace::CONFIG;
use crate::workspace::Workspace;

const LOG: &str = "CREATE SCHEMA raw; CREATE TABLE raw.log (what TEXT, day TEXT); CREATE TABLE raw.src AS SELECT 1 AS id";

const MODEL: &str = "-- Orders, one a row
MODEL (
  name db.m,
  kind FULL,
  column_descriptions (id = 'the order''s number')
);
CREATE TEMP TABLE wanted AS SELECT id FROM raw.src;
SELECT id FROM wanted;
INSERT INTO raw.log SELECT 'rows ' || count(*), @end_ds FROM @this_model;
DROP TABLE wanted;
ON_VIRTUAL_UPDATE_BEGIN;
INSERT INTO raw.log SELECT @'@{this_model}', 'name';
ON_VIRTUAL_UPDATE_END;
";

#[test]
pub(crate) fn statements_run_in_the_batchs_own_transaction() {
    let workspace = Workspace::new(&[("models/m.sql", MODEL)]);
    workspace.execute(LOG);
    workspace.apply("prod", "2024-01-03");
    assert_eq!(workspace.rows("SELECT id FROM db.m"), [["1"]]);
    assert_eq!(
        workspace.rows("SELECT * FROM raw.log WHERE what LIKE 'rows%'"),
        [["rows 1", "2024-01-02"]]
    );

    // A batch that an audit refuses leaves nothing of its statements either.
    workspace.edit(
        "models/m.sql",
        "kind FULL",
        "kind FULL, audits (accepted_range(column := id, max_v := 0))",
    );
    workspace.edit(
        "models/m.sql",
        "SELECT id FROM wanted",
        "SELECT id + 0 AS id FROM wanted",
    );
    workspace
        .run(&["plan", "--auto-apply", "--execution-time", "2024-01-03"])
        .failed();
    assert_eq!(
        workspace.rows("SELECT count(*) FROM raw.log WHERE what LIKE 'rows%'"),
        [["1"]]
    );
}

#[test]
fn a_virtual_update_knows_the_environments_own_views() {
    let workspace = Workspace::new(&[("models/m.sql", MODEL)]);
    workspace.execute(LOG);
    workspace.apply("prod", "2024-01-03");
    workspace.edit(
        "models/m.sql",
        "SELECT id FROM wanted",
        "SELECT id, 2 AS v FROM wanted",
    );
    workspace.apply("dev", "2024-01-03");
    let names = workspace.rows("SELECT what FROM raw.log WHERE day = 'name'");
    assert_eq!(names, [["\"db\".\"m\""], ["\"db__dev\".\"m\""]]);
    let again = workspace.plan("dev", "2024-01-03");
    assert!(again.backfilled().is_empty());
}

#[test]
fn a_virtual_update_that_fails_switches_nothing() {
    let workspace = Workspace::new(&[("models/m.sql", MODEL)]);
    workspace.execute(LOG);
    workspace.apply("prod", "2024-01-03");
    workspace.edit(
        "models/m.sql",
        "SELECT id FROM wanted",
        "SELECT id + 10 AS id FROM wanted",
    );
    workspace.edit(
        "models/m.sql",
        "ON_VIRTUAL_UPDATE_BEGIN;",
        "ON_VIRTUAL_UPDATE_BEGIN;\nINSERT INTO raw.gone VALUES (1);",
    );
    let ended = workspace
        .run(&["plan", "--auto-apply", "--execution-time", "2024-01-03"])
        .failed();
    assert!(ended.stderr.contains("virtual update"), "{}", ended.stderr);
    assert_eq!(workspace.rows("SELECT id FROM db.m"), [["1"]]);
    workspace.execute("CREATE TABLE raw.gone (x INT)");
    workspace.apply("prod", "2024-01-03");
    assert_eq!(workspace.rows("SELECT id FROM db.m"), [["11"]]);
}

/// The descriptions of `db.m` and of its columns.
fn described(workspace: &Workspace) -> Vec<String> {
    if workspace.is_postgres() {
        let table = "SELECT split_part(pg_get_viewdef('db.m'::regclass), 'FROM ', 2)";
        let table = workspace.rows(table)[0][0].replace(';', "");
        let sql = format!(
            "SELECT obj_description('db.m'::regclass) UNION ALL SELECT col_description('{table}'::regclass, 1)"
        );
        let rows = workspace.rows(&sql).into_iter();
        return rows.map(|row| row[0].clone()).collect();
    }
    let sql = "SELECT comment FROM duckdb_views() WHERE schema_name = 'db' AND view_name = 'm'
               UNION ALL SELECT comment FROM duckdb_columns() WHERE schema_name = 'db' AND table_name = 'm'";
    let rows = workspace.rows(sql).into_iter();
    rows.map(|row| row[0].clone()).collect()
}

#[test]
pub(crate) fn descriptions_stand_in_the_warehouse_and_follow_the_model() {
    let workspace = Workspace::new(&[("models/m.sql", MODEL)]);
    workspace.execute(LOG);
    workspace.apply("prod", "2024-01-03");
    assert_eq!(
        described(&workspace),
        ["Orders, one a row", "the order's number"]
    );
    workspace.edit("models/m.sql", "-- Orders, one a row", "-- Orders");
    let plan = workspace.apply("prod", "2024-01-03");
    assert!(plan.backfilled().is_empty());
    assert_eq!(described(&workspace), ["Orders", "the order's number"]);
}

#[test]
fn nothing_is_described_where_that_is_not_wanted() {
    let workspace = Workspace::new(&[("models/m.sql", MODEL)]);
    workspace.write(
        "config.yaml",
        &CONFIG.replace(
            "database: wh.duckdb",
            "database: wh.duckdb\n      register_comments: false",
        ),
    );
    workspace.execute(LOG);
    workspace.apply("prod", "2024-01-03");
    assert_eq!(described(&workspace), ["NULL", "NULL"]);
}

#[test]
fn what_a_statement_reads_is_filled_first_and_its_changes_arrive() {
    let workspace = Workspace::new(&[
        (
            "models/m.sql",
            "MODEL (name db.m, kind FULL);\nCREATE TEMP TABLE seen AS SELECT max(n) AS n FROM db.z;\nSELECT n FROM seen;\nDROP TABLE seen;\n",
        ),
        (
            "models/z.sql",
            "MODEL (name db.z, kind FULL);\nSELECT 1 AS n\n",
        ),
    ]);
    workspace.apply("prod", "2024-01-03");
    assert_eq!(workspace.rows("SELECT n FROM db.m"), [["1"]]);
    workspace.edit("models/z.sql", "SELECT 1", "SELECT 2");
    workspace.apply("prod", "2024-01-03");
    assert_eq!(workspace.rows("SELECT n FROM db.m"), [["2"]]);
}

#[test]
fn models_that_make_the_same_macro_do_not_get_into_each_others_way() {
    let names = ["a", "b", "c", "d"];
    let files = names.map(|name| {
        let text = format!(
            "MODEL (name db.{name}, kind FULL);\nCREATE OR REPLACE MACRO twice(x) AS 2 * x;\n\
             SELECT sum(twice(i % 3))::BIGINT AS n FROM range(5000000) AS r(i)\n"
        );
        (format!("models/{name}.sql"), text)
    });
    let files = files
        .each_ref()
        .map(|(path, text)| (path.as_str(), text.as_str()));
    let workspace = Workspace::new(&files);
    let ended = workspace
        .run(&["plan", "--auto-apply", "--execution-time", "2024-01-03"])
        .fine();
    assert!(!ended.stderr.contains("conflict"), "{}", ended.stderr);
    for name in names {
        let rows = workspace.rows(&format!("SELECT n FROM db.{name}"));
        assert_eq!(rows, [["9999998"]]);
    }
}

#[test]
fn what_the_engine_has_no_word_for_is_kept_and_said() {
    let workspace = Workspace::new(&[(
        "models/m.sql",
        "MODEL (name db.m, kind FULL, clustered_by (x), storage_format parquet, physical_properties (a = 1, b = NULL));\nSELECT 1 AS x\n",
    )]);
    let ended = workspace
        .run(&["plan", "--auto-apply", "--execution-time", "2024-01-03"])
        .fine();
    for key in ["clustered_by", "storage_format", "physical_properties"] {
        assert!(
            ended.stderr.contains(&format!("`{key}` has no effect")),
            "{}",
            ended.stderr
        );
    }
}

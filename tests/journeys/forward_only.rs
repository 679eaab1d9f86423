//! Forward-only changes: rows that are there stay, new ones come by the new definition.
//!
//! Where the reference alters production's table in place, Siding lets a new table begin as a copy of it: readers, other
//! environments and rollbacks keep the old one as it was.

use serde_json::Value;

use crate::engines::columns;
use crate::restatement::days;
use crate::workspace::Plan;
use crate::workspace::Workspace;

const NOW: &str = "2024-01-06";

fn planned(workspace: &Workspace, now: &str, arguments: &[&str]) -> Plan {
    let mut all = vec!["plan"];
    all.extend(arguments);
    all.extend(["--execution-time", now, "--format", "json"]);
    let ended = workspace.run(&all).fine();
    Plan(serde_json::from_str(&ended.stdout).unwrap())
}

/// The plan's errors, for one that is refused.
fn refused(workspace: &Workspace, arguments: &[&str]) -> String {
    let mut all = vec!["plan"];
    all.extend(arguments);
    all.extend(["--execution-time", NOW, "--format", "json"]);
    let ended = workspace.run(&all).failed();
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    plan["diagnostics"].to_string()
}

fn column_k(workspace: &Workspace) {
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x, x + 1000 AS k FROM",
    );
}

/// `inc` by day, `total` on it, `v` a view on that.
fn p2() -> Workspace {
    let workspace = days();
    workspace.write(
        "models/v.sql",
        "MODEL (name db.v, kind VIEW);\nSELECT total FROM db.total\n",
    );
    workspace.apply("prod", NOW);
    workspace
}

#[test]
pub(crate) fn a_run_of_dev_goes_on_with_its_own_tables_and_leaves_those_of_production_alone() {
    let workspace = p2();
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x * 2 AS x FROM",
    );
    planned(&workspace, NOW, &["dev", "--forward-only", "--auto-apply"]);
    assert_eq!(workspace.rows("FROM db__dev.total"), [["20"]]);

    workspace.execute("INSERT INTO raw.t VALUES ('2024-01-06', 6)");
    workspace
        .run(&["run", "dev", "--execution-time", "2024-01-07"])
        .fine();

    assert_eq!(
        workspace.rows("SELECT x FROM db__dev.inc ORDER BY ds"),
        [["1"], ["2"], ["3"], ["4"], ["10"], ["12"]]
    );
    assert_eq!(workspace.rows("FROM db__dev.total"), [["32"]]);
    assert_eq!(workspace.rows("FROM db.total"), [["15"]]);
    assert_eq!(workspace.rows("SELECT count(*) FROM db.inc"), [["5"]]);
    workspace
        .run(&["run", "prod", "--execution-time", "2024-01-07"])
        .fine();
    assert_eq!(workspace.rows("FROM db.total"), [["21"]]);
    assert_eq!(
        workspace.rows("SELECT sum(y)::INT FROM db.daily"),
        [["210"]]
    );
}

#[test]
pub(crate) fn a_reader_of_a_changed_value_is_built_on_the_mixture_and_never_taken_for_another() {
    let workspace = p2();
    let before = workspace.plan("prod", NOW);
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x * 2 AS x FROM",
    );

    let mixed = planned(&workspace, NOW, &["prod", "--forward-only", "--auto-apply"]);

    assert_eq!(mixed.changes()["db.inc"], "direct/forward_only");
    assert_eq!(mixed.changes()["db.daily"], "indirect/forward_only");
    assert_ne!(mixed.table("db.total"), before.table("db.total"));
    assert_eq!(workspace.rows("FROM db.total"), [["15"]]);

    // The same definition, from its start: other tables, other rows.
    workspace.edit("models/inc.sql", "db.inc,", "db.inc, stamp 'anew',");
    let anew = workspace.apply("prod", NOW);
    assert_eq!(anew.changes()["db.inc"], "direct/breaking");
    assert_ne!(anew.table("db.total"), mixed.table("db.total"));
    assert_ne!(anew.table("db.daily"), mixed.table("db.daily"));
    assert_eq!(workspace.rows("FROM db.total"), [["30"]]);
    assert_eq!(
        workspace.rows("SELECT sum(y)::INT FROM db.daily"),
        [["300"]]
    );
}

#[test]
pub(crate) fn dev_previews_from_the_date_on_which_a_change_is_to_count() {
    let workspace = p2();
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x + 100 AS x FROM",
    );

    planned(
        &workspace,
        NOW,
        &[
            "dev",
            "--forward-only",
            "--effective-from",
            "2024-01-03",
            "--auto-apply",
        ],
    );

    assert_eq!(
        workspace.rows("SELECT x FROM db__dev.inc ORDER BY ds"),
        [["1"], ["2"], ["103"], ["104"], ["105"]]
    );
    // What the flag said then is what production gets.
    let prod = planned(&workspace, NOW, &["prod", "--auto-apply"]);
    let since = serde_json::json!([["2024-01-03T00:00:00Z", "2024-01-06T00:00:00Z"]]);
    assert_eq!(prod.model("db.inc")["backfill"], since);
    assert_eq!(workspace.rows("FROM db.total"), [["315"]]);
}

#[test]
pub(crate) fn a_model_that_is_forward_only_needs_no_flag() {
    let workspace = days();
    workspace.edit(
        "models/inc.sql",
        "time_column ds",
        "time_column ds, forward_only true",
    );
    let first = workspace.apply("prod", NOW);
    assert_eq!(first.changes()["db.inc"], "added/breaking");
    column_k(&workspace);
    workspace.edit("models/total.sql", "sum(x)", "max(x)");

    let plan = workspace.apply("prod", NOW);

    assert_eq!(plan.changes()["db.inc"], "direct/forward_only");
    assert_eq!(plan.changes()["db.total"], "direct/breaking");
    assert_eq!(plan.backfilled(), ["db.total"]);
    assert_eq!(
        workspace.rows("SELECT count(k), count(*) FROM db.inc"),
        [["0", "5"]]
    );
}

#[test]
pub(crate) fn a_change_of_kind_is_never_forward_only() {
    let workspace = days();
    workspace.edit(
        "models/inc.sql",
        "time_column ds",
        "time_column ds, forward_only true",
    );
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/inc.sql",
        "INCREMENTAL_BY_TIME_RANGE (time_column ds, forward_only true)",
        "FULL",
    );
    workspace.edit(
        "models/inc.sql",
        "WHERE ds BETWEEN @start_ds AND @end_ds",
        "",
    );

    let plan = workspace.apply("prod", NOW);

    assert_eq!(plan.changes()["db.inc"], "direct/breaking");
    assert!(plan.backfilled().contains(&"db.inc".to_owned()));
}

#[test]
pub(crate) fn a_destructive_change_is_refused_unless_somebody_allows_it() {
    let workspace = p2();
    column_k(&workspace);
    planned(&workspace, NOW, &["prod", "--forward-only", "--auto-apply"]);
    workspace.edit("models/inc.sql", "x + 1000 AS k", "'a' || x AS l");

    let said = refused(&workspace, &["prod", "--forward-only"]);
    assert!(said.contains("drops column `k`"), "{said}");
    assert!(said.contains("--allow-destructive-model"), "{said}");

    planned(
        &workspace,
        NOW,
        &[
            "prod",
            "--forward-only",
            "--allow-destructive-model",
            "db.inc",
            "--auto-apply",
        ],
    );
    assert_eq!(
        workspace.rows("SELECT * FROM db.inc WHERE ds = '2024-01-05'"),
        [["2024-01-05", "5", "NULL"]]
    );
    assert_eq!(columns(&workspace, "db.inc"), ["ds", "x", "l"]);
}

#[test]
pub(crate) fn what_a_model_says_about_its_columns_counts() {
    for (policy, rows) in [
        ("on_destructive_change allow", vec!["ds", "y"]),
        ("on_destructive_change ignore", vec!["ds", "x", "y"]),
        (
            "on_destructive_change ignore, on_additive_change ignore",
            vec!["ds", "x"],
        ),
        (
            "on_destructive_change warn, on_additive_change warn",
            vec!["ds", "y"],
        ),
    ] {
        let workspace = days();
        let forward = format!("time_column ds, forward_only true, {policy}");
        workspace.edit("models/inc.sql", "time_column ds", &forward);
        workspace.remove("models/total.sql");
        workspace.remove("models/daily.sql");
        workspace.apply("prod", NOW);
        workspace.edit(
            "models/inc.sql",
            "SELECT ds, x FROM",
            "SELECT ds, x AS y FROM",
        );

        let plan = workspace.apply("prod", NOW);

        let said = plan.0["diagnostics"].as_array().unwrap().len();
        assert_eq!(
            said,
            if policy.contains("warn") { 2 } else { 0 },
            "{policy}"
        );
        assert_eq!(columns(&workspace, "db.inc"), rows, "{policy}");
        workspace.execute("INSERT INTO raw.t VALUES ('2024-01-06', 6)");
        workspace
            .run(&["run", "prod", "--execution-time", "2024-01-07"])
            .fine();
        assert_eq!(
            workspace.rows("SELECT count(*) FROM db.inc"),
            [["6"]],
            "{policy}"
        );
    }
    let workspace = days();
    workspace.edit(
        "models/inc.sql",
        "time_column ds",
        "time_column ds, forward_only true, on_additive_change error",
    );
    workspace.apply("prod", NOW);
    column_k(&workspace);
    let said = refused(&workspace, &["prod"]);
    assert!(said.contains("adds column `k`"), "{said}");
    planned(
        &workspace,
        NOW,
        &["prod", "--allow-additive-model", "db.*", "--auto-apply"],
    );
    assert_eq!(
        workspace.rows("SELECT count(*), count(k) FROM db.inc"),
        [["5", "0"]]
    );
}

#[test]
pub(crate) fn a_type_that_no_query_tells_is_compared_where_the_engine_knows_it() {
    let workspace = days();
    workspace.write("external_models.yaml", "- name: raw.t\n");
    workspace.edit(
        "models/inc.sql",
        "time_column ds",
        "time_column ds, forward_only true",
    );
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, some_udf(x) AS x FROM",
    );
    workspace.edit("models/inc.sql", "some_udf(x)", "CAST(x AS VARCHAR) || ''");

    let mut all = vec!["plan", "prod", "--auto-apply", "--execution-time", NOW];
    all.extend(["--format", "text"]);
    let ended = workspace.run(&all).failed();

    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(said.contains("makes column `x` anew as "), "{said}");
    assert_eq!(workspace.rows("FROM db.total"), [["15"]]);
}

#[test]
pub(crate) fn the_same_change_again_finds_the_table_that_is_there() {
    let workspace = p2();
    column_k(&workspace);
    let one = planned(&workspace, NOW, &["dev", "--forward-only", "--auto-apply"]);
    let other = planned(
        &workspace,
        "2024-01-06 01:00:00",
        &["dev", "--forward-only"],
    );
    assert_eq!(one.table("db.inc"), other.table("db.inc"));
    assert_eq!(other.backfilled(), Vec::<String>::new());
    let second = planned(&workspace, NOW, &["dev2", "--forward-only", "--auto-apply"]);
    assert_eq!(second.table("db.inc"), one.table("db.inc"));
    assert_eq!(second.backfilled(), Vec::<String>::new());
}

#[test]
pub(crate) fn options_that_contradict_each_other_are_refused() {
    let workspace = p2();
    let ended = workspace.run(&[
        "plan",
        "prod",
        "--forward-only",
        "--effective-from",
        "2030-01-01",
        "--execution-time",
        NOW,
    ]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("is after the execution time"),
        "{}",
        ended.stderr
    );
    let ended = workspace.run(&["plan", "prod", "--effective-from", "2024-01-01"]);
    assert_eq!(ended.code, 2);
    workspace.edit("models/total.sql", "sum(x)", "max(x)");
    let plan = planned(&workspace, NOW, &["prod", "--forward-only"]);
    assert!(
        plan.0["diagnostics"]
            .to_string()
            .contains("changes nothing here")
    );
    assert_eq!(plan.changes()["db.total"], "direct/breaking");
}

/// What the server asks of a job.
pub(crate) fn job(workspace: &Workspace, task: &Value) -> Value {
    use std::io::Write;
    let request = serde_json::json!({
        "version": 1, "project": workspace.path(), "config": workspace.path(), "data": workspace.path(),
        "actor": "github:ada#1", "execution_time": "2024-01-06T00:00:00Z", "task": task,
    });
    let mut child = workspace
        .command(&["job"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    write!(input, "{request}").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_pull_request_has_productions_table_before_it_is_merged() {
    let workspace = days();
    workspace.edit(
        "models/inc.sql",
        "time_column ds",
        "time_column ds, forward_only true",
    );
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x * 2 AS x FROM",
    );

    let prepared = job(
        &workspace,
        &serde_json::json!({"do": "prepare", "environment": "pr_1"}),
    );

    assert_eq!(
        prepared["missing_for_prod"],
        serde_json::json!({}),
        "{prepared:#}"
    );
    assert_eq!(workspace.rows("FROM db__pr_1.total"), [["20"]]);
    assert_eq!(
        workspace.rows("FROM db.total"),
        [["15"]],
        "nothing is switched yet"
    );
    let promoted = job(
        &workspace,
        &serde_json::json!({
            "do": "promote", "expected_prod_plan": prepared["prod_plan"],
            "expected_project": prepared["project_digest"], "build": false,
        }),
    );
    assert_eq!(
        promoted["models_executed"],
        serde_json::json!([]),
        "{promoted:#}"
    );
    assert_eq!(workspace.rows("FROM db.total"), [["15"]]);
    workspace.execute("INSERT INTO raw.t VALUES ('2024-01-06', 6)");
    workspace
        .run(&["run", "prod", "--execution-time", "2024-01-07"])
        .fine();
    assert_eq!(workspace.rows("FROM db.total"), [["27"]]);
}

#[test]
pub(crate) fn a_history_and_added_rows_outlive_a_change_of_what_they_read() {
    let workspace = Workspace::new(&[
        (
            "models/now.sql",
            "MODEL (name db.now, kind VIEW);\nSELECT id, name, upd::TIMESTAMP AS upd FROM raw.people\n",
        ),
        (
            "models/history.sql",
            "MODEL (name db.history, kind SCD_TYPE_2_BY_TIME (unique_key id, updated_at_name upd));\n\
             SELECT id, name, upd FROM db.now\n",
        ),
        (
            "models/added.sql",
            "MODEL (name db.added, kind INCREMENTAL_UNMANAGED);\n\
             SELECT id, name FROM db.now\n",
        ),
    ]);
    workspace.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.people AS SELECT 1 AS id, 'Ann' AS name, DATE '2024-01-01' AS upd",
    );
    workspace.apply("prod", "2024-01-03");
    workspace.execute("UPDATE raw.people SET name = 'Anna', upd = DATE '2024-01-04'");

    workspace.edit("models/now.sql", "id, name", "id, upper(name) AS name");
    workspace.apply("prod", "2024-01-03");
    workspace
        .run(&["run", "--execution-time", "2024-01-06"])
        .fine();

    assert_eq!(
        workspace.rows("SELECT name FROM db.history ORDER BY valid_from"),
        [["Ann"], ["ANNA"]]
    );
    assert_eq!(
        workspace.rows("SELECT name FROM db.added GROUP BY name ORDER BY length(name)"),
        [["Ann"], ["ANNA"]]
    );
}

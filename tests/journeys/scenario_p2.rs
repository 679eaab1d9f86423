//! Golden scenario P2: forward-only changes of `inc`, which `f` and, through it, the view `v` are made of.
//!
//! Where the reference alters production's table in place, Siding lets a new one begin as a copy of it; and where it shows
//! an empty table in dev (L3), Siding shows what production has.

use serde_json::json;

use crate::engines::columns;
use crate::engines::on_both_engines;
use crate::workspace::Plan;
use crate::workspace::Workspace;

on_both_engines! {
    a_new_column_is_previewed_without_an_empty_table_and_deployed_without_a_backfill,
    reverting_shows_the_old_table_again_and_fills_what_it_has_missed,
    the_lookback_never_reaches_before_the_date_from_which_a_change_counts,
    a_rollback_says_which_days_only_the_other_table_has,
}

const NOW: &str = "2024-01-10";
const NEXT: &str = "2024-01-11";

/// Nine days of `raw.t`, all in production.
fn p2() -> Workspace {
    let workspace = Workspace::new(&[
        (
            "external_models.yaml",
            "- name: raw.t\n  columns:\n    ds: DATE\n    x: INT\n",
        ),
        (
            "models/src.sql",
            "MODEL (name db.src, kind VIEW);\nSELECT ds, x FROM raw.t\n",
        ),
        (
            "models/inc.sql",
            "MODEL (name db.inc, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\n\
             SELECT ds, x FROM db.src WHERE ds BETWEEN @start_ds AND @end_ds\n",
        ),
        (
            "models/f.sql",
            "MODEL (name db.f, kind FULL);\nSELECT count(*) AS n, CAST(sum(x) AS INT) AS s FROM db.inc\n",
        ),
        (
            "models/v.sql",
            "MODEL (name db.v, kind VIEW);\nSELECT n, s FROM db.f\n",
        ),
    ]);
    workspace.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.t AS
         SELECT DATE '2024-01-01' + CAST(n AS INTEGER) AS ds, CAST(n + 1 AS INTEGER) AS x FROM generate_series(0, 8) AS r(n)",
    );
    workspace.apply("prod", NOW);
    workspace
}

fn planned(workspace: &Workspace, now: &str, arguments: &[&str]) -> Plan {
    let mut all = vec!["plan"];
    all.extend(arguments);
    all.extend(["--execution-time", now, "--format", "json"]);
    let ended = workspace.run(&all).fine();
    Plan(serde_json::from_str(&ended.stdout).unwrap())
}

fn add_k(workspace: &Workspace) {
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x, x + 1000 AS k FROM",
    );
}

/// A column of a table by day, from the first one on.
#[track_caller]
fn by_day(workspace: &Workspace, column: &str, table: &str) -> Vec<String> {
    workspace
        .rows(&format!("SELECT {column} FROM {table} ORDER BY ds"))
        .concat()
}

fn run(workspace: &Workspace, now: &str) {
    workspace.run(&["run", "--execution-time", now]).fine();
}

const NULLS: [&str; 8] = ["NULL"; 8];

fn a_new_column_is_previewed_without_an_empty_table_and_deployed_without_a_backfill() {
    let workspace = p2();
    let first = workspace.plan("prod", NOW);
    add_k(&workspace);

    let dev = planned(&workspace, NOW, &["dev", "--forward-only", "--auto-apply"]);

    assert_eq!(dev.changes()["db.inc"], "direct/forward_only");
    assert_eq!(dev.model("db.inc")["preview"], true);
    let ninth = json!([["2024-01-09T00:00:00Z", "2024-01-10T00:00:00Z"]]);
    assert_eq!(dev.model("db.inc")["backfill"], ninth);
    // All days are there; the last one is by the new definition.
    let mut preview = NULLS.to_vec();
    preview.push("1009");
    assert_eq!(by_day(&workspace, "k", "db__dev.inc"), preview);
    assert_eq!(
        by_day(&workspace, "x", "db__dev.inc"),
        ["1", "2", "3", "4", "5", "6", "7", "8", "9"]
    );
    // What reads none of it shows what production shows, never an empty table.
    assert_eq!(dev.table("db.f"), first.table("db.f"));
    assert_eq!(workspace.rows("FROM db__dev.f"), [["9", "45"]]);
    assert_eq!(workspace.rows("FROM db__dev.v"), [["9", "45"]]);
    assert_eq!(
        columns(&workspace, "db.inc"),
        ["ds", "x"],
        "production is as it was"
    );

    // The stored decision counts: no flag is needed, nothing is computed.
    let prod = planned(&workspace, NOW, &["prod", "--auto-apply"]);
    assert_eq!(prod.backfilled(), Vec::<String>::new());
    assert_eq!(prod.model("db.inc")["forward_only"], true);
    assert_eq!(
        prod.model("db.inc")["copied_from"],
        json!(first.table("db.inc"))
    );
    assert_eq!(columns(&workspace, "db.inc"), ["ds", "x", "k"]);
    assert_eq!(
        by_day(&workspace, "k", "db.inc"),
        ["NULL"; 9],
        "a preview is never promoted"
    );
    assert_eq!(workspace.rows("FROM db.v"), [["9", "45"]]);
    let again = workspace.plan("prod", NOW);
    assert!(
        again
            .changes()
            .values()
            .all(|change| change == "unchanged/-"),
        "{:?}",
        again.changes()
    );
    assert_eq!(again.backfilled(), Vec::<String>::new());

    // From the next day on the new definition counts.
    workspace.execute("INSERT INTO raw.t VALUES ('2024-01-10', 10)");
    run(&workspace, NEXT);
    let mut next = ["NULL"; 9].to_vec();
    next.push("1010");
    assert_eq!(by_day(&workspace, "k", "db.inc"), next);
    assert_eq!(workspace.rows("FROM db.v"), [["10", "55"]]);
    let old = format!("SELECT count(*) FROM {}", first.table("db.inc"));
    assert_eq!(workspace.rows(&old), [["9"]], "the old table is as it was");
    assert_eq!(
        by_day(&workspace, "k", "db__dev.inc"),
        preview,
        "and so is dev"
    );
}

fn reverting_shows_the_old_table_again_and_fills_what_it_has_missed() {
    let workspace = p2();
    let first = workspace.plan("prod", NOW);
    add_k(&workspace);
    planned(&workspace, NOW, &["prod", "--forward-only", "--auto-apply"]);
    workspace.execute("INSERT INTO raw.t VALUES ('2024-01-10', 10)");
    run(&workspace, NEXT);

    workspace.edit("models/inc.sql", ", x + 1000 AS k", "");
    let reverted = workspace.apply("prod", NEXT);

    assert_eq!(reverted.table("db.inc"), first.table("db.inc"));
    assert_eq!(reverted.backfilled(), ["db.inc"]);
    let tenth = json!([["2024-01-10T00:00:00Z", "2024-01-11T00:00:00Z"]]);
    assert_eq!(reverted.model("db.inc")["backfill"], tenth);
    assert_eq!(columns(&workspace, "db.inc"), ["ds", "x"]);
    assert_eq!(
        by_day(&workspace, "x", "db.inc"),
        ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]
    );
    assert_eq!(workspace.rows("FROM db.f"), [["10", "55"]]);
    assert_eq!(workspace.rows("FROM db.v"), [["10", "55"]]);
}

/// L4: the reference computes the days of the lookback before the date with the new definition too.
fn the_lookback_never_reaches_before_the_date_from_which_a_change_counts() {
    let workspace = p2();
    workspace.edit(
        "models/inc.sql",
        "time_column ds",
        "time_column ds, lookback 2",
    );
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x + 100 AS x FROM",
    );

    let since = ["--effective-from", "2024-01-04", "--auto-apply"];
    let plan = planned(
        &workspace,
        NOW,
        &[&["prod", "--forward-only"][..], &since].concat(),
    );

    let range = json!([["2024-01-04T00:00:00Z", "2024-01-10T00:00:00Z"]]);
    assert_eq!(plan.model("db.inc")["backfill"], range);
    assert_eq!(
        by_day(&workspace, "x", "db.inc"),
        ["1", "2", "3", "104", "105", "106", "107", "108", "109"]
    );
    assert_eq!(plan.changes()["db.f"], "indirect/indirect_breaking");
    assert_eq!(workspace.rows("FROM db.v"), [["9", "645"]]);

    // A later run looks back over two days, as the model says.
    workspace.execute(
        "UPDATE raw.t SET x = 50 WHERE ds <= '2024-01-08'; INSERT INTO raw.t VALUES ('2024-01-10', 10)",
    );
    run(&workspace, NEXT);
    assert_eq!(
        by_day(&workspace, "x", "db.inc"),
        [
            "1", "2", "3", "104", "105", "106", "107", "150", "109", "110"
        ]
    );
}

fn a_rollback_says_which_days_only_the_other_table_has() {
    let workspace = p2();
    add_k(&workspace);
    planned(&workspace, NOW, &["prod", "--forward-only", "--auto-apply"]);
    workspace.execute("INSERT INTO raw.t VALUES ('2024-01-10', 10)");
    run(&workspace, NEXT);

    let ended = workspace.run(&["rollback", "prod"]).fine();

    // The old table is shown again, without the day that only the new one has: that is said, and a run fills it.
    assert_eq!(columns(&workspace, "db.inc"), ["ds", "x"]);
    assert_eq!(workspace.rows("SELECT count(*) FROM db.inc"), [["9"]]);
    let said = "`db.inc` shows a table that lacks 2024-01-10; the next `siding run` fills it";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    run(&workspace, NEXT);
    assert_eq!(
        by_day(&workspace, "x", "db.inc"),
        ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]
    );
    assert_eq!(workspace.rows("FROM db.v"), [["10", "55"]]);
}

//! Golden scenario P6: a run that a blocking audit stops.
//!
//! Where the reference audits rows that are in the live table already (L9), Siding audits them before they are: readers
//! never see the bad day, nor a hole in its place. And a plan does not catch up: that is what the next run does.

use crate::engines::missing;
use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    a_bad_day_that_a_blocking_audit_finds_is_never_visible,
}

fn run(workspace: &Workspace, now: &str) -> crate::workspace::Ended {
    workspace.run(&["run", "--execution-time", now])
}

/// `raw.t` ← `src` and `inc`, by day, ← `f`.
fn p6() -> Workspace {
    let workspace = Workspace::new(&[
        (
            "external_models.yaml",
            "- name: raw.t\n  columns:\n    day: DATE\n    v: INT\n",
        ),
        (
            "models/src.sql",
            "MODEL (name db.src, kind INCREMENTAL_BY_TIME_RANGE (time_column day, lookback 2));
             SELECT day, v FROM raw.t WHERE day BETWEEN @start_ds AND @end_ds",
        ),
        (
            "models/inc.sql",
            "MODEL (name db.inc, kind INCREMENTAL_BY_TIME_RANGE (time_column day, lookback 2),
             audits (not_null(columns := (v))));
             SELECT day, v FROM db.src WHERE day BETWEEN @start_ds AND @end_ds",
        ),
        (
            "models/f.sql",
            "MODEL (name db.f, kind FULL);\nSELECT count(*) AS n, sum(v) AS s FROM db.inc",
        ),
    ]);
    workspace.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.t (day DATE, v INT);
         INSERT INTO raw.t VALUES ('2024-01-01', 1), ('2024-01-02', 2), ('2024-01-03', 3), ('2024-01-04', 4),
         ('2024-01-05', 5), ('2024-01-06', NULL)",
    );
    workspace.apply("prod", "2024-01-06");
    workspace
}

fn a_bad_day_that_a_blocking_audit_finds_is_never_visible() {
    let workspace = p6();
    let late = "2024-01-07T01:00:00";
    let days = |table: &str| -> Vec<String> {
        let sql = format!("SELECT coalesce(v, 0) FROM db.{table} ORDER BY day");
        workspace.rows(&sql).concat()
    };
    let total = || workspace.rows("FROM db.f");
    assert_eq!(days("inc"), ["1", "2", "3", "4", "5"]);
    assert_eq!(total(), [["5", "15"]]);

    // A late row within the lookback comes with the bad day: both wait.
    workspace.execute("UPDATE raw.t SET v = 40 WHERE day = '2024-01-04'");
    let ended = run(&workspace, late).failed();
    assert!(ended.stderr.contains("audit `not_null"), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("skipped, because db.inc failed"),
        "{}",
        ended.stdout
    );
    assert_eq!(days("src"), ["1", "2", "3", "40", "5", "0"]);
    assert_eq!(
        days("inc"),
        ["1", "2", "3", "4", "5"],
        "no bad row, no hole"
    );
    assert_eq!(total(), [["5", "15"]]);
    let sixth = serde_json::json!([["2024-01-06T00:00:00Z", "2024-01-07T00:00:00Z"]]);
    assert_eq!(missing(&workspace, "db.src", late), serde_json::json!([]));
    for name in ["db.inc", "db.f"] {
        let found = missing(&workspace, name, late);
        let last = &found[0][1];
        assert_eq!(*last, sixth[0][1], "{name}: {found}");
    }

    // What was promoted counts, not the files.
    workspace.edit("models/inc.sql", "columns := (v)", "columns := (day)");
    run(&workspace, late).failed();
    assert_eq!(days("inc"), ["1", "2", "3", "4", "5"]);

    let plan = workspace.apply("prod", late);
    assert_eq!(plan.changes()["db.inc"], "metadata/metadata");
    assert_eq!(plan.backfilled(), Vec::<String>::new());
    run(&workspace, late).fine();
    assert_eq!(
        days("inc"),
        ["1", "2", "3", "40", "5", "0"],
        "the audit allows it now"
    );
    assert_eq!(total(), [["6", "51"]]);
    let ended = run(&workspace, late).fine();
    assert!(ended.stdout.contains("Nothing is due"), "{}", ended.stdout);
    assert_eq!(days("inc"), ["1", "2", "3", "40", "5", "0"]);
}

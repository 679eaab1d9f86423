//! Golden scenario P7: development starts later than the model. A table that was filled only from a late start is kept
//! aside, and never becomes production's; and a run of dev goes on with the table that dev shows (L34).

use crate::engines::on_both_engines;
use crate::restatement::days;
use crate::restatement::with;

on_both_engines! {
    a_full_model_over_a_whole_history_is_built_once_wherever_the_plan_starts,
    a_full_model_over_part_of_its_history_is_built_again_for_production,
    a_late_start_in_dev_leaves_production_its_whole_history,
}

const NOW: &str = "2024-01-06";

/// The reference builds the table a second time; its rows do not depend on where the plan starts.
fn a_full_model_over_a_whole_history_is_built_once_wherever_the_plan_starts() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit("models/total.sql", "AS total", "AS total, 7 AS w");

    let dev = with(&workspace, &["dev", "-s", "2024-01-05", "--auto-apply"]);
    assert_eq!(dev.changes()["db.total"], "direct/non_breaking");
    assert_eq!(dev.backfilled(), ["db.total"]);
    assert_eq!(workspace.rows("FROM db__dev.total"), [["15", "7"]]);

    let plan = with(&workspace, &["prod", "--auto-apply"]);
    assert!(plan.is_virtual_only());
    assert_eq!(plan.table("db.total"), dev.table("db.total"));
    assert_eq!(workspace.rows("FROM db.total"), [["15", "7"]]);
    let again = workspace.plan("prod", NOW);
    assert_eq!(again.backfilled(), Vec::<String>::new());
}

fn a_full_model_over_part_of_its_history_is_built_again_for_production() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x, x AS w FROM",
    );
    workspace.edit("models/total.sql", "sum(x)", "sum(w)");

    let dev = with(&workspace, &["dev", "-s", "2024-01-05", "--auto-apply"]);
    assert_eq!(dev.changes()["db.total"], "direct/breaking");
    assert!(
        dev.table("db.total").ends_with("__dev"),
        "{}",
        dev.table("db.total")
    );
    assert_eq!(workspace.rows("FROM db__dev.total"), [["5"]]);

    let plan = with(&workspace, &["prod", "--auto-apply"]);
    assert_eq!(plan.table("db.total") + "__dev", dev.table("db.total"));
    assert_eq!(
        plan.model("db.inc")["backfill"],
        serde_json::json!([["2024-01-01T00:00:00Z", "2024-01-05T00:00:00Z"]]),
        "the day that dev has filled is not filled again"
    );
    assert_eq!(
        plan.model("db.total")["backfill"],
        serde_json::json!([["2024-01-01T00:00:00Z", "2024-01-06T00:00:00Z"]])
    );
    assert_eq!(workspace.rows("FROM db.total"), [["15"]]);
    assert_eq!(
        workspace.rows("FROM db__dev.total"),
        [["5"]],
        "dev is as it was"
    );
}

fn a_late_start_in_dev_leaves_production_its_whole_history() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x + 1 AS x FROM",
    );
    workspace.edit("models/total.sql", "sum(x)", "sum(x + 1)");

    with(&workspace, &["dev", "-s", "2024-01-05", "--auto-apply"]);
    assert_eq!(workspace.rows("FROM db__dev.total"), [["7"]]);
    // A run of dev goes on with the table that dev shows.
    workspace.execute("INSERT INTO raw.t VALUES ('2024-01-06', 6)");
    let run = [
        "run",
        "dev",
        "-s",
        "2024-01-05",
        "--execution-time",
        "2024-01-07",
    ];
    workspace.run(&run).fine();
    assert_eq!(workspace.rows("FROM db__dev.total"), [["15"]]);

    let prod = with(&workspace, &["prod", "--auto-apply"]);
    assert!(prod.backfilled().contains(&"db.total".to_owned()));
    // The table of `inc` is one that both share, with the day that dev has added.
    assert_eq!(
        workspace.rows("SELECT CAST(sum(x + 1) AS INT) FROM db.inc"),
        [["33"]]
    );
    assert_eq!(workspace.rows("FROM db.total"), [["33"]]);
}

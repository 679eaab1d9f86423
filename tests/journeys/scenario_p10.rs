//! Golden scenario P10: what is taken from the project, what is built, and what happens to the second of two plans.
//!
//! Where the reference tells the loser of two plans after it has computed everything (L11), Siding tells it before.

use crate::asking::Asking;
use crate::engines::on_both_engines;
use crate::workspace::Plan;
use crate::workspace::Workspace;
use crate::workspace::map;

on_both_engines! {
    only_what_is_selected_comes_from_the_project,
    a_second_plan_with_another_selection_adds_to_what_dev_shows,
    a_model_that_is_gone_leaves_production_when_it_is_selected,
    an_unselected_removal_and_an_unselected_addition_are_left_out,
    production_never_shows_what_reads_a_selected_change_with_old_rows,
    only_what_is_named_is_built_and_shown_with_all_that_it_reads,
    tables_that_were_declared_filled_stay_in_their_environment,
    tables_that_were_not_filled_are_filled_by_the_next_plan,
    the_first_of_two_plans_that_is_applied_second_is_told_so_before_it_builds_anything,
}

const NOW: &str = "2024-01-06";

pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> crate::workspace::Ended {
    let mut all = vec!["plan"];
    all.extend(arguments);
    all.extend(["--execution-time", NOW, "--format", "json"]);
    workspace.run(&all)
}

pub(crate) fn planned(workspace: &Workspace, arguments: &[&str]) -> Plan {
    let ended = run(workspace, arguments).fine();
    Plan(serde_json::from_str(&ended.stdout).unwrap())
}

pub(crate) fn views(workspace: &Workspace, environment: &str) -> Vec<String> {
    let prefix = format!("db__{environment}.");
    let views = workspace.objects("VIEW").into_iter();
    views
        .filter_map(|view| view.strip_prefix(&prefix).map(str::to_owned))
        .collect()
}

/// P10: `a` → `b` and `z` in production; then `a`, `b`, `z` are edited and `n` is added.
pub(crate) fn p10() -> Workspace {
    let workspace = Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
        ),
        (
            "models/b.sql",
            "MODEL (name db.b, kind FULL);\nSELECT x FROM db.a\n",
        ),
        (
            "models/z.sql",
            "MODEL (name db.z, kind FULL);\nSELECT 1 AS z\n",
        ),
    ]);
    workspace.apply("prod", NOW);
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace.edit("models/b.sql", "SELECT x", "SELECT x, 5 AS five");
    workspace.edit("models/z.sql", "1 AS z", "2 AS z");
    workspace.write(
        "models/n.sql",
        "MODEL (name db.n, kind FULL);\nSELECT 7 AS n\n",
    );
    workspace
}

fn only_what_is_selected_comes_from_the_project() {
    let workspace = p10();

    let plan = planned(&workspace, &["dev2", "-m", "db.a", "--auto-apply"]);

    assert_eq!(
        plan.changes(),
        map([
            ("db.a", "direct/breaking"),
            ("db.b", "indirect/indirect_breaking"),
            ("db.z", "unchanged/-"),
        ]),
        "`n` is not there, and `b` is production's definition"
    );
    assert_eq!(plan.backfilled(), ["db.a"]);
    assert_eq!(views(&workspace, "dev2"), ["a"]);
    assert_eq!(workspace.rows("FROM db__dev2.a"), [["2"]]);

    let plan = planned(&workspace, &["dev3", "-m", "db.a+", "--auto-apply"]);
    assert_eq!(plan.model("db.a")["reused"], true);
    assert_eq!(plan.changes()["db.b"], "direct/breaking");
    assert_eq!(views(&workspace, "dev3"), ["a", "b"]);
    assert_eq!(workspace.rows("FROM db__dev3.b"), [["2", "5"]]);
}

fn a_second_plan_with_another_selection_adds_to_what_dev_shows() {
    let workspace = p10();
    planned(&workspace, &["dev", "-m", "db.a", "--auto-apply"]);

    planned(&workspace, &["dev", "-m", "db.z", "--auto-apply"]);

    assert_eq!(views(&workspace, "dev"), ["a", "z"]);
    assert_eq!(
        workspace.rows("SELECT x, z FROM db__dev.a, db__dev.z"),
        [["2", "2"]]
    );
}

fn a_model_that_is_gone_leaves_production_when_it_is_selected() {
    let workspace = p10();
    workspace.remove("models/z.sql");

    let plan = planned(&workspace, &["prod", "-m", "db.z", "--auto-apply"]);

    assert_eq!(plan.changes()["db.z"], "removed/-");
    assert_eq!(plan.changes()["db.a"], "unchanged/-");
    assert_eq!(workspace.objects("VIEW"), ["db.a", "db.b"]);
    assert_eq!(workspace.rows("FROM db.b"), [["1"]]);
}

fn an_unselected_removal_and_an_unselected_addition_are_left_out() {
    let workspace = p10();
    workspace.remove("models/z.sql");

    let plan = planned(&workspace, &["prod", "-m", "db.n", "--auto-apply"]);

    assert_eq!(plan.backfilled(), ["db.n"]);
    assert_eq!(workspace.objects("VIEW"), ["db.a", "db.b", "db.n", "db.z"]);
}

fn production_never_shows_what_reads_a_selected_change_with_old_rows() {
    let workspace = p10();

    let plan = planned(&workspace, &["prod", "-m", "db.a", "--auto-apply"]);

    assert_eq!(plan.backfilled(), ["db.a", "db.b"]);
    assert_eq!(workspace.rows("FROM db.b"), [["2"]]);
    assert_eq!(workspace.rows("FROM db.z"), [["1"]]);
}

fn only_what_is_named_is_built_and_shown_with_all_that_it_reads() {
    let workspace = p10();

    let plan = planned(&workspace, &["dev", "-b", "db.b", "--auto-apply"]);

    assert_eq!(plan.backfilled(), ["db.a", "db.b"]);
    assert_eq!(views(&workspace, "dev"), ["b"]);
    assert_eq!(workspace.rows("FROM db__dev.b"), [["2", "5"]]);
    let rest = planned(&workspace, &["dev", "--auto-apply"]);
    assert_eq!(rest.backfilled(), ["db.n", "db.z"]);
    assert_eq!(views(&workspace, "dev"), ["a", "b", "n", "z"]);
}

fn tables_that_were_declared_filled_stay_in_their_environment() {
    let workspace = p10();

    let plan = planned(&workspace, &["dev4", "--empty-backfill", "--auto-apply"]);

    assert_eq!(plan.backfilled(), ["db.a", "db.b", "db.n", "db.z"]);
    assert_eq!(plan.model("db.a")["hollow"], true);
    assert_eq!(workspace.rows("SELECT count(*) FROM db__dev4.b"), [["0"]]);
    assert!(
        planned(&workspace, &["dev4", "--empty-backfill"])
            .backfilled()
            .is_empty()
    );

    let prod = planned(&workspace, &["prod", "--auto-apply"]);
    assert_eq!(prod.backfilled(), ["db.a", "db.b", "db.n", "db.z"]);
    assert_eq!(workspace.rows("FROM db.b"), [["2", "5"]]);
    assert_eq!(workspace.rows("SELECT n, z FROM db.n, db.z"), [["7", "2"]]);
}

fn tables_that_were_not_filled_are_filled_by_the_next_plan() {
    let workspace = p10();

    let plan = planned(&workspace, &["dev", "--skip-backfill", "--auto-apply"]);

    assert!(plan.backfilled().is_empty());
    assert!(plan.0["diagnostics"].to_string().contains("stay empty"));
    assert_eq!(workspace.rows("SELECT count(*) FROM db__dev.b"), [["0"]]);
    let next = planned(&workspace, &["dev", "--auto-apply"]);
    assert_eq!(next.backfilled(), ["db.a", "db.b", "db.n", "db.z"]);
    assert_eq!(workspace.rows("FROM db__dev.b"), [["2", "5"]]);
}

fn the_first_of_two_plans_that_is_applied_second_is_told_so_before_it_builds_anything() {
    let workspace = p10();
    workspace.remove("models/n.sql");
    workspace.apply("dev", NOW);
    workspace.edit("models/a.sql", "2 AS x", "3 AS x");
    let asking = Asking::start(&workspace, &format!("dev --execution-time {NOW}"));

    workspace.edit("models/a.sql", "3 AS x", "4 AS x");
    planned(&workspace, &["dev", "--auto-apply"]);
    let tables = workspace.objects("BASE TABLE");
    let (code, said) = asking.yes();

    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("was changed by another plan (by tester)"),
        "{said}"
    );
    assert_eq!(workspace.objects("BASE TABLE"), tables, "nothing was built");
    assert_eq!(workspace.rows("FROM db__dev.b"), [["4", "5"]]);
}

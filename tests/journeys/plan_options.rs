//! Options of `siding plan`: what is taken from the project, what is built, how far, and what is said instead.

use serde_json::Value;

use crate::restatement::days;
use crate::scenario_p10::p10;
use crate::scenario_p10::planned;
use crate::scenario_p10::run;
use crate::scenario_p10::views;
use crate::workspace::Plan;

const NOW: &str = "2024-01-06";

#[test]
fn production_is_never_left_with_tables_that_are_not_filled() {
    let workspace = p10();
    for option in [
        &["--skip-backfill"][..],
        &["--dry-run"],
        &["--empty-backfill"],
        &["-b", "db.a"],
    ] {
        let ended = run(
            &workspace,
            &[&["prod", "--auto-apply"][..], option].concat(),
        );
        assert_eq!(ended.code, 2, "{option:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("only"), "{}", ended.stderr);
    }
    assert_eq!(workspace.rows("SELECT x, z FROM db.b, db.z"), [["1", "1"]]);
}

#[test]
fn options_that_make_no_sense_together_are_refused() {
    let workspace = p10();
    for (arguments, said) in [
        (&["dev", "--ignore-cron"][..], "--run"),
        (&["dev", "--min-intervals", "3"], "--start"),
        (&["dev", "--skip-backfill", "--empty-backfill"], "exclude"),
        (&["dev", "--run", "--skip-backfill"], "excludes"),
        (&["dev", "-m", "db.nothing"], "selects no model"),
        (&["dev", "-b", "db.nothing"], "selects no model"),
        (&["dev", "-m", "(db.a"], "a `)` is missing"),
        (
            &["dev", "-s", "2024-01-05", "-e", "2024-01-03"],
            "not after the start",
        ),
        (&["dev", "-s", "tomorrow"], "not after the start"),
        (&["dev", "-e", "in 3 days"], "after the execution time"),
        (&["dev", "-s", "whenever"], "--start"),
        (&["prod", "-s", "2024-01-05"], "--restate-model"),
    ] {
        let ended = run(&workspace, arguments);
        assert_eq!(
            ended.code, 2,
            "{arguments:?}: {} {}",
            ended.stdout, ended.stderr
        );
        assert!(
            ended.stderr.contains(said),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}

#[test]
fn explaining_says_what_would_happen_and_does_nothing() {
    let workspace = p10();
    let before = workspace.objects("BASE TABLE");

    let ended = workspace
        .run(&["plan", "prod", "--explain", "--execution-time", NOW])
        .fine();

    for step in [
        "Write down the new snapshots",
        "`db.a`: build the table",
        "Switch the views of `prod` in one transaction",
        "`db.n` shows `siding__db.db__n__",
    ] {
        assert!(ended.stdout.contains(step), "{step}: {}", ended.stdout);
    }
    let plan = planned(&workspace, &["prod", "--explain"]);
    let titles: Vec<&str> = plan.0["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| stage["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles.len(), 3, "{titles:?}");
    assert_eq!(workspace.objects("BASE TABLE"), before);
    assert_eq!(workspace.rows("FROM db.a"), [["1"]]);
    let ended = run(&workspace, &["prod", "--explain", "--auto-apply"]);
    assert_eq!(ended.code, 2);
}

#[test]
fn a_plan_with_run_fills_what_is_due_as_well() {
    let workspace = days();
    workspace.apply("prod", "2024-01-04");
    assert_eq!(workspace.rows("FROM db.total"), [["6"]]);
    workspace.edit("models/other.sql", "1 AS one", "2 AS one");

    let plan = planned(&workspace, &["prod"]);
    assert_eq!(plan.backfilled(), ["db.other"], "a plan does not catch up");
    let plan = planned(&workspace, &["prod", "--run", "--auto-apply"]);

    assert_eq!(
        plan.backfilled(),
        ["db.daily", "db.inc", "db.other", "db.total"]
    );
    assert_eq!(workspace.rows("FROM db.total"), [["15"]]);
    assert_eq!(workspace.rows("FROM db.other"), [["2"]]);
}

#[test]
fn a_minimum_of_intervals_reaches_back_before_the_start() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit("models/daily.sql", "x * 10", "x * 20");

    let start = ["dev", "-s", "2024-01-05"];
    let plan = planned(&workspace, &start);
    let range = |plan: &Plan| plan.model("db.daily")["backfill"].clone();
    assert_eq!(
        range(&plan),
        serde_json::json!([["2024-01-05T00:00:00Z", "2024-01-06T00:00:00Z"]])
    );
    let plan = planned(
        &workspace,
        &[&start[..], &["--min-intervals", "3"]].concat(),
    );
    assert_eq!(
        range(&plan),
        serde_json::json!([["2024-01-03T00:00:00Z", "2024-01-06T00:00:00Z"]])
    );
}

#[test]
fn relative_dates_are_those_of_the_execution_time() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit("models/daily.sql", "x * 10", "x * 20");

    let plan = planned(&workspace, &["dev", "-s", "3 days ago", "-e", "yesterday"]);

    assert_eq!(
        plan.model("db.daily")["backfill"],
        serde_json::json!([["2024-01-03T00:00:00Z", "2024-01-05T00:00:00Z"]])
    );
}

#[test]
fn a_table_with_a_gap_is_not_shown_when_gaps_are_refused() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/daily.sql",
        "db.daily,",
        "db.daily, start '2024-01-03',",
    );
    workspace.edit("models/daily.sql", "x * 10", "x * 20");

    let ended = run(&workspace, &["prod", "--no-gaps", "--auto-apply"]);

    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("`db.daily` would have a gap"),
        "{}",
        ended.stderr
    );
    assert_eq!(workspace.rows("SELECT count(*) FROM db.daily"), [["5"]]);
    planned(&workspace, &["prod", "--auto-apply"]);
    assert_eq!(workspace.rows("SELECT count(*) FROM db.daily"), [["3"]]);
}

#[test]
fn people_may_be_asked_about_every_edit_of_one_plan() {
    let workspace = p10();

    let ended = run(&workspace, &["prod", "--no-auto-categorization"]).failed();

    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(
        plan["diagnostics"]
            .to_string()
            .contains("somebody has to say")
    );
}

#[test]
fn a_new_environment_starts_from_another_one() {
    let workspace = p10();
    workspace.apply("dev", NOW);
    workspace.edit("models/n.sql", "7 AS n", "8 AS n");

    let plan = planned(
        &workspace,
        &["copy", "--create-from", "dev", "--auto-apply"],
    );

    assert_eq!(plan.0["compared_with"], "dev");
    assert_eq!(plan.changes()["db.n"], "direct/breaking");
    assert_eq!(plan.changes()["db.a"], "unchanged/-");
    assert_eq!(views(&workspace, "copy"), ["n"]);
    let plan = planned(&workspace, &["copy2", "--create-from", "nowhere"]);
    assert!(
        plan.0["diagnostics"]
            .to_string()
            .contains("no environment `nowhere`")
    );
}

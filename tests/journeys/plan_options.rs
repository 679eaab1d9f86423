//! Options of `siding plan`: what is taken from the project, what is built, how far, and what is said instead.

use serde_json::Value;

use crate::restatement::days;
use crate::workspace::Plan;
use crate::workspace::Workspace;
use crate::workspace::map;

const NOW: &str = "2024-01-06";

fn run(workspace: &Workspace, arguments: &[&str]) -> crate::workspace::Ended {
    let mut all = vec!["plan"];
    all.extend(arguments);
    all.extend(["--execution-time", NOW, "--format", "json"]);
    workspace.run(&all)
}

fn planned(workspace: &Workspace, arguments: &[&str]) -> Plan {
    let ended = run(workspace, arguments).fine();
    Plan(serde_json::from_str(&ended.stdout).unwrap())
}

fn views(workspace: &Workspace, environment: &str) -> Vec<String> {
    let prefix = format!("db__{environment}.");
    let views = workspace.objects("VIEW").into_iter();
    views
        .filter_map(|view| view.strip_prefix(&prefix).map(str::to_owned))
        .collect()
}

/// P10: `a` → `b` and `z` in production; then `a`, `b`, `z` are edited and `n` is added.
fn p10() -> Workspace {
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

#[test]
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

#[test]
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

#[test]
fn a_model_that_is_gone_leaves_production_when_it_is_selected() {
    let workspace = p10();
    workspace.remove("models/z.sql");

    let plan = planned(&workspace, &["prod", "-m", "db.z", "--auto-apply"]);

    assert_eq!(plan.changes()["db.z"], "removed/-");
    assert_eq!(plan.changes()["db.a"], "unchanged/-");
    assert_eq!(workspace.objects("VIEW"), ["db.a", "db.b"]);
    assert_eq!(workspace.rows("FROM db.b"), [["1"]]);
}

#[test]
fn an_unselected_removal_and_an_unselected_addition_are_left_out() {
    let workspace = p10();
    workspace.remove("models/z.sql");

    let plan = planned(&workspace, &["prod", "-m", "db.n", "--auto-apply"]);

    assert_eq!(plan.backfilled(), ["db.n"]);
    assert_eq!(workspace.objects("VIEW"), ["db.a", "db.b", "db.n", "db.z"]);
}

#[test]
fn production_never_shows_what_reads_a_selected_change_with_old_rows() {
    let workspace = p10();

    let plan = planned(&workspace, &["prod", "-m", "db.a", "--auto-apply"]);

    assert_eq!(plan.backfilled(), ["db.a", "db.b"]);
    assert_eq!(workspace.rows("FROM db.b"), [["2"]]);
    assert_eq!(workspace.rows("FROM db.z"), [["1"]]);
}

#[test]
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

#[test]
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

#[test]
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

/// P7: a table that was filled only from a late start is kept aside, and never becomes production's.
#[test]
fn a_late_start_in_dev_leaves_production_its_whole_history() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/inc.sql",
        "SELECT ds, x FROM",
        "SELECT ds, x + 1 AS x FROM",
    );
    workspace.edit("models/total.sql", "sum(x)", "sum(x + 1)");

    planned(&workspace, &["dev", "-s", "2024-01-05", "--auto-apply"]);
    assert_eq!(workspace.rows("FROM db__dev.total"), [["7"]]);
    // A run of dev goes on with the table that dev shows.
    workspace.execute("INSERT INTO raw.t VALUES ('2024-01-06', 6)");
    workspace
        .run(&[
            "run",
            "dev",
            "-s",
            "2024-01-05",
            "--execution-time",
            "2024-01-07",
        ])
        .fine();
    assert_eq!(workspace.rows("FROM db__dev.total"), [["15"]]);

    let prod = planned(&workspace, &["prod", "--auto-apply"]);
    assert!(prod.backfilled().contains(&"db.total".to_owned()));
    // The table of `inc` is one that both share, with the day that dev has added.
    assert_eq!(
        workspace.rows("SELECT sum(x + 1)::INT FROM db.inc"),
        [["33"]]
    );
    assert_eq!(workspace.rows("FROM db.total"), [["33"]]);
}

//! Dates, crons and ranges that make no sense: one clear message each, with its place, and what was there stays.

use crate::engines::on_both_engines;
use crate::workspace::Ended;
use crate::workspace::Workspace;

on_both_engines! {
    a_model_with_a_date_or_a_cron_that_makes_no_sense_names_the_place,
    a_command_with_a_date_that_makes_no_sense_is_wrong_usage,
    the_first_and_the_last_year_are_no_more_than_many_intervals,
    a_lookback_beyond_the_start_ends_at_the_start,
    a_start_in_the_future_fills_nothing_yet,
}

const MODEL: &str = "MODEL (
  name db.a,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day)
);
SELECT d AS day, v FROM raw.days WHERE d BETWEEN @start_date AND @end_date
";

/// `raw.days`: the first days of 2024, each with a number; one model over them, two days in production.
fn days() -> Workspace {
    let workspace = Workspace::new(&[("models/a.sql", MODEL)]);
    workspace.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.days AS
         SELECT DATE '2024-01-01' + CAST(n AS INT) AS d, CAST(n + 1 AS INT) AS v FROM generate_series(0, 8) AS r(n)",
    );
    workspace.apply("prod", "2024-01-03");
    workspace
}

fn plan(workspace: &Workspace, now: &str) -> Ended {
    workspace.run(&["plan", "--execution-time", now, "--auto-apply"])
}

#[track_caller]
fn says(ended: &Ended, wanted: &[&str]) {
    for part in wanted {
        assert!(
            ended.stderr.contains(part),
            "`{part}` is not in:\n{}",
            ended.stderr
        );
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

fn a_model_with_a_date_or_a_cron_that_makes_no_sense_names_the_place() {
    let workspace = days();
    for (property, wanted) in [
        (
            "start '2024-02-30'",
            &["models/a.sql:3", "`2024-02-30` is not a date"][..],
        ),
        ("start '10000-01-01'", &["models/a.sql:3", "`10000-01-01`"]),
        (
            "start 'in 99999999 years'",
            &["models/a.sql:3", "out of range"],
        ),
        (
            "end 'whenever'",
            &["models/a.sql:3", "`whenever` is not a date"],
        ),
        (
            "start '2024-01-02', end '2024-01-01'",
            &["models/a.sql:3", "the model ends before it starts"],
        ),
        (
            "cron '0 0 30 2 *'",
            &["models/a.sql:3", "cron `0 0 30 2 *` never fires"],
        ),
        (
            "cron '61 * * * *'",
            &["models/a.sql:3", "`61` is not valid as its minute"],
        ),
        ("cron '@sometimes'", &["models/a.sql:3", "`@sometimes`"]),
    ] {
        let text = MODEL.replace("name db.a,", &format!("name db.a,\n  {property},"));
        workspace.write("models/a.sql", &text);
        says(&plan(&workspace, "2024-01-04").failed(), wanted);
    }
    for (option, wanted) in [
        ("lookback -1", "`lookback`"),
        ("batch_size 0", "`batch_size`"),
        ("batch_size 99999999999999999999", "`batch_size`"),
    ] {
        let text = MODEL.replace("time_column day", &format!("time_column day, {option}"));
        workspace.write("models/a.sql", &text);
        says(
            &plan(&workspace, "2024-01-04").failed(),
            &["models/a.sql:3", wanted, "a whole number above 0"],
        );
    }
    assert_eq!(
        workspace.rows("SELECT count(*) FROM db.a"),
        [["2"]],
        "what was there stays"
    );
    workspace.write("models/a.sql", MODEL);
    workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .fine();
    assert_eq!(workspace.rows("SELECT count(*) FROM db.a"), [["3"]]);
}

fn a_command_with_a_date_that_makes_no_sense_is_wrong_usage() {
    let workspace = days();
    for (arguments, wanted) in [
        (
            &["plan", "--execution-time", "2024-02-30"][..],
            "`2024-02-30` is not a date",
        ),
        (
            &["run", "--execution-time", "in 999999999999 years"],
            "Use a year from 1 to 9999",
        ),
        (&["run", "--execution-time", "0000-01-01"], "0000-01-01"),
        (&["plan", "dev", "--start=-5 days"], "--start"),
        (
            &[
                "plan",
                "dev",
                "-s",
                "2024-01-05",
                "-e",
                "2024-01-02",
                "--execution-time",
                "2024-01-09",
            ],
            "not after the start",
        ),
        (
            &[
                "run",
                "-s",
                "2024-01-05",
                "-e",
                "2024-01-02",
                "--execution-time",
                "2024-01-09",
            ],
            "is before --start",
        ),
        (
            &["check_intervals", "-s", "2024-01-05", "-e", "2024-01-02"],
            "is before --start",
        ),
        (
            &[
                "plan",
                "prod",
                "-r",
                "db.a",
                "-s",
                "2024-01-05",
                "-e",
                "2024-01-02",
                "--execution-time",
                "2024-01-09",
            ],
            "not after the start",
        ),
        (
            &["plan", "dev", "--forward-only", "--effective-from", "never"],
            "--effective-from",
        ),
    ] {
        let ended = workspace.run(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        says(&ended, &[wanted]);
    }
    assert_eq!(workspace.rows("SELECT count(*) FROM db.a"), [["2"]]);
}

fn the_first_and_the_last_year_are_no_more_than_many_intervals() {
    let workspace = days();
    let long_ago = MODEL.replace(
        "name db.a,",
        "name db.a,\n  start '0001-01-01',\n  cron '*/5 * * * *',",
    );
    workspace.write("models/a.sql", &long_ago);
    plan(&workspace, "2024-01-03").fine();
    assert_eq!(
        workspace.rows("SELECT count(*), sum(v) FROM db.a"),
        [["2", "3"]]
    );
    let ended = workspace
        .run(&["run", "--execution-time", "9999-12-31"])
        .fine();
    assert!(ended.stdout.contains("Done."), "{}", ended.stdout);
    assert_eq!(
        workspace.rows("SELECT count(*), sum(v) FROM db.a"),
        [["9", "45"]]
    );
    // A clock that went back finds more than is due, and changes nothing.
    workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .fine();
    assert_eq!(
        workspace.rows("SELECT count(*), sum(v) FROM db.a"),
        [["9", "45"]]
    );
}

fn a_lookback_beyond_the_start_ends_at_the_start() {
    let workspace = days();
    workspace.edit(
        "models/a.sql",
        "time_column day",
        "time_column day, lookback 1000000",
    );
    workspace.edit(
        "models/a.sql",
        "name db.a,",
        "name db.a,\n  start '2024-01-02',",
    );
    plan(&workspace, "2024-01-04").fine();
    assert_eq!(workspace.rows("SELECT v FROM db.a ORDER BY v"), [["2"]]);
    workspace.execute("UPDATE raw.days SET v = v + 100 WHERE d < '2024-01-03'");

    workspace
        .run(&["run", "--execution-time", "2024-01-05"])
        .fine();

    assert_eq!(
        workspace.rows("SELECT v FROM db.a ORDER BY day"),
        [["102"], ["3"], ["4"]],
        "all since the start again, and nothing before it"
    );
}

fn a_start_in_the_future_fills_nothing_yet() {
    let workspace = days();
    workspace.write(
        "models/later.sql",
        &MODEL.replace("name db.a,", "name db.later,\n  start '2024-01-05',"),
    );
    plan(&workspace, "2024-01-03").fine();
    assert_eq!(workspace.rows("SELECT count(*) FROM db.later"), [["0"]]);
    workspace
        .run(&["run", "--execution-time", "2024-01-05"])
        .fine();
    assert_eq!(workspace.rows("SELECT count(*) FROM db.later"), [["0"]]);
    workspace
        .run(&["run", "--execution-time", "2024-01-07"])
        .fine();
    assert_eq!(
        workspace.rows("SELECT v FROM db.later ORDER BY v"),
        [["5"], ["6"]]
    );
}

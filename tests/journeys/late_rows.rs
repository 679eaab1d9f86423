//! Rows that come after what reads them was made: whoever read too early is made again, and nothing stays left out.

use crate::engines::missing;
use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    a_parent_that_is_due_less_often_brings_its_readers_along,
    a_run_that_begins_later_leaves_nothing_out,
    an_earlier_start_reaches_all_that_is_made_of_it,
    what_a_run_without_its_parents_made_is_made_again,
    a_wider_plan_of_dev_reaches_the_readers_of_dev,
    an_earlier_start_in_dev_shows_nothing_new_in_production,
    rows_that_come_late_in_production_reach_what_only_dev_makes_of_them,
    a_daily_run_makes_nothing_again,
}

const SLICE: &str = "INCREMENTAL_BY_TIME_RANGE (time_column day)";
const KEYED: &str = "INCREMENTAL_BY_UNIQUE_KEY (unique_key day)";
const ADDED: &str = "INCREMENTAL_UNMANAGED";
const PARTS: &str = "INCREMENTAL_BY_PARTITION, partitioned_by (day)";

/// The days of the first month, one row each.
fn days(name: &str, kind: &str) -> String {
    format!(
        "MODEL (name db.{name}, kind {kind});\n\
         SELECT i AS n, (DATE '2024-01-01' + CAST(i AS INT)) AS day FROM raw.numbers\n\
         WHERE (DATE '2024-01-01' + CAST(i AS INT)) BETWEEN @start_date AND @end_date\n"
    )
}

fn reader(name: &str, kind: &str) -> String {
    format!(
        "MODEL (name db.{name}, kind {kind});\n\
         SELECT n, day FROM db.days WHERE day BETWEEN @start_date AND @end_date\n"
    )
}

/// For each day the sum of all days so far.
const SO_FAR: &str = "MODEL (name db.so_far, kind INCREMENTAL_BY_TIME_RANGE (time_column day));\n\
    SELECT a.day, CAST((SELECT sum(b.n) FROM db.days AS b WHERE b.day <= a.day) AS INT) AS total\n\
    FROM db.days AS a WHERE a.day BETWEEN @start_date AND @end_date\n";
const WHOLE: &str =
    "MODEL (name db.whole, kind FULL);\nSELECT CAST(count(*) AS INT) AS c FROM db.days\n";

fn project(more: &[(&str, &str)]) -> Workspace {
    let own = [
        ("models/days.sql", days("days", SLICE)),
        ("models/slice.sql", reader("slice", SLICE)),
        ("models/keyed.sql", reader("keyed", KEYED)),
        ("models/parts.sql", reader("parts", PARTS)),
        ("models/so_far.sql", SO_FAR.to_owned()),
        ("models/whole.sql", WHOLE.to_owned()),
    ];
    let own = own.iter().map(|(path, text)| (*path, text.as_str()));
    let files: Vec<(&str, &str)> = own.chain(more.iter().copied()).collect();
    let workspace = Workspace::new(&files);
    // Days before the first and after it.
    workspace.execute("CREATE SCHEMA raw");
    let numbers = match workspace.is_postgres() {
        true => "generate_series(-10, 30) AS g(i)",
        false => "range(-10, 31) AS g(i)",
    };
    workspace.execute(&format!(
        "CREATE TABLE raw.numbers AS SELECT CAST(i AS INT) AS i FROM {numbers}"
    ));
    workspace
}

fn run(workspace: &Workspace, now: &str, more: &[&str]) {
    let mut arguments = vec!["run", "--execution-time", now];
    arguments.extend(more);
    workspace.run(&arguments).fine();
}

/// The days from `first` to `last` in January stand in these tables of `schema`, once.
#[track_caller]
fn filled(workspace: &Workspace, schema: &str, first: i32, last: i32, names: &[&str]) {
    for name in names {
        let found = workspace.rows(&format!(
            "SELECT CAST(count(*) AS INT), CAST(sum(n) AS INT) FROM {schema}.{name}"
        ));
        let sum: i32 = (first - 1..last).sum();
        assert_eq!(
            found,
            [[(last - first + 1).to_string(), sum.to_string()]],
            "{name}"
        );
    }
}

/// The same, and what is made of them is as if they had been filled in order.
#[track_caller]
fn complete(workspace: &Workspace, schema: &str, first: i32, last: i32, names: &[&str]) {
    filled(workspace, schema, first, last, names);
    let so_far = workspace.rows(&format!(
        "SELECT CAST(day AS TEXT), total FROM {schema}.so_far ORDER BY day"
    ));
    let day = |day: i32| match day {
        1.. => format!("2024-01-{day:02}"),
        _ => format!("2023-12-{:02}", 31 + day),
    };
    let expected: Vec<Vec<String>> = (first..=last)
        .map(|last| {
            let total: i32 = (first - 1..last).sum();
            vec![day(last), total.to_string()]
        })
        .collect();
    assert_eq!(so_far, expected);
    let whole = workspace.rows(&format!("SELECT c FROM {schema}.whole"));
    assert_eq!(whole, [[(last - first + 1).to_string()]]);
}

const TABLES: [&str; 4] = ["days", "slice", "keyed", "parts"];

fn a_parent_that_is_due_less_often_brings_its_readers_along() {
    let workspace = project(&[]);
    workspace.edit(
        "models/days.sql",
        "kind",
        "cron '@weekly', interval_unit day, kind",
    );
    // Saturday is the last day of the first week.
    workspace.apply("prod", "2024-01-10");
    for now in ["2024-01-11", "2024-01-13", "2024-01-14", "2024-01-15"] {
        run(&workspace, now, &[]);
    }
    run(&workspace, "2024-01-21", &[]);
    complete(&workspace, "db", 1, 20, &TABLES);
}

fn a_run_that_begins_later_leaves_nothing_out() {
    let added = reader("added", ADDED);
    let workspace = project(&[("models/added.sql", added.as_str())]);
    workspace.apply("prod", "2024-01-05");
    run(&workspace, "2024-01-10", &["--start", "2024-01-08"]);
    run(&workspace, "2024-01-10", &[]);
    complete(&workspace, "db", 1, 9, &TABLES);
    run(&workspace, "2024-01-12", &[]);
    filled(&workspace, "db", 1, 11, &["added"]);
    complete(&workspace, "db", 1, 11, &TABLES);
}

fn an_earlier_start_reaches_all_that_is_made_of_it() {
    let added = days("added", ADDED);
    let workspace = project(&[("models/added.sql", added.as_str())]);
    workspace.edit("config.yaml", "2024-01-01", "2024-01-05");
    workspace.apply("prod", "2024-01-10");
    complete(&workspace, "db", 5, 9, &TABLES);
    workspace.edit("config.yaml", "2024-01-05", "2024-01-01");
    workspace.apply("prod", "2024-01-10");
    complete(&workspace, "db", 1, 9, &TABLES);
    filled(&workspace, "db", 1, 9, &["added"]);
    assert!(workspace.plan("prod", "2024-01-10").backfilled().is_empty());
}

fn what_a_run_without_its_parents_made_is_made_again() {
    let workspace = project(&[]);
    workspace.apply("prod", "2024-01-05");
    run(
        &workspace,
        "2024-01-08",
        &["--select-model", "db.slice", "--no-auto-upstream"],
    );
    assert_eq!(
        missing(&workspace, "db.slice", "2024-01-08"),
        serde_json::json!([["2024-01-05T00:00:00Z", "2024-01-08T00:00:00Z"]])
    );
    run(&workspace, "2024-01-09", &[]);
    complete(&workspace, "db", 1, 8, &TABLES);
}

fn a_wider_plan_of_dev_reaches_the_readers_of_dev() {
    let workspace = project(&[]);
    workspace.apply("prod", "2024-01-10");
    workspace.edit("models/days.sql", "i AS n", "i + 0 AS n");
    for start in ["2024-01-08", "2024-01-04"] {
        let plan = [
            "plan",
            "dev",
            "--start",
            start,
            "--execution-time",
            "2024-01-10",
        ];
        workspace
            .run(&[&plan[..], &["--auto-apply"]].concat())
            .fine();
    }
    run(&workspace, "2024-01-10", &["dev"]);
    complete(&workspace, "db__dev", 1, 9, &TABLES);
}

fn an_earlier_start_in_dev_shows_nothing_new_in_production() {
    let workspace = project(&[]);
    workspace.apply("prod", "2024-01-05");
    workspace.edit("config.yaml", "2024-01-01", "2023-12-28");
    workspace.apply("dev", "2024-01-05");
    complete(&workspace, "db", 1, 4, &TABLES);
    workspace.apply("prod", "2024-01-05");
    complete(&workspace, "db", -3, 4, &TABLES);
}

fn rows_that_come_late_in_production_reach_what_only_dev_makes_of_them() {
    let workspace = project(&[]);
    workspace.edit(
        "models/days.sql",
        "kind",
        "cron '@weekly', interval_unit day, kind",
    );
    workspace.apply("prod", "2024-01-08");
    workspace.edit("models/slice.sql", "SELECT n", "SELECT n + 0 AS n");
    workspace.apply("dev", "2024-01-08");
    run(&workspace, "2024-01-10", &["dev"]);
    // The week is over: its days come into the table that both environments show.
    run(&workspace, "2024-01-14", &[]);
    run(&workspace, "2024-01-14", &["dev"]);
    filled(&workspace, "db__dev", 1, 13, &["slice"]);
}

fn a_daily_run_makes_nothing_again() {
    let workspace = project(&[]);
    workspace.edit(
        "models/days.sql",
        "(time_column day)",
        "(time_column day, lookback 2)",
    );
    workspace.apply("prod", "2024-01-05");
    for now in ["2024-01-06", "2024-01-07"] {
        let ended = workspace
            .run(&["run", "--execution-time", now, "--format", "json"])
            .fine();
        let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        for model in told["models"].as_array().unwrap() {
            let batches = model["batches"].as_array().unwrap();
            let days = match model["name"].as_str().unwrap() {
                "db.days" => 3,
                "db.whole" => continue,
                _ => 1,
            };
            let first = batches[0][0].as_str().unwrap();
            let last = batches[batches.len() - 1][1].as_str().unwrap();
            let date = |text: &str| text[8..10].parse::<u32>().unwrap();
            assert_eq!(date(last) - date(first), days, "{model}");
        }
    }
    complete(&workspace, "db", 1, 6, &TABLES);
}

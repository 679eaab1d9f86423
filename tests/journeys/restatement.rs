//! Restatement: what is filled is filled again, with everything that is made of it, and nothing old is taken for new.

use serde_json::Value;

use crate::asking::Asking;
use crate::workspace::Plan;
use crate::workspace::Workspace;

const NOW: &str = "2024-01-06";

/// `raw.t` ← `inc` (by day) ← `total` (FULL) and `daily` (by day); `other` reads nothing of it.
pub(crate) fn days() -> Workspace {
    let workspace = Workspace::new(&[
        (
            "external_models.yaml",
            "- name: raw.t\n  columns:\n    ds: DATE\n    x: INT\n",
        ),
        (
            "models/inc.sql",
            "MODEL (name db.inc, kind INCREMENTAL_BY_TIME_RANGE (time_column ds), tags [nightly]);\n\
             SELECT ds, x FROM raw.t WHERE ds BETWEEN @start_ds AND @end_ds\n",
        ),
        (
            "models/total.sql",
            "MODEL (name db.total, kind FULL);\nSELECT sum(x)::INT AS total FROM db.inc\n",
        ),
        (
            "models/daily.sql",
            "MODEL (name db.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\n\
             SELECT ds, x * 10 AS y FROM db.inc WHERE ds BETWEEN @start_ds AND @end_ds\n",
        ),
        (
            "models/other.sql",
            "MODEL (name db.other, kind FULL);\nSELECT 1 AS one\n",
        ),
    ]);
    workspace.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.t AS
         SELECT DATE '2024-01-01' + CAST(n AS INTEGER) AS ds, CAST(n + 1 AS INTEGER) AS x FROM generate_series(0, 4) AS r(n)",
    );
    workspace
}

pub(crate) fn with(workspace: &Workspace, arguments: &[&str]) -> Plan {
    let ended = workspace.run(&all(arguments)).fine();
    Plan(serde_json::from_str(&ended.stdout).unwrap())
}

fn all<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["plan"];
    all.extend(arguments);
    all.extend(["--execution-time", NOW, "--format", "json"]);
    all
}

fn text<const N: usize>(rows: [(&str, &str); N]) -> Vec<Vec<String>> {
    let rows = rows.into_iter();
    rows.map(|(one, other)| vec![one.to_owned(), other.to_owned()])
        .collect()
}

fn ranges(plan: &Plan, name: &str) -> Value {
    plan.model(name)["backfill"].clone()
}

#[test]
pub(crate) fn a_restated_day_is_filled_again_with_all_that_is_made_of_it() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.execute("UPDATE raw.t SET x = 100 WHERE ds IN ('2024-01-02', '2024-01-04')");

    let plan = with(
        &workspace,
        &[
            "prod",
            "-r",
            "db.inc",
            "-s",
            "2024-01-02",
            "-e",
            "2024-01-02",
            "--auto-apply",
        ],
    );

    assert_eq!(plan.backfilled(), ["db.daily", "db.inc", "db.total"]);
    let day = serde_json::json!([["2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"]]);
    assert_eq!(ranges(&plan, "db.inc"), day);
    assert_eq!(ranges(&plan, "db.daily"), day);
    assert_eq!(
        workspace.rows("SELECT ds, x FROM db.inc ORDER BY ds"),
        text([
            ("2024-01-01", "1"),
            ("2024-01-02", "100"),
            ("2024-01-03", "3"),
            ("2024-01-04", "4"),
            ("2024-01-05", "5"),
        ]),
        "the 4th was not asked for"
    );
    assert_eq!(workspace.rows("FROM db.total"), [["113"]]);
    assert_eq!(
        workspace.rows("SELECT y FROM db.daily WHERE ds = '2024-01-02'"),
        [["1000"]]
    );
    let again = workspace.plan("prod", NOW);
    assert_eq!(again.backfilled(), Vec::<String>::new());
}

/// The recorded cases `restatement/…` of the intervals.
#[test]
pub(crate) fn what_is_not_filled_by_time_is_restated_whole() {
    let kinds = [
        ("full", "FULL"),
        ("keyed", "INCREMENTAL_BY_UNIQUE_KEY (unique_key ds)"),
        ("parts", "INCREMENTAL_BY_PARTITION"),
        ("added", "INCREMENTAL_UNMANAGED (disable_restatement false)"),
        (
            "history",
            "SCD_TYPE_2_BY_TIME (unique_key x, updated_at_name ds, disable_restatement false)",
        ),
    ];
    let workspace = Workspace::new(&[(
        "external_models.yaml",
        "- name: raw.t\n  columns:\n    ds: DATE\n    x: INT\n",
    )]);
    for (name, kind) in kinds {
        let partitions = match name {
            "parts" => ", partitioned_by ds",
            _ => "",
        };
        let text = format!(
            "MODEL (name db.{name}, kind {kind}{partitions});\nSELECT ds::TIMESTAMP AS ds, x FROM raw.t\n"
        );
        workspace.write(&format!("models/{name}.sql"), &text);
    }
    workspace
        .execute("CREATE SCHEMA raw; CREATE TABLE raw.t AS SELECT DATE '2024-01-02' AS ds, 1 AS x");
    workspace.apply("prod", NOW);

    for (name, _) in kinds {
        let model = format!("db.{name}");
        let plan = with(
            &workspace,
            &["prod", "-r", &model, "-s", "2024-01-03", "-e", "2024-01-03"],
        );
        let whole = serde_json::json!([["2024-01-01T00:00:00Z", "2024-01-06T00:00:00Z"]]);
        assert_eq!(ranges(&plan, &model), whole, "{name}");
    }
}

#[test]
pub(crate) fn without_a_range_all_of_it_is_filled_again_and_nothing_else() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.execute("UPDATE raw.t SET x = 0");

    // A change in the files is no part of a restatement.
    workspace.edit("models/other.sql", "1 AS one", "2 AS one");
    let plan = with(&workspace, &["prod", "-r", "tag:nightly", "--auto-apply"]);

    assert_eq!(plan.backfilled(), ["db.daily", "db.inc", "db.total"]);
    assert_eq!(
        plan.0["restated"],
        serde_json::json!(["db.inc", "db.daily", "db.total"])
    );
    assert_eq!(workspace.rows("FROM db.total"), [["0"]]);
    assert_eq!(workspace.rows("FROM db.other"), [["1"]]);
}

#[test]
pub(crate) fn a_restatement_does_not_go_beyond_what_was_filled() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.execute("INSERT INTO raw.t VALUES ('2024-01-06', 6), ('2024-01-07', 7)");

    let ended = workspace
        .run(&[
            "plan",
            "prod",
            "-r",
            "db.inc",
            "--execution-time",
            "2024-01-10",
            "--auto-apply",
            "--format",
            "json",
        ])
        .fine();

    let plan = Plan(serde_json::from_str(&ended.stdout).unwrap());
    assert_eq!(
        ranges(&plan, "db.inc"),
        serde_json::json!([["2024-01-01T00:00:00Z", "2024-01-06T00:00:00Z"]])
    );
    assert_eq!(workspace.rows("SELECT count(*) FROM db.inc"), [["5"]]);
}

#[test]
pub(crate) fn a_model_that_is_never_restated_stays_and_so_does_what_only_it_feeds() {
    let workspace = days();
    workspace.edit(
        "models/daily.sql",
        "time_column ds",
        "time_column ds, disable_restatement true",
    );
    workspace.write(
        "models/below.sql",
        "MODEL (name db.below, kind FULL);\nSELECT sum(y)::INT AS s FROM db.daily\n",
    );
    workspace.apply("prod", NOW);
    workspace.execute("UPDATE raw.t SET x = 0");

    let plan = with(&workspace, &["prod", "-r", "db.inc", "--auto-apply"]);

    assert_eq!(plan.backfilled(), ["db.inc", "db.total"]);
    let said = plan.0["diagnostics"].to_string();
    assert!(
        said.contains("`db.daily`") && said.contains("disable_restatement"),
        "{said}"
    );
    assert_eq!(workspace.rows("FROM db.below"), [["150"]]);
    assert_eq!(workspace.rows("FROM db.total"), [["0"]]);
}

#[test]
pub(crate) fn production_restated_clears_what_other_environments_made_of_it() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit("models/daily.sql", "x * 10", "x * 20");
    workspace.apply("dev", NOW);
    let before = workspace.plan("dev", NOW);
    assert_eq!(before.backfilled(), Vec::<String>::new());
    workspace.execute("UPDATE raw.t SET x = 7 WHERE ds = '2024-01-03'");

    let range = ["-s", "2024-01-03", "-e", "2024-01-03", "--auto-apply"];
    with(
        &workspace,
        &[&["prod", "-r", "db.inc"][..], &range].concat(),
    );

    let plan = workspace.apply("dev", NOW);
    assert_eq!(plan.backfilled(), ["db.daily"]);
    assert_eq!(
        ranges(&plan, "db.daily"),
        serde_json::json!([["2024-01-03T00:00:00Z", "2024-01-04T00:00:00Z"]])
    );
    assert_eq!(
        workspace.rows("SELECT y FROM db__dev.daily ORDER BY ds"),
        [["20"], ["40"], ["140"], ["80"], ["100"]]
    );
    // Going back to the old definition is no way to old rows either.
    assert_eq!(
        workspace.rows("SELECT y FROM db.daily ORDER BY ds"),
        [["10"], ["20"], ["70"], ["40"], ["50"]]
    );
}

#[test]
pub(crate) fn the_table_of_an_earlier_definition_is_filled_again_before_it_is_shown_again() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit("models/total.sql", "sum(x)", "sum(x + 1)");
    workspace.apply("prod", NOW);
    workspace.execute("UPDATE raw.t SET x = 0");
    with(&workspace, &["prod", "-r", "db.inc", "--auto-apply"]);

    workspace.edit("models/total.sql", "sum(x + 1)", "sum(x)");
    let plan = workspace.apply("prod", NOW);

    assert_eq!(plan.backfilled(), ["db.total"]);
    assert_eq!(workspace.rows("FROM db.total"), [["0"]]);
}

#[test]
pub(crate) fn a_restatement_that_failed_half_way_is_finished_by_the_next_plan() {
    let workspace = days();
    workspace.write(
        "models/inc.sql",
        "MODEL (name db.inc, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1, batch_concurrency 1),\n  \
         audits (accepted_range(column := x, max_v := 50)));\n\
         SELECT ds, x FROM raw.t WHERE ds BETWEEN @start_ds AND @end_ds\n",
    );
    workspace.apply("prod", NOW);
    workspace
        .execute("UPDATE raw.t SET x = x + 10; UPDATE raw.t SET x = 99 WHERE ds = '2024-01-03'");

    let restate = ["prod", "-r", "db.inc", "--auto-apply"];
    let ended = workspace.run(&all(&restate)).failed();
    assert!(
        ended.stderr.contains("next `siding plan`"),
        "{}",
        ended.stderr
    );
    let rows = workspace.rows("SELECT x FROM db.inc ORDER BY ds");
    assert_eq!(
        rows,
        [["11"], ["12"], ["3"], ["14"], ["15"]],
        "no bad row, and no hole; the days behind it do not wait for it"
    );

    // Nothing of it is forgotten, in no model, up to the end that there was.
    let open = workspace.plan("prod", NOW);
    assert_eq!(open.backfilled(), ["db.daily", "db.inc", "db.total"]);
    assert_eq!(
        ranges(&open, "db.inc"),
        serde_json::json!([["2024-01-03T00:00:00Z", "2024-01-04T00:00:00Z"]])
    );
    workspace.execute("UPDATE raw.t SET x = 13 WHERE ds = '2024-01-03'");
    workspace.apply("prod", NOW);
    assert_eq!(workspace.rows("FROM db.total"), [["65"]]);
    assert_eq!(
        workspace.rows("SELECT sum(y)::INT FROM db.daily"),
        [["650"]]
    );
    assert_eq!(
        workspace.plan("prod", NOW).backfilled(),
        Vec::<String>::new()
    );
}

#[test]
pub(crate) fn a_run_finishes_it_as_well() {
    let workspace = days();
    workspace.edit(
        "models/inc.sql",
        "tags [nightly]",
        "audits (accepted_range(column := x, max_v := 50))",
    );
    workspace.apply("prod", NOW);
    workspace.execute("UPDATE raw.t SET x = 99");
    workspace
        .run(&all(&["prod", "-r", "db.inc", "--auto-apply"]))
        .failed();
    workspace.execute("UPDATE raw.t SET x = 2");

    workspace
        .run(&["run", "prod", "--execution-time", NOW])
        .fine();

    assert_eq!(workspace.rows("FROM db.total"), [["10"]]);
}

#[test]
pub(crate) fn a_table_of_production_is_not_restated_through_dev() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit("models/total.sql", "sum(x)", "max(x)");
    workspace.apply("dev", NOW);
    workspace.execute("UPDATE raw.t SET x = 1000");

    let plan = with(
        &workspace,
        &["dev", "-r", "db.inc", "-r", "db.total", "--auto-apply"],
    );

    let said = plan.0["diagnostics"].to_string();
    assert!(said.contains("restate `prod` instead"), "{said}");
    assert_eq!(plan.backfilled(), ["db.total"]);
    assert_eq!(workspace.rows("FROM db.total"), [["15"]]);
    assert_eq!(workspace.rows("FROM db__dev.total"), [["5"]]);
}

#[test]
pub(crate) fn what_makes_no_sense_is_said_before_anything_is_done() {
    let workspace = days();
    for (arguments, said) in [
        (
            &["dev", "-r", "db.inc"][..],
            "there is no environment `dev`",
        ),
        (
            &["prod", "-r", "db.nothing"],
            "there is no environment `prod`",
        ),
    ] {
        let ended = workspace.run(&all(arguments));
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    workspace.apply("prod", NOW);
    for (arguments, said) in [
        (
            &["prod", "-r", "db.nothing"][..],
            "`db.nothing` selects no model",
        ),
        (&["prod", "-r", "db.inc &"], "cannot be read"),
        (&["prod", "-r", "git:main"], "is in no Git repository"),
        (
            &["prod", "-r", "db.inc", "-m", "db.inc"],
            "--select-model has no place",
        ),
        (
            &[
                "prod",
                "-r",
                "db.inc",
                "-s",
                "2024-01-04",
                "-e",
                "2024-01-02",
            ],
            "is not after the start",
        ),
        (
            &["prod", "-r", "db.inc", "-e", "2024-02-02"],
            "is after the execution time",
        ),
        (
            &["prod", "-r", "db.inc", "-s", "2025-01-01"],
            "is not after the start",
        ),
    ] {
        let ended = workspace.run(&all(arguments));
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(said),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}

/// Each day of `db.week` is made of three days of `db.inc`, each of `db.next` of a day and the one behind it, each of
/// `db.total` of all until then.
fn windows() -> Workspace {
    let workspace = days();
    let model = |name: &str, from: &str, until: &str| {
        format!(
            "MODEL (name db.{name}, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\n\
             SELECT d.ds, CAST(sum(i.x) AS INT) AS s FROM db.inc AS d\n\
             JOIN db.inc AS i ON i.ds BETWEEN d.ds{from} AND d.ds{until}\n\
             WHERE i.ds BETWEEN CAST(@start_ds AS DATE){from} AND CAST(@end_ds AS DATE){until} GROUP BY d.ds\n"
        )
    };
    workspace.write("models/week.sql", &model("week", " - 2", ""));
    workspace.write("models/next.sql", &model("next", "", " + 1"));
    workspace.write(
        "models/total.sql",
        "MODEL (name db.total, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\n\
         WITH running AS (SELECT ds, CAST(sum(x) OVER (ORDER BY ds) AS INT) AS s FROM db.inc)\n\
         SELECT ds, s FROM running WHERE ds BETWEEN @start_ds AND @end_ds\n",
    );
    workspace.apply("prod", NOW);
    workspace
}

#[test]
pub(crate) fn days_that_are_made_of_a_restated_day_are_filled_again_before_and_behind_it() {
    let workspace = windows();
    let sums = |table: &str| -> Vec<String> {
        workspace
            .rows(&format!("SELECT s FROM {table} ORDER BY ds"))
            .concat()
    };
    assert_eq!(sums("db.week"), ["1", "3", "6", "9", "12"]);
    workspace.edit("models/week.sql", "sum(i.x)", "1000 + sum(i.x)");
    workspace.apply("dev", NOW);
    workspace.execute("UPDATE raw.t SET x = 102 WHERE ds = '2024-01-02'");

    let day = ["-s", "2024-01-02", "-e", "2024-01-02", "--auto-apply"];
    let plan = with(&workspace, &[&["prod", "-r", "db.inc"][..], &day].concat());

    assert_eq!(sums("db.week"), ["1", "103", "106", "109", "12"]);
    assert_eq!(sums("db.next"), ["103", "105", "7", "9", "5"]);
    assert_eq!(sums("db.total"), ["1", "103", "106", "110", "115"]);
    let second = serde_json::json!([["2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"]]);
    assert_eq!(
        ranges(&plan, "db.daily"),
        second,
        "what reads its own day only is filled for that day only"
    );
    workspace.apply("dev", NOW);
    assert_eq!(
        sums("db__dev.week"),
        ["1001", "1103", "1106", "1109", "1012"]
    );
}

/// What each model of [`history`] reads besides its own day.
const HISTORY: [(&str, &str); 4] = [
    (
        "over",
        "SELECT a.ds, CAST(a.x - b.x AS INT) AS s FROM db.inc AS a JOIN db.inc AS b ON b.ds = a.ds - 1",
    ),
    (
        "until",
        "SELECT a.ds, CAST(sum(b.x) AS INT) AS s FROM db.inc AS a JOIN db.shown AS b ON b.day < a.ds",
    ),
    (
        "ever",
        "SELECT a.ds, CAST(max(b.x) AS INT) AS s FROM db.inc AS a JOIN db.inc AS b ON b.x % 2 = a.x % 2",
    ),
    (
        "best",
        "SELECT a.ds, CAST((SELECT max(x) FROM db.inc) AS INT) AS s FROM db.inc AS a",
    ),
];

/// [`days`] with models that read other days of `db.inc` by a join or a subquery, not by a filter.
fn history() -> Workspace {
    let workspace = days();
    workspace.write(
        "models/shown.sql",
        "MODEL (name db.shown, kind VIEW);\nSELECT ds AS day, x FROM db.inc\n",
    );
    for (name, query) in HISTORY {
        let grouped = if query.contains("JOIN") && !query.contains("- b.x") {
            " GROUP BY a.ds"
        } else {
            ""
        };
        let head =
            format!("MODEL (name db.{name}, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\n");
        let filter = "\nWHERE a.ds BETWEEN @start_ds AND @end_ds";
        workspace.write(
            &format!("models/{name}.sql"),
            &format!("{head}{query}{filter}{grouped}\n"),
        );
    }
    workspace
}

#[test]
pub(crate) fn days_that_a_join_or_a_subquery_makes_of_a_restated_day_are_filled_again() {
    let (workspace, fresh) = (history(), history());
    workspace.apply("prod", NOW);
    let change = "UPDATE raw.t SET x = 1002 WHERE ds = '2024-01-02'";
    workspace.execute(change);
    fresh.execute(change);
    fresh.apply("prod", NOW);

    let day = ["-s", "2024-01-02", "-e", "2024-01-02", "--auto-apply"];
    let plan = with(&workspace, &[&["prod", "-r", "db.inc"][..], &day].concat());

    for (name, _) in HISTORY {
        let query = format!("SELECT ds, s FROM db.{name} ORDER BY ds");
        assert_eq!(workspace.rows(&query), fresh.rows(&query), "{name}");
    }
    assert_eq!(
        ranges(&plan, "db.daily"),
        serde_json::json!([["2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"]]),
        "what reads its own day only is filled for that day only"
    );
}

#[test]
pub(crate) fn how_far_a_table_of_another_environment_looks_is_said_by_its_own_query() {
    let workspace = days();
    workspace.apply("prod", NOW);
    workspace.edit(
        "models/daily.sql",
        "x * 10 AS y FROM db.inc WHERE ds",
        "(SELECT sum(x) FROM db.inc AS b WHERE b.ds <= a.ds)::INT AS y FROM db.inc AS a WHERE ds",
    );
    workspace.apply("dev", NOW);
    let sums = "SELECT y FROM db__dev.daily ORDER BY ds";
    assert_eq!(workspace.rows(sums).concat(), ["1", "3", "6", "10", "15"]);
    workspace.execute("UPDATE raw.t SET x = 102 WHERE ds = '2024-01-02'");

    let day = ["-s", "2024-01-02", "-e", "2024-01-02", "--auto-apply"];
    with(&workspace, &[&["prod", "-r", "db.inc"][..], &day].concat());
    workspace.apply("dev", NOW);

    assert_eq!(
        workspace.rows(sums).concat(),
        ["1", "103", "106", "110", "115"]
    );
}

#[test]
fn a_restatement_that_ends_before_anything_is_cleared_does_not_say_that_another_plan_does_it() {
    let workspace = days();
    workspace.apply("prod", NOW);
    let restate = format!("--restate-model db.inc --execution-time {NOW}");
    let asking = Asking::start(&workspace, &restate);
    workspace.edit("models/other.sql", "1 AS one", "2 AS one");
    workspace.apply("prod", NOW);
    workspace.execute("UPDATE raw.t SET x = 0");

    let (code, said) = asking.yes();

    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("was changed by another plan"), "{said}");
    assert!(!said.contains("fills it"), "{said}");
    let old = workspace.rows("FROM db.total");
    workspace.apply("prod", NOW);
    assert_eq!(
        workspace.rows("FROM db.total"),
        old,
        "nothing is filled again"
    );
}

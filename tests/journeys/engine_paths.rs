//! Corners of planning and filling where rows, views or tables could go wrong without a word.

use crate::workspace::Workspace;

const NOW: &str = "2024-01-08";

/// A daily model over January 2024 that shows `value`.
fn daily(value: u32) -> String {
    format!(
        "MODEL (name db.a, kind INCREMENTAL_BY_TIME_RANGE (time_column day));\n\
         SELECT d::DATE AS day, {value} AS v FROM generate_series(DATE '2024-01-01', DATE '2024-01-31', INTERVAL 1 DAY) AS t(d)\n\
         WHERE d BETWEEN @start_ds AND @end_ds\n"
    )
}

#[test]
fn an_hourly_model_with_a_column_of_days_keeps_every_hour() {
    let workspace = Workspace::new(&[(
        "models/h.sql",
        "MODEL (name db.h, cron '@hourly', kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 5));\n\
         SELECT t::DATE AS day, t FROM generate_series(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-03', INTERVAL 1 HOUR) AS g(t)\n\
         WHERE t >= @start_dt AND t < @end_dt\n",
    )]);
    workspace.apply("prod", "2024-01-02 00:30:00");
    let whole_day = "SELECT count(*), count(DISTINCT t) FROM db.h WHERE day = '2024-01-01'";
    assert_eq!(workspace.rows(whole_day), [["24", "24"]]);

    workspace
        .run(&["run", "--execution-time", "2024-01-02 05:30:00"])
        .fine();

    assert_eq!(workspace.rows(whole_day), [["24", "24"]]);
    let hours = "SELECT count(DISTINCT t) >= 5 FROM db.h WHERE day = '2024-01-02'";
    assert_eq!(workspace.rows(hours), [["true"]]);
}

#[test]
fn a_time_format_that_is_none_has_a_place() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind INCREMENTAL_BY_TIME_RANGE (time_column (day, '%Y-%Q')));\nSELECT 'x' AS day\n",
    )]);
    let ended = workspace.run(&["plan"]).failed();
    assert!(
        ended.stderr.contains("`%Y-%Q` has the unknown part `%Q`"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("models/a.sql"), "{}", ended.stderr);
}

#[test]
fn an_environment_never_takes_the_place_of_another_ones_views() {
    let workspace = Workspace::new(&[
        (
            "models/a.sql",
            "MODEL (name sales.orders, kind FULL);\nSELECT 1 AS v\n",
        ),
        (
            "models/b.sql",
            "MODEL (name sales__dev.orders, kind FULL);\nSELECT 99 AS v\n",
        ),
    ]);
    workspace.apply("prod", NOW);
    workspace.edit("models/a.sql", "1 AS v", "2 AS v");

    let arguments = ["plan", "dev", "--auto-apply", "--execution-time", NOW];
    let ended = workspace.run(&arguments).failed();

    assert!(
        ended.stderr.contains("`sales__dev.orders`") && ended.stderr.contains("`prod`"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        workspace.rows("SELECT v FROM sales__dev.orders"),
        [["99"]],
        "production shows what it showed"
    );
    workspace.apply("other", NOW);
    assert_eq!(workspace.rows("SELECT v FROM sales__other.orders"), [["2"]]);
}

#[test]
fn a_changed_audit_may_ask_for_the_interval() {
    let workspace = Workspace::new(&[(
        "audits/small.sql",
        "AUDIT (name small);\nSELECT * FROM @this_model WHERE v > 5 AND day BETWEEN @start_ds AND @end_ds\n",
    )]);
    workspace.write(
        "models/a.sql",
        &daily(1).replace("day));", "day), audits (small));"),
    );
    workspace.apply("prod", NOW);

    workspace.edit("audits/small.sql", "v > 5", "v > 4");
    workspace.apply("prod", NOW);

    workspace.edit("audits/small.sql", "v > 4", "v > 0");
    let arguments = ["plan", "--auto-apply", "--execution-time", NOW];
    let ended = workspace.run(&arguments).failed();
    assert!(
        ended.stderr.contains("found 7 bad rows"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_environment_without_a_name_is_wrong_usage() {
    let workspace = Workspace::new(&[("models/a.sql", &daily(1))]);
    for name in ["", " ", "/"] {
        let ended = workspace.run(&["plan", name, "--auto-apply"]);
        assert_eq!(ended.code, 2, "{ended:?}");
    }
}

#[test]
fn an_expired_environment_that_is_planned_again_lives_again() {
    let workspace = Workspace::new(&[("models/a.sql", &daily(1))]);
    workspace.apply("prod", NOW);
    workspace.write("models/a.sql", &daily(2));
    workspace.apply("dev", NOW);

    workspace.apply("dev", "2024-03-01");
    workspace
        .run(&["janitor", "--execution-time", "2024-03-02"])
        .fine();

    assert_eq!(
        workspace.rows("SELECT DISTINCT v FROM db__dev.a"),
        [["2"]],
        "the janitor leaves what was planned yesterday"
    );
}

#[test]
fn a_model_that_nothing_is_due_of_is_an_empty_table() {
    let workspace = Workspace::new(&[
        ("models/a.sql", &daily(1)),
        (
            "models/v.sql",
            "MODEL (name db.v, kind VIEW);\nSELECT v FROM db.a\n",
        ),
        (
            "models/f.sql",
            "MODEL (name db.f, kind FULL);\nSELECT v FROM db.v\n",
        ),
    ]);
    workspace.edit("config.yaml", "start: 2024-01-01", "start: 2024-01-08");
    workspace.apply("prod", "2024-01-08 10:00:00");
    for view in ["db.a", "db.v", "db.f"] {
        let count = format!("SELECT count(*) FROM {view}");
        assert_eq!(workspace.rows(&count), [["0"]]);
    }
    let arguments = ["plan", "--execution-time", "2024-01-08 10:00:00"];
    let again = workspace.run(&arguments).fine();
    assert!(again.stdout.contains("No changes"), "{}", again.stdout);

    workspace
        .run(&["run", "--execution-time", "2024-01-09 10:00:00"])
        .fine();
    assert_eq!(workspace.rows("SELECT count(*) FROM db.v"), [["1"]]);
    workspace.write("models/a.sql", &daily(2));
    let arguments = [
        "plan",
        "dev",
        "--start",
        "2024-01-09",
        "--auto-apply",
        "--execution-time",
        "2024-01-09 10:00:00",
    ];
    workspace.run(&arguments).fine();
    assert_eq!(workspace.rows("SELECT count(*) FROM db__dev.a"), [["0"]]);
}

#[test]
fn a_view_that_becomes_incremental_shows_as_many_days_as_before() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind VIEW);\n\
         SELECT d::DATE AS day, 1 AS v FROM generate_series(DATE '2024-01-01', DATE '2024-01-31', INTERVAL 1 DAY) AS t(d)\n",
    )]);
    workspace.apply("prod", "2024-01-03");
    workspace.write("models/a.sql", &daily(1));
    workspace.apply("prod", "2024-01-20");
    assert_eq!(workspace.rows("SELECT count(*) FROM db.a"), [["19"]]);
}

#[test]
fn a_model_without_a_start_keeps_its_history_and_leaves_no_gap() {
    let workspace = Workspace::new(&[("models/a.sql", &daily(1))]);
    workspace.edit("config.yaml", "  start: 2024-01-01\n", "");
    workspace.apply("prod", "2024-01-05");
    workspace
        .run(&["run", "--execution-time", "2024-01-09"])
        .fine();
    let days = "SELECT count(*), min(day), max(day) FROM db.a";
    let expected = [["5", "2024-01-04", "2024-01-08"]];
    assert_eq!(workspace.rows(days), expected, "no day is passed over");

    workspace.write("models/a.sql", &daily(2));
    workspace.apply("prod", "2024-01-09");
    assert_eq!(workspace.rows(days), expected, "the new version has them");
}

#[test]
fn names_that_differ_in_a_sign_have_tables_of_their_own() {
    let model = |name: &str| format!("MODEL (name db.\"{name}\", kind FULL);\nSELECT 1 AS v\n");
    let workspace = Workspace::new(&[
        ("models/a.sql", &model("b c")),
        ("models/b.sql", &model("b-c")),
    ]);
    let plan = workspace.apply("prod", NOW);
    assert_ne!(plan.table("db.b c"), plan.table("db.b-c"));
}

#[test]
fn an_environment_goes_although_something_else_is_in_its_schema() {
    let workspace = Workspace::new(&[("models/a.sql", &daily(1))]);
    workspace.apply("dev", NOW);
    workspace.execute("CREATE SEQUENCE db__dev.mine");
    workspace.run(&["invalidate", "dev", "--sync"]).fine();
    assert_eq!(workspace.objects("VIEW"), Vec::<String>::new());
    assert_eq!(
        workspace.rows("SELECT nextval('db__dev.mine')").len(),
        1,
        "the sequence stays"
    );
    workspace.apply("dev", NOW);
    assert_eq!(workspace.rows("SELECT count(*) FROM db__dev.a"), [["7"]]);
}

//! Environments from their first plan to their end, and what runs around them.

use serde_json::Value;

use crate::workspace::CONFIG;
use crate::workspace::Workspace;

const DAYS: &str =
    "generate_series(DATE '2024-01-01', DATE '2024-01-31', INTERVAL '1 day') AS t(d)";

fn run(workspace: &Workspace, now: &str) -> crate::workspace::Ended {
    workspace.run(&["run", "--execution-time", now])
}

#[test]
fn statements_run_before_and_after_everything_else() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT count(*) AS n FROM log.lines\n",
    )]);
    workspace.execute("CREATE SCHEMA log; CREATE TABLE log.lines (line TEXT)");
    workspace.write(
        "config.yaml",
        &format!(
            "{CONFIG}before_all:\n- INSERT INTO log.lines VALUES ('before ' || @this_env)\n\
             after_all:\n- INSERT INTO log.lines VALUES (concat('after ', @this_env))\n"
        ),
    );
    let lines = || -> Vec<String> {
        let rows = workspace.rows("SELECT line FROM log.lines ORDER BY rowid");
        rows.into_iter().flatten().collect()
    };
    workspace.apply("prod", "2024-01-03");
    assert_eq!(lines(), ["before prod", "after prod"]);
    assert_eq!(workspace.rows("SELECT n FROM db.a"), [["1"]]);
    run(&workspace, "2024-01-04").fine();
    assert_eq!(lines().len(), 4);
    run(&workspace, "2024-01-04").fine();
    assert_eq!(lines().len(), 4, "nothing was due");

    workspace.write(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT nothing AS n FROM log.missing\n",
    );
    workspace
        .run(&[
            "plan",
            "dev",
            "--auto-apply",
            "--execution-time",
            "2024-01-04",
        ])
        .failed();
    assert_eq!(
        lines()[4..],
        ["before dev", "after dev"],
        "the end comes even so"
    );

    workspace.edit("config.yaml", "'before ' || @this_env", "@views");
    let ended = workspace.run(&["plan"]).failed();
    assert!(
        ended.stderr.contains("`before_all`") && ended.stderr.contains("`@views`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_after_all_that_fails_says_that_readers_see_the_plan_all_the_same() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT 1 AS n\n",
    )]);
    workspace.write(
        "config.yaml",
        &format!("{CONFIG}after_all:\n- INSERT INTO log.lines VALUES ('after')\n"),
    );
    let plan = ["plan", "--auto-apply", "--execution-time", "2024-01-03"];
    let ended = workspace.run(&plan).failed();

    for part in [
        "the plan is applied and `prod` shows it",
        "`after_all` (config.yaml:14)",
        "log",
        "by hand",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert_eq!(workspace.rows("FROM db.a"), [["1"]]);
    assert!(workspace.run(&plan).fine().stdout.contains("No changes"));

    let ended = workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .failed();
    assert!(
        ended.stderr.contains("what the run has filled is recorded"),
        "{}",
        ended.stderr
    );
}

#[test]
fn check_intervals_says_what_is_missing_and_changes_nothing() {
    let model = format!(
        "MODEL (name db.a, kind INCREMENTAL_BY_TIME_RANGE (time_column day));
         SELECT d::DATE AS day FROM {DAYS} WHERE d BETWEEN @start_ds AND @end_ds"
    );
    let workspace = Workspace::new(&[
        ("models/a.sql", &model),
        (
            "models/v.sql",
            "MODEL (name db.v, kind VIEW);\nSELECT day FROM db.a\n",
        ),
    ]);
    workspace.apply("prod", "2024-01-04");
    let check = |more: &[&str]| -> Value {
        let mut arguments = vec!["check_intervals", "--format", "json"];
        arguments.extend(more);
        serde_json::from_str(&workspace.run(&arguments).fine().stdout).unwrap()
    };
    for _ in 0..2 {
        let told = check(&["--execution-time", "2024-01-06"]);
        assert_eq!(told["complete"], serde_json::json!(["db.v"]));
        assert_eq!(
            told["missing"],
            serde_json::json!([{
                "name": "db.a",
                "intervals": [["2024-01-04T00:00:00Z", "2024-01-06T00:00:00Z"]],
            }])
        );
    }
    let told = check(&["--execution-time", "2024-01-04"]);
    assert_eq!(told["missing"], serde_json::json!([]));
    let text = workspace
        .run(&["check_intervals", "--execution-time", "2024-01-06"])
        .fine()
        .stdout;
    assert!(text.contains("2024-01-04 - 2024-01-05"), "{text}");
}

#[test]
fn the_table_behind_a_view_can_be_asked_for() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
    )]);
    let prod = workspace.apply("prod", "2024-01-03").table("db.a");
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    let dev = workspace.apply("dev", "2024-01-03").table("db.a");
    let asked = |arguments: &[&str]| workspace.run(arguments).fine().stdout.trim().to_owned();
    assert_eq!(asked(&["table_name", "db.a"]), prod);
    assert_eq!(asked(&["table_name", "db.a", "--env", "dev"]), dev);
    assert_eq!(asked(&["table_name", "wh.db.a", "--env", "dev"]), dev);
    workspace.run(&["table_name", "db.b"]).failed();
}

#[test]
fn the_suffix_of_an_environment_may_be_in_the_tables_name() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
    )]);
    workspace.apply("prod", "2024-01-03");
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace.apply("dev", "2024-01-03");
    assert_eq!(workspace.objects("VIEW"), ["db.a", "db__dev.a"]);

    workspace.edit(
        "config.yaml",
        "default_gateway",
        "environment_suffix_target: table\ndefault_gateway",
    );
    workspace.apply("dev", "2024-01-03");
    assert_eq!(workspace.objects("VIEW"), ["db.a", "db.a__dev"]);
    assert_eq!(workspace.rows("SELECT x FROM db.a__dev"), [["2"]]);
    workspace.edit("models/a.sql", "2 AS x", "3 AS x");
    workspace.apply("dev", "2024-01-03");
    workspace.run(&["rollback", "dev"]).fine();
    assert_eq!(workspace.rows("SELECT x FROM db.a__dev"), [["2"]]);
    assert_eq!(workspace.rows("SELECT x FROM db.a"), [["1"]]);

    workspace.edit("config.yaml", "target: table", "target: schema");
    workspace.run(&["invalidate", "dev", "--sync"]).fine();
    assert_eq!(
        workspace.objects("VIEW"),
        ["db.a"],
        "by the names that it has"
    );
}

#[test]
fn a_pinned_environment_never_expires_and_others_after_their_time() {
    let workspace = Workspace::new(&[(
        "models/a.sql",
        "MODEL (name db.a, kind FULL);\nSELECT 1 AS x\n",
    )]);
    workspace.write(
        "config.yaml",
        &format!("{CONFIG}pinned_environments: [Stage]\nenvironment_ttl: in 2 days\n"),
    );
    workspace.apply("prod", "2024-01-03");
    workspace.edit("models/a.sql", "1 AS x", "2 AS x");
    workspace.apply("stage", "2024-01-03");
    workspace.apply("dev", "2024-01-03");
    workspace
        .run(&["janitor", "--execution-time", "2024-01-04T23:59:59"])
        .fine();
    assert_eq!(
        workspace.objects("VIEW"),
        ["db.a", "db__dev.a", "db__stage.a"]
    );
    workspace
        .run(&["janitor", "--execution-time", "2024-01-05T00:00:00"])
        .fine();
    assert_eq!(workspace.objects("VIEW"), ["db.a", "db__stage.a"]);
    assert_eq!(workspace.rows("SELECT x FROM db__stage.a"), [["2"]]);
}

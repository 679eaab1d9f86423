//! `siding run`: what is due is filled, told and recorded, whoever interrupts it.

use serde_json::Value;

use crate::processes::Background;
use crate::processes::StateFile;
use crate::processes::TABLES_HELD;
use crate::workspace::CONFIG;
use crate::workspace::Ended;
use crate::workspace::Workspace;

/// A daily model over January 2024, one batch a day.
fn daily(name: &str, select: &str) -> String {
    format!(
        "MODEL (name {name}, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1), audits (not_null(columns := (day))));\n\
         SELECT d::DATE AS day, {select} FROM generate_series(DATE '2024-01-01', DATE '2024-01-31', INTERVAL '1 day') AS t(d)\n\
         WHERE d BETWEEN @start_ds AND @end_ds\n"
    )
}

/// Takes a second or two for each day.
const SLOW: &str = "(SELECT count(*) FROM range(250000000) AS r(i) WHERE hash(i) = 0) AS v";

const FULL: &str =
    "MODEL (name db.total, kind FULL);\nSELECT count(*)::INT AS days FROM db.daily\n";

fn run(workspace: &Workspace, now: &str, more: &[&str]) -> Ended {
    let mut arguments = vec!["run", "--execution-time", now];
    arguments.extend(more);
    workspace.run(&arguments)
}

#[test]
pub(crate) fn a_time_zone_moves_when_a_model_is_due_and_not_its_days() {
    let model = daily("db.daily", "1 AS v");
    let model = model.replacen("MODEL (", "MODEL (cron_tz 'America/Los_Angeles', ", 1);
    let workspace = Workspace::new(&[("models/daily.sql", &model)]);
    // In California the second of January ends at eight o'clock.
    workspace.apply("prod", "2024-01-03 07:59:00");
    let days = || workspace.rows("SELECT day::TEXT FROM db.daily ORDER BY day");
    assert_eq!(days(), [["2024-01-01"]]);
    let ended = run(&workspace, "2024-01-03 07:59:59", &[]).fine();
    assert!(
        ended.stdout.contains("2024-01-03T08:00:00Z"),
        "{}",
        ended.stdout
    );
    run(&workspace, "2024-01-03 08:00:00", &[]).fine();
    assert_eq!(days(), [["2024-01-01"], ["2024-01-02"]]);
}

#[test]
pub(crate) fn a_run_tells_what_it_did_model_by_model() {
    let workspace = Workspace::new(&[
        ("models/daily.sql", &daily("db.daily", "1 AS v")),
        ("models/total.sql", FULL),
    ]);
    workspace.apply("prod", "2024-01-03");

    let ended = run(&workspace, "2024-01-06", &["--format", "json"]).fine();
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    let model = |index: usize| &told["models"][index];
    assert_eq!(model(0)["name"], "db.daily");
    assert_eq!(model(0)["rows"], 3);
    assert_eq!(model(0)["audits_passed"], 3);
    assert_eq!(model(0)["batches"].as_array().unwrap().len(), 3);
    assert_eq!(model(1)["name"], "db.total");
    assert_eq!(told["ended"], "done");
    assert_eq!(workspace.rows("SELECT days FROM db.total"), [["5"]]);

    let ended = run(&workspace, "2024-01-08", &[]).fine();
    let lines: Vec<&str> = ended.stdout.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("MODEL"), "{lines:?}");
    assert!(
        lines[1].contains("db.daily")
            && lines[1].contains("2024-01-06 - 2024-01-07")
            && lines[1].contains("2 passed")
            && lines[1].ends_with("filled"),
        "{lines:?}"
    );
    assert_eq!(lines[3], "Done. Filled 2 models of `prod`.");

    let ended = run(&workspace, "2024-01-09", &["--format", "markdown"]).fine();
    assert!(ended.stdout.starts_with("| MODEL"), "{}", ended.stdout);
}

#[test]
fn a_run_with_nothing_due_says_when_the_next_interval_is() {
    let hourly = "MODEL (name db.hourly, kind FULL, cron '@hourly');\nSELECT 1 AS v\n";
    let workspace = Workspace::new(&[
        ("models/daily.sql", &daily("db.daily", "1 AS v")),
        ("models/hourly.sql", hourly),
    ]);
    workspace.apply("prod", "2024-01-03T10:20:00");
    let ended = run(&workspace, "2024-01-03T10:30:00", &[]).fine();
    assert_eq!(
        ended.stdout.trim(),
        "Nothing is due in `prod`. The next interval is due at 2024-01-03T11:00:00Z."
    );
}

#[test]
pub(crate) fn a_failed_model_stops_its_readers_and_nobody_else() {
    let seed = "MODEL (name db.input, kind FULL, cron '@hourly');\nSELECT 1 AS v\n";
    let workspace = Workspace::new(&[
        ("models/input.sql", seed),
        (
            "models/bad.sql",
            "MODEL (name db.bad, kind FULL);\nSELECT v, 1 / v AS w FROM outside.numbers\n",
        ),
        (
            "models/after.sql",
            "MODEL (name db.after, kind FULL);\nSELECT w FROM db.bad\n",
        ),
        (
            "models/later.sql",
            "MODEL (name db.later, kind FULL);\nSELECT w FROM db.after\n",
        ),
        ("models/daily.sql", &daily("db.daily", "1 AS v")),
    ]);
    workspace.execute("CREATE SCHEMA outside; CREATE TABLE outside.numbers AS SELECT 2 AS v");
    workspace.apply("prod", "2024-01-03");
    workspace.execute("ALTER TABLE outside.numbers RENAME v TO u");

    let ended = run(&workspace, "2024-01-04", &["--format", "json"]).failed();
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["failed"][0]["name"], "db.bad");
    let skipped: Vec<_> = told["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} because of {}", entry["name"], entry["because"]))
        .collect();
    assert_eq!(
        skipped,
        [
            "\"db.after\" because of \"db.bad\"",
            "\"db.later\" because of \"db.bad\""
        ]
    );
    assert_eq!(workspace.rows("SELECT count(*) FROM db.daily"), [["3"]]);
    let ended = run(&workspace, "2024-01-04", &[]).failed();
    assert!(
        ended.stdout.contains("skipped, because db.bad failed"),
        "{}",
        ended.stdout
    );

    workspace.execute("ALTER TABLE outside.numbers RENAME u TO v");
    run(&workspace, "2024-01-04", &[]).fine();
}

#[test]
pub(crate) fn a_run_of_some_models_fills_what_they_read_and_nothing_else() {
    let models = [
        ("models/daily.sql", daily("db.daily", "1 AS v")),
        ("models/total.sql", FULL.to_owned()),
        ("models/other.sql", daily("db.other", "1 AS v")),
    ];
    let files: Vec<(&str, &str)> = models.iter().map(|(path, text)| (*path, &**text)).collect();
    let workspace = Workspace::new(&files);
    workspace.apply("prod", "2024-01-03");
    let days = || {
        workspace.rows(
            "SELECT (SELECT count(*) FROM db.daily), (SELECT days FROM db.total), (SELECT count(*) FROM db.other)",
        )
    };
    let only = ["--select-model", "db.total", "--no-auto-upstream"];
    run(&workspace, "2024-01-04", &only).fine();
    assert_eq!(days(), [["2", "2", "2"]]);
    run(&workspace, "2024-01-05", &["--select-model", "db.t*"]).fine();
    assert_eq!(days(), [["4", "4", "2"]]);
    let ended = run(&workspace, "2024-01-05", &["--select-model", "db.nothing"]).failed();
    assert!(ended.stderr.contains("`db.nothing`"), "{}", ended.stderr);
    run(&workspace, "2024-01-05", &[]).fine();
    assert_eq!(days(), [["4", "4", "4"]]);
}

/// A project whose daily model is slow; two days are there, five more are due on 2024-01-08.
fn slow(config: &str) -> Workspace {
    let workspace = Workspace::new(&[
        ("models/daily.sql", &daily("db.daily", SLOW)),
        ("models/total.sql", FULL),
    ]);
    workspace.write("config.yaml", &format!("{CONFIG}{config}"));
    workspace.apply("prod", "2024-01-03");
    workspace
}

const LATER: [&str; 3] = ["run", "--execution-time", "2024-01-08"];

/// Days that are recorded for the daily model.
const RECORDED: &str =
    "SELECT CAST(sum(end_at - start_at) / 86400000 AS BIGINT) FROM siding_intervals
     WHERE name LIKE '%daily%'";

#[test]
fn a_run_that_is_interrupted_takes_back_what_runs_and_keeps_what_is_done() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let workspace = slow("run:\n  stop_grace_seconds: 0\n");
        let state = StateFile::of(&workspace);
        let running = Background::start(&workspace, &LATER);
        state.wait_for(RECORDED, 3);
        running.signal(signal);
        let ended = running.ended();

        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(ended.stdout.contains("Stopped."), "{}", ended.stdout);
        assert!(ended.stderr.contains("Stopping:"), "{}", ended.stderr);
        let recorded = state.number(RECORDED);
        assert!((3..7).contains(&recorded), "{recorded} days");
        let rows = workspace.rows("SELECT count(*), count(DISTINCT day) FROM db.daily");
        assert_eq!(rows, [[recorded.to_string(), recorded.to_string()]]);
        assert_eq!(
            workspace.rows("SELECT days FROM db.total"),
            [["2"]],
            "its reader waits"
        );
        assert_eq!(state.number("SELECT count(*) FROM siding_leases"), 0);

        workspace.run(&LATER).fine();
        let rows = workspace.rows("SELECT count(*), count(DISTINCT day) FROM db.daily");
        assert_eq!(rows, [["7", "7"]]);
        assert_eq!(workspace.rows("SELECT days FROM db.total"), [["7"]]);
    }
}

#[test]
fn a_second_interrupt_ends_at_once_and_the_next_run_does_not_wait() {
    let workspace = slow("run:\n  stop_grace_seconds: 100\n");
    let state = StateFile::of(&workspace);
    let running = Background::start(&workspace, &LATER);
    state.wait_for(TABLES_HELD, 1);
    running.signal("INT");
    std::thread::sleep(std::time::Duration::from_millis(300));
    running.signal("INT");
    assert_eq!(running.ended().code, 130);

    workspace.run(&LATER).fine();
    let rows = workspace.rows("SELECT count(*), count(DISTINCT day) FROM db.daily");
    assert_eq!(rows, [["7", "7"]]);
}

#[test]
fn a_plan_that_is_interrupted_changes_no_view() {
    let workspace = slow("run:\n  stop_grace_seconds: 0\n");
    let state = StateFile::of(&workspace);
    workspace.edit("models/daily.sql", "AS v", "AS w");
    workspace.edit("models/daily.sql", "250000000", "250000001");
    let plan = ["plan", "--auto-apply", "--execution-time", "2024-01-03"];
    let planning = Background::start(&workspace, &plan);
    state.wait_for(TABLES_HELD, 1);
    planning.signal("INT");
    let ended = planning.ended();
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("readers see what they saw before"),
        "{}",
        ended.stderr
    );
    assert_eq!(workspace.rows("SELECT count(v) FROM db.daily"), [["2"]]);
    workspace.run(&plan).fine();
    assert_eq!(workspace.rows("SELECT count(w) FROM db.daily"), [["2"]]);
}

#[test]
fn a_run_begins_again_when_another_plan_changes_the_environment() {
    let workspace = slow("");
    let state = StateFile::of(&workspace);
    let running = Background::start(&workspace, &LATER);
    state.wait_for(RECORDED, 3);
    state.execute("UPDATE siding_environments SET plan_id = 'other', previous_plan_id = plan_id");
    let ended = running.ended().fine();
    assert!(
        ended.stderr.contains("another plan has changed"),
        "{}",
        ended.stderr
    );
    assert_eq!(workspace.rows("SELECT days FROM db.total"), [["7"]]);
}

#[test]
fn a_run_ends_with_the_code_that_was_asked_for_when_the_environment_changes() {
    let workspace = slow("");
    let state = StateFile::of(&workspace);
    let running = Background::start(
        &workspace,
        &[LATER[0], LATER[1], LATER[2], "--exit-on-env-update", "77"],
    );
    state.wait_for(RECORDED, 3);
    state.execute("UPDATE siding_environments SET plan_id = 'other', previous_plan_id = plan_id");
    let ended = running.ended();
    assert_eq!(ended.code, 77, "{}", ended.stderr);
    let recorded = state.number(RECORDED).to_string();
    assert_eq!(
        workspace.rows("SELECT count(*) FROM db.daily"),
        [[recorded]]
    );
}

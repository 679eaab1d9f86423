//! Two processes on one project: one works, the other waits or says so, and nobody's work is recorded twice.

use std::time::Instant;

use crate::processes::Background;
use crate::processes::StateFile;
use crate::processes::TABLES_HELD;
use crate::workspace::Workspace;

/// Two gateways with one state: two warehouses, because a DuckDB file admits one process.
const TWO: &str = "gateways:
  one:
    connection: {type: duckdb, database: wh.duckdb}
    state_connection: {type: sqlite, database: state.db}
  two:
    connection: {type: duckdb, database: two/wh.duckdb}
    state_connection: {type: sqlite, database: state.db}
default_gateway: one
model_defaults: {dialect: duckdb, start: 2024-01-01}
";

const DAILY: &str = "MODEL (name db.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column day));
SELECT d::DATE AS day, (SELECT count(*) FROM range(400000000) AS r(i) WHERE hash(i) = 0) AS v
FROM generate_series(DATE '2024-01-01', DATE '2024-01-31', INTERVAL 1 DAY) AS t(d)
WHERE d BETWEEN @start_ds AND @end_ds
";

const RUN: [&str; 3] = ["run", "--execution-time", "2024-01-05"];
const RUN_TWO: [&str; 5] = ["run", "--execution-time", "2024-01-05", "--gateway", "two"];

/// Two days of the daily model are in production; two more are due. Frozen while it writes them: a run.
fn frozen_run() -> (Workspace, StateFile, Background) {
    let workspace = Workspace::new(&[("models/daily.sql", DAILY)]);
    workspace.write("config.yaml", TWO);
    workspace.apply("prod", "2024-01-03");
    std::fs::create_dir(workspace.path().join("two")).unwrap();
    std::fs::copy(
        workspace.path().join("wh.duckdb"),
        workspace.path().join("two/wh.duckdb"),
    )
    .unwrap();
    let state = StateFile::of(&workspace);
    let first = Background::start(&workspace, &RUN);
    state.wait_for(TABLES_HELD, 1);
    first.wait_for_work(30);
    first.signal("STOP");
    (workspace, state, first)
}

#[test]
fn the_second_of_two_runs_waits_and_then_does_what_is_left() {
    let (workspace, state, first) = frozen_run();
    let second = Background::start(&workspace, &RUN_TWO);
    second.wait_for_note("waiting for");
    first.signal("CONT");
    first.ended().fine();
    let second = second.ended().fine();

    assert!(
        second
            .stderr
            .contains("waiting for the table of `db.daily`, which `siding run prod` of tester"),
        "{}",
        second.stderr
    );
    assert!(
        second.stdout.contains("1 by another process"),
        "{}",
        second.stdout
    );
    assert_eq!(
        workspace.rows("SELECT count(*), count(DISTINCT day) FROM db.daily"),
        [["4", "4"]]
    );
    let batches = "SELECT count(*) FROM siding_batches WHERE start_at >= 1704240000000";
    assert_eq!(state.number(batches), 1, "one of them wrote the two days");
}

#[test]
fn a_process_that_was_thought_dead_and_comes_back_records_nothing() {
    let (workspace, state, first) = frozen_run();
    state.execute("UPDATE siding_leases SET expires_at = 0");
    let second = Background::start(&workspace, &RUN_TWO).ended().fine();
    assert!(second.stdout.contains("filled"), "{}", second.stdout);
    let before = state.number("SELECT count(*) FROM siding_intervals");

    first.signal("CONT");
    let first = first.ended().failed();

    assert!(
        first
            .stderr
            .contains("took over what this process was writing"),
        "{}",
        first.stderr
    );
    assert_eq!(
        state.number("SELECT count(*) FROM siding_intervals"),
        before
    );
}

#[test]
fn nobody_waits_for_a_process_that_was_killed() {
    let (workspace, state, first) = frozen_run();
    first.signal("KILL");
    first.ended();
    assert_eq!(
        state.number(TABLES_HELD),
        1,
        "its lease is still written down"
    );

    let started = Instant::now();
    let ended = workspace.run(&RUN).fine();
    assert!(!ended.stderr.contains("waiting"), "{}", ended.stderr);
    assert!(started.elapsed().as_secs() < 50, "{:?}", started.elapsed());
    assert_eq!(
        workspace.rows("SELECT count(*), count(DISTINCT day) FROM db.daily"),
        [["4", "4"]]
    );
}

#[test]
fn a_plan_that_is_computed_while_another_one_applies_is_told_who_was_first() {
    let workspace = Workspace::new(&[("models/daily.sql", DAILY)]);
    workspace.write("config.yaml", TWO);
    std::fs::create_dir(workspace.path().join("two")).unwrap();
    let state = StateFile::of(&workspace);
    let plan = ["plan", "--auto-apply", "--execution-time", "2024-01-03"];
    let first = Background::start(&workspace, &plan);
    state.wait_for(TABLES_HELD, 1);
    first.signal("STOP");
    workspace.write(
        "models/other.sql",
        "MODEL (name db.other, kind FULL);\nSELECT count(*) AS n FROM db.daily\n",
    );
    let mut again = plan.to_vec();
    again.extend(["--gateway", "two"]);
    let second = Background::start(&workspace, &again);
    second.wait_for_note("waiting for");
    first.signal("CONT");
    first.ended().fine();

    let second = second.ended().failed();
    assert!(
        second.stderr.contains("which `siding plan prod` of tester"),
        "{}",
        second.stderr
    );
    assert!(
        second
            .stderr
            .contains("was changed by another plan (by tester)"),
        "{}",
        second.stderr
    );
    let built = "SELECT count(*) FROM siding_batches WHERE name LIKE '%other%'";
    assert_eq!(state.number(built), 0, "the loser stopped at once");
    assert_eq!(workspace.rows("SELECT count(*) FROM db.daily"), [["2"]]);
}

#[test]
fn a_second_process_on_the_same_duckdb_file_is_told_who_has_it() {
    let (workspace, _state, first) = frozen_run();
    let second = workspace.run(&RUN).failed();
    assert!(second.stderr.contains("is in use by"), "{}", second.stderr);
    first.signal("CONT");
    first.ended().fine();
    workspace.run(&RUN).fine();
}

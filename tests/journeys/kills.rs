//! `kill -9` at any moment loses nothing: the next command completes, and readers see one promotion.

use std::time::Duration;
use std::time::Instant;

use crate::workspace::Workspace;

const NOW: &str = "2024-01-08";

/// Twelve models in three layers; `{value}` is what all of them carry.
fn layered(value: u32) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for index in 0..4 {
        files.push((
            format!("models/a{index}.sql"),
            format!(
                "MODEL (name db.a{index}, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1), audits (not_null(columns := (v))));\n\
                 SELECT day::DATE AS day, {value} AS v FROM generate_series(DATE '2024-01-01', DATE '2024-01-31', INTERVAL '1' DAY) AS t(day)\n\
                 WHERE day BETWEEN @start_ds AND @end_ds\n"
            ),
        ));
        files.push((
            format!("models/b{index}.sql"),
            format!("MODEL (name db.b{index}, kind FULL);\nSELECT count(*) AS n, max(v) AS v FROM db.a{index}\n"),
        ));
        files.push((
            format!("models/c{index}.sql"),
            format!("MODEL (name db.c{index}, kind VIEW);\nSELECT n, v FROM db.b{index}\n"),
        ));
    }
    files
}

fn write(workspace: &Workspace, value: u32) {
    for (path, text) in layered(value) {
        workspace.write(&path, &text);
    }
}

/// The value that each view of production shows; all equal when the views are of one promotion.
fn shown(workspace: &Workspace) -> Vec<String> {
    let views = workspace
        .objects("VIEW")
        .into_iter()
        .filter(|view| view.starts_with("db."));
    let mut values: Vec<String> = views
        .map(|view| workspace.rows(&format!("SELECT max(v) FROM {view}"))[0][0].clone())
        .collect();
    values.sort();
    values.dedup();
    values
}

#[test]
pub(crate) fn a_plan_that_is_killed_at_any_moment_is_completed_by_the_next() {
    let workspace = Workspace::new(&[]);
    write(&workspace, 1);
    let started = Instant::now();
    workspace.apply("prod", NOW);
    let whole = started.elapsed();

    for round in 0..12_u32 {
        let value = round + 2;
        write(&workspace, value);
        let mut child = workspace.command(&[
            "plan",
            "--auto-apply",
            "--execution-time",
            NOW,
            "--format",
            "json",
        ]);
        let mut child = child
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(whole * (round + 1) / 13 + Duration::from_millis(u64::from(round) % 3));
        child.kill().unwrap();
        child.wait().unwrap();

        let between = shown(&workspace);
        assert!(
            between.len() == 1,
            "views of two promotions are mixed after a kill: {between:?}"
        );

        workspace.apply("prod", NOW);
        assert_eq!(shown(&workspace), [value.to_string()]);
        for index in 0..4 {
            let sql = format!("SELECT count(*), count(DISTINCT day) FROM db.a{index}");
            assert_eq!(
                workspace.rows(&sql),
                [["7", "7"]],
                "no row is lost or doubled"
            );
            assert_eq!(
                workspace.rows(&format!("SELECT n FROM db.c{index}")),
                [["7"]]
            );
        }
        let again = workspace.plan("prod", NOW);
        assert_eq!(
            again.backfilled(),
            Vec::<String>::new(),
            "everything is recorded"
        );
    }
}

#[test]
pub(crate) fn a_run_finishes_a_switch_that_was_recorded_but_not_done() {
    let workspace = Workspace::new(&[]);
    write(&workspace, 1);
    workspace.apply("prod", NOW);
    write(&workspace, 2);
    workspace.apply("prod", NOW);
    // As a kill between the record and the switch leaves it: the record is not final, the views are the old ones.
    let views = workspace.objects("VIEW").into_iter();
    assert_eq!(views.filter(|view| view.starts_with("db.")).count(), 12);
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(shown(&workspace), ["1"]);
    unfinalize_with_the_plan_before(&workspace);

    workspace.run(&["run", "--execution-time", NOW]).fine();

    assert_eq!(shown(&workspace), ["2"]);
}

#[cfg(unix)]
#[test]
fn a_rollback_that_died_before_it_was_done_is_finished_by_the_next_and_not_taken_back() {
    let workspace = Workspace::new(&[]);
    for value in 1..=3 {
        write(&workspace, value);
        workspace.apply("prod", NOW);
    }
    for _ in 0..2 {
        workspace.run(&["rollback", "prod"]).fine();
        assert_eq!(shown(&workspace), ["2"]);
        // As a kill before the record is marked done leaves it.
        unfinalize(&workspace);
    }
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(shown(&workspace), ["2"]);
    workspace.run(&["rollback", "prod"]).fine();
    assert_eq!(shown(&workspace), ["1"], "a rollback of what is done");
}

#[cfg(unix)]
pub(crate) fn unfinalize(workspace: &Workspace) {
    let sql = "UPDATE siding_environments SET finalized_at = NULL";
    crate::processes::StateFile::of(workspace).execute(sql);
}

#[cfg(unix)]
#[test]
fn a_preview_that_died_after_its_copy_shows_what_it_would_have_shown() {
    let model = |columns: &str| {
        format!(
            "MODEL (name db.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column day, lookback 2));
             SELECT day::DATE AS day{columns} FROM generate_series(DATE '2024-01-01', DATE '2024-01-31', INTERVAL '1' DAY) AS t(day)
             WHERE day BETWEEN @start_ds AND @end_ds"
        )
    };
    let workspace = Workspace::new(&[("models/daily.sql", &model(""))]);
    workspace.apply("prod", NOW);
    workspace.write("models/daily.sql", &model(", 1 AS more"));
    let plan = [
        "plan",
        "dev",
        "--forward-only",
        "--auto-apply",
        "--execution-time",
        NOW,
    ];
    let shown = || workspace.rows("SELECT day, more FROM db__dev.daily ORDER BY day");
    workspace.run(&plan).fine();
    let expected = shown();
    let previewed = expected.iter().filter(|row| row[1] == "1");
    assert_eq!(previewed.count(), 1, "{expected:?}");

    // As a kill before the last day was computed leaves it.
    let state = crate::processes::StateFile::of(&workspace);
    state.execute("DELETE FROM siding_intervals WHERE id = (SELECT max(id) FROM siding_intervals)");
    state.execute("DELETE FROM siding_environment_snapshots WHERE environment = 'dev'");
    state.execute("DELETE FROM siding_environments WHERE name = 'dev'");
    // What a lookback would compute again says so.
    let table = &workspace.objects("BASE TABLE");
    let table = table.iter().find(|table| table.ends_with("__dev")).unwrap();
    let (schema, name) = table.split_once('.').unwrap();
    workspace.execute(&format!(
        "DELETE FROM \"{schema}\".\"{name}\" WHERE more = 1"
    ));
    workspace.run(&plan).fine();
    assert_eq!(shown(), expected);
}

/// Makes production's record say what the plan before the rollback said, not final: the views lag behind.
pub(crate) fn unfinalize_with_the_plan_before(workspace: &Workspace) {
    let url = format!("sqlite://{}", workspace.path().join("state.db").display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        let snapshots: String = sqlx::query_scalar("SELECT snapshots FROM siding_promotions ORDER BY id DESC LIMIT 1 OFFSET 1")
            .fetch_one(&pool)
            .await
            .unwrap();
        let snapshots: Vec<serde_json::Value> = serde_json::from_str(&snapshots).unwrap();
        for entry in snapshots {
            sqlx::query(
                "UPDATE siding_environment_snapshots SET identifier = $1, version = $2, table_name = $3
                 WHERE environment = 'prod' AND name = $4",
            )
            .bind(entry["id"]["identifier"].as_str().unwrap())
            .bind(entry["version"].as_str().unwrap())
            .bind(entry["table"]["name"].as_str().unwrap())
            .bind(entry["id"]["name"].as_str().unwrap())
            .execute(&pool)
            .await
            .unwrap();
        }
        sqlx::query("UPDATE siding_environments SET finalized_at = NULL").execute(&pool).await.unwrap();
        pool.close().await;
    });
}

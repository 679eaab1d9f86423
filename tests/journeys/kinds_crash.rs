//! Kinds whose batches must not run twice: a kill between a batch's commit and its record doubles nothing.

use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crate::workspace::Workspace;

/// Thirty days of twenty rows, of five keys.
const EVENTS: &str = "CREATE SCHEMA raw;
CREATE TABLE raw.events AS
  SELECT (i % 5)::INT AS id, 1 AS v, (DATE '2024-01-01' + floor(i / 20.0)::INT) AS day FROM generate_series(0, 599) AS r(i);";

/// Each model would show a batch that ran twice in its `n`.
const ADDED: &str = "MODEL (name db.added, kind INCREMENTAL_UNMANAGED);
SELECT id, v, day FROM raw.events WHERE day BETWEEN @start_ds AND @end_ds
";
const SUMMED: &str =
    "MODEL (name db.summed, kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 1,
  when_matched (WHEN MATCHED THEN UPDATE SET n = target.n + source.n)));
SELECT id, sum(v)::INT AS n FROM raw.events WHERE day BETWEEN @start_ds AND @end_ds GROUP BY id
";
const COUNTED: &str = "MODEL (name db.counted, kind FULL, columns (n INT));
SELECT coalesce(max(n), 0) + 1 AS n FROM db.counted
";
const HISTORY: &str = "MODEL (name db.history, kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns [day], batch_size 1));
SELECT id, max(day) AS day FROM raw.events WHERE day BETWEEN @start_ds AND @end_ds GROUP BY id
";

fn project() -> Workspace {
    let workspace = Workspace::new(&[
        ("models/added.sql", ADDED),
        ("models/summed.sql", SUMMED),
        ("models/counted.sql", COUNTED),
        ("models/history.sql", HISTORY),
    ]);
    workspace.execute(EVENTS);
    workspace
}

/// What all four hold.
fn contents(workspace: &Workspace) -> Vec<Vec<String>> {
    [
        "SELECT count(*), count(DISTINCT day) FROM db.added",
        "SELECT count(*), min(n), max(n) FROM db.summed",
        "SELECT n FROM db.counted",
        "SELECT count(*), count(*) FILTER (WHERE valid_to IS NULL) FROM db.history",
    ]
    .iter()
    .flat_map(|sql| workspace.rows(sql))
    .collect()
}

/// Takes back what the state recorded of intervals since it had `kept` entries.
fn forget_intervals(workspace: &Workspace, kept: i64) {
    with_state(workspace, async |pool| {
        sqlx::query("DELETE FROM siding_intervals WHERE id > $1")
            .bind(kept)
            .execute(pool)
            .await
            .unwrap();
    });
}

fn recorded(workspace: &Workspace) -> i64 {
    let mut count = 0;
    with_state(workspace, async |pool| {
        count = sqlx::query_scalar("SELECT max(id) FROM siding_intervals")
            .fetch_one(pool)
            .await
            .unwrap();
    });
    count
}

fn with_state(workspace: &Workspace, work: impl AsyncFnOnce(&sqlx::SqlitePool)) {
    let url = format!("sqlite://{}", workspace.path().join("state.db").display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        work(&pool).await;
        pool.close().await;
    });
}

#[test]
pub(crate) fn a_batch_that_was_committed_and_not_recorded_is_recorded_and_not_written_again() {
    let workspace = project();
    workspace.apply("prod", "2024-01-05");
    let before = recorded(&workspace);
    workspace
        .run(&["run", "--execution-time", "2024-01-06"])
        .fine();
    let expected = contents(&workspace);
    assert_eq!(expected[0], ["100", "5"]);
    assert_eq!(expected[1], ["5", "20", "20"]);
    assert_eq!(expected[2], ["2"]);

    // As a kill between the warehouse's commit and the record leaves it.
    forget_intervals(&workspace, before);
    workspace
        .run(&["run", "--execution-time", "2024-01-06"])
        .fine();
    assert_eq!(contents(&workspace), expected);

    // And the next day is one day, not two.
    forget_intervals(&workspace, before);
    workspace
        .run(&["run", "--execution-time", "2024-01-07"])
        .fine();
    let after = contents(&workspace);
    assert_eq!(after[0], ["120", "6"]);
    assert_eq!(after[1], ["5", "24", "24"]);
    assert_eq!(after[2], ["3"]);
}

#[test]
pub(crate) fn a_table_of_which_nothing_is_recorded_is_written_anew() {
    let workspace = project();
    workspace.apply("prod", "2024-01-05");
    let expected = contents(&workspace);
    forget_intervals(&workspace, 0);
    workspace
        .run(&["run", "--execution-time", "2024-01-05"])
        .fine();
    assert_eq!(contents(&workspace), expected);
}

#[test]
pub(crate) fn kills_at_random_moments_double_nothing_and_lose_nothing() {
    let calm = project();
    calm.apply("prod", "2024-01-02");
    for day in 3..=16 {
        calm.run(&["run", "--execution-time", &format!("2024-01-{day:02}")])
            .fine();
    }
    let expected = contents(&calm);

    let workspace = project();
    let started = Instant::now();
    workspace.apply("prod", "2024-01-02");
    let whole = started.elapsed();
    for day in 3..=16_u32 {
        let now = format!("2024-01-{day:02}");
        let mut child = workspace
            .command(&["run", "--execution-time", &now])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(whole * (day * 7 % 27) / 28 + Duration::from_millis(u64::from(day) % 5));
        child.kill().unwrap();
        child.wait().unwrap();
        workspace.run(&["run", "--execution-time", &now]).fine();
    }
    assert_eq!(contents(&workspace), expected);
}

//! Batches of one model beside each other: each with rows of its own, and a bad one takes none of the others along.

use crate::engines::missing;
use crate::engines::on_both_engines;
use crate::workspace::Workspace;
use crate::workspace::on_postgres;

on_both_engines! {
    hours_in_a_column_of_days_do_not_write_their_day_twice_at_once,
    the_other_days_are_filled_when_one_is_bad,
    what_builds_on_its_past_stops_at_the_bad_day_and_says_what_is_left,
}

#[test]
fn batches_of_one_model_do_not_wait_for_each_other_on_postgres() {
    on_postgres(|| {
        let model = "MODEL (
  name db.a,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1, batch_concurrency 3)
);
SELECT d AS day, CASE WHEN d = DATE '2024-01-01' THEN 1 ELSE raw.together() END AS n
FROM raw.days WHERE d BETWEEN @start_date AND @end_date
";
        let workspace = Workspace::new(&[("models/a.sql", model)]);
        workspace.execute(
            "CREATE SCHEMA raw; CREATE TABLE raw.days AS
             SELECT DATE '2024-01-01' + n AS d FROM generate_series(0, 3) AS r(n)",
        );
        // How many batches run, once there are two or three seconds are over.
        workspace.execute(
            "CREATE FUNCTION raw.together() RETURNS INT LANGUAGE plpgsql AS $$
             DECLARE n INT; BEGIN
                 FOR i IN 1..60 LOOP
                     PERFORM pg_stat_clear_snapshot();
                     SELECT count(*) INTO n FROM pg_stat_activity
                     WHERE datname = current_database() AND state = 'active' AND query LIKE '%raw.together()%';
                     EXIT WHEN n >= 2;
                     PERFORM pg_sleep(0.05);
                 END LOOP;
                 RETURN n;
             END $$",
        );
        workspace.apply("prod", "2024-01-05");
        let rows = workspace.rows("SELECT count(*), CAST(max(n) >= 2 AS INT) FROM db.a");
        assert_eq!(rows, [["4", "1"]]);
    });
}

fn hours_in_a_column_of_days_do_not_write_their_day_twice_at_once() {
    let model = "MODEL (
  name db.a,
  cron '@hourly',
  kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1)
);
SELECT id, CAST(ts AS DATE) AS day FROM raw.events
WHERE CAST(ts AS DATE) BETWEEN @start_date AND @end_date
";
    let workspace = Workspace::new(&[("models/a.sql", model)]);
    workspace.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.events AS
         SELECT CAST(n AS INT) AS id, TIMESTAMP '2024-01-01 00:30:00' + CAST(n AS INT) * INTERVAL '1 hour' AS ts
         FROM generate_series(0, 29) AS r(n)",
    );
    workspace.apply("prod", "2024-01-02 06:00:00");
    let rows = workspace.rows("SELECT count(*), count(DISTINCT id) FROM db.a");
    assert_eq!(rows, [["30", "30"]]);
}

/// A model over eight days, one row each; the fourth has no value. The first day is in production.
fn with_a_bad_day(kind: &str) -> Workspace {
    let model = format!(
        "MODEL (name db.a, kind {kind}, audits (not_null(columns := (v))));
SELECT d AS day, v FROM raw.days WHERE d BETWEEN @start_date AND @end_date
"
    );
    let workspace = Workspace::new(&[("models/a.sql", &model)]);
    workspace.execute(
        "CREATE SCHEMA raw; CREATE TABLE raw.days AS
         SELECT DATE '2024-01-01' + CAST(n AS INT) AS d, CASE WHEN n <> 3 THEN 1 END AS v
         FROM generate_series(0, 7) AS r(n)",
    );
    workspace.apply("prod", "2024-01-02");
    workspace
}

fn days(workspace: &Workspace) -> Vec<String> {
    let rows = workspace.rows("SELECT CAST(day AS VARCHAR) FROM db.a ORDER BY day");
    rows.into_iter().map(|row| row[0].clone()).collect()
}

fn the_other_days_are_filled_when_one_is_bad() {
    let workspace = with_a_bad_day("INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1)");
    let ended = workspace
        .run(&["run", "--execution-time", "2024-01-09"])
        .failed();
    assert!(
        ended.stderr.contains("found 1 bad rows"),
        "{}",
        ended.stderr
    );
    let good = [1, 2, 3, 5, 6, 7, 8].map(|day| format!("2024-01-0{day}"));
    assert_eq!(days(&workspace), good);
    let missing = missing(&workspace, "db.a", "2024-01-09");
    assert_eq!(missing.as_array().unwrap().len(), 1, "{missing}");
}

fn what_builds_on_its_past_stops_at_the_bad_day_and_says_what_is_left() {
    let workspace = with_a_bad_day("INCREMENTAL_BY_UNIQUE_KEY (unique_key day, batch_size 1)");
    let ended = workspace
        .run(&["run", "--execution-time", "2024-01-09"])
        .failed();
    assert!(
        ended.stderr.contains("1 of 7 batches failed, 4 not begun"),
        "{}",
        ended.stderr
    );
    assert_eq!(days(&workspace), ["2024-01-01", "2024-01-02", "2024-01-03"]);
}

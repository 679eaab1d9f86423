//! Times that are texts or numbers: whatever they say besides the model's format, each row lands in its own batch.

use crate::engines::on_both_engines;
use crate::workspace::Workspace;

on_both_engines! {
    texts_that_say_more_than_the_format_of_the_time_column_lose_no_row,
    a_day_of_such_texts_is_filled_again_without_the_rows_of_others,
}

/// Every eight hours of three days, a quarter of a second late: as a text of SQL, as one of ISO 8601, as a number.
const EVENTS: &str = "CREATE SCHEMA raw; CREATE TABLE raw.events AS
    SELECT n AS id, CAST(1 AS INT) AS v, CAST(ts AS VARCHAR) AS plain, substr(CAST(ts AS VARCHAR), 1, 10) || 'T'
               || substr(CAST(ts AS VARCHAR), 12) || 'Z' AS iso,
           20240101 + (n - n % 3) / 3 + 0.5 AS number, CAST(ts AS DATE) AS day
    FROM (SELECT CAST(i AS INT) AS n,
                 TIMESTAMP '2024-01-01 00:00:00.25' + CAST(i AS INT) * INTERVAL '8 hours' AS ts
          FROM generate_series(0, 8) AS r(i)) AS e";

const MODELS: [(&str, &str); 3] = [
    ("plain", "plain"),
    ("iso", "(iso, '%Y-%m-%dT%H:%M:%SZ')"),
    ("number", "(number, '%Y%m%d')"),
];

/// One model for each way to write a time; none says by itself which rows it wants.
fn filled() -> Workspace {
    let workspace = Workspace::new(&[]);
    workspace.execute(EVENTS);
    for (name, time_column) in MODELS {
        let text = format!(
            "MODEL (
  name db.{name},
  kind INCREMENTAL_BY_TIME_RANGE (time_column {time_column}, batch_size 1)
);
SELECT id, v, {name}, day FROM raw.events
"
        );
        workspace.write(&format!("models/{name}.sql"), &text);
    }
    workspace.apply("prod", "2024-01-03");
    workspace
        .run(&["run", "--execution-time", "2024-01-04"])
        .fine();
    workspace
}

fn texts_that_say_more_than_the_format_of_the_time_column_lose_no_row() {
    let workspace = filled();
    for (name, _) in MODELS {
        let rows =
            |table: &str| workspace.rows(&format!("SELECT id, {name} FROM {table} ORDER BY id"));
        let wanted = rows("raw.events");
        assert_eq!(wanted.len(), 9);
        assert_eq!(rows(&format!("db.{name}")), wanted, "{name}");
    }
}

fn a_day_of_such_texts_is_filled_again_without_the_rows_of_others() {
    let workspace = filled();
    workspace.execute("UPDATE raw.events SET v = 2");
    for (name, _) in MODELS {
        let model = format!("db.{name}");
        let day = [
            "plan",
            "--restate-model",
            &model,
            "--start",
            "2024-01-02",
            "--end",
            "2024-01-02",
            "--execution-time",
            "2024-01-04",
            "--auto-apply",
        ];
        workspace.run(&day).fine();
        let days = format!(
            "SELECT CAST(day AS VARCHAR), CAST(min(v) AS INT), CAST(max(v) AS INT), count(*) FROM {model} GROUP BY 1 ORDER BY 1"
        );
        let wanted = [
            ["2024-01-01", "1", "1", "3"],
            ["2024-01-02", "2", "2", "3"],
            ["2024-01-03", "1", "1", "3"],
        ];
        assert_eq!(workspace.rows(&days), wanted, "{name}");
    }
}

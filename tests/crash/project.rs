//! The project whose commands are killed: every kind whose batches matter, with a reader of each.

/// What scripts change of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Knobs {
    /// What each event counts: breaks everything below `daily`.
    pub(crate) factor: usize,
    /// Columns that `daily` has more.
    pub(crate) more: usize,
    /// Rows of the seed.
    pub(crate) labels: usize,
    /// What `total` adds.
    pub(crate) plus: usize,
    /// Which kinds that build on their past have which definition.
    pub(crate) past: usize,
    /// What the view says.
    pub(crate) word: usize,
}

impl Knobs {
    pub(crate) fn new() -> Self {
        Self {
            factor: 1,
            more: 0,
            labels: 3,
            plus: 0,
            past: 0,
            word: 0,
        }
    }

    /// Every file but `config.yaml`, with its path.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let Self {
            factor,
            more,
            labels,
            plus,
            past,
            word,
        } = self;
        let columns: String = (0..*more)
            .map(|column| format!(", id + {column} AS c{column}"))
            .collect();
        let between = "day BETWEEN @start_ds AND @end_ds";
        let mut files = vec![(
            "seeds/labels.csv".to_owned(),
            "id,label\n".to_owned()
                + &(0..*labels)
                    .map(|id| format!("{id},label {id} of {labels}\n"))
                    .collect::<String>(),
        )];
        let mut model = |name: &str, kind: &str, query: &str| {
            let text = format!("MODEL (name db.{name}, kind {kind});\n{query}\n");
            files.push((format!("models/{name}.sql"), text));
        };
        model(
            "labels",
            "SEED (path '../seeds/labels.csv'), columns (id INT, label TEXT)",
            "",
        );
        model(
            "daily",
            "INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 2, lookback 1),
  audits (accepted_range(column := v, min_v := 0), accepted_range(column := v, max_v := 9, blocking := false))",
            &format!("SELECT id, day, v * {factor} AS v{columns} FROM raw.events WHERE {between}"),
        );
        model(
            "running",
            "INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1), columns (day DATE, n BIGINT)",
            &format!(
                "SELECT day, n + coalesce((SELECT max(n) FROM db.running), 0) AS n
FROM (SELECT day, sum(v) AS n FROM db.daily WHERE {between} GROUP BY day) AS d"
            ),
        );
        model(
            "latest",
            "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 1)",
            &format!(
                "SELECT id, max(day) AS day, max(v) AS v FROM db.daily WHERE {between} GROUP BY id"
            ),
        );
        model(
            "summed",
            "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 1,
  when_matched (WHEN MATCHED THEN UPDATE SET n = target.n + source.n))",
            &format!(
                "SELECT id, sum(v)::INT + {past} AS n FROM raw.events WHERE {between} GROUP BY id"
            ),
        );
        model(
            "parts",
            "INCREMENTAL_BY_PARTITION, partitioned_by day",
            &format!("SELECT id, day, v FROM db.daily WHERE {between}"),
        );
        model(
            "added",
            "INCREMENTAL_UNMANAGED",
            &format!("SELECT id, day, v + {past} AS v FROM raw.events WHERE {between}"),
        );
        model(
            "counted",
            "FULL, columns (n INT)",
            &format!("SELECT coalesce(max(n), {past}) + 1 AS n FROM db.counted"),
        );
        let people = "SELECT id, name, upd FROM raw.people";
        let options = "unique_key id, invalidate_hard_deletes true";
        model(
            "people_t",
            &format!("SCD_TYPE_2_BY_TIME ({options}, updated_at_name upd)"),
            people,
        );
        model(
            "people_c",
            &format!("SCD_TYPE_2_BY_COLUMN ({options}, columns [name])"),
            people,
        );
        model(
            "total",
            "FULL",
            &format!(
                "SELECT l.label, count(*) + {plus} AS n, sum(d.v) AS v FROM db.daily AS d JOIN db.labels AS l ON l.id = d.id
GROUP BY l.label"
            ),
        );
        model(
            "held",
            "VIEW (materialized true)",
            "SELECT count(*) AS n, max(day) AS day FROM db.added",
        );
        model(
            "seen",
            "VIEW",
            &format!(
                "SELECT 'total {word}' AS what, sum(n) AS n FROM db.total
UNION ALL SELECT 'latest', sum(v) FROM db.latest
UNION ALL SELECT 'running', max(n) FROM db.running
UNION ALL SELECT 'parts', sum(v) FROM db.parts
UNION ALL SELECT 'counted', max(n) FROM db.counted"
            ),
        );
        model(
            "whole",
            "FULL",
            "SELECT 'summed' AS what, sum(n) AS n FROM db.summed
UNION ALL SELECT 'people_t', count(*) FROM db.people_t
UNION ALL SELECT 'people_c', count(valid_to) FROM db.people_c
UNION ALL SELECT 'held', max(n) FROM db.held",
        );
        files
    }
}

/// Sixty days of four events, and some people.
pub(crate) const RAW: &str = "CREATE SCHEMA raw;
CREATE TABLE raw.events AS
  SELECT (i % 4)::INT AS id, (i * 7 % 13)::INT AS v, DATE '2024-01-01' + floor(i / 4.0)::INT AS day
  FROM generate_series(0, 239) AS r(i);
CREATE TABLE raw.people (id INT, name TEXT, upd TIMESTAMP);
INSERT INTO raw.people VALUES (1, 'ada', '2024-01-01'), (2, 'bob', '2024-01-02'), (3, 'eve', '2024-01-02');";

/// What must differ in each row of a model's table, for models that would show a batch that was written twice.
pub(crate) const UNIQUE: [(&str, &str); 8] = [
    ("daily", "(id, day)"),
    ("running", "day"),
    ("latest", "id"),
    ("summed", "id"),
    ("parts", "(id, day)"),
    ("added", "(id, day)"),
    ("people_t", "(id, valid_from)"),
    ("people_c", "(id, valid_from)"),
];

/// Models that have rows of each day that counts as filled.
pub(crate) const OF_DAYS: [&str; 4] = ["daily", "running", "parts", "added"];

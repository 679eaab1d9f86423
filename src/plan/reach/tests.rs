//! Which queries stay in their interval, where all that they may read changed for some days but `db.dim` and `raw.x`.

use std::sync::Arc;

use super::*;
use crate::model::topological;
use crate::project::FileTree;
use crate::project::LoadOptions;
use crate::project::load;

const FILTER: &str = "ds BETWEEN @start_ds AND @end_ds";

/// `(back, ahead)` of a query that fills days.
fn reach(query: &str) -> (bool, bool) {
    let reach = reach_of(query, "@daily");
    (reach.back, reach.ahead)
}

fn reach_of(query: &str, cron: &str) -> Reach {
    let sliced = "kind INCREMENTAL_BY_TIME_RANGE (time_column ds)";
    let filter = "WHERE ds BETWEEN @start_ds AND @end_ds";
    let models = [
        ("t", sliced, format!("SELECT ds, id, x FROM raw.t {filter}")),
        ("u", sliced, format!("SELECT ds, id, y FROM raw.u {filter}")),
        (
            "e",
            "kind INCREMENTAL_BY_TIME_RANGE (time_column ts)",
            "SELECT ts, id, z FROM raw.e WHERE ts BETWEEN @start_ts AND @end_ts".to_owned(),
        ),
        ("shown", "kind VIEW", "SELECT * FROM db.t".to_owned()),
        (
            "inlined",
            "kind EMBEDDED",
            "SELECT id, ds AS day, x FROM db.shown".to_owned(),
        ),
        (
            "shifted",
            "kind VIEW",
            "SELECT ds + 1 AS ds, id, x FROM db.t".to_owned(),
        ),
        (
            "best",
            "kind VIEW",
            "SELECT id, max(x) AS x FROM db.t GROUP BY id".to_owned(),
        ),
        (
            "whole",
            "kind FULL",
            "SELECT id, ds, x FROM db.t".to_owned(),
        ),
        (
            "dim",
            "kind FULL",
            "SELECT id, name, ds AS since FROM raw.x".to_owned(),
        ),
    ];
    let mut files = FileTree::default();
    let config = "model_defaults: {dialect: duckdb, start: 2024-01-01}";
    files.insert("config.yaml", Arc::from(config));
    for (name, kind, query) in models {
        let text = format!("MODEL (name db.{name}, {kind});\n{query}");
        files.insert(format!("models/{name}.sql"), Arc::from(text));
    }
    let head = format!("MODEL (name db.m, cron '{cron}', {sliced});");
    files.insert("models/m.sql", Arc::from(format!("{head}\n{query}")));
    let external = ["t", "u", "e", "x"].map(|name| format!("- name: raw.{name}\n"));
    files.insert("external_models.yaml", Arc::from(external.concat()));
    let (project, diagnostics) = load(&files, &LoadOptions::default());
    let columns: ColumnsOf<'_> = &|name| {
        let schema = project.readings.get(name)?.schema.as_ref()?;
        Some(schema.names().map(str::to_owned).collect())
    };
    let mut changed = Changed::default();
    let still = ["db.dim", "db.m", "raw.x"];
    for name in topological(&project.models) {
        if !still.contains(&name.to_string().as_str()) {
            changed.add(&project.models[&name], columns);
        }
    }
    let model = project.models.get(&"db.m".parse().unwrap());
    let model = model.unwrap_or_else(|| panic!("{query}: {diagnostics:?}"));
    assert!(
        parse(model).is_some_and(|query| query.opaque_reason().is_none()),
        "{query}"
    );
    changed.reach(model, columns)
}

fn check(expected: (bool, bool), queries: &[&str]) {
    for query in queries {
        let query = query.replace("{f}", FILTER);
        assert_eq!(reach(&query), expected, "{query}");
    }
}

const NEAR: (bool, bool) = (false, false);
const FAR: (bool, bool) = (true, true);

#[test]
fn a_plain_interval_is_all_that_a_batch_reads() {
    for filter in [
        "ds BETWEEN @start_ds AND @end_ds",
        "t.ds BETWEEN @start_date AND @end_date AND x > 1",
        "(t.ds >= @start_dt AND t.ds < @end_dt) OR (ds >= @start_ds AND ds <= @end_ds)",
        "CAST(t.ds AS DATE) BETWEEN CAST(@start_ds AS DATE) AND CAST(@end_ds AS DATE)",
        "ds::DATE BETWEEN @start_ds::DATE AND @end_ds::DATE",
        "ds BETWEEN DATE @start_ds AND DATE @end_ds",
        "@start_ds <= ds AND @end_ds >= ds",
        "ds = @end_ds",
        "ds IN (@start_ds, @end_ds)",
        "date_trunc('day', ds) BETWEEN @start_ds AND @'@{end_ds} 23:59:59'",
    ] {
        let found = reach(&format!(
            "SELECT 1 AS ds, sum(x) AS s FROM db.t WHERE {filter}"
        ));
        assert_eq!(found, NEAR, "{filter}");
    }
}

#[test]
fn what_is_computed_from_its_ends_may_be_anywhere_on_that_side() {
    for (filter, expected) in [
        ("ds BETWEEN @start_date - 6 AND @end_date", (true, false)),
        (
            "ds BETWEEN @start_date AND @end_date + INTERVAL 1 DAY",
            (false, true),
        ),
        (
            "ds >= date_trunc('month', @start_date) AND ds <= @end_date",
            (true, false),
        ),
        ("ds + 6 >= @start_date AND ds <= @end_date", (true, false)),
        (
            "ds BETWEEN CAST(@start_ds AS DATE) - 6 AND @end_date",
            (true, false),
        ),
        (
            "date_trunc('month', ds) = @start_date AND ds <= @end_date",
            (true, false),
        ),
        ("ds <= @execution_ds AND ds >= @start_ds", (false, true)),
        ("hour(ds) >= @start_hour AND ds <= @end_ds", (true, false)),
        ("ds <= @end_ds OR ds >= @start_ds", FAR),
        ("NOT ds BETWEEN @start_ds AND @end_ds", FAR),
        ("ds NOT BETWEEN @start_ds AND @end_ds", FAR),
        ("ds <> @start_ds", FAR),
        ("x BETWEEN @start_ds AND @end_ds", FAR),
        ("CAST(ds AS TIME) BETWEEN @start_ds AND @end_ds", FAR),
        ("CAST(ds AS VARCHAR(4)) = @start_ds", FAR),
    ] {
        let found = reach(&format!(
            "SELECT 1 AS ds, sum(x) AS s FROM db.t WHERE {filter}"
        ));
        assert_eq!(found, expected, "{filter}");
    }
}

#[test]
fn of_what_a_query_gives_only_the_rows_of_the_interval_are_written() {
    check(
        NEAR,
        &[
            "SELECT ds, x FROM db.t",
            "SELECT ds, sum(x) AS s FROM db.t GROUP BY ds",
            "SELECT ds, sum(x) OVER (PARTITION BY ds ORDER BY x) AS s FROM db.t WHERE ds <= @end_ds",
        ],
    );
    check(
        FAR,
        &[
            "SELECT ds + 1 AS ds, x FROM db.t",
            "SELECT ds, sum(x) OVER (ORDER BY ds) AS s FROM db.t",
        ],
    );
    check(
        (true, false),
        &["SELECT ds, sum(x) OVER (ORDER BY ds) AS s FROM db.t WHERE ds <= @end_ds"],
    );
    check(
        (false, true),
        &["SELECT ds, sum(x) OVER (ORDER BY ds) AS s FROM db.t WHERE ds >= @start_ds"],
    );
}

#[test]
fn what_is_made_of_rows_before_they_are_filtered_may_be_made_of_any() {
    check(
        FAR,
        &[
            "WITH r AS (SELECT ds, sum(x) OVER (ORDER BY ds) AS s FROM db.t) SELECT ds, s FROM r WHERE {f}",
            "SELECT ds, s FROM (SELECT ds, sum(x) OVER (ORDER BY ds) AS s FROM db.t) AS r WHERE {f}",
            "SELECT ds, id FROM (SELECT id, min(ds) AS ds FROM db.t GROUP BY id) AS f WHERE {f}",
            "SELECT ds FROM (SELECT ds + 1 AS ds FROM db.t) AS f WHERE {f}",
            "SELECT ds FROM (SELECT ds FROM db.t ORDER BY x LIMIT 10) AS f WHERE {f}",
            "SELECT ds FROM (SELECT DISTINCT ON (id) id, ds FROM db.t) AS f WHERE {f}",
            "SELECT ds, x FROM db.t WHERE {f} UNION ALL SELECT ds, sum(x) OVER (ORDER BY ds) FROM db.t",
            "WITH src AS (SELECT ds, x FROM db.t WHERE {f}) SELECT ds, sum(x) OVER () AS s FROM db.t",
            "SELECT ds, x FROM db.t QUALIFY lag(x) OVER (ORDER BY ds) = 1 AND {f}",
            "SELECT ds, x - (SELECT avg(x) FROM db.t) AS x FROM db.t AS o WHERE {f}",
            "SELECT ds, my_own(x) AS x FROM (SELECT max(ds) AS ds, my_own(x) AS x FROM db.t) AS f WHERE {f}",
        ],
    );
}

#[test]
fn what_is_made_of_filtered_rows_stays_in_its_interval() {
    check(
        NEAR,
        &[
            "SELECT ds, sum(x) OVER (ORDER BY ds) AS s FROM db.t WHERE {f}",
            "WITH src AS (SELECT * FROM db.t WHERE {f}) SELECT ds, sum(x) OVER (ORDER BY ds) AS s FROM src",
            "WITH src AS (SELECT ds, x FROM db.t WHERE {f}), w AS (SELECT ds, sum(x) OVER (ORDER BY ds) AS s FROM src), \
             v AS (SELECT ds, sum(s) OVER (ORDER BY ds) AS s FROM w) SELECT ds FROM v",
            "WITH src AS (SELECT * FROM db.t) SELECT ds, sum(x) OVER (ORDER BY ds) AS s FROM src WHERE {f}",
            "WITH src AS (SELECT t.ds, x AS x FROM db.t AS t) SELECT 1 AS ds, sum(x) AS s FROM src WHERE {f}",
            "WITH src(day, a) AS (SELECT ds, x FROM db.t) SELECT 1 AS ds FROM src WHERE day = @start_ds",
            "SELECT 1 AS ds, sum(x) OVER () AS s FROM (SELECT * FROM db.t WHERE {f}) AS src",
            "SELECT 1 AS ds FROM (SELECT ds, sum(x) AS x FROM db.t GROUP BY ALL) AS src WHERE {f}",
            "SELECT 1 AS ds FROM (SELECT ds AS day, sum(x) AS x FROM db.t GROUP BY 1) AS src WHERE day = @start_ds",
            "SELECT 1 AS ds, x FROM db.t WHERE {f} QUALIFY row_number() OVER (PARTITION BY id) = 1",
            "SELECT 1 AS ds, x FROM db.t QUALIFY row_number() OVER (PARTITION BY t.ds ORDER BY x) = 1 AND t.{f}",
            "SELECT 1 AS ds, x FROM (SELECT ds, x FROM db.t UNION ALL SELECT ds, y FROM db.u) AS a WHERE {f}",
            "SELECT 1 AS ds, sum(x) AS x FROM db.t GROUP BY t.ds HAVING t.{f}",
            "SELECT 1 AS ds, upper(x) AS x FROM (SELECT coalesce(x, 0) AS x, ds FROM db.t) AS s WHERE {f}",
        ],
    );
}

#[test]
fn rows_of_other_days_that_are_joined_are_read() {
    check(
        FAR,
        &[
            "SELECT a.ds, a.x - b.x AS d FROM db.t AS a JOIN db.t AS b ON b.ds = a.ds - 1 WHERE a.ds BETWEEN @start_ds AND @end_ds",
            "SELECT a.ds, sum(b.y) AS s FROM db.t AS a JOIN db.u AS b ON b.id = a.id WHERE a.{f} GROUP BY a.ds",
            "SELECT a.ds, b.y FROM db.t AS a, db.u AS b WHERE a.id = b.id AND a.{f}",
            "SELECT a.ds, b.y FROM db.t AS a LEFT JOIN db.u AS b USING (id) WHERE a.{f}",
            "SELECT a.ds, b.y FROM db.t AS a NATURAL JOIN (SELECT id, y FROM db.u) AS b WHERE a.{f}",
            "SELECT a.ds, b.x FROM db.t AS a JOIN db.best AS b ON b.id = a.id WHERE a.{f}",
            "SELECT a.ds, b.x FROM db.t AS a JOIN db.shifted AS b ON b.ds = a.ds WHERE a.{f}",
            "SELECT a.ds, b.x FROM db.t AS a JOIN db.whole AS b ON b.ds = a.ds WHERE a.{f}",
            "SELECT a.ds, b.x FROM db.t AS a JOIN db.inlined AS b ON b.id = a.id WHERE a.{f}",
            "SELECT ds, (SELECT max(y) FROM db.u AS b WHERE b.id = a.id) AS m FROM db.t AS a WHERE {f}",
            "SELECT ds FROM db.t AS a WHERE {f} AND EXISTS (SELECT 1 FROM db.u AS b WHERE b.id = a.id)",
            "SELECT ds FROM db.t AS a WHERE {f} AND id IN (SELECT id FROM db.u)",
            "SELECT ds FROM db.t AS a WHERE {f} AND id NOT IN (SELECT id FROM db.u)",
            "SELECT ds FROM db.t AS a WHERE {f} AND NOT EXISTS (FROM db.u AS b WHERE b.id = a.id)",
            "SELECT a.ds FROM db.t AS a, LATERAL (SELECT max(y) AS y FROM db.u AS b WHERE b.id = a.id) AS l WHERE a.{f}",
            "SELECT 1 AS ds FROM db.t AS a LEFT JOIN db.u AS b ON a.id = b.id AND a.ds = b.ds AND a.{f}",
            "WITH h AS (SELECT id, count(*) AS n FROM db.u GROUP BY id) SELECT a.ds, n FROM db.t AS a JOIN h USING (id) WHERE a.{f}",
            "SELECT ds, id FROM db.t WHERE {f} EXCEPT SELECT ds + 1, id FROM db.t",
            "SELECT a.ds FROM db.t AS a POSITIONAL JOIN db.u AS b WHERE a.{f} AND b.{f}",
            "SELECT ds FROM db.t WHERE {f} AND x > ANY (SELECT y FROM db.u)",
            "SELECT ds, ARRAY(SELECT y FROM db.u) AS ys FROM db.t WHERE {f}",
            "SELECT a.ds FROM db.t AS a SEMI JOIN db.u AS b ON a.id = b.id WHERE a.{f}",
            "SELECT a.ds FROM db.t AS a ANTI JOIN db.u AS b ON a.id = b.id WHERE a.{f}",
            "SELECT a.ds FROM db.t AS a CROSS JOIN (PIVOT (SELECT id, y FROM db.u) ON id IN (1, 2) USING sum(y)) AS p WHERE a.{f}",
            "WITH RECURSIVE r AS (SELECT ds, id FROM db.t UNION ALL SELECT ds + 1, id FROM r WHERE ds < '2024-01-05') SELECT ds FROM r WHERE {f}",
        ],
    );
}

#[test]
fn only_one_side_is_read_where_a_comparison_says_so() {
    check(
        (true, false),
        &[
            "SELECT a.ds, b.y FROM db.t AS a JOIN db.u AS b ON b.ds < a.ds AND b.id = a.id WHERE a.{f}",
            "SELECT a.ds, b.y FROM db.t AS a LEFT JOIN db.u AS b ON b.ds BETWEEN a.ds - 7 AND a.ds AND b.id = a.id WHERE a.{f}",
            "SELECT ds, (SELECT max(y) FROM db.u AS b WHERE b.id = a.id AND b.ds <= a.ds) AS m FROM db.t AS a WHERE {f}",
            "SELECT a.ds FROM db.t AS a ASOF JOIN db.u AS b ON a.id = b.id AND a.ds >= b.ds WHERE a.{f}",
        ],
    );
    check(
        (false, true),
        &[
            "SELECT a.ds, b.y FROM db.t AS a JOIN db.u AS b ON b.ds > a.ds AND b.id = a.id WHERE a.{f}",
        ],
    );
}

#[test]
fn rows_that_are_joined_by_their_day_are_those_of_the_interval() {
    check(
        NEAR,
        &[
            "SELECT 1 AS ds, b.y FROM db.t AS a JOIN db.u AS b ON a.id = b.id AND a.ds = b.ds WHERE a.{f}",
            "SELECT 1 AS ds, b.y FROM db.t AS a JOIN db.u AS b ON a.id = b.id AND a.ds = b.ds WHERE b.{f}",
            "SELECT 1 AS ds, y FROM db.t JOIN db.u USING (ds, id) WHERE {f}",
            "SELECT 1 AS ds, y FROM db.t LEFT JOIN db.u USING (ds, id) WHERE {f}",
            "SELECT 1 AS ds, y FROM db.t RIGHT JOIN db.u USING (ds, id) WHERE {f}",
            "SELECT 1 AS ds, y FROM db.t FULL JOIN db.u USING (ds, id) WHERE {f}",
            "SELECT 1 AS ds, y FROM db.t NATURAL JOIN db.u WHERE t.{f}",
            "SELECT 1 AS ds, y FROM db.t AS a, db.u AS b WHERE a.ds = b.ds AND a.{f}",
            "SELECT 1 AS ds FROM db.t AS a LEFT JOIN db.u AS b ON a.ds = b.ds LEFT JOIN db.t AS c ON c.ds = b.ds WHERE a.{f}",
            "SELECT 1 AS ds, b.z FROM db.t AS a JOIN db.e AS b ON CAST(b.ts AS DATE) = a.ds WHERE a.{f}",
            "SELECT 1 AS ds, b.x FROM db.t AS a JOIN db.shown AS b ON b.ds = a.ds WHERE a.{f}",
            "SELECT 1 AS ds, b.x FROM db.t AS a JOIN db.inlined AS b ON b.day = a.ds WHERE a.{f}",
            "SELECT 1 AS ds FROM db.t AS a WHERE {f} AND EXISTS (SELECT 1 FROM db.u AS b WHERE b.id = a.id AND b.ds = a.ds)",
            "SELECT 1 AS ds FROM db.t AS a WHERE {f} AND NOT EXISTS (SELECT 1 FROM db.u AS b WHERE b.id = a.id AND b.ds = a.ds)",
            "SELECT 1 AS ds, (SELECT max(y) FROM db.u AS b WHERE b.ds = a.ds) AS m FROM db.t AS a WHERE {f}",
            "SELECT 1 AS ds FROM db.t AS a WHERE {f} AND (id, ds) IN (SELECT id, ds FROM db.u)",
            "SELECT 1 AS ds FROM db.t AS a WHERE {f} AND id IN (SELECT id FROM db.u WHERE {f})",
            "SELECT 1 AS ds FROM db.t AS a WHERE {f} AND id NOT IN (SELECT id FROM db.u WHERE ds = a.ds)",
            "SELECT 1 AS ds FROM db.t AS a, LATERAL (SELECT max(y) AS y FROM db.u AS b WHERE b.ds = a.ds) AS l WHERE a.{f}",
            "SELECT 1 AS ds FROM db.t AS a SEMI JOIN db.u AS b ON a.id = b.id AND a.ds = b.ds WHERE a.{f}",
            "SELECT 1 AS ds FROM db.t AS a ANTI JOIN db.u AS b ON a.id = b.id AND a.ds = b.ds WHERE a.{f}",
            "SELECT 1 AS ds FROM db.t AS a ASOF JOIN db.u AS b ON a.ds = b.ds AND a.x >= b.y WHERE a.{f}",
        ],
    );
}

#[test]
fn ordinary_queries_stay_in_their_interval() {
    check(
        NEAR,
        &[
            // Each CTE has its own filter, and they are joined in any way.
            "WITH a AS (SELECT * FROM db.t WHERE {f}), b AS (SELECT * FROM db.u WHERE {f}) SELECT a.ds, b.y FROM a JOIN b ON a.id = b.id",
            "WITH ot AS (SELECT u.id AS oid, u.ds, sum(y) AS total FROM db.u AS u WHERE u.{f} GROUP BY u.id, u.ds) \
             SELECT o.ds, ot.total FROM db.t AS o LEFT JOIN ot ON o.id = ot.oid AND o.ds = ot.ds WHERE o.{f}",
            "SELECT t.ds, d.name FROM db.t LEFT JOIN db.dim AS d ON d.id = t.id WHERE t.{f}",
            "SELECT ds, name FROM db.t JOIN db.dim USING (id) WHERE {f}",
            "SELECT ds, name FROM db.t JOIN db.dim AS d ON d.id = t.id AND d.since <= t.ds WHERE {f}",
            "SELECT a.ds FROM raw.x AS a LEFT JOIN db.dim AS d ON d.id = a.id WHERE a.{f}",
            "SELECT ds, x FROM db.t WHERE {f} AND id IN (SELECT id FROM db.dim)",
            "SELECT ds, x, @end_ds AS as_of, @execution_ds AS made FROM db.t WHERE {f}",
            "SELECT 1 AS ds FROM db.dim AS d JOIN db.t ON t.ds = d.since WHERE d.since BETWEEN @start_ds AND @end_ds",
            "WITH days AS (SELECT since FROM db.dim WHERE since = @start_ds) SELECT 1 AS ds FROM days JOIN db.t ON t.ds = days.since",
            "SELECT 1 AS ds FROM db.t WHERE {f} UNION ALL SELECT 2 FROM db.u WHERE {f}",
            "SELECT date_trunc('day', ts) AS ds, sum(z) AS z FROM db.e WHERE ts BETWEEN @start_dt AND @end_dt GROUP BY 1",
            // An external table says nothing of its columns: the one that is compared with the interval says when.
            "SELECT 1 AS ds, v FROM raw.t WHERE created_at BETWEEN @start_ds AND @end_ds",
            "SELECT 1 AS ds, v FROM (SELECT * FROM raw.t) AS s WHERE created_at BETWEEN @start_ds AND @end_ds",
        ],
    );
}

#[test]
fn a_name_that_may_be_another_one_ties_nothing() {
    check(
        FAR,
        &[
            // The dimension may have a `ds` as well, and what has no known columns may have any.
            "SELECT 1 AS ds FROM db.t AS a WHERE a.{f} AND EXISTS (SELECT 1 FROM db.u AS b, raw.x WHERE day = a.ds AND b.id = 1)",
            "SELECT 1 AS ds FROM db.t AS a JOIN db.u AS b ON b.id = a.id WHERE a.{f} AND EXISTS (SELECT 1 FROM raw.x AS c WHERE ds = b.ds)",
            "SELECT 1 AS ds FROM (SELECT * FROM raw.x, db.t) AS s WHERE {f}",
            "SELECT 1 AS ds FROM (SELECT a.ds, b.ds FROM db.t AS a, db.u AS b) AS s WHERE {f}",
            // `ds` of the dimension, not of the parent.
            "SELECT 1 AS ds FROM db.t AS a, (SELECT since AS ds FROM db.dim) AS d WHERE d.{f}",
            "SELECT 1 AS ds FROM (SELECT * REPLACE (ds + 1 AS ds) FROM db.t) AS s WHERE {f}",
            "SELECT 1 AS ds FROM (SELECT * EXCLUDE (ds), id AS ds FROM db.t) AS s WHERE {f}",
            "SELECT 1 AS ds FROM (SELECT ds AS id, id AS ds FROM db.t) AS s WHERE {f}",
        ],
    );
}

#[test]
fn what_comes_out_of_an_outer_join_by_itself_is_tied_by_itself() {
    check(
        FAR,
        &[
            "SELECT 1 AS ds FROM db.t AS a LEFT JOIN db.u AS b ON a.ds = b.ds AND b.{f}",
            "SELECT 1 AS ds FROM db.t AS a LEFT JOIN (SELECT * FROM db.u WHERE {f}) AS b ON a.ds = b.ds",
            "SELECT 1 AS ds FROM db.t AS a FULL JOIN db.u AS b ON a.ds = b.ds AND a.{f} AND b.{f}",
            "SELECT 1 AS ds FROM (SELECT * FROM db.t WHERE {f}) AS a FULL JOIN db.u AS b ON a.ds = b.ds",
            "SELECT 1 AS ds FROM db.t AS a JOIN db.u AS b ON a.{f} AND a.ds = b.ds RIGHT JOIN db.t AS c ON c.id = a.id",
            "SELECT 1 AS ds FROM db.t AS a LEFT JOIN db.u AS b ON a.id = b.id WHERE b.{f} OR b.ds IS NULL",
            "SELECT 1 AS ds, sum(x) AS s FROM (SELECT b.ds, a.x FROM db.t AS a LEFT JOIN (SELECT * FROM db.u WHERE {f}) AS b ON a.ds = b.ds) AS j",
        ],
    );
    check(
        NEAR,
        &[
            "SELECT 1 AS ds FROM db.t AS a LEFT JOIN db.u AS b ON a.ds = b.ds WHERE b.{f}",
            "SELECT 1 AS ds FROM (SELECT * FROM db.t WHERE {f}) AS a LEFT JOIN db.u AS b ON a.ds = b.ds",
            "SELECT 1 AS ds FROM (SELECT * FROM db.t WHERE {f}) AS a RIGHT JOIN db.u AS b ON a.ds = b.ds WHERE b.{f}",
            "SELECT 1 AS ds FROM db.t AS a LEFT JOIN db.u AS b ON a.id = b.id AND b.{f} WHERE a.{f}",
            "SELECT 1 AS ds FROM db.t AS a FULL JOIN db.u AS b ON a.ds = b.ds WHERE a.{f}",
        ],
    );
}

#[test]
fn an_hour_that_is_named_by_its_day_is_the_whole_day() {
    let query = |filter: &str| format!("SELECT ts AS ds, z FROM db.e WHERE {filter}");
    let by_time = reach_of(&query("ts BETWEEN @start_ts AND @end_ts"), "@hourly");
    let by_day = reach_of(&query("ts BETWEEN @start_ds AND @end_ds"), "@hourly");
    let cast = reach_of(
        &query("CAST(ts AS DATE) = CAST(@start_ts AS DATE)"),
        "@hourly",
    );
    assert!(!by_time.is_far() && !by_day.is_far() && !cast.is_far());
    assert_eq!((by_time.day, by_day.day, cast.day), (false, true, true));
}

#[test]
fn a_time_that_is_rounded_may_be_of_the_day_before() {
    let query = |data_type: &str| {
        format!(
            "SELECT ts::{data_type}::DATE AS ds, z FROM db.e WHERE ts::{data_type} BETWEEN @start_ts AND @end_ts"
        )
    };
    for rounded in ["TIMESTAMP(0)", "TIMESTAMP_S", "TIMESTAMP_MS"] {
        check((true, true), &[&query(rounded)]);
    }
    check((false, false), &[&query("TIMESTAMP")]);
}

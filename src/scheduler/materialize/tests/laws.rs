//! What holds for batches of any kind, whatever the data: in one or in many, once or twice, the rows are the same.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;
use proptest::prelude::*;
use serde_json::json;

use crate::diagnostic::Diagnostic;
use crate::engine::ConnectionConfig;
use crate::engine::DuckDbConfig;
use crate::engine::DuckDbDatabase;
use crate::engine::EngineAdapter;
use crate::engine::connect;
use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::project::FileTree;
use crate::project::LoadOptions;
use crate::project::load;
use crate::scheduler::Scope;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::write;
use crate::snapshot::ChangeCategory;
use crate::snapshot::Interval;
use crate::snapshot::Snapshot;
use crate::snapshot::Surface;
use crate::sql::TableName;

const DAYS: u32 = 6;
/// Of each key the last row of the batch.
const LATEST: &str = "SELECT id, v, day FROM raw.events WHERE day BETWEEN @start_ds AND @end_ds
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY day DESC) = 1";
const ALL: &str = "SELECT id, v, day FROM raw.events WHERE day BETWEEN @start_ds AND @end_ds";

fn day(day: u32) -> DateTime<Utc> {
    let first: DateTime<Utc> = "2024-01-01T00:00:00Z".parse().unwrap();
    first + TimeDelta::days(i64::from(day))
}

/// One row: a key or NULL, a value or NULL, a day. No two have the same key and day.
type Event = (Option<u8>, Option<u8>, u32);

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (
        proptest::option::weighted(0.8, 0u8..3),
        proptest::option::weighted(0.8, 0u8..3),
        0..DAYS,
    );
    proptest::collection::vec(event, 0..14).prop_map(|events| {
        let by_key: BTreeMap<_, _> = events
            .into_iter()
            .map(|(id, v, day)| ((id, day), v))
            .collect();
        by_key
            .into_iter()
            .map(|((id, day), v)| (id, v, day))
            .collect()
    })
}

/// The days cut into batches, in order.
fn cuts() -> impl Strategy<Value = Vec<Interval>> {
    proptest::collection::vec(any::<bool>(), DAYS as usize - 1).prop_map(|cuts| {
        let mut batches = Vec::new();
        let mut start = 0;
        for at in 1..=DAYS {
            if at == DAYS || cuts[at as usize - 1] {
                batches.push(Interval::new(day(start), day(at)).unwrap());
                start = at;
            }
        }
        batches
    })
}

/// A warehouse with the events.
struct Bench {
    engine: Arc<dyn EngineAdapter>,
}

/// The only snapshot there is: of a model of this kind, with this query.
fn snapshots(kind: &str, query: &str) -> BTreeMap<ModelName, Snapshot> {
    let mut files = FileTree::default();
    let config = "model_defaults: {dialect: duckdb, start: 2024-01-01}";
    files.insert("config.yaml", Arc::from(config));
    let text = format!("MODEL (name db.m, kind {kind});\n{query}");
    files.insert("models/m.sql", Arc::from(text));
    let (project, diagnostics) = load(&files, &LoadOptions::default());
    let is_error = |diagnostic: &Diagnostic| diagnostic.is_error();
    assert!(!diagnostics.iter().any(is_error), "{diagnostics:?}");
    let name: ModelName = "db.m".parse().unwrap();
    let hash = json!({"data": "", "metadata": "", "parent_data": "", "parent_metadata": ""});
    let snapshot = json!({
        "id": {"name": "db.m", "identifier": "i"},
        "fingerprint": hash,
        "version": "v",
        "category": ChangeCategory::Breaking,
        "model": *project.models[&name],
        "parents": [],
        "columns": null,
        "surface": Surface::unknown("db.m", "i"),
        "choice": null,
        "created_at": day(0),
    });
    BTreeMap::from([(name, serde_json::from_value(snapshot).unwrap())])
}

impl Bench {
    async fn new(events: &[Event]) -> Self {
        let config = DuckDbConfig {
            threads: NonZeroUsize::new(1),
            ..DuckDbConfig::new(DuckDbDatabase::Memory)
        };
        let engine = connect(&ConnectionConfig::DuckDb(config)).await.unwrap();
        for sql in [
            "CREATE SCHEMA raw",
            "CREATE SCHEMA db",
            "CREATE TABLE raw.events (id INT, v INT, day DATE)",
        ] {
            engine.execute(sql).await.unwrap();
        }
        let null = |value: Option<u8>| value.map_or("NULL".to_owned(), |value| value.to_string());
        for (id, v, at) in events {
            let at = day(*at).format("%Y-%m-%d");
            let sql = format!(
                "INSERT INTO raw.events VALUES ({}, {}, '{at}')",
                null(*id),
                null(*v)
            );
            engine.execute(&sql).await.unwrap();
        }
        Self { engine }
    }

    /// The rows of a table of its own after these batches, and the last of them `again` times more.
    async fn rows(
        &self,
        (kind, query): (&str, &str),
        batches: &[Interval],
        again: usize,
    ) -> Vec<String> {
        let snapshots = snapshots(kind, query);
        let tables = self.query("SELECT count(*) FROM duckdb_tables()").await;
        let table = TableName::new("db", format!("m{tables:?}"));
        let snapshot = snapshots.values().next().unwrap();
        let entry = PromotedSnapshot {
            id: snapshot.id.clone(),
            version: snapshot.version.clone(),
            table: Some(table.clone()),
            view: true,
        };
        let entries = BTreeMap::from([(snapshot.id.name.clone(), entry)]);
        let scope = Scope {
            snapshots: &snapshots,
            entries: &entries,
            execution_time: day(DAYS),
        };
        let last = batches.last().into_iter().cycle().take(again);
        for (index, range) in batches.iter().chain(last).enumerate() {
            let batch = Batch {
                engine: self.engine.as_ref(),
                scope: &scope,
                model: &snapshot.model,
                table: &table,
                range: *range,
                first: index == 0,
                marker: None,
                held: None,
            };
            write(&batch).await.unwrap();
        }
        self.query(&format!("SELECT * FROM {table}")).await
    }

    /// The rows of a query, sorted.
    async fn query(&self, sql: &str) -> Vec<String> {
        let sql = format!("SELECT CAST(t AS VARCHAR) AS row FROM ({sql}) AS t ORDER BY 1");
        let rows = self.engine.query(&sql).await.unwrap();
        rows.strings("row").unwrap().into_iter().flatten().collect()
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

fn whole() -> Vec<Interval> {
    vec![Interval::new(day(0), day(DAYS)).unwrap()]
}

const BY_KEY: &str = "INCREMENTAL_BY_UNIQUE_KEY (unique_key id)";
const BY_TIME: &str = "INCREMENTAL_BY_TIME_RANGE (time_column day)";
const BY_DAY: &str = "INCREMENTAL_BY_PARTITION, partitioned_by day";
const ADDED: &str = "INCREMENTAL_UNMANAGED";
const HISTORY_BY_TIME: &str =
    "SCD_TYPE_2_BY_TIME (unique_key id, updated_at_name day, time_data_type DATE)";
const HISTORY_BY_COLUMN: &str = "SCD_TYPE_2_BY_COLUMN (unique_key id, columns [v], updated_at_name day, \
    execution_time_as_valid_from true, time_data_type DATE)";

/// What a history of the events is, told in another way: each row that differs from the one before it begins a version.
fn history(counts: &str, first: &str) -> String {
    format!(
        "SELECT id, v, day, CASE WHEN before THEN day ELSE {first} END AS valid_from,
             lead(day) OVER (PARTITION BY id ORDER BY day) AS valid_to
         FROM (SELECT *, row_number() OVER w > 1 AS before FROM (
             SELECT *, {counts} AS counts FROM raw.events WINDOW w AS (PARTITION BY id ORDER BY day)
         ) WHERE counts WINDOW w AS (PARTITION BY id ORDER BY day))"
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn one_batch_or_many_give_the_same_rows(events in events(), cuts in cuts()) {
        block_on(async {
            let bench = Bench::new(&events).await;
            for model in [
                (BY_KEY, LATEST),
                (BY_TIME, ALL),
                (BY_DAY, ALL),
                (ADDED, ALL),
                (HISTORY_BY_TIME, ALL),
                (HISTORY_BY_COLUMN, ALL),
            ] {
                let once = bench.rows(model, &whole(), 0).await;
                let often = bench.rows(model, &cuts, 0).await;
                prop_assert_eq!(once, often, "{:?}", model);
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_batch_that_runs_again_changes_nothing(events in events(), cuts in cuts()) {
        block_on(async {
            let bench = Bench::new(&events).await;
            for model in [
                (BY_KEY, LATEST),
                (BY_TIME, ALL),
                (BY_DAY, ALL),
                (HISTORY_BY_TIME, ALL),
                (HISTORY_BY_COLUMN, ALL),
            ] {
                let once = bench.rows(model, &cuts, 0).await;
                let again = bench.rows(model, &cuts, 2).await;
                prop_assert_eq!(once, again, "{:?}", model);
            }
            Ok(())
        })?;
    }

    #[test]
    fn slices_of_time_may_be_filled_in_any_order(
        events in events(),
        cuts in cuts().prop_flat_map(|cuts| Just(cuts).prop_shuffle()),
    ) {
        block_on(async {
            let bench = Bench::new(&events).await;
            let rows = bench.rows((BY_TIME, ALL), &cuts, 0).await;
            prop_assert_eq!(rows, bench.query("SELECT id, v, day FROM raw.events").await);
            Ok(())
        })?;
    }

    #[test]
    fn a_history_is_every_change_in_order_of_time(events in events(), cuts in cuts()) {
        block_on(async {
            let bench = Bench::new(&events).await;
            let changed = "row_number() OVER w = 1 OR v IS DISTINCT FROM lag(v) OVER w";
            for (kind, expected) in [
                (HISTORY_BY_TIME, history("TRUE", "DATE '1970-01-01'")),
                (HISTORY_BY_COLUMN, history(changed, "day")),
            ] {
                let rows = bench.rows((kind, ALL), &cuts, 0).await;
                prop_assert_eq!(rows, bench.query(&expected).await, "{}", kind);
            }
            Ok(())
        })?;
    }

    #[test]
    fn of_each_key_the_last_row_stays(events in events(), cuts in cuts()) {
        block_on(async {
            let bench = Bench::new(&events).await;
            let rows = bench.rows((BY_KEY, LATEST), &cuts, 0).await;
            let expected = "SELECT id, v, day FROM raw.events
                QUALIFY row_number() OVER (PARTITION BY id ORDER BY day DESC) = 1";
            prop_assert_eq!(rows, bench.query(expected).await);
            Ok(())
        })?;
    }
}

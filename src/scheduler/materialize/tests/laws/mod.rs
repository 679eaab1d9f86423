//! What holds for batches of any kind, whatever the data: in one or in many, once or twice, the rows are the same.

mod now;

use std::any::Any;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;
use proptest::prelude::*;
use serde_json::json;

use crate::cluster;
use crate::cluster::Database;
use crate::diagnostic::Diagnostic;
use crate::engine::ConnectionConfig;
use crate::engine::DuckDbConfig;
use crate::engine::DuckDbDatabase;
use crate::engine::EngineAdapter;
use crate::engine::PostgresConfig;
use crate::engine::connect;
use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::postgres::PostgresServer;
use crate::project::FileTree;
use crate::project::LoadOptions;
use crate::project::load;
use crate::scheduler::Scope;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::Known;
use crate::scheduler::materialize::write;
use crate::snapshot::ChangeCategory;
use crate::snapshot::Interval;
use crate::snapshot::Snapshot;
use crate::snapshot::Surface;
use crate::sql::Dialect;
use crate::sql::TableName;

const DAYS: u32 = 6;
/// Of each key the last row of the batch.
const LATEST: &str = "SELECT id, v, day FROM (
        SELECT *, row_number() OVER (PARTITION BY id ORDER BY day DESC) AS nth FROM raw.events
        WHERE day BETWEEN @start_ds AND @end_ds
    ) AS e WHERE nth = 1";
const ALL: &str = "SELECT id, v, day FROM raw.events WHERE day BETWEEN @start_ds AND @end_ds";
const EVER: &str = "SELECT id, v, day FROM raw.events";

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

/// The same in any order.
fn shuffled() -> impl Strategy<Value = Vec<Interval>> {
    cuts().prop_flat_map(|cuts| Just(cuts).prop_shuffle())
}

/// A warehouse with the events.
struct Bench {
    engine: Arc<dyn EngineAdapter>,
    tables: AtomicU32,
    _kept: Box<dyn Any + Send + Sync>,
}

/// The only snapshot there is: of a model of this kind, with this query.
fn snapshots(dialect: Dialect, kind: &str, query: &str) -> BTreeMap<ModelName, Snapshot> {
    let mut files = FileTree::default();
    let config = format!("model_defaults: {{dialect: {dialect}, start: 2024-01-01}}");
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
    async fn duckdb(events: &[Event]) -> Self {
        let config = DuckDbConfig {
            threads: NonZeroUsize::new(1),
            ..DuckDbConfig::new(DuckDbDatabase::Memory)
        };
        let engine = connect(&ConnectionConfig::DuckDb(config)).await.unwrap();
        Self::over(engine, Box::new(()), events).await
    }

    async fn postgres(events: &[Event]) -> Self {
        let database = Database::new().await;
        let server = PostgresServer::new(&database.host, cluster::USER, &database.name);
        let config = PostgresConfig {
            server,
            concurrency: NonZeroUsize::new(2).unwrap(),
            statement_timeout: None,
            sandboxed: false,
        };
        let config = ConnectionConfig::Postgres(Box::new(config));
        let engine = connect(&config).await.unwrap();
        Self::over(engine, Box::new(database), events).await
    }

    async fn over(
        engine: Arc<dyn EngineAdapter>,
        kept: Box<dyn Any + Send + Sync>,
        events: &[Event],
    ) -> Self {
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
        Self {
            engine,
            tables: AtomicU32::new(0),
            _kept: kept,
        }
    }

    /// The rows of a table of its own after these batches, and the last of them `again` times more.
    async fn rows(&self, model: (&str, &str), batches: &[Interval], again: usize) -> Vec<String> {
        let table = self.table(model);
        let last = batches.last().into_iter().cycle().take(again);
        for (index, range) in batches.iter().chain(last).enumerate() {
            table.write(*range, day(DAYS), index == 0).await;
        }
        self.query(&format!("SELECT * FROM {}", table.name)).await
    }

    /// A new table of a model of this kind with this query.
    fn table(&self, (kind, query): (&str, &str)) -> Filled<'_> {
        let number = self.tables.fetch_add(1, Ordering::Relaxed);
        Filled {
            engine: self.engine.as_ref(),
            snapshots: snapshots(self.engine.dialect(), kind, query),
            name: TableName::new("db", format!("m{number}")),
        }
    }

    /// The rows of a query, sorted.
    async fn query(&self, sql: &str) -> Vec<String> {
        let sql = format!("SELECT CAST(t AS VARCHAR) AS found FROM ({sql}) AS t ORDER BY 1");
        let rows = self.engine.query(&sql).await.unwrap();
        rows.strings("found")
            .unwrap()
            .into_iter()
            .flatten()
            .collect()
    }
}

/// A table that batches are written into.
struct Filled<'a> {
    engine: &'a dyn EngineAdapter,
    snapshots: BTreeMap<ModelName, Snapshot>,
    name: TableName,
}

impl Filled<'_> {
    async fn write(&self, range: Interval, execution_time: DateTime<Utc>, first: bool) {
        let snapshot = self.snapshots.values().next().unwrap();
        let entry = PromotedSnapshot {
            id: snapshot.id.clone(),
            version: snapshot.version.clone(),
            table: Some(self.name.clone()),
            view: true,
        };
        let entries = BTreeMap::from([(snapshot.id.name.clone(), entry)]);
        let scope = Scope {
            snapshots: &self.snapshots,
            entries: &entries,
            execution_time,
            elsewhere: None,
        };
        let batch = Batch {
            engine: self.engine,
            scope: &scope,
            model: &snapshot.model,
            table: &self.name,
            stand_in: None,
            known: &Known::default(),
            range,
            first,
            marker: None,
            held: None,
        };
        write(&batch).await.unwrap();
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
const OVERWRITTEN: &str = "INCREMENTAL_UNMANAGED (insert_overwrite true), partitioned_by day";
const FULL: &str = "FULL";
const HELD: &str = "VIEW (materialized true)";
const MATCHED: &str = "INCREMENTAL_BY_UNIQUE_KEY (unique_key id, when_matched (
    WHEN MATCHED AND source.day >= target.day THEN UPDATE SET v = source.v, day = source.day))";
const BOTH_KEYS: &str = "INCREMENTAL_BY_UNIQUE_KEY (unique_key (id, day))";
const HISTORY_BY_TIME: &str =
    "SCD_TYPE_2_BY_TIME (unique_key id, updated_at_name day, time_data_type DATE)";
const HISTORY_BY_COLUMN: &str = "SCD_TYPE_2_BY_COLUMN (unique_key id, columns [v], updated_at_name day, \
    execution_time_as_valid_from true, time_data_type DATE)";

/// Every kind that a batch can be written of, with a query that gives the same however the days are cut.
const KINDS: [(&str, &str); 11] = [
    (FULL, EVER),
    (HELD, EVER),
    (BY_KEY, LATEST),
    (BOTH_KEYS, ALL),
    (MATCHED, LATEST),
    (BY_TIME, ALL),
    (BY_DAY, ALL),
    (ADDED, ALL),
    (OVERWRITTEN, ALL),
    (HISTORY_BY_TIME, ALL),
    (HISTORY_BY_COLUMN, ALL),
];

/// What a history of the events is, told in another way: each row that differs from the one before it begins a version.
fn history(counts: &str, first: &str) -> String {
    format!(
        "SELECT id, v, day, CASE WHEN nth > 1 THEN day ELSE {first} END AS valid_from,
             lead(day) OVER (PARTITION BY id ORDER BY day) AS valid_to
         FROM (SELECT id, v, day, row_number() OVER (PARTITION BY id ORDER BY day) AS nth FROM (
             SELECT *, {counts} AS counts FROM raw.events WINDOW w AS (PARTITION BY id ORDER BY day)
         ) AS marked WHERE counts) AS numbered"
    )
}

/// What a law says of one warehouse and one way to cut its days.
type Told = Result<(), TestCaseError>;

async fn one_batch_or_many_give_the_same_rows(bench: &Bench, cuts: &[Interval]) -> Told {
    for model in KINDS {
        let once = bench.rows(model, &whole(), 0).await;
        let often = bench.rows(model, cuts, 0).await;
        prop_assert_eq!(once, often, "{:?}", model);
    }
    Ok(())
}

/// But for rows that are only added: of those a mark keeps a batch from running again.
async fn a_batch_that_runs_again_changes_nothing(bench: &Bench, cuts: &[Interval]) -> Told {
    let by_value = (
        "INCREMENTAL_BY_PARTITION, partitioned_by v",
        "SELECT id, v, day FROM raw.events WHERE day BETWEEN @start_ds AND @end_ds",
    );
    let kinds = KINDS.into_iter().filter(|(kind, _)| *kind != ADDED);
    for model in kinds.chain([by_value]) {
        let once = bench.rows(model, cuts, 0).await;
        let again = bench.rows(model, cuts, 2).await;
        prop_assert_eq!(once, again, "{:?}", model);
    }
    Ok(())
}

async fn slices_of_time_may_be_filled_in_any_order(bench: &Bench, shuffled: &[Interval]) -> Told {
    let expected = bench.query(EVER).await;
    for model in [
        (BY_TIME, ALL),
        (BY_DAY, ALL),
        (ADDED, ALL),
        (OVERWRITTEN, ALL),
        (BOTH_KEYS, ALL),
    ] {
        let rows = bench.rows(model, shuffled, 0).await;
        prop_assert_eq!(&rows, &expected, "{:?}", model);
    }
    let latest = bench.rows((MATCHED, LATEST), &whole(), 0).await;
    prop_assert_eq!(bench.rows((MATCHED, LATEST), shuffled, 0).await, latest);
    Ok(())
}

async fn a_history_is_every_change_in_order_of_time(bench: &Bench, cuts: &[Interval]) -> Told {
    let changed = "row_number() OVER w = 1 OR v IS DISTINCT FROM lag(v) OVER w";
    for (kind, expected) in [
        (HISTORY_BY_TIME, history("TRUE", "DATE '1970-01-01'")),
        (HISTORY_BY_COLUMN, history(changed, "day")),
    ] {
        let rows = bench.rows((kind, ALL), cuts, 0).await;
        prop_assert_eq!(rows, bench.query(&expected).await, "{}", kind);
    }
    Ok(())
}

async fn of_each_key_the_last_row_stays(bench: &Bench, cuts: &[Interval]) -> Told {
    let expected = LATEST.replace("WHERE day BETWEEN @start_ds AND @end_ds", "");
    let expected = bench.query(&expected).await;
    for kind in [BY_KEY, MATCHED] {
        let rows = bench.rows((kind, LATEST), cuts, 0).await;
        prop_assert_eq!(&rows, &expected, "{}", kind);
    }
    Ok(())
}

/// Each law on each engine; one where every case is a database on a server is told of fewer.
macro_rules! on_every_engine {
    ($($law:ident: $cuts:ident),+ $(,)?) => {
        mod duckdb {
            use super::*;
            proptest! {
                #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
                $(#[test]
                fn $law(events in events(), cuts in $cuts()) {
                    block_on(async { super::$law(&Bench::duckdb(&events).await, &cuts).await })?;
                })+
            }
        }
        mod postgres {
            use super::*;
            proptest! {
                #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]
                $(#[test]
                fn $law(events in events(), cuts in $cuts()) {
                    block_on(async { super::$law(&Bench::postgres(&events).await, &cuts).await })?;
                })+
            }
        }
    };
}

on_every_engine! {
    one_batch_or_many_give_the_same_rows: cuts,
    a_batch_that_runs_again_changes_nothing: cuts,
    slices_of_time_may_be_filled_in_any_order: shuffled,
    a_history_is_every_change_in_order_of_time: cuts,
    of_each_key_the_last_row_stays: cuts,
}

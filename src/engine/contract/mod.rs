//! What every adapter promises, told as stories on each engine: the same statements, the same rows.

mod objects;
mod rows;
mod stopping;
mod transactions;

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::cluster;
use crate::cluster::Database;
use crate::engine::ConnectionConfig;
use crate::engine::DuckDbConfig;
use crate::engine::DuckDbDatabase;
use crate::engine::EngineAdapter;
use crate::engine::EngineColumn;
use crate::engine::PostgresConfig;
use crate::engine::connect;
use crate::postgres::PostgresServer;
use crate::sql::TableName;

/// An engine with an empty database.
pub(super) struct World {
    pub(super) engine: Arc<dyn EngineAdapter>,
    /// The schema of names without one.
    schema: &'static str,
    /// A query that gives one number after a very long time.
    endless: &'static str,
    /// A table function: the numbers from 0, one row each.
    numbers: fn(u32) -> String,
    /// How this engine calls whole numbers of 64 bits, and text.
    big_and_text: [&'static str; 2],
    _kept: Box<dyn Any + Send>,
}

impl World {
    pub(super) async fn duckdb() -> Self {
        let config = DuckDbConfig::new(DuckDbDatabase::Memory);
        Self {
            engine: connect(&ConnectionConfig::DuckDb(config)).await.unwrap(),
            schema: "main",
            endless: "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range + b.range = 7",
            numbers: |count| format!("range({count}) AS numbers(i)"),
            big_and_text: ["BIGINT", "VARCHAR"],
            _kept: Box::new(()),
        }
    }

    /// PostgreSQL: of this release, or of whichever comes first.
    pub(super) async fn postgres(release: Option<u32>) -> Self {
        cluster::RELEASE.set(release);
        let database = Database::new().await;
        Self {
            engine: connect(&postgres(&database)).await.unwrap(),
            schema: "public",
            endless:
                "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b,
                      generate_series(1, 100000) c WHERE a + b + c < 0",
            numbers: |count| format!("generate_series(0, {count} - 1) AS numbers(i)"),
            big_and_text: ["BIGINT", "TEXT"],
            _kept: Box::new(database),
        }
    }

    async fn run(&self, statements: &[&str]) {
        for sql in statements {
            let done = self.engine.execute(sql).await;
            done.unwrap_or_else(|error| panic!("{error}"));
        }
    }

    async fn run_all(&self, statements: &[String]) {
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        self.run(&statements).await;
    }

    async fn count(&self, table: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM {table}");
        self.number(&sql).await
    }

    async fn number(&self, sql: &str) -> u64 {
        self.engine.query(sql).await.unwrap().single_u64().unwrap()
    }

    fn table(&self, name: &str) -> TableName {
        TableName::new(self.schema, name)
    }
}

/// How to reach a test's database.
pub(super) fn postgres(database: &Database) -> ConnectionConfig {
    ConnectionConfig::Postgres(Box::new(PostgresConfig {
        server: PostgresServer::new(&database.host, cluster::USER, &database.name),
        concurrency: NonZeroUsize::new(4).unwrap(),
        statement_timeout: None,
        sandboxed: false,
    }))
}

fn names(columns: &[EngineColumn]) -> Vec<(&str, &str)> {
    let columns = columns.iter();
    columns.map(|it| (&*it.name, &*it.data_type)).collect()
}

/// Each story once on every engine, and once on every release of PostgreSQL.
macro_rules! on_every_engine {
    ($($module:ident: $($story:ident),+;)+) => {
        mod duckdb {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$module::$story(super::World::duckdb().await).await;
            })+)+
        }
        mod postgres {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$module::$story(super::World::postgres(None).await).await;
            })+)+
        }
        mod postgres_13 {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$module::$story(super::World::postgres(Some(13)).await).await;
            })+)+
        }
        mod postgres_14 {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$module::$story(super::World::postgres(Some(14)).await).await;
            })+)+
        }
        mod postgres_15 {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$module::$story(super::World::postgres(Some(15)).await).await;
            })+)+
        }
        mod postgres_16 {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$module::$story(super::World::postgres(Some(16)).await).await;
            })+)+
        }
        mod postgres_17 {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$module::$story(super::World::postgres(Some(17)).await).await;
            })+)+
        }
    };
}

on_every_engine! {
    rows:
        statements_say_how_many_rows_they_wrote,
        values_come_back_the_same,
        rows_stop_at_the_limit_and_columns_need_no_rows,
        a_query_is_checked_without_running_it,
        a_refused_statement_is_told_with_its_text,
        a_second_statement_is_refused_before_the_first_runs;
    objects:
        objects_are_tables_and_views_of_the_schemas_asked_for,
        a_hostile_name_is_only_a_name,
        the_builders_fill_slice_and_remove_a_table,
        a_table_is_filled_anew_under_the_view_that_reads_it,
        a_table_that_nothing_reads_may_get_other_columns,
        a_view_may_get_other_columns,
        a_view_is_not_put_over_a_table_nor_a_table_over_a_view,
        long_names_that_begin_alike_are_two_tables,
        two_tables_change_places_in_one_transaction_under_the_views_that_read_them,
        a_copy_gets_what_a_table_has_besides_rows,
        a_schema_that_many_make_at_once_is_there_for_all;
    transactions:
        what_a_transaction_wrote_is_gone_after_a_failed_audit,
        a_dropped_transaction_leaves_nothing_and_frees_its_connection,
        what_a_transaction_creates_is_invisible_until_its_commit,
        what_has_failed_cannot_be_committed,
        a_transaction_sees_what_was_committed_before_its_first_statement,
        statements_sent_together_end_at_the_one_that_fails_and_it_is_named,
        two_views_switched_together_are_never_seen_half,
        of_two_writers_of_one_row_the_second_may_try_again,
        a_commit_that_breaks_a_rule_of_the_table_is_no_conflict;
    stopping:
        an_interrupt_ends_what_runs_and_nothing_else,
        a_statement_that_nobody_waits_for_is_stopped_and_undone;
}

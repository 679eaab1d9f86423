//! What takes effect together, and what others see meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::engine::EngineError;
use crate::engine::contract::World;
use crate::engine::contract::names;
use crate::sql::TableName;

pub(super) async fn what_a_transaction_wrote_is_gone_after_a_failed_audit(world: World) {
    let engine = &world.engine;
    let mut transaction = engine.begin().await.unwrap();
    for sql in ["CREATE SCHEMA s", "CREATE TABLE s.t AS SELECT NULL AS id"] {
        transaction.execute(sql).await.unwrap();
    }
    let audit = transaction.query("SELECT count(*) FROM s.t WHERE id IS NULL");
    assert_eq!(audit.await.unwrap().single_u64().unwrap(), 1);
    transaction.rollback().await.unwrap();

    let table = TableName::new("s", "t");
    assert_eq!(engine.columns(&table).await.unwrap(), None);
    assert!(engine.objects(&["s".to_owned()]).await.unwrap().is_empty());
}

pub(super) async fn a_dropped_transaction_leaves_nothing_and_frees_its_connection(world: World) {
    let engine = &world.engine;
    let mut transaction = engine.begin().await.unwrap();
    transaction.execute("CREATE TABLE t (x INT)").await.unwrap();
    transaction.execute("this is no SQL").await.unwrap_err();
    drop(transaction);
    world.run(&["CREATE TABLE t (y INT)"]).await;
    let again = engine.begin().await.unwrap();
    again.commit().await.unwrap();
}

pub(super) async fn what_a_transaction_creates_is_invisible_until_its_commit(world: World) {
    let engine = &world.engine;
    let mut transaction = engine.begin().await.unwrap();
    let create = "CREATE TABLE t AS SELECT 1 AS x";
    transaction.execute(create).await.unwrap();
    let table = TableName {
        catalog: None,
        schema: None,
        name: "t".to_owned(),
    };
    assert_eq!(engine.columns(&table).await.unwrap(), None);
    transaction.commit().await.unwrap();
    let columns = engine.columns(&table).await.unwrap().unwrap();
    assert_eq!(names(&columns), [("x", "INTEGER")]);
}

pub(super) async fn what_has_failed_cannot_be_committed(world: World) {
    let engine = &world.engine;
    let mut transaction = engine.begin().await.unwrap();
    transaction.execute("CREATE TABLE t (x INT)").await.unwrap();
    transaction
        .query("SELECT 1 / x FROM missing")
        .await
        .unwrap_err();
    // Whether the engine forgives a failure is its own affair; that half of the work is taken for all of it is not.
    let committed = transaction.commit().await.is_ok();
    let is_there = engine.columns(&world.table("t")).await.unwrap().is_some();
    assert_eq!(committed, is_there);
}

pub(super) async fn a_transaction_sees_what_was_committed_before_its_first_statement(world: World) {
    world.run(&["CREATE TABLE t (x INT)"]).await;
    let mut transaction = world.engine.begin().await.unwrap();
    let count = "SELECT count(*) FROM t";
    for number in [1, 2] {
        let insert = format!("INSERT INTO t VALUES ({number})");
        world.run(&[&insert]).await;
        let seen = transaction.query(count).await.unwrap();
        assert_eq!(seen.single_u64().unwrap(), 1, "after {number} inserts");
    }
    transaction.rollback().await.unwrap();
    assert_eq!(world.number(count).await, 2);

    // One that was never used has nothing to end.
    let unused = world.engine.begin().await.unwrap();
    unused.commit().await.unwrap();
    let unused = world.engine.begin().await.unwrap();
    unused.rollback().await.unwrap();
}

pub(super) async fn statements_sent_together_end_at_the_one_that_fails_and_it_is_named(
    world: World,
) {
    world.run(&["CREATE TABLE t (x INT)"]).await;
    let statements = |sql: &[&str]| -> Vec<String> { sql.iter().map(|&sql| sql.into()).collect() };
    let one = "INSERT INTO t VALUES (1)";
    let three = "INSERT INTO t VALUES (2), (3), (4)";

    let mut transaction = world.engine.begin().await.unwrap();
    let broken = statements(&[one, "INSERT INTO nowhere VALUES (1)", three]);
    let error = transaction.execute_each(&broken).await.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
    transaction.rollback().await.unwrap();
    assert_eq!(world.count("t").await, 0);

    let mut transaction = world.engine.begin().await.unwrap();
    let written = transaction.execute_each(&statements(&[one, three])).await;
    assert_eq!(written.unwrap(), 3);
    assert_eq!(transaction.execute_each(&[]).await.unwrap(), 0);
    transaction.commit().await.unwrap();
    assert_eq!(world.count("t").await, 4);
}

pub(super) async fn two_views_switched_together_are_never_seen_half(world: World) {
    let engine = Arc::clone(&world.engine);
    world
        .run(&[
            "CREATE VIEW a AS SELECT 0 AS n",
            "CREATE VIEW b AS SELECT 0 AS n",
        ])
        .await;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (engine, done) = (Arc::clone(&engine), Arc::clone(&done));
            tokio::spawn(async move {
                let mut versions = BTreeSet::new();
                while !done.load(Ordering::Relaxed) {
                    let mut transaction = engine.begin().await.unwrap();
                    let a = transaction.query("SELECT n FROM a").await.unwrap();
                    let b = transaction.query("SELECT n FROM b").await.unwrap();
                    assert_eq!(a.single_u64().unwrap(), b.single_u64().unwrap());
                    versions.insert(a.single_u64().unwrap());
                    transaction.rollback().await.unwrap();
                }
                versions.len()
            })
        })
        .collect();
    for n in 1..=200 {
        // Every other time the columns change as well.
        let more = if n % 2 == 0 { ", 'x' AS more" } else { "" };
        let mut swap = engine.begin().await.unwrap();
        let statements: Vec<String> = ["a", "b"]
            .iter()
            .flat_map(|name| {
                engine.create_or_replace_view(&world.table(name), &format!("SELECT {n} AS n{more}"))
            })
            .collect();
        swap.execute_all(&statements).await.unwrap();
        swap.commit().await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 1, "the reader saw no switch at all");
    }
}

pub(super) async fn of_two_writers_of_one_row_the_second_may_try_again(world: World) {
    let engine = Arc::clone(&world.engine);
    world.run(&["CREATE TABLE t AS SELECT 1 AS x"]).await;
    let mut first = engine.begin().await.unwrap();
    first.execute("UPDATE t SET x = 2").await.unwrap();
    let mut second = engine.begin().await.unwrap();
    // One engine refuses at once, another when the first is done.
    let waiting = tokio::spawn(async move { second.execute("UPDATE t SET x = 3").await });
    while !waiting.is_finished() && world.waiting().await == 0 {
        tokio::task::yield_now().await;
    }
    first.commit().await.unwrap();
    let error = waiting.await.unwrap().unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(world.number("SELECT x FROM t").await, 2);
}

pub(super) async fn a_commit_that_breaks_a_rule_of_the_table_is_no_conflict(world: World) {
    let engine = Arc::clone(&world.engine);
    world.run(&["CREATE TABLE t (x INT PRIMARY KEY)"]).await;
    let insert = "INSERT INTO t VALUES (1)";
    let mut one = engine.begin().await.unwrap();
    one.execute(insert).await.unwrap();
    let mut other = engine.begin().await.unwrap();
    let waiting = tokio::spawn(async move {
        other.execute(insert).await?;
        Ok::<_, EngineError>(other)
    });
    while !waiting.is_finished() && world.waiting().await == 0 {
        tokio::task::yield_now().await;
    }
    one.commit().await.unwrap();
    let error = match waiting.await.unwrap() {
        Ok(other) => other.commit().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, EngineError::Statement { .. }), "{error}");
    assert_eq!(world.count("t").await, 1);
}

impl World {
    /// How many statements wait for another transaction.
    async fn waiting(&self) -> u64 {
        match self.schema {
            "public" => {
                self.number("SELECT count(*) FROM pg_locks WHERE NOT granted")
                    .await
            }
            _ => 0,
        }
    }
}

//! Statements that nobody wants any more.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::EngineError;
use crate::engine::contract::World;

pub(super) async fn an_interrupt_ends_what_runs_and_nothing_else(world: World) {
    let engine = Arc::clone(&world.engine);
    let running = {
        let (engine, endless) = (Arc::clone(&engine), world.endless);
        tokio::spawn(async move { engine.query(endless).await })
    };
    // The statement may not have begun yet.
    while !running.is_finished() {
        engine.interrupt();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(
        running.await.unwrap(),
        Err(EngineError::Interrupted { .. })
    ));
    world.run(&["CREATE TABLE t (x INT)"]).await;
}

pub(super) async fn a_statement_that_nobody_waits_for_is_stopped_and_undone(world: World) {
    let engine = &world.engine;
    let mut transaction = engine.begin().await.unwrap();
    transaction.execute("CREATE TABLE t (x INT)").await.unwrap();
    tokio::time::timeout(Duration::from_millis(100), transaction.query(world.endless))
        .await
        .unwrap_err();
    assert!(matches!(
        transaction.query("SELECT 1").await,
        Err(EngineError::Closed { .. })
    ));
    drop(transaction);
    // It is undone as soon as the statement has noticed.
    while let Err(error) = engine.execute("CREATE TABLE t (y INT)").await {
        assert!(error.is_retryable(), "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

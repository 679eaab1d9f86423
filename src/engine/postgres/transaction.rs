//! A PostgreSQL transaction: one connection that nobody else uses until the end.

use async_trait::async_trait;

use crate::engine::EngineError;
use crate::engine::Rows;
use crate::engine::Transaction;
use crate::engine::postgres::session::Lease;

/// Everything in it sees what was committed before it began.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";

/// Switches of views take turns; and one that waits for a reader does not keep all others waiting for ever.
const SWITCH: [&str; 2] = [
    "SET LOCAL lock_timeout = '60s'",
    "SELECT pg_advisory_xact_lock(hashtextextended('siding switch', 0))",
];

/// An open transaction. Its lease rolls back when dropped.
pub(super) struct PostgresTransaction {
    /// `None` while a statement runs; stays so if that statement's future was dropped.
    lease: Option<Lease>,
}

impl PostgresTransaction {
    pub(super) async fn begin(lease: Lease) -> Result<Self, EngineError> {
        let (mut lease, begun) = lease
            .run(|mut worker| Box::pin(async move { worker.control(BEGIN).await }))
            .await?;
        begun?;
        lease.in_transaction = true;
        Ok(Self { lease: Some(lease) })
    }

    fn take(&mut self) -> Result<Lease, EngineError> {
        self.lease.take().ok_or_else(|| EngineError::Closed {
            message: "an earlier statement of this transaction was cancelled".to_owned(),
        })
    }
}

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn execute(&mut self, sql: &str) -> Result<u64, EngineError> {
        let sql = sql.to_owned();
        let (lease, written) = self
            .take()?
            .run(|mut worker| Box::pin(async move { worker.execute(&sql).await }))
            .await?;
        self.lease = Some(lease);
        written
    }

    async fn execute_all(&mut self, statements: &[String]) -> Result<(), EngineError> {
        let statements = statements.to_vec();
        let (lease, done) = self
            .take()?
            .run(|mut worker| {
                Box::pin(async move {
                    for sql in SWITCH {
                        worker.control(sql).await?;
                    }
                    worker.execute_all(&statements).await
                })
            })
            .await?;
        self.lease = Some(lease);
        done
    }

    async fn query(&mut self, sql: &str) -> Result<Rows, EngineError> {
        let sql = sql.to_owned();
        let (lease, rows) = self
            .take()?
            .run(|mut worker| Box::pin(async move { worker.query(&sql).await }))
            .await?;
        self.lease = Some(lease);
        rows
    }

    async fn commit(mut self: Box<Self>) -> Result<(), EngineError> {
        let (mut lease, committed) = self
            .take()?
            .run(|mut worker| Box::pin(async move { worker.commit().await }))
            .await?;
        // A failed one may be open still; if it is not, rolling back does no harm.
        lease.in_transaction = committed.is_err();
        committed
    }

    async fn rollback(mut self: Box<Self>) -> Result<(), EngineError> {
        let (mut lease, undone) = self
            .take()?
            .run(|mut worker| Box::pin(async move { worker.control("ROLLBACK").await }))
            .await?;
        lease.in_transaction = undone.is_err();
        undone
    }
}

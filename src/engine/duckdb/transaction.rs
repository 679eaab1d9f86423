//! A DuckDB transaction: one connection that nobody else uses until the end.

use async_trait::async_trait;

use crate::engine::EngineError;
use crate::engine::Rows;
use crate::engine::Transaction;
use crate::engine::duckdb::instance;
use crate::engine::duckdb::instance::Lease;

/// An open transaction. Its lease rolls back when dropped.
pub(super) struct DuckDbTransaction {
    /// `None` while a statement runs; stays so if that statement's future was dropped.
    lease: Option<Lease>,
}

impl DuckDbTransaction {
    pub(super) async fn begin(lease: Lease) -> Result<Self, EngineError> {
        let (mut lease, begun) = lease.run("BEGIN TRANSACTION", instance::execute).await?;
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
impl Transaction for DuckDbTransaction {
    async fn execute(&mut self, sql: &str) -> Result<u64, EngineError> {
        let (lease, written) = self.take()?.run(sql, instance::execute).await?;
        self.lease = Some(lease);
        written
    }

    async fn execute_all(&mut self, statements: &[String]) -> Result<(), EngineError> {
        let (lease, done) = self.take()?.run_all(statements).await?;
        self.lease = Some(lease);
        done
    }

    async fn query(&mut self, sql: &str) -> Result<Rows, EngineError> {
        let (lease, rows) = self.take()?.run(sql, instance::query).await?;
        self.lease = Some(lease);
        rows
    }

    async fn commit(mut self: Box<Self>) -> Result<(), EngineError> {
        let (mut lease, committed) = self.take()?.run("COMMIT", instance::execute).await?;
        // A failed commit has ended the transaction as well.
        lease.in_transaction = false;
        committed.map(drop)
    }

    async fn rollback(mut self: Box<Self>) -> Result<(), EngineError> {
        let (mut lease, undone) = self.take()?.run("ROLLBACK", instance::execute).await?;
        lease.in_transaction = undone.is_err();
        undone.map(drop)
    }
}

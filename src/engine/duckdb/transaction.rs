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
    /// Sends nothing yet: DuckDB takes its view of a database when a transaction first looks at it, not when it begins. So
    /// its beginning goes with its first statement, and is no change of threads of its own.
    pub(super) fn begin(mut lease: Lease) -> Self {
        lease.begins = true;
        Self { lease: Some(lease) }
    }

    fn take(&mut self) -> Result<Lease, EngineError> {
        self.lease.take().ok_or_else(|| EngineError::Closed {
            message: "an earlier statement of this transaction was cancelled".to_owned(),
        })
    }

    /// Ends it with `sql`. One that never sent a statement has nothing to end.
    async fn end(
        &mut self,
        sql: &str,
    ) -> Result<(Option<Lease>, Result<(), EngineError>), EngineError> {
        let lease = self.take()?;
        if lease.begins {
            return Ok((None, Ok(())));
        }
        let (lease, ended) = lease.run(sql, instance::send).await?;
        Ok((Some(lease), ended))
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
        let (lease, done) = self.take()?.run_each(statements, instance::send).await?;
        self.lease = Some(lease);
        done.ended
    }

    async fn execute_each(&mut self, statements: &[String]) -> Result<u64, EngineError> {
        let (lease, written) = self
            .take()?
            .run_to_last(statements, instance::execute)
            .await?;
        self.lease = Some(lease);
        written.ended?;
        Ok(written.given.last().copied().unwrap_or(0))
    }

    async fn query(&mut self, sql: &str) -> Result<Rows, EngineError> {
        let (lease, rows) = self.take()?.run(sql, instance::query).await?;
        self.lease = Some(lease);
        rows
    }

    async fn query_each(&mut self, queries: &[String]) -> (Vec<Rows>, Result<(), EngineError>) {
        let lease = match self.take() {
            Ok(lease) => lease,
            Err(error) => return (Vec::new(), Err(error)),
        };
        match lease.run_each(queries, instance::query).await {
            Ok((lease, answers)) => {
                self.lease = Some(lease);
                (answers.given, answers.ended)
            }
            Err(error) => (Vec::new(), Err(error)),
        }
    }

    async fn commit(mut self: Box<Self>) -> Result<(), EngineError> {
        let (lease, committed) = self.end("COMMIT").await?;
        // A failed commit has ended the transaction as well.
        if let Some(mut lease) = lease {
            lease.in_transaction = false;
        }
        committed
    }

    async fn rollback(mut self: Box<Self>) -> Result<(), EngineError> {
        let (lease, undone) = self.end("ROLLBACK").await?;
        if let Some(mut lease) = lease {
            lease.in_transaction = undone.is_err();
        }
        undone
    }
}

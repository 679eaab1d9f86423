//! The connections to one open database, and running statements on them off the async threads.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use ::duckdb::Connection;
use ::duckdb::InterruptHandle;

use crate::engine::EngineError;
use crate::engine::Rows;
use crate::engine::duckdb::DuckDbConfig;
use crate::engine::duckdb::open;
use crate::engine::error::excerpt;
use crate::engine::statement::is_single;

/// One open database. The file is closed when the last adapter and transaction are gone.
pub(super) struct Instance {
    config: DuckDbConfig,
    files: Vec<PathBuf>,
    default_catalog: String,
    connections: Mutex<Connections>,
}

struct Connections {
    /// Where further ones come from; `None` once the database is closed.
    root: Option<Connection>,
    idle: Vec<Connection>,
    /// Of every connection that was ever made.
    interrupts: Vec<Arc<InterruptHandle>>,
}

impl Instance {
    pub(super) fn new(
        config: DuckDbConfig,
        files: Vec<PathBuf>,
        default_catalog: String,
        root: Connection,
    ) -> Self {
        Self {
            config,
            files,
            default_catalog,
            connections: Mutex::new(Connections {
                root: Some(root),
                idle: Vec::new(),
                interrupts: Vec::new(),
            }),
        }
    }

    pub(super) fn config(&self) -> &DuckDbConfig {
        &self.config
    }

    pub(super) fn default_catalog(&self) -> &str {
        &self.default_catalog
    }

    pub(super) fn interrupt(&self) {
        for handle in &self.connections().interrupts {
            handle.interrupt();
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let connections = self
            .connections
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        connections.idle.clear();
        connections.root = None;
        open::closed(&self.files);
    }
}

/// A connection that nobody else uses meanwhile. Goes back to the others when dropped.
pub(super) struct Lease {
    connection: Option<Connection>,
    instance: Arc<Instance>,
    /// Whether a transaction is open, to be rolled back when dropped.
    pub(super) in_transaction: bool,
}

impl Lease {
    pub(super) fn take(instance: &Arc<Instance>) -> Result<Self, EngineError> {
        let mut connections = instance.connections();
        let connection = match connections.idle.pop() {
            Some(connection) => connection,
            None => {
                let root = connections.root.as_ref().ok_or_else(closed)?;
                let fail = |error: ::duckdb::Error| EngineError::Closed {
                    message: error.to_string(),
                };
                let connection = root.try_clone().map_err(fail)?;
                if let Some(sql) = open::use_catalog(&instance.config) {
                    connection.execute_batch(&sql).map_err(fail)?;
                }
                connections.interrupts.push(connection.interrupt_handle());
                connection
            }
        };
        drop(connections);
        Ok(Self {
            connection: Some(connection),
            instance: Arc::clone(instance),
            in_transaction: false,
        })
    }

    /// Runs one statement with `work`, as [`run_blocking`](Self::run_blocking) does.
    pub(super) async fn run<T: Send + 'static>(
        self,
        sql: &str,
        work: fn(&Connection, &str) -> ::duckdb::Result<T>,
    ) -> Result<(Self, Result<T, EngineError>), EngineError> {
        tracing::trace!(sql);
        let sql = sql.to_owned();
        self.run_blocking(move |connection| {
            if !is_single(&sql) {
                return Err(EngineError::more_than_one(&sql));
            }
            work(connection, &sql).map_err(|error| classify(&sql, &error))
        })
        .await
    }

    /// Runs statements in order, up to the first that fails.
    pub(super) async fn run_all(
        self,
        statements: &[String],
    ) -> Result<(Self, Result<(), EngineError>), EngineError> {
        for sql in statements {
            tracing::trace!(sql);
        }
        let statements = statements.to_vec();
        self.run_blocking(move |connection| {
            if let Some(sql) = statements.iter().find(|sql| !is_single(sql)) {
                return Err(EngineError::more_than_one(sql));
            }
            statements.iter().try_for_each(|sql| {
                connection
                    .execute_batch(sql)
                    .map_err(|error| classify(sql, &error))
            })
        })
        .await
    }

    /// Works on a thread that may block. Gives the lease back, unless the driver panicked.
    ///
    /// When this future is dropped early, the statement is interrupted and the lease ends with it.
    async fn run_blocking<T: Send + 'static>(
        self,
        work: impl FnOnce(&Connection) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<(Self, Result<T, EngineError>), EngineError> {
        let handle = self
            .connection
            .as_ref()
            .ok_or_else(closed)?
            .interrupt_handle();
        let mut task = tokio::task::spawn_blocking(move || {
            let result = self.connection.as_ref().ok_or_else(closed).and_then(work);
            (self, result)
        });
        // Declared after the task, so dropped before it: the lease is not back yet.
        let mut guard = InterruptOnDrop(Some(handle));
        let done = (&mut task).await;
        guard.0 = None;
        done.map_err(|panic| EngineError::Closed {
            message: panic.to_string(),
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        // A connection that cannot even roll back is not used again.
        if self.in_transaction && connection.execute_batch("ROLLBACK").is_err() {
            return;
        }
        self.instance.connections().idle.push(connection);
    }
}

struct InterruptOnDrop(Option<Arc<InterruptHandle>>);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.interrupt();
        }
    }
}

/// Runs a statement and returns how many rows it wrote.
pub(super) fn execute(connection: &Connection, sql: &str) -> ::duckdb::Result<u64> {
    let mut statement = connection.prepare(sql)?;
    let written = u64::try_from(statement.execute([])?).unwrap_or(u64::MAX);
    // `CREATE TABLE … AS` tells its count only as a row.
    let schema = statement.schema();
    if written > 0 || schema.fields().len() != 1 || schema.field(0).name() != "Count" {
        return Ok(written);
    }
    let batches: Vec<_> = statement.step()?.iter().map(Into::into).collect();
    Ok(Rows::new(schema, batches).single_u64().unwrap_or(0))
}

/// Runs a statement and returns its rows.
pub(super) fn query(connection: &Connection, sql: &str) -> ::duckdb::Result<Rows> {
    let mut statement = connection.prepare(sql)?;
    let schema = statement.query_arrow([])?.get_schema();
    let mut batches = Vec::new();
    // Not the iterator: that one panics where this one returns an error.
    while let Some(batch) = statement.step()? {
        batches.push((&batch).into());
    }
    Ok(Rows::new(schema, batches))
}

fn closed() -> EngineError {
    EngineError::Closed {
        message: "the database was closed".to_owned(),
    }
}

/// What DuckDB says when another transaction was first. A commit may fail for other reasons too.
const CONFLICTS: [&str; 4] = [
    "write-write conflict",
    "Conflict on ",
    "Transaction conflict",
    "Could not commit ",
];

/// DuckDB tells kinds of failures apart by the beginning of the message.
fn classify(sql: &str, error: &::duckdb::Error) -> EngineError {
    let message = error.to_string();
    let sql = excerpt(sql);
    let is_conflict =
        message.starts_with("Transaction") && CONFLICTS.iter().any(|text| message.contains(text));
    if message.starts_with("INTERRUPT") {
        EngineError::Interrupted { sql }
    } else if is_conflict {
        EngineError::Conflict { sql, message }
    } else if message.contains("database has been invalidated") {
        EngineError::Closed { message }
    } else if message.starts_with("Catalog Error") && message.contains("does not exist") {
        EngineError::MissingObject { sql, message }
    } else {
        EngineError::Statement { sql, message }
    }
}

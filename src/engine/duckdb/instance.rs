//! The connections to one open database, and running statements on them off the async threads.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use ::duckdb::Connection;
use ::duckdb::InterruptHandle;

use crate::engine::EngineError;
use crate::engine::Rows;
use crate::engine::duckdb::DuckDbConfig;
use crate::engine::duckdb::open;
use crate::engine::duckdb::worker::Worker;
use crate::engine::error::excerpt;
use crate::engine::statement::is_single;

const BEGIN: &str = "BEGIN TRANSACTION";

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
    idle: Vec<Seat>,
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

/// A connection and the thread that its statements run on.
struct Seat {
    connection: Connection,
    worker: Worker,
}

/// A connection that nobody else uses meanwhile. Goes back to the others when dropped.
pub(super) struct Lease {
    seat: Option<Seat>,
    instance: Arc<Instance>,
    /// Whether a transaction is open, to be rolled back when dropped.
    pub(super) in_transaction: bool,
    /// Whether a transaction begins with the next statement.
    pub(super) begins: bool,
}

/// What statements gave that ran in order, up to the first that failed.
pub(super) struct Answers<T> {
    /// One for each that did not fail.
    pub(super) given: Vec<T>,
    /// The failure, if there was one.
    pub(super) ended: Result<(), EngineError>,
}

impl Lease {
    pub(super) fn take(instance: &Arc<Instance>) -> Result<Self, EngineError> {
        let mut connections = instance.connections();
        let seat = match connections.idle.pop() {
            Some(seat) => seat,
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
                Seat {
                    connection,
                    worker: Worker::start(),
                }
            }
        };
        drop(connections);
        Ok(Self {
            seat: Some(seat),
            instance: Arc::clone(instance),
            in_transaction: false,
            begins: false,
        })
    }

    /// Runs one statement with `work`, as [`run_each`](Self::run_each) does.
    pub(super) async fn run<T: Send + 'static>(
        self,
        sql: &str,
        work: fn(&Connection, &str) -> ::duckdb::Result<T>,
    ) -> Result<(Self, Result<T, EngineError>), EngineError> {
        let (lease, Answers { mut given, ended }) = self.run_each(&[sql.to_owned()], work).await?;
        let nothing = || EngineError::Answer("the statement gave no answer".to_owned());
        Ok((lease, ended.and_then(|()| given.pop().ok_or_else(nothing))))
    }

    /// Runs statements in order as [`run_each`](Self::run_each) does, of which only the last has an answer: for the others
    /// nothing is prepared.
    pub(super) async fn run_to_last<T: Send + 'static>(
        self,
        statements: &[String],
        work: fn(&Connection, &str) -> ::duckdb::Result<T>,
    ) -> Result<(Self, Answers<T>), EngineError> {
        let silent = statements.len().saturating_sub(1);
        self.run_from(silent, statements, work).await
    }

    /// Runs statements in order with `work`, up to the first that fails, after the beginning of a transaction that is still
    /// to begin. All of them run on the connection's thread, together: each change of threads costs as much as a small
    /// statement.
    /// Gives the lease back, unless the driver panicked.
    ///
    /// When this future is dropped early, the statement that runs is interrupted, none follows, and the lease ends with it.
    pub(super) async fn run_each<T: Send + 'static>(
        self,
        statements: &[String],
        work: fn(&Connection, &str) -> ::duckdb::Result<T>,
    ) -> Result<(Self, Answers<T>), EngineError> {
        self.run_from(0, statements, work).await
    }

    /// The same, where the first `silent` have no answer.
    async fn run_from<T: Send + 'static>(
        mut self,
        silent: usize,
        statements: &[String],
        work: fn(&Connection, &str) -> ::duckdb::Result<T>,
    ) -> Result<(Self, Answers<T>), EngineError> {
        if self.begins {
            tracing::trace!(sql = BEGIN);
        }
        for sql in statements {
            tracing::trace!(sql);
        }
        let seat = self.seat.as_ref().ok_or_else(closed)?;
        let (handle, worker) = (seat.connection.interrupt_handle(), seat.worker.clone());
        let is_stopped: Arc<AtomicBool> = Arc::default();
        let (of_task, statements) = (Arc::clone(&is_stopped), statements.to_vec());
        let work = worker.run(move || {
            let mut given = Vec::with_capacity(statements.len());
            let ended = self.work_through(silent, &statements, work, &mut given, &of_task);
            (self, Answers { given, ended })
        });
        // Declared after the work, so dropped before it: the lease is not back yet.
        let mut guard = StopOnDrop {
            handle: Some(handle),
            is_stopped,
        };
        let done = work.await;
        guard.handle = None;
        done.ok_or_else(|| EngineError::Closed {
            message: "the driver panicked".to_owned(),
        })
    }

    fn work_through<T>(
        &mut self,
        silent: usize,
        statements: &[String],
        work: fn(&Connection, &str) -> ::duckdb::Result<T>,
        given: &mut Vec<T>,
        is_stopped: &AtomicBool,
    ) -> Result<(), EngineError> {
        let connection = &self.seat.as_ref().ok_or_else(closed)?.connection;
        if let Some(sql) = statements.iter().find(|sql| !is_single(sql)) {
            return Err(EngineError::more_than_one(sql));
        }
        if self.begins {
            send(connection, BEGIN).map_err(|error| classify(BEGIN, &error))?;
            (self.begins, self.in_transaction) = (false, true);
        }
        for (place, sql) in statements.iter().enumerate() {
            // An interrupt hits only what runs.
            if is_stopped.load(Ordering::SeqCst) {
                return Err(EngineError::Interrupted { sql: excerpt(sql) });
            }
            let fail = |error| classify(sql, &error);
            if place < silent {
                send(connection, sql).map_err(fail)?;
            } else {
                given.push(work(connection, sql).map_err(fail)?);
            }
        }
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(seat) = self.seat.take() else {
            return;
        };
        // A connection that cannot even roll back is not used again.
        if self.in_transaction && seat.connection.execute_batch("ROLLBACK").is_err() {
            return;
        }
        self.instance.connections().idle.push(seat);
    }
}

/// Stops work that nobody waits for any more.
struct StopOnDrop {
    /// `None` once the work is done.
    handle: Option<Arc<InterruptHandle>>,
    is_stopped: Arc<AtomicBool>,
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            self.is_stopped.store(true, Ordering::SeqCst);
            handle.interrupt();
        }
    }
}

/// Runs a statement of which only matters whether it succeeds.
pub(super) fn send(connection: &Connection, sql: &str) -> ::duckdb::Result<()> {
    connection.execute_batch(sql)
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

//! The connections to one server, and running statements on them so that they can be stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use futures::future::BoxFuture;
use sqlx::Connection;
use sqlx::Executor;
use sqlx::PgConnection;
use tokio::runtime::Handle;

use crate::engine::EngineError;
use crate::engine::postgres::PostgresConfig;
use crate::engine::postgres::error::classify;
use crate::postgres::ServerVersion;

/// A connection that was idle for longer is asked whether it still lives.
const TRUSTED_IDLE: Duration = Duration::from_secs(2);

/// How often the server is asked again to end a statement that has not ended.
const STOP_AGAIN: Duration = Duration::from_millis(100);

/// What every new connection is told; its answer is the id of its process on the server.
///
/// With the setting, which 13 does not know, the server notices within seconds that a client that waits for a
/// statement is gone.
const SET_UP: &str = "SELECT pg_backend_pid() AS pid, (
    SELECT count(set_config(name, '3s', false)) FROM pg_settings
    WHERE name = 'client_connection_check_interval')";

/// The server with its connections.
pub(super) struct Server {
    config: PostgresConfig,
    name: String,
    version: ServerVersion,
    /// Where connections are cleaned up and statements stopped, whoever asks for it.
    runtime: Handle,
    idle: Mutex<Vec<Session>>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    next: u64,
    statements: BTreeMap<u64, Arc<Ticket>>,
}

/// One connection.
struct Session {
    connection: PgConnection,
    /// Its process on the server.
    process: i32,
    idle_since: Instant,
}

/// Work that runs on a connection and can be stopped.
struct Ticket {
    process: i32,
    is_stopped: AtomicBool,
    /// Held while the server is asked to stop it: what runs after it on that connection is never hit.
    has_ended: tokio::sync::Mutex<bool>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Connects once, to see whether everything is as configured.
    pub(super) async fn open(config: PostgresConfig) -> Result<Arc<Self>, EngineError> {
        let (mut connection, version) = config
            .server
            .connect(&settings(&config))
            .await
            .map_err(EngineError::Server)?;
        let name = config.server.to_string();
        let fail = |error: sqlx::Error| classify(&name, SET_UP, &error, false);
        let process = set_up(&mut connection).await.map_err(fail)?;
        let session = Session {
            connection,
            process,
            idle_since: Instant::now(),
        };
        Ok(Arc::new(Self {
            config,
            name,
            version,
            runtime: Handle::current(),
            idle: Mutex::new(vec![session]),
            running: Mutex::default(),
        }))
    }

    /// `user@host:port/database`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn config(&self) -> &PostgresConfig {
        &self.config
    }

    pub(super) fn version(&self) -> ServerVersion {
        self.version
    }

    /// Stops what runs now.
    pub(super) fn interrupt(self: &Arc<Self>) {
        let running: Vec<_> = locked(&self.running).statements.values().cloned().collect();
        for ticket in running {
            self.stop(ticket);
        }
    }

    /// Asks the server to end this statement until it has ended.
    fn stop(self: &Arc<Self>, ticket: Arc<Ticket>) {
        if ticket.is_stopped.swap(true, Ordering::SeqCst) {
            return;
        }
        let server = Arc::clone(self);
        self.runtime.spawn(async move {
            // Not one of the connections that statements wait for.
            let connected = server.config.server.connect(&[]).await;
            let Ok((mut connection, _)) = connected else {
                return;
            };
            loop {
                let has_ended = ticket.has_ended.lock().await;
                if *has_ended {
                    break;
                }
                // It may have been on its way to the server just now; then the next one hits.
                let asked = sqlx::query("SELECT pg_cancel_backend($1)")
                    .bind(ticket.process)
                    .execute(&mut connection)
                    .await;
                drop(has_ended);
                if asked.is_err() {
                    break;
                }
                tokio::time::sleep(STOP_AGAIN).await;
            }
            connection.close().await.ok();
        });
    }

    async fn connect(&self) -> Result<Session, EngineError> {
        let connected = self.config.server.connect(&settings(&self.config)).await;
        let (mut connection, _) = connected.map_err(|mut error| {
            // It has let us in before.
            error.is_transient |= error.is_unanswered;
            EngineError::Server(error)
        })?;
        let process = set_up(&mut connection)
            .await
            .map_err(|error| classify(&self.name, SET_UP, &error, false))?;
        Ok(Session {
            connection,
            process,
            idle_since: Instant::now(),
        })
    }
}

fn settings(config: &PostgresConfig) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        // Our reading of statements relies on it.
        ("standard_conforming_strings", "on".to_owned()),
        ("bytea_output", "hex".to_owned()),
        ("IntervalStyle", "postgres".to_owned()),
        ("extra_float_digits", "1".to_owned()),
        // Between two statements of a transaction this program only looks into the state. Who is silent for as long as a
        // lease lasts is frozen or cut off: somebody else may have what it wrote, so it must not commit any more.
        ("idle_in_transaction_session_timeout", "60000".to_owned()),
        // A batch is recorded some time after its commit: a server that crashes in between must not lose it, whatever its
        // own default is.
        ("synchronous_commit", "on".to_owned()),
    ];
    if let Some(timeout) = config.statement_timeout {
        settings.push(("statement_timeout", timeout.as_millis().to_string()));
    }
    settings
}

async fn set_up(connection: &mut PgConnection) -> sqlx::Result<i32> {
    let (process, _): (i32, i64) = sqlx::query_as(SET_UP).fetch_one(connection).await?;
    Ok(process)
}

/// A connection that nobody else uses meanwhile. Goes back to the others when dropped.
pub(super) struct Lease {
    /// `None` once it is of no use any more.
    session: Option<Session>,
    server: Arc<Server>,
    /// Whether a transaction is open, to be rolled back when dropped.
    pub(super) in_transaction: bool,
}

/// The connection while work is done on it.
pub(super) struct Worker<'w> {
    connection: &'w mut PgConnection,
    server: &'w Server,
    ticket: &'w Ticket,
}

impl Lease {
    /// One that lives, as far as can be known.
    pub(super) async fn take(server: &Arc<Server>) -> Result<Self, EngineError> {
        loop {
            let idle = locked(&server.idle).pop();
            let session = match idle {
                None => server.connect().await?,
                Some(mut session) => {
                    if session.idle_since.elapsed() > TRUSTED_IDLE
                        && session.connection.ping().await.is_err()
                    {
                        continue;
                    }
                    session
                }
            };
            return Ok(Self {
                session: Some(session),
                server: Arc::clone(server),
                in_transaction: false,
            });
        }
    }

    /// Does `work` and gives the lease back.
    ///
    /// When this future is dropped early, the server is asked to stop, and the lease ends with what runs.
    pub(super) async fn run<T: Send + 'static>(
        mut self,
        work: impl for<'w> FnOnce(Worker<'w>) -> BoxFuture<'w, Result<T, EngineError>> + Send + 'static,
    ) -> Result<(Self, Result<T, EngineError>), EngineError> {
        let Some(session) = &self.session else {
            return Err(EngineError::Closed {
                message: "the connection was lost before".to_owned(),
            });
        };
        let server = Arc::clone(&self.server);
        let ticket = Arc::new(Ticket {
            process: session.process,
            is_stopped: AtomicBool::new(false),
            has_ended: tokio::sync::Mutex::new(false),
        });
        let number = {
            let mut running = locked(&server.running);
            running.next += 1;
            let number = running.next;
            running.statements.insert(number, Arc::clone(&ticket));
            number
        };
        let of_task = Arc::clone(&ticket);
        let mut task = server.runtime.spawn(async move {
            let ticket = of_task;
            let result = match &mut self.session {
                None => Err(EngineError::Closed {
                    message: "the connection was lost before".to_owned(),
                }),
                Some(session) => {
                    work(Worker {
                        connection: &mut session.connection,
                        server: &self.server,
                        ticket: &ticket,
                    })
                    .await
                }
            };
            locked(&self.server.running).statements.remove(&number);
            *ticket.has_ended.lock().await = true;
            if result
                .as_ref()
                .is_err_and(EngineError::is_end_of_connection)
            {
                self.session = None;
            }
            (self, result)
        });
        // Declared after the task, so dropped before it.
        let mut guard = StopOnDrop(Some((Arc::clone(&server), ticket)));
        let done = (&mut task).await;
        guard.0 = None;
        done.map_err(|panic| EngineError::Closed {
            message: panic.to_string(),
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else {
            return;
        };
        session.idle_since = Instant::now();
        if !self.in_transaction {
            locked(&self.server.idle).push(session);
            return;
        }
        let server = Arc::clone(&self.server);
        self.server.runtime.spawn(async move {
            // One that cannot even roll back is not used again.
            let rollback = session.connection.execute("ROLLBACK").await;
            if rollback.is_ok() {
                locked(&server.idle).push(session);
            }
        });
    }
}

struct StopOnDrop(Option<(Arc<Server>, Arc<Ticket>)>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some((server, ticket)) = self.0.take() {
            server.stop(ticket);
        }
    }
}

impl Worker<'_> {
    /// The connection, unless somebody has stopped this work. `sql` is what it is wanted for.
    pub(super) fn connection(&mut self, sql: &str) -> Result<&mut PgConnection, EngineError> {
        if self.ticket.is_stopped.load(Ordering::SeqCst) {
            return Err(EngineError::Interrupted {
                sql: crate::engine::error::excerpt(sql),
            });
        }
        Ok(self.connection)
    }

    pub(super) fn error(&self, sql: &str, error: &sqlx::Error) -> EngineError {
        let stopped = self.ticket.is_stopped.load(Ordering::SeqCst);
        classify(self.server.name(), sql, error, stopped)
    }
}

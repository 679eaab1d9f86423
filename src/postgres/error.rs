//! Why a server could not be reached, and what its errors mean.

use std::io;

use crate::postgres::PostgresServer;
use crate::postgres::ServerVersion;
use crate::postgres::tls::UnusableFile;
use crate::postgres::tls::explained;
use crate::postgres::tls::is_about_tls;

/// Why a server could not be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("PostgreSQL at `{server}` does not let us in: {message}")]
pub struct ConnectError {
    /// `user@host:port/database`.
    pub server: String,
    /// Why.
    pub message: String,
    /// What the user can do about it, as a sentence.
    pub help: &'static str,
    /// Whether the same attempt may succeed a moment later.
    pub is_transient: bool,
    /// Whether nobody answered at all. If somebody did a moment ago, the server is being started again.
    pub is_unanswered: bool,
}

impl ConnectError {
    pub(super) fn new(server: &PostgresServer, error: &sqlx::Error) -> Self {
        if is_about_tls(error) {
            let (message, help) = explained(error);
            return Self {
                server: server.to_string(),
                message,
                help,
                is_transient: false,
                is_unanswered: false,
            };
        }
        Self {
            server: server.to_string(),
            message: match error {
                sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    "nothing listens there".to_owned()
                }
                sqlx::Error::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                    "there is no such socket".to_owned()
                }
                other => words(other),
            },
            help: help(error),
            is_transient: matches!(
                sql_state(error).as_deref(),
                // Starting up, shutting down, too many connections.
                Some("57P03" | "57P01" | "53300")
            ),
            is_unanswered: matches!(error, sqlx::Error::Io(_)),
        }
    }

    pub(super) fn unusable_file(server: &PostgresServer, file: UnusableFile) -> Self {
        Self {
            server: server.to_string(),
            message: file.message,
            help: file.help,
            is_transient: false,
            is_unanswered: false,
        }
    }

    pub(super) fn timed_out(server: &PostgresServer) -> Self {
        Self {
            server: server.to_string(),
            message: format!(
                "no answer within {} seconds",
                server.connect_timeout.as_secs()
            ),
            help: "Check `host` and `port` and whether a firewall is between; `connect_timeout` is how long we wait, in seconds.",
            is_transient: true,
            is_unanswered: true,
        }
    }

    pub(super) fn too_old(server: &PostgresServer, version: ServerVersion) -> Self {
        Self {
            server: server.to_string(),
            message: format!("it is PostgreSQL {version}"),
            help: "Use PostgreSQL 13 or later.",
            is_transient: false,
            is_unanswered: false,
        }
    }
}

fn help(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Io(_) => {
            "Check `host` and `port`, and that the server runs and is reachable from here."
        }
        sqlx::Error::Database(_) => match sql_state(error).as_deref() {
            Some("28P01") => {
                "Check `user` and `password`; with no `password`, the user's `~/.pgpass` is asked."
            }
            Some("28000") => {
                "Check `user`, `sslmode` and, if the server asks for a certificate of ours, `sslcert` and `sslkey`; the server's `pg_hba.conf` says who may come in from where."
            }
            Some("3D000") => "Create the database, or correct `database`.",
            Some("42501" | "22023" | "42704") => "Check `role`, and that `user` is a member of it.",
            Some("53300") => {
                "Wait for other connections to end, lower `concurrent_tasks`, or raise the server's `max_connections`."
            }
            Some("57P03") => "The server is starting or stopping: try again in a moment.",
            _ => "The message is the server's own; its log may say more.",
        },
        _ => "Check `host`, `port`, `user` and `database`.",
    }
}

/// The five characters that say what kind of error the server answered with.
pub fn sql_state(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
}

/// Whether the server refused because it has no room left, on its disk or in its memory: nothing passes by waiting a
/// moment.
pub fn is_out_of_room(error: &sqlx::Error) -> bool {
    match sql_state(error).as_deref() {
        // Disk full, out of memory, more temporary files than are allowed.
        Some("53100" | "53200" | "53400") => true,
        // A file that may not become larger: releases from 16 on do not call that a full disk.
        Some("XX000") => {
            let said = words(error);
            said.contains("File too large") || said.starts_with("could not extend file")
        }
        _ => false,
    }
}

/// Whether the connection is gone, so that nobody knows more than that what was not committed is undone.
pub fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        // Class 08: connection; 57P01 to 57P03: somebody stopped the server or this connection;
        // 25P03: silent for too long inside a transaction.
        _ => sql_state(error).is_some_and(|state| {
            state.starts_with("08")
                || matches!(
                    state.as_str(),
                    "57P01" | "57P02" | "57P03" | "57P05" | "25P03"
                )
        }),
    }
}

/// The error as the server words it, with its detail and hint.
pub fn words(error: &sqlx::Error) -> String {
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::Io(error) => error.to_string(),
            sqlx::Error::PoolTimedOut => {
                "no connection became free in time; the server, or the user's role, may allow too few"
                    .to_owned()
            },
            other => other.to_string(),
        };
    };
    let mut text = database.message().to_owned();
    if let Some(error) = database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
        // Where others depend on something, the hint is to drop them too.
        let hint = error.hint().filter(|_| error.code() != "2BP01");
        for (word, more) in [("detail", error.detail()), ("hint", hint)] {
            if let Some(more) = more {
                text = format!("{text} ({word}: {more})");
            }
        }
    }
    text
}

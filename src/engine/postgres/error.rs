//! PostgreSQL's errors as ours.

use crate::engine::EngineError;
use crate::engine::error::excerpt;
use crate::postgres::is_lost;
use crate::postgres::is_out_of_room;
use crate::postgres::sql_state;
use crate::postgres::words;

/// What an error of `sql` means. `stopped` is whether we asked the server to end the statement.
pub(super) fn classify(server: &str, sql: &str, error: &sqlx::Error, stopped: bool) -> EngineError {
    let state = sql_state(error).unwrap_or_default();
    let message = words(error);
    let sql = excerpt(sql);
    if stopped && state == "57014" {
        return EngineError::Interrupted { sql };
    }
    if is_lost(error) {
        return EngineError::Lost {
            server: server.to_owned(),
            sql,
            message,
        };
    }
    if is_out_of_room(error) {
        return EngineError::NoRoom { sql, message };
    }
    match state.as_str() {
        // Serialization failure, deadlock, lock timeout, object in use.
        "40001" | "40P01" | "55P03" | "55006" => EngineError::Conflict { sql, message },
        // Two transactions made the same object, or replaced the same view, at once.
        "23505" if is_of_catalog(error) => EngineError::Conflict { sql, message },
        "XX000" if message.contains("concurrently") => EngineError::Conflict { sql, message },
        // Nobody of ours stopped it.
        "57014" if message.contains("timeout") => EngineError::Statement {
            sql,
            message: format!(
                "{message} (`statement_timeout` of the connection, or the server's own, says how long it may take)"
            ),
        },
        // Undefined table, schema, database.
        "42P01" | "3F000" | "3D000" => EngineError::MissingObject { sql, message },
        _ => EngineError::Statement { sql, message },
    }
}

/// Whether a unique index of the server's own tables was violated.
fn is_of_catalog(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::constraint)
        .is_some_and(|name| name.starts_with("pg_"))
}

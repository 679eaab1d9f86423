//! Why a warehouse did not do what it was asked.

use crate::postgres::ConnectError;

/// Most characters of a statement that an error repeats.
const STATEMENT_CHARACTERS: usize = 2_000;

/// Why a warehouse did not do what it was asked. `message` is the engine's own text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Another process has the database open.
    #[error(
        "database `{database}` is in use by {}",
        holder.as_deref().unwrap_or("another process")
    )]
    Locked {
        /// The file.
        database: String,
        /// The other process, as far as the engine tells: its program and id.
        holder: Option<String>,
    },
    /// The database cannot be opened.
    #[error("database `{database}` cannot be opened: {message}")]
    Connect {
        /// Which one.
        database: String,
        /// Why.
        message: String,
    },
    /// The engine refused a statement.
    #[error("{message}\nin the statement: {sql}")]
    Statement {
        /// What was asked, cut after 2,000 characters.
        sql: String,
        /// Why not.
        message: String,
    },
    /// A statement names a table, view or schema that does not exist.
    #[error("{message}\nin the statement: {sql}")]
    MissingObject {
        /// What was asked, cut after 2,000 characters.
        sql: String,
        /// What is missing.
        message: String,
    },
    /// What a statement would make anew with other columns has others that stand on it.
    #[error("{message}")]
    Needed {
        /// What gets other columns, and who stands on it.
        message: String,
    },
    /// Another transaction changed the same thing first; the whole transaction may be tried again.
    #[error("another transaction changed the same object: {message}\nin the statement: {sql}")]
    Conflict {
        /// What was asked, cut after 2,000 characters.
        sql: String,
        /// Which object.
        message: String,
    },
    /// The server has no room left; the transaction is undone.
    #[error("the server has no room left: {message}\nin the statement: {sql}")]
    NoRoom {
        /// What was asked, cut after 2,000 characters.
        sql: String,
        /// Where.
        message: String,
    },
    /// Somebody stopped the statement.
    #[error("the statement was interrupted: {sql}")]
    Interrupted {
        /// What was asked, cut after 2,000 characters.
        sql: String,
    },
    /// The connection is of no use any more.
    #[error("the connection is closed: {message}")]
    Closed {
        /// Why.
        message: String,
    },
    /// A server does not let us in.
    #[error(transparent)]
    Server(ConnectError),
    /// The connection broke while a statement ran; what its transaction did is undone.
    #[error("the connection to `{server}` was lost: {message}\nin the statement: {sql}")]
    Lost {
        /// `user@host:port/database`.
        server: String,
        /// What was asked, cut after 2,000 characters.
        sql: String,
        /// Why.
        message: String,
    },
    /// The connection broke during a commit: whether it took place is not known.
    #[error("the connection to `{server}` was lost while committing: {message}")]
    CommitUnknown {
        /// `user@host:port/database`.
        server: String,
        /// Why.
        message: String,
    },
    /// The rows that came back are not what the question asks for.
    #[error("unexpected answer: {0}")]
    Answer(String),
}

impl EngineError {
    /// For text that is not exactly one statement.
    pub(super) fn more_than_one(sql: &str) -> Self {
        Self::Statement {
            sql: excerpt(sql),
            message: "not exactly one statement".to_owned(),
        }
    }

    /// Whether the connection that gave it is of no use any more.
    pub(super) fn is_end_of_connection(&self) -> bool {
        matches!(
            self,
            Self::Lost { .. } | Self::CommitUnknown { .. } | Self::Closed { .. }
        )
    }

    /// The same error about another statement: the one that whoever asked knows.
    pub(super) fn about(self, asked: &str) -> Self {
        let sql = excerpt(asked);
        match self {
            Self::Statement { message, .. } => Self::Statement { sql, message },
            Self::MissingObject { message, .. } => Self::MissingObject { sql, message },
            Self::Conflict { message, .. } => Self::Conflict { sql, message },
            Self::NoRoom { message, .. } => Self::NoRoom { sql, message },
            other => other,
        }
    }

    /// Whether the same transaction, tried again from its start, may succeed. Nothing of it took place.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict { .. } | Self::Lost { .. } => true,
            Self::Server(error) => error.is_transient,
            Self::Locked { .. }
            | Self::Connect { .. }
            | Self::Statement { .. }
            | Self::MissingObject { .. }
            | Self::NoRoom { .. }
            | Self::Needed { .. }
            | Self::Interrupted { .. }
            | Self::Closed { .. }
            | Self::CommitUnknown { .. }
            | Self::Answer(_) => false,
        }
    }

    /// What the user can do about it, as a sentence.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Locked { .. } => Some(
                "Close that process or wait until it has ended: only one process can have a DuckDB file open for writing.",
            ),
            Self::Server(error) => Some(error.help),
            Self::NoRoom { .. } => Some(
                "Make room at the server, then run the command again: batches that were committed are kept, the others are undone.",
            ),
            Self::Lost { .. } => Some(
                "Run the command again when the server answers: batches that were committed are kept, the others are undone.",
            ),
            Self::CommitUnknown { .. } => Some(
                "Run the command again: a batch that is not recorded replaces its own rows, so none comes twice.",
            ),
            Self::Connect { .. }
            | Self::Statement { .. }
            | Self::MissingObject { .. }
            | Self::Needed { .. }
            | Self::Conflict { .. }
            | Self::Interrupted { .. }
            | Self::Closed { .. }
            | Self::Answer(_) => None,
        }
    }
}

/// `sql` as an error shows it.
pub(super) fn excerpt(sql: &str) -> String {
    let sql = sql.trim();
    match sql.char_indices().nth(STATEMENT_CHARACTERS) {
        Some((end, _)) => format!("{}…", &sql[..end]),
        None => sql.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_statement_is_cut_between_characters() {
        let shown = excerpt(&"é".repeat(STATEMENT_CHARACTERS + 1));
        assert_eq!(shown.chars().count(), STATEMENT_CHARACTERS + 1);
        assert!(shown.ends_with('…'));
    }
}

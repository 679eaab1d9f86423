//! Why the state could not be read or written.

use crate::postgres::is_lost;
use crate::postgres::is_out_of_room;
use crate::postgres::sql_state;
use crate::postgres::words;

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file is no database or cannot be used, or the server does not let us in.
    #[error("state database `{place}` cannot be opened: {message}")]
    Open {
        /// The file, or the server and the schema.
        place: String,
        /// Why.
        message: String,
        /// What the user can do about it, as a sentence.
        help: Option<&'static str>,
    },
    /// A later release has written the tables.
    #[error(
        "state database `{place}` has version {found}, but this release of siding knows {known}"
    )]
    NewerVersion {
        /// The file, or the server and the schema.
        place: String,
        /// Its version.
        found: i64,
        /// The last version that this program can read.
        known: i64,
    },
    /// Somebody else has been writing for longer than we wait.
    #[error("the state database is busy: another process has been writing for over 10 seconds")]
    Busy,
    /// The server is gone or has closed the connection.
    #[error("the connection to the state database was lost: {message}")]
    Lost {
        /// Why.
        message: String,
    },
    /// The disk, or what the server may use of it, is full.
    #[error("the state database has no room left: {message}")]
    Full {
        /// Where.
        message: String,
    },
    /// Somebody else has taken over what was being written: this process was thought dead.
    #[error(
        "{} took over what this process was writing, because it had not been heard of for too long",
        by.as_deref().unwrap_or("somebody else")
    )]
    Overtaken {
        /// Who; `None` if they are done already.
        by: Option<String>,
    },
    /// What was being filled was cleared meanwhile, to be filled again.
    #[error("what was being filled was cleared meanwhile by a restatement")]
    Cleared,
    /// Somebody filled more of a table than was known when it was decided to fill it again.
    #[error(
        "`{name}` was filled further meanwhile, and its rows build on those before; nothing is cleared, plan again"
    )]
    FilledMeanwhile {
        /// Which model.
        name: String,
    },
    /// A row does not hold what this program writes.
    #[error("the state has an unreadable {what}: {message}")]
    Unreadable {
        /// Which row.
        what: String,
        /// What is wrong with it.
        message: String,
    },
    /// The database failed.
    #[error("the state database failed: {0}")]
    Database(sqlx::Error),
}

impl StateError {
    /// What the user can do about it, as a sentence.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NewerVersion { .. } => Some("Install the release that wrote it, or a later one."),
            Self::Busy => Some("Wait until the other run has ended, then try again."),
            Self::Lost { .. } => Some(
                "Run the command again when the server answers: what was recorded stays, and nothing is recorded in part.",
            ),
            Self::Full { .. } => Some(
                "Make room where the state is kept, then run the command again: what was recorded stays, and nothing is recorded in part.",
            ),
            Self::Open { help, .. } => *help,
            Self::Overtaken { .. } | Self::Cleared => {
                Some("Nothing of it is recorded; run again for whatever is still missing.")
            }
            Self::FilledMeanwhile { .. } | Self::Unreadable { .. } | Self::Database(_) => None,
        }
    }

    pub(super) fn unreadable(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Unreadable {
            what: what.into(),
            message: why.to_string(),
        }
    }
}

impl From<sqlx::Error> for StateError {
    fn from(error: sqlx::Error) -> Self {
        if is_busy(&error) {
            Self::Busy
        } else if is_full(&error) {
            Self::Full {
                message: words(&error),
            }
        } else if is_lost(&error) {
            Self::Lost {
                message: words(&error),
            }
        } else {
            Self::Database(error)
        }
    }
}

fn is_full(error: &sqlx::Error) -> bool {
    // 13 is SQLITE_FULL.
    is_out_of_room(error) || sql_state(error).as_deref() == Some("13")
}

fn is_busy(error: &sqlx::Error) -> bool {
    let Some(code) = sql_state(error) else {
        return false;
    };
    // SQLite's primary code is the lower byte: 5 is SQLITE_BUSY. PostgreSQL's have five characters.
    code == "55P03" || (code.len() < 5 && code.parse::<u32>().is_ok_and(|code| code & 0xff == 5))
}

/// The reason in words that mean something to who named the file or the server.
pub(super) fn reason(error: &sqlx::Error) -> String {
    match sql_state(error).as_deref() {
        Some("26") => "it is not a SQLite database".to_owned(),
        Some("8") => "it is read-only".to_owned(),
        _ => words(error),
    }
}

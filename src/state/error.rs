//! Why the state could not be read or written.

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file is no database or cannot be used.
    #[error("state database `{path}` cannot be opened: {message}")]
    Open {
        /// The file.
        path: String,
        /// Why.
        message: String,
    },
    /// A later release has written the file.
    #[error(
        "state database `{path}` has version {found}, but this release of siding knows {known}"
    )]
    NewerVersion {
        /// The file.
        path: String,
        /// Its version.
        found: i64,
        /// The last version that this program can read.
        known: i64,
    },
    /// Somebody else has been writing for longer than we wait.
    #[error("the state database is busy: another process has been writing for over 10 seconds")]
    Busy,
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
            Self::Open { .. } | Self::Unreadable { .. } | Self::Database(_) => None,
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
        // The primary code is the lower byte: 5 is SQLITE_BUSY.
        let code = error
            .as_database_error()
            .and_then(|error| error.code()?.parse::<u32>().ok());
        if code.is_some_and(|code| code & 0xff == 5) {
            Self::Busy
        } else {
            Self::Database(error)
        }
    }
}

/// The reason in words that mean something to who named the file.
pub(super) fn reason(error: &sqlx::Error) -> String {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    match code.as_deref() {
        Some("26") => "it is not a SQLite database".to_owned(),
        Some("8") => "it is read-only".to_owned(),
        _ => error.to_string(),
    }
}

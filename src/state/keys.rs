//! How keys and instants stand in the tables.

use chrono::DateTime;
use chrono::Utc;

use crate::model::ModelName;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::state::StateError;
use crate::state::database::Query;
use crate::state::database::query;

/// Rows of one statement. SQLite finds the name of a bound value by going through all of them, so that a statement with
/// thousands takes longer than many statements.
pub(super) const ROWS_PER_STATEMENT: usize = 64;

/// Milliseconds since 1970; what is finer is not kept.
pub(super) fn millis(instant: DateTime<Utc>) -> i64 {
    instant.timestamp_millis()
}

pub(super) fn instant(millis: i64) -> Result<DateTime<Utc>, StateError> {
    DateTime::from_timestamp_millis(millis)
        .ok_or_else(|| StateError::unreadable("instant", format!("{millis} milliseconds")))
}

pub(super) fn model_name(text: &str) -> Result<ModelName, StateError> {
    text.parse()
        .map_err(|error| StateError::unreadable("model name", error))
}

/// `sql`, which ends with `(name, identifier)`, followed by `IN` and these.
pub(super) fn with_ids(sql: &str, ids: &[SnapshotId]) -> Query {
    let mut query = query(sql);
    query.push_keys(
        ids.iter()
            .map(|id| [id.name.to_string(), id.identifier.clone()]),
    );
    query
}

/// `sql`, which ends with `(name, version)`, followed by `IN` and these.
pub(super) fn with_versions(sql: &str, keys: &[(ModelName, Version)]) -> Query {
    let mut query = query(sql);
    query.push_keys(
        keys.iter()
            .map(|(name, version)| [name.to_string(), version.0.clone()]),
    );
    query
}

/// `sql`, which ends with `name`, followed by `IN` and these.
pub(super) fn with_names(sql: &str, names: &[ModelName]) -> Query {
    let mut query = query(sql);
    query.push_keys(names.iter().map(|name| [name.to_string()]));
    query
}

//! How keys and instants stand in the tables.

use chrono::DateTime;
use chrono::Utc;

use crate::model::ModelName;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::state::StateError;
use crate::state::database::Query;
use crate::state::database::query;

/// Rows of one statement; with up to 13 values each far below the limit on bound values.
pub(super) const ROWS_PER_STATEMENT: usize = 400;

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

/// `sql` followed by `(VALUES (…), (…))` and `)`: put `(name, identifier) IN (` before it.
pub(super) fn with_ids(sql: &str, ids: &[SnapshotId]) -> Query {
    let pairs = ids
        .iter()
        .map(|id| (id.name.to_string(), id.identifier.clone()));
    with_pairs(sql, pairs)
}

/// As [`with_ids`], for `(name, version) IN (`.
pub(super) fn with_versions(sql: &str, keys: &[(ModelName, Version)]) -> Query {
    let pairs = keys
        .iter()
        .map(|(name, version)| (name.to_string(), version.0.clone()));
    with_pairs(sql, pairs)
}

fn with_pairs(sql: &str, pairs: impl Iterator<Item = (String, String)>) -> Query {
    let mut query = query(sql);
    query.push_values(pairs, |row, (first, second)| {
        row.push_bind(first).push_bind(second);
    });
    query.push(")");
    query
}

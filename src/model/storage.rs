//! What a model asks of the engine besides rows.

use serde::Deserialize;
use serde::Serialize;

/// What is asked of the engine besides rows.
///
/// Expressions and values are SQL, as written, with single blanks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// Columns or expressions over one column each.
    pub partitioned_by: Vec<String>,
    /// Columns or expressions over one column each.
    pub clustered_by: Vec<String>,
    /// Such as `iceberg`.
    pub table_format: Option<String>,
    /// Such as `parquet`.
    pub storage_format: Option<String>,
    /// Of the table, sorted by name.
    pub physical_properties: Vec<(String, String)>,
    /// Of the environments' views, sorted by name.
    pub virtual_properties: Vec<(String, String)>,
}

impl Storage {
    /// Whether nothing is asked.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

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
    /// What of the physical properties PostgreSQL has, with a value that is a number, a word or a text without quotes in it.
    pub fn postgres_parameters(&self) -> Vec<(&str, &str)> {
        let pairs = self.physical_properties.iter();
        let known = pairs.filter(|(name, value)| is_postgres_parameter(name) && is_plain(value));
        known
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    /// Whether nothing is asked.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether PostgreSQL has a table parameter of this name, `tablespace` among them.
pub fn is_postgres_parameter(name: &str) -> bool {
    const OTHERS: [&str; 7] = [
        "fillfactor",
        "toast_tuple_target",
        "parallel_workers",
        "vacuum_index_cleanup",
        "vacuum_truncate",
        "log_autovacuum_min_duration",
        "tablespace",
    ];
    let is_word = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    OTHERS.contains(&name) || (name.starts_with("autovacuum_") && is_word)
}

/// Whether a value is one word, number or text, so that nothing else can stand in it.
pub fn is_plain(value: &str) -> bool {
    let inner = ["'", "\""].iter().find_map(|quote| {
        let inner = value.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.is_empty()).then_some(inner)
    });
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    inner.unwrap_or(value).chars().all(is_plain) && !value.is_empty() && !value.contains("--")
}

//! The SQL dialects that a project may name.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

/// A SQL dialect, named as in a project's `dialect` property.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Dialect {
    #[default]
    DuckDb,
    Postgres,
    Redshift,
    Snowflake,
    BigQuery,
    Databricks,
    Spark,
    Trino,
    Athena,
    ClickHouse,
    MySql,
    Tsql,
}

/// The name of a dialect that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown dialect `{0}`")]
pub struct UnknownDialect(pub String);

impl Dialect {
    /// Every dialect with its name.
    pub const ALL: [(&'static str, Self); 12] = [
        ("duckdb", Self::DuckDb),
        ("postgres", Self::Postgres),
        ("redshift", Self::Redshift),
        ("snowflake", Self::Snowflake),
        ("bigquery", Self::BigQuery),
        ("databricks", Self::Databricks),
        ("spark", Self::Spark),
        ("trino", Self::Trino),
        ("athena", Self::Athena),
        ("clickhouse", Self::ClickHouse),
        ("mysql", Self::MySql),
        ("tsql", Self::Tsql),
    ];
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        let name = text.trim().to_ascii_lowercase();
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, dialect)| *dialect)
            .ok_or(UnknownDialect(name))
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = Self::ALL
            .iter()
            .find(|(_, dialect)| dialect == self)
            .expect("every dialect is in the list");
        formatter.write_str(name)
    }
}

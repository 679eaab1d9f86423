//! Warehouses, one file or folder each. SQL text goes in, Arrow batches come out.

mod adapter;
mod duckdb;
mod error;
mod postgres;
mod rows;
mod statement;

#[cfg(test)]
mod contract;

use std::sync::Arc;

pub use adapter::EngineAdapter;
pub use adapter::EngineColumn;
pub use adapter::EngineObject;
pub use adapter::Heir;
pub use adapter::ObjectKind;
pub use adapter::Reader;
pub use adapter::Readers;
pub use adapter::Transaction;
pub use duckdb::DuckDbCatalog;
pub use duckdb::DuckDbConfig;
pub use duckdb::DuckDbDatabase;
pub use duckdb::Sandbox;
pub use error::EngineError;
pub use postgres::PostgresConfig;
pub use postgres::stored_in_postgres;
pub use rows::Moments;
pub use rows::Rows;

/// How to reach a warehouse: one variant per engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionConfig {
    /// DuckDB inside this process.
    DuckDb(DuckDbConfig),
    /// A database on a PostgreSQL server.
    Postgres(Box<PostgresConfig>),
}

/// An open connection to the warehouse that `config` names.
///
/// # Errors
/// [`EngineError::Locked`] if another process has the database open, [`EngineError::Server`] if a server does not let
/// us in, [`EngineError::Connect`] for everything else that keeps it from opening.
pub async fn connect(config: &ConnectionConfig) -> Result<Arc<dyn EngineAdapter>, EngineError> {
    match config {
        ConnectionConfig::DuckDb(config) => Ok(Arc::new(duckdb::open(config.clone()).await?)),
        ConnectionConfig::Postgres(config) => {
            Ok(Arc::new(postgres::open(config.as_ref().clone()).await?))
        }
    }
}

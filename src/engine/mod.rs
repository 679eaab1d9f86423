//! Warehouses, one file or folder each. SQL text goes in, Arrow batches come out.

mod adapter;
mod duckdb;
mod error;
mod rows;
mod statement;

use std::sync::Arc;

pub use adapter::EngineAdapter;
pub use adapter::EngineColumn;
pub use adapter::EngineObject;
pub use adapter::ObjectKind;
pub use adapter::Transaction;
pub use duckdb::DuckDbConfig;
pub use duckdb::DuckDbDatabase;
pub use duckdb::Sandbox;
pub use error::EngineError;
pub use rows::Rows;

/// How to reach a warehouse: one variant per engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionConfig {
    /// DuckDB inside this process.
    DuckDb(DuckDbConfig),
}

/// An open connection to the warehouse that `config` names.
///
/// # Errors
/// [`EngineError::Locked`] if another process has the database open, [`EngineError::Connect`] for
/// everything else that keeps it from opening.
pub async fn connect(config: &ConnectionConfig) -> Result<Arc<dyn EngineAdapter>, EngineError> {
    match config {
        ConnectionConfig::DuckDb(config) => Ok(Arc::new(duckdb::open(config.clone()).await?)),
    }
}

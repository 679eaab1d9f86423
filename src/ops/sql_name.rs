//! Names of tables for people who paste them into SQL.

use crate::engine::stored_in_postgres;
use crate::project::Config;
use crate::project::Connection;
use crate::sql::TableName;

/// The name that `table` has in the warehouse of `config`, as it can stand in SQL; a schema's has no last part.
pub fn sql_name(config: &Config, table: &TableName) -> String {
    match config.gateway().map(|gateway| &gateway.connection) {
        Some(Connection::Postgres(_)) => stored_in_postgres(table).in_sql(),
        Some(Connection::DuckDb { .. } | Connection::Sqlite { .. }) | None => table.in_sql(),
    }
}

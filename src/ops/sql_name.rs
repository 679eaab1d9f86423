//! Names of tables for people who paste them into SQL.

use crate::engine::stored_in_postgres;
use crate::project::Config;
use crate::project::Connection;
use crate::sql::TableName;

/// The name that `table` has in the warehouse of `config`, as it can stand in SQL; a schema's has no last part.
pub fn sql_name(config: &Config, table: &TableName) -> String {
    stored(config, table).in_sql()
}

/// The same, dotted and without quotes, for people and programs.
pub fn plain_name(config: &Config, table: &TableName) -> String {
    let name = stored(config, table).plain();
    name.trim_end_matches('.').to_owned()
}

/// The name that `table` has in the warehouse of `config`, which may keep long ones by other names.
pub fn stored(config: &Config, table: &TableName) -> TableName {
    match config.gateway().map(|gateway| &gateway.connection) {
        Some(Connection::Postgres(_)) => stored_in_postgres(table),
        Some(Connection::DuckDb { .. } | Connection::Sqlite { .. }) | None => table.clone(),
    }
}

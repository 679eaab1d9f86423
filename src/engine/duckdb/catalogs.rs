//! Databases that are attached beside the first: each is a catalog, in a file of its own or in memory.

use std::path::PathBuf;

use ::duckdb::Connection;

use crate::engine::EngineAdapter;
use crate::engine::EngineError;
use crate::engine::duckdb::DuckDb;
use crate::engine::duckdb::DuckDbCatalog;
use crate::engine::duckdb::DuckDbDatabase;
use crate::engine::duckdb::open;
use crate::sql::quote_identifier;
use crate::sql::quote_string;

/// Attaches a database; a file that is missing is made.
pub(super) fn attach(connection: &Connection, catalog: &DuckDbCatalog) -> Result<(), EngineError> {
    let path = match &catalog.database {
        DuckDbDatabase::Memory => PathBuf::from(":memory:"),
        DuckDbDatabase::File(path) => {
            open::resolved(path).map_err(|message| open::failed(path, message))?
        }
    };
    let Some(text) = path.to_str() else {
        let message = format!(
            "the file of the catalog `{}` is not named in UTF-8",
            catalog.name
        );
        return Err(open::failed(&path, message));
    };
    let mut sql = format!(
        "ATTACH {} AS {} (TYPE duckdb",
        quote_string(text),
        quote_identifier(&catalog.name)
    );
    sql.push_str(if catalog.read_only {
        ", READ_ONLY)"
    } else {
        ")"
    });
    connection
        .execute_batch(&sql)
        .map_err(|error| open::failure(&path, &error.to_string()))
}

/// Detaches a catalog in which nothing is left, and removes its file.
pub(super) async fn remove(engine: &DuckDb, catalog: &str) -> Result<(), EngineError> {
    let sql = format!("DETACH {}", quote_identifier(catalog));
    let refused = |message: String| EngineError::Statement {
        sql: sql.clone(),
        message,
    };
    let name = quote_string(catalog);
    let found = engine
        .query(&format!(
            "SELECT path FROM duckdb_databases() WHERE lower(database_name) = lower({name})"
        ))
        .await?;
    let Some(path) = found.strings("path")?.into_iter().next() else {
        return Ok(());
    };
    let left = engine
        .query(&format!(
            "SELECT (SELECT count(*) FROM information_schema.tables WHERE lower(table_catalog) = lower({name}))
                  + (SELECT count(*) FROM duckdb_schemas()
                     WHERE lower(database_name) = lower({name}) AND NOT internal AND schema_name <> 'main')
                  + (SELECT count(*) FROM duckdb_functions()
                     WHERE lower(database_name) = lower({name}) AND NOT internal)
                  + (SELECT count(*) FROM duckdb_sequences() WHERE lower(database_name) = lower({name}))
                  + (SELECT count(*) FROM duckdb_types()
                     WHERE lower(database_name) = lower({name}) AND NOT internal)"
        ))
        .await?;
    if left.single_u64()? != 0 {
        return Err(refused(format!(
            "something is left in the catalog `{catalog}`"
        )));
    }
    engine.execute(&sql).await?;
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(refused(format!("removing `{path}`: {error}")))
        }
        _ => {
            // What it held is in the file since it was detached.
            let log = std::fs::remove_file(format!("{path}.wal"));
            drop(log);
            Ok(())
        }
    }
}

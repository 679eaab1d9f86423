//! PostgreSQL, versions 13 to 17.

mod belongings;
mod error;
mod names;
mod readers;
mod rows;
mod session;
mod transaction;
mod work;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::engine::EngineAdapter;
use crate::engine::EngineColumn;
use crate::engine::EngineError;
use crate::engine::EngineObject;
use crate::engine::Heir;
use crate::engine::ObjectKind;
use crate::engine::Readers;
use crate::engine::Rows;
use crate::engine::Transaction;
use crate::engine::adapter::most_in_plan;
use crate::postgres::PostgresServer;
use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::quote_identifier;
use crate::sql::quote_string;

use names::short;
use names::shortened;
use session::Lease;
use session::Server;
use transaction::PostgresTransaction;

/// How to use a PostgreSQL database as a warehouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresConfig {
    /// Where it is.
    pub server: PostgresServer,
    /// How many transactions may do work at once.
    pub concurrency: NonZeroUsize,
    /// How long one statement may take; `None` means no limit but the server's own.
    pub statement_timeout: Option<Duration>,
    /// Whether the statements come from people whom nobody has reviewed: then the role must not be able to reach
    /// beyond the database.
    pub sandboxed: bool,
}

/// `table` by the names that PostgreSQL keeps.
pub fn stored_in_postgres(table: &TableName) -> TableName {
    TableName {
        catalog: table.catalog.clone(),
        schema: table.schema.as_deref().map(|name| short(name).into_owned()),
        name: short(&table.name).into_owned(),
    }
}

/// Connects and checks that the server is as configured.
pub(super) async fn open(config: PostgresConfig) -> Result<Postgres, EngineError> {
    let sandboxed = config.sandboxed;
    let engine = Postgres {
        server: Server::open(config).await?,
    };
    if sandboxed {
        engine.check_sandbox().await?;
    }
    Ok(engine)
}

/// A PostgreSQL database. Connections are made as they are needed and kept.
pub(super) struct Postgres {
    server: Arc<Server>,
}

/// Whether the role, or the user behind it that any statement may go back to, may read or write files or run programs
/// on the server's machine.
const REACHES_OUT: &str = "SELECT bool_or(rolsuper
     OR pg_has_role(oid, 'pg_execute_server_program', 'MEMBER')
     OR pg_has_role(oid, 'pg_read_server_files', 'MEMBER')
     OR pg_has_role(oid, 'pg_write_server_files', 'MEMBER')) AS reaches_out
 FROM pg_roles WHERE rolname IN (current_user, session_user)";

impl Postgres {
    async fn check_sandbox(&self) -> Result<(), EngineError> {
        let answer = self.query(REACHES_OUT).await?.strings("reaches_out")?;
        if answer == [Some("false".to_owned())] {
            return Ok(());
        }
        Err(EngineError::Connect {
            database: self.server.name().to_owned(),
            message: "this user may reach files and programs of the server's machine, and a pull request's SQL must not: \
                      connect as a `user` that is no superuser"
                .to_owned(),
        })
    }

    /// Runs one statement by itself: in a transaction where it needs several of the server's.
    async fn run_alone(&self, sql: &str) -> Result<u64, EngineError> {
        if sql.starts_with("CREATE OR REPLACE ") || sql.starts_with("CREATE SCHEMA ") {
            let mut transaction = self.begin().await?;
            let written = transaction.execute(sql).await?;
            transaction.commit().await?;
            return Ok(written);
        }
        let lease = Lease::take(&self.server).await?;
        let sql = sql.to_owned();
        let (_lease, written) = lease
            .run(|mut worker| Box::pin(async move { worker.execute(&sql).await }))
            .await?;
        written
    }
}

/// Takes the lock that stands for writing `table`, by this function.
fn writing(function: &str, table: &TableName) -> String {
    let key = quote_string(&format!("siding table {table}"));
    format!("SELECT {function}(hashtextextended({key}, 0))")
}

/// Gives indexes of `table` other names whose own are taken in `schema`: there is one of each name in a schema.
fn free_index_names(table: &TableName, schema: &str) -> String {
    format!(
        "DO $siding$ DECLARE found record; BEGIN
             FOR found IN
                 SELECT index.oid, index.relname FROM pg_catalog.pg_index AS of_table
                 JOIN pg_catalog.pg_class AS index ON index.oid = of_table.indexrelid
                 JOIN pg_catalog.pg_class AS other ON other.relname = index.relname
                 JOIN pg_catalog.pg_namespace AS there ON there.oid = other.relnamespace
                 WHERE of_table.indrelid = {}::regclass AND there.nspname = {}
             LOOP
                 EXECUTE format('ALTER INDEX %s RENAME TO %I', found.oid::regclass,
                                left(found.relname, 48) || '_' || found.oid);
             END LOOP;
         END $siding$",
        quote_string(&shortened(&table.to_string())),
        quote_string(&short(schema))
    )
}

#[async_trait]
impl EngineAdapter for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn stored_name<'name>(&self, name: &'name str) -> Cow<'name, str> {
        short(name)
    }

    fn default_catalog(&self) -> Option<String> {
        Some(self.server.config().server.database.clone())
    }

    fn concurrency(&self) -> usize {
        self.server.config().concurrency.get()
    }

    fn supports_transactional_ddl(&self) -> bool {
        true
    }

    async fn execute(&self, sql: &str) -> Result<u64, EngineError> {
        self.run_alone(sql).await
    }

    async fn query(&self, sql: &str) -> Result<Rows, EngineError> {
        let lease = Lease::take(&self.server).await?;
        let sql = sql.to_owned();
        let (_lease, rows) = lease
            .run(|mut worker| Box::pin(async move { worker.query(&sql).await }))
            .await?;
        rows
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, EngineError> {
        let lease = Lease::take(&self.server).await?;
        Ok(Box::new(PostgresTransaction::begin(lease).await?))
    }

    async fn columns(&self, table: &TableName) -> Result<Option<Vec<EngineColumn>>, EngineError> {
        let lease = Lease::take(&self.server).await?;
        let name = table.to_string();
        let (_lease, columns) = lease
            .run(|mut worker| Box::pin(async move { worker.columns(&name).await }))
            .await?;
        columns
    }

    async fn expected_rows(&self, query: &str) -> Result<Option<u64>, EngineError> {
        let rows = self
            .query(&format!("EXPLAIN (FORMAT JSON) {query}"))
            .await?;
        let plans = rows.strings("QUERY PLAN")?;
        let plan = plans.into_iter().flatten().next().unwrap_or_default();
        Ok(most_in_plan(&plan, "Plan Rows"))
    }

    async fn objects_in(
        &self,
        catalog: Option<&str>,
        schemas: &[String],
    ) -> Result<Vec<EngineObject>, EngineError> {
        // A connection reaches one database.
        let is_here =
            catalog.is_none_or(|catalog| *catalog == self.server.config().server.database);
        if schemas.is_empty() || !is_here {
            return Ok(Vec::new());
        }
        let list: Vec<String> = schemas
            .iter()
            .map(|schema| quote_string(&short(schema)))
            .collect();
        let rows = self
            .query(&format!(
                "SELECT namespace.nspname::text AS schema, class.relname::text AS name, class.relkind::text AS kind
                 FROM pg_catalog.pg_class AS class
                 JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
                 WHERE class.relkind IN ('r', 'p', 'v', 'm', 'f') AND namespace.nspname IN ({})",
                list.join(", ")
            ))
            .await?;
        let names = rows
            .strings("schema")?
            .into_iter()
            .zip(rows.strings("name")?);
        let mut objects: Vec<EngineObject> = names
            .zip(rows.strings("kind")?)
            .map(|((schema, name), kind)| EngineObject {
                table: TableName {
                    catalog: catalog.map(str::to_owned),
                    // By the name that was asked for, even if it is too long to be stored.
                    schema: schemas
                        .iter()
                        .find(|asked| Some(&*short(asked)) == schema.as_deref())
                        .cloned(),
                    name: name.unwrap_or_default(),
                },
                kind: match kind.as_deref() {
                    Some("v") => ObjectKind::View,
                    _ => ObjectKind::Table,
                },
            })
            .collect();
        objects.sort();
        Ok(objects)
    }

    async fn validate(&self, query: &str) -> Result<Vec<EngineColumn>, EngineError> {
        let lease = Lease::take(&self.server).await?;
        let query = query.to_owned();
        let (_lease, columns) = lease
            .run(|mut worker| {
                Box::pin(async move {
                    worker.control("BEGIN").await?;
                    let columns = worker.shape(&query).await;
                    match worker.control("ROLLBACK").await {
                        // Then the connection is gone, or will be: nobody may find it in a transaction.
                        Err(error) if columns.is_ok() => Err(error),
                        _ => columns,
                    }
                })
            })
            .await?;
        columns
    }

    async fn readers(&self, tables: &[TableName]) -> Result<Vec<Readers>, EngineError> {
        readers::of(self, tables).await
    }

    fn interrupt(&self) {
        self.server.interrupt();
    }

    fn by_bytes(&self, text: &str) -> String {
        format!("{text} COLLATE \"C\"")
    }

    fn type_name<'name>(&self, name: &'name str) -> Cow<'name, str> {
        match name.eq_ignore_ascii_case("DOUBLE") {
            true => Cow::Borrowed("DOUBLE PRECISION"),
            false => Cow::Borrowed(name),
        }
    }

    fn lock_for_writing(&self, table: &TableName) -> Option<String> {
        Some(writing("pg_advisory_xact_lock_shared", table))
    }

    fn wait_for_writers(&self, table: &TableName) -> Option<String> {
        Some(writing("pg_advisory_xact_lock", table))
    }

    fn move_table(&self, from: &TableName, to: &TableName) -> Vec<String> {
        // On the way it has a name that is nobody's in either schema.
        let hash = blake3::hash(format!("{from} {to}").as_bytes()).to_hex();
        let on_the_way = |place: &TableName| TableName {
            name: format!("siding_moving_{}", &hash[..24]),
            ..place.clone()
        };
        let schema = quote_identifier(to.schema.as_deref().unwrap_or("public"));
        let rename = |table: &TableName, name: &str| {
            format!("ALTER TABLE {table} RENAME TO {}", quote_identifier(name))
        };
        vec![
            rename(from, &on_the_way(from).name),
            free_index_names(&on_the_way(from), to.schema.as_deref().unwrap_or("public")),
            format!("ALTER TABLE {} SET SCHEMA {schema}", on_the_way(from)),
            rename(&on_the_way(to), &to.name),
        ]
    }

    fn copies_to_move(&self) -> bool {
        false
    }

    async fn belongings(&self, heir: Heir<'_>) -> Result<Vec<String>, EngineError> {
        Ok(belongings::copy(heir.from, heir.to))
    }

    fn usual_rights(&self, table: &TableName) -> Vec<String> {
        vec![belongings::usual(table)]
    }

    fn views_follow_tables(&self) -> bool {
        true
    }

    fn set_storage(&self, table: &TableName, parameters: &[(&str, &str)]) -> Vec<String> {
        let of_table = parameters.iter().map(|(name, value)| match *name {
            "tablespace" => {
                let name = value.trim_matches(['\'', '"']);
                format!(
                    "ALTER TABLE {table} SET TABLESPACE {}",
                    quote_identifier(name)
                )
            }
            name => format!("ALTER TABLE {table} SET ({name} = {value})"),
        });
        of_table.collect()
    }

    fn supports_merge(&self) -> bool {
        self.server.version().has_merge()
    }

    fn create_schema(&self, catalog: Option<&str>, schema: &str) -> String {
        let mut name = quote_identifier(schema);
        // The server knows schemas of its one database, without its name.
        if let Some(catalog) = catalog
            && *catalog != self.server.config().server.database
        {
            name = format!("{}.{name}", quote_identifier(catalog));
        }
        format!("CREATE SCHEMA IF NOT EXISTS {name}")
    }
}

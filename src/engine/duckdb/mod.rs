//! DuckDB inside this process.

mod belongings;
mod catalogs;
mod instance;
mod open;
mod transaction;
mod worker;

#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::engine::EngineAdapter;
use crate::engine::EngineColumn;
use crate::engine::EngineError;
use crate::engine::EngineObject;
use crate::engine::Heir;
use crate::engine::ObjectKind;
use crate::engine::Rows;
use crate::engine::Transaction;
use crate::engine::adapter::most_in_plan;
use crate::engine::statement::is_single;
use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::quote_string;

use instance::Instance;
use instance::Lease;
use transaction::DuckDbTransaction;

/// Where the rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DuckDbDatabase {
    /// Gone with the last connection.
    Memory,
    /// One file; made if it is missing, in a folder that exists.
    File(PathBuf),
}

/// Another database that is attached under a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuckDbCatalog {
    /// What SQL calls it.
    pub name: String,
    /// Where its rows are; a file is made if it is missing.
    pub database: DuckDbDatabase,
    /// Attaches an existing file and writes nothing to it.
    pub read_only: bool,
}

/// How to open a DuckDB database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuckDbConfig {
    /// Where the rows are.
    pub database: DuckDbDatabase,
    /// Attached beside it, before a sandbox closes.
    pub catalogs: Vec<DuckDbCatalog>,
    /// The one of `catalogs` that names without a catalog are in; `None` means the database itself.
    pub default_catalog: Option<String>,
    /// How many transactions may do work at once.
    pub concurrency: NonZeroUsize,
    /// Opens an existing file and writes nothing.
    pub read_only: bool,
    /// Folder that relative file names in SQL start from; `None` means where the process runs.
    /// A sandbox judges a relative name by where the process runs, so there it must run in this folder.
    pub file_root: Option<PathBuf>,
    /// Whether descriptions of models go into the warehouse.
    pub register_comments: bool,
    /// Most threads of the whole database; `None` means one per core.
    pub threads: Option<NonZeroUsize>,
    /// Most memory, such as `2GB`; `None` means 80 % of the machine's.
    pub memory_limit: Option<String>,
    /// What SQL may not reach; `None` lets it read and write every file that the process can.
    pub sandbox: Option<Sandbox>,
}

/// Keeps SQL inside: no network, no extensions, no files but those below some folders.
///
/// DuckDB also lets SQL write below the allowed folders and attach the database's own file again,
/// so what must stay as it is needs `read_only` and the rights of the operating system besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Folders whose files SQL may open.
    pub allowed_directories: Vec<PathBuf>,
}

impl DuckDbConfig {
    /// The database with one transaction at a time and no further settings.
    pub fn new(database: DuckDbDatabase) -> Self {
        Self {
            database,
            catalogs: Vec::new(),
            default_catalog: None,
            concurrency: NonZeroUsize::MIN,
            read_only: false,
            file_root: None,
            register_comments: true,
            threads: None,
            memory_limit: None,
            sandbox: None,
        }
    }
}

/// Opens the database, or joins it if this process has it open already.
pub(super) async fn open(config: DuckDbConfig) -> Result<DuckDb, EngineError> {
    let concurrency = config.concurrency.get();
    let register_comments = config.register_comments;
    let instance = tokio::task::spawn_blocking(move || open::open(config))
        .await
        .map_err(|panic| EngineError::Closed {
            message: panic.to_string(),
        })??;
    Ok(DuckDb {
        instance,
        concurrency,
        register_comments,
    })
}

/// An open DuckDB database. Connections are made as they are needed and kept.
pub(super) struct DuckDb {
    instance: Arc<Instance>,
    concurrency: usize,
    register_comments: bool,
}

impl DuckDb {
    /// `catalog = … AND schema = … AND name = …` over the columns of `information_schema`.
    fn is_table(&self, table: &TableName) -> String {
        let catalog = table
            .catalog
            .as_deref()
            .unwrap_or(self.instance.default_catalog());
        let schema = table.schema.as_deref().unwrap_or("main");
        // Names are the same in any case, as everywhere in DuckDB.
        format!(
            "lower(table_catalog) = lower({}) AND lower(table_schema) = lower({}) AND lower(table_name) = lower({})",
            quote_string(catalog),
            quote_string(schema),
            quote_string(&table.name),
        )
    }
}

impl DuckDb {
    /// Whether a view has the name, of which all parts are given: one that is broken says that what it reads is missing.
    async fn is_view(&self, name: &TableName) -> Result<bool, EngineError> {
        let part = |part: &Option<String>| quote_string(part.as_deref().unwrap_or_default());
        let sql = format!(
            "SELECT count(*) FROM duckdb_views() WHERE lower(view_name) = lower({})
             AND lower(schema_name) = lower({}) AND lower(database_name) = lower({})",
            quote_string(&name.name),
            part(&name.schema),
            part(&name.catalog),
        );
        Ok(self.query(&sql).await?.single_u64()? > 0)
    }
}

#[async_trait]
impl EngineAdapter for DuckDb {
    fn dialect(&self) -> Dialect {
        Dialect::DuckDb
    }

    fn default_catalog(&self) -> Option<String> {
        Some(self.instance.default_catalog().to_owned())
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn waits_for_others(&self) -> bool {
        false
    }

    fn registers_comments(&self) -> bool {
        self.register_comments
    }

    fn supports_transactional_ddl(&self) -> bool {
        true
    }

    async fn execute(&self, sql: &str) -> Result<u64, EngineError> {
        let lease = Lease::take(&self.instance)?;
        let (_lease, written) = lease.run(sql, instance::execute).await?;
        written
    }

    async fn query(&self, sql: &str) -> Result<Rows, EngineError> {
        let lease = Lease::take(&self.instance)?;
        let (_lease, rows) = lease.run(sql, instance::query).await?;
        rows
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, EngineError> {
        let lease = Lease::take(&self.instance)?;
        Ok(Box::new(DuckDbTransaction::begin(lease)))
    }

    async fn expected_rows(&self, query: &str) -> Result<Option<u64>, EngineError> {
        let rows = self
            .query(&format!("EXPLAIN (FORMAT json) {query}"))
            .await?;
        let plans = rows.strings("explain_value")?;
        let plan = plans.into_iter().flatten().next().unwrap_or_default();
        Ok(most_in_plan(&plan, "Estimated Cardinality"))
    }

    async fn columns(&self, table: &TableName) -> Result<Option<Vec<EngineColumn>>, EngineError> {
        // Much cheaper than the catalog's views, which list everything; of a view that is broken only those know.
        if let Some(schema) = &table.schema {
            let default = self.instance.default_catalog();
            let full = TableName {
                catalog: Some(table.catalog.as_deref().unwrap_or(default).to_owned()),
                schema: Some(schema.clone()),
                name: table.name.clone(),
            };
            match self.query(&format!("DESCRIBE {full}")).await {
                Ok(rows) => return engine_columns(&rows, "column_name", "column_type").map(Some),
                Err(EngineError::MissingObject { .. }) if !self.is_view(&full).await? => {
                    return Ok(None);
                }
                Err(_) => {}
            }
        }
        let rows = self
            .query(&format!(
                "SELECT column_name, data_type FROM information_schema.columns
                 WHERE {} ORDER BY ordinal_position",
                self.is_table(table)
            ))
            .await?;
        let columns = engine_columns(&rows, "column_name", "data_type")?;
        Ok((!columns.is_empty()).then_some(columns))
    }

    async fn objects_in(
        &self,
        catalog: Option<&str>,
        schemas: &[String],
    ) -> Result<Vec<EngineObject>, EngineError> {
        if schemas.is_empty() {
            return Ok(Vec::new());
        }
        let schemas: Vec<String> = schemas
            .iter()
            .map(|schema| format!("lower({})", quote_string(schema)))
            .collect();
        let rows = self
            .query(&format!(
                "SELECT table_schema, table_name, table_type FROM information_schema.tables
                 WHERE lower(table_catalog) = lower({}) AND lower(table_schema) IN ({})",
                quote_string(catalog.unwrap_or(self.instance.default_catalog())),
                schemas.join(", ")
            ))
            .await?;
        let schemas = rows.strings("table_schema")?;
        let names = rows.strings("table_name")?;
        let kinds = rows.strings("table_type")?;
        let mut objects: Vec<EngineObject> = schemas
            .into_iter()
            .zip(names)
            .zip(kinds)
            .map(|((schema, name), kind)| EngineObject {
                table: TableName {
                    catalog: catalog.map(str::to_owned),
                    schema,
                    name: name.unwrap_or_default(),
                },
                kind: match kind.as_deref() {
                    Some("VIEW") => ObjectKind::View,
                    _ => ObjectKind::Table,
                },
            })
            .collect();
        objects.sort();
        Ok(objects)
    }

    async fn validate(&self, query: &str) -> Result<Vec<EngineColumn>, EngineError> {
        if !is_single(query) {
            return Err(EngineError::more_than_one(query));
        }
        let query = query.trim().trim_end_matches(';');
        // The line break ends a comment that the query may end in.
        let lease = Lease::take(&self.instance)?;
        let sql = format!("DESCRIBE SELECT * FROM (\n{query}\n)");
        let (_lease, rows) = lease.run(&sql, instance::query).await?;
        engine_columns(&rows?, "column_name", "column_type")
    }

    fn interrupt(&self) {
        self.instance.interrupt();
    }

    async fn belongings(&self, heir: Heir<'_>) -> Result<Vec<String>, EngineError> {
        belongings::copy(self, heir).await
    }

    async fn drop_catalog(&self, catalog: &str) -> Result<(), EngineError> {
        catalogs::remove(self, catalog).await
    }
}

fn engine_columns(
    rows: &Rows,
    name: &str,
    data_type: &str,
) -> Result<Vec<EngineColumn>, EngineError> {
    let names = rows.strings(name)?.into_iter().flatten();
    let types = rows.strings(data_type)?.into_iter().flatten();
    Ok(names
        .zip(types)
        .map(|(name, data_type)| EngineColumn { name, data_type })
        .collect())
}

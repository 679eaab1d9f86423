//! What everything above needs from a warehouse.

use std::borrow::Cow;
use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;

use crate::engine::EngineError;
use crate::engine::Rows;
use crate::sql::Dialect;
use crate::sql::TableName;
use crate::sql::quote_identifier;
use crate::sql::quote_string;

/// A column as the engine knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineColumn {
    /// As stored.
    pub name: String,
    /// In the engine's own words, such as `DECIMAL(18,3)`.
    pub data_type: String,
}

impl EngineColumn {
    /// Whether it is of one of PostgreSQL's types that know no equality, or take areas for it.
    pub fn is_without_equality(&self, dialect: Dialect) -> bool {
        const WITHOUT: [&str; 9] = [
            "JSON", "XML", "POINT", "LINE", "LSEG", "BOX", "PATH", "POLYGON", "CIRCLE",
        ];
        let element = self.data_type.trim_end_matches("[]");
        dialect == Dialect::Postgres && WITHOUT.contains(&element)
    }
}

/// What a name of the warehouse stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// Holds rows.
    Table,
    /// Holds a query.
    View,
}

/// A table or view that exists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EngineObject {
    /// Its name; without a catalog if that is the default one.
    pub table: TableName,
    /// What it is.
    pub kind: ObjectKind,
}

/// What others have on a table that stays with it when another table gets its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readers {
    /// Statements that give whatever has the name exactly the rights on it that others have, with its rules and its owner.
    pub rights: Vec<String>,
    /// Whether they include something that only a table can have.
    pub needs_table: bool,
    /// What stays with this very table and cannot be given to another one, in words.
    pub tied: Vec<String>,
    /// What stands on the table.
    pub views: Vec<Reader>,
}

/// A table that has the rows of another one and is to have what else that has.
#[derive(Clone, Copy, Debug)]
pub struct Heir<'a> {
    /// The one that has it.
    pub from: &'a TableName,
    /// The one that gets it, as far as it has the columns.
    pub to: &'a TableName,
    /// Columns that it lacks, or has with another type.
    pub lacks: &'a [String],
    /// Tables that will be gone by then, so that names of what they have are free.
    pub gone: &'a [TableName],
}

/// A view that stands on a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Its name, without a catalog.
    pub view: TableName,
    /// The statement that makes it anew over whatever has the names that it reads; `None` where only its owner could, or
    /// it holds rows of its own.
    pub again: Option<String>,
}

/// The largest number that any operator of a plan as JSON has under `key`: what the busiest one expects.
pub(super) fn most_in_plan(plan: &str, key: &str) -> Option<u64> {
    fn most(value: &Value, key: &str) -> Option<u64> {
        match value {
            Value::Array(values) => values.iter().filter_map(|value| most(value, key)).max(),
            Value::Object(fields) => {
                let number = |value: &Value| {
                    let text = value.as_str().and_then(|text| text.parse().ok());
                    value.as_u64().or(text)
                };
                let own = fields.get(key).and_then(number);
                let within = fields.values().filter_map(|value| most(value, key)).max();
                own.max(within)
            }
            _ => None,
        }
    }
    most(&serde_json::from_str(plan).ok()?, key)
}

/// What the scheduler needs from a warehouse, and nothing more.
///
/// Every method that takes SQL takes exactly one statement; more than one is an error and none of
/// them runs. Dropping a future that is not done interrupts its statement.
#[async_trait]
pub trait EngineAdapter: Send + Sync {
    /// The dialect that statements are written in.
    fn dialect(&self) -> Dialect;

    /// The catalog of names that name none; `None` where the engine has no catalogs.
    fn default_catalog(&self) -> Option<String>;

    /// How many transactions may do work at once. Callers keep to it; nothing here waits for it.
    fn concurrency(&self) -> usize;

    /// Whether `CREATE` and `DROP` inside a transaction are invisible until its commit.
    fn supports_transactional_ddl(&self) -> bool;

    /// Runs one statement by itself and returns the number of rows that it wrote.
    async fn execute(&self, sql: &str) -> Result<u64, EngineError>;

    /// Runs one statement by itself and returns its rows.
    async fn query(&self, sql: &str) -> Result<Rows, EngineError>;

    /// Opens a transaction that sees what is committed when its first statement runs.
    async fn begin(&self) -> Result<Box<dyn Transaction>, EngineError>;

    /// The columns of a table or view in order; `None` if there is no such object.
    async fn columns(&self, table: &TableName) -> Result<Option<Vec<EngineColumn>>, EngineError>;

    /// The tables and views in `schemas` of the default catalog, sorted. Unknown schemas hold none.
    async fn objects(&self, schemas: &[String]) -> Result<Vec<EngineObject>, EngineError> {
        self.objects_in(None, schemas).await
    }

    /// The same of `catalog`, which the names then have; `None` means the default one. A catalog that is not there holds
    /// none.
    async fn objects_in(
        &self,
        catalog: Option<&str>,
        schemas: &[String],
    ) -> Result<Vec<EngineObject>, EngineError>;

    /// Removes a catalog in which nothing is left, with the file that it is in. Succeeds when there is none.
    ///
    /// # Errors
    /// When something is in it, and where the engine makes no catalogs.
    async fn drop_catalog(&self, catalog: &str) -> Result<(), EngineError> {
        Err(EngineError::Statement {
            sql: format!("DROP CATALOG {}", quote_identifier(catalog)),
            message: "this engine has no catalogs to drop".to_owned(),
        })
    }

    /// The columns that `query` would give. Runs nothing: an error means that the engine refuses it.
    async fn validate(&self, query: &str) -> Result<Vec<EngineColumn>, EngineError>;

    /// How many rows the engine expects the busiest step of `query` to handle, by its plan: read, joined or given. Runs
    /// nothing; `None` where it does not say.
    async fn expected_rows(&self, _query: &str) -> Result<Option<u64>, EngineError> {
        Ok(None)
    }

    /// What others have on each of `tables`, in that order; nothing where rights and views go by names.
    async fn readers(&self, tables: &[TableName]) -> Result<Vec<Readers>, EngineError> {
        Ok(vec![Readers::default(); tables.len()])
    }

    /// Stops what runs now on any connection of this adapter; those statements end in
    /// [`EngineError::Interrupted`]. What starts later is not affected.
    fn interrupt(&self);

    /// `name` as the engine keeps it: some cut long ones.
    fn stored_name<'name>(&self, name: &'name str) -> Cow<'name, str> {
        Cow::Borrowed(name)
    }

    /// `table` as [`objects`](Self::objects) calls it.
    fn listed(&self, table: &TableName) -> TableName {
        TableName {
            name: self.stored_name(&table.name).into_owned(),
            ..table.clone()
        }
    }

    /// `text`, an expression, such that comparisons with it go by its bytes: some databases sort texts as people do.
    fn by_bytes(&self, text: &str) -> String {
        text.to_owned()
    }

    /// What the engine calls a type that Siding found itself, in the values of a seed.
    fn type_name<'name>(&self, name: &'name str) -> Cow<'name, str> {
        Cow::Borrowed(name)
    }

    /// Makes a schema unless it exists.
    fn create_schema(&self, catalog: Option<&str>, schema: &str) -> String {
        let mut name = quote_identifier(schema);
        if let Some(catalog) = catalog {
            name = format!("{}.{name}", quote_identifier(catalog));
        }
        format!("CREATE SCHEMA IF NOT EXISTS {name}")
    }

    /// Makes a view or points an existing one at `query`. Fails if a table has the name.
    fn create_or_replace_view(&self, view: &TableName, query: &str) -> Vec<String> {
        vec![format!("CREATE OR REPLACE VIEW {view} AS {query}")]
    }

    /// Fills a table with exactly the rows of `query`, with its columns. Fails if a view has the name.
    fn create_or_replace_table_as(&self, table: &TableName, query: &str) -> Vec<String> {
        vec![format!("CREATE OR REPLACE TABLE {table} AS {query}")]
    }

    /// Makes a table with the rows of `query`, unless a table has the name.
    fn create_table_as_if_absent(&self, table: &TableName, query: &str) -> String {
        format!("CREATE TABLE IF NOT EXISTS {table} AS {query}")
    }

    /// Makes an empty table with these columns, unless a table has the name.
    fn create_table_if_absent(&self, table: &TableName, columns: &[EngineColumn]) -> String {
        let columns: Vec<String> = columns
            .iter()
            .map(|column| format!("{} {}", quote_identifier(&column.name), column.data_type))
            .collect();
        format!(
            "CREATE TABLE IF NOT EXISTS {table} ({})",
            columns.join(", ")
        )
    }

    /// Adds the rows of `query`, whose columns are `columns` in that order.
    fn insert(&self, table: &TableName, columns: &[String], query: &str) -> String {
        let columns: Vec<String> = columns.iter().map(|name| quote_identifier(name)).collect();
        format!("INSERT INTO {table} ({}) {query}", columns.join(", "))
    }

    /// Makes a table with the rows of `query` that only this transaction's connection sees, until it is dropped.
    fn create_temporary_table_as(&self, name: &str, query: &str) -> String {
        let name = quote_identifier(name);
        format!("CREATE TEMPORARY TABLE {name} AS {query}")
    }

    /// Whether [`merge`](Self::merge) gives what the engine runs.
    fn supports_merge(&self) -> bool {
        true
    }

    /// Compares `table` as `target` with the rows of `source` under `on`: `matched` are the `WHEN MATCHED …` clauses,
    /// rows without a match are added with these columns. `source` is a table or a query in brackets.
    fn merge(
        &self,
        table: &TableName,
        source: &str,
        on: &str,
        matched: &str,
        columns: &[String],
    ) -> String {
        let columns: Vec<String> = columns.iter().map(|name| quote_identifier(name)).collect();
        let values: Vec<String> = columns
            .iter()
            .map(|name| format!("\"source\".{name}"))
            .collect();
        format!(
            "MERGE INTO {table} AS \"target\" USING {source} AS \"source\" ON {on} {matched} \
             WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
            columns.join(", "),
            values.join(", ")
        )
    }

    /// Whether a transaction that changes what another one is changing waits for its end; otherwise it fails at once.
    fn waits_for_others(&self) -> bool {
        true
    }

    /// As a transaction's first statement: says until its end that a table is written. Transactions that say so do not wait
    /// for each other. `None` where only one process writes.
    fn lock_for_writing(&self, _table: &TableName) -> Option<String> {
        None
    }

    /// Waits until no transaction that said so before writes the table any more, and holds up those that say so later until
    /// the end of its own. `None` where only one process writes.
    fn wait_for_writers(&self, _table: &TableName) -> Option<String> {
        None
    }

    /// Removes the rows with `start <= column < end`; both ends are SQL expressions.
    fn delete_range(&self, table: &TableName, column: &str, start: &str, end: &str) -> String {
        let column = quote_identifier(column);
        format!("DELETE FROM {table} WHERE {column} >= {start} AND {column} < {end}")
    }

    /// Removes a table if it exists. Never takes what depends on it along.
    fn drop_table(&self, table: &TableName) -> String {
        format!("DROP TABLE IF EXISTS {table}")
    }

    /// Removes a view if it exists. Never takes what depends on it along.
    fn drop_view(&self, view: &TableName) -> String {
        format!("DROP VIEW IF EXISTS {view}")
    }

    /// Renames a view within its schema.
    fn rename_view(&self, view: &TableName, name: &str) -> String {
        format!("ALTER VIEW {view} RENAME TO {}", quote_identifier(name))
    }

    /// Gives the table `from`, with its rows, the name `to`, which nothing has and whose schema is there, in the same
    /// catalog. Where the engine only renames within a schema, the rows are copied.
    fn move_table(&self, from: &TableName, to: &TableName) -> Vec<String> {
        vec![
            format!("CREATE TABLE {to} AS SELECT * FROM {from}"),
            format!("DROP TABLE {from}"),
        ]
    }

    /// Whether [`move_table`](Self::move_table) copies, so that what else the table has must be given to the copy.
    fn copies_to_move(&self) -> bool {
        true
    }

    /// Statements that give a table what another one has besides rows: defaults, constraints, indexes, comments.
    async fn belongings(&self, heir: Heir<'_>) -> Result<Vec<String>, EngineError>;

    /// Statements that give a table, moved into its schema, the rights that new tables have there.
    fn usual_rights(&self, _table: &TableName) -> Vec<String> {
        Vec::new()
    }

    /// Whether a view goes on reading its table under another name; otherwise it reads whatever has the name.
    fn views_follow_tables(&self) -> bool {
        false
    }

    /// Statements that give a table storage parameters of PostgreSQL, each with its value as SQL; none where the engine has
    /// no such thing.
    fn set_storage(&self, _table: &TableName, _parameters: &[(&str, &str)]) -> Vec<String> {
        Vec::new()
    }

    /// Whether descriptions are wanted in the warehouse.
    fn registers_comments(&self) -> bool {
        true
    }

    /// Describes an object and its columns to whoever browses the warehouse; an empty text takes back what was said.
    fn comments(
        &self,
        object: &EngineObject,
        description: Option<&str>,
        columns: &BTreeMap<String, String>,
    ) -> Vec<String> {
        let kind = match object.kind {
            ObjectKind::Table => "TABLE",
            ObjectKind::View => "VIEW",
        };
        let table = &object.table;
        let literal = |text: &str| match text {
            "" => "NULL".to_owned(),
            text => quote_string(text),
        };
        let whole = description
            .map(|text| format!("COMMENT ON {kind} {table} IS {}", literal(text)))
            .into_iter();
        let parts = columns.iter().map(|(column, text)| {
            format!(
                "COMMENT ON COLUMN {table}.{} IS {}",
                quote_identifier(column),
                literal(text)
            )
        });
        whole.chain(parts).collect()
    }
}

/// Statements that take effect together or not at all.
///
/// Dropping it without [`commit`](Self::commit) rolls it back. After a failed statement only
/// [`rollback`](Self::rollback) makes sense.
#[async_trait]
pub trait Transaction: Send {
    /// Runs one statement and returns the number of rows that it wrote.
    async fn execute(&mut self, sql: &str) -> Result<u64, EngineError>;

    /// Runs statements in order, up to the first that fails; faster than one by one where there are
    /// many, such as the views of a switch.
    async fn execute_all(&mut self, statements: &[String]) -> Result<(), EngineError> {
        for sql in statements {
            self.execute(sql).await?;
        }
        Ok(())
    }

    /// Runs statements in order, up to the first that fails, and returns the number of rows that the last one wrote. The
    /// error names the statement that failed.
    async fn execute_each(&mut self, statements: &[String]) -> Result<u64, EngineError> {
        let mut written = 0;
        for sql in statements {
            written = self.execute(sql).await?;
        }
        Ok(written)
    }

    /// Runs one statement and returns its rows; sees what this transaction wrote.
    async fn query(&mut self, sql: &str) -> Result<Rows, EngineError>;

    /// Runs queries in order, up to the first that fails. The rows of those before it come back beside the error.
    async fn query_each(&mut self, queries: &[String]) -> (Vec<Rows>, Result<(), EngineError>) {
        let mut answers = Vec::new();
        for sql in queries {
            match self.query(sql).await {
                Ok(rows) => answers.push(rows),
                Err(error) => return (answers, Err(error)),
            }
        }
        (answers, Ok(()))
    }

    /// Makes everything visible at once. An error means that nothing became visible.
    async fn commit(self: Box<Self>) -> Result<(), EngineError>;

    /// Takes everything back.
    async fn rollback(self: Box<Self>) -> Result<(), EngineError>;
}

//! Running one statement: what PostgreSQL has, and the two of ours that it lacks.
//!
//! `CREATE OR REPLACE TABLE … AS` does not exist, and `CREATE OR REPLACE VIEW` refuses other columns than before. Both
//! are carried out here, for names that are quoted, which is how the adapter's builders write them.

use sqlx::AssertSqlSafe;
use sqlx::Column;
use sqlx::Either;
use sqlx::Executor;
use sqlx::Row;
use sqlx::Statement;
use sqlx::TypeInfo;
use sqlx::ValueRef;

use futures::StreamExt;

use crate::engine::EngineColumn;
use crate::engine::EngineError;
use crate::engine::Rows;
use crate::engine::postgres::belongings::kept_rights;
use crate::engine::postgres::names::shortened;
use crate::engine::postgres::rows::Column as TextColumn;
use crate::engine::postgres::rows::to_rows;
use crate::engine::postgres::rows::type_words;
use crate::engine::postgres::session::Worker;
use crate::engine::statement::is_single;
use crate::engine::statement::token_length;
use crate::postgres::sql_state;
use crate::sql::quote_identifier;
use crate::sql::quote_string;

const REPLACE_TABLE: &str = "CREATE OR REPLACE TABLE ";
const REPLACE_VIEW: &str = "CREATE OR REPLACE VIEW ";
const CREATE_SCHEMA: &str = "CREATE SCHEMA IF NOT EXISTS ";

/// How many statements of a switch the server gets at a time.
const AT_ONCE: usize = 200;

/// The view that shows what columns a query has; never committed.
const SHAPE: &str = "pg_temp.\"siding_shape\"";

/// What a statement did.
#[derive(Default)]
struct Done {
    written: u64,
    columns: Vec<TextColumn>,
}

/// An error with the server's code for it.
struct Failure {
    state: Option<String>,
    error: EngineError,
}

/// There is no such table or schema.
const MISSING: &str = "42P01";

/// It is a view, say.
const NOT_A_TABLE: &str = "42809";

/// A table of that name is there.
const ALREADY_THERE: &str = "42P07";

/// A view cannot be replaced by one with other columns.
const OTHER_COLUMNS: &str = "42P16";

/// Other objects depend on what should be dropped.
const NEEDED: &str = "2BP01";

impl Failure {
    fn is(&self, state: &str) -> bool {
        self.state.as_deref() == Some(state)
    }

    /// What was not there a moment ago and is there now is another transaction's.
    fn if_made_meanwhile(self) -> EngineError {
        match self.error {
            EngineError::Statement { sql, message }
                if self.state.as_deref() == Some(ALREADY_THERE) =>
            {
                EngineError::Conflict { sql, message }
            }
            other => other,
        }
    }

    /// Says `why` a drop was tried, if it failed because others depend on the object.
    fn unless_needed(self, why: impl Fn() -> String) -> EngineError {
        match self.error {
            EngineError::Statement { message, .. } if self.state.as_deref() == Some(NEEDED) => {
                let message = format!(
                    "{}, but {message}; change or drop what depends on it, then try again",
                    why()
                );
                EngineError::Needed { message }
            }
            other => other,
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self { state: None, error }
    }
}

impl Worker<'_> {
    /// Runs one statement and returns how many rows it wrote. Needs a transaction for the statements of ours.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<u64, EngineError> {
        if let Some((table, query)) = split(sql, REPLACE_TABLE) {
            return self.replace_table(table, query).await;
        }
        if let Some((view, query)) = split(sql, REPLACE_VIEW) {
            return self.replace_view(sql, view, query).await;
        }
        if let Some(schema) = sql.strip_prefix(CREATE_SCHEMA) {
            return self.create_schema(sql, schema).await;
        }
        Ok(self.run(sql, false).await?.written)
    }

    /// Runs statements in order, up to the first that fails; needs a transaction.
    pub(super) async fn execute_all(&mut self, statements: &[String]) -> Result<(), EngineError> {
        for some in statements.chunks(AT_ONCE) {
            let is_ordinary = |sql: &String| {
                is_single(sql) && !sql.starts_with(REPLACE_TABLE) && !sql.starts_with(CREATE_SCHEMA)
            };
            if some.len() > 1 && some.iter().all(is_ordinary) && self.at_once(some).await? {
                continue;
            }
            for sql in some {
                self.execute(sql).await?;
            }
        }
        Ok(())
    }

    /// Runs all of these, each of which is one statement, without waiting for each answer. Gives `false` if one of them
    /// failed and none has an effect: one by one, it turns out which, or that a view only needs to be made anew.
    async fn at_once(&mut self, statements: &[String]) -> Result<bool, EngineError> {
        // By itself: of a text that cannot be read as a whole, not even the beginning takes place.
        self.savepoint("SAVEPOINT siding").await?;
        let mut text = String::new();
        for sql in statements {
            text.push_str(&shortened(sql.trim().trim_end_matches(';')));
            // The line break ends a comment that the statement may end in.
            text.push_str("\n;\n");
        }
        text.push_str("RELEASE SAVEPOINT siding");
        tracing::trace!(sql = text);
        let connection = self.connection(&text)?;
        let done = connection
            .execute(sqlx::raw_sql(AssertSqlSafe(text.clone())))
            .await;
        let Err(error) = done else {
            return Ok(true);
        };
        match self.error(&text, &error) {
            EngineError::Statement { .. } | EngineError::MissingObject { .. } => {
                self.savepoint("ROLLBACK TO SAVEPOINT siding").await?;
                Ok(false)
            }
            other => Err(other),
        }
    }

    /// Runs one statement and returns its rows.
    pub(super) async fn query(&mut self, sql: &str) -> Result<Rows, EngineError> {
        let mut done = self.run(sql, true).await?;
        if done.columns.is_empty() {
            // Without rows the answer has not said what columns there are.
            let text = shortened(sql).into_owned();
            let connection = self.connection(sql)?;
            let described = connection.prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(text)));
            if let Ok(statement) = described.await {
                let columns = statement.columns().iter();
                done.columns = columns
                    .map(|column| TextColumn::new(column.name(), column.type_info().name()))
                    .collect();
            }
        }
        to_rows(done.columns)
    }

    /// Makes everything visible.
    pub(super) async fn commit(&mut self) -> Result<(), EngineError> {
        // A failed transaction takes COMMIT for ROLLBACK and says that all is well; it refuses any SELECT.
        match self.control("SELECT 1; COMMIT").await {
            Err(EngineError::Lost {
                server, message, ..
            }) => Err(EngineError::CommitUnknown { server, message }),
            done => done,
        }
    }

    /// Begins, ends or undoes a transaction.
    pub(super) async fn control(&mut self, sql: &'static str) -> Result<(), EngineError> {
        let connection = self.connection(sql)?;
        let done = connection.execute(sql).await;
        done.map(drop).map_err(|error| self.error(sql, &error))
    }

    /// The columns that `query` has, with the types that a table of it would have. Leaves a failed transaction or a
    /// view of its own behind: roll back afterwards.
    pub(super) async fn shape(&mut self, query: &str) -> Result<Vec<EngineColumn>, EngineError> {
        let query = query.trim().trim_end_matches(';');
        // The line break ends a comment that the query may end in.
        let made = self
            .run(
                &format!("CREATE TEMPORARY VIEW \"siding_shape\" AS\n{query}\n"),
                false,
            )
            .await;
        made.map_err(|error| error.about(query))?;
        let columns = self.columns(SHAPE).await?;
        Ok(columns.unwrap_or_default())
    }

    /// The columns of what `name`, an SQL name, stands for; `None` if that is no table and no view.
    pub(super) async fn columns(
        &mut self,
        name: &str,
    ) -> Result<Option<Vec<EngineColumn>>, EngineError> {
        let sql = format!(
            "SELECT attribute.attname::text AS name, format_type(attribute.atttypid, attribute.atttypmod) AS type
             FROM pg_catalog.pg_class AS class
             JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
             WHERE class.oid = to_regclass({}) AND class.relkind IN ('r', 'p', 'v', 'm', 'f')
               AND attribute.attnum > 0 AND NOT attribute.attisdropped
             ORDER BY attribute.attnum",
            quote_string(&shortened(name)),
        );
        let rows = self.query(&sql).await?;
        let names = rows.strings("name")?.into_iter().flatten();
        let types = rows.strings("type")?.into_iter().flatten();
        let columns: Vec<EngineColumn> = names
            .zip(types)
            .map(|(name, data_type)| EngineColumn {
                name,
                data_type: type_words(&data_type),
            })
            .collect();
        Ok((!columns.is_empty()).then_some(columns))
    }

    /// Runs exactly one statement.
    async fn run(&mut self, sql: &str, keep_rows: bool) -> Result<Done, EngineError> {
        let done = self.try_run(sql, keep_rows).await;
        done.map_err(|failure| failure.error)
    }

    async fn try_run(&mut self, sql: &str, keep_rows: bool) -> Result<Done, Failure> {
        let text = shortened(sql).into_owned();
        tracing::trace!(sql = text);
        if text.trim().trim_end_matches(';').contains(';') {
            // Only one statement can be prepared: the server itself says whether this is one.
            let connection = self.connection(sql)?;
            let statement = sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(text.clone()));
            let prepared = connection.prepare(statement).await.map(drop);
            prepared.map_err(|error| self.failure(sql, &error))?;
        } else if text.trim().trim_end_matches(';').is_empty() {
            return Err(EngineError::more_than_one(sql).into());
        }
        let connection = self.connection(sql)?;
        let mut done = Done::default();
        let mut failed = None;
        // As plain text: every type comes back as PostgreSQL shows it.
        let mut answers = connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(text)));
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(Either::Left(result)) => done.written += result.rows_affected(),
                Ok(Either::Right(row)) if keep_rows => {
                    if done.columns.is_empty() {
                        let columns = row.columns().iter();
                        done.columns = columns
                            .map(|column| TextColumn::new(column.name(), column.type_info().name()))
                            .collect();
                    }
                    for (index, column) in done.columns.iter_mut().enumerate() {
                        match row.try_get_raw(index) {
                            Ok(value) if value.is_null() => column.push(None),
                            Ok(value) => column.push(value.as_str().ok()),
                            Err(error) => failed = Some(error),
                        }
                    }
                }
                Ok(Either::Right(_)) => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        drop(answers);
        match failed {
            Some(error) => Err(self.failure(sql, &error)),
            None => Ok(done),
        }
    }

    fn failure(&self, sql: &str, error: &sqlx::Error) -> Failure {
        Failure {
            state: sql_state(error),
            error: self.error(sql, error),
        }
    }

    async fn replace_table(&mut self, table: &str, query: &str) -> Result<u64, EngineError> {
        let create = format!("CREATE TABLE {table} AS {query}");
        // Before anything is read: what another writer commits meanwhile is seen then.
        self.savepoint("SAVEPOINT siding").await?;
        match self.try_run(&lock(table), false).await {
            Ok(_) => {}
            Err(failure) if failure.is(MISSING) || failure.is(NOT_A_TABLE) => {
                self.savepoint("ROLLBACK TO SAVEPOINT siding").await?;
            }
            Err(failure) => return Err(failure.error),
        }
        let Some(old) = self.columns(table).await? else {
            return match self.try_run(&create, false).await {
                Ok(done) => Ok(done.written),
                Err(failure) => Err(failure.if_made_meanwhile()),
            };
        };
        self.savepoint("SAVEPOINT siding").await?;
        let new = self.shape(query).await?;
        self.savepoint("ROLLBACK TO SAVEPOINT siding").await?;
        if new == old {
            // Views stand on this very table, and readers keep their rows until the commit.
            self.run(&format!("DELETE FROM {table}"), false).await?;
            let insert = format!("INSERT INTO {table} {query}");
            return self.run(&insert, false).await.map(|done| done.written);
        }
        match self.try_run(&format!("DROP TABLE {table}"), false).await {
            Ok(_) => self.run(&create, false).await.map(|done| done.written),
            Err(failure) => Err(failure.unless_needed(|| {
                format!(
                    "the query of {table} has other columns than the table ({})",
                    differences(&old, &new)
                )
            })),
        }
    }

    async fn replace_view(
        &mut self,
        sql: &str,
        view: &str,
        query: &str,
    ) -> Result<u64, EngineError> {
        if self.is_view_of(view, query).await? {
            return Ok(0);
        }
        self.savepoint("SAVEPOINT siding").await?;
        match self.try_run(sql, false).await {
            Ok(done) => {
                self.savepoint("RELEASE SAVEPOINT siding").await?;
                Ok(done.written)
            }
            Err(failure) if failure.is(OTHER_COLUMNS) => {
                self.savepoint("ROLLBACK TO SAVEPOINT siding").await?;
                let kept = self.query(&kept_rights(view)).await?.strings("text")?;
                let dropped = self.try_run(&format!("DROP VIEW {view}"), false).await;
                dropped.map_err(|failure| {
                    failure.unless_needed(|| format!("{view} gets other columns"))
                })?;
                let create = format!("CREATE VIEW {view} AS {query}");
                let written = self.run(&create, false).await?.written;
                for grant in kept.iter().flatten() {
                    self.run(grant, false).await?;
                }
                Ok(written)
            }
            Err(other) => Err(other.error),
        }
    }

    /// Whether a view has the name and is of the same query already: then its readers need not wait for it.
    async fn is_view_of(&mut self, view: &str, query: &str) -> Result<bool, EngineError> {
        self.savepoint("SAVEPOINT siding").await?;
        let create = format!("CREATE TEMPORARY VIEW \"siding_shape\" AS\n{query}\n");
        let same = match self.try_run(&create, false).await {
            Ok(_) => {
                let sql = format!(
                    "SELECT pg_get_viewdef(to_regclass({})) = pg_get_viewdef(to_regclass({})) AS same",
                    quote_string(SHAPE),
                    quote_string(&shortened(view))
                );
                self.query(&sql).await?.strings("same")? == [Some("true".to_owned())]
            }
            // What is wrong with it is said where it is made.
            Err(_) => false,
        };
        self.savepoint("ROLLBACK TO SAVEPOINT siding").await?;
        Ok(same)
    }

    /// Without the right to make schemas, those that exist can be used all the same; and two processes that make one
    /// at once both have it.
    async fn create_schema(&mut self, sql: &str, schema: &str) -> Result<u64, EngineError> {
        let name = shortened(schema.trim().trim_end_matches(';')).into_owned();
        let exists = format!(
            "SELECT to_regnamespace({}) IS NOT NULL AS there",
            quote_string(&name)
        );
        if self.query(&exists).await?.strings("there")? == [Some("true".to_owned())] {
            return Ok(0);
        }
        let lock = format!(
            "SELECT pg_advisory_xact_lock(hashtextextended({}, 0))",
            quote_string(&format!("siding schema {name}"))
        );
        self.run(&lock, false).await?;
        self.run(sql, false).await.map(|done| done.written)
    }

    async fn savepoint(&mut self, sql: &'static str) -> Result<(), EngineError> {
        self.control(sql).await
    }
}

/// Keeps other writers waiting, not readers. Takes no look at any data, so what is read after it is up to date.
fn lock(table: &str) -> String {
    format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
}

/// The quoted name and the query of `<prefix><name> AS <query>`.
fn split<'s>(sql: &'s str, prefix: &str) -> Option<(&'s str, &'s str)> {
    let rest = sql.strip_prefix(prefix)?;
    let mut end = 0;
    loop {
        if !rest[end..].starts_with('"') {
            return None;
        }
        end += token_length(&rest[end..])?;
        if !rest[end..].starts_with('.') {
            break;
        }
        end += 1;
    }
    let query = rest[end..].strip_prefix(" AS ")?;
    Some((&rest[..end], query))
}

/// What distinguishes two lists of columns, for people.
fn differences(old: &[EngineColumn], new: &[EngineColumn]) -> String {
    let mut parts = Vec::new();
    for column in new {
        match old.iter().find(|other| other.name == column.name) {
            None => parts.push(format!("{} is new", quote_identifier(&column.name))),
            Some(other) if other.data_type != column.data_type => parts.push(format!(
                "{} was {} and is {}",
                quote_identifier(&column.name),
                other.data_type,
                column.data_type
            )),
            Some(_) => {}
        }
    }
    for column in old {
        if !new.iter().any(|other| other.name == column.name) {
            parts.push(format!("{} is gone", quote_identifier(&column.name)));
        }
    }
    if parts.is_empty() {
        parts.push("their order".to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_of_ours_is_known_by_its_quoted_name() {
        let view = split(
            "CREATE OR REPLACE VIEW \"a\".\"b \"\" AS\" AS SELECT 1",
            REPLACE_VIEW,
        );
        assert_eq!(view, Some(("\"a\".\"b \"\" AS\"", "SELECT 1")));
        assert_eq!(
            split("CREATE OR REPLACE VIEW b AS SELECT 1", REPLACE_VIEW),
            None
        );
        assert_eq!(
            split("CREATE OR REPLACE VIEW \"b\"(x) AS SELECT 1", REPLACE_VIEW),
            None
        );
    }
}

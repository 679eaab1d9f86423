//! The same queries on SQLite and PostgreSQL: SQL that both understand, with `$1` for values, and rows as
//! `sqlx::FromRow` types. This is the only file that knows which of the two it is.

use std::fmt::Write;
use std::ops::Deref;
use std::ops::DerefMut;

use sqlx::AssertSqlSafe;
use sqlx::FromRow;
use sqlx::PgPool;
use sqlx::Postgres;
use sqlx::Sqlite;
use sqlx::SqlitePool;
use sqlx::postgres::PgArguments;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteArguments;
use sqlx::sqlite::SqliteRow;

use crate::state::StateError;

/// Waits for every other writer of the same schema; the lock goes with the transaction.
const LOCK_FOR_WRITING: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('siding ' || current_schema(), 0))";

/// Stand around a value that is a list in JSON and gives a row for each of its elements.
const OPEN: char = '\u{2}';
const CLOSE: char = '\u{3}';

/// The connections to one of the two.
#[derive(Clone, Debug)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    /// A transaction whose reads all see the same moment.
    pub(super) async fn read(&self) -> Result<Transaction, StateError> {
        Ok(Transaction(match self {
            Self::Sqlite(pool) => Connection::Sqlite(pool.begin().await?),
            Self::Postgres(pool) => Connection::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        }))
    }

    /// A transaction that has the right to write from its start, so it never fails half way for it.
    ///
    /// Writers take turns on both databases, so whatever one reads stays true until it commits. On PostgreSQL
    /// each statement after the lock has to see what the last writer committed: that is READ COMMITTED.
    pub(super) async fn write(&self) -> Result<Transaction, StateError> {
        Ok(Transaction(match self {
            Self::Sqlite(pool) => Connection::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => {
                let mut transaction = pool
                    .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
                    .await?;
                sqlx::query(LOCK_FOR_WRITING)
                    .execute(&mut *transaction)
                    .await?;
                Connection::Postgres(transaction)
            }
        }))
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Rolls back unless it is committed.
pub(super) struct Transaction(Connection);

impl Transaction {
    pub(super) async fn commit(self) -> Result<(), StateError> {
        match self.0 {
            Connection::Sqlite(transaction) => transaction.commit().await?,
            Connection::Postgres(transaction) => transaction.commit().await?,
        }
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

/// A connection inside a transaction.
pub(super) enum Connection {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Connection {
    fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }
}

/// A value that is bound.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Bool(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<&Option<String>> for Value {
    fn from(text: &Option<String>) -> Self {
        Self::Text(text.clone())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// What a row can be read as: everything that derives `sqlx::FromRow`, and tuples.
pub(super) trait Record:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Record for T where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

/// A statement with its values.
pub(super) struct Query {
    sql: String,
    values: Vec<Value>,
    /// Whether its text is the same every time, so that the server may remember how to run it.
    is_fixed: bool,
}

/// A statement whose values are `$1`, `$2` …, bound in this order.
pub(super) fn query(sql: &str) -> Query {
    Query {
        sql: sql.to_owned(),
        values: Vec::new(),
        is_fixed: true,
    }
}

impl Query {
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Goes on with SQL text. Nothing of it may come from outside.
    pub(super) fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// Goes on with a value.
    pub(super) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        let _ = write!(self.sql, "${}", self.values.len());
        self
    }

    /// Goes on with a subquery that gives `keys`, each of `N` texts: `IN (SELECT …)`. However many they are, they are one
    /// value, and the statement's text is the same.
    pub(super) fn push_keys<const N: usize>(
        &mut self,
        keys: impl IntoIterator<Item = [String; N]>,
    ) -> &mut Self {
        let keys: Vec<Vec<String>> = keys.into_iter().map(Vec::from).collect();
        let parts: Vec<String> = (0..N).map(|part| format!("value ->> {part}")).collect();
        let _ = write!(self.sql, "IN (SELECT {} FROM {OPEN}", parts.join(", "));
        self.push_bind(serde_json::json!(keys).to_string());
        let _ = write!(self.sql, "{CLOSE})");
        self
    }

    /// Goes on with `VALUES ($1, …), (…), …`: one group for each of `rows`, filled by `fill`.
    pub(super) fn push_values<R>(
        &mut self,
        rows: impl IntoIterator<Item = R>,
        mut fill: impl FnMut(&mut Group<'_>, R),
    ) -> &mut Self {
        self.is_fixed = false;
        self.sql.push_str("VALUES ");
        for (place, row) in rows.into_iter().enumerate() {
            self.sql.push_str(if place > 0 { ", (" } else { "(" });
            let mut group = Group {
                query: self,
                is_first: true,
            };
            fill(&mut group, row);
            self.sql.push(')');
        }
        self
    }

    /// The text, with values as `?1` for SQLite: that looks for `$1` by name, among all that stand before it.
    fn text_for(&self, is_sqlite: bool) -> String {
        let (sql, open, close) = if is_sqlite {
            (self.sql.replace('$', "?"), "json_each(", ")")
        } else {
            let open = "json_array_elements(CAST(";
            (self.sql.clone(), open, " AS json))")
        };
        if sql.contains(OPEN) {
            sql.replace(OPEN, open).replace(CLOSE, close)
        } else {
            sql
        }
    }

    /// Runs it and returns how many rows it wrote.
    pub(super) async fn execute(self, connection: &mut Connection) -> Result<u64, StateError> {
        let sql = AssertSqlSafe(self.text_for(connection.is_sqlite()));
        Ok(match connection {
            Connection::Sqlite(transaction) => sqlx::query_with(sql, sqlite_arguments(self.values))
                .persistent(self.is_fixed)
                .execute(&mut **transaction)
                .await?
                .rows_affected(),
            Connection::Postgres(transaction) => {
                sqlx::query_with(sql, postgres_arguments(self.values)?)
                    .persistent(self.is_fixed)
                    .execute(&mut **transaction)
                    .await?
                    .rows_affected()
            }
        })
    }

    /// Every row.
    pub(super) async fn fetch_all<T: Record>(
        self,
        connection: &mut Connection,
    ) -> Result<Vec<T>, StateError> {
        let sql = AssertSqlSafe(self.text_for(connection.is_sqlite()));
        Ok(match connection {
            Connection::Sqlite(transaction) => {
                sqlx::query_as_with(sql, sqlite_arguments(self.values))
                    .persistent(self.is_fixed)
                    .fetch_all(&mut **transaction)
                    .await?
            }
            Connection::Postgres(transaction) => {
                sqlx::query_as_with(sql, postgres_arguments(self.values)?)
                    .persistent(self.is_fixed)
                    .fetch_all(&mut **transaction)
                    .await?
            }
        })
    }

    /// Every row of a statement that only reads, and is a transaction of its own.
    pub(super) async fn fetch_alone<T: Record>(self, pool: &Pool) -> Result<Vec<T>, StateError> {
        let sql = AssertSqlSafe(self.text_for(matches!(pool, Pool::Sqlite(_))));
        Ok(match pool {
            Pool::Sqlite(pool) => {
                sqlx::query_as_with(sql, sqlite_arguments(self.values))
                    .persistent(self.is_fixed)
                    .fetch_all(pool)
                    .await?
            }
            Pool::Postgres(pool) => {
                sqlx::query_as_with(sql, postgres_arguments(self.values)?)
                    .persistent(self.is_fixed)
                    .fetch_all(pool)
                    .await?
            }
        })
    }

    /// The first row; for statements that give one at most.
    pub(super) async fn fetch_optional<T: Record>(
        self,
        connection: &mut Connection,
    ) -> Result<Option<T>, StateError> {
        Ok(self.fetch_all(connection).await?.into_iter().next())
    }

    /// The only column of every row.
    pub(super) async fn fetch_column<T>(
        self,
        connection: &mut Connection,
    ) -> Result<Vec<T>, StateError>
    where
        (T,): Record,
    {
        let rows: Vec<(T,)> = self.fetch_all(connection).await?;
        Ok(rows.into_iter().map(|(value,)| value).collect())
    }
}

/// One group of [`Query::push_values`].
pub(super) struct Group<'q> {
    query: &'q mut Query,
    is_first: bool,
}

impl Group<'_> {
    pub(super) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        if !self.is_first {
            self.query.sql.push_str(", ");
        }
        self.is_first = false;
        self.query.push_bind(value);
        self
    }
}

fn sqlite_arguments(values: Vec<Value>) -> SqliteArguments {
    use sqlx::Arguments;
    let mut arguments = SqliteArguments::default();
    for value in values {
        let added = match value {
            Value::Text(text) => arguments.add(text),
            Value::Number(number) => arguments.add(number),
            Value::Bool(value) => arguments.add(value),
        };
        added.expect("texts, numbers and truth values can be bound");
    }
    arguments
}

fn postgres_arguments(values: Vec<Value>) -> Result<PgArguments, StateError> {
    use sqlx::Arguments;
    let mut arguments = PgArguments::default();
    for value in values {
        let added = match value {
            Value::Text(Some(text)) if text.contains('\0') => {
                return Err(StateError::unreadable(
                    "text",
                    "PostgreSQL keeps no NUL characters",
                ));
            }
            Value::Text(text) => arguments.add(text),
            Value::Number(number) => arguments.add(number),
            Value::Bool(value) => arguments.add(value),
        };
        added.expect("texts, numbers and truth values can be bound");
    }
    Ok(arguments)
}

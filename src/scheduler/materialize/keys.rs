//! Rows of a batch set aside under the batch's own transaction, and comparing them by key.

use anyhow::Context;

use crate::engine::EngineColumn;
use crate::engine::Transaction;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::target::Target;
use crate::sql::Dialect;
use crate::sql::fold;
use crate::sql::quote_identifier;
use crate::sql::tokens;
use crate::sql::tokens::TokenKind;

/// The temporary table; one transaction has one at a time.
const STAGE: &str = "_siding_stage";

/// The expressions that tell rows apart.
pub(super) struct Key<'a>(&'a [String]);

impl<'a> Key<'a> {
    /// The key of these expressions over columns; there is at least one.
    ///
    /// # Errors
    /// When one of them is a column that the table does not have.
    pub(super) fn of(
        parts: &'a [String],
        batch: &Batch<'_>,
        target: &Target,
    ) -> anyhow::Result<Self> {
        for part in parts {
            let name = part
                .strip_prefix('"')
                .and_then(|part| part.strip_suffix('"'));
            let missing =
                name.filter(|name| !name.contains('"') && target.column(batch, name).is_none());
            if let Some(name) = missing {
                anyhow::bail!(
                    "the key column `{name}` of `{}` is not among the columns of its query: {}",
                    batch.model.name,
                    target.names().join(", ")
                );
            }
            if let Some(name) = name {
                check_equality(batch, target, &[name])?;
            }
        }
        Ok(Self(parts))
    }

    /// Fails when the engine cannot compute the expressions over the batch's table, with the property that they are of.
    pub(super) async fn try_out(
        &self,
        batch: &Batch<'_>,
        property: &str,
        transaction: &mut dyn Transaction,
    ) -> anyhow::Result<()> {
        if self.0.iter().all(|part| part.starts_with('"')) {
            return Ok(());
        }
        let sql = format!("SELECT {} FROM {} WHERE FALSE", self.list(), batch.table);
        let tried = transaction.query(&sql).await;
        tried.with_context(|| {
            format!(
                "computing the `{property}` ({}) of `{}`",
                self.list(),
                batch.model.name
            )
        })?;
        Ok(())
    }

    /// The expressions as a list.
    pub(super) fn list(&self) -> String {
        self.0.join(", ")
    }

    /// The expressions under names of ours.
    pub(super) fn named(&self) -> String {
        let parts = self.0.iter().enumerate();
        let parts: Vec<String> = parts
            .map(|(index, part)| format!("{part} AS _siding_key{index}"))
            .collect();
        parts.join(", ")
    }

    /// The names of ours, as a list.
    pub(super) fn names(&self) -> String {
        let names: Vec<String> = (0..self.0.len())
            .map(|index| format!("_siding_key{index}"))
            .collect();
        names.join(", ")
    }

    /// The condition that a row of the only other table in scope has the key named `_siding_keys`.
    pub(super) fn equal(&self, has_nulls: bool) -> String {
        self.equal_to("_siding_keys", has_nulls)
    }

    /// The condition that a row of the only other table in scope has the key that `side` names.
    pub(super) fn equal_to(&self, side: &str, has_nulls: bool) -> String {
        let equals = equals(has_nulls);
        let parts = self.0.iter().enumerate();
        let parts: Vec<String> = parts
            .map(|(index, part)| format!("{side}._siding_key{index} {equals} ({part})"))
            .collect();
        parts.join(" AND ")
    }

    /// The condition that the keys that both sides name are the same.
    pub(super) fn equal_names(&self, left: &str, right: &str) -> String {
        let parts: Vec<String> = (0..self.0.len())
            .map(|index| {
                format!(
                    "{left}._siding_key{index} {} {right}._siding_key{index}",
                    equals(true)
                )
            })
            .collect();
        parts.join(" AND ")
    }

    /// The condition that `target` and `source`, which both have these columns, have the same key.
    pub(super) fn equal_sides(
        &self,
        batch: &Batch<'_>,
        columns: &[String],
        has_nulls: bool,
    ) -> String {
        let equals = equals(has_nulls);
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|part| {
                let of = |side: &str| qualified(part, columns, side, batch);
                format!("({}) {equals} ({})", of("target"), of("source"))
            })
            .collect();
        parts.join(" AND ")
    }
}

/// Engines join faster on `=`, and without NULLs there is no difference.
fn equals(has_nulls: bool) -> &'static str {
    if has_nulls {
        "IS NOT DISTINCT FROM"
    } else {
        "="
    }
}

/// `expression` with `side` before each of `columns`.
fn qualified(expression: &str, columns: &[String], side: &str, batch: &Batch<'_>) -> String {
    let dialect = batch.model.dialect;
    let tokens = tokens::tokenize(expression, dialect);
    let mut text = String::new();
    for (index, token) in tokens.iter().enumerate() {
        let written = token.text(expression);
        let name = match token.kind {
            TokenKind::Word => fold(dialect, written, false),
            TokenKind::QuotedIdentifier => tokens::unquote(written, dialect),
            _ => String::new(),
        };
        let after = tokens[index + 1..].iter().find(|token| !token.is_trivia());
        let before = tokens[..index]
            .iter()
            .rev()
            .find(|token| !token.is_trivia());
        let is_path = before.is_some_and(|token| token.is_mark(expression, "."));
        let is_call = after.is_some_and(|token| token.is_mark(expression, "("));
        let stored = batch.engine.stored_name(&name);
        let is_column = columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(&stored));
        if is_column && !is_path && !is_call {
            text.push_str(&quote_identifier(side));
            text.push('.');
        }
        text.push_str(written);
    }
    text
}

/// Fails when the model's kind compares one of the table's columns `names` and the engine cannot say of two values whether
/// they are equal.
pub(super) fn check_equality(
    batch: &Batch<'_>,
    target: &Target,
    names: &[&str],
) -> anyhow::Result<()> {
    let mut columns = names.iter().filter_map(|name| target.column(batch, name));
    let Some(column) = columns.find(|column| column.is_without_equality(batch.engine.dialect()))
    else {
        return Ok(());
    };
    let (name, data_type) = (&column.name, &column.data_type);
    let to = match data_type.as_str() {
        "JSON" => "JSONB",
        _ => "TEXT",
    };
    anyhow::bail!(
        "the kind of `{}` compares the column `{name}`, and of two values of its type {data_type} the server cannot say \
         whether they are equal; let the query give `CAST({} AS {to})`, or leave the column out of what is compared",
        batch.model.name,
        quote_identifier(name)
    );
}

/// The words that let a query give equal rows once. PostgreSQL has types that know no equality: their texts are compared.
fn distinct(batch: &Batch<'_>, columns: &[EngineColumn]) -> String {
    let is_without = |column: &EngineColumn| column.is_without_equality(batch.engine.dialect());
    if !columns.iter().any(is_without) {
        return "DISTINCT".to_owned();
    }
    let columns: Vec<String> = columns
        .iter()
        .map(|column| {
            let name = quote_identifier(&column.name);
            match is_without(column) {
                true => format!("CAST({name} AS TEXT)"),
                false => name,
            }
        })
        .collect();
    format!("DISTINCT ON ({})", columns.join(", "))
}

/// A batch's rows in a temporary table of the transaction.
pub(super) struct Stage;

impl Stage {
    /// Sets the rows of `query` aside.
    pub(super) async fn make(
        batch: &Batch<'_>,
        query: &str,
        transaction: &mut dyn Transaction,
    ) -> anyhow::Result<Self> {
        let create = batch.engine.create_temporary_table_as(STAGE, query);
        transaction.execute(&create).await?;
        Ok(Self)
    }

    /// Its name in SQL.
    pub(super) fn name() -> String {
        quote_identifier(STAGE)
    }

    /// A query for the keys of its rows, under names of ours.
    pub(super) fn keys(&self, key: &Key<'_>) -> String {
        format!("SELECT {} FROM {}", key.named(), Self::name())
    }

    /// The same, each once.
    pub(super) fn distinct_keys(&self, key: &Key<'_>) -> String {
        format!("SELECT DISTINCT {} FROM {}", key.named(), Self::name())
    }

    /// Whether a part of a key is NULL.
    pub(super) async fn has_nulls(
        &self,
        key: &Key<'_>,
        transaction: &mut dyn Transaction,
    ) -> anyhow::Result<bool> {
        let parts: Vec<String> = key
            .0
            .iter()
            .map(|part| format!("({part}) IS NULL"))
            .collect();
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} LIMIT 1) AS nulls",
            Self::name(),
            parts.join(" OR ")
        );
        Ok(transaction.query(&sql).await?.single_u64()? > 0)
    }

    /// Makes sure that no two rows have the same key (and, where given, the same `also`); rows that are the same
    /// altogether become one.
    ///
    /// # Errors
    /// When different rows have one key: which of them counts would be chance.
    pub(super) async fn make_unique(
        &mut self,
        batch: &Batch<'_>,
        key: &Key<'_>,
        also: Option<&str>,
        columns: &[EngineColumn],
        transaction: &mut dyn Transaction,
    ) -> anyhow::Result<()> {
        let list = match also {
            Some(also) => format!("{}, {also}", key.list()),
            None => key.list(),
        };
        if self.repeated(&list, transaction).await? == 0 {
            return Ok(());
        }
        let other = "_siding_distinct";
        let distinct = format!(
            "SELECT {} * FROM {}",
            distinct(batch, columns),
            Self::name()
        );
        let create = batch.engine.create_temporary_table_as(other, &distinct);
        transaction.execute(&create).await?;
        self.remove_named(STAGE, transaction).await?;
        let all = format!("SELECT * FROM {}", quote_identifier(other));
        let create = batch.engine.create_temporary_table_as(STAGE, &all);
        transaction.execute(&create).await?;
        self.remove_named(other, transaction).await?;
        let repeated = self.repeated(&list, transaction).await?;
        if repeated == 0 {
            return Ok(());
        }
        let example = self.example(key, &list, transaction).await?;
        let (start, end) = (batch.range.start(), batch.range.end());
        anyhow::bail!(
            "the key ({}) of `{}` is not unique: {repeated} {} different rows in [{}, {}), such as {example}; \
             let the query give one row for each key, for instance with `{}`",
            key.list(),
            batch.model.name,
            if repeated == 1 {
                "key has"
            } else {
                "keys have"
            },
            start.format("%Y-%m-%dT%H:%M:%SZ"),
            end.format("%Y-%m-%dT%H:%M:%SZ"),
            match batch.engine.dialect() {
                Dialect::Postgres => "SELECT DISTINCT ON (…) … ORDER BY …",
                _ => "QUALIFY row_number() OVER (PARTITION BY … ORDER BY …) = 1",
            },
        )
    }

    async fn repeated(&self, list: &str, transaction: &mut dyn Transaction) -> anyhow::Result<u64> {
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {} GROUP BY {list} HAVING count(*) > 1) AS repeated",
            Self::name()
        );
        let rows = transaction.query(&sql).await?;
        rows.single_u64().context("a count is one number")
    }

    /// One of the keys that several rows have, for people.
    async fn example(
        &self,
        key: &Key<'_>,
        list: &str,
        transaction: &mut dyn Transaction,
    ) -> anyhow::Result<String> {
        let parts: Vec<String> = key
            .0
            .iter()
            .map(|part| format!("COALESCE(CAST(min({part}) AS VARCHAR), 'NULL')"))
            .collect();
        let sql = format!(
            "SELECT {} AS example FROM {} GROUP BY {list} HAVING count(*) > 1 ORDER BY 1 LIMIT 1",
            parts.join(" || ', ' || "),
            Self::name()
        );
        let rows = transaction.query(&sql).await?.strings("example")?;
        let found = rows.into_iter().flatten().next();
        Ok(format!("({})", found.unwrap_or_default()))
    }

    /// Adds all its rows to the batch's table.
    pub(super) async fn insert_all(
        &self,
        batch: &Batch<'_>,
        target: &Target,
        transaction: &mut dyn Transaction,
    ) -> anyhow::Result<u64> {
        let names = target.names();
        let rows = target.select(&format!("SELECT * FROM {}", Self::name()));
        let insert = batch.engine.insert(batch.table, &names, &rows);
        Ok(transaction.execute(&insert).await?)
    }

    /// Takes it away, so that the connection is as it was.
    pub(super) async fn remove(self, transaction: &mut dyn Transaction) -> anyhow::Result<()> {
        self.remove_named(STAGE, transaction).await
    }

    async fn remove_named(
        &self,
        name: &str,
        transaction: &mut dyn Transaction,
    ) -> anyhow::Result<()> {
        let drop = format!("DROP TABLE {}", quote_identifier(name));
        transaction.execute(&drop).await?;
        Ok(())
    }
}

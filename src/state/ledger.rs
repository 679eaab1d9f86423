//! The ledger: everything of ours in the warehouse, written down before it is made, with why. Cleaning up works from
//! here and touches nothing else.

use chrono::DateTime;
use chrono::Utc;

use crate::model::ModelName;
use crate::sql::TableName;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::query;
use crate::state::keys::ROWS_PER_STATEMENT;
use crate::state::keys::instant;
use crate::state::keys::millis;
use crate::state::keys::model_name;

/// What an object of the ledger is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LedgerKind {
    /// A catalog that was not there before.
    Catalog,
    /// A schema that was not there before.
    Schema,
    /// A view that readers use.
    EnvironmentView,
    /// A physical table.
    Table,
    /// A table that readers use: it stands under its model's own name.
    OwnTable,
    /// A physical view.
    View,
    /// Something that goes when its maker ends.
    Temporary,
}

impl LedgerKind {
    const ALL: [(&'static str, Self); 7] = [
        ("catalog", Self::Catalog),
        ("schema", Self::Schema),
        ("environment view", Self::EnvironmentView),
        ("table", Self::Table),
        ("own table", Self::OwnTable),
        ("view", Self::View),
        ("temporary", Self::Temporary),
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Schema => "schema",
            Self::EnvironmentView => "environment view",
            Self::Table => "table",
            Self::OwnTable => "own table",
            Self::View => "view",
            Self::Temporary => "temporary",
        }
    }
}

/// An object that may exist in the warehouse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerEntry {
    /// Its name; of a schema, one without a last part, of a catalog without the last two.
    pub table: TableName,
    /// What it is.
    pub kind: LedgerKind,
    /// For which model; `None` for schemas.
    pub model: Option<ModelName>,
    /// For which environment it was made; empty where that was not written down.
    pub environment: String,
    /// What made it: a plan or a run.
    pub reason: String,
}

/// An entry with what became of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerRecord {
    /// The object.
    pub entry: LedgerEntry,
    /// When it was written down last.
    pub recorded_at: DateTime<Utc>,
    /// When it could not be dropped last, and why.
    pub drop_failed: Option<(DateTime<Utc>, String)>,
}

impl StateStore {
    /// Writes down objects that are about to be made. Writing one down again takes back that it was dropped;
    /// what made it first stays known until then.
    pub async fn write_down(
        &self,
        entries: &[LedgerEntry],
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        for entries in entries.chunks(ROWS_PER_STATEMENT) {
            let mut query = query(
                "INSERT INTO siding_ledger (
                     table_catalog, table_schema, table_name, kind, model, environment, reason,
                     recorded_at) ",
            );
            query.push_values(entries, |row, entry| {
                row.push_bind(entry.table.catalog.clone().unwrap_or_default())
                    .push_bind(entry.table.schema.clone().unwrap_or_default())
                    .push_bind(entry.table.name.clone())
                    .push_bind(entry.kind.name())
                    .push_bind(entry.model.as_ref().map(ToString::to_string))
                    .push_bind(entry.environment.clone())
                    .push_bind(entry.reason.clone())
                    .push_bind(millis(now));
            });
            query.push(
                " ON CONFLICT (table_catalog, table_schema, table_name) DO UPDATE SET
                      kind = excluded.kind, model = excluded.model,
                      environment = excluded.environment,
                      reason = CASE WHEN siding_ledger.dropped_at IS NULL
                                    THEN siding_ledger.reason ELSE excluded.reason END,
                      recorded_at = excluded.recorded_at, dropped_at = NULL,
                      drop_tried_at = NULL, drop_error = NULL",
            );
            query.execute(&mut transaction).await?;
        }
        transaction.commit().await
    }

    /// What may exist, sorted by name.
    pub async fn ledger(&self) -> Result<Vec<LedgerRecord>, StateError> {
        let rows: Vec<LedgerRow> = query(
            "SELECT table_catalog, table_schema, table_name, kind, model, environment, reason,
                    recorded_at, drop_tried_at, drop_error
             FROM siding_ledger WHERE dropped_at IS NULL",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        let mut records = rows
            .into_iter()
            .map(LedgerRow::record)
            .collect::<Result<Vec<LedgerRecord>, StateError>>()?;
        records.sort();
        Ok(records)
    }

    /// What was written down once and is gone, sorted.
    pub async fn ledger_of_gone(&self) -> Result<Vec<TableName>, StateError> {
        let rows: Vec<(String, String, String)> = query(
            "SELECT table_catalog, table_schema, table_name FROM siding_ledger
             WHERE dropped_at IS NOT NULL",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        let gone = rows.into_iter();
        let gone = gone.map(|(catalog, schema, name)| table_name(catalog, schema, name));
        let mut gone: Vec<TableName> = gone.collect();
        gone.sort();
        Ok(gone)
    }

    /// The views that readers of `environment` may have, sorted.
    pub async fn ledger_views(&self, environment: &str) -> Result<Vec<TableName>, StateError> {
        let rows: Vec<(String, String, String)> = query(
            "SELECT table_catalog, table_schema, table_name FROM siding_ledger
             WHERE dropped_at IS NULL AND kind = 'environment view' AND environment = $1",
        )
        .bind(environment)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let mut views: Vec<TableName> = rows
            .into_iter()
            .map(|(catalog, schema, name)| table_name(catalog, schema, name))
            .collect();
        views.sort();
        Ok(views)
    }

    /// The catalogs that were made for environments, each with its environment, sorted.
    pub async fn ledger_catalogs(&self) -> Result<Vec<(String, String)>, StateError> {
        let rows: Vec<(String, String)> = query(
            "SELECT table_catalog, environment FROM siding_ledger
             WHERE dropped_at IS NULL AND kind = 'catalog' ORDER BY table_catalog, environment",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        Ok(rows)
    }

    /// Records that these are gone. Names that were never written down do no harm.
    pub async fn mark_gone(
        &self,
        tables: &[TableName],
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        for tables in tables.chunks(ROWS_PER_STATEMENT) {
            for of in ["siding_ledger", "siding_objects"] {
                let mut query = query(&format!("UPDATE {of} SET dropped_at = "));
                query.push_bind(millis(now));
                query.push(
                    " WHERE dropped_at IS NULL AND (table_catalog, table_schema, table_name) IN (",
                );
                query.push_values(tables, |row, table| {
                    row.push_bind(table.catalog.clone().unwrap_or_default())
                        .push_bind(table.schema.clone().unwrap_or_default())
                        .push_bind(table.name.clone());
                });
                query.push(")");
                query.execute(&mut transaction).await?;
            }
        }
        transaction.commit().await
    }

    /// Takes back that an object was dropped: it is about to be made again by whoever waited for the end of that.
    pub async fn keep(&self, table: &TableName) -> Result<(), StateError> {
        let condition = "WHERE dropped_at IS NOT NULL AND table_catalog = $1 AND table_schema = $2
                         AND table_name = $3";
        let of = |sql: String| {
            query(&sql)
                .bind(table.catalog.clone().unwrap_or_default())
                .bind(table.schema.clone().unwrap_or_default())
                .bind(&table.name)
        };
        for place in ["siding_ledger", "siding_objects"] {
            let sql = format!("SELECT dropped_at FROM {place} {condition}");
            let dropped: Vec<(i64,)> = of(sql).fetch_alone(self.pool()).await?;
            if dropped.is_empty() {
                continue;
            }
            let mut transaction = self.write().await?;
            let sql = format!("UPDATE {place} SET dropped_at = NULL {condition}");
            of(sql).execute(&mut transaction).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Records that an object could not be dropped; it is tried again next time.
    pub async fn mark_not_gone(
        &self,
        table: &TableName,
        error: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        query(
            "UPDATE siding_ledger SET drop_tried_at = $1, drop_error = $2
             WHERE table_catalog = $3 AND table_schema = $4 AND table_name = $5",
        )
        .bind(millis(now))
        .bind(error)
        .bind(table.catalog.clone().unwrap_or_default())
        .bind(table.schema.clone().unwrap_or_default())
        .bind(&table.name)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await
    }

    /// When each version was used last by a snapshot, sorted by name and version.
    pub async fn last_used(
        &self,
    ) -> Result<Vec<(ModelName, crate::snapshot::Version, DateTime<Utc>)>, StateError> {
        let rows: Vec<(String, String, i64)> = query(
            "SELECT name, version, max(updated_at) FROM siding_snapshots
             GROUP BY name, version ORDER BY name, version",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter()
            .map(|(name, version, at)| {
                let version = crate::snapshot::Version(version);
                Ok((model_name(&name)?, version, instant(at)?))
            })
            .collect()
    }

    /// Forgets everything but what is still in the ledger. For when nothing of it is in the warehouse any more.
    pub async fn forget_everything(&self) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        for sql in [
            "DELETE FROM siding_environment_snapshots",
            "DELETE FROM siding_environments",
            "DELETE FROM siding_environment_namings",
            "DELETE FROM siding_promotions",
            "DELETE FROM siding_intervals",
            "DELETE FROM siding_batches",
            "DELETE FROM siding_auto_restatements",
            "DELETE FROM siding_snapshots",
            "DELETE FROM siding_open_plans",
            "DELETE FROM siding_leases WHERE subject = 'everything'",
            "DELETE FROM siding_objects WHERE dropped_at IS NOT NULL",
            "DELETE FROM siding_ledger WHERE dropped_at IS NOT NULL",
        ] {
            query(sql).execute(&mut transaction).await?;
        }
        transaction.commit().await
    }
}

fn table_name(catalog: String, schema: String, name: String) -> TableName {
    let part = |text: String| (!text.is_empty()).then_some(text);
    TableName {
        catalog: part(catalog),
        schema: part(schema),
        name,
    }
}

#[derive(sqlx::FromRow)]
struct LedgerRow {
    table_catalog: String,
    table_schema: String,
    table_name: String,
    kind: String,
    model: Option<String>,
    environment: String,
    reason: String,
    recorded_at: i64,
    drop_tried_at: Option<i64>,
    drop_error: Option<String>,
}

impl LedgerRow {
    fn record(self) -> Result<LedgerRecord, StateError> {
        let kind = LedgerKind::ALL
            .iter()
            .find(|(name, _)| *name == self.kind)
            .map(|(_, kind)| *kind)
            .ok_or_else(|| StateError::unreadable("kind of object", format!("`{}`", self.kind)))?;
        let failed = self.drop_tried_at.zip(self.drop_error);
        Ok(LedgerRecord {
            entry: LedgerEntry {
                table: table_name(self.table_catalog, self.table_schema, self.table_name),
                kind,
                model: self.model.as_deref().map(model_name).transpose()?,
                environment: self.environment,
                reason: self.reason,
            },
            recorded_at: instant(self.recorded_at)?,
            drop_failed: failed
                .map(|(at, error)| Ok::<_, StateError>((instant(at)?, error)))
                .transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::state::samples;
    use crate::state::samples::at;

    fn entry(schema: &str, name: &str, kind: LedgerKind) -> LedgerEntry {
        LedgerEntry {
            table: TableName::new(schema, name),
            kind,
            model: (kind != LedgerKind::Schema).then(|| "db.a".parse().unwrap()),
            environment: "dev".to_owned(),
            reason: "plan p1".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_is_written_down_stays_until_it_is_gone() {
        samples::on_both(async |store| {
            let view = entry("db__dev", "a", LedgerKind::EnvironmentView);
            let schema = entry("db__dev", "", LedgerKind::Schema);
            let both = [schema.clone(), view.clone()];
            store.write_down(&both, at(1)).await.unwrap();
            store.write_down(&both, at(2)).await.unwrap();
            let error = "somebody reads it";
            store
                .mark_not_gone(&view.table, error, at(3))
                .await
                .unwrap();
            let ledger = store.ledger().await.unwrap();
            assert_eq!(
                ledger,
                [
                    LedgerRecord {
                        entry: schema.clone(),
                        recorded_at: at(2),
                        drop_failed: None,
                    },
                    LedgerRecord {
                        entry: view.clone(),
                        recorded_at: at(2),
                        drop_failed: Some((at(3), error.to_owned())),
                    },
                ]
            );
            assert_eq!(
                store.ledger_views("dev").await.unwrap(),
                from_ref(&view.table)
            );
            store.mark_gone(from_ref(&view.table), at(4)).await.unwrap();
            assert_eq!(store.ledger().await.unwrap().len(), 1);
            store.write_down(from_ref(&view), at(5)).await.unwrap();
            assert_eq!(store.ledger().await.unwrap()[1].drop_failed, None);
            store.mark_gone(from_ref(&view.table), at(6)).await.unwrap();
            store.keep(&view.table).await.unwrap();
            assert_eq!(store.ledger().await.unwrap().len(), 2, "it is made again");
        })
        .await;
    }
}

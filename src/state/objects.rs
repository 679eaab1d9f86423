//! The tables and views that were made in the warehouse, written down before they are made: after a
//! kill at any point, everything that may exist is known.

use chrono::DateTime;
use chrono::Utc;

use crate::model::ModelName;
use crate::snapshot::Version;
use crate::sql::TableName;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::query;
use crate::state::keys::ROWS_PER_STATEMENT;
use crate::state::keys::millis;
use crate::state::keys::model_name;
use crate::state::keys::with_versions;

/// What a physical object was made as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PhysicalObjectKind {
    /// Holds rows.
    Table,
    /// Holds a query.
    View,
}

/// A table or view of ours that may exist in the warehouse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysicalObject {
    /// Its name.
    pub table: TableName,
    /// What it was made as.
    pub kind: PhysicalObjectKind,
    /// For which model.
    pub name: ModelName,
    /// For which version.
    pub version: Version,
}

impl StateStore {
    /// Records objects that are about to be made. Recording one again also takes back that it was
    /// dropped.
    pub async fn record_objects(
        &self,
        objects: &[PhysicalObject],
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        for objects in objects.chunks(ROWS_PER_STATEMENT) {
            let mut query = query(
                "INSERT INTO siding_objects (
                     table_catalog, table_schema, table_name, kind, name, version, created_at) ",
            );
            query.push_values(objects, |row, object| {
                row.push_bind(object.table.catalog.clone().unwrap_or_default())
                    .push_bind(object.table.schema.clone().unwrap_or_default())
                    .push_bind(object.table.name.clone())
                    .push_bind(match object.kind {
                        PhysicalObjectKind::Table => "table",
                        PhysicalObjectKind::View => "view",
                    })
                    .push_bind(object.name.to_string())
                    .push_bind(object.version.0.clone())
                    .push_bind(millis(now));
            });
            query.push(
                " ON CONFLICT (table_catalog, table_schema, table_name) DO UPDATE SET
                      kind = excluded.kind, name = excluded.name, version = excluded.version,
                      dropped_at = NULL",
            );
            query.execute(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The objects of these versions that may exist, sorted.
    pub async fn objects_for(
        &self,
        keys: &[(ModelName, Version)],
    ) -> Result<Vec<PhysicalObject>, StateError> {
        let mut transaction = self.read().await?;
        let sql = "SELECT * FROM siding_objects
                   WHERE dropped_at IS NULL AND (name, version) ";
        sorted(with_versions(sql, keys).fetch_all(&mut transaction).await?)
    }

    /// Every object that may exist, sorted.
    pub async fn every_object(&self) -> Result<Vec<PhysicalObject>, StateError> {
        let rows = query("SELECT * FROM siding_objects WHERE dropped_at IS NULL")
            .fetch_all(&mut *self.read().await?)
            .await?;
        sorted(rows)
    }

    /// The objects that may exist although no snapshot and no environment has their version any more, sorted: what a
    /// janitor drops.
    pub async fn orphaned_objects(&self) -> Result<Vec<PhysicalObject>, StateError> {
        let rows = query(
            "SELECT * FROM siding_objects AS object
             WHERE dropped_at IS NULL AND NOT EXISTS (
                 SELECT 1 FROM siding_snapshots AS snapshot
                 WHERE snapshot.name = object.name
                   AND snapshot.version = replace(object.version, '__dev', ''))
             AND NOT EXISTS (
                 SELECT 1 FROM siding_environment_snapshots AS shown
                 WHERE shown.name = object.name AND shown.version = object.version)",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        sorted(rows)
    }
}

#[derive(sqlx::FromRow)]
struct ObjectRow {
    table_catalog: String,
    table_schema: String,
    table_name: String,
    kind: String,
    name: String,
    version: String,
}

impl ObjectRow {
    fn object(self) -> Result<PhysicalObject, StateError> {
        let part = |text: String| (!text.is_empty()).then_some(text);
        Ok(PhysicalObject {
            kind: match self.kind.as_str() {
                "table" => PhysicalObjectKind::Table,
                "view" => PhysicalObjectKind::View,
                other => {
                    return Err(StateError::unreadable(
                        "kind of object",
                        format!("`{other}`"),
                    ));
                }
            },
            table: TableName {
                catalog: part(self.table_catalog),
                schema: part(self.table_schema),
                name: self.table_name,
            },
            name: model_name(&self.name)?,
            version: Version(self.version),
        })
    }
}

fn sorted(rows: Vec<ObjectRow>) -> Result<Vec<PhysicalObject>, StateError> {
    let mut objects = rows
        .into_iter()
        .map(ObjectRow::object)
        .collect::<Result<Vec<PhysicalObject>, StateError>>()?;
    objects.sort();
    objects.dedup();
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::snapshot::physical_table;
    use crate::state::samples;
    use crate::state::samples::at;
    use crate::state::samples::snapshot;

    fn object(name: &str, kind: PhysicalObjectKind) -> PhysicalObject {
        let snapshot = snapshot(name, "i", "v");
        PhysicalObject {
            table: physical_table(&snapshot.id.name, &snapshot.version),
            kind,
            name: snapshot.id.name,
            version: snapshot.version,
        }
    }

    #[tokio::test]
    async fn a_recorded_object_is_known_until_it_is_dropped() {
        samples::on_both(async |store| {
            let table = object("db.a", PhysicalObjectKind::Table);
            let view = object("other.db.a", PhysicalObjectKind::View);
            let keys: Vec<_> = [&table, &view]
                .map(|it| (it.name.clone(), it.version.clone()))
                .to_vec();
            let both = [table.clone(), view.clone()];
            store.record_objects(&both, at(0)).await.unwrap();
            store.record_objects(&both, at(1)).await.unwrap();
            assert_eq!(store.objects_for(&keys).await.unwrap(), both);

            store
                .mark_gone(from_ref(&table.table), at(2))
                .await
                .unwrap();
            assert_eq!(store.objects_for(&keys).await.unwrap(), [view]);
            store.record_objects(&both, at(3)).await.unwrap();
            assert_eq!(store.objects_for(&keys).await.unwrap(), both);
        })
        .await;
    }

    #[tokio::test]
    async fn an_object_whose_last_snapshot_is_forgotten_is_an_orphan() {
        samples::on_both(async |store| {
            let table = object("db.a", PhysicalObjectKind::Table);
            let owner = snapshot("db.a", "i", "v");
            store
                .store_snapshots(from_ref(&owner), at(0))
                .await
                .unwrap();
            store.record_objects(from_ref(&table), at(0)).await.unwrap();
            assert_eq!(store.orphaned_objects().await.unwrap(), []);
            store.delete_snapshots(&[owner.id]).await.unwrap();
            assert_eq!(store.orphaned_objects().await.unwrap(), from_ref(&table));
            store.mark_gone(&[table.table], at(1)).await.unwrap();
            assert_eq!(store.orphaned_objects().await.unwrap(), []);
        })
        .await;
    }
}

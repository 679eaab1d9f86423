//! Tables that are not where they usually would be, because the project said so when they were made.

use std::collections::BTreeMap;

use crate::model::ModelName;
use crate::snapshot::Version;
use crate::sql::TableName;
use crate::state::PhysicalObject;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::query;
use crate::state::keys::model_name;
use crate::state::keys::with_versions;

/// How many letters the hashes in names have.
const HASH: usize = 24;

/// How the names of the tables begin that batches are marked in; a hash of 24 letters follows.
pub const MARKS: &str = "siding_batch_";

/// How the names of views begin that stood in for a table which has come back; a hash of 24 letters follows.
const FORMER: &str = "siding_former_";

/// The name of the view that stood in for `table` until the promotion `plan_id`.
pub fn former_view(table: &TableName, plan_id: &str) -> TableName {
    let hash = blake3::hash(format!("{table} {plan_id}").as_bytes());
    TableName {
        name: format!("{FORMER}{}", hex::encode(&hash.as_bytes()[..12])),
        ..table.clone()
    }
}

impl PhysicalObject {
    /// Whether it holds no rows of the model: marks of batches, or a view that stood in for the table.
    pub fn is_beside_its_table(&self) -> bool {
        let name = &self.table.name;
        [MARKS, FORMER].iter().any(|start| {
            let hash = name.strip_prefix(start);
            hash.is_some_and(|hash| hash.len() == HASH)
        })
    }
}

type PlacedRow = (String, String, String, String, String, i64);

impl StateStore {
    /// Where the tables of these versions are that were written down, if any table at all may not be in its usual place or
    /// `all` is set; else nothing, without looking at each.
    ///
    /// Of several for one version the first counts: that is where its rows are.
    pub async fn placed(
        &self,
        keys: &[(ModelName, Version)],
        all: bool,
    ) -> Result<BTreeMap<(ModelName, Version), TableName>, StateError> {
        let mut transaction = self.read().await?;
        let is_mark = is_mark();
        if !all {
            // `siding__db.db__orders__3f2a` of `db.orders`; what is more complicated is looked at.
            let unusual: Vec<i64> = query(&format!(
                "SELECT CASE WHEN EXISTS (
                     SELECT 1 FROM siding_objects
                     WHERE dropped_at IS NULL AND NOT ({is_mark}) AND NOT (
                         table_catalog = '' AND substr(table_schema, 1, 8) = 'siding__'
                         AND substr(name, 1, length(table_schema) - 7) = substr(table_schema, 9) || '.'
                         AND table_name = replace(name, '.', '__') || '__' || version)
                 ) THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END",
            ))
            .fetch_column(&mut transaction)
            .await?;
            if unusual == [0] {
                return Ok(BTreeMap::new());
            }
        }
        let sql = format!(
            "SELECT table_catalog, table_schema, table_name, name, version, created_at
             FROM siding_objects WHERE dropped_at IS NULL AND NOT ({is_mark}) AND (name, version) "
        );
        let mut rows: Vec<PlacedRow> = with_versions(&sql, keys)
            .fetch_all(&mut transaction)
            .await?;
        rows.sort_by_key(|row| row.5);
        let mut placed = BTreeMap::new();
        for (catalog, schema, table, name, version, _) in rows {
            let part = |text: String| (!text.is_empty()).then_some(text);
            let key = (model_name(&name)?, Version(version));
            placed.entry(key).or_insert(TableName {
                catalog: part(catalog),
                schema: part(schema),
                name: table,
            });
        }
        Ok(placed)
    }
}

/// What is true of what is beside a table: it belongs to the same version, but holds no rows of a model.
fn is_mark() -> String {
    let beside = [MARKS, FORMER].map(|start| {
        let length = start.len();
        format!(
            "substr(table_name, 1, {length}) = '{start}' AND length(table_name) = {}",
            length + HASH
        )
    });
    format!("({})", beside.join(" OR "))
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::MARKS;
    use super::former_view;
    use crate::model::Placement;
    use crate::snapshot::physical_table;
    use crate::snapshot::placed_table;
    use crate::state::PhysicalObject;
    use crate::state::PhysicalObjectKind;
    use crate::state::samples;
    use crate::state::samples::at;
    use crate::state::samples::snapshot;

    #[tokio::test]
    async fn the_first_place_of_a_version_counts_and_the_usual_ones_are_not_looked_at() {
        samples::on_both(async |store| {
            let snapshot = snapshot("db.a", "i", "v");
            let (name, version) = (snapshot.id.name, snapshot.version);
            let usual = PhysicalObject {
                table: physical_table(&name, &version),
                kind: PhysicalObjectKind::Table,
                name: name.clone(),
                version: version.clone(),
            };
            let placement = Placement {
                schema: Some("siding__other".to_owned()),
                ..Placement::default()
            };
            let placed = PhysicalObject {
                table: placed_table(&name, &version, &placement),
                ..usual.clone()
            };
            let marks = PhysicalObject {
                table: crate::sql::TableName {
                    name: format!("{MARKS}{}", "0".repeat(24)),
                    ..usual.table.clone()
                },
                ..usual.clone()
            };
            let keys = [(name, version)];
            let former = PhysicalObject {
                table: former_view(&usual.table, "p1"),
                kind: PhysicalObjectKind::View,
                ..usual.clone()
            };
            assert!(former.is_beside_its_table() && marks.is_beside_its_table());
            assert!(!usual.is_beside_its_table());
            store.record_objects(&[former], at(0)).await.unwrap();
            store.record_objects(&[marks], at(0)).await.unwrap();
            store.record_objects(from_ref(&usual), at(0)).await.unwrap();
            assert!(store.placed(&keys, false).await.unwrap().is_empty());
            assert_eq!(
                store.placed(&keys, true).await.unwrap()[&keys[0]],
                usual.table
            );

            store
                .record_objects(from_ref(&placed), at(1))
                .await
                .unwrap();
            assert_eq!(
                store.placed(&keys, false).await.unwrap()[&keys[0]],
                usual.table
            );
            store
                .mark_gone(from_ref(&usual.table), at(2))
                .await
                .unwrap();
            assert_eq!(
                store.placed(&keys, false).await.unwrap()[&keys[0]],
                placed.table
            );
        })
        .await;
    }
}

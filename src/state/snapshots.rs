//! Models at one version.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;
use serde::de::DeserializeOwned;

use crate::model::Model;
use crate::model::ModelName;
use crate::snapshot::ChangeCategory;
use crate::snapshot::Fingerprint;
use crate::snapshot::Snapshot;
use crate::snapshot::SnapshotId;
use crate::snapshot::Surface;
use crate::snapshot::Version;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::Connection;
use crate::state::database::query;
use crate::state::keys::ROWS_PER_STATEMENT;
use crate::state::keys::instant;
use crate::state::keys::millis;
use crate::state::keys::model_name;
use crate::state::keys::with_ids;
use crate::state::keys::with_names;
use crate::state::keys::with_versions;
use crate::state::open_plans;
use crate::state::promotions;

/// Snapshots that are read at once.
const AT_ONCE: usize = 1000;

/// What a snapshot's identifier stands for, where the caller has it at hand.
#[derive(Clone, Debug)]
pub struct Definition {
    /// What makes it this version.
    pub fingerprint: Arc<Fingerprint>,
    /// The definition.
    pub model: Arc<Model>,
    /// Direct parents, sorted by name.
    pub parents: Vec<SnapshotId>,
    /// Output columns in order; `None` means unknown.
    pub columns: Option<Vec<String>>,
}

impl StateStore {
    /// The snapshots with these ids that are stored, sorted by name and identifier.
    pub async fn snapshots(&self, ids: &[SnapshotId]) -> Result<Vec<Snapshot>, StateError> {
        self.snapshots_knowing(ids, &|_| None).await
    }

    /// As [`snapshots`](Self::snapshots); the definitions that `known` gives are not read.
    pub async fn snapshots_knowing(
        &self,
        ids: &[SnapshotId],
        known: &(dyn Fn(&SnapshotId) -> Option<Definition> + Send + Sync),
    ) -> Result<Vec<Snapshot>, StateError> {
        let mut transaction = self.read().await?;
        let (lean, whole): (Vec<SnapshotId>, Vec<SnapshotId>) =
            ids.iter().cloned().partition(|id| known(id).is_some());
        let mut snapshots = Vec::with_capacity(ids.len());
        // Rows with all their texts are large, so not all are held at once.
        for ids in lean.chunks(AT_ONCE) {
            let sql = "SELECT name, identifier, version, category, surface, choice, forward_only, created_at
                       FROM siding_snapshots WHERE (name, identifier) ";
            let rows: Vec<LeanRow> = with_ids(sql, ids).fetch_all(&mut transaction).await?;
            for row in rows {
                snapshots.push(lean_snapshot(row, known)?);
            }
        }
        for ids in whole.chunks(AT_ONCE) {
            let sql = "SELECT * FROM siding_snapshots WHERE (name, identifier) ";
            let rows: Vec<SnapshotRow> = with_ids(sql, ids).fetch_all(&mut transaction).await?;
            for row in rows {
                snapshots.push(row.snapshot()?);
            }
        }
        Ok(in_order(snapshots))
    }

    /// Every stored snapshot of these models, sorted by name and identifier.
    pub async fn all_snapshots_of(&self, names: &[ModelName]) -> Result<Vec<Snapshot>, StateError> {
        let mut transaction = self.read().await?;
        let sql = "SELECT * FROM siding_snapshots WHERE name ";
        sorted(with_names(sql, names).fetch_all(&mut transaction).await?)
    }

    /// The stored snapshots of these models whose tables keep rows of another one, sorted by name and identifier.
    pub async fn forward_only_snapshots_of(
        &self,
        names: &[ModelName],
    ) -> Result<Vec<Snapshot>, StateError> {
        let mut transaction = self.read().await?;
        let sql = "SELECT * FROM siding_snapshots WHERE forward_only IS NOT NULL AND name ";
        sorted(with_names(sql, names).fetch_all(&mut transaction).await?)
    }

    /// Which of these snapshots are stored.
    pub async fn snapshot_ids_stored(
        &self,
        ids: &[SnapshotId],
    ) -> Result<BTreeSet<SnapshotId>, StateError> {
        stored_ids(&mut *self.read().await?, ids).await
    }

    /// The stored snapshots that share each of these versions; a version that nobody has is absent.
    pub async fn snapshot_ids_of_versions(
        &self,
        keys: &[(ModelName, Version)],
    ) -> Result<BTreeMap<(ModelName, Version), BTreeSet<SnapshotId>>, StateError> {
        let mut transaction = self.read().await?;
        let mut shared: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let sql = "SELECT name, identifier, version FROM siding_snapshots
                   WHERE (name, version) ";
        let rows: Vec<(String, String, String)> =
            with_versions(sql, keys).fetch_all(&mut transaction).await?;
        for (name, identifier, version) in rows {
            let name = model_name(&name)?;
            let key = (name.clone(), Version(version));
            let id = SnapshotId { name, identifier };
            shared.entry(key).or_default().insert(id);
        }
        Ok(shared)
    }

    /// Stores what is new. What is stored already stays as it is, but its time to live restarts.
    pub async fn store_snapshots(
        &self,
        snapshots: &[Snapshot],
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        for snapshots in snapshots.chunks(ROWS_PER_STATEMENT) {
            let rows = snapshots
                .iter()
                .map(|snapshot| SnapshotRow::new(snapshot, now))
                .collect::<Result<Vec<SnapshotRow>, StateError>>()?;
            let mut query = query(
                "INSERT INTO siding_snapshots (
                     name, identifier, version, category, data_hash, metadata_hash,
                     parent_data_hash, parent_metadata_hash, model, parents, columns,
                     surface, choice, forward_only, created_at, updated_at) ",
            );
            query.push_values(rows, |values, row| {
                values
                    .push_bind(row.name)
                    .push_bind(row.identifier)
                    .push_bind(row.version)
                    .push_bind(row.category)
                    .push_bind(row.data_hash)
                    .push_bind(row.metadata_hash)
                    .push_bind(row.parent_data_hash)
                    .push_bind(row.parent_metadata_hash)
                    .push_bind(row.model)
                    .push_bind(row.parents)
                    .push_bind(row.columns)
                    .push_bind(row.surface)
                    .push_bind(row.choice)
                    .push_bind(row.forward_only)
                    .push_bind(row.created_at)
                    .push_bind(row.updated_at);
            });
            query.push(
                " ON CONFLICT (name, identifier) DO UPDATE SET updated_at = excluded.updated_at",
            );
            query.execute(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Restarts the time to live of these snapshots.
    pub async fn touch(&self, ids: &[SnapshotId], now: DateTime<Utc>) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        let mut query = query("UPDATE siding_snapshots SET updated_at = ");
        query.push_bind(millis(now));
        query.push(" WHERE (name, identifier) ");
        query.push_keys(
            ids.iter()
                .map(|id| [id.name.to_string(), id.identifier.clone()]),
        );
        query.execute(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The snapshots that nothing has used for `ttl` and that no environment has, sorted.
    ///
    /// What a promotion is leaving counts as in use until the switch is known to be done.
    pub async fn expired_snapshots(
        &self,
        now: DateTime<Utc>,
        ttl: TimeDelta,
    ) -> Result<Vec<Snapshot>, StateError> {
        let Some(oldest_kept) = now.checked_sub_signed(ttl) else {
            return Ok(Vec::new()); // longer than the calendar: never
        };
        let mut transaction = self.read().await?;
        let rows: Vec<SnapshotRow> = query(
            "SELECT * FROM siding_snapshots AS snapshot
             WHERE updated_at <= $1 AND NOT EXISTS (
                 SELECT 1 FROM siding_environment_snapshots AS used
                 WHERE used.name = snapshot.name AND used.identifier = snapshot.identifier)",
        )
        .bind(millis(oldest_kept))
        .fetch_all(&mut transaction)
        .await?;
        let in_transit = in_transit(&mut transaction).await?;
        let mut snapshots = sorted(rows)?;
        snapshots.retain(|snapshot| !in_transit.contains(&snapshot.id));
        Ok(snapshots)
    }

    /// Forgets these snapshots, and the intervals of versions that no snapshot has any more.
    ///
    /// Returns the ones that are forgotten: one that an environment has got meanwhile stays, and so
    /// does one that a switch is leaving. Drop tables only after this, of versions without snapshots.
    pub async fn delete_snapshots(
        &self,
        ids: &[SnapshotId],
    ) -> Result<BTreeSet<SnapshotId>, StateError> {
        let mut transaction = self.write().await?;
        let gone = delete(&mut transaction, ids).await?;
        transaction.commit().await?;
        Ok(gone)
    }

    /// As [`StateStore::delete_snapshots`], but what a plan uses that is being applied at `now` stays as well.
    pub async fn forget_unused(
        &self,
        ids: &[SnapshotId],
        now: DateTime<Utc>,
    ) -> Result<BTreeSet<SnapshotId>, StateError> {
        let mut transaction = self.write().await?;
        let (used, _) = open_plans::in_use(&mut transaction, now).await?;
        let ids = ids.iter().filter(|id| !used.contains(id));
        let ids: Vec<SnapshotId> = ids.cloned().collect();
        let gone = delete(&mut transaction, &ids).await?;
        transaction.commit().await?;
        Ok(gone)
    }
}

async fn delete(
    connection: &mut Connection,
    ids: &[SnapshotId],
) -> Result<BTreeSet<SnapshotId>, StateError> {
    let in_transit = in_transit(connection).await?;
    let ids: Vec<SnapshotId> = ids
        .iter()
        .filter(|id| !in_transit.contains(id))
        .cloned()
        .collect();
    let before = stored_ids(connection, &ids).await?;
    let sql = "DELETE FROM siding_snapshots
               WHERE NOT EXISTS (
                   SELECT 1 FROM siding_environment_snapshots AS used
                   WHERE used.name = siding_snapshots.name
                     AND used.identifier = siding_snapshots.identifier)
                 AND (name, identifier) ";
    with_ids(sql, &ids).execute(&mut *connection).await?;
    query(
        "DELETE FROM siding_intervals
         WHERE NOT EXISTS (
             SELECT 1 FROM siding_snapshots AS kept
             WHERE kept.name = siding_intervals.name
               AND kept.version = replace(siding_intervals.version, '__dev', ''))
         AND NOT EXISTS (
             SELECT 1 FROM siding_environment_snapshots AS shown
             WHERE shown.name = siding_intervals.name
               AND shown.version = siding_intervals.version)",
    )
    .execute(&mut *connection)
    .await?;
    let after = stored_ids(connection, &ids).await?;
    Ok(before.difference(&after).cloned().collect())
}

/// As [`StateStore::snapshot_ids_stored`], inside a transaction.
pub(super) async fn stored_ids(
    connection: &mut Connection,
    ids: &[SnapshotId],
) -> Result<BTreeSet<SnapshotId>, StateError> {
    let mut stored = BTreeSet::new();
    let sql = "SELECT name, identifier FROM siding_snapshots WHERE (name, identifier) ";
    let rows: Vec<(String, String)> = with_ids(sql, ids).fetch_all(connection).await?;
    for (name, identifier) in rows {
        let name = model_name(&name)?;
        stored.insert(SnapshotId { name, identifier });
    }
    Ok(stored)
}

/// What views may still show where a promotion is not known to be done: everything since the last
/// one that was.
async fn in_transit(connection: &mut Connection) -> Result<BTreeSet<SnapshotId>, StateError> {
    let rows = query(
        "SELECT promotion.snapshots
         FROM siding_promotions AS promotion
         JOIN siding_environments AS environment ON environment.name = promotion.environment
         WHERE environment.finalized_at IS NULL
           AND promotion.id >= coalesce((
               SELECT max(done.id) FROM siding_promotions AS done
               WHERE done.environment = environment.name AND done.finalized_at IS NOT NULL), 0)",
    )
    .fetch_column::<String>(connection)
    .await?;
    let mut ids = BTreeSet::new();
    for text in rows {
        ids.extend(promotions::promoted(&text)?.into_iter().map(|it| it.id));
    }
    Ok(ids)
}

#[derive(sqlx::FromRow)]
struct SnapshotRow {
    name: String,
    identifier: String,
    version: String,
    category: String,
    data_hash: String,
    metadata_hash: String,
    parent_data_hash: String,
    parent_metadata_hash: String,
    model: String,
    parents: String,
    columns: Option<String>,
    surface: Option<String>,
    choice: Option<String>,
    forward_only: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl SnapshotRow {
    fn new(snapshot: &Snapshot, now: DateTime<Utc>) -> Result<Self, StateError> {
        let unwritable =
            |error| StateError::unreadable(format!("snapshot of `{}`", snapshot.id.name), error);
        let json = |value: Result<String, serde_json::Error>| value.map_err(unwritable);
        Ok(Self {
            name: snapshot.id.name.to_string(),
            identifier: snapshot.id.identifier.clone(),
            version: snapshot.version.0.clone(),
            category: json(serde_json::to_string(&snapshot.category))?
                .trim_matches('"')
                .to_owned(),
            data_hash: snapshot.fingerprint.data.clone(),
            metadata_hash: snapshot.fingerprint.metadata.clone(),
            parent_data_hash: snapshot.fingerprint.parent_data.clone(),
            parent_metadata_hash: snapshot.fingerprint.parent_metadata.clone(),
            model: json(serde_json::to_string(&snapshot.model))?,
            parents: json(serde_json::to_string(&snapshot.parents))?,
            columns: snapshot
                .columns
                .as_ref()
                .map(|columns| json(serde_json::to_string(columns)))
                .transpose()?,
            surface: Some(json(serde_json::to_string(&snapshot.surface))?),
            choice: snapshot
                .choice
                .as_ref()
                .map(|choice| json(serde_json::to_string(choice)))
                .transpose()?,
            forward_only: snapshot
                .forward_only
                .as_ref()
                .map(|forward_only| json(serde_json::to_string(forward_only)))
                .transpose()?,
            created_at: millis(snapshot.created_at),
            updated_at: millis(now),
        })
    }

    fn snapshot(self) -> Result<Snapshot, StateError> {
        let name = &self.name;
        Ok(Snapshot {
            id: SnapshotId {
                name: model_name(name)?,
                identifier: self.identifier.clone(),
            },
            fingerprint: Arc::new(Fingerprint {
                data: self.data_hash,
                metadata: self.metadata_hash,
                parent_data: self.parent_data_hash,
                parent_metadata: self.parent_metadata_hash,
            }),
            model: Arc::new(json(name, &self.model)?),
            parents: json(name, &self.parents)?,
            columns: maybe_json(name, self.columns.as_deref())?,
            version: Version(self.version),
            category: category(name, &self.category)?,
            surface: surface(name, &self.identifier, self.surface.as_deref())?,
            choice: maybe_json(name, self.choice.as_deref())?,
            forward_only: maybe_json(name, self.forward_only.as_deref())?,
            created_at: instant(self.created_at)?,
        })
    }
}

/// Name, identifier, version, category, surface, choice, what is forward-only, and when it was made.
type LeanRow = (
    String,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    i64,
);

/// The snapshot of a row whose definition is known.
fn lean_snapshot(
    (name, identifier, version, found, seen, choice, forward_only, created_at): LeanRow,
    known: &dyn Fn(&SnapshotId) -> Option<Definition>,
) -> Result<Snapshot, StateError> {
    let id = SnapshotId {
        name: model_name(&name)?,
        identifier,
    };
    let definition = known(&id).ok_or_else(|| StateError::unreadable("snapshot", &name))?;
    Ok(Snapshot {
        fingerprint: definition.fingerprint,
        version: Version(version),
        category: category(&name, &found)?,
        model: definition.model,
        parents: definition.parents,
        columns: definition.columns,
        surface: surface(&name, &id.identifier, seen.as_deref())?,
        choice: maybe_json(&name, choice.as_deref())?,
        forward_only: maybe_json(&name, forward_only.as_deref())?,
        created_at: instant(created_at)?,
        id,
    })
}

fn json<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, StateError> {
    serde_json::from_str(text)
        .map_err(|error| StateError::unreadable(format!("snapshot of `{name}`"), error))
}

fn maybe_json<T: DeserializeOwned>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, StateError> {
    text.map(|text| json(name, text)).transpose()
}

fn category(name: &str, text: &str) -> Result<ChangeCategory, StateError> {
    json(name, &format!("\"{text}\""))
}

/// One that was stored before there were surfaces is equal to no other.
fn surface(name: &str, identifier: &str, text: Option<&str>) -> Result<Arc<Surface>, StateError> {
    let known = maybe_json(name, text)?;
    Ok(Arc::new(
        known.unwrap_or_else(|| Surface::unknown(name, identifier)),
    ))
}

fn sorted(rows: Vec<SnapshotRow>) -> Result<Vec<Snapshot>, StateError> {
    let snapshots = rows.into_iter().map(SnapshotRow::snapshot);
    Ok(in_order(snapshots.collect::<Result<_, _>>()?))
}

fn in_order(mut snapshots: Vec<Snapshot>) -> Vec<Snapshot> {
    snapshots.sort_by(|one, other| one.id.cmp(&other.id));
    snapshots.dedup_by(|one, other| one.id == other.id);
    snapshots
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;
    use std::time::Instant;

    use super::*;
    use crate::state::samples;
    use crate::state::samples::at;
    use crate::state::samples::environment;
    use crate::state::samples::snapshot;

    #[tokio::test]
    async fn a_snapshot_reads_back_as_it_was_first_stored() {
        samples::on_both(async |store| {
            let first = snapshot("db.orders", "i1", "v1");
            let mut changed = first.clone();
            changed.version = Version("other".to_owned());
            store
                .store_snapshots(from_ref(&first), at(1))
                .await
                .unwrap();
            store.store_snapshots(&[changed], at(2)).await.unwrap();

            let ids = [first.id.clone(), snapshot("db.none", "i", "v").id];
            assert_eq!(store.snapshots(&ids).await.unwrap(), from_ref(&first));
            let at_hand = Definition {
                fingerprint: Arc::clone(&first.fingerprint),
                model: Arc::clone(&first.model),
                parents: first.parents.clone(),
                columns: first.columns.clone(),
            };
            let known = |id: &SnapshotId| (*id == first.id).then(|| at_hand.clone());
            let lean = store.snapshots_knowing(&ids, &known).await.unwrap();
            assert_eq!(lean, from_ref(&first));
            assert_eq!(
                store.snapshot_ids_stored(&ids).await.unwrap(),
                BTreeSet::from([first.id.clone()])
            );
            let names = [first.id.name.clone()];
            assert_eq!(store.all_snapshots_of(&names).await.unwrap(), [first]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_thousand_snapshots_are_stored_and_read_at_once() {
        samples::on_both(async |store| {
            let many: Vec<_> = (0..1000)
                .map(|n| snapshot(&format!("db.m{n:04}"), "i", "v"))
                .collect();
            let begin = Instant::now();
            store.store_snapshots(&many, at(1)).await.unwrap();
            let stored = begin.elapsed();
            let ids: Vec<_> = many.iter().map(|it| it.id.clone()).collect();
            assert_eq!(store.snapshots(&ids).await.unwrap(), many);
            // Some 30 ms without optimisation here; a statement per row takes many times that.
            assert!(stored.as_secs() < 4, "{stored:?}");
        })
        .await;
    }

    #[tokio::test]
    async fn only_what_is_old_and_in_no_environment_expires() {
        samples::on_both(async |store| {
            let [kept, old, fresh] =
                ["db.kept", "db.old", "db.fresh"].map(|name| snapshot(name, "i", "v"));
            let all = [kept.clone(), old.clone(), fresh.clone()];
            store.store_snapshots(&all, at(0)).await.unwrap();
            store.touch(from_ref(&fresh.id), at(50)).await.unwrap();
            store
                .promote(&environment("prod", "p1", None, &[&kept]), None)
                .await
                .unwrap();
            let ttl = TimeDelta::milliseconds(60);
            assert!(
                store
                    .expired_snapshots(at(59), ttl)
                    .await
                    .unwrap()
                    .is_empty()
            );
            assert_eq!(
                store.expired_snapshots(at(60), ttl).await.unwrap(),
                from_ref(&old)
            );

            let ids: Vec<_> = all.iter().map(|it| it.id.clone()).collect();
            let deleted = store.delete_snapshots(&ids).await.unwrap();
            assert_eq!(deleted, BTreeSet::from([old.id, fresh.id]));
            assert_eq!(store.snapshots(&ids).await.unwrap(), [kept]);
        })
        .await;
    }

    #[tokio::test]
    async fn what_an_unfinished_switch_leaves_behind_does_not_expire() {
        samples::on_both(async |store| {
            let [old, new] =
                ["i1", "i2"].map(|identifier| snapshot("db.a", identifier, identifier));
            store
                .store_snapshots(&[old.clone(), new.clone()], at(0))
                .await
                .unwrap();
            let prod = "prod".parse().unwrap();
            store
                .promote(&environment("prod", "p1", None, &[&old]), None)
                .await
                .unwrap();
            store.finalize(&prod, "p1", at(1)).await.unwrap();
            store
                .promote(&environment("prod", "p2", Some("p1"), &[&new]), Some("p1"))
                .await
                .unwrap();
            let expired = || store.expired_snapshots(at(1_000_000), TimeDelta::zero());
            assert_eq!(expired().await.unwrap(), []);
            assert!(
                store
                    .delete_snapshots(from_ref(&old.id))
                    .await
                    .unwrap()
                    .is_empty()
            );
            store.finalize(&prod, "p2", at(2)).await.unwrap();
            assert_eq!(expired().await.unwrap(), [old]);
        })
        .await;
    }

    #[tokio::test]
    async fn intervals_go_with_the_last_snapshot_of_their_version() {
        samples::on_both(async |store| {
            let [one, two] = ["i1", "i2"].map(|identifier| snapshot("db.a", identifier, "v"));
            store
                .store_snapshots(&[one.clone(), two.clone()], at(0))
                .await
                .unwrap();
            let key = (one.id.name.clone(), one.version.clone());
            let filled = samples::filled(&key, 0, 10);
            store.add_intervals(&[filled], at(0)).await.unwrap();
            let shared = store
                .snapshot_ids_of_versions(from_ref(&key))
                .await
                .unwrap();
            assert_eq!(
                shared[&key],
                BTreeSet::from([one.id.clone(), two.id.clone()])
            );

            store.delete_snapshots(&[one.id]).await.unwrap();
            assert_eq!(
                store.intervals(from_ref(&key)).await.unwrap()[&key],
                [(0, 10)]
            );
            store.delete_snapshots(&[two.id]).await.unwrap();
            assert_eq!(store.intervals(from_ref(&key)).await.unwrap()[&key], []);
        })
        .await;
    }

    #[tokio::test]
    async fn a_row_that_nobody_could_have_written_is_named() {
        samples::on_both(async |store| {
            let orders = snapshot("db.orders", "i1", "v1");
            store
                .store_snapshots(from_ref(&orders), at(0))
                .await
                .unwrap();
            store
                .tamper("UPDATE siding_snapshots SET model = '{}'")
                .await;
            let error = store.snapshots(&[orders.id]).await.unwrap_err();
            assert!(
                error.to_string().contains("snapshot of `db.orders`"),
                "{error}"
            );
        })
        .await;
    }
}

//! What each batch took: rows, bytes, time. Recorded together with the interval that it filled.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::DateTime;
use chrono::Utc;

use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::snapshot::Interval;
use crate::snapshot::Version;
use crate::state::FilledInterval;
use crate::state::Lease;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::Connection;
use crate::state::database::query;
use crate::state::intervals;
use crate::state::keys::ROWS_PER_STATEMENT;
use crate::state::keys::millis;
use crate::state::keys::model_name;
use crate::state::keys::with_names;
use crate::state::leases;

/// Batches of one model that are kept; older ones say little about the next.
const KEPT_PER_MODEL: i64 = 100;

/// A batch that is in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRecord {
    /// Of which model.
    pub name: ModelName,
    /// In which of its tables.
    pub version: Version,
    /// Which slice of time.
    pub range: Interval,
    /// For which environment.
    pub environment: EnvironmentName,
    /// How many intervals of the model's unit it covers; 1 for a model that is built whole.
    pub units: u64,
    /// Rows written; `None` where the engine does not say.
    pub rows: Option<u64>,
    /// Bytes processed; `None` where the engine does not say.
    pub bytes: Option<u64>,
    /// From the first statement to the commit.
    pub took: Duration,
    /// When it was committed.
    pub finished_at: DateTime<Utc>,
}

impl BatchRecord {
    fn filled(&self) -> FilledInterval {
        FilledInterval {
            name: self.name.clone(),
            version: self.version.clone(),
            start_ms: millis(self.range.start()),
            end_ms: millis(self.range.end()),
        }
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// How fast a model was filled: one batch of its past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Intervals of the model's unit.
    pub units: u64,
    /// Rows written, where known.
    pub rows: Option<u64>,
    /// Bytes processed, where known.
    pub bytes: Option<u64>,
    /// Time.
    pub took: Duration,
}

impl StateStore {
    /// Records that batches are in their table, if `lease` on that table is still ours: all of them or none.
    ///
    /// # Errors
    /// [`StateError::Overtaken`] or [`StateError::Cleared`] if it is not; then nothing is recorded.
    pub async fn record_batches(
        &self,
        lease: &Lease,
        batches: &[BatchRecord],
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        record(&mut transaction, lease, batches, now).await?;
        transaction.commit().await
    }

    /// The same for the last ones: `lease` is given back.
    ///
    /// # Errors
    /// As [`StateStore::record_batches`].
    pub async fn record_last_batches(
        &self,
        lease: &Lease,
        batches: &[BatchRecord],
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        record(&mut transaction, lease, batches, now).await?;
        leases::give_back(&mut transaction, lease).await?;
        transaction.commit().await
    }

    /// Records that a table holds `range`, which somebody else wrote, if `lease` on that table is ours.
    ///
    /// # Errors
    /// As [`StateStore::record_batches`].
    pub async fn record_filled_under(
        &self,
        lease: &Lease,
        name: &ModelName,
        version: &Version,
        range: Interval,
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let filled = FilledInterval {
            name: name.clone(),
            version: version.clone(),
            start_ms: millis(range.start()),
            end_ms: millis(range.end()),
        };
        let mut transaction = self.write().await?;
        leases::check(&mut transaction, lease).await?;
        intervals::append(&mut transaction, &[filled], false, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The latest batches of each of these models, of whichever version, latest first. Models without any are absent.
    pub async fn paces(
        &self,
        names: &[ModelName],
    ) -> Result<BTreeMap<ModelName, Vec<Pace>>, StateError> {
        let mut transaction = self.read().await?;
        let mut paces: BTreeMap<ModelName, Vec<Pace>> = BTreeMap::new();
        let sql = "SELECT name, units, row_count, byte_count, milliseconds
                   FROM siding_batches WHERE name ";
        let mut query = with_names(sql, names);
        query.push(" ORDER BY name, finished_at DESC, start_at DESC");
        let rows: Vec<PaceRow> = query.fetch_all(&mut transaction).await?;
        for row in rows {
            let name = model_name(&row.name)?;
            paces.entry(name).or_default().push(row.pace());
        }
        Ok(paces)
    }

    /// The latest batches of all models that wrote at least `rows` rows and took at least `took`, latest first.
    pub async fn latest_paces(
        &self,
        rows: u64,
        took: Duration,
        most: u32,
    ) -> Result<Vec<Pace>, StateError> {
        let mut transaction = self.read().await?;
        let rows: Vec<PaceRow> = query(
            "SELECT name, units, row_count, byte_count, milliseconds
             FROM siding_batches WHERE row_count >= $1 AND milliseconds >= $2
             ORDER BY finished_at DESC, name, start_at DESC LIMIT $3",
        )
        .bind(number(rows))
        .bind(i64::try_from(took.as_millis()).unwrap_or(i64::MAX))
        .bind(i64::from(most))
        .fetch_all(&mut transaction)
        .await?;
        Ok(rows.iter().map(PaceRow::pace).collect())
    }

    /// Forgets all but the latest batches of each model. Returns how many.
    pub async fn forget_old_batches(&self) -> Result<u64, StateError> {
        let mut transaction = self.write().await?;
        let gone = query(
            "DELETE FROM siding_batches
             WHERE EXISTS (
                 SELECT 1 FROM (
                     SELECT name, finished_at,
                            row_number() OVER (
                                PARTITION BY name ORDER BY finished_at DESC, start_at DESC) AS age
                     FROM siding_batches) AS ranked
                 WHERE ranked.age = $1 AND ranked.name = siding_batches.name
                   AND ranked.finished_at > siding_batches.finished_at)",
        )
        .bind(KEPT_PER_MODEL)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        Ok(gone)
    }
}

#[derive(sqlx::FromRow)]
struct PaceRow {
    name: String,
    units: i64,
    row_count: Option<i64>,
    byte_count: Option<i64>,
    milliseconds: i64,
}

impl PaceRow {
    fn pace(&self) -> Pace {
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        Pace {
            units: number(self.units).max(1),
            rows: self.row_count.map(number),
            bytes: self.byte_count.map(number),
            took: Duration::from_millis(number(self.milliseconds)),
        }
    }
}

/// Records batches in a transaction, if `lease` on their table is still ours.
async fn record(
    transaction: &mut Connection,
    lease: &Lease,
    batches: &[BatchRecord],
    now: DateTime<Utc>,
) -> Result<(), StateError> {
    let filled: Vec<FilledInterval> = batches.iter().map(BatchRecord::filled).collect();
    leases::check(transaction, lease).await?;
    intervals::append(transaction, &filled, false, now).await?;
    for batches in batches.chunks(ROWS_PER_STATEMENT) {
        let mut query = query(
            "INSERT INTO siding_batches (
                     name, version, start_at, end_at, finished_at, environment,
                     units, row_count, byte_count, milliseconds) ",
        );
        query.push_values(batches, |row, batch| {
            row.push_bind(batch.name.to_string())
                .push_bind(batch.version.0.clone())
                .push_bind(millis(batch.range.start()))
                .push_bind(millis(batch.range.end()))
                .push_bind(millis(batch.finished_at))
                .push_bind(batch.environment.as_str())
                .push_bind(number(batch.units))
                .push_bind(batch.rows.map(number))
                .push_bind(batch.bytes.map(number))
                .push_bind(i64::try_from(batch.took.as_millis()).unwrap_or(i64::MAX));
        });
        query.push(" ON CONFLICT DO NOTHING");
        query.execute(&mut *transaction).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::state::Claim;
    use crate::state::Holder;
    use crate::state::Subject;
    use crate::state::samples;
    use crate::state::samples::at;

    fn key() -> (ModelName, Version) {
        ("db.a".parse().unwrap(), Version("v".to_owned()))
    }

    fn batch(start: i64, end: i64) -> BatchRecord {
        BatchRecord {
            name: key().0,
            version: key().1,
            range: Interval::new(at(start), at(end)).unwrap(),
            environment: EnvironmentName::prod(),
            units: 2,
            rows: Some(10),
            bytes: None,
            took: Duration::from_millis(4),
            finished_at: at(21),
        }
    }

    async fn lease(store: &StateStore, id: &str, now: i64) -> Lease {
        let holder = Holder {
            id: id.to_owned(),
            label: id.to_owned(),
        };
        let subject = Subject::table(&key().0, &key().1);
        let claim = store.claim(&subject, &holder, TimeDelta::milliseconds(10), at(now));
        match claim.await.unwrap() {
            Claim::Given(lease) => lease,
            Claim::Held(by) => panic!("{by:?}"),
        }
    }

    #[tokio::test]
    async fn a_batch_is_recorded_with_its_interval_or_not_at_all() {
        samples::on_both(async |store| {
            let late = lease(&store, "ada", 0).await;
            let current = lease(&store, "bob", 20).await;
            let error = store
                .record_batches(&late, &[batch(0, 5), batch(5, 10)], at(0))
                .await
                .unwrap_err();
            assert!(matches!(error, StateError::Overtaken { .. }), "{error}");
            assert!(store.paces(&[key().0]).await.unwrap().is_empty());
            assert!(store.intervals(&[key()]).await.unwrap()[&key()].is_empty());

            let recorded = [batch(0, 10)];
            store
                .record_batches(&current, &recorded, at(0))
                .await
                .unwrap();
            assert!(store.still_holds(&current).await.unwrap());
            let last = store.record_last_batches(&current, &recorded, at(0));
            last.await.unwrap();
            assert!(!store.still_holds(&current).await.unwrap());
            assert_eq!(store.intervals(&[key()]).await.unwrap()[&key()], [(0, 10)]);
            let paces = store.paces(&[key().0]).await.unwrap();
            let expected = Pace {
                units: 2,
                rows: Some(10),
                bytes: None,
                took: Duration::from_millis(4),
            };
            assert_eq!(paces[&key().0], [expected]);
        })
        .await;
    }

    #[tokio::test]
    async fn of_many_batches_the_latest_hundred_are_kept() {
        samples::on_both(async |store| {
            let lease = lease(&store, "ada", 0).await;
            let minutes = |minutes: std::ops::Range<i64>| -> Vec<BatchRecord> {
                let batches = minutes.map(|minute| BatchRecord {
                    finished_at: at(minute),
                    ..batch(minute, minute + 1)
                });
                batches.collect()
            };
            // More than fit in one statement, and one alone.
            for batches in [minutes(0..129), minutes(129..130)] {
                let recorded = store.record_batches(&lease, &batches, at(0));
                recorded.await.unwrap();
            }
            assert_eq!(store.forget_old_batches().await.unwrap(), 30);
            assert_eq!(store.paces(&[key().0]).await.unwrap()[&key().0].len(), 100);
            assert_eq!(store.intervals(&[key()]).await.unwrap()[&key()], [(0, 130)]);
        })
        .await;
    }
}

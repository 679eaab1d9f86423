//! Which intervals of which version are filled: a log that only grows, and its sum.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use chrono::DateTime;
use chrono::Utc;

use crate::model::ModelName;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;
use crate::snapshot::Version;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Subject;
use crate::state::database::Connection;
use crate::state::database::query;
use crate::state::keys::ROWS_PER_STATEMENT;
use crate::state::keys::millis;
use crate::state::keys::model_name;
use crate::state::keys::with_versions;
use crate::state::leases;

/// A slice of time that was filled or cleared: half-open, in milliseconds since 1970 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilledInterval {
    /// Of which model.
    pub name: ModelName,
    /// In which of its tables.
    pub version: Version,
    /// First instant.
    pub start_ms: i64,
    /// First instant after it.
    pub end_ms: i64,
}

/// Disjoint, apart and sorted `(start, end)` pairs in milliseconds.
type Pairs = Vec<(i64, i64)>;

impl StateStore {
    /// What is filled of each of these versions: sorted pairs `(start_ms, end_ms)` that neither
    /// overlap nor touch. Every key asked for is in the map.
    pub async fn intervals(
        &self,
        keys: &[(ModelName, Version)],
    ) -> Result<BTreeMap<(ModelName, Version), Vec<(i64, i64)>>, StateError> {
        let mut transaction = self.read().await?;
        let mut filled: BTreeMap<_, Pairs> =
            keys.iter().map(|key| (key.clone(), Pairs::new())).collect();
        let sql = "SELECT name, version, start_at, end_at, removed, id FROM siding_intervals
                   WHERE (name, version) ";
        let mut query = with_versions(sql, keys);
        query.push(" ORDER BY name, version, id");
        let rows: Vec<LogRow> = query.fetch_all(&mut transaction).await?;
        for of_version in rows.chunk_by(LogRow::is_same_version) {
            filled.insert(of_version[0].key()?, replay(of_version));
        }
        Ok(filled)
    }

    /// The same as sets of time.
    pub async fn filled(
        &self,
        keys: &[(ModelName, Version)],
    ) -> Result<BTreeMap<(ModelName, Version), Intervals>, StateError> {
        let instant = DateTime::from_timestamp_millis;
        let set = |pairs: Pairs| -> Intervals {
            let pairs = pairs.into_iter();
            pairs
                .filter_map(|(start, end)| Interval::new(instant(start)?, instant(end)?))
                .collect()
        };
        let filled = self.intervals(keys).await?;
        Ok(filled
            .into_iter()
            .map(|(key, pairs)| (key, set(pairs)))
            .collect())
    }

    /// Records that `interval` of a table was filled. Recording the same again changes nothing that is read.
    pub async fn record_filled(
        &self,
        name: &ModelName,
        version: &Version,
        interval: Interval,
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let filled = FilledInterval {
            name: name.clone(),
            version: version.clone(),
            start_ms: interval.start().timestamp_millis(),
            end_ms: interval.end().timestamp_millis(),
        };
        self.add_intervals(&[filled], now).await
    }

    /// Records that these were filled. Recording the same again changes nothing that is read.
    pub async fn add_intervals(
        &self,
        intervals: &[FilledInterval],
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        append(&mut transaction, intervals, false, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Records that these must be filled again.
    pub async fn remove_intervals(
        &self,
        intervals: &[FilledInterval],
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        append(&mut transaction, intervals, true, now).await?;
        let tables: BTreeSet<Subject> = intervals
            .iter()
            .map(|interval| Subject::table(&interval.name, &interval.version))
            .collect();
        leases::outdate(&mut transaction, tables.into_iter()).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Replaces the log by its sum; what is read stays the same. Returns how many rows fewer it has.
    pub async fn compact_intervals(&self, now: DateTime<Utc>) -> Result<u64, StateError> {
        let mut transaction = self.write().await?;
        let rows: Vec<LogRow> = query(
            "SELECT name, version, start_at, end_at, removed, id FROM siding_intervals
             WHERE (name, version) IN (
                 SELECT name, version FROM siding_intervals
                 GROUP BY name, version HAVING count(*) > 1 OR max(CASE WHEN removed THEN 1 ELSE 0 END) = 1)
             ORDER BY name, version, id",
        )
        .fetch_all(&mut transaction)
        .await?;
        let mut gone = 0;
        for of_version in rows.chunk_by(LogRow::is_same_version) {
            let sum = replay(of_version);
            if sum.len() == of_version.len() {
                continue;
            }
            let key = of_version[0].key()?;
            query("DELETE FROM siding_intervals WHERE name = $1 AND version = $2")
                .bind(&of_version[0].name)
                .bind(&of_version[0].version)
                .execute(&mut transaction)
                .await?;
            let kept: Vec<FilledInterval> = sum
                .into_iter()
                .map(|(start_ms, end_ms)| FilledInterval {
                    name: key.0.clone(),
                    version: key.1.clone(),
                    start_ms,
                    end_ms,
                })
                .collect();
            append(&mut transaction, &kept, false, now).await?;
            gone += of_version.len() - kept.len();
        }
        transaction.commit().await?;
        Ok(u64::try_from(gone).unwrap_or(u64::MAX))
    }
}

/// What is filled of one table: sorted pairs that neither overlap nor touch.
pub(super) async fn sum_of(
    connection: &mut Connection,
    table: &(ModelName, Version),
) -> Result<Vec<(i64, i64)>, StateError> {
    let rows: Vec<LogRow> = query(
        "SELECT name, version, start_at, end_at, removed, id FROM siding_intervals
         WHERE name = $1 AND version = $2 ORDER BY id",
    )
    .bind(table.0.to_string())
    .bind(table.1.0.clone())
    .fetch_all(connection)
    .await?;
    Ok(replay(&rows))
}

/// Adds rows to the log.
pub(super) async fn append(
    connection: &mut Connection,
    intervals: &[FilledInterval],
    removed: bool,
    now: DateTime<Utc>,
) -> Result<(), StateError> {
    for intervals in intervals.chunks(ROWS_PER_STATEMENT) {
        let mut query = query(
            "INSERT INTO siding_intervals (name, version, start_at, end_at, removed, created_at) ",
        );
        query.push_values(intervals, |row, interval| {
            row.push_bind(interval.name.to_string())
                .push_bind(interval.version.0.clone())
                .push_bind(interval.start_ms)
                .push_bind(interval.end_ms)
                .push_bind(removed)
                .push_bind(millis(now));
        });
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct LogRow {
    name: String,
    version: String,
    start_at: i64,
    end_at: i64,
    removed: bool,
}

impl LogRow {
    fn is_same_version(&self, other: &Self) -> bool {
        self.name == other.name && self.version == other.version
    }

    fn key(&self) -> Result<(ModelName, Version), StateError> {
        Ok((model_name(&self.name)?, Version(self.version.clone())))
    }
}

/// What is filled after everything in `log`, which is in the order it happened.
fn replay(log: &[LogRow]) -> Pairs {
    let mut filled = Pairs::new();
    for same in log.chunk_by(|one, next| one.removed == next.removed) {
        let pairs = same.iter().map(|row| (row.start_at, row.end_at));
        if same[0].removed {
            filled = without(&filled, &merged(pairs.collect()));
        } else {
            filled.extend(pairs);
            filled = merged(filled);
        }
    }
    filled
}

/// The same instants as sorted pairs that are not empty and neither overlap nor touch.
fn merged(mut pairs: Pairs) -> Pairs {
    pairs.retain(|(start, end)| start < end);
    pairs.sort_unstable();
    let mut sum = Pairs::new();
    for (start, end) in pairs {
        match sum.last_mut() {
            Some((_, last)) if start <= *last => *last = end.max(*last),
            _ => sum.push((start, end)),
        }
    }
    sum
}

/// The instants of `filled` that are not in `cleared`; both are merged, and so is the result.
fn without(filled: &[(i64, i64)], cleared: &[(i64, i64)]) -> Pairs {
    let mut left = Pairs::new();
    let mut cleared = cleared.iter().copied().peekable();
    for &(start, end) in filled {
        let mut start = start;
        // One that reaches beyond this pair is needed for the next pair as well.
        while let Some(&(from, to)) = cleared.peek() {
            if from >= end {
                break;
            }
            if start < from {
                left.push((start, from));
            }
            start = start.max(to);
            if to > end {
                break;
            }
            cleared.next();
        }
        if start < end {
            left.push((start, end));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::state::samples;
    use crate::state::samples::at;

    fn row(removed: bool, start_at: i64, end_at: i64) -> LogRow {
        LogRow {
            name: "a".to_owned(),
            version: "v".to_owned(),
            start_at,
            end_at,
            removed,
        }
    }

    fn key() -> (ModelName, Version) {
        ("db.a".parse().unwrap(), Version("v".to_owned()))
    }

    async fn filled(store: &StateStore) -> Vec<(i64, i64)> {
        store
            .intervals(&[key()])
            .await
            .unwrap()
            .remove(&key())
            .unwrap()
    }

    proptest::proptest! {
        #[test]
        fn a_log_sums_up_to_what_each_minute_says(
            log in proptest::collection::vec((proptest::bool::ANY, 0_i64..12, 0_i64..12), 0..12)
        ) {
            let rows: Vec<_> = log.iter().map(|&(removed, start, end)| row(removed, start, end)).collect();
            let mut minutes = [false; 12];
            for (minute, is_filled) in (0..).zip(&mut minutes) {
                for &(removed, start, end) in &log {
                    if (start..end).contains(&minute) {
                        *is_filled = !removed;
                    }
                }
            }
            let sum = replay(&rows);
            proptest::prop_assert!(sum.windows(2).all(|pair| pair[0].1 < pair[1].0), "{sum:?}");
            for (minute, is_filled) in (0..).zip(minutes) {
                let found = sum.iter().any(|&(start, end)| (start..end).contains(&minute));
                proptest::prop_assert_eq!(found, is_filled, "minute {} of {:?}", minute, sum);
            }
        }
    }

    #[tokio::test]
    async fn cleared_intervals_are_missing_until_they_are_filled_again() {
        samples::on_both(async |store| {
            assert_eq!(filled(&store).await, []);
            let add = |start, end| samples::filled(&key(), start, end);
            store
                .add_intervals(&[add(0, 10), add(10, 20), add(30, 40)], at(0))
                .await
                .unwrap();
            assert_eq!(filled(&store).await, [(0, 20), (30, 40)]);
            store.remove_intervals(&[add(5, 35)], at(0)).await.unwrap();
            assert_eq!(filled(&store).await, [(0, 5), (35, 40)]);
            store.add_intervals(&[add(5, 36)], at(0)).await.unwrap();
            assert_eq!(filled(&store).await, [(0, 40)]);

            assert_eq!(store.compact_intervals(at(1)).await.unwrap(), 4);
            assert_eq!(filled(&store).await, [(0, 40)]);
            assert_eq!(store.compact_intervals(at(2)).await.unwrap(), 0);
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_cleared_whole_leaves_no_rows() {
        samples::on_both(async |store| {
            let all = [samples::filled(&key(), 0, 10)];
            store.add_intervals(&all, at(0)).await.unwrap();
            store.remove_intervals(&all, at(0)).await.unwrap();
            assert_eq!(store.compact_intervals(at(1)).await.unwrap(), 2);
            assert_eq!(filled(&store).await, []);
        })
        .await;
    }

    #[tokio::test]
    async fn a_hundred_thousand_intervals_shrink_to_one() {
        samples::on_both(async |store| {
            let hours: Vec<_> = (0..100_000)
                .map(|hour| samples::filled(&key(), hour, hour + 1))
                .collect();
            store.add_intervals(&hours, at(0)).await.unwrap();
            let begin = Instant::now();
            assert_eq!(store.compact_intervals(at(1)).await.unwrap(), 99_999);
            assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
            assert_eq!(filled(&store).await, [(0, 100_000)]);
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn two_stores_on_one_file_lose_no_interval() {
        samples::twins_on_both(async |stores| {
            let tasks: Vec<_> = (0..50)
                .map(|n: usize| {
                    let store = stores[n % 2].clone();
                    let start = i64::try_from(n).unwrap() * 2;
                    tokio::spawn(async move {
                        let one = samples::filled(&key(), start, start + 1);
                        store.add_intervals(&[one], at(0)).await
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
            for store in &stores {
                assert_eq!(filled(store).await.len(), 50);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_write_that_is_not_committed_leaves_nothing() {
        samples::on_both(async |store| {
            let one = [samples::filled(&key(), 0, 10)];
            let mut killed = store.write().await.unwrap();
            append(&mut killed, &one, false, at(0)).await.unwrap();
            drop(killed);
            assert_eq!(filled(&store).await, []);
            store.add_intervals(&one, at(0)).await.unwrap();
            assert_eq!(filled(&store).await, [(0, 10)]);
        })
        .await;
    }
}

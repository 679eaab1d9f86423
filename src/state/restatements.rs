//! What is to be filled again: cleared and written down at once, so that nobody takes old rows for new ones.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use chrono::DateTime;
use chrono::Utc;

use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::state::FilledInterval;
use crate::state::Lease;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Subject;
use crate::state::database::Connection;
use crate::state::database::query;
use crate::state::intervals;
use crate::state::keys::ROWS_PER_STATEMENT;
use crate::state::keys::instant;
use crate::state::keys::millis;
use crate::state::keys::model_name;
use crate::state::keys::with_versions;
use crate::state::leases;

/// Who wants something filled again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestatementRecord {
    /// The plan.
    pub plan_id: String,
    /// The environment that was planned.
    pub environment: EnvironmentName,
    /// Who applied it.
    pub restated_by: String,
    /// What was filled, when it was planned, of tables whose rows build on those before: more must not have come since.
    pub known: BTreeMap<(ModelName, Version), Intervals>,
}

/// A stored snapshot without its definition: enough to know what was made of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descent {
    /// Its key.
    pub id: SnapshotId,
    /// Its table.
    pub version: Version,
    /// What it reads.
    pub parents: Vec<SnapshotId>,
}

/// What was the last that happened to some tables.
#[derive(Clone, Debug)]
pub struct Marks {
    tables: Vec<(ModelName, Version)>,
    last: i64,
}

impl Marks {
    /// Whether nothing has happened since.
    pub(super) async fn hold(&self, connection: &mut Connection) -> Result<bool, StateError> {
        Ok(last_of(connection, &self.tables).await? == self.last)
    }
}

impl StateStore {
    /// Clears `own` and `others`, and records that `own` is to be filled again: all of it or nothing. Whoever writes any
    /// of these tables now records nothing of it.
    pub async fn restate(
        &self,
        record: &RestatementRecord,
        own: &[FilledInterval],
        others: &[FilledInterval],
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        for (table, known) in &record.known {
            let filled = intervals_of(&mut transaction, table).await?;
            if !filled.difference(known).is_empty() {
                let name = table.0.to_string();
                return Err(StateError::FilledMeanwhile { name });
            }
        }
        intervals::append(&mut transaction, own, true, now).await?;
        intervals::append(&mut transaction, others, true, now).await?;
        let tables: BTreeSet<Subject> = own
            .iter()
            .chain(others)
            .map(|interval| Subject::table(&interval.name, &interval.version))
            .collect();
        leases::outdate(&mut transaction, tables.into_iter()).await?;
        for own in own.chunks(ROWS_PER_STATEMENT) {
            let mut query = query(
                "INSERT INTO siding_restatements (
                     name, version, start_at, end_at, plan_id, environment, restated_by, created_at) ",
            );
            query.push_values(own, |row, interval| {
                row.push_bind(interval.name.to_string())
                    .push_bind(interval.version.0.clone())
                    .push_bind(interval.start_ms)
                    .push_bind(interval.end_ms)
                    .push_bind(record.plan_id.clone())
                    .push_bind(record.environment.to_string())
                    .push_bind(record.restated_by.clone())
                    .push_bind(millis(now));
            });
            query.push(
                " ON CONFLICT (name, version, start_at, end_at) DO UPDATE SET
                      plan_id = excluded.plan_id, environment = excluded.environment,
                      restated_by = excluded.restated_by, created_at = excluded.created_at",
            );
            query.execute(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The ranges that were to be filled again, of each of these tables that has any; some may be filled by now.
    pub async fn restatements(
        &self,
        keys: &[(ModelName, Version)],
    ) -> Result<BTreeMap<(ModelName, Version), Vec<Interval>>, StateError> {
        let mut transaction = self.read().await?;
        let mut found: BTreeMap<_, Vec<Interval>> = BTreeMap::new();
        let sql = "SELECT name, version, start_at, end_at FROM siding_restatements
                   WHERE (name, version) ";
        let rows: Vec<(String, String, i64, i64)> =
            with_versions(sql, keys).fetch_all(&mut transaction).await?;
        for (name, version, start, end) in rows {
            let key = (model_name(&name)?, Version(version));
            if let Some(range) = Interval::new(instant(start)?, instant(end)?) {
                found.entry(key).or_default().push(range);
            }
        }
        Ok(found)
    }

    /// Whether something that the plan `plan_id` has cleared is still to be filled again.
    pub async fn is_restating(&self, plan_id: &str) -> Result<bool, StateError> {
        let mut transaction = self.read().await?;
        let row: Option<(String,)> =
            query("SELECT name FROM siding_restatements WHERE plan_id = $1 LIMIT 1")
                .bind(plan_id.to_owned())
                .fetch_optional(&mut transaction)
                .await?;
        Ok(row.is_some())
    }

    /// Forgets what was to be filled again of these tables, because it is.
    pub async fn close_restatements(
        &self,
        keys: &[(ModelName, Version)],
    ) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        let sql = "DELETE FROM siding_restatements WHERE (name, version) ";
        with_versions(sql, keys).execute(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// A number that is another one after anything was filled or cleared of a table.
    pub async fn mark(&self, table: &(ModelName, Version)) -> Result<i64, StateError> {
        last_of(&mut *self.read().await?, std::slice::from_ref(table)).await
    }

    /// What [`promote_under`](Self::promote_under) compares: whether anything was filled or cleared of these tables since.
    pub async fn marks(&self, tables: Vec<(ModelName, Version)>) -> Result<Marks, StateError> {
        let last = last_of(&mut *self.read().await?, &tables).await?;
        Ok(Marks { tables, last })
    }

    /// Records that `kept` was copied from the table `from` to the one of version `to`, as far as it is filled there.
    /// Returns `false`, and records nothing, if `from` was changed since [`mark`](Self::mark) gave `mark`:
    /// then nobody knows which rows the copy has.
    pub async fn carry(
        &self,
        lease: &Lease,
        from: &(ModelName, Version),
        to: &Version,
        kept: &[Interval],
        mark: i64,
        now: DateTime<Utc>,
    ) -> Result<bool, StateError> {
        let mut transaction = self.write().await?;
        leases::check(&mut transaction, lease).await?;
        if last_of(&mut transaction, std::slice::from_ref(from)).await? != mark {
            return Ok(false);
        }
        let filled = intervals_of(&mut transaction, from).await?;
        let kept: Intervals = kept.iter().copied().collect();
        let carried: Vec<FilledInterval> = kept
            .difference(&kept.difference(&filled))
            .iter()
            .map(|range| FilledInterval {
                name: from.0.clone(),
                version: to.clone(),
                start_ms: millis(range.start()),
                end_ms: millis(range.end()),
            })
            .collect();
        intervals::append(&mut transaction, &carried, false, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Every stored snapshot with its table and what it reads.
    pub async fn descent(&self) -> Result<Vec<Descent>, StateError> {
        let mut transaction = self.read().await?;
        let rows: Vec<(String, String, String, String)> =
            query("SELECT name, identifier, version, parents FROM siding_snapshots")
                .fetch_all(&mut transaction)
                .await?;
        rows.into_iter()
            .map(|(name, identifier, version, parents)| {
                let unreadable =
                    |error| StateError::unreadable(format!("snapshot of `{name}`"), error);
                Ok(Descent {
                    parents: serde_json::from_str(&parents).map_err(unreadable)?,
                    id: SnapshotId {
                        name: model_name(&name)?,
                        identifier,
                    },
                    version: Version(version),
                })
            })
            .collect()
    }

    /// Every table that something is filled of, with the time from its first to its last interval.
    pub async fn filled_tables(
        &self,
    ) -> Result<BTreeMap<(ModelName, Version), Interval>, StateError> {
        let mut transaction = self.read().await?;
        let rows: Vec<(String, String, i64, i64)> = query(
            "SELECT name, version, min(start_at), max(end_at) FROM siding_intervals
             WHERE NOT removed GROUP BY name, version",
        )
        .fetch_all(&mut transaction)
        .await?;
        let mut tables = BTreeMap::new();
        for (name, version, start, end) in rows {
            if let Some(span) = Interval::new(instant(start)?, instant(end)?) {
                tables.insert((model_name(&name)?, Version(version)), span);
            }
        }
        Ok(tables)
    }
}

/// The number of the last entry of the log of any of these tables; 0 if there is none. Numbers are never used again, so the same
/// one means that nothing was filled, cleared or summed up since.
async fn last_of(
    connection: &mut Connection,
    tables: &[(ModelName, Version)],
) -> Result<i64, StateError> {
    let sql = "SELECT coalesce(max(id), 0) FROM siding_intervals WHERE (name, version) ";
    let found: Vec<i64> = with_versions(sql, tables).fetch_column(connection).await?;
    Ok(found.first().copied().unwrap_or(0))
}

/// What is filled of a table.
async fn intervals_of(
    connection: &mut Connection,
    table: &(ModelName, Version),
) -> Result<Intervals, StateError> {
    let filled = intervals::sum_of(connection, table).await?;
    let filled = filled
        .into_iter()
        .filter_map(|(start, end)| Interval::new(instant(start).ok()?, instant(end).ok()?));
    Ok(filled.collect())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::state::Claim;
    use crate::state::Holder;
    use crate::state::samples;
    use crate::state::samples::at;

    #[tokio::test]
    async fn what_is_restated_is_cleared_and_written_down_in_one() {
        samples::on_both(async |store| {
            let key = |name: &str| (name.parse::<ModelName>().unwrap(), Version("v".to_owned()));
            let all = [
                samples::filled(&key("db.a"), 0, 10),
                samples::filled(&key("db.b"), 0, 10),
            ];
            store.add_intervals(&all, at(0)).await.unwrap();
            let record = RestatementRecord {
                plan_id: "p".to_owned(),
                environment: EnvironmentName::prod(),
                restated_by: "ada".to_owned(),
                known: BTreeMap::new(),
            };
            let own = [samples::filled(&key("db.a"), 2, 5)];
            let others = [samples::filled(&key("db.b"), 0, 10)];
            for _ in 0..2 {
                store.restate(&record, &own, &others, at(1)).await.unwrap();
            }

            let keys = [key("db.a"), key("db.b")];
            let filled = store.intervals(&keys).await.unwrap();
            assert_eq!(filled[&keys[0]], [(0, 2), (5, 10)]);
            assert_eq!(filled[&keys[1]], []);
            let open = store.restatements(&keys).await.unwrap();
            let range = Interval::new(at(2), at(5)).unwrap();
            assert_eq!(open, BTreeMap::from([(key("db.a"), vec![range])]));
            store.close_restatements(&keys).await.unwrap();
            assert!(store.restatements(&keys).await.unwrap().is_empty());
        })
        .await;
    }

    #[tokio::test]
    async fn what_was_filled_further_meanwhile_is_not_restated() {
        samples::on_both(async |store| {
            let key = (
                "db.a".parse::<ModelName>().unwrap(),
                Version("v".to_owned()),
            );
            let known = |end| {
                let filled: Intervals = [Interval::new(at(0), at(end)).unwrap()]
                    .into_iter()
                    .collect();
                BTreeMap::from([(key.clone(), filled)])
            };
            let all = [samples::filled(&key, 0, 10), samples::filled(&key, 10, 20)];
            store.add_intervals(&all, at(0)).await.unwrap();
            let record = |end| RestatementRecord {
                plan_id: "p".to_owned(),
                environment: EnvironmentName::prod(),
                restated_by: "ada".to_owned(),
                known: known(end),
            };
            let error = store.restate(&record(10), &all[..1], &[], at(1)).await;
            assert!(matches!(error, Err(StateError::FilledMeanwhile { .. })));
            let filled = store.intervals(std::slice::from_ref(&key)).await.unwrap();
            assert_eq!(filled[&key], [(0, 20)]);
            store.restate(&record(20), &all, &[], at(1)).await.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn a_copy_of_a_table_that_changed_meanwhile_claims_nothing() {
        samples::on_both(async |store| {
            let name: ModelName = "db.a".parse().unwrap();
            let (from, to) = (Version("old".to_owned()), Version("new".to_owned()));
            let source = (name.clone(), from);
            let all = [samples::filled(&source, 0, 10)];
            store.add_intervals(&all, at(0)).await.unwrap();
            let kept = [Interval::new(at(0), at(20)).unwrap()];

            let holder = Holder {
                id: "ada".to_owned(),
                label: "ada".to_owned(),
            };
            let subject = Subject::table(&name, &to);
            let claim = store.claim(&subject, &holder, TimeDelta::seconds(1), at(0));
            let Claim::Given(lease) = claim.await.unwrap() else {
                panic!("nobody else has it");
            };
            let mark = store.mark(&source).await.unwrap();
            // Restated and filled again while the rows were read: which ones came along, nobody knows.
            store.remove_intervals(&all, at(1)).await.unwrap();
            store.add_intervals(&all, at(1)).await.unwrap();
            store.compact_intervals(at(1)).await.unwrap();
            let carried = store.carry(&lease, &source, &to, &kept, mark, at(2)).await;
            assert!(!carried.unwrap());
            let target = (name, to.clone());
            let filled = || async {
                store
                    .intervals(std::slice::from_ref(&target))
                    .await
                    .unwrap()
            };
            assert_eq!(filled().await[&target], []);

            let mark = store.mark(&source).await.unwrap();
            let carried = store.carry(&lease, &source, &to, &kept, mark, at(2)).await;
            assert!(carried.unwrap());
            assert_eq!(filled().await[&target], [(0, 10)], "no more than there was");
        })
        .await;
    }
}

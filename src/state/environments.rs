//! Environments as they are now.

use std::collections::BTreeMap;

use chrono::DateTime;
use chrono::Utc;

use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::environment::Naming;
use crate::environment::PromotedSnapshot;
use crate::environment::UnknownNaming;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::sql::TableName;
use crate::state::Lease;
use crate::state::Marks;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::Connection;
use crate::state::database::query;
use crate::state::keys::ROWS_PER_STATEMENT;
use crate::state::keys::instant;
use crate::state::keys::millis;
use crate::state::keys::model_name;
use crate::state::leases;
use crate::state::promotions;
use crate::state::snapshots;

/// Why an environment was not changed.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// It is not as the plan has seen it: somebody else has changed it meanwhile.
    #[error("environment `{environment}` {}", changed(found.as_deref(), by.as_deref()))]
    Conflict {
        /// Which one.
        environment: EnvironmentName,
        /// The plan that made it as it is; `None` if there is no such environment.
        found: Option<String>,
        /// Who applied that plan.
        by: Option<String>,
    },
    /// Snapshots that are not stored, perhaps because they have expired since.
    #[error(
        "{} of the snapshots are not in the state, `{}` first",
        missing.len(),
        missing.first().map_or_else(String::new, |id| id.name.to_string())
    )]
    MissingSnapshots {
        /// Which ones; sorted, never empty.
        missing: Vec<SnapshotId>,
    },
    /// Tables that were compared before were filled further or cleared meanwhile.
    #[error("something of what `{environment}` shows was filled or cleared meanwhile")]
    NoLongerCompared {
        /// Which environment.
        environment: EnvironmentName,
    },
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl PromoteError {
    /// What the user can do about it, as a sentence.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Conflict { .. }
            | Self::MissingSnapshots { .. }
            | Self::NoLongerCompared { .. } => {
                Some("Plan again: the new plan starts from what is there now.")
            }
            Self::State(error) => error.help(),
        }
    }
}

impl From<sqlx::Error> for PromoteError {
    fn from(error: sqlx::Error) -> Self {
        Self::State(error.into())
    }
}

fn changed(found: Option<&str>, by: Option<&str>) -> String {
    match (found, by) {
        (Some(found), Some(by)) => format!("was changed meanwhile by {by} (plan `{found}`)"),
        (Some(found), None) => format!("was changed meanwhile (plan `{found}`)"),
        (None, _) => "was removed meanwhile".to_owned(),
    }
}

impl StateStore {
    /// The environment as it was last promoted; `None` if there is none. Expired ones count.
    pub async fn environment(
        &self,
        name: &EnvironmentName,
    ) -> Result<Option<Environment>, StateError> {
        let mut transaction = self.read().await?;
        let row: Option<EnvironmentRow> =
            query(&format!("{WITH_NAMINGS} WHERE environment.name = $1"))
                .bind(name.as_str())
                .fetch_optional(&mut transaction)
                .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let members: Vec<MemberRow> =
            query("SELECT * FROM siding_environment_snapshots WHERE environment = $1")
                .bind(name.as_str())
                .fetch_all(&mut transaction)
                .await?;
        row.environment(members).map(Some)
    }

    /// Every environment, sorted by name. Expired ones count.
    pub async fn environments(&self) -> Result<Vec<Environment>, StateError> {
        let mut transaction = self.read().await?;
        let rows: Vec<EnvironmentRow> = query(WITH_NAMINGS).fetch_all(&mut transaction).await?;
        let members: Vec<MemberRow> = query("SELECT * FROM siding_environment_snapshots")
            .fetch_all(&mut transaction)
            .await?;
        let mut by_environment: BTreeMap<String, Vec<MemberRow>> = BTreeMap::new();
        for member in members {
            by_environment
                .entry(member.environment.clone())
                .or_default()
                .push(member);
        }
        let mut environments = rows
            .into_iter()
            .map(|row| {
                let members = by_environment.remove(&row.name).unwrap_or_default();
                row.environment(members)
            })
            .collect::<Result<Vec<Environment>, StateError>>()?;
        // Databases differ in how they order text.
        environments.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(environments)
    }

    /// Records the environment as not finalized and adds it to its history, if it still is as
    /// planned: made by `expected_previous_plan_id`, or not there. One that had expired by
    /// `promoted_at` counts as not there. What it had before gets a new time to live.
    ///
    /// Recording the same plan again changes nothing.
    ///
    /// # Errors
    /// [`PromoteError::Conflict`] if it is not as planned, [`PromoteError::MissingSnapshots`] if
    /// something in it is not stored. Then nothing has changed.
    pub async fn promote(
        &self,
        environment: &Environment,
        expected_previous_plan_id: Option<&str>,
    ) -> Result<(), PromoteError> {
        self.promote_under((None, None), environment, expected_previous_plan_id)
            .await
    }

    /// As [`StateStore::promote`], if `lease` on the environment is still ours and nothing happened to the tables of `marks`.
    ///
    /// # Errors
    /// As there, [`StateError::Overtaken`] and [`PromoteError::NoLongerCompared`].
    pub async fn promote_under(
        &self,
        (lease, marks): (Option<&Lease>, Option<&Marks>),
        environment: &Environment,
        expected_previous_plan_id: Option<&str>,
    ) -> Result<(), PromoteError> {
        let mut transaction = self.write().await?;
        if let Some(lease) = lease {
            leases::check(&mut transaction, lease).await?;
        }
        let current: Option<EnvironmentRow> =
            query("SELECT * FROM siding_environments WHERE name = $1")
                .bind(environment.name.as_str())
                .fetch_optional(&mut transaction)
                .await?;
        if let Some(current) = &current
            && current.plan_id == environment.plan_id
        {
            return Ok(());
        }
        let now = millis(environment.promoted_at);
        let as_planned = match (&current, expected_previous_plan_id) {
            (Some(current), Some(expected)) => current.plan_id == expected,
            (Some(current), None) => current.expires_at.is_some_and(|expiry| expiry <= now),
            (None, expected) => expected.is_none(),
        };
        if !as_planned {
            return Err(conflict(&environment.name, current));
        }
        if let Some(marks) = marks
            && !marks.hold(&mut transaction).await?
        {
            return Err(PromoteError::NoLongerCompared {
                environment: environment.name.clone(),
            });
        }
        let ids: Vec<SnapshotId> = environment.snapshots.iter().map(|s| s.id.clone()).collect();
        let stored = snapshots::stored_ids(&mut transaction, &ids).await?;
        let mut missing: Vec<SnapshotId> =
            ids.into_iter().filter(|id| !stored.contains(id)).collect();
        if !missing.is_empty() {
            missing.sort();
            return Err(PromoteError::MissingSnapshots { missing });
        }

        query(
            "UPDATE siding_snapshots SET updated_at = $1
             WHERE (name, identifier) IN (
                 SELECT name, identifier FROM siding_environment_snapshots WHERE environment = $2)",
        )
        .bind(now)
        .bind(environment.name.as_str())
        .execute(&mut transaction)
        .await?;
        query("DELETE FROM siding_environments WHERE name = $1")
            .bind(environment.name.as_str())
            .execute(&mut transaction)
            .await?;
        insert(&mut transaction, environment).await?;
        promotions::insert(&mut transaction, environment).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Records that the views of this plan are switched. Doing so again keeps the first time.
    ///
    /// # Errors
    /// [`PromoteError::Conflict`] if the environment was promoted by another plan meanwhile.
    pub async fn finalize(
        &self,
        name: &EnvironmentName,
        plan_id: &str,
        now: DateTime<Utc>,
    ) -> Result<(), PromoteError> {
        let mut transaction = self.write().await?;
        let current: Option<EnvironmentRow> =
            query("SELECT * FROM siding_environments WHERE name = $1")
                .bind(name.as_str())
                .fetch_optional(&mut transaction)
                .await?;
        if current.as_ref().map(|row| row.plan_id.as_str()) != Some(plan_id) {
            return Err(conflict(name, current));
        }
        query(
            "UPDATE siding_environments SET finalized_at = $1
             WHERE name = $2 AND finalized_at IS NULL",
        )
        .bind(millis(now))
        .bind(name.as_str())
        .execute(&mut transaction)
        .await?;
        query(
            "UPDATE siding_promotions SET finalized_at = $1
             WHERE environment = $2 AND plan_id = $3 AND finalized_at IS NULL",
        )
        .bind(millis(now))
        .bind(name.as_str())
        .bind(plan_id)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Which plan made the environment as it is, and whether its views are switched; `None` if there is none.
    pub async fn standing(
        &self,
        name: &EnvironmentName,
    ) -> Result<Option<(String, bool)>, StateError> {
        let sql = "SELECT plan_id, finalized_at FROM siding_environments WHERE name = $1";
        let rows: Vec<(String, Option<i64>)> = query(sql)
            .bind(name.as_str())
            .fetch_alone(self.pool())
            .await?;
        let row = rows.into_iter().next();
        Ok(row.map(|(plan_id, finalized_at)| (plan_id, finalized_at.is_some())))
    }

    /// Records that the views of this plan may no longer be there; until they are switched again, or the environment
    /// is deleted, nobody relies on them.
    pub async fn reopen(&self, name: &EnvironmentName, plan_id: &str) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        query(
            "UPDATE siding_environments SET finalized_at = NULL WHERE name = $1 AND plan_id = $2",
        )
        .bind(name.as_str())
        .bind(plan_id)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Lets the environment be removed from `at` on. Returns `false` if there is no such one.
    pub async fn expire(
        &self,
        name: &EnvironmentName,
        at: DateTime<Utc>,
    ) -> Result<bool, StateError> {
        let mut transaction = self.write().await?;
        let changed = query("UPDATE siding_environments SET expires_at = $1 WHERE name = $2")
            .bind(millis(at))
            .bind(name.as_str())
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(changed == 1)
    }

    /// Forgets the environment if this plan made it as it is; its history stays. Returns `false` if
    /// there is no such one or somebody has promoted it meanwhile.
    pub async fn delete_environment(
        &self,
        name: &EnvironmentName,
        plan_id: &str,
    ) -> Result<bool, StateError> {
        let mut transaction = self.write().await?;
        let changed = query("DELETE FROM siding_environments WHERE name = $1 AND plan_id = $2")
            .bind(name.as_str())
            .bind(plan_id)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(changed == 1)
    }
}

fn conflict(name: &EnvironmentName, current: Option<EnvironmentRow>) -> PromoteError {
    let (found, by) = current.map(|row| (row.plan_id, row.promoted_by)).unzip();
    PromoteError::Conflict {
        environment: name.clone(),
        found,
        by,
    }
}

/// Every environment with what its views are called, where that was written down.
const WITH_NAMINGS: &str = "SELECT environment.*, named.naming
    FROM siding_environments AS environment
    LEFT JOIN siding_environment_namings AS named ON named.environment = environment.name";

async fn insert_naming(
    connection: &mut Connection,
    environment: &Environment,
) -> Result<(), StateError> {
    query("DELETE FROM siding_environment_namings WHERE environment = $1")
        .bind(environment.name.as_str())
        .execute(connection)
        .await?;
    if environment.naming == Naming::default() {
        return Ok(());
    }
    query("INSERT INTO siding_environment_namings (environment, naming) VALUES ($1, $2)")
        .bind(environment.name.as_str())
        .bind(environment.naming.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

async fn insert(connection: &mut Connection, environment: &Environment) -> Result<(), StateError> {
    insert_naming(connection, environment).await?;
    query(
        "INSERT INTO siding_environments (
             name, plan_id, previous_plan_id, promoted_by, promoted_at, finalized_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, NULL, $6)",
    )
    .bind(environment.name.as_str())
    .bind(&environment.plan_id)
    .bind(&environment.previous_plan_id)
    .bind(&environment.promoted_by)
    .bind(millis(environment.promoted_at))
    .bind(environment.expires_at.map(millis))
    .execute(&mut *connection)
    .await?;
    for members in environment.snapshots.chunks(ROWS_PER_STATEMENT) {
        let mut query = query(
            "INSERT INTO siding_environment_snapshots (
                 environment, name, identifier, version,
                 table_catalog, table_schema, table_name, has_view) ",
        );
        query.push_values(members, |row, member| {
            let table = member.table.as_ref();
            row.push_bind(environment.name.to_string())
                .push_bind(member.id.name.to_string())
                .push_bind(member.id.identifier.clone())
                .push_bind(member.version.0.clone())
                .push_bind(table.and_then(|table| table.catalog.clone()))
                .push_bind(table.and_then(|table| table.schema.clone()))
                .push_bind(table.map(|table| table.name.clone()))
                .push_bind(member.view);
        });
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct EnvironmentRow {
    name: String,
    plan_id: String,
    previous_plan_id: Option<String>,
    promoted_by: String,
    promoted_at: i64,
    finalized_at: Option<i64>,
    expires_at: Option<i64>,
    #[sqlx(default)]
    naming: Option<String>,
}

impl EnvironmentRow {
    fn environment(self, members: Vec<MemberRow>) -> Result<Environment, StateError> {
        let mut snapshots = members
            .into_iter()
            .map(MemberRow::promoted)
            .collect::<Result<Vec<PromotedSnapshot>, StateError>>()?;
        snapshots.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(Environment {
            name: EnvironmentName::from(self.name),
            plan_id: self.plan_id,
            previous_plan_id: self.previous_plan_id,
            snapshots,
            promoted_by: self.promoted_by,
            promoted_at: instant(self.promoted_at)?,
            finalized_at: self.finalized_at.map(instant).transpose()?,
            expires_at: self.expires_at.map(instant).transpose()?,
            naming: self.naming.map_or(Ok(Naming::default()), |naming| {
                naming.parse().map_err(|error: UnknownNaming| {
                    StateError::unreadable("naming of an environment's views", error.to_string())
                })
            })?,
        })
    }
}

#[derive(sqlx::FromRow)]
struct MemberRow {
    environment: String,
    name: String,
    identifier: String,
    version: String,
    table_catalog: Option<String>,
    table_schema: Option<String>,
    table_name: Option<String>,
    has_view: bool,
}

impl MemberRow {
    fn promoted(self) -> Result<PromotedSnapshot, StateError> {
        let (catalog, schema) = (self.table_catalog, self.table_schema);
        Ok(PromotedSnapshot {
            id: SnapshotId {
                name: model_name(&self.name)?,
                identifier: self.identifier,
            },
            version: Version(self.version),
            table: self.table_name.map(|name| TableName {
                catalog,
                schema,
                name,
            }),
            view: self.has_view,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::snapshot::Interval;
    use crate::snapshot::Snapshot;
    use crate::state::samples;
    use crate::state::samples::at;
    use crate::state::samples::environment;
    use crate::state::samples::snapshot;

    #[tokio::test]
    async fn an_environment_reads_back_as_it_was_promoted() {
        samples::on_both(async |store| {
            let [a, b] = ["db.a", "other.db.b"].map(|name| snapshot(name, "i", "v"));
            store
                .store_snapshots(&[a.clone(), b.clone()], at(0))
                .await
                .unwrap();
            let mut dev = environment("dev", "p1", None, &[&a, &b]);
            dev.snapshots[0].table = None;
            dev.snapshots[0].view = false;
            dev.expires_at = Some(at(1_000));
            dev.naming = Naming::with_suffix(crate::environment::Suffix::Table);
            store.promote(&dev, None).await.unwrap();
            assert_eq!(
                store.environment(&dev.name).await.unwrap(),
                Some(dev.clone())
            );

            store.finalize(&dev.name, "p1", at(5)).await.unwrap();
            store.finalize(&dev.name, "p1", at(6)).await.unwrap();
            dev.finalized_at = Some(at(5));
            assert_eq!(store.environments().await.unwrap(), [dev]);
            assert_eq!(
                store.environment(&"none".parse().unwrap()).await.unwrap(),
                None
            );
        })
        .await;
    }

    #[tokio::test]
    async fn what_happens_to_compared_tables_before_the_record_is_noticed() {
        samples::on_both(async |store| {
            let [a, b] = ["db.a", "db.b"].map(|name| snapshot(name, "i", "v"));
            let stored = store.store_snapshots(&[a.clone(), b.clone()], at(0)).await;
            stored.unwrap();
            let prod = environment("prod", "p1", None, &[&a, &b]);
            let key = |of: &Snapshot| (of.id.name.clone(), of.version.clone());
            let fill = async |of: &Snapshot| {
                let (name, version) = key(of);
                let day = Interval::new(at(0), at(1)).unwrap();
                let filled = store.record_filled(&name, &version, day, at(1));
                filled.await.unwrap();
            };
            let marks = store.marks(vec![key(&a)]).await.unwrap();
            fill(&a).await;
            let under = (None, Some(&marks));
            let error = store.promote_under(under, &prod, None).await.unwrap_err();
            assert!(
                matches!(error, PromoteError::NoLongerCompared { .. }),
                "{error}"
            );
            assert_eq!(store.environment(&prod.name).await.unwrap(), None);

            let marks = store.marks(vec![key(&a)]).await.unwrap();
            fill(&b).await;
            let under = (None, Some(&marks));
            store.promote_under(under, &prod, None).await.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn of_two_plans_from_one_state_the_second_is_refused() {
        samples::on_both(async |store| {
            let a = snapshot("db.a", "i", "v");
            store.store_snapshots(from_ref(&a), at(0)).await.unwrap();
            store
                .promote(&environment("prod", "p1", None, &[&a]), None)
                .await
                .unwrap();
            let next = |plan_id| environment("prod", plan_id, Some("p1"), &[&a]);
            store.promote(&next("p2"), Some("p1")).await.unwrap();
            for expected in [Some("p1"), None] {
                let error = store.promote(&next("p3"), expected).await.unwrap_err();
                assert_eq!(
                    error.to_string(),
                    "environment `prod` was changed meanwhile by alice (plan `p2`)"
                );
            }
            let error = store
                .finalize(&EnvironmentName::prod(), "p1", at(9))
                .await
                .unwrap_err();
            assert!(
                matches!(error, PromoteError::Conflict { found: Some(found), .. } if found == "p2")
            );
            let error = store
                .promote(&environment("dev", "p4", Some("p0"), &[&a]), Some("p0"))
                .await
                .unwrap_err();
            assert_eq!(error.to_string(), "environment `dev` was removed meanwhile");
            assert_eq!(
                store.history(&EnvironmentName::prod()).await.unwrap().len(),
                2
            );
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_promotions_at_once_exactly_one_wins() {
        samples::twins_on_both(async |stores| {
            let a = snapshot("db.a", "i", "v");
            stores[0]
                .store_snapshots(from_ref(&a), at(0))
                .await
                .unwrap();
            let tasks: Vec<_> = (0..8)
                .map(|n: usize| {
                    let store = stores[n % 2].clone();
                    let mine = environment("prod", &format!("p{n}"), None, &[&a]);
                    tokio::spawn(async move { store.promote(&mine, None).await.is_ok() })
                })
                .collect();
            let won = futures::future::join_all(tasks).await;
            assert_eq!(
                won.into_iter().filter(|won| *won.as_ref().unwrap()).count(),
                1
            );
            assert_eq!(
                stores[0]
                    .history(&EnvironmentName::prod())
                    .await
                    .unwrap()
                    .len(),
                1
            );
        })
        .await;
    }

    #[tokio::test]
    async fn promoting_the_same_plan_again_changes_nothing() {
        samples::on_both(async |store| {
            let a = snapshot("db.a", "i", "v");
            store.store_snapshots(from_ref(&a), at(0)).await.unwrap();
            let prod = environment("prod", "p1", None, &[&a]);
            store.promote(&prod, None).await.unwrap();
            store.finalize(&prod.name, "p1", at(1)).await.unwrap();
            store.promote(&prod, None).await.unwrap();
            let found = store.environment(&prod.name).await.unwrap().unwrap();
            assert_eq!(found.finalized_at, Some(at(1)));
            assert_eq!(store.history(&prod.name).await.unwrap().len(), 1);
        })
        .await;
    }

    #[tokio::test]
    async fn a_snapshot_that_is_not_stored_stops_the_promotion() {
        samples::on_both(async |store| {
            let [a, gone] = ["db.a", "db.gone"].map(|name| snapshot(name, "i", "v"));
            store.store_snapshots(from_ref(&a), at(0)).await.unwrap();
            let prod = environment("prod", "p1", None, &[&a, &gone]);
            let error = store.promote(&prod, None).await.unwrap_err();
            assert!(
                matches!(error, PromoteError::MissingSnapshots { missing } if missing == [gone.id])
            );
            assert_eq!(store.environment(&prod.name).await.unwrap(), None);
            assert_eq!(store.history(&prod.name).await.unwrap(), []);
        })
        .await;
    }

    #[tokio::test]
    async fn an_expired_environment_may_be_made_anew() {
        samples::on_both(async |store| {
            let a = snapshot("db.a", "i", "v");
            store.store_snapshots(from_ref(&a), at(0)).await.unwrap();
            let first = environment("dev", "p1", None, &[&a]);
            store.promote(&first, None).await.unwrap();
            assert!(store.expire(&first.name, at(5)).await.unwrap());
            assert!(!store.expire(&"none".parse().unwrap(), at(5)).await.unwrap());

            let mut second = environment("dev", "p2", None, &[&a]);
            second.promoted_at = at(4);
            store.promote(&second, None).await.unwrap_err();
            second.promoted_at = at(5);
            store.promote(&second, None).await.unwrap();
            assert!(!store.delete_environment(&first.name, "p1").await.unwrap());
            assert!(store.delete_environment(&first.name, "p2").await.unwrap());
            assert_eq!(store.environments().await.unwrap(), []);
            assert_eq!(store.history(&first.name).await.unwrap().len(), 2);
        })
        .await;
    }

    #[tokio::test]
    async fn what_an_environment_leaves_gets_a_new_time_to_live() {
        samples::on_both(async |store| {
            let [old, new] = ["i1", "i2"].map(|identifier| snapshot("db.a", identifier, "v"));
            store
                .store_snapshots(&[old.clone(), new.clone()], at(0))
                .await
                .unwrap();
            store
                .promote(&environment("prod", "p1", None, &[&old]), None)
                .await
                .unwrap();
            let mut next = environment("prod", "p2", Some("p1"), &[&new]);
            next.promoted_at = at(100);
            store.promote(&next, Some("p1")).await.unwrap();
            store.finalize(&next.name, "p2", at(100)).await.unwrap();
            let ttl = chrono::TimeDelta::milliseconds(10);
            assert_eq!(store.expired_snapshots(at(109), ttl).await.unwrap(), []);
            assert_eq!(store.expired_snapshots(at(110), ttl).await.unwrap(), [old]);
        })
        .await;
    }
}

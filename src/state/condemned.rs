//! Tables that are about to be dropped: nobody begins to need one between the last look and its drop.
//!
//! Whoever drops a table finds that nobody needs it and says that it goes, in one transaction. Whoever is going to show a table
//! has said so before it looks whether one of its tables goes. So of the two, the later one sees the other.

use std::collections::BTreeMap;

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;

use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::state::Claim;
use crate::state::HeldBy;
use crate::state::Holder;
use crate::state::Lease;
use crate::state::PhysicalObject;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Subject;
use crate::state::database::Connection;
use crate::state::database::query;
use crate::state::leases;
use crate::state::open_plans;

impl StateStore {
    /// Says that `holder` drops `object`, if nobody needs it: no snapshot and no environment has its version, and no plan
    /// uses it that is being applied at `now`. Plans wait until the lease is given back.
    pub async fn condemn(
        &self,
        object: &PhysicalObject,
        holder: &Holder,
        time_to_live: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<Option<Lease>, StateError> {
        let mut transaction = self.write().await?;
        let subject = Subject::drop_of(&object.name, &object.version);
        // First, because it also makes this and a plan that is opened come one after the other.
        let claim = leases::claim(&mut transaction, &subject, holder, time_to_live, now).await?;
        let Claim::Given(lease) = claim else {
            return Ok(None);
        };
        if !is_orphaned(&mut transaction, object, now).await? {
            return Ok(None);
        }
        transaction.commit().await?;
        Ok(Some(lease))
    }

    /// Which tables of `entries` somebody is dropping at `now`, and who.
    pub async fn condemned(
        &self,
        entries: &[PromotedSnapshot],
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<ModelName, HeldBy>, StateError> {
        let held = leases::held(&mut *self.read().await?, now).await?;
        let going = entries.iter().filter_map(|entry| {
            let by = held.get(&Subject::drop_of(&entry.id.name, &entry.version))?;
            Some((entry.id.name.clone(), by.clone()))
        });
        Ok(going.collect())
    }
}

async fn is_orphaned(
    connection: &mut Connection,
    object: &PhysicalObject,
    now: DateTime<Utc>,
) -> Result<bool, StateError> {
    let (_, used) = open_plans::in_use(connection, now).await?;
    if used.contains(&(object.name.clone(), object.version.clone())) {
        return Ok(false);
    }
    let users: Vec<i64> = query(
        "SELECT (SELECT count(*) FROM siding_snapshots WHERE name = $1 AND version = $2)
              + (SELECT count(*) FROM siding_environment_snapshots WHERE name = $1 AND version = $3)",
    )
    .bind(object.name.to_string())
    .bind(object.version.0.replace("__dev", ""))
    .bind(&object.version.0)
    .fetch_column(connection)
    .await?;
    Ok(users.iter().sum::<i64>() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Snapshot;
    use crate::snapshot::physical_table;
    use crate::state::PhysicalObjectKind;
    use crate::state::samples;
    use crate::state::samples::at;
    use crate::state::samples::environment;
    use crate::state::samples::snapshot;

    fn holder(id: &str) -> Holder {
        Holder {
            id: id.to_owned(),
            label: format!("{id}'s command"),
        }
    }

    fn table_of(snapshot: &Snapshot) -> PhysicalObject {
        PhysicalObject {
            table: physical_table(&snapshot.id.name, &snapshot.version),
            kind: PhysicalObjectKind::Table,
            name: snapshot.id.name.clone(),
            version: snapshot.version.clone(),
        }
    }

    #[tokio::test]
    async fn of_a_plan_and_a_drop_of_its_table_the_later_one_sees_the_other() {
        samples::on_both(async |store| {
            let a = snapshot("db.a", "i", "v");
            let object = table_of(&a);
            let dev = environment("dev", "p1", None, &[&a]);
            let (janitor, ada) = (holder("janitor"), holder("ada"));
            let second = TimeDelta::seconds(1);
            let condemn = || store.condemn(&object, &janitor, second, at(0));
            let going = async |now| store.condemned(&dev.snapshots, at(now)).await.unwrap();

            let lease = condemn().await.unwrap().unwrap();
            store.open_plan(&ada, &dev, second, at(0)).await.unwrap();
            assert_eq!(going(0).await[&a.id.name].label, "janitor's command");
            assert!(going(1_000).await.is_empty(), "who died drops nothing");
            store.release(&lease).await.unwrap();
            assert!(going(0).await.is_empty());

            assert_eq!(condemn().await.unwrap(), None, "the plan was first");
            assert!(going(0).await.is_empty());
            store.release_all(&ada).await.unwrap();
            assert!(condemn().await.unwrap().is_some());
        })
        .await;
    }

    #[tokio::test]
    async fn what_a_snapshot_or_an_environment_has_is_not_dropped() {
        samples::on_both(async |store| {
            let a = snapshot("db.a", "i", "v");
            let object = table_of(&a);
            let janitor = holder("janitor");
            let condemn = || store.condemn(&object, &janitor, TimeDelta::seconds(1), at(0));
            let stored = store.store_snapshots(std::slice::from_ref(&a), at(0)).await;
            stored.unwrap();
            assert_eq!(condemn().await.unwrap(), None);
            store.delete_snapshots(&[a.id]).await.unwrap();
            assert!(condemn().await.unwrap().is_some());
        })
        .await;
    }
}

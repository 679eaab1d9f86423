//! Plans that are being applied, with the snapshots that they use; the janitor leaves those alone.

use std::collections::BTreeSet;

use chrono::DateTime;
use chrono::TimeDelta;
use chrono::Utc;

use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::state::Holder;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::Connection;
use crate::state::database::query;
use crate::state::keys::millis;
use crate::state::leftovers::forget;
use crate::state::process::is_gone;
use crate::state::process::this_process;
use crate::state::promotions;

/// A plan that somebody is applying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPlan {
    /// Its id.
    pub plan_id: String,
    /// Which environment it changes.
    pub environment: EnvironmentName,
    /// Who applies it, for people.
    pub label: String,
    /// What the environment will have.
    pub snapshots: Vec<PromotedSnapshot>,
}

impl StateStore {
    /// Records that `holder` applies the plan that makes `environment`. Ends with [`StateStore::release_all`], or when
    /// it is not renewed.
    pub async fn open_plan(
        &self,
        holder: &Holder,
        environment: &Environment,
        time_to_live: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let snapshots = serde_json::to_string(&environment.snapshots)
            .map_err(|error| StateError::unreadable("plan", error))?;
        let mut transaction = self.write().await?;
        forget(&mut transaction, "siding_open_plans", now).await?;
        query("DELETE FROM siding_open_plans WHERE holder = $1")
            .bind(&holder.id)
            .execute(&mut transaction)
            .await?;
        query(
            "INSERT INTO siding_open_plans (
                 holder, plan_id, environment, label, process, opened_at, expires_at, snapshots)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&holder.id)
        .bind(&environment.plan_id)
        .bind(environment.name.as_str())
        .bind(&holder.label)
        .bind(this_process())
        .bind(millis(now))
        .bind(millis(now + time_to_live))
        .bind(snapshots)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The plans that are being applied at `now`, as far as is known; those whose process is gone do not count.
    pub async fn open_plans(&self, now: DateTime<Utc>) -> Result<Vec<OpenPlan>, StateError> {
        let mut transaction = self.read().await?;
        open(&mut transaction, now).await
    }
}

async fn open(
    connection: &mut Connection,
    now: DateTime<Utc>,
) -> Result<Vec<OpenPlan>, StateError> {
    let rows: Vec<OpenPlanRow> = query(
        "SELECT plan_id, environment, label, process, snapshots
         FROM siding_open_plans WHERE expires_at > $1 ORDER BY opened_at, holder",
    )
    .bind(millis(now))
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .filter(|row| !is_gone(&row.process))
        .map(OpenPlanRow::plan)
        .collect()
}

/// The snapshots that open plans use, and the tables that those have there.
pub(super) async fn in_use(
    connection: &mut Connection,
    now: DateTime<Utc>,
) -> Result<(BTreeSet<SnapshotId>, BTreeSet<(ModelName, Version)>), StateError> {
    let plans = open(connection, now).await?;
    let entries = plans.into_iter().flat_map(|plan| plan.snapshots);
    Ok(entries
        .map(|entry| {
            let table = (entry.id.name.clone(), entry.version);
            (entry.id, table)
        })
        .unzip())
}

#[derive(sqlx::FromRow)]
struct OpenPlanRow {
    plan_id: String,
    environment: String,
    label: String,
    process: String,
    snapshots: String,
}

impl OpenPlanRow {
    fn plan(self) -> Result<OpenPlan, StateError> {
        Ok(OpenPlan {
            plan_id: self.plan_id,
            environment: EnvironmentName::from(self.environment),
            label: self.label,
            snapshots: promotions::promoted(&self.snapshots)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::samples;
    use crate::state::samples::at;
    use crate::state::samples::environment;
    use crate::state::samples::snapshot;

    #[tokio::test]
    async fn a_plan_is_open_until_its_holder_ends_or_is_not_heard_of() {
        samples::on_both(async |store| {
            let a = snapshot("db.a", "i", "v");
            let dev = environment("dev", "p1", None, &[&a]);
            let holder = Holder {
                id: "h".to_owned(),
                label: "ada's plan".to_owned(),
            };
            let second = TimeDelta::seconds(1);
            store.open_plan(&holder, &dev, second, at(0)).await.unwrap();
            let open = store.open_plans(at(999)).await.unwrap();
            assert_eq!(open[0].snapshots, dev.snapshots);
            assert_eq!(store.open_plans(at(1_000)).await.unwrap(), []);
            store.renew(&holder, at(3_000)).await.unwrap();
            assert_eq!(store.open_plans(at(2_000)).await.unwrap(), open);
            store.release_all(&holder).await.unwrap();
            assert_eq!(store.open_plans(at(2_000)).await.unwrap(), []);
        })
        .await;
    }
}

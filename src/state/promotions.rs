//! What environments were, promotion by promotion.

use chrono::DateTime;
use chrono::Utc;

use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::environment::PromotedSnapshot;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::Connection;
use crate::state::database::query;
use crate::state::keys::instant;
use crate::state::keys::millis;

/// One promotion of an environment. Stays when the environment is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromotionRecord {
    /// Grows with every promotion of any environment.
    pub id: i64,
    /// Which environment.
    pub environment: EnvironmentName,
    /// The plan that was applied.
    pub plan_id: String,
    /// The plan before that one.
    pub previous_plan_id: Option<String>,
    /// Who applied it.
    pub promoted_by: String,
    /// When it was recorded.
    pub promoted_at: DateTime<Utc>,
    /// When the views were switched; `None` if that never was known to be done.
    pub finalized_at: Option<DateTime<Utc>>,
    /// What the environment had from then on, sorted by name.
    pub snapshots: Vec<PromotedSnapshot>,
}

impl StateStore {
    /// The promotions of an environment, latest first.
    pub async fn history(
        &self,
        environment: &EnvironmentName,
    ) -> Result<Vec<PromotionRecord>, StateError> {
        let rows: Vec<PromotionRow> =
            query("SELECT * FROM siding_promotions WHERE environment = $1 ORDER BY id DESC")
                .bind(environment.as_str())
                .fetch_all(&mut *self.read().await?)
                .await?;
        rows.into_iter().map(PromotionRow::record).collect()
    }

    /// The latest promotion by this plan.
    pub async fn promotion(&self, plan_id: &str) -> Result<Option<PromotionRecord>, StateError> {
        let row: Option<PromotionRow> =
            query("SELECT * FROM siding_promotions WHERE plan_id = $1 ORDER BY id DESC LIMIT 1")
                .bind(plan_id)
                .fetch_optional(&mut *self.read().await?)
                .await?;
        row.map(PromotionRow::record).transpose()
    }
}

/// Adds the environment as it is to the history, not finalized.
pub(super) async fn insert(
    connection: &mut Connection,
    environment: &Environment,
) -> Result<(), StateError> {
    let what = || format!("promotion of `{}`", environment.name);
    let snapshots = serde_json::to_string(&environment.snapshots)
        .map_err(|error| StateError::unreadable(what(), error))?;
    query(
        "INSERT INTO siding_promotions (
             environment, plan_id, previous_plan_id, promoted_by, promoted_at, snapshots)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(environment.name.as_str())
    .bind(&environment.plan_id)
    .bind(&environment.previous_plan_id)
    .bind(&environment.promoted_by)
    .bind(millis(environment.promoted_at))
    .bind(snapshots)
    .execute(connection)
    .await?;
    Ok(())
}

/// Reads the column `snapshots`.
pub(super) fn promoted(text: &str) -> Result<Vec<PromotedSnapshot>, StateError> {
    serde_json::from_str(text).map_err(|error| StateError::unreadable("promotion", error))
}

#[derive(sqlx::FromRow)]
struct PromotionRow {
    id: i64,
    environment: String,
    plan_id: String,
    previous_plan_id: Option<String>,
    promoted_by: String,
    promoted_at: i64,
    finalized_at: Option<i64>,
    snapshots: String,
}

impl PromotionRow {
    fn record(self) -> Result<PromotionRecord, StateError> {
        Ok(PromotionRecord {
            id: self.id,
            environment: EnvironmentName::from(self.environment),
            plan_id: self.plan_id,
            previous_plan_id: self.previous_plan_id,
            promoted_by: self.promoted_by,
            promoted_at: instant(self.promoted_at)?,
            finalized_at: self.finalized_at.map(instant).transpose()?,
            snapshots: promoted(&self.snapshots)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::state::samples;
    use crate::state::samples::at;
    use crate::state::samples::environment;
    use crate::state::samples::snapshot;

    #[tokio::test]
    async fn the_history_tells_what_each_promotion_showed() {
        samples::on_both(async |store| {
            let [old, new] =
                ["i1", "i2"].map(|identifier| snapshot("db.a", identifier, identifier));
            store
                .store_snapshots(&[old.clone(), new.clone()], at(0))
                .await
                .unwrap();
            let first = environment("prod", "p1", None, &[&old]);
            let second = environment("prod", "p2", Some("p1"), &[&new]);
            store.promote(&first, None).await.unwrap();
            store.finalize(&first.name, "p1", at(7)).await.unwrap();
            store.promote(&second, Some("p1")).await.unwrap();

            let history = store.history(&first.name).await.unwrap();
            let told: Vec<_> = history
                .iter()
                .map(|it| (&*it.plan_id, &it.snapshots, it.finalized_at))
                .collect();
            assert_eq!(
                told,
                [
                    ("p2", &second.snapshots, None),
                    ("p1", &first.snapshots, Some(at(7)))
                ]
            );
            assert_eq!(
                store.promotion("p1").await.unwrap().as_ref(),
                history.get(1)
            );
            assert_eq!(store.promotion("p9").await.unwrap(), None);
        })
        .await;
    }
}

//! That everything is being removed: until that is done, nothing that the state says is to be relied on.

use chrono::DateTime;
use chrono::Utc;

use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::query;
use crate::state::keys::millis;

/// Held by nobody who could give it back, and for good.
const SUBJECT: &str = "everything";

impl StateStore {
    /// Records that everything is being removed, until [`StateStore::forget_everything`]. Doing so again changes nothing.
    pub async fn begin_destroying(&self, now: DateTime<Utc>) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        query(
            "INSERT INTO siding_leases (subject, fence, holder, label, process, taken_at, expires_at)
             VALUES ($1, 0, $2, $3, '', $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(SUBJECT)
        .bind(SUBJECT)
        .bind("siding destroy")
        .bind(millis(now))
        .bind(i64::MAX)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await
    }

    /// Whether everything was to be removed and something may be left.
    pub async fn is_destroying(&self) -> Result<bool, StateError> {
        let sql = "SELECT fence FROM siding_leases WHERE subject = $1";
        let rows: Vec<(i64,)> = query(sql).bind(SUBJECT).fetch_alone(self.pool()).await?;
        Ok(!rows.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use crate::state::samples;
    use crate::state::samples::at;

    #[tokio::test]
    async fn that_everything_goes_is_known_until_it_is_gone() {
        samples::on_both(async |store| {
            assert!(!store.is_destroying().await.unwrap());
            store.begin_destroying(at(1)).await.unwrap();
            store.begin_destroying(at(2)).await.unwrap();
            store.forget_leftovers(at(1_000_000)).await.unwrap();
            assert!(store.is_destroying().await.unwrap());
            store.forget_everything().await.unwrap();
            assert!(!store.is_destroying().await.unwrap());
        })
        .await;
    }
}

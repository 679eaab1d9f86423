//! When tables were filled again by themselves last, as their models say (`auto_restatement_cron`).

use std::collections::BTreeMap;

use chrono::DateTime;
use chrono::Utc;

use crate::model::ModelName;
use crate::snapshot::Version;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::query;
use crate::state::keys::ROWS_PER_STATEMENT;
use crate::state::keys::instant;
use crate::state::keys::millis;
use crate::state::keys::model_name;

impl StateStore {
    /// When each table was filled again by itself last; those that never were are absent.
    pub async fn auto_restated(
        &self,
    ) -> Result<BTreeMap<(ModelName, Version), DateTime<Utc>>, StateError> {
        let rows: Vec<(String, String, i64)> =
            query("SELECT name, version, restated_at FROM siding_auto_restatements")
                .fetch_all(&mut *self.read().await?)
                .await?;
        rows.into_iter()
            .map(|(name, version, at)| Ok(((model_name(&name)?, Version(version)), instant(at)?)))
            .collect()
    }

    /// Records that these tables are filled again by themselves `at` that time.
    pub async fn record_auto_restated(
        &self,
        tables: &[(ModelName, Version)],
        at: DateTime<Utc>,
    ) -> Result<(), StateError> {
        let mut transaction = self.write().await?;
        for tables in tables.chunks(ROWS_PER_STATEMENT) {
            let mut query =
                query("INSERT INTO siding_auto_restatements (name, version, restated_at) ");
            query.push_values(tables, |row, (name, version)| {
                row.push_bind(name.to_string())
                    .push_bind(version.0.clone())
                    .push_bind(millis(at));
            });
            query.push(
                " ON CONFLICT (name, version) DO UPDATE SET restated_at = excluded.restated_at",
            );
            query.execute(&mut transaction).await?;
        }
        transaction.commit().await
    }
}

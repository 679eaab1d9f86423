//! Which tables stand under their models' own names, as far as the record tells.

use crate::environment::EnvironmentName;
use crate::environment::Naming;
use crate::environment::UnknownNaming;
use crate::model::ModelName;
use crate::snapshot::Version;
use crate::sql::TableName;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::database::query;

/// What production has for a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InProduction {
    /// The name that readers use.
    pub name: TableName,
    /// The version that the record shows; `None` where it shows none.
    pub version: Option<Version>,
    /// Whether tables, where there is one, stand under these names.
    pub own_tables: bool,
    /// Whether the last switch is known to be done.
    pub is_settled: bool,
}

impl StateStore {
    /// Whether any table may stand under its model's own name.
    pub async fn has_own_tables(&self) -> Result<bool, StateError> {
        let sql = "SELECT model FROM siding_ledger
                   WHERE dropped_at IS NULL AND kind = 'own table' LIMIT 1";
        let found: Vec<String> = query(sql).fetch_column(&mut *self.read().await?).await?;
        Ok(!found.is_empty())
    }

    /// What production has for `model`; `None` where there is no production.
    pub async fn in_production(
        &self,
        model: &ModelName,
    ) -> Result<Option<InProduction>, StateError> {
        let production = EnvironmentName::prod();
        let row: Option<(Option<i64>, Option<String>, Option<String>)> = query(
            "SELECT environment.finalized_at, named.naming, shown.version
             FROM siding_environments AS environment
             LEFT JOIN siding_environment_namings AS named ON named.environment = environment.name
             LEFT JOIN siding_environment_snapshots AS shown
                 ON shown.environment = environment.name AND shown.name = $2
             WHERE environment.name = $1",
        )
        .bind(production.as_str())
        .bind(model.to_string())
        .fetch_optional(&mut *self.read().await?)
        .await?;
        let Some((finalized_at, naming, version)) = row else {
            return Ok(None);
        };
        let naming = naming.map_or(Ok(Naming::default()), |naming| naming.parse());
        let naming = naming.map_err(|error: UnknownNaming| {
            StateError::unreadable("naming of an environment's views", error.to_string())
        })?;
        Ok(Some(InProduction {
            name: naming.view(model, &production),
            version: version.map(Version),
            own_tables: naming.own_tables,
            is_settled: finalized_at.is_some(),
        }))
    }
}

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
    /// The name under which its table may stand.
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
        let sql = "SELECT kind FROM siding_ledger WHERE dropped_at IS NULL AND kind = 'own table'
                   UNION
                   SELECT naming FROM siding_environment_namings WHERE environment = $1";
        let found: Vec<String> = query(sql)
            .bind(EnvironmentName::prod().as_str())
            .fetch_column(&mut *self.read().await?)
            .await?;
        let is_named = |text: &String| {
            let naming = text.parse::<Naming>();
            text == "own table" || naming.is_ok_and(|naming| naming.own_tables)
        };
        Ok(found.iter().any(is_named))
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
            name: model.table_name(),
            version: version.map(Version),
            own_tables: naming.own_tables,
            is_settled: finalized_at.is_some(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::state::LedgerEntry;
    use crate::state::LedgerKind;
    use crate::state::samples;
    use crate::state::samples::at;
    use crate::state::samples::environment;
    use crate::state::samples::snapshot;

    #[tokio::test]
    async fn the_record_says_which_version_stands_under_a_models_own_name() {
        samples::on_both(async |store| {
            let [a, b] = ["db.a", "db.b"].map(|name| snapshot(name, "i", "v"));
            assert_eq!(store.in_production(&a.id.name).await.unwrap(), None);
            store.store_snapshots(from_ref(&a), at(0)).await.unwrap();
            let mut prod = environment("prod", "p1", None, &[&a]);
            prod.naming.own_tables = true;
            store.promote(&prod, None).await.unwrap();
            let expected = InProduction {
                name: TableName::new("db", "a"),
                version: Some(Version("v".to_owned())),
                own_tables: true,
                is_settled: false,
            };
            let found = store.in_production(&a.id.name).await.unwrap();
            assert_eq!(found, Some(expected.clone()));
            store.finalize(&prod.name, "p1", at(1)).await.unwrap();
            let found = store.in_production(&a.id.name).await.unwrap();
            let settled = InProduction {
                is_settled: true,
                ..expected
            };
            assert_eq!(found, Some(settled));
            let other = store.in_production(&b.id.name).await.unwrap().unwrap();
            assert_eq!(
                (other.version, other.name.plain()),
                (None, "db.b".to_owned())
            );
        })
        .await;
    }

    #[tokio::test]
    async fn there_are_own_tables_while_one_is_in_the_ledger() {
        samples::on_both(async |store| {
            assert!(!store.has_own_tables().await.unwrap());
            let entry = LedgerEntry {
                table: TableName::new("db", "a"),
                kind: LedgerKind::OwnTable,
                model: Some("db.a".parse().unwrap()),
                environment: "prod".to_owned(),
                reason: "plan p1".to_owned(),
            };
            store.write_down(from_ref(&entry), at(0)).await.unwrap();
            assert!(store.has_own_tables().await.unwrap());
            store.mark_gone(&[entry.table], at(1)).await.unwrap();
            assert!(!store.has_own_tables().await.unwrap());
        })
        .await;
    }
}

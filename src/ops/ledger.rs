//! Writing objects down before they are made, with the schemas that they need.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::environment::EnvironmentName;
use crate::sql::TableName;
use crate::sql::quote_string;
use crate::state::LedgerEntry;
use crate::state::LedgerKind;
use crate::state::StateStore;

/// For what objects are made.
pub(super) struct Why<'a> {
    /// The environment.
    pub(super) environment: &'a EnvironmentName,
    /// The plan or run, for people.
    pub(super) reason: String,
}

/// Writes down `entries`, and those of their schemas that are not there: only what we make is ours to drop.
///
/// # Errors
/// When the state or the engine does not answer.
pub(super) async fn write_down(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    entries: Vec<LedgerEntry>,
    why: &Why<'_>,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let mut schemas: BTreeMap<Option<String>, BTreeSet<String>> = BTreeMap::new();
    for entry in &entries {
        if let Some(schema) = &entry.table.schema {
            let of_catalog = schemas.entry(entry.table.catalog.clone()).or_default();
            of_catalog.insert(schema.clone());
        }
    }
    let mut all = Vec::with_capacity(entries.len() + schemas.len());
    for (catalog, mut schemas) in schemas {
        let there = schemas_there(engine, catalog.as_deref(), &schemas).await?;
        schemas.retain(|schema| !there.contains(engine.stored_name(schema).as_ref()));
        all.extend(schemas.into_iter().map(|schema| LedgerEntry {
            table: TableName {
                catalog: catalog.clone(),
                schema: Some(schema),
                name: String::new(),
            },
            kind: LedgerKind::Schema,
            model: None,
            environment: why.environment.to_string(),
            reason: why.reason.clone(),
        }));
    }
    all.extend(entries);
    state
        .write_down(&all, now)
        .await
        .context("writing down what will exist")
}

/// Those of `schemas` that exist, as the engine stores their names.
async fn schemas_there(
    engine: &dyn EngineAdapter,
    catalog: Option<&str>,
    schemas: &BTreeSet<String>,
) -> anyhow::Result<BTreeSet<String>> {
    let catalog = catalog
        .map(str::to_owned)
        .or_else(|| engine.default_catalog());
    let in_catalog = catalog.map_or_else(String::new, |catalog| {
        format!(" AND catalog_name = {}", quote_string(&catalog))
    });
    let wanted: Vec<String> = schemas
        .iter()
        .map(|schema| format!("({})", quote_string(&engine.stored_name(schema))))
        .collect();
    // In another case it may be the same schema, or not; then it is not ours either.
    let sql = format!(
        "SELECT wanted.name AS name FROM (VALUES {}) AS wanted(name) WHERE lower(wanted.name) IN
         (SELECT lower(schema_name) FROM information_schema.schemata WHERE TRUE{in_catalog})",
        wanted.join(", ")
    );
    let rows = engine.query(&sql).await.context("looking for schemas")?;
    let names = rows.strings("name").context("schemas have names")?;
    Ok(names.into_iter().flatten().collect())
}

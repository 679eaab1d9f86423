//! Writing objects down before they are made, with the schemas that they need.

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
    let schemas: BTreeSet<(Option<String>, String)> = entries
        .iter()
        .filter_map(|entry| Some((entry.table.catalog.clone(), entry.table.schema.clone()?)))
        .collect();
    let mut all = Vec::with_capacity(entries.len() + schemas.len());
    for (catalog, schema) in schemas {
        if !schema_exists(engine, catalog.as_deref(), &schema).await? {
            all.push(LedgerEntry {
                table: TableName {
                    catalog,
                    schema: Some(schema),
                    name: String::new(),
                },
                kind: LedgerKind::Schema,
                model: None,
                environment: why.environment.to_string(),
                reason: why.reason.clone(),
            });
        }
    }
    all.extend(entries);
    state
        .write_down(&all, now)
        .await
        .context("writing down what will exist")
}

async fn schema_exists(
    engine: &dyn EngineAdapter,
    catalog: Option<&str>,
    schema: &str,
) -> anyhow::Result<bool> {
    let catalog = catalog
        .map(str::to_owned)
        .or_else(|| engine.default_catalog());
    let in_catalog = catalog.map_or_else(String::new, |catalog| {
        format!(" AND catalog_name = {}", quote_string(&catalog))
    });
    // In another case it may be the same schema, or not; then it is not ours either.
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.schemata WHERE lower(schema_name) = lower({}){in_catalog}",
        quote_string(&engine.stored_name(schema))
    );
    let rows = engine.query(&sql).await.context("looking for a schema")?;
    Ok(rows.single_u64().context("a count is one number")? > 0)
}

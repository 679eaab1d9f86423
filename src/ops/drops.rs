//! Dropping objects of the ledger, one by one, and recording what became of each.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::engine::EngineError;
use crate::engine::EngineObject;
use crate::engine::ObjectKind;
use crate::sql::TableName;
use crate::sql::quote_identifier;
use crate::state::LedgerKind;
use crate::state::StateStore;

/// What became of objects that were to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Drops {
    /// Gone, in the order they went.
    pub(super) dropped: Vec<TableName>,
    /// Still there, with the reason; recorded in the ledger.
    pub(super) failed: Vec<(TableName, String)>,
}

/// Drops `objects`; never anything that depends on them, and never something that is not what the ledger says.
///
/// Those that others of them stand on go once those are gone. What is left is recorded with the reason.
///
/// # Errors
/// When the state or the connection to the engine fails.
pub(super) async fn drop_all(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    objects: Vec<(TableName, LedgerKind)>,
    now: DateTime<Utc>,
) -> anyhow::Result<Drops> {
    let mut drops = Drops::default();
    if objects.is_empty() {
        return Ok(drops);
    }
    let mut left = ours(engine, state, objects, now).await?;
    loop {
        let before = left.len();
        let mut failed = Vec::new();
        for (table, kind) in left {
            match drop_one(engine, &table, kind).await {
                Ok(()) | Err(EngineError::MissingObject { .. }) => {
                    state
                        .mark_gone(std::slice::from_ref(&table), now)
                        .await
                        .context("recording that an object is gone")?;
                    drops.dropped.push(table);
                }
                Err(error @ (EngineError::Closed { .. } | EngineError::Interrupted { .. })) => {
                    return Err(error).context("dropping what nobody needs");
                }
                Err(error) => failed.push((table, kind, error.to_string())),
            }
        }
        // What others stood on may go in the next round, as long as something goes in each.
        if failed.is_empty() || failed.len() == before {
            for (table, _, error) in failed {
                state
                    .mark_not_gone(&table, &error, now)
                    .await
                    .context("recording what could not be dropped")?;
                drops.failed.push((table, error));
            }
            return Ok(drops);
        }
        let again = failed.into_iter().map(|(table, kind, _)| (table, kind));
        left = again.collect();
    }
}

async fn drop_one(
    engine: &dyn EngineAdapter,
    table: &TableName,
    kind: LedgerKind,
) -> Result<(), EngineError> {
    let sql = match kind {
        LedgerKind::Catalog => {
            let catalog = table.catalog.as_deref().unwrap_or_default();
            return engine.drop_catalog(catalog).await;
        }
        LedgerKind::Table | LedgerKind::OwnTable | LedgerKind::Temporary => {
            engine.drop_table(table)
        }
        LedgerKind::View | LedgerKind::EnvironmentView => engine.drop_view(table),
        LedgerKind::Schema => {
            let catalog = table.catalog.as_deref().map(quote_identifier);
            let prefix = catalog.map_or_else(String::new, |catalog| format!("{catalog}."));
            let schema = quote_identifier(table.schema.as_deref().unwrap_or_default());
            format!("DROP SCHEMA IF EXISTS {prefix}{schema}")
        }
    };
    engine.execute(&sql).await.map(drop)
}

/// The tables and views of the schemas, in whatever catalog, that `tables` are in.
///
/// # Errors
/// When the engine does not answer.
pub(super) async fn objects_beside(
    engine: &dyn EngineAdapter,
    tables: impl Iterator<Item = &TableName>,
) -> anyhow::Result<Vec<EngineObject>> {
    let mut schemas: BTreeMap<Option<&str>, BTreeSet<&str>> = BTreeMap::new();
    for table in tables {
        if let Some(schema) = &table.schema {
            let catalog = table.catalog.as_deref();
            schemas.entry(catalog).or_default().insert(schema);
        }
    }
    let mut found = Vec::new();
    for (catalog, schemas) in schemas {
        let schemas: Vec<String> = schemas.into_iter().map(str::to_owned).collect();
        let objects = engine.objects_in(catalog, &schemas).await;
        found.extend(objects.context("listing the tables of the warehouse")?);
    }
    Ok(found)
}

/// Those of `objects` that are what the ledger says. Where somebody has put something else in the place of one, ours
/// is gone; a schema that others use stays theirs.
async fn ours(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    objects: Vec<(TableName, LedgerKind)>,
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<(TableName, LedgerKind)>> {
    let found = objects_beside(engine, objects.iter().map(|(table, _)| table)).await?;
    let place = |table: &TableName| (table.catalog.clone(), table.schema.clone());
    let used: BTreeSet<_> = found.iter().map(|object| place(&object.table)).collect();
    let kinds: BTreeMap<&TableName, ObjectKind> = found
        .iter()
        .map(|object| (&object.table, object.kind))
        .collect();
    let mut ours = Vec::with_capacity(objects.len());
    let mut not_ours = Vec::new();
    for (table, kind) in objects {
        let expected = match kind {
            LedgerKind::Table | LedgerKind::OwnTable | LedgerKind::Temporary => ObjectKind::Table,
            LedgerKind::View | LedgerKind::EnvironmentView => ObjectKind::View,
            LedgerKind::Catalog => {
                ours.push((table, kind));
                continue;
            }
            LedgerKind::Schema => {
                if !used.contains(&place(&table)) {
                    ours.push((table, kind));
                }
                continue;
            }
        };
        match kinds.get(&engine.listed(&table)) {
            Some(found) if *found != expected => not_ours.push(table),
            Some(_) | None => ours.push((table, kind)),
        }
    }
    state
        .mark_gone(&not_ours, now)
        .await
        .context("recording that an object is gone")?;
    Ok(ours)
}

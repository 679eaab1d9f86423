//! What stands where views are to be, and is not ours.

use std::collections::BTreeSet;

use anyhow::Context;

use crate::engine::EngineAdapter;
use crate::engine::ObjectKind;
use crate::environment::Environment;
use crate::ops::drops::objects_beside;
use crate::ops::own_tables::own_names;
use crate::sql::TableName;
use crate::sql::quote_string;
use crate::state::StateStore;

/// Fails when a view of `environment` would take the place of a table or view that somebody else has made.
///
/// Ours are those of the ledger and of the record; and views over the very schema of the new table, for nobody
/// else makes such: they are what is left when the state was lost.
pub(super) async fn check_free(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    environment: &Environment,
    create: &[(TableName, TableName)],
) -> anyhow::Result<()> {
    check_unambiguous(engine, create)?;
    let found = objects_beside(engine, create.iter().map(|(view, _)| view)).await?;
    let tables: BTreeSet<&TableName> = of_kind(&found, ObjectKind::Table);
    let mut taken = create
        .iter()
        .map(|(view, _)| view)
        .filter(|view| tables.contains(&engine.listed(view)))
        .peekable();
    let own = match taken.peek() {
        Some(_) => own_names(engine, state, environment).await?,
        None => BTreeSet::new(),
    };
    if let Some(view) = taken.find(|view| !own.contains(*view)) {
        return Err(not_ours("table", view));
    }
    let views: BTreeSet<&TableName> = of_kind(&found, ObjectKind::View);
    if views.is_empty() {
        return Ok(());
    }
    let ours = ours(state, environment).await?;
    let others = create
        .iter()
        .filter(|(view, _)| views.contains(&engine.listed(view)) && !ours.contains(view));
    for (view, table) in others {
        if !reads_schema_of(engine, view, table).await? {
            return Err(not_ours("view", view));
        }
    }
    Ok(())
}

/// Fails when a view's name could be two things: DuckDB calls a catalog by the name of its file, and takes `sales.orders` for a
/// table of the schema `sales` or of the catalog `sales`.
fn check_unambiguous(
    engine: &dyn EngineAdapter,
    create: &[(TableName, TableName)],
) -> anyhow::Result<()> {
    let Some(catalog) = engine.default_catalog() else {
        return Ok(());
    };
    let is_both = |view: &&TableName| {
        let schema = view.schema.as_deref();
        view.catalog.is_none() && schema.is_some_and(|schema| schema.eq_ignore_ascii_case(&catalog))
    };
    if let Some(view) = create.iter().map(|(view, _)| view).find(is_both) {
        anyhow::bail!(
            "the view `{}` is in a schema that is called as the DuckDB file is, and DuckDB cannot tell the two apart; give \
             the file another name in the configuration, with `catalogs: {{warehouse: …}}` instead of `database: …`, or \
             rename it",
            view.plain()
        );
    }
    Ok(())
}

/// That a `kind` of somebody else's has the name.
pub(super) fn not_ours(kind: &str, name: &TableName) -> anyhow::Error {
    anyhow::anyhow!(
        "there is a {kind} `{}` already, which Siding has not made; rename or drop it, or give the model another name",
        name.plain()
    )
}

fn of_kind(objects: &[crate::engine::EngineObject], kind: ObjectKind) -> BTreeSet<&TableName> {
    let of_kind = objects.iter().filter(|object| object.kind == kind);
    of_kind.map(|object| &object.table).collect()
}

/// The views that the environment has or had.
async fn ours(
    state: &StateStore,
    environment: &Environment,
) -> anyhow::Result<BTreeSet<TableName>> {
    let name = &environment.name;
    let ledger = state.ledger_views(name.as_str()).await;
    let mut ours: BTreeSet<TableName> = ledger.context("reading the ledger")?.into_iter().collect();
    let recorded = state.environment(name).await;
    if let Some(recorded) = recorded.context("reading the environment")? {
        let shown = recorded.snapshots.iter().filter(|entry| entry.view);
        ours.extend(shown.map(|entry| recorded.view(&entry.id.name)));
    }
    Ok(ours)
}

/// Whether what `view` selects names the schema of `table`.
async fn reads_schema_of(
    engine: &dyn EngineAdapter,
    view: &TableName,
    table: &TableName,
) -> anyhow::Result<bool> {
    let (Some(of), Some(schema)) = (&view.schema, &table.schema) else {
        return Ok(false);
    };
    let sql = format!(
        "SELECT definition FROM pg_catalog.pg_views WHERE schemaname = {} AND viewname = {}",
        quote_string(&engine.stored_name(of)),
        quote_string(&engine.stored_name(&view.name))
    );
    let rows = engine
        .query(&sql)
        .await
        .context("looking what a view selects")?;
    let definitions = rows.strings("definition")?;
    let mut definitions = definitions.into_iter().flatten();
    let schema = engine.stored_name(schema);
    Ok(definitions.any(|definition| definition.contains(&*schema)))
}

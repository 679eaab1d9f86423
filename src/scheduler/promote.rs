//! The switch: an environment's views are pointed at other tables, all at once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;

use crate::engine::EngineAdapter;
use crate::engine::EngineObject;
use crate::engine::ObjectKind;
use crate::engine::Transaction;
use crate::plan::Dressing;
use crate::plan::ViewSwitch;
use crate::scheduler::Coming;
use crate::scheduler::Leaving;
use crate::scheduler::Moves;
use crate::scheduler::Progress;
use crate::scheduler::Reporter;
use crate::sql::TableName;

/// What a switch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switched {
    /// Views created or replaced.
    pub created: usize,
    /// Views dropped.
    pub dropped: usize,
    /// Time of the transaction.
    pub took: Duration,
}

/// Creates, replaces and drops views in one transaction: readers see all of it or nothing. Where views are in several
/// catalogs, which no transaction spans, each has its own, and all are done before the first is committed.
///
/// Running it again changes nothing.
///
/// # Errors
/// When the engine refuses a statement, for instance because a table of that name stands in the way; then
/// no view has changed.
pub async fn switch(
    engine: &dyn EngineAdapter,
    views: &ViewSwitch,
    report: Reporter<'_>,
) -> anyhow::Result<Switched> {
    let moves = Moves::default();
    switch_if(engine, views, &moves, async || Ok(()), report).await
}

/// As [`switch`], with tables that change places, if `still_right` says so just before the commit.
///
/// # Errors
/// As there, and what `still_right` fails with.
pub async fn switch_if(
    engine: &dyn EngineAdapter,
    views: &ViewSwitch,
    moves: &Moves,
    still_right: impl AsyncFnOnce() -> anyhow::Result<()>,
    report: Reporter<'_>,
) -> anyhow::Result<Switched> {
    let started = Instant::now();
    let mut open = Vec::new();
    for (catalog, part) in parts(engine, views, moves) {
        open.push((catalog, prepared(engine, &part).await?));
    }
    still_right().await?;
    // An engine whose transactions end at one catalog gives each its own: all of them have done their work by now.
    let mut committed = false;
    for (catalog, transaction) in open {
        let done = transaction.commit().await;
        done.with_context(|| match catalog.filter(|_| committed) {
            Some(catalog) => format!(
                "committing the switch in the catalog `{catalog}`; the views of others are switched, and the next plan or run switches these"
            ),
            None => "committing the switch".to_owned(),
        })?;
        committed = true;
    }
    let switched = Switched {
        created: views.create.len() + moves.coming.len(),
        dropped: views.drop.len() + moves.only_leaving(),
        took: started.elapsed(),
    };
    report(Progress::Switched {
        created: switched.created,
        dropped: switched.dropped,
        took: switched.took,
    });
    Ok(switched)
}

/// What is done in one catalog.
#[derive(Default)]
struct Part<'a> {
    create: Vec<&'a (TableName, TableName)>,
    drop: Vec<&'a TableName>,
    dressed: Vec<&'a (TableName, Dressing)>,
    leaving: Vec<&'a Leaving>,
    coming: Vec<&'a Coming>,
    others: Vec<&'a (TableName, Vec<String>)>,
    /// The names under which tables stand, in whatever catalog.
    tables: BTreeSet<&'a TableName>,
}

/// What is done in each catalog, that of names without one first.
fn parts<'a>(
    engine: &dyn EngineAdapter,
    views: &'a ViewSwitch,
    moves: &'a Moves,
) -> BTreeMap<Option<String>, Part<'a>> {
    let default = engine.default_catalog();
    let catalog = |view: &TableName| view.catalog.clone().or_else(|| default.clone());
    let mut parts: BTreeMap<Option<String>, Part<'a>> = BTreeMap::new();
    for pair in &views.create {
        parts.entry(catalog(&pair.0)).or_default().create.push(pair);
    }
    for view in &views.drop {
        parts.entry(catalog(view)).or_default().drop.push(view);
    }
    for pair in &views.dressed {
        parts
            .entry(catalog(&pair.0))
            .or_default()
            .dressed
            .push(pair);
    }
    for leaving in &moves.leaving {
        let part = parts.entry(catalog(&leaving.name)).or_default();
        part.leaving.push(leaving);
    }
    for coming in &moves.coming {
        let part = parts.entry(catalog(&coming.name)).or_default();
        part.coming.push(coming);
    }
    for others in &moves.others {
        let part = parts.entry(catalog(&others.0)).or_default();
        part.others.push(others);
    }
    for part in parts.values_mut() {
        part.tables = moves.tables.iter().collect();
    }
    if parts.is_empty() {
        parts.insert(default, Part::default());
    }
    parts
}

/// A transaction in which everything of `part` is done.
async fn prepared(
    engine: &dyn EngineAdapter,
    part: &Part<'_>,
) -> anyhow::Result<Box<dyn Transaction>> {
    let statements = statements(engine, part);
    let mut transaction = switched_views(engine, &statements).await?;
    let comments = comments(engine, part);
    if !comments.is_empty()
        && let Err(error) = transaction.execute_all(&comments).await
    {
        // What nobody reads rows from is no reason not to deploy.
        tracing::warn!(%error, "the descriptions of the views cannot be registered: {error}");
        transaction
            .rollback()
            .await
            .context("taking the switch back")?;
        transaction = switched_views(engine, &statements).await?;
    }
    let dressed = part.dressed.iter();
    for (view, dressing) in dressed.filter(|(_, dressing)| !dressing.statements.is_empty()) {
        let updated = transaction.execute_all(&dressing.statements).await;
        updated.with_context(|| {
            let (view, file) = (view.plain(), &dressing.file);
            format!(
                "running a statement of the virtual update of `{view}` ({file}); no view has changed"
            )
        })?;
    }
    Ok(transaction)
}

/// The statements that make, point and drop the views of `part`.
fn statements(engine: &dyn EngineAdapter, part: &Part<'_>) -> Vec<String> {
    let views = part.create.iter().map(|(view, _)| view);
    let names = views.chain(part.coming.iter().map(|coming| &coming.name));
    let schemas: BTreeSet<_> = names.map(|name| (&name.catalog, &name.schema)).collect();
    let mut statements = Vec::with_capacity(part.create.len() + part.drop.len() + schemas.len());
    for (catalog, schema) in schemas {
        let schema = schema.as_ref();
        statements.extend(schema.map(|schema| engine.create_schema(catalog.as_deref(), schema)));
    }
    let leaving = part.leaving.iter();
    statements.extend(leaving.flat_map(|leaving| leaving.statements(engine)));
    let coming = part.coming.iter();
    statements.extend(coming.flat_map(|coming| coming.statements(engine)));
    for (view, table) in part.create.iter().copied() {
        let mut table = table.clone();
        // In a view of another catalog, a name without one would be of that catalog.
        if view.catalog.is_some() && table.catalog.is_none() {
            table.catalog = engine.default_catalog();
        }
        statements.extend(engine.create_or_replace_view(view, &format!("SELECT * FROM {table}")));
    }
    statements.extend(part.drop.iter().map(|view| engine.drop_view(view)));
    let others = part.others.iter();
    statements.extend(others.flat_map(|(_, statements)| statements.iter().cloned()));
    statements
}

/// A transaction in which the views are switched.
async fn switched_views(
    engine: &dyn EngineAdapter,
    statements: &[String],
) -> anyhow::Result<Box<dyn Transaction>> {
    let mut transaction = engine.begin().await.context("starting the switch")?;
    // The engine's error names the statement, and with it the view.
    transaction
        .execute_all(statements)
        .await
        .context("switching the views; none has changed")?;
    Ok(transaction)
}

/// The statements that describe views and their columns.
fn comments(engine: &dyn EngineAdapter, part: &Part<'_>) -> Vec<String> {
    if !engine.registers_comments() {
        return Vec::new();
    }
    let dressed = part.dressed.iter();
    dressed
        .flat_map(|(view, dressing)| {
            let object = EngineObject {
                table: view.clone(),
                kind: if part.tables.contains(view) {
                    ObjectKind::Table
                } else {
                    ObjectKind::View
                },
            };
            engine.comments(&object, dressing.description.as_deref(), &dressing.columns)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::engine::ConnectionConfig;
    use crate::engine::DuckDbCatalog;
    use crate::engine::DuckDbConfig;
    use crate::engine::DuckDbDatabase;
    use crate::engine::connect;

    /// Points both views at version `version`.
    fn both(version: usize) -> ViewSwitch {
        let pair = |name: &str| {
            (
                TableName::new("db", name),
                TableName::new("siding__db", format!("{name}{version}")),
            )
        };
        ViewSwitch {
            create: vec![pair("a"), pair("b")],
            drop: Vec::new(),
            unchanged: 0,
            dressed: Vec::new(),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn readers_of_two_views_never_see_one_old_and_one_new() {
        let folder = tempfile::tempdir().unwrap();
        let config = DuckDbConfig::new(DuckDbDatabase::File(folder.path().join("wh.duckdb")));
        let engine = connect(&ConnectionConfig::DuckDb(config)).await.unwrap();
        engine.execute("CREATE SCHEMA siding__db").await.unwrap();
        for version in 0..2 {
            for name in ["a", "b"] {
                let sql = format!(
                    "CREATE TABLE siding__db.{name}{version} AS SELECT {version} AS version"
                );
                engine.execute(&sql).await.unwrap();
            }
        }
        switch(engine.as_ref(), &both(0), &|_| {}).await.unwrap();

        let done = AtomicBool::new(false);
        let reading = async {
            let mut seen = [0_u64; 2];
            while !done.load(Ordering::Relaxed) {
                let mut transaction = engine.begin().await.unwrap();
                let a = transaction
                    .query("SELECT version FROM db.a")
                    .await
                    .unwrap()
                    .single_u64()
                    .unwrap();
                tokio::task::yield_now().await;
                let b = transaction
                    .query("SELECT version FROM db.b")
                    .await
                    .unwrap()
                    .single_u64()
                    .unwrap();
                transaction.rollback().await.unwrap();
                assert_eq!(a, b, "one view is old and the other new");
                seen[usize::try_from(a).unwrap()] += 1;
            }
            seen
        };
        let switching = async {
            for round in 1..=200 {
                switch(engine.as_ref(), &both(round % 2), &|_| {})
                    .await
                    .unwrap();
            }
            done.store(true, Ordering::Relaxed);
        };
        let (seen, ()) = tokio::join!(reading, switching);

        assert!(
            seen.iter().all(|count| *count > 0),
            "the reader saw both versions: {seen:?}"
        );
    }

    #[tokio::test]
    async fn a_table_in_the_way_leaves_every_view_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let config = DuckDbConfig::new(DuckDbDatabase::File(folder.path().join("wh.duckdb")));
        let engine = connect(&ConnectionConfig::DuckDb(config)).await.unwrap();
        for sql in [
            "CREATE SCHEMA siding__db",
            "CREATE SCHEMA db",
            "CREATE TABLE siding__db.a0 AS SELECT 0 AS version",
            "CREATE TABLE siding__db.b0 AS SELECT 0 AS version",
            "CREATE TABLE db.b AS SELECT 'mine' AS version",
        ] {
            engine.execute(sql).await.unwrap();
        }

        let error = switch(engine.as_ref(), &both(0), &|_| {})
            .await
            .unwrap_err();

        assert!(format!("{error:#}").contains("\"db\".\"b\""), "{error:#}");
        let objects = engine.objects(&["db".to_owned()]).await.unwrap();
        assert_eq!(objects.len(), 1, "no view was made: {objects:?}");
    }

    #[tokio::test]
    async fn what_one_catalog_refuses_changes_no_view_of_another() {
        let config = DuckDbConfig {
            catalogs: vec![DuckDbCatalog {
                name: "far".to_owned(),
                database: DuckDbDatabase::Memory,
                read_only: false,
            }],
            ..DuckDbConfig::new(DuckDbDatabase::Memory)
        };
        let engine = connect(&ConnectionConfig::DuckDb(config)).await.unwrap();
        for sql in [
            "CREATE SCHEMA siding__db",
            "CREATE TABLE siding__db.a0 AS SELECT 0 AS version",
            "CREATE SCHEMA far.db",
            "CREATE TABLE far.db.b AS SELECT 'mine' AS version",
        ] {
            engine.execute(sql).await.unwrap();
        }
        let far = |name: &str| TableName {
            catalog: Some("far".to_owned()),
            ..TableName::new("db", name)
        };
        let table = TableName::new("siding__db", "a0");
        let mut views = ViewSwitch {
            create: vec![
                (TableName::new("db", "a"), table.clone()),
                (far("a"), table.clone()),
                (far("b"), table),
            ],
            ..both(0)
        };

        switch(engine.as_ref(), &views, &|_| {}).await.unwrap_err();
        assert!(engine.objects(&["db".to_owned()]).await.unwrap().is_empty());

        views.create.truncate(2);
        switch(engine.as_ref(), &views, &|_| {}).await.unwrap();
        for view in ["db.a", "far.db.a"] {
            let rows = engine.query(&format!("SELECT version FROM {view}")).await;
            assert_eq!(rows.unwrap().single_u64().unwrap(), 0);
        }
    }
}

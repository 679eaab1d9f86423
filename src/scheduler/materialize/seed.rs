//! SEED: the rows of a CSV file.

use anyhow::Context;

use crate::engine::EngineAdapter;
use crate::engine::EngineError;
use crate::engine::Transaction;
use crate::model::Column;
use crate::model::Seed;
use crate::model::SeedQuery;
use crate::scheduler::materialize::Batch;
use crate::sql::Dialect;

pub(super) async fn write(
    batch: &Batch<'_>,
    seed: &Seed,
    transaction: &mut dyn Transaction,
) -> anyhow::Result<Option<u64>> {
    let declared = batch.model.columns.iter().flatten();
    let columns: Vec<Column> = declared
        .map(|column| Column {
            name: column.name.clone(),
            data_type: column
                .data_type
                .as_ref()
                .map(|data_type| batch.engine.type_name(data_type).into_owned()),
        })
        .collect();
    let queries = seed
        .insert_values(&columns)
        .with_context(|| format!("reading `{}`", seed.path))?;
    if batch.engine.dialect() == Dialect::Postgres
        && let Some(line) = seed.line_with_nul()
    {
        anyhow::bail!(
            "{}:{line}: the row has a NUL byte, which PostgreSQL's text cannot hold; take it out of the file",
            seed.path
        );
    }
    let mut rows = 0;
    for (index, query) in queries.iter().enumerate() {
        let select = &query.sql;
        let statements = if index == 0 {
            batch.engine.create_or_replace_table_as(batch.table, select)
        } else {
            vec![format!("INSERT INTO {} {select}", batch.table)]
        };
        for statement in statements {
            rows += match transaction.execute(&statement).await {
                Ok(rows) => rows,
                Err(error) => return Err(placed(batch.engine, seed, &columns, query, error).await),
            };
        }
    }
    Ok(Some(rows))
}

/// `error`, which the engine gave for the rows of `query`, with the line of the first one that it refuses.
async fn placed(
    engine: &dyn EngineAdapter,
    seed: &Seed,
    columns: &[Column],
    query: &SeedQuery,
    error: EngineError,
) -> anyhow::Error {
    if !matches!(error, EngineError::Statement { .. }) {
        return error.into();
    }
    let Ok(table) = seed.rows() else {
        return error.into();
    };
    // The rows before `good` are fine; one before `bad` is not.
    let (mut good, mut bad) = (query.rows.start, query.rows.end);
    let mut refused = None;
    while good < bad {
        let middle = good + (bad - good) / 2;
        let Ok(part) = seed.query(&table, good..middle + 1, columns) else {
            return error.into();
        };
        match engine.query(&part.sql).await {
            Ok(_) => good = middle + 1,
            Err(EngineError::Statement { message, .. }) => {
                refused = Some(message);
                bad = middle;
            }
            Err(_) => return error.into(),
        }
    }
    match (refused, table.lines.get(good)) {
        (Some(message), Some(line)) => anyhow::anyhow!("{}:{line}: {message}", seed.path),
        // Each row is fine by itself.
        _ => error.into(),
    }
}

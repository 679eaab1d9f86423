//! Views that stand on a table which is made anew because its query has other columns now.
//!
//! Where views hold on to their tables, ours go and come back in the transaction that replaces the table; those of other
//! people are theirs to change.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;

use crate::engine::EngineError;
use crate::engine::Transaction;
use crate::scheduler::materialize::Batch;
use crate::sql::TableName;
use crate::state::LedgerKind;

/// A view that goes and comes back.
pub(super) struct Standing {
    view: TableName,
    /// The statements that make it anew, with the rights that others have on it.
    again: Vec<String>,
}

/// Whether a batch failed because something stands on what it makes anew.
pub(super) fn is_in_the_way(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(EngineError::Needed { .. }))
}

/// Our views that stand on the batch's table, directly or on another of them; what others stand on comes first.
///
/// # Errors
/// With the names of those that are not ours.
pub(super) async fn on(batch: &Batch<'_>, error: &anyhow::Error) -> anyhow::Result<Vec<Standing>> {
    let Some((state, _)) = batch.held else {
        anyhow::bail!("{error:#}");
    };
    let engine = batch.engine;
    let ledger = state.ledger().await.context("reading the ledger")?;
    let ours: BTreeMap<TableName, LedgerKind> = ledger
        .into_iter()
        .map(|record| {
            let mut name = engine.listed(&record.entry.table);
            name.catalog = None;
            (name, record.entry.kind)
        })
        .collect();
    let mut found: Vec<Standing> = Vec::new();
    let mut others = BTreeSet::new();
    let mut level = vec![batch.table.clone()];
    while !level.is_empty() {
        let readers = engine.readers(&level).await?;
        let mut next: Vec<TableName> = Vec::new();
        for (table, readers) in level.iter().zip(readers) {
            // The rights on what this level is made of.
            if let Some(standing) = found.iter_mut().find(|standing| standing.view == *table) {
                standing.again.truncate(1);
                standing.again.extend(readers.rights);
            }
            for reader in readers.views {
                let kind = ours.get(&engine.listed(&reader.view));
                let (Some(kind), Some(mut again)) = (kind, reader.again) else {
                    others.insert(reader.view.plain());
                    continue;
                };
                if *kind == LedgerKind::EnvironmentView || batch.stand_in == Some(&reader.view) {
                    // Whatever columns there are.
                    let all = format!("SELECT * FROM {table}");
                    again = engine.create_or_replace_view(&reader.view, &all).concat();
                }
                // One that stands on another of them comes behind that.
                found.retain(|standing| standing.view != reader.view);
                next.retain(|view| *view != reader.view);
                next.push(reader.view.clone());
                found.push(Standing {
                    view: reader.view,
                    again: vec![again],
                });
            }
        }
        level = next;
    }
    let others: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
    anyhow::ensure!(
        others.is_empty(),
        "the query of `{}` gives other columns now, but {} stand{} on its table and {} not Siding's; drop {}, run again, \
         then make {} anew",
        batch.model.name,
        others.join(", "),
        if others.len() == 1 { "s" } else { "" },
        if others.len() == 1 { "is" } else { "are" },
        if others.len() == 1 { "it" } else { "them" },
        if others.len() == 1 { "it" } else { "them" },
    );
    anyhow::ensure!(!found.is_empty(), "{error:#}");
    Ok(found)
}

/// Takes the views away, those that stand on others first.
pub(super) async fn take_away(
    batch: &Batch<'_>,
    views: &[Standing],
    transaction: &mut dyn Transaction,
) -> anyhow::Result<()> {
    for standing in views.iter().rev() {
        let drop = batch.engine.drop_view(&standing.view);
        transaction.execute(&drop).await?;
    }
    Ok(())
}

/// Makes them anew.
pub(super) async fn put_back(
    views: &[Standing],
    transaction: &mut dyn Transaction,
) -> anyhow::Result<()> {
    for standing in views {
        for statement in &standing.again {
            transaction.execute(statement).await.with_context(|| {
                format!(
                    "making the view `{}` again, which stands on the table",
                    standing.view.plain()
                )
            })?;
        }
    }
    Ok(())
}

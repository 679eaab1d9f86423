//! Write one batch of one model: stage, audit, publish, in one transaction.
//!
//! One file a kind. What they share is here: the statements around the query, the audits and the mark that says which
//! batch is in the table, all of them in the transaction that readers see at its commit.

mod by_partition;
mod by_unique_key;
mod describe;
mod fits;
mod full;
mod incremental;
mod keys;
mod merging;
mod scd;
mod seed;
mod standing;
mod target;
#[cfg(test)]
mod tests;
mod time;
mod unmanaged;
mod view;
mod writers;

use std::time::Duration;
use std::time::Instant;

use anyhow::Context;

use crate::engine::EngineAdapter;
use crate::engine::Transaction;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::Template;
use crate::scheduler::Scope;
use crate::scheduler::audit::Audited;
use crate::scheduler::audit::Subject;
use crate::scheduler::audit::run_audits;
use crate::scheduler::materialize::standing::Standing;
use crate::scheduler::materialize::target::Target;
use crate::scheduler::moves::stand_in;
use crate::scheduler::past::Marker;
use crate::snapshot::Interval;
use crate::sql::TableName;
use crate::sql::quote_identifier;
use crate::state::Lease;
use crate::state::StateError;
use crate::state::StateStore;

pub(super) use describe::describe;
pub(super) use describe::store;
pub(super) use target::Known;
pub(super) use time::time_condition;
pub(super) use time::widened;
pub(super) use writers::wait as wait_for_writers;

/// One batch to write.
pub(super) struct Batch<'a> {
    pub(super) engine: &'a dyn EngineAdapter,
    pub(super) scope: &'a Scope<'a>,
    pub(super) model: &'a Model,
    pub(super) table: &'a TableName,
    /// The view that has the name of the table's version, where the table has another one.
    pub(super) stand_in: Option<&'a TableName>,
    /// What earlier batches found out about the table, while this process holds it.
    pub(super) known: &'a Known,
    pub(super) range: Interval,
    /// Whether nothing of the table counts as filled: whatever rows it has go.
    pub(super) first: bool,
    /// Where the batch is marked as written, for models that depend on their past.
    pub(super) marker: Option<Marker>,
    /// The right to write the table, looked at again just before the commit.
    pub(super) held: Option<(&'a StateStore, &'a Lease)>,
}

/// What writing a batch did.
pub(super) struct Written {
    pub(super) rows: Option<u64>,
    pub(super) audited: Audited,
    /// From its first statement to its commit: what it waited for before is no work of its own.
    pub(super) took: Duration,
}

/// Writes a batch; when it returns, the rows are visible, audited and marked, or nothing changed.
pub(super) async fn write(batch: &Batch<'_>) -> anyhow::Result<Written> {
    match write_under(batch, &[]).await {
        Err(error) if standing::is_in_the_way(&error) => {
            let views = standing::on(batch, &error).await?;
            write_under(batch, &views).await
        }
        written => written,
    }
}

/// The same, where `views` stand on the table that is made anew.
async fn write_under(batch: &Batch<'_>, views: &[Standing]) -> anyhow::Result<Written> {
    let model = batch.model;
    let target = if needs_target(model) {
        Some(Target::of(batch).await?)
    } else {
        None
    };
    if target.is_some() {
        writers::wait(batch).await?;
    }
    let mut open = batch.engine.begin().await?;
    let transaction = open.as_mut();
    if target.is_some() {
        writers::join(batch, transaction).await?;
    }
    let started = Instant::now();
    batch.run(&model.statements.before, transaction).await?;
    standing::take_away(batch, views, transaction).await?;
    let rows = match (&model.kind, &target) {
        (ModelKind::View, _) => view::write(batch, transaction).await?,
        (ModelKind::Full | ModelKind::MaterializedView, None) => {
            full::write(batch, transaction).await?
        }
        (ModelKind::Full | ModelKind::MaterializedView, Some(target)) => {
            full::write_over_itself(batch, target, transaction).await?
        }
        (ModelKind::Seed(seed), _) => seed::write(batch, seed, transaction).await?,
        (ModelKind::IncrementalByTimeRange { .. }, Some(target)) => {
            incremental::write(batch, target, transaction).await?
        }
        (ModelKind::IncrementalByUniqueKey(key), Some(target)) => {
            by_unique_key::write(batch, key, target, transaction).await?
        }
        (ModelKind::IncrementalByPartition, Some(target)) => {
            by_partition::write(batch, target, transaction).await?
        }
        (ModelKind::IncrementalUnmanaged { insert_overwrite }, Some(target)) => {
            if *insert_overwrite {
                by_partition::write(batch, target, transaction).await?
            } else {
                unmanaged::write(batch, target, transaction).await?
            }
        }
        (ModelKind::ScdType2(scd), Some(target)) => {
            scd::write(batch, scd, target, transaction).await?
        }
        (
            ModelKind::Embedded
            | ModelKind::External
            | ModelKind::IncrementalByTimeRange { .. }
            | ModelKind::IncrementalByUniqueKey(_)
            | ModelKind::IncrementalByPartition
            | ModelKind::IncrementalUnmanaged { .. }
            | ModelKind::ScdType2(_),
            _,
        ) => anyhow::bail!("`{}` has no table to fill", model.name),
    };
    if target.is_none() && model.kind.is_materialized() {
        store(batch, transaction).await?;
        // The columns may be others than before.
        if let Some(view) = batch.stand_in
            && !batch.engine.views_follow_tables()
        {
            let statements = stand_in(batch.engine, view, batch.table);
            transaction.execute_all(&statements).await?;
        }
    }
    standing::put_back(views, transaction).await?;
    batch.run(&model.statements.after, transaction).await?;
    let time = target.as_ref().and_then(|target| target.time.as_ref());
    let subject = Subject {
        engine: batch.engine,
        table: batch.table,
        range: match (&model.kind, time) {
            (ModelKind::Seed(_), _) => None,
            (_, Some(time)) => Some(time.range),
            (_, None) => Some(batch.range),
        },
        time_type: time.map(|time| time.data_type.as_str()),
    };
    let audited = run_audits(batch.scope, model, &subject, async |counts: &[String]| {
        transaction.query_each(counts).await
    })
    .await?;
    if let Some(marker) = &batch.marker {
        marker.mark(transaction, batch.range).await?;
    }
    check_held(batch).await?;
    open.commit().await?;
    if target.is_none() {
        describe(batch).await;
    }
    Ok(Written {
        rows,
        audited,
        took: started.elapsed(),
    })
}

/// Fails when the table of `batch` is no longer this process's to write.
pub(super) async fn check_held(batch: &Batch<'_>) -> anyhow::Result<()> {
    let Some((state, lease)) = batch.held else {
        return Ok(());
    };
    // Where no other process can write the table, all that may have happened is that somebody cleared what was filled. Then
    // the batch is not recorded, and is written again; but its mark would say that it must not be.
    let may_repeat = batch.marker.is_none() && !batch.model.depends_on_its_past();
    let is_alone = batch.engine.lock_for_writing(batch.table).is_none();
    if may_repeat && is_alone && batch.known.held.still() {
        return Ok(());
    }
    let asked = Instant::now();
    let ours = state.still_holds(lease).await;
    if ours.context("looking whether the table is still ours")? {
        batch.known.held.since(asked);
        return Ok(());
    }
    if let Err(cleared @ StateError::Cleared) = state.check_lease(lease).await {
        return Err(cleared.into());
    }
    anyhow::bail!(
        "another process took over what this process was writing, because it had not been heard of for too long; the batch is taken back"
    );
}

/// Whether the table must be there before a batch is written.
fn needs_target(model: &Model) -> bool {
    model.kind.is_incremental() || model.reads_itself
}

/// Makes the table without rows if it is not there: nothing is due yet, and readers find it empty.
pub(super) async fn make(batch: &Batch<'_>) -> anyhow::Result<()> {
    if !matches!(batch.model.kind, ModelKind::View) {
        return target::create(batch).await.map(drop);
    }
    if batch.engine.columns(batch.table).await?.is_some() {
        return Ok(());
    }
    let mut transaction = batch.engine.begin().await?;
    batch
        .run(&batch.model.statements.before, transaction.as_mut())
        .await?;
    view::write(batch, transaction.as_mut()).await?;
    transaction.commit().await?;
    Ok(())
}

impl Batch<'_> {
    /// The model's query for this batch; declared columns are cast to their types.
    fn query(&self) -> anyhow::Result<String> {
        self.query_over(self.range)
    }

    /// The model's query for `range`; declared columns are cast to their types.
    fn query_over(&self, range: Interval) -> anyhow::Result<String> {
        let sql = self.scope.query(self.model, Some(range));
        let sql = sql.with_context(|| format!("rendering `{}`", self.model.name))?;
        Ok(self.with_types(&sql))
    }

    /// The same where the model sees `itself`, a query, instead of its own table.
    fn query_over_itself(&self, range: Interval, itself: &str) -> anyhow::Result<String> {
        let sql = self
            .scope
            .query_over_itself(self.model, Some(range), itself);
        let sql = sql.with_context(|| format!("rendering `{}`", self.model.name))?;
        Ok(self.with_types(&sql))
    }

    fn with_types(&self, sql: &str) -> String {
        let sql = sql.trim_end().trim_end_matches(';').to_owned();
        let Some(columns) = &self.model.columns else {
            return sql;
        };
        let added: Vec<&String> = match &self.model.kind {
            ModelKind::ScdType2(scd) => vec![&scd.valid_from, &scd.valid_to],
            _ => Vec::new(),
        };
        let casts: Vec<String> = columns
            .iter()
            .filter(|column| !added.contains(&&column.name))
            .map(|column| {
                let name = quote_identifier(&column.name);
                column.data_type.as_ref().map_or_else(
                    || name.clone(),
                    |data_type| format!("CAST({name} AS {data_type}) AS {name}"),
                )
            })
            .collect();
        format!("SELECT {} FROM (\n{sql}\n) AS _siding", casts.join(", "))
    }

    /// Runs statements of the model.
    async fn run(
        &self,
        statements: &[Template],
        transaction: &mut dyn Transaction,
    ) -> anyhow::Result<()> {
        for statement in statements {
            let sql = self
                .scope
                .statement(statement, self.model, self.range)
                .with_context(|| format!("rendering a statement of `{}`", self.model.name))?;
            transaction.execute(&sql).await.with_context(|| {
                let model = self.model;
                format!("running a statement of `{}` ({})", model.name, model.file)
            })?;
        }
        Ok(())
    }
}

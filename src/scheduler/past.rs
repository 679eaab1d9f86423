//! Tables that build on their own past: which batches are in them, whatever happened to the record of that.
//!
//! Warehouse and state are two databases. A batch that replaces its own rows may run twice, so a kill between its commit
//! and its record does no harm. For the others, a batch leaves a mark in its own transaction: the range that was
//! written last, one row in a small table beside the model's. Whoever goes on reads it first, and a range that is
//! marked but not recorded is recorded instead of written again.

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineColumn;
use crate::engine::Rows;
use crate::engine::Transaction;
use crate::model::Model;
use crate::plan::Work;
use crate::scheduler::Filling;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;
use crate::snapshot::Version;
use crate::sql::TableName;
use crate::state::BatchRecord;
use crate::state::Lease;
use crate::state::LedgerEntry;
use crate::state::LedgerKind;
use crate::state::MARKS;
use crate::state::PhysicalObject;
use crate::state::PhysicalObjectKind;
use crate::state::StateError;

/// Where the batches of a table are marked, and what is marked.
#[derive(Clone, Debug)]
pub(super) struct Marker {
    table: TableName,
    /// The range that was written last, as far as this process knows.
    last: Option<Interval>,
}

/// What is known of the past of one model's table, while it is filled.
pub(super) struct Past {
    /// Where batches are marked; `None` for models whose batches may run twice.
    pub(super) marker: Option<Marker>,
    /// Whether the model depends on its past.
    is_dependent: bool,
    /// Whether what is filled must not be filled again: its rows would be added twice.
    is_added_to: bool,
    /// Whether nothing was filled yet.
    is_new: bool,
    /// What the state has as filled.
    filled: Intervals,
    /// What an earlier process wrote and could not record; it is recorded now.
    found: Option<Interval>,
    /// What was written and is not recorded, until all behind it is written anew.
    held: Vec<BatchRecord>,
}

impl Past {
    /// Reads the past of the table that `work` fills, and records what an earlier process wrote and could not record.
    pub(super) async fn of(
        filling: &Filling<'_>,
        model: &Model,
        work: &Work,
        lease: &Lease,
    ) -> anyhow::Result<Self> {
        let (engine, state, now) = (filling.engine, filling.state, filling.now);
        let mut past = Self {
            marker: None,
            is_dependent: model.depends_on_its_past(),
            is_added_to: model.kind.adds_to_its_rows(),
            is_new: false,
            filled: Intervals::default(),
            found: None,
            held: Vec::new(),
        };
        if !past.is_dependent {
            return Ok(past);
        }
        let key = (work.name.clone(), work.version.clone());
        let filled = state.filled(std::slice::from_ref(&key)).await;
        let filled = filled.context("reading the intervals")?;
        past.filled = filled.get(&key).cloned().unwrap_or_default();
        past.is_new = past.filled.is_empty();
        not_cleared(filling, work, &past.filled)?;
        if model.kind.time_column().is_some() {
            return Ok(past);
        }
        let table = marker(&work.table);
        make_marker(filling, &table, work).await?;
        let last = marked(&engine.query(&question(&table)).await?)?;
        // Without any record the table is written anew, whatever is in it.
        if !past.filled.is_empty()
            && let Some(written) = last
            && !past.filled.contains(written)
        {
            state
                .record_filled_under(lease, &work.name, &work.version, written, now)
                .await?;
            past.filled.insert(written);
            past.found = Some(written);
        }
        past.marker = Some(Marker { table, last });
        Ok(past)
    }

    /// Whether nothing of the table counts as filled.
    pub(super) fn is_empty(&self) -> bool {
        self.is_new
    }

    /// What of `batches` is still to be written.
    pub(super) fn remaining(&self, work: &Work) -> Vec<Interval> {
        let batches = work.batches.iter();
        if work.base.is_some() && self.is_added_to {
            // More may have come along with the copy than was there when the work was found.
            return batches
                .flat_map(|batch| self.filled.missing(*batch))
                .collect();
        }
        match self.found {
            None => batches.copied().collect(),
            Some(found) => {
                let found: Intervals = [found].into_iter().collect();
                batches.flat_map(|batch| found.missing(*batch)).collect()
            }
        }
    }

    /// Whether batches that are in the table may wait for their record while others are written: a kill repeats them, which
    /// replaces their own rows. Where a batch may not run twice, the mark names the last one only, so each is recorded
    /// before the next begins.
    pub(super) fn may_wait(&self) -> bool {
        !self.is_dependent
    }

    /// Records that a batch is written, where each is before the next begins.
    ///
    /// Where something behind it was written before it, that is made of what was there then. So nothing is recorded
    /// until all of it is written anew: a process that dies before finds the same range missing.
    pub(super) async fn record(
        &mut self,
        filling: &Filling<'_>,
        work: &Work,
        lease: &Lease,
        batch: BatchRecord,
    ) -> anyhow::Result<()> {
        self.is_new = false;
        let range = batch.range;
        if let Some(marker) = &mut self.marker {
            marker.last = Some(range);
        }
        self.held.push(batch);
        let last = self.filled.span().map(Interval::end);
        let ahead = work.batches.last().map(|last| last.end());
        if last.is_some_and(|last| range.end() < last)
            && ahead.is_some_and(|ahead| range.end() < ahead)
        {
            return Ok(());
        }
        let batches = std::mem::take(&mut self.held);
        let recorded = filling.state.record_batches(lease, &batches, filling.now);
        recorded.await.context("recording the batch")?;
        for batch in batches {
            self.filled.insert(batch.range);
        }
        Ok(())
    }
}

/// What is marked in `table`, of `version` of the model that `work` fills, whose writing `lease` is on: for whoever copies its rows.
/// A batch that an earlier process wrote and could not record is recorded.
///
/// `None` where nothing was ever marked.
pub(super) async fn settle(
    filling: &Filling<'_>,
    work: &Work,
    (table, version): (&TableName, &Version),
    lease: &Lease,
) -> anyhow::Result<Option<Marker>> {
    let table = marker(table);
    if filling.engine.columns(&table).await?.is_none() {
        return Ok(None);
    }
    let last = marked(&filling.engine.query(&question(&table)).await?)?;
    let key = (work.name.clone(), version.clone());
    let filled = filling.state.filled(std::slice::from_ref(&key)).await;
    let filled = filled.context("reading the intervals")?;
    if let (Some(filled), Some(written)) = (filled.get(&key), last)
        && !filled.is_empty()
        && !filled.contains(written)
    {
        let (state, now) = (filling.state, filling.now);
        state
            .record_filled_under(lease, &work.name, version, written, now)
            .await?;
    }
    Ok(Some(Marker { table, last }))
}

/// The marks of a table that is made anew, if there are any: none of its batches is in it.
pub(super) async fn old_marks(
    filling: &Filling<'_>,
    table: &TableName,
) -> anyhow::Result<Option<TableName>> {
    let marker = marker(table);
    let is_there = filling.engine.columns(&marker).await?.is_some();
    Ok(is_there.then_some(marker))
}

/// Fails when something that was filled when `work` was found is not any more, and `work` is not to fill it: then somebody
/// restates the table, and a batch of today would stand on rows that are about to change.
fn not_cleared(filling: &Filling<'_>, work: &Work, filled: &Intervals) -> Result<(), StateError> {
    let key = (work.name.clone(), work.version.clone());
    let own: Intervals = work.batches.iter().chain(&work.ranges).copied().collect();
    let own: Intervals = own.span().into_iter().collect();
    let before = filling.filled.get(&key).cloned().unwrap_or_default();
    let cleared = before.difference(filled).difference(&own);
    if cleared.is_empty() {
        return Ok(());
    }
    Err(StateError::Cleared)
}

/// The table of marks for `table`, beside it. Its name has a length of its own, whatever the table's.
fn marker(table: &TableName) -> TableName {
    let hash = blake3::hash(table.name.as_bytes());
    TableName {
        name: format!("{MARKS}{}", hex::encode(&hash.as_bytes()[..12])),
        ..table.clone()
    }
}

async fn make_marker(filling: &Filling<'_>, marker: &TableName, work: &Work) -> anyhow::Result<()> {
    let (engine, state, now) = (filling.engine, filling.state, filling.now);
    if engine.columns(marker).await?.is_some() {
        return Ok(());
    }
    let entry = LedgerEntry {
        table: marker.clone(),
        kind: LedgerKind::Table,
        model: Some(work.name.clone()),
        environment: filling.environment.to_string(),
        reason: format!("marks of batches in {}", work.table.plain()),
    };
    state
        .write_down(&[entry], now)
        .await
        .context("writing down the table of marks")?;
    let object = PhysicalObject {
        table: marker.clone(),
        kind: PhysicalObjectKind::Table,
        name: work.name.clone(),
        version: work.version.clone(),
    };
    state
        .record_objects(&[object], now)
        .await
        .context("writing down the table of marks")?;
    let columns = ["start_ms", "end_ms"].map(|name| EngineColumn {
        name: name.to_owned(),
        data_type: "BIGINT".to_owned(),
    });
    let create = engine.create_table_if_absent(marker, &columns);
    engine.execute(&create).await?;
    Ok(())
}

/// Asks for the range that was written last.
fn question(marker: &TableName) -> String {
    format!(
        "SELECT CAST(start_ms AS VARCHAR) AS start_ms, CAST(end_ms AS VARCHAR) AS end_ms FROM {marker}"
    )
}

/// The answer.
fn marked(rows: &Rows) -> anyhow::Result<Option<Interval>> {
    let instant = |column: &str| -> anyhow::Result<Option<DateTime<Utc>>> {
        let value = rows.strings(column)?.into_iter().flatten().next();
        let millis = value.and_then(|text| text.parse().ok());
        Ok(millis.and_then(DateTime::from_timestamp_millis))
    };
    let (start, end) = (instant("start_ms")?, instant("end_ms")?);
    Ok(start
        .zip(end)
        .and_then(|(start, end)| Interval::new(start, end)))
}

impl Marker {
    /// Fails when somebody has written the table since this process looked what is in it: one that was thought dead, and
    /// whose last commit came when its lease was gone already. `transaction` has locked the table.
    pub(super) async fn check(&self, transaction: &mut dyn Transaction) -> anyhow::Result<()> {
        let found = marked(&transaction.query(&question(&self.table)).await?)?;
        anyhow::ensure!(
            found == self.last,
            "another process wrote the table meanwhile, although it had not been heard of for too long; nothing was \
             written twice: run again"
        );
        Ok(())
    }

    /// Marks `range` as the one that was written last; takes effect with everything else of the transaction.
    pub(super) async fn mark(
        &self,
        transaction: &mut dyn Transaction,
        range: Interval,
    ) -> anyhow::Result<()> {
        let Self { table, .. } = self;
        let clear = format!("DELETE FROM {table}");
        let (start, end) = (
            range.start().timestamp_millis(),
            range.end().timestamp_millis(),
        );
        let insert = format!("INSERT INTO {table} (start_ms, end_ms) VALUES ({start}, {end})");
        transaction.execute_each(&[clear, insert]).await?;
        Ok(())
    }
}

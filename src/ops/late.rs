//! What was made before rows that come late: cleared before those are filled, here and in other environments.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::environment::EnvironmentName;
use crate::environment::PromotedSnapshot;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::ops::made_of::Table;
use crate::ops::made_of::Tables;
use crate::plan::Late;
use crate::snapshot::Interval;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::state::FilledInterval;
use crate::state::RestatementRecord;
use crate::state::StateStore;

/// Who fills what comes late.
pub(super) struct By<'a> {
    pub(super) plan_id: &'a str,
    pub(super) environment: &'a EnvironmentName,
    /// What the environment has; nothing of it is cleared but what is known to be stale.
    pub(super) entries: &'a [PromotedSnapshot],
    pub(super) actor: &'a str,
}

/// Clears what was made too early: a kill at any moment after that leaves intervals missing, which the next plan or run
/// fills; nothing old is taken for new.
///
/// # Errors
/// When the state does not answer; then nothing is cleared.
pub(super) async fn clear(
    late: &Late,
    state: &StateStore,
    by: &By<'_>,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let elsewhere = elsewhere(late, state, by.entries).await?;
    if late.stale.is_empty() && elsewhere.is_empty() {
        return Ok(());
    }
    let interval = |(name, version, range): &(ModelName, Version, Interval)| FilledInterval {
        name: name.clone(),
        version: version.clone(),
        start_ms: range.start().timestamp_millis(),
        end_ms: range.end().timestamp_millis(),
    };
    let own: Vec<FilledInterval> = late.stale.iter().map(interval).collect();
    let others: Vec<FilledInterval> = elsewhere.iter().map(interval).collect();
    let record = RestatementRecord {
        plan_id: by.plan_id.to_owned(),
        environment: by.environment.clone(),
        restated_by: by.actor.to_owned(),
        known: BTreeMap::new(),
    };
    let cleared = state.restate(&record, &own, &others, now).await;
    cleared.context("recording what was made too early")
}

/// What tables of other environments made of the same time: from its begin on, since nobody asks here how far back they
/// look.
async fn elsewhere(
    late: &Late,
    state: &StateStore,
    ours: &[PromotedSnapshot],
) -> anyhow::Result<Vec<(ModelName, Version, Interval)>> {
    let arrived = late.arrived.iter();
    let Some(first) = arrived.map(|(_, _, range)| range.start()).min() else {
        return Ok(Vec::new());
    };
    let filled = state.filled_tables().await;
    let mut filled = filled.context("reading the intervals")?;
    let key = |entry: &PromotedSnapshot| (entry.id.name.clone(), entry.version.clone());
    let ours: BTreeSet<Table> = ours.iter().map(key).collect();
    filled.retain(|table, span| !ours.contains(table) && span.end() > first);
    if filled.is_empty() {
        return Ok(Vec::new());
    }
    let environments = state.environments().await;
    let environments = environments.context("reading the environments")?;
    let descent = state.descent().await.context("reading the snapshots")?;
    let tables = Tables::of(&descent, &environments);
    let since = since(late, &tables);
    let stale = since
        .into_iter()
        .filter_map(|(table, from)| Some((*filled.get(&table)?, table, from)))
        .filter(|(span, _, from)| span.end() > *from);
    let stale: Vec<(Interval, Table, DateTime<Utc>)> = stale.collect();
    let snapshot_of = |table: &Table| tables.snapshots.get(table)?.first().cloned();
    let ids: Vec<SnapshotId> = stale
        .iter()
        .filter_map(|(_, t, _)| snapshot_of(t))
        .collect();
    let snapshots = state.snapshots(&ids).await;
    let snapshots = snapshots.context("reading the snapshots")?;
    let cleared = stale.into_iter().filter_map(|(span, table, from)| {
        let id = snapshot_of(&table)?;
        let model = &snapshots.iter().find(|known| known.id == id)?.model;
        if model.is_never_restated() {
            return None;
        }
        let range = match model.kind {
            ModelKind::View | ModelKind::Seed(_) | ModelKind::Embedded | ModelKind::External => {
                return None;
            }
            ModelKind::IncrementalByTimeRange { .. } => {
                Interval::new(from.max(span.start()), span.end())?
            }
            // They are filled whole or not at all.
            ModelKind::Full
            | ModelKind::MaterializedView
            | ModelKind::IncrementalByUniqueKey(_)
            | ModelKind::IncrementalByPartition
            | ModelKind::IncrementalUnmanaged { .. }
            | ModelKind::ScdType2(_) => span,
        };
        Some((table.0, table.1, range))
    });
    Ok(cleared.collect())
}

/// All that is made of `table`, directly or through others.
pub(super) fn readers_below(table: &Table, tables: &Tables) -> BTreeSet<Table> {
    let mut found = BTreeSet::new();
    let mut open = vec![table.clone()];
    while let Some(table) = open.pop() {
        for reader in tables.readers(&table) {
            if found.insert(reader.clone()) {
                open.push(reader);
            }
        }
    }
    found
}

/// From when on each table below what arrives may have been made too early.
fn since(late: &Late, tables: &Tables) -> BTreeMap<Table, DateTime<Utc>> {
    let mut since: BTreeMap<Table, DateTime<Utc>> = BTreeMap::new();
    let arrived = late.arrived.iter();
    let arrived = arrived.map(|(name, version, range)| ((name.clone(), version.clone()), range));
    let mut open: Vec<(Table, DateTime<Utc>)> = arrived
        .map(|(table, range)| (table, range.start()))
        .collect();
    while let Some((table, from)) = open.pop() {
        for reader in tables.readers(&table) {
            if since.get(&reader).is_none_or(|known| from < *known) {
                since.insert(reader.clone(), from);
                open.push((reader, from));
            }
        }
    }
    since
}

//! What else must be filled again when something is restated: tables that are made of the same data and that nobody
//! shows here, of other environments and of snapshots that somebody may go back to.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::environment::Environment;
use crate::model::IntervalUnit;
use crate::model::ModelName;
use crate::ops::Planned;
use crate::ops::made_of::Table;
use crate::ops::made_of::Tables;
use crate::ops::reached::Reached;
use crate::ops::reached::below;
use crate::plan::Plan;
use crate::snapshot::Interval;
use crate::snapshot::SnapshotId;
use crate::state::FilledInterval;
use crate::state::RestatementRecord;
use crate::state::StateStore;

/// Writes down what `planned` fills again, and clears it, before any of it is filled. A kill at any moment after that
/// leaves intervals missing, which the next plan or run fills; nothing old is taken for new.
///
/// Returns the other environments of which something was cleared.
///
/// # Errors
/// When the state does not answer; then nothing is cleared.
pub(super) async fn record(
    planned: &Planned,
    state: &StateStore,
    now: DateTime<Utc>,
) -> anyhow::Result<BTreeSet<String>> {
    let plan = &planned.plan;
    let interval = |table: &Table, range: Interval| FilledInterval {
        name: table.0.clone(),
        version: table.1.clone(),
        start_ms: range.start().timestamp_millis(),
        end_ms: range.end().timestamp_millis(),
    };
    let own: Vec<FilledInterval> = plan
        .restated
        .iter()
        .map(|restated| {
            interval(
                &(restated.name.clone(), restated.version.clone()),
                restated.range,
            )
        })
        .collect();
    let environments = state
        .environments()
        .await
        .context("reading the environments")?;
    let stale = stale(plan, &environments, state).await?;
    let others: Vec<FilledInterval> = stale
        .iter()
        .map(|(table, range)| interval(table, *range))
        .collect();
    let depends_on_its_past = |name: &ModelName| {
        let snapshot = plan.draft.snapshots.get(name);
        snapshot.is_some_and(|snapshot| snapshot.model.depends_on_its_past())
    };
    let dependent = plan.restated.iter();
    let dependent = dependent.filter(|restated| depends_on_its_past(&restated.name));
    let known = dependent.map(|restated| {
        let table = (restated.name.clone(), restated.version.clone());
        let filled = planned.current.filled.get(&table).cloned();
        (table, filled.unwrap_or_default())
    });
    let record = RestatementRecord {
        known: known.collect(),
        plan_id: plan.id.clone(),
        environment: plan.promoted.name.clone(),
        restated_by: plan.promoted.promoted_by.clone(),
    };
    state
        .restate(&record, &own, &others, now)
        .await
        .context("recording the restatement")?;
    let shows = |environment: &&Environment| {
        environment.name != plan.promoted.name
            && environment
                .snapshots
                .iter()
                .any(|entry| stale.contains_key(&(entry.id.name.clone(), entry.version.clone())))
    };
    let touched = environments.iter().filter(shows);
    Ok(touched
        .map(|environment| environment.name.to_string())
        .collect())
}

/// Whether any table besides the plan's own holds something of what is restated.
///
/// # Errors
/// When the state does not answer.
pub(super) async fn is_anything_stale(plan: &Plan, state: &StateStore) -> anyhow::Result<bool> {
    let environments = state.environments().await;
    let environments = environments.context("reading the environments")?;
    Ok(!stale(plan, &environments, state).await?.is_empty())
}

/// The tables besides the plan's own that hold something of what is restated, each with the time that is stale.
///
/// In production every version of a restated model is stale, since all are made of the same data; elsewhere only what
/// is made of the very tables that are restated. Production's own tables are stale only where the plan says so.
async fn stale(
    plan: &Plan,
    environments: &[Environment],
    state: &StateStore,
) -> anyhow::Result<BTreeMap<Table, Interval>> {
    let descent = state.descent().await.context("reading the snapshots")?;
    let filled = state
        .filled_tables()
        .await
        .context("reading the intervals")?;
    let in_prod = plan.promoted.name.is_prod();
    let own: BTreeSet<Table> = plan
        .restated
        .iter()
        .map(|restated| (restated.name.clone(), restated.version.clone()))
        .collect();
    let prod: BTreeSet<Table> = environments
        .iter()
        .filter(|environment| environment.name.is_prod())
        .flat_map(|environment| &environment.snapshots)
        .map(|entry| (entry.id.name.clone(), entry.version.clone()))
        .collect();
    let tables = Tables::of(&descent, environments);
    let mut ranges = asked(plan, &tables, &filled);
    for restated in &plan.restated {
        let same_model = tables.of_model(&restated.name);
        for table in same_model {
            if in_prod || table.1 == restated.version {
                widen(&mut ranges, table, restated.range);
            }
        }
    }
    let start = ranges
        .keys()
        .filter_map(|table| tables.snapshots.get(table));
    let start: BTreeSet<SnapshotId> = start.flatten().cloned().collect();
    let reached = Reached::of(plan, &below(&start, &tables.readers), state).await?;
    ranges.retain(|table, _| own.contains(table) || !reached.stays(table));
    let mut open: Vec<Table> = ranges.keys().cloned().collect();
    while let Some(table) = open.pop() {
        let range = ranges[&table];
        for reader in tables.readers(&table) {
            if reached.stays(&reader) {
                continue;
            }
            let wider = match (filled.get(&reader), reached.get(&reader)) {
                (Some(_), Some(reach)) if !reach.is_far() && !reach.day => range,
                (Some(_), Some(reach)) if !reach.is_far() => range.expand(IntervalUnit::Day),
                // What fills a table whole may put any row into it.
                (Some(all), _) => range.join(*all),
                (None, _) => range,
            };
            if widen(&mut ranges, reader.clone(), wider) {
                open.push(reader);
            }
        }
    }
    ranges.retain(|table, _| {
        filled.contains_key(table) && !own.contains(table) && !prod.contains(table)
    });
    Ok(ranges)
}

/// Every version of what was asked for in production, with the time that was asked for: a model may have no table there, or
/// one that is filled for less time than those of other environments.
fn asked(
    plan: &Plan,
    tables: &Tables,
    filled: &BTreeMap<Table, Interval>,
) -> BTreeMap<Table, Interval> {
    let mut ranges = BTreeMap::new();
    let Some(all) = Interval::hull(filled.values().copied()) else {
        return ranges;
    };
    for asked in plan.asked.iter().filter(|_| plan.promoted.name.is_prod()) {
        let from = asked.from.unwrap_or(all.start());
        let until = asked.until.unwrap_or(all.end());
        let Some(range) = Interval::new(from, until) else {
            continue;
        };
        for table in tables.of_model(&asked.name) {
            widen(&mut ranges, table, range);
        }
    }
    ranges
}

/// Whether `table` is stale for longer than was known.
fn widen(ranges: &mut BTreeMap<Table, Interval>, table: Table, range: Interval) -> bool {
    match ranges.get_mut(&table) {
        Some(known) => {
            let wider = known.join(range);
            let changed = wider != *known;
            *known = wider;
            changed
        }
        None => {
            ranges.insert(table, range);
            true
        }
    }
}

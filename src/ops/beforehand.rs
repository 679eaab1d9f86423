//! Signals that are asked before anything is filled: those about time that readers of the model have gone beyond.
//!
//! What a table gets for such time comes late: what was made without it is cleared first, so it must be known first whether
//! it comes. A hole that stays would otherwise clear what lies behind it in every run. The answer "not yet" counts until the filling ends; all else is asked when the model's turn
//! comes.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::model::Model;
use crate::model::ModelName;
use crate::ops::late::readers_below;
use crate::ops::made_of::Table;
use crate::ops::made_of::Tables;
use crate::plan::HeldBack;
use crate::plan::Work;
use crate::scheduler::Scope;
use crate::scheduler::Wait;
use crate::scheduler::ask;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;
use crate::snapshot::Version;
use crate::state::StateStore;

/// What of each model's `work` does not come yet, as far as it would come late; `order` lists parents first.
///
/// # Errors
/// When the state does not answer. A signal that cannot be asked is not ready here, and is asked again when its turn comes.
pub(super) async fn withheld(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    scope: &Scope<'_>,
    order: &[ModelName],
    work: &[Work],
    filled: &BTreeMap<(ModelName, Version), Intervals>,
) -> anyhow::Result<BTreeMap<ModelName, Intervals>> {
    let mut withheld = BTreeMap::new();
    let late = late(state, scope, work, filled).await?;
    if late.is_empty() {
        return Ok(withheld);
    }
    let work: BTreeMap<&ModelName, &Work> = work.iter().map(|work| (&work.name, work)).collect();
    let mut held = HeldBack::default();
    let nothing = Intervals::default();
    for name in order {
        let (Some(work), Some(snapshot)) = (work.get(name), scope.snapshots.get(name)) else {
            continue;
        };
        let model = &snapshot.model;
        let above = held.above(name, scope.snapshots);
        let until = late.get(name);
        if until.is_none() && above.is_empty() {
            continue;
        }
        let own = filled.get(&(name.clone(), work.version.clone()));
        let own = own.unwrap_or(&nothing);
        let (work, model) = match until {
            Some(until) => (before(work, *until), (**model).clone()),
            None => ((*work).clone(), without_signals(model)),
        };
        let found = ask(engine, scope, &model, &work, own, above.clone(), None).await;
        let times: Intervals = match found {
            Ok(found) => {
                let times = ranges(&found.waits).collect();
                held.add(name, found.unready);
                times
            }
            Err(_) => {
                let all: Intervals = work.ranges.iter().copied().collect();
                let mut unready = above;
                unready.insert(name.clone(), all.clone());
                held.add(name, unready);
                all
            }
        };
        if !times.is_empty() {
            withheld.insert(name.clone(), times);
        }
    }
    Ok(withheld)
}

fn ranges(waits: &[Wait]) -> impl Iterator<Item = Interval> {
    waits.iter().flat_map(|wait| wait.ranges.iter().copied())
}

fn without_signals(model: &Model) -> Model {
    Model {
        signals: Vec::new(),
        ..model.clone()
    }
}

/// The part of `work` that begins before `time`.
fn before(work: &Work, time: DateTime<Utc>) -> Work {
    let ranges = work.ranges.iter();
    let ranges = ranges.filter_map(|range| Interval::new(range.start(), range.end().min(time)));
    Work {
        ranges: ranges.collect(),
        ..work.clone()
    }
}

/// The models with signals that would be filled for the first time for time that is filled already of something that reads
/// them in any environment, and until when that is.
async fn late(
    state: &StateStore,
    scope: &Scope<'_>,
    work: &[Work],
    filled: &BTreeMap<(ModelName, Version), Intervals>,
) -> anyhow::Result<BTreeMap<ModelName, DateTime<Utc>>> {
    let asking = work.iter().filter_map(|work| {
        let model = &scope.snapshots.get(&work.name)?.model;
        if !model.asks() {
            return None;
        }
        let table: Table = (work.name.clone(), work.version.clone());
        let due: Intervals = work.ranges.iter().copied().collect();
        let new = match filled.get(&table) {
            Some(filled) => due.difference(filled),
            None => due,
        };
        let first = new.span()?.start();
        Some((table, first))
    });
    let asking: Vec<(Table, DateTime<Utc>)> = asking.collect();
    if asking.is_empty() {
        return Ok(BTreeMap::new());
    }
    let spans = state.filled_tables().await;
    let spans = spans.context("reading the intervals")?;
    let is_beyond = |first: DateTime<Utc>| spans.values().any(|span| span.end() > first);
    if !asking.iter().any(|(_, first)| is_beyond(*first)) {
        return Ok(BTreeMap::new());
    }
    let environments = state.environments().await;
    let environments = environments.context("reading the environments")?;
    let descent = state.descent().await.context("reading the snapshots")?;
    let tables = Tables::of(&descent, &environments);
    let until = asking.into_iter().filter_map(|(table, first)| {
        let readers = readers_below(&table, &tables);
        let ends = readers.iter().filter_map(|reader| spans.get(reader));
        let end = ends.map(|span| span.end()).max()?;
        (end > first).then_some((table.0, end))
    });
    Ok(until.collect())
}

//! What a plan leaves unfilled because it waits for signals, and what that means for whoever reads the environment.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;

use crate::model::ModelName;
use crate::ops::Planned;
use crate::ops::said::listed;
use crate::plan::Plan;
use crate::plan::Work;
use crate::scheduler::Wait;
use crate::snapshot::Intervals;
use crate::snapshot::Version;
use crate::state::StateStore;

type Filled = BTreeMap<(ModelName, Version), Intervals>;

/// `filled` of tables of `plan`, where what waits counts as filled: that it is missing is known.
pub(super) fn with_waiting(plan: &Plan, filled: &Filled, waiting: &[(ModelName, Wait)]) -> Filled {
    let mut all = filled.clone();
    if waiting.is_empty() {
        return all;
    }
    let entries = plan.promoted.snapshots.iter();
    let versions: BTreeMap<&ModelName, &Version> = entries
        .map(|entry| (&entry.id.name, &entry.version))
        .collect();
    for (name, wait) in waiting {
        if let Some(version) = versions.get(name) {
            let filled = all.entry((name.clone(), (*version).clone())).or_default();
            for range in &wait.ranges {
                filled.insert(*range);
            }
        }
    }
    all
}

/// The `work` that may be done although earlier work of the same plan waits: what builds on its past does not go on behind
/// that, nor does what reads it.
pub(super) fn beside_waiting(
    plan: &Plan,
    work: Vec<Work>,
    waiting: &[(ModelName, Wait)],
) -> Vec<Work> {
    if waiting.is_empty() {
        return work;
    }
    let waiting: BTreeSet<&ModelName> = waiting.iter().map(|(name, _)| name).collect();
    let due: BTreeSet<ModelName> = work.iter().map(|work| work.name.clone()).collect();
    let mut stopped: BTreeSet<&ModelName> = BTreeSet::new();
    for name in &plan.draft.order {
        let Some(snapshot) = plan.draft.snapshots.get(name) else {
            continue;
        };
        let model = &snapshot.model;
        let stops = waiting.contains(name) && due.contains(name) && model.is_filled_in_order();
        let mut parents = model.depends_on.iter();
        if stops || parents.any(|parent| stopped.contains(parent)) {
            stopped.insert(name);
        }
    }
    let mut work = work;
    work.retain(|work| !stopped.contains(&work.name));
    work
}

/// One sentence for each thing that readers of the environment must know about what waits: tables that show no rows yet, and
/// tables that show less than those whose place they take.
///
/// # Errors
/// When the state does not answer.
pub(super) async fn consequences(
    planned: &Planned,
    state: &StateStore,
    waiting: &[(ModelName, Wait)],
) -> anyhow::Result<Vec<String>> {
    let waits: BTreeSet<&ModelName> = waiting.iter().map(|(name, _)| name).collect();
    if waits.is_empty() {
        return Ok(Vec::new());
    }
    let shown = planned.plan.promoted.snapshots.iter();
    let shown: Vec<_> = shown
        .filter(|entry| entry.view && waits.contains(&entry.id.name))
        .map(|entry| (entry.id.name.clone(), entry.version.clone()))
        .collect();
    let filled = state.filled(&shown).await;
    let filled = filled.context("reading what is filled")?;
    let before = planned.current.target.iter();
    let before: BTreeMap<&ModelName, &Version> = before
        .flat_map(|target| &target.snapshots)
        .filter(|entry| entry.view)
        .map(|entry| (&entry.id.name, &entry.version))
        .collect();
    let (mut empty, mut less) = (Vec::new(), Vec::new());
    for key in &shown {
        let now = filled.get(key).cloned().unwrap_or_default();
        let replaced = before.get(&key.0).filter(|before| ***before != key.1);
        let replaced = replaced.map(|before| (key.0.clone(), (*before).clone()));
        let then = replaced.and_then(|replaced| planned.current.filled.get(&replaced));
        if then.is_some_and(|then| !then.difference(&now).is_empty()) {
            less.push(&key.0);
        } else if now.is_empty() {
            empty.push(&key.0);
        }
    }
    let environment = &planned.plan.promoted.name;
    let mut told = Vec::new();
    if !empty.is_empty() {
        let names = listed(&empty);
        told.push(format!(
            "tables that `{environment}` shows have no rows yet, because they wait for signals: {names}"
        ));
    }
    if !less.is_empty() {
        let names = listed(&less);
        told.push(format!(
            "tables that `{environment}` shows have less than those before them, because they wait for signals: {names}; \
             --no-gaps refuses such a plan"
        ));
    }
    Ok(told)
}

/// What waits, one sentence each.
pub(super) fn sentences(waiting: &[(ModelName, Wait)]) -> impl Iterator<Item = String> {
    waiting.iter().map(|(name, wait)| {
        let ranges: Vec<String> = wait
            .ranges
            .iter()
            .map(|range| {
                let form = "%Y-%m-%dT%H:%M:%SZ";
                format!(
                    "[{}, {})",
                    range.start().format(form),
                    range.end().format(form)
                )
            })
            .collect();
        format!("`{name}` waits for {} in {}", wait.on, ranges.join(", "))
    })
}

//! What the views of an environment get besides rows.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::environment::Environment;
use crate::plan::Dressing;
use crate::plan::Shown;
use crate::plan::ViewSwitch;
use crate::snapshot::SnapshotId;
use crate::sql::TableName;
use crate::state::StateStore;

/// The dressings of the views that `views` creates, and of those whose model says something else than `before` did,
/// as `environment` is to show them.
///
/// # Errors
/// When the state does not answer.
pub(super) async fn dressings(
    state: &StateStore,
    environment: &Environment,
    before: Option<&Environment>,
    views: &ViewSwitch,
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<(TableName, Dressing)>> {
    let created: BTreeSet<&TableName> = views.create.iter().map(|(view, _)| view).collect();
    let known: BTreeSet<&SnapshotId> = before
        .iter()
        .flat_map(|before| &before.snapshots)
        .map(|entry| &entry.id)
        .collect();
    let ids: Vec<SnapshotId> = environment
        .snapshots
        .iter()
        .filter(|entry| entry.view)
        .filter(|entry| {
            !known.contains(&entry.id) || created.contains(&environment.view(&entry.id.name))
        })
        .map(|entry| entry.id.clone())
        .collect();
    let snapshots = state.snapshots(&ids).await;
    let snapshots = snapshots.context("reading the snapshots of the views")?;
    let entries: BTreeMap<_, _> = environment
        .snapshots
        .iter()
        .map(|entry| (entry.id.name.clone(), entry.clone()))
        .collect();
    let shown = Shown {
        environment,
        entries: &entries,
        now,
    };
    let dressings = snapshots.iter().map(|snapshot| shown.dressing(snapshot));
    Ok(dressings.flatten().collect())
}

//! Rollback: the same switch back, to what an earlier plan had promoted.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::ops::destroy::ensure_whole;
use crate::ops::drops::objects_beside;
use crate::ops::history::before;
use crate::ops::history::rollback_id;
use crate::ops::kept;
use crate::ops::promote::Promotion;
use crate::ops::promote::promote;
use crate::ops::switches::switch_to;
use crate::scheduler::Control;
use crate::scheduler::Keeper;
use crate::scheduler::Reporter;
use crate::scheduler::Switched;
use crate::snapshot::Intervals;
use crate::snapshot::Snapshot;
use crate::snapshot::SnapshotId;
use crate::sql::TableName;
use crate::state::PromotionRecord;
use crate::state::StateStore;

/// What a rollback did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// The plan that was current.
    pub from: String,
    /// The plan whose snapshots are shown again.
    pub to: String,
    /// The id of the new record.
    pub plan_id: String,
    /// The switch.
    pub switched: Switched,
    /// Models that keep their table although it was made by another definition: forward-only changes are not undone.
    pub not_undone: Vec<ModelName>,
    /// Models whose table lacks what only the one has that was shown before.
    pub behind: Vec<Behind>,
}

/// A table that was filled less far than the one that it takes the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Whose.
    pub name: ModelName,
    /// What it lacks.
    pub lacks: Intervals,
    /// Whether filling it later gives other rows, because its source says only how things are now.
    pub is_history: bool,
}

/// What to roll back.
#[derive(Clone, Copy, Debug)]
pub struct RollbackRequest<'a> {
    /// Which environment.
    pub environment: &'a EnvironmentName,
    /// The plan to go back to, or the start of its id; `None` means the one before what is shown.
    pub to: Option<&'a str>,
    /// Who asks.
    pub actor: &'a str,
    /// "Now".
    pub now: DateTime<Utc>,
}

/// Points the environment's views at what an earlier plan had promoted.
///
/// # Errors
/// When there is no earlier promotion, when one of its tables is gone, or when somebody else changes the
/// environment meanwhile. Then nothing has changed.
pub async fn rollback(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    request: &RollbackRequest<'_>,
    control: &Control,
    report: Reporter<'_>,
) -> anyhow::Result<RolledBack> {
    ensure_whole(state).await?;
    let keeper = Keeper::start(state, control);
    let result = rollback_held(engine, state, request, control, report).await;
    keeper.finish(state, control).await;
    result
}

async fn rollback_held(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    request: &RollbackRequest<'_>,
    control: &Control,
    report: Reporter<'_>,
) -> anyhow::Result<RolledBack> {
    let RollbackRequest {
        environment: name,
        to,
        actor,
        now,
    } = *request;
    let current = state
        .environment(name)
        .await
        .context("reading the environment")?;
    let current = current.with_context(|| format!("there is no environment `{name}`"))?;
    let history = state.history(name).await.context("reading the history")?;
    let interrupted = interrupted(&current, &history);
    let wanted = match (to, interrupted) {
        (Some(plan), _) => {
            let mut found = history
                .iter()
                .filter(|promotion| promotion.plan_id.starts_with(plan));
            let first = found
                .next()
                .with_context(|| format!("no promotion of `{name}` has the plan `{plan}`"))?;
            anyhow::ensure!(
                found.all(|other| other.plan_id == first.plan_id),
                "several promotions of `{name}` have a plan that starts with `{plan}`; give more of it"
            );
            first
        }
        // The same command again, after it died before its switch: what it wanted, not a step back from there.
        (None, Some(wanted)) => wanted,
        (None, None) => before(&current, &history).with_context(|| {
            format!(
                "`{name}` showed nothing before what it shows now; `siding environments --history {name}` lists all \
                 that it ever showed, and --to goes to any of it"
            )
        })?,
    };
    anyhow::ensure!(
        wanted.plan_id != current.plan_id,
        "`{name}` is on the plan `{}` already",
        wanted.plan_id
    );
    let record = Environment {
        name: name.clone(),
        plan_id: rollback_id(&current.plan_id, &wanted.plan_id, now),
        previous_plan_id: Some(current.plan_id.clone()),
        snapshots: wanted.snapshots.clone(),
        promoted_by: actor.to_owned(),
        promoted_at: now,
        finalized_at: None,
        expires_at: current.expires_at,
        naming: current.naming.clone(),
    };
    kept::open(state, &record, control).await?;
    kept::await_drops(state, &record.snapshots, control, report).await?;
    tables_exist(engine, &wanted.snapshots).await?;
    let not_undone = not_undone(state, &current, &wanted.snapshots).await?;
    let behind = behind(state, &current, &wanted.snapshots).await?;
    let mut past: BTreeSet<TableName> = state
        .ledger_views(name.as_str())
        .await
        .context("reading the ledger")?
        .into_iter()
        .collect();
    let shown = history.iter().flat_map(|promotion| &promotion.snapshots);
    let shown = shown.filter(|entry| entry.view);
    past.extend(shown.map(|entry| current.view(&entry.id.name)));
    let views = switch_to(Some(&current), &record, &past);
    let promotion = Promotion {
        record: &record,
        expected: Some(&current.plan_id),
        views: &views,
        compared: None,
    };
    let switched = promote(&promotion, engine, state, now, control, report)
        .await
        .context("rolling back")?;
    Ok(RolledBack {
        from: current.plan_id,
        to: wanted.plan_id.clone(),
        plan_id: record.plan_id,
        switched,
        not_undone,
        behind,
    })
}

/// The models that are filled less far in the tables that will be shown than in those that are.
async fn behind(
    state: &StateStore,
    current: &Environment,
    wanted: &[PromotedSnapshot],
) -> anyhow::Result<Vec<Behind>> {
    let shown: BTreeMap<&ModelName, &PromotedSnapshot> = current
        .snapshots
        .iter()
        .map(|entry| (&entry.id.name, entry))
        .collect();
    let moved = wanted.iter().filter_map(|after| {
        let before = *shown.get(&after.id.name)?;
        (before.version != after.version).then_some((before, after))
    });
    let moved: Vec<(&PromotedSnapshot, &PromotedSnapshot)> = moved.collect();
    let key = |entry: &PromotedSnapshot| (entry.id.name.clone(), entry.version.clone());
    let keys: Vec<_> = moved
        .iter()
        .flat_map(|(before, after)| [key(before), key(after)])
        .collect();
    let filled = state
        .filled(&keys)
        .await
        .context("reading what is filled")?;
    let ids: Vec<SnapshotId> = moved.iter().map(|(_, after)| after.id.clone()).collect();
    let snapshots = state
        .snapshots(&ids)
        .await
        .context("reading the snapshots")?;
    let snapshots: BTreeMap<&SnapshotId, &Snapshot> = snapshots
        .iter()
        .map(|snapshot| (&snapshot.id, snapshot))
        .collect();
    let mut behind = Vec::new();
    for (before, after) in moved {
        let Some(snapshot) = snapshots.get(&after.id) else {
            continue;
        };
        let lacks = filled[&key(before)].difference(&filled[&key(after)]);
        if snapshot.model.kind.is_materialized() && !lacks.is_empty() {
            behind.push(Behind {
                name: after.id.name.clone(),
                lacks,
                is_history: snapshot.model.kind.has_history_of_its_own(),
            });
        }
    }
    Ok(behind)
}

/// What `current` goes back to, if it is a rollback of which only the record was written.
fn interrupted<'h>(
    current: &Environment,
    history: &'h [PromotionRecord],
) -> Option<&'h PromotionRecord> {
    let from = current.previous_plan_id.as_ref()?;
    let is_wanted = |promotion: &&PromotionRecord| {
        rollback_id(from, &promotion.plan_id, current.promoted_at) == current.plan_id
    };
    let is_done = current.finalized_at.is_some();
    history.iter().filter(|_| !is_done).find(is_wanted)
}

/// The models that show the same table before and after, by definitions that give other rows.
async fn not_undone(
    state: &StateStore,
    current: &Environment,
    wanted: &[PromotedSnapshot],
) -> anyhow::Result<Vec<ModelName>> {
    let before: BTreeMap<&ModelName, &PromotedSnapshot> = current
        .snapshots
        .iter()
        .map(|entry| (&entry.id.name, entry))
        .collect();
    let pairs: Vec<(&SnapshotId, &SnapshotId)> = wanted
        .iter()
        .filter_map(|after| {
            let before = before.get(&after.id.name)?;
            (before.version == after.version && before.id != after.id)
                .then_some((&before.id, &after.id))
        })
        .collect();
    let ids: Vec<SnapshotId> = pairs
        .iter()
        .flat_map(|(one, other)| [(*one).clone(), (*other).clone()])
        .collect();
    let snapshots = state
        .snapshots(&ids)
        .await
        .context("reading the snapshots")?;
    let rows: BTreeMap<&SnapshotId, &str> = snapshots
        .iter()
        .map(|snapshot| (&snapshot.id, snapshot.fingerprint.data.as_str()))
        .collect();
    let differs = pairs
        .into_iter()
        .filter(|(one, other)| rows.get(one) != rows.get(other));
    Ok(differs.map(|(_, after)| after.name.clone()).collect())
}

async fn tables_exist(
    engine: &dyn EngineAdapter,
    snapshots: &[PromotedSnapshot],
) -> anyhow::Result<()> {
    let wanted: BTreeSet<&TableName> = snapshots
        .iter()
        .filter(|entry| entry.view)
        .filter_map(|entry| entry.table.as_ref())
        .collect();
    let found = objects_beside(engine, wanted.iter().copied()).await?;
    let found: BTreeSet<&TableName> = found.iter().map(|object| &object.table).collect();
    let gone: Vec<String> = wanted
        .iter()
        .filter(|table| !found.contains(&engine.listed(table)))
        .map(|table| format!("`{}`", table.plain()))
        .collect();
    anyhow::ensure!(
        gone.is_empty(),
        "cannot roll back: the janitor has removed {}; plan the earlier commit instead",
        gone.join(", ")
    );
    Ok(())
}

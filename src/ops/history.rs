//! What an environment showed, promotion by promotion, and what stands before what it shows now.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::plan::ModelChange;
use crate::state::PromotionRecord;
use crate::state::StateStore;

/// Whether the views were switched to what a promotion says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// They were.
    Switched,
    /// Not yet, as far as is known: it is the environment's latest.
    Unfinished,
    /// Another one came first.
    Never,
}

/// One promotion, as people look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastPromotion {
    /// As recorded.
    pub record: PromotionRecord,
    /// The plan whose snapshots a rollback showed again; `None` for what is no rollback.
    pub rollback_to: Option<String>,
    /// Whether readers saw it.
    pub effect: Effect,
    /// What differs from what readers saw before, sorted by name.
    pub changes: Vec<(ModelName, ModelChange)>,
}

/// The promotions of an environment, latest first.
///
/// # Errors
/// When the state does not answer.
pub async fn history(
    state: &StateStore,
    name: &EnvironmentName,
) -> anyhow::Result<Vec<PastPromotion>> {
    let history = state.history(name).await.context("reading the history")?;
    let standing = state.standing(name).await;
    let standing = standing.context("reading the environment")?;
    let told = history.iter().enumerate().map(|(index, record)| {
        let older = &history[index + 1..];
        let seen = older.iter().find(|older| older.finalized_at.is_some());
        let seen = seen.map_or(&[][..], |seen| &seen.snapshots);
        let is_open = matches!(&standing, Some((plan, _)) if *plan == record.plan_id);
        PastPromotion {
            record: record.clone(),
            rollback_to: rolled_back_to(record, older).map(|at| older[at].plan_id.clone()),
            effect: match record.finalized_at {
                Some(_) => Effect::Switched,
                None if is_open => Effect::Unfinished,
                None => Effect::Never,
            },
            changes: changes(seen, &record.snapshots),
        }
    });
    Ok(told.collect())
}

/// The promotion before the one that `current` shows: a rollback shows what it went back to. Promotions that readers
/// never saw do not count, nor do those that showed the same.
pub(super) fn before<'h>(
    current: &Environment,
    history: &'h [PromotionRecord],
) -> Option<&'h PromotionRecord> {
    let latest = history
        .iter()
        .position(|record| record.plan_id == current.plan_id);
    let mut at = latest.unwrap_or(0);
    while let Some(record) = history.get(at) {
        match rolled_back_to(record, &history[at + 1..]) {
            Some(further) => at += 1 + further,
            None => break,
        }
    }
    let older = history.get(at + 1..).unwrap_or_default();
    let is_other = |record: &&PromotionRecord| {
        record.finalized_at.is_some() && record.snapshots != current.snapshots
    };
    older.iter().find(is_other)
}

/// Which of the `older` promotions `record` went back to, if it is a rollback.
fn rolled_back_to(record: &PromotionRecord, older: &[PromotionRecord]) -> Option<usize> {
    let from = record.previous_plan_id.as_deref()?;
    older.iter().position(|wanted| {
        wanted.snapshots == record.snapshots
            && rollback_id(from, &wanted.plan_id, record.promoted_at) == record.plan_id
    })
}

/// The plan id of a rollback at `now`.
pub(super) fn rollback_id(from: &str, to: &str, now: DateTime<Utc>) -> String {
    let hash = blake3::hash(format!("rollback {from} {to} {}", now.timestamp_millis()).as_bytes());
    hex::encode(&hash.as_bytes()[..16])
}

fn changes(
    before: &[PromotedSnapshot],
    after: &[PromotedSnapshot],
) -> Vec<(ModelName, ModelChange)> {
    let by_name = |side: &[PromotedSnapshot]| -> BTreeMap<ModelName, PromotedSnapshot> {
        let side = side.iter();
        side.map(|entry| (entry.id.name.clone(), entry.clone()))
            .collect()
    };
    let (before, after) = (by_name(before), by_name(after));
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let gone = gone.map(|name| (name.clone(), ModelChange::Removed));
    let rest = after.iter().filter_map(|(name, entry)| {
        let change = match before.get(name) {
            None => ModelChange::Added,
            Some(before) if before.id != entry.id => ModelChange::Direct,
            Some(before) if before != entry => ModelChange::Indirect,
            Some(_) => return None,
        };
        Some((name.clone(), change))
    });
    let mut changes: Vec<(ModelName, ModelChange)> = gone.chain(rest).collect();
    changes.sort_by(|(one, _), (other, _)| one.cmp(other));
    changes
}

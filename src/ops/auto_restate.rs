//! Tables that production fills again by itself, as `auto_restatement_cron` of their models says.
//!
//! They are cleared as by a restatement that somebody asks for, with all that reads them; the run that finds them due fills
//! what is missing then. A kill in between leaves holes that say so.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::environment::Environment;
use crate::model::Cron;
use crate::model::Model;
use crate::model::ModelName;
use crate::model::Moment;
use crate::ops::PlanExtra;
use crate::ops::PlanRequest;
use crate::ops::plan::plan;
use crate::ops::plan::snapshots_of;
use crate::ops::promote::hold_environment;
use crate::ops::restate;
use crate::plan::Choices;
use crate::plan::interval_unit;
use crate::scheduler::Control;
use crate::scheduler::Reporter;
use crate::snapshot::Snapshot;
use crate::snapshot::Version;
use crate::state::StateStore;

/// From when to when a model is filled again; `None` means its whole history.
type Range = Option<(DateTime<Utc>, DateTime<Utc>)>;

/// Clears what is due to be filled again in `environment`, which is production. Returns the models, sorted.
///
/// # Errors
/// When the state does not answer.
pub(super) async fn clear_due(
    state: &StateStore,
    environment: &Environment,
    now: DateTime<Utc>,
    control: &Control,
    report: Reporter<'_>,
) -> anyhow::Result<BTreeSet<ModelName>> {
    let snapshots = snapshots_of(state, Some(environment)).await?;
    let is_asked = |snapshot: &Snapshot| is_asked(&snapshot.model);
    if !snapshots.values().any(is_asked) {
        return Ok(BTreeSet::new());
    }
    // Two runs would both clear what one of them has filled already.
    let lease = hold_environment(state, &environment.name, control, report).await?;
    let due = due(state, environment, &snapshots, now).await?;
    let mut by_range: BTreeMap<Range, Vec<(ModelName, Version)>> = BTreeMap::new();
    for (table, range) in due {
        by_range.entry(range).or_default().push(table);
    }
    let mut restated = BTreeSet::new();
    for (range, tables) in by_range {
        let request = request(environment, range, &tables, now);
        let planned = plan(
            &BTreeMap::new(),
            &BTreeMap::new(),
            state,
            &request,
            Vec::new(),
        )
        .await?;
        if !planned.plan.asked.is_empty() {
            restate::record(&planned, state, now).await?;
        }
        // A kill before this clears it again: nothing is lost but work.
        state
            .record_auto_restated(&tables, now)
            .await
            .context("recording what is filled again")?;
        let asked = planned
            .plan
            .restated
            .into_iter()
            .filter(|table| table.asked);
        restated.extend(asked.map(|table| table.name));
    }
    state.release(&lease).await?;
    Ok(restated)
}

fn is_asked(model: &Model) -> bool {
    model.policy.auto_restatement_cron.is_some() && !model.is_never_restated()
}

/// The tables whose cron has fired since they were filled again last, or since their snapshots came to be.
async fn due(
    state: &StateStore,
    environment: &Environment,
    snapshots: &BTreeMap<ModelName, Snapshot>,
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<((ModelName, Version), Range)>> {
    let last = state.auto_restated().await.context("reading the state")?;
    let mut due = Vec::new();
    for entry in &environment.snapshots {
        let Some(snapshot) = snapshots.get(&entry.id.name) else {
            continue;
        };
        let model = &snapshot.model;
        let cron = model.policy.auto_restatement_cron.as_deref();
        // Loading has read it.
        let Some(cron) = cron.and_then(|text| Cron::parse(text).ok()) else {
            continue;
        };
        let table = (entry.id.name.clone(), entry.version.clone());
        let since = last.get(&table).copied().unwrap_or(snapshot.created_at);
        if !is_asked(model) || cron.next(since) > now {
            continue;
        }
        let range = model.policy.auto_restatement_intervals.map(|count| {
            let unit = interval_unit(model);
            let end = unit.floor(now);
            (unit.back(end, count.get()), end)
        });
        due.push((table, range));
    }
    Ok(due)
}

fn request(
    environment: &Environment,
    range: Range,
    tables: &[(ModelName, Version)],
    now: DateTime<Utc>,
) -> PlanRequest {
    PlanRequest {
        environment: environment.name.clone(),
        start: range.map(|(start, _)| Moment::instant(start)),
        end: range.map(|(_, end)| Moment::instant(end)),
        execution_time: now,
        include_unmodified: false,
        against_prod: false,
        expires_at: environment.expires_at,
        naming: environment.naming.clone(),
        actor: "auto_restatement_cron".to_owned(),
        choices: Choices::default(),
        extra: PlanExtra {
            restate: tables.iter().map(|(name, _)| name.to_string()).collect(),
            ..PlanExtra::default()
        },
    }
}

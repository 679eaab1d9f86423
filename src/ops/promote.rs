//! The record of an environment and its views, changed by one process at a time.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::engine::EngineAdapter;
use crate::engine::EngineError;
use crate::environment::Environment;
use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::ops::dress::describe_tables;
use crate::ops::dress::dressings;
use crate::ops::in_the_way::check_free;
use crate::ops::ledger::Why;
use crate::ops::ledger::write_down;
use crate::ops::own_tables;
use crate::plan::ViewSwitch;
use crate::scheduler;
use crate::scheduler::Control;
use crate::scheduler::Reporter;
use crate::scheduler::Switched;
use crate::scheduler::hold;
use crate::sql::TableName;
use crate::state::Lease;
use crate::state::LedgerEntry;
use crate::state::LedgerKind;
use crate::state::Marks;
use crate::state::PromoteError;
use crate::state::StateStore;
use crate::state::Subject;

/// What to record and to switch.
pub(super) struct Promotion<'a> {
    /// The new record.
    pub(super) record: &'a Environment,
    /// The plan that the environment must still have.
    pub(super) expected: Option<&'a str>,
    /// The views that follow from it.
    pub(super) views: &'a ViewSwitch,
    /// What its tables were compared with: nothing may have happened to any of them since.
    pub(super) compared: Option<&'a Marks>,
}

/// Why an environment was not promoted.
#[derive(Debug, thiserror::Error)]
pub(super) enum PromotionError {
    /// The state has refused the record; nothing has changed.
    #[error(transparent)]
    Refused(PromoteError),
    /// The state or the engine did not answer, or the work was stopped before the record.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// Records the environment, switches its views and marks the record done, holding the environment all the while.
///
/// Once the record is written it goes through, whoever wants to stop: the switch is short, and without it readers
/// would see what the record no longer says.
pub(super) async fn promote(
    promotion: &Promotion<'_>,
    engine: &dyn EngineAdapter,
    state: &StateStore,
    now: DateTime<Utc>,
    control: &Control,
    report: Reporter<'_>,
) -> Result<Switched, PromotionError> {
    let lease = hold_environment(state, &promotion.record.name, control, report).await?;
    promote_held(promotion, lease, engine, state, now, (control, report)).await
}

/// The same for a process that holds the environment: `lease` is on it, and is given back.
pub(super) async fn promote_held(
    promotion: &Promotion<'_>,
    lease: Lease,
    engine: &dyn EngineAdapter,
    state: &StateStore,
    now: DateTime<Utc>,
    who: (&Control, Reporter<'_>),
) -> Result<Switched, PromotionError> {
    let (record, (control, _)) = (promotion.record, who);
    if control.stop.is_asked() {
        return Err(PromotionError::Other(scheduler::Stopped.into()));
    }
    check_free(engine, state, record, &promotion.views.create).await?;
    let before = state.environment(&record.name).await;
    let before = before.context("reading the environment")?;
    let mut views = promotion.views.clone();
    views.dressed = dressings(state, record, before.as_ref(), &views, now).await?;
    let switch = own_tables::prepare(engine, state, record, views, now, who).await?;
    write_down_views(engine, state, record, switch.made(), now).await?;
    let under = (Some(&lease), promotion.compared);
    let recorded = state.promote_under(under, record, promotion.expected);
    recorded.await.map_err(PromotionError::Refused)?;
    let switched = carry_out(engine, state, record, &switch, (&lease, now), who).await;
    let switched = switched.with_context(|| not_switched(&record.name))?;
    finish(state, record, &lease, now).await?;
    Ok(switched)
}

/// What is so when a switch fails whose record is written.
fn not_switched(name: &EnvironmentName) -> String {
    format!(
        "`{name}` is recorded as planned, but its views show what they showed before: mend this and run \
         `siding plan {name}`, or go back with `siding rollback {name}`"
    )
}

/// Switches and records what is gone and what is new.
async fn carry_out(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    record: &Environment,
    switch: &own_tables::Switch,
    (lease, now): (&Lease, DateTime<Utc>),
    (control, report): (&Control, Reporter<'_>),
) -> anyhow::Result<Switched> {
    let switched = moved(engine, state, record, switch, (lease, control), report).await?;
    write_down_views(engine, state, record, switch.made_instead(), now).await?;
    let gone = state.mark_gone(&switch.gone(), now).await;
    gone.context("recording that views are gone")?;
    describe_tables(engine, state, record, &switch.views.dressed, control).await?;
    switch.end(engine, state, now).await?;
    Ok(switched)
}

/// Switches; where tables change places, again after an error that may pass: whoever reads them may be in the way.
async fn moved(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    record: &Environment,
    switch: &own_tables::Switch,
    (lease, control): (&Lease, &Control),
    report: Reporter<'_>,
) -> anyhow::Result<Switched> {
    let mut tried = 0;
    loop {
        let ours = async || still_ours(state, lease, &record.name).await;
        let (views, moves) = (&switch.views, &switch.moves);
        let error = match scheduler::switch_if(engine, views, moves, ours, report).await {
            Ok(switched) => return Ok(switched),
            Err(error) => error,
        };
        tried += 1;
        let may_pass = |cause: &(dyn std::error::Error + 'static)| {
            let cause = cause.downcast_ref::<EngineError>();
            cause.is_some_and(EngineError::is_retryable)
        };
        let again = !moves.coming.is_empty() && error.chain().any(may_pass);
        let Some(delay) = control.retries.delay_after(tried).filter(|_| again) else {
            return Err(error);
        };
        tokio::time::sleep(delay).await;
    }
}

/// Writes down the views that a switch makes, and the schemas that it makes for them.
async fn write_down_views(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    record: &Environment,
    made: impl Iterator<Item = &TableName>,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let models: BTreeMap<TableName, &ModelName> = record
        .snapshots
        .iter()
        .filter(|entry| entry.view)
        .map(|entry| (record.view(&entry.id.name), &entry.id.name))
        .collect();
    let why = Why {
        environment: &record.name,
        reason: format!("plan {}", record.plan_id),
    };
    let views = made.map(|view| LedgerEntry {
        table: view.clone(),
        kind: LedgerKind::EnvironmentView,
        model: models.get(view).map(|name| (*name).clone()),
        environment: record.name.to_string(),
        reason: why.reason.clone(),
    });
    write_down(engine, state, views.collect(), &why, now).await
}

/// Takes an environment's record and views for this process; waits for whoever has them.
pub(super) async fn hold_environment(
    state: &StateStore,
    name: &EnvironmentName,
    control: &Control,
    report: Reporter<'_>,
) -> anyhow::Result<Lease> {
    let what = format!("the environment `{name}`");
    hold(state, control, &Subject::environment(name), &what, report).await
}

/// Points every view of `environment` at what its record says, and marks the record done.
///
/// For a switch of which only the record was written when the process died; `lease` is on the environment.
pub(super) async fn finish_switch(
    engine: &dyn EngineAdapter,
    state: &StateStore,
    environment: &Environment,
    lease: &Lease,
    now: DateTime<Utc>,
    (control, report): (&Control, Reporter<'_>),
) -> anyhow::Result<()> {
    let mut create = BTreeMap::new();
    for entry in environment.snapshots.iter().filter(|entry| entry.view) {
        let table = entry
            .table
            .clone()
            .context("a view in the record has no table")?;
        create.insert(environment.view(&entry.id.name), table);
    }
    let mut drop: BTreeSet<TableName> = state
        .ledger_views(environment.name.as_str())
        .await
        .context("reading the ledger")?
        .into_iter()
        .collect();
    for promotion in state
        .history(&environment.name)
        .await
        .context("reading the history")?
    {
        let shown = promotion.snapshots.iter().filter(|entry| entry.view);
        drop.extend(shown.map(|entry| environment.view(&entry.id.name)));
    }
    drop.retain(|view| !create.contains_key(view));
    let mut views = ViewSwitch {
        create: create.into_iter().collect(),
        drop: drop.into_iter().collect(),
        unchanged: 0,
        dressed: Vec::new(),
    };
    views.dressed = dressings(state, environment, None, &views, now).await?;
    let who = (control, report);
    let switch = own_tables::prepare(engine, state, environment, views, now, who).await?;
    let switched = carry_out(engine, state, environment, &switch, (lease, now), who).await;
    switched.with_context(|| not_switched(&environment.name))?;
    finish(state, environment, lease, now).await
}

/// Marks the record done and gives the environment back.
///
/// Where somebody took it over meanwhile, the views may be ours although the record is theirs: it is marked as not
/// done, so that the next command points the views at what it says.
async fn finish(
    state: &StateStore,
    record: &Environment,
    lease: &Lease,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let finished = async {
        state.check_lease(lease).await?;
        state.finalize(&record.name, &record.plan_id, now).await
    };
    if let Err(error) = finished.await {
        if let Some((plan_id, _)) = state.standing(&record.name).await? {
            state.reopen(&record.name, &plan_id).await?;
        }
        return Err(error).with_context(|| {
            format!(
                "recording that the views of `{}` are switched; the next plan or run of it switches them again",
                record.name
            )
        });
    }
    state
        .release(lease)
        .await
        .context("giving the environment back")
}

/// Fails when somebody has taken the environment over; no view has changed then.
async fn still_ours(
    state: &StateStore,
    lease: &Lease,
    name: &EnvironmentName,
) -> anyhow::Result<()> {
    let ours = state.still_holds(lease).await;
    anyhow::ensure!(
        ours.context("looking whether the environment is still ours")?,
        "another process took `{name}` over, because this one had not been heard of for too long; no view has changed"
    );
    Ok(())
}

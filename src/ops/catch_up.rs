//! The switch, and just before it: what was filled meanwhile of the tables that are shown is filled in the new ones too.

use anyhow::Context;

use crate::ops::Applied;
use crate::ops::ApplyError;
use crate::ops::Planned;
use crate::ops::apply::check_current;
use crate::ops::apply::conflict;
use crate::ops::apply::finished;
use crate::ops::apply::stopped;
use crate::ops::promote::Promotion;
use crate::ops::promote::PromotionError;
use crate::ops::promote::hold_environment;
use crate::ops::promote::promote_held;
use crate::ops::waiting::beside_waiting;
use crate::ops::waiting::with_waiting;
use crate::plan::behind;
use crate::plan::check_gaps;
use crate::plan::compared_tables;
use crate::scheduler;
use crate::scheduler::Filling;
use crate::scheduler::Progress;
use crate::scheduler::Scope;
use crate::scheduler::Switched;
use crate::scheduler::turns;
use crate::state::Lease;
use crate::state::Marks;
use crate::state::PromoteError;

/// How often the new tables are brought up to what is shown; each time takes less than the one before.
const ROUNDS: usize = 10;

/// Promotes once no new table lacks anything that the one before it has got since the plan was made; `filling` is how the
/// plan itself was filled.
///
/// # Errors
/// [`ApplyError::Behind`] where something is to be filled and this may not, or where others fill faster; as
/// [`promote_held`].
pub(super) async fn catch_up_and_promote(
    planned: &Planned,
    filling: &Filling<'_>,
    may_fill: bool,
    applied: &mut Applied,
) -> Result<Switched, ApplyError> {
    let (plan, state) = (&planned.plan, filling.state);
    let mut rounds = 0;
    loop {
        let (lease, marks) = catch_up(planned, filling, (may_fill, &mut rounds), applied).await?;
        let promotion = Promotion {
            record: &plan.promoted,
            expected: plan.promoted.previous_plan_id.as_deref(),
            views: &plan.views,
            compared: Some(&marks),
        };
        let (engine, now) = (filling.engine, filling.now);
        let who = (filling.control, filling.report);
        match promote_held(&promotion, lease, engine, state, now, who).await {
            Err(PromotionError::Refused(PromoteError::NoLongerCompared { .. })) => {}
            Err(PromotionError::Refused(error)) => return Err(conflict(plan, error)),
            Err(PromotionError::Other(error)) => return Err(stopped(error)),
            Ok(switched) => return Ok(switched),
        }
    }
}

/// Holds the environment once no new table lacks anything. Comes back as well: what was compared.
async fn catch_up(
    planned: &Planned,
    filling: &Filling<'_>,
    (may_fill, rounds): (bool, &mut usize),
    applied: &mut Applied,
) -> Result<(Lease, Marks), ApplyError> {
    let (plan, state) = (&planned.plan, filling.state);
    let tables = compared_tables(plan, &planned.current);
    loop {
        let name = filling.environment;
        let lease = hold_environment(state, name, filling.control, filling.report).await;
        let lease = lease.map_err(stopped)?;
        let marks = state.marks(tables.clone()).await;
        let marks = marks.context("reading what is filled")?;
        let filled = state.filled(&tables).await;
        let filled = filled.context("reading what is filled")?;
        let counted = with_waiting(plan, &filled, &applied.waiting);
        let mut behind = behind(plan, &planned.current, &counted);
        behind.work = beside_waiting(plan, behind.work, &applied.waiting);
        if behind.work.is_empty() {
            check_gaps(plan, &planned.current, &filled)
                .map_err(|error| ApplyError::Other(anyhow::anyhow!("{error}")))?;
            return Ok((lease, marks));
        }
        // Filling takes its time, and nobody else has to wait for that.
        let released = state.release(&lease).await;
        released.context("giving the environment back")?;
        check_current(plan, state).await?;
        let models: Vec<_> = behind.work.iter().map(|work| work.name.clone()).collect();
        if !may_fill || *rounds == ROUNDS {
            return Err(ApplyError::Behind {
                environment: name.to_string(),
                models,
            });
        }
        *rounds += 1;
        (filling.report)(Progress::CatchingUp {
            environment: name.clone(),
            models,
        });
        let scope = Scope {
            execution_time: behind.execution_time,
            ..*filling.scope
        };
        let again = Filling {
            scope: &scope,
            filled: &filled,
            turns: turns(filling.engine),
            ..*filling
        };
        let outcome = scheduler::fill(&again, &behind.work).await;
        let outcome = finished(plan, state, outcome).await?;
        applied.add_waiting(&outcome);
        for name in outcome.filled {
            if !applied.executed.contains(&name) {
                applied.executed.push(name);
            }
        }
        applied.warnings.extend(outcome.warnings);
    }
}

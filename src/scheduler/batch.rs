//! One batch of one model, from its transaction to its record.

use std::time::Duration;
use std::time::Instant;

use anyhow::Context;

use crate::engine::EngineError;
use crate::plan::Work;
use crate::scheduler::BoundTo;
use crate::scheduler::Control;
use crate::scheduler::Filling;
use crate::scheduler::Progress;
use crate::scheduler::Stopped;
use crate::scheduler::materialize;
use crate::scheduler::materialize::Batch;
use crate::scheduler::materialize::Written;
use crate::state::BatchRecord;

/// A batch that is in the table.
pub(super) struct Done {
    pub(super) record: BatchRecord,
    pub(super) audits_passed: usize,
    pub(super) warnings: Vec<String>,
}

/// Another plan has changed the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment was changed meanwhile")]
pub(super) struct EnvironmentChanged;

/// Writes, audits and publishes one batch of so many `units` in one transaction. What comes back is to be recorded.
///
/// # Errors
/// [`Stopped`] and [`EnvironmentChanged`] before anything was written, or [`Stopped`] after the batch was taken back;
/// whatever the batch fails with.
pub(super) async fn run(
    filling: &Filling<'_>,
    work: &Work,
    batch: Batch<'_>,
    units: u64,
) -> anyhow::Result<Done> {
    let control = filling.control;
    let _turn = filling.turns.next(filling.engine, batch.model).await?;
    if control.stop.is_asked() {
        return Err(Stopped.into());
    }
    still_same_environment(filling).await?;
    (filling.report)(Progress::Batch {
        name: work.name.clone(),
        range: batch.range,
    });
    let stopped = async {
        control.stop.asked().await;
        tokio::time::sleep(control.grace).await;
    };
    // Dropping the writing ends its transaction without a commit.
    let written = tokio::select! {
        written = with_retries(filling, &batch) => written?,
        () = stopped => return Err(Stopped.into()),
        () = filling.keeper.lost() => anyhow::bail!(
            "the state could not be reached for so long that another process may have taken over; the batch is taken back"
        ),
    };
    for message in &written.audited.warnings {
        (filling.report)(Progress::AuditWarning {
            name: work.name.clone(),
            message: message.clone(),
        });
    }
    let record = BatchRecord {
        name: work.name.clone(),
        version: work.version.clone(),
        range: batch.range,
        environment: filling.environment.clone(),
        units,
        rows: written.rows,
        bytes: None,
        took: written.took,
        finished_at: control.now(),
    };
    Ok(Done {
        record,
        audits_passed: written.audited.passed,
        warnings: written.audited.warnings,
    })
}

/// Writes the batch; an error that may pass is tried again.
async fn with_retries(filling: &Filling<'_>, batch: &Batch<'_>) -> anyhow::Result<Written> {
    let retrying = |message: String, delay| {
        (filling.report)(Progress::Retrying {
            name: batch.model.name.clone(),
            message,
            delay,
        });
    };
    let write = async || materialize::write(batch).await;
    retry(filling.control, write, retrying).await
}

/// Does `work`, again after an error that may pass, as often as the configuration says.
pub(super) async fn retry<T>(
    control: &Control,
    work: impl AsyncFn() -> anyhow::Result<T>,
    retrying: impl Fn(String, Duration),
) -> anyhow::Result<T> {
    let mut tried = 0;
    loop {
        let error = match work().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        tried += 1;
        let delay = control.retries.delay_after(tried);
        let again = may_pass(&error) && !control.stop.is_asked();
        let Some(delay) = delay.filter(|_| again) else {
            return Err(error);
        };
        retrying(format!("{error:#}"), delay);
        tokio::time::sleep(delay).await;
    }
}

/// Whether the same transaction, tried again, may succeed.
fn may_pass(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<EngineError>()
            .is_some_and(EngineError::is_retryable)
    })
}

/// Looks whether the environment still is as it was when the work was found.
async fn still_same_environment(filling: &Filling<'_>) -> anyhow::Result<()> {
    if filling.turns.environment.still() {
        return Ok(());
    }
    let asked = Instant::now();
    let standing = filling
        .state
        .standing(filling.environment)
        .await
        .context("reading the environment")?;
    let BoundTo { plan_id, finished } = filling.bound_to;
    let (found, is_finished) = standing.unzip();
    if found.as_deref() == plan_id && (!finished || is_finished == Some(true)) {
        filling.turns.environment.since(asked);
        return Ok(());
    }
    Err(EnvironmentChanged.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering;

    use chrono::DateTime;

    use super::*;
    use crate::scheduler::Retries;
    use crate::state::Holder;

    fn control(most: u32) -> Control {
        let holder = Holder {
            id: "h".to_owned(),
            label: "ada's run".to_owned(),
        };
        let mut control = Control::new(holder, Arc::new(|| DateTime::UNIX_EPOCH));
        control.retries = Retries {
            most,
            delay: Duration::ZERO,
        };
        control
    }

    fn conflict() -> EngineError {
        EngineError::Conflict {
            sql: "INSERT".to_owned(),
            message: "somebody else".to_owned(),
        }
    }

    /// How often it was tried, with at most three tries more, when the first `failures` tries fail with `error`.
    async fn tries(failures: u32, error: &EngineError) -> (u32, bool) {
        let tried = AtomicU32::new(0);
        let work = async || {
            if tried.fetch_add(1, Ordering::Relaxed) < failures {
                return Err(anyhow::Error::from(error.clone()).context("filling"));
            }
            Ok(())
        };
        let done = retry(&control(3), work, |_, _| {}).await;
        (tried.load(Ordering::Relaxed), done.is_ok())
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_nothing_else() {
        assert_eq!(tries(2, &conflict()).await, (3, true));
        assert_eq!(tries(9, &conflict()).await, (4, false));
        let wrong = EngineError::Answer("nonsense".to_owned());
        assert_eq!(tries(9, &wrong).await, (1, false));
    }
}

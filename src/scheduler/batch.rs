//! One batch of one model, from its transaction to its record.

use std::time::Duration;
use std::time::Instant;

use anyhow::Context;

use crate::engine::EngineError;
use crate::plan::Work;
use crate::plan::units_in;
use crate::scheduler::BoundTo;
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

/// Writes, audits and publishes one batch in one transaction. What comes back is to be recorded.
///
/// # Errors
/// [`Stopped`] and [`EnvironmentChanged`] before anything was written, or [`Stopped`] after the batch was taken back;
/// whatever the batch fails with.
pub(super) async fn run(
    filling: &Filling<'_>,
    work: &Work,
    batch: Batch<'_>,
) -> anyhow::Result<Done> {
    let control = filling.control;
    let _turn = filling
        .turns
        .acquire()
        .await
        .context("waiting for a connection")?;
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
    let (written, took) = tokio::select! {
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
        units: units_in(batch.model, batch.range),
        rows: written.rows,
        bytes: None,
        took,
    };
    Ok(Done {
        record,
        audits_passed: written.audited.passed,
        warnings: written.audited.warnings,
    })
}

/// Writes the batch; an error that may pass is tried again. The time is that of the try that went well.
async fn with_retries(
    filling: &Filling<'_>,
    batch: &Batch<'_>,
) -> anyhow::Result<(Written, Duration)> {
    let mut tried = 0;
    loop {
        let started = Instant::now();
        let error = match materialize::write(batch).await {
            Ok(written) => return Ok((written, started.elapsed())),
            Err(error) => error,
        };
        tried += 1;
        let delay = filling.control.retries.delay_after(tried);
        let Some(delay) = delay.filter(|_| may_pass(&error) && !filling.control.stop.is_asked())
        else {
            return Err(error);
        };
        (filling.report)(Progress::Retrying {
            name: batch.model.name.clone(),
            message: format!("{error:#}"),
            delay,
        });
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
    let standing = filling
        .state
        .standing(filling.environment)
        .await
        .context("reading the environment")?;
    let BoundTo { plan_id, finished } = filling.bound_to;
    let (found, is_finished) = standing.unzip();
    if found.as_deref() == plan_id && (!finished || is_finished == Some(true)) {
        return Ok(());
    }
    Err(EnvironmentChanged.into())
}

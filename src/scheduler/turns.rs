//! Whose turn it is to work in the warehouse, and whether what the work is for still stands.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;

use crate::engine::EngineAdapter;

/// How long it is believed that the environment still is as it was. Somebody may change it at any moment after a look, so
/// looking before every small batch finds out no more; whoever promotes looks again in the transaction that does it.
const BELIEVED: Duration = Duration::from_millis(100);

/// As many turns as an engine lets transactions work at once.
pub struct Turns {
    free: Semaphore,
    /// When the environment was last seen to be as it was.
    seen: Mutex<Option<Instant>>,
}

/// As many turns as `engine` lets transactions work at once.
pub fn turns(engine: &dyn EngineAdapter) -> Turns {
    Turns {
        free: Semaphore::new(engine.concurrency().max(1)),
        seen: Mutex::new(None),
    }
}

impl Turns {
    /// Waits for a turn, which ends when it is dropped.
    pub(super) async fn next(&self) -> anyhow::Result<SemaphorePermit<'_>> {
        let turn = self.free.acquire().await;
        turn.context("waiting for a connection")
    }

    /// Whether the environment has to be looked at again.
    pub(super) fn should_look(&self) -> bool {
        let seen = *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_none_or(|seen| seen.elapsed() >= BELIEVED)
    }

    /// The environment, as it was at `looked`, was found as it was.
    pub(super) fn saw(&self, looked: Instant) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(looked);
    }
}

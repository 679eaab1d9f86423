//! Whose turn it is to work in the warehouse, and whether what the work is for still stands.

use anyhow::Context;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;

use crate::engine::EngineAdapter;
use crate::scheduler::believed::Believed;

/// As many turns as an engine lets transactions work at once.
pub struct Turns {
    free: Semaphore,
    /// That the environment is as it was. Somebody may change it at any moment after a look, so looking before every small
    /// batch finds out no more; whoever promotes looks again in the transaction that does it.
    pub(super) environment: Believed,
}

/// As many turns as `engine` lets transactions work at once.
pub fn turns(engine: &dyn EngineAdapter) -> Turns {
    Turns {
        free: Semaphore::new(engine.concurrency().max(1)),
        environment: Believed::default(),
    }
}

impl Turns {
    /// Waits for a turn, which ends when it is dropped.
    pub(super) async fn next(&self) -> anyhow::Result<SemaphorePermit<'_>> {
        let turn = self.free.acquire().await;
        turn.context("waiting for a connection")
    }
}

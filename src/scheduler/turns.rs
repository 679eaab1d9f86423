//! Whose turn it is to work in the warehouse, and whether what the work is for still stands.

use anyhow::Context;
use tokio::sync::Semaphore;
use tokio::sync::SemaphorePermit;

use crate::engine::EngineAdapter;
use crate::model::Model;
use crate::scheduler::believed::Believed;

/// As many turns as an engine lets transactions work at once.
pub struct Turns {
    free: Semaphore,
    /// One, for whoever runs statements besides a query: what they change is not ours to know, and may be the same for all,
    /// such as a macro that each model makes anew.
    statements: Semaphore,
    /// That the environment is as it was. Somebody may change it at any moment after a look, so looking before every small
    /// batch finds out no more; whoever promotes looks again in the transaction that does it.
    pub(super) environment: Believed,
}

/// As many turns as `engine` lets transactions work at once.
pub fn turns(engine: &dyn EngineAdapter) -> Turns {
    Turns {
        free: Semaphore::new(engine.concurrency().max(1)),
        statements: Semaphore::new(1),
        environment: Believed::default(),
    }
}

/// A turn, which ends when it is dropped.
pub(super) struct Turn<'a> {
    _free: SemaphorePermit<'a>,
    _statements: Option<SemaphorePermit<'a>>,
}

impl Turns {
    /// Waits for a turn to write a batch of `model`.
    pub(super) async fn next(
        &self,
        engine: &dyn EngineAdapter,
        model: &Model,
    ) -> anyhow::Result<Turn<'_>> {
        let alone = model.statements.surround_query() && !engine.waits_for_others();
        let statements = match alone {
            true => Some(self.statements.acquire().await),
            false => None,
        };
        let statements = statements.transpose();
        Ok(Turn {
            _statements: statements.context("waiting for the statements of another model")?,
            _free: self
                .free
                .acquire()
                .await
                .context("waiting for a connection")?,
        })
    }
}

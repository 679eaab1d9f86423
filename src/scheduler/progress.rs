//! What the scheduler tells while it works.

use std::time::Duration;

use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::scheduler::Wait;
use crate::snapshot::Interval;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Progress {
    /// So many batches, of so many models, are ahead.
    Started {
        /// Models.
        models: usize,
        /// Batches.
        batches: usize,
    },
    /// A batch begins.
    Batch {
        /// Whose.
        name: ModelName,
        /// Which.
        range: Interval,
    },
    /// A batch is written, audited and recorded.
    Filled {
        /// Whose.
        name: ModelName,
        /// Which.
        range: Interval,
        /// Rows written; `None` where the engine does not say.
        rows: Option<u64>,
        /// Audits that passed.
        audits: usize,
        /// How long it took.
        took: Duration,
    },
    /// An audit that does not block found rows.
    AuditWarning {
        /// Whose.
        name: ModelName,
        /// One sentence.
        message: String,
    },
    /// Something that whoever looks at the environment must know.
    Warning(String),
    /// A batch failed; the model stops here.
    Failed {
        /// Whose.
        name: ModelName,
        /// One sentence.
        message: String,
    },
    /// Not tried, because something that it reads failed.
    Skipped {
        /// Whose.
        name: ModelName,
        /// What failed.
        because: ModelName,
    },
    /// Some time of a model is not filled, because it waits.
    Held {
        /// Whose.
        name: ModelName,
        /// Which time, and for what.
        wait: Wait,
    },
    /// Somebody else has what is needed next.
    Waiting {
        /// What it is.
        what: String,
        /// Who has it.
        holder: String,
    },
    /// Another process has written batches meanwhile.
    Elsewhere {
        /// Whose.
        name: ModelName,
        /// How many.
        batches: usize,
    },
    /// A batch failed in a way that may pass; it is tried again.
    Retrying {
        /// Whose.
        name: ModelName,
        /// What went wrong.
        message: String,
        /// After this time.
        delay: Duration,
    },
    /// The environment was changed by another plan; the work is looked for again.
    Restarted,
    /// Before the switch: what is shown was filled further meanwhile, and so are the tables that take its place.
    CatchingUp {
        /// What shows it.
        environment: EnvironmentName,
        /// Models of which something is filled.
        models: Vec<ModelName>,
    },
    /// The views are switched.
    Switched {
        /// Created or replaced.
        created: usize,
        /// Dropped.
        dropped: usize,
        /// How long the transaction took.
        took: Duration,
    },
}

/// Who is told; called from several tasks at once.
pub type Reporter<'a> = &'a (dyn Fn(Progress) + Send + Sync);

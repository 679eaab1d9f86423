//! What filling did, model by model.

use std::time::Duration;

use crate::model::ModelName;
use crate::snapshot::Interval;

/// How the filling went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Models that are filled, in the order they finished.
    pub filled: Vec<ModelName>,
    /// Models that failed, with the cause.
    pub failed: Vec<(ModelName, anyhow::Error)>,
    /// Models that were not tried, with the failed model that they read.
    pub skipped: Vec<(ModelName, ModelName)>,
    /// Models that are not done because the work was stopped or the environment changed.
    pub left: Vec<ModelName>,
    /// Audits that found rows but do not block, one sentence each.
    pub warnings: Vec<String>,
    /// What was done for each model that was tried, in the order they ended.
    pub models: Vec<ModelOutcome>,
    /// Why it ended before everything was tried.
    pub cut_short: Option<CutShort>,
}

/// Why filling ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutShort {
    /// Somebody wanted it to end.
    Stopped,
    /// Another plan has changed the environment.
    EnvironmentChanged,
}

/// What was done for one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelOutcome {
    /// Whose.
    pub name: ModelName,
    /// How it ended.
    pub status: ModelStatus,
    /// The batches that are in the table and recorded, in the order they finished.
    pub batches: Vec<Interval>,
    /// Batches that another process has done meanwhile.
    pub elsewhere: usize,
    /// Rows written; `None` where the engine did not say.
    pub rows: Option<u64>,
    /// Time from the first statement to the last, without waiting for others.
    pub took: Duration,
    /// Audits that passed.
    pub audits_passed: usize,
    /// Audits that found rows but do not block, one sentence each.
    pub warnings: Vec<String>,
}

/// How a model ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelStatus {
    /// Nothing of it is missing.
    Filled,
    /// A batch failed.
    Failed,
    /// It was stopped; the batches before are recorded.
    Stopped,
}

impl ModelStatus {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl Outcome {
    /// Whether everything that was asked for is there.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty() && self.cut_short.is_none()
    }
}

//! What came out of preparing a pull request's commit.

use serde::Deserialize;
use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::plan::Prepared;

/// What came out of preparing a commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Its environment is built and audited.
    Prepared {
        /// The plan and the comparison.
        prepared: Box<Prepared>,
        /// Whether it changes `config.yaml`, whose policy counts only after the merge.
        changes_policy: bool,
    },
    /// Its author must fix something.
    Failed {
        /// One sentence.
        message: String,
        /// Places to fix.
        diagnostics: Vec<Diagnostic>,
    },
    /// It does not merge with its base branch.
    Conflict,
    /// It comes from a fork, whose code is not run.
    Fork,
    /// We could not do it, and gave up.
    Broken,
}

impl Outcome {
    /// What is ready to be deployed.
    pub(crate) fn prepared(&self) -> Option<&Prepared> {
        match self {
            Self::Prepared { prepared, .. } => Some(prepared),
            Self::Failed { .. } | Self::Conflict | Self::Fork | Self::Broken => None,
        }
    }
}

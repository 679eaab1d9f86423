//! What the server asks of `siding job` and what it answers: JSON over standard input and output.
//!
//! The server holds the App key and never loads a project; the job loads the project and never
//! holds a token. This module is all that they share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

use crate::plan::PlanSummary;

/// Version of the JSON forms in this module.
pub const JOB_VERSION: u32 = 1;

/// `[start, end)` in UTC.
pub type TimeRange = (DateTime<Utc>, DateTime<Utc>);

/// One request; the job reads exactly one from standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRequest {
    /// [`JOB_VERSION`].
    pub version: u32,
    /// Folder with the models: the checkout of the commit in question.
    pub project: PathBuf,
    /// Folder whose `config.yaml` says connections, users and policy: the checkout of the base branch.
    pub config: PathBuf,
    /// Folder that relative database paths of the configuration start from.
    pub data: PathBuf,
    /// Whom the history names, such as `github:alice#12`.
    pub actor: String,
    /// Replaces the clock; for tests.
    pub execution_time: Option<DateTime<Utc>>,
    /// What to do.
    pub task: JobTask,
}

/// What a job is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum JobTask {
    /// Read the bot's policy from the configuration; touches neither models nor databases.
    Policy,
    /// Plan against prod, build and audit the pull request's environment, compare it with prod.
    Prepare {
        /// Name of the environment, such as `flights_12`.
        environment: String,
    },
    /// Make prod match the project: the switch. Refuses when more than a switch is needed, unless `build`.
    Promote {
        /// The prod plan that was current when the promotion was prepared; another one is a conflict.
        expected_prod_plan: Option<String>,
        /// The project digest that was prepared; `None` skips the check.
        expected_project: Option<String>,
        /// Build what is missing first (a merge that nobody prepared).
        build: bool,
    },
    /// Remove an environment's views and record. Succeeds when it is gone already.
    Cleanup {
        /// Name of the environment.
        environment: String,
    },
}

/// One answer; the last line that the job writes to standard output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum JobAnswer {
    /// To [`JobTask::Policy`].
    Policy(Policy),
    /// To [`JobTask::Prepare`].
    Prepared(Box<Prepared>),
    /// To [`JobTask::Promote`].
    Promoted(Promoted),
    /// To [`JobTask::Promote`]: somebody else changed prod or the project is not the prepared one.
    Conflict {
        /// One sentence for the comment.
        message: String,
    },
    /// To [`JobTask::Cleanup`].
    Cleaned {
        /// Views that were dropped, dotted.
        views: Vec<String>,
    },
    /// The user must fix something: project errors, a failing audit, a locked database.
    Failed {
        /// One sentence for the comment.
        message: String,
        /// Places to fix.
        diagnostics: Vec<crate::diagnostic::Diagnostic>,
    },
}

/// How a pull request is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeMethod {
    /// A merge commit.
    Merge,
    /// One new commit.
    Squash,
    /// The commits again, on top.
    Rebase,
}

/// The bot's policy: `cicd_bot` and `users` of the base branch's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Whether `/deploy` is accepted.
    pub enable_deploy_command: bool,
    /// `None` means that people merge.
    pub merge_method: Option<MergeMethod>,
    /// Word after the slash, as in `/duck deploy`; `None` means short commands.
    pub command_namespace: Option<String>,
    /// Prefix of the environments' names; `None` means the repository's name.
    pub pr_environment_name: Option<String>,
    /// Branches that deploy to prod.
    pub prod_branches: Vec<String>,
    /// Whether the environment goes away after the promotion.
    pub invalidate_environment_after_deploy: bool,
    /// GitHub logins of users with the role `required_approver`; one of them must approve. Empty: no approval is required.
    pub required_approvers: Vec<String>,
}

/// A pull request's environment is built and audited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// The project against prod, before the environment was built.
    pub plan: PlanSummary,
    /// The environment's name as views show it.
    pub environment: String,
    /// Each changed model, prod beside the pull request.
    pub comparisons: Vec<ModelComparison>,
    /// Digest of the project's snapshots: equal digests promote to equal views.
    pub project_digest: String,
    /// The plan that prod was on.
    pub prod_plan: Option<String>,
    /// What deploying now would still have to fill, by model; empty means a pure switch.
    pub missing_for_prod: BTreeMap<String, Vec<TimeRange>>,
    /// Non-blocking audits that failed, and other warnings, one sentence each.
    pub warnings: Vec<String>,
    /// How long building took.
    pub seconds: f64,
}

/// One model in prod and in the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelComparison {
    /// The model's name.
    pub name: String,
    /// The view to query, dotted.
    pub view: String,
    /// Rows in prod; `None` when prod has no such view.
    pub rows_prod: Option<u64>,
    /// Rows in the environment; `None` when the model is removed.
    pub rows_environment: Option<u64>,
    /// Columns only in the environment, `name TYPE`.
    pub columns_added: Vec<String>,
    /// Columns only in prod, `name TYPE`.
    pub columns_removed: Vec<String>,
    /// Columns whose type differs, `name OLD → NEW`.
    pub columns_changed: Vec<String>,
}

/// Prod was switched, or was there already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Promoted {
    /// The plan that prod is on now.
    pub plan_id: String,
    /// Whether prod was on that plan before.
    pub already: bool,
    /// Views created or replaced.
    pub views_switched: u32,
    /// Views dropped.
    pub views_dropped: u32,
    /// Physical tables that were built before and are now shown, dotted.
    pub tables_reused: Vec<String>,
    /// Models that had to be executed; empty for a pure switch.
    pub models_executed: Vec<String>,
    /// Time of the switch's transaction.
    pub switch_milliseconds: f64,
}

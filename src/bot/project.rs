//! Commits on disk, and jobs on them.

use std::path::PathBuf;

use anyhow::Context as _;
use secrecy::SecretString;

use crate::bot::checkout::Checkout;
use crate::bot::checkout::Commit;
use crate::bot::checkout::Source;
use crate::bot::context::Context;
use crate::diagnostic::Diagnostic;
use crate::github::CommitSha;
use crate::plan::JOB_VERSION;
use crate::plan::JobAnswer;
use crate::plan::JobRequest;
use crate::plan::JobTask;
use crate::plan::Policy;

/// A repository's commits, for the time of one job.
#[derive(Debug)]
pub(crate) struct Commits<'a> {
    context: &'a Context,
    token: SecretString,
}

/// Something that the user must fix.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    /// One sentence.
    pub message: String,
    /// Places to fix.
    pub diagnostics: Vec<Diagnostic>,
}

impl<'a> Commits<'a> {
    /// With a token that can only read this repository.
    pub(crate) async fn open(context: &'a Context) -> anyhow::Result<Self> {
        let token = context
            .shared
            .app
            .fetch_token(context.repository.installation, context.repository.id)
            .await
            .context("getting a token to fetch with")?;
        Ok(Self { context, token })
    }

    fn source(&self) -> Source<'_> {
        Source {
            id: self.context.repository.id,
            name: &self.context.repository.name,
            token: &self.token,
        }
    }

    /// A commit and what it comes after.
    pub(crate) async fn fetch(&self, sha: &CommitSha) -> anyhow::Result<Commit> {
        self.context
            .shared
            .checkouts
            .fetch(&self.source(), sha)
            .await
    }

    /// The newest commit of a branch.
    pub(crate) async fn tip(&self, branch: &str) -> anyhow::Result<Commit> {
        let sha = self
            .context
            .shared
            .checkouts
            .tip(&self.source(), branch)
            .await?;
        self.fetch(&sha).await
    }

    /// The files of a commit.
    pub(crate) async fn check_out(&self, commit: &Commit) -> anyhow::Result<Checkout> {
        self.context
            .shared
            .checkouts
            .check_out(&self.source(), commit)
            .await
    }

    /// Whether two commits differ in the policy's file.
    pub(crate) async fn changes_policy(
        &self,
        base: &Commit,
        merge: &Commit,
    ) -> anyhow::Result<bool> {
        let checkouts = &self.context.shared.checkouts;
        Ok(checkouts
            .differs(&self.source(), base, merge, "config.yaml")
            .await?
            || checkouts
                .differs(&self.source(), base, merge, "config.yml")
                .await?)
    }

    /// Runs a job on the models of `project` with the configuration of `config`.
    pub(crate) async fn job(
        &self,
        project: &Checkout,
        config: &Checkout,
        actor: &str,
        task: JobTask,
    ) -> anyhow::Result<JobAnswer> {
        let options = &self.context.shared.options;
        let within = |checkout: &Checkout| -> PathBuf { checkout.path().join(&options.project) };
        let request = JobRequest {
            version: JOB_VERSION,
            project: within(project),
            config: within(config),
            data: std::path::absolute(&options.data).context("finding the data folder")?,
            actor: format!("github:{actor}#{}", self.context.pull.number),
            execution_time: options.execution_time,
            task,
        };
        self.context
            .shared
            .runner
            .run(&request, project.path())
            .await
    }

    /// The policy in a configuration.
    pub(crate) async fn policy(
        &self,
        config: &Checkout,
        actor: &str,
    ) -> anyhow::Result<Result<Policy, Failure>> {
        Ok(
            match self.job(config, config, actor, JobTask::Policy).await? {
                JobAnswer::Policy(policy) => Ok(policy),
                JobAnswer::Failed {
                    message,
                    diagnostics,
                } => Err(Failure {
                    message,
                    diagnostics,
                }),
                other => return Err(unexpected(&other)),
            },
        )
    }
}

/// An answer to another question.
pub(crate) fn unexpected(answer: &JobAnswer) -> anyhow::Error {
    let name = match answer {
        JobAnswer::Policy(_) => "policy",
        JobAnswer::Prepared(_) => "prepared",
        JobAnswer::Promoted(_) => "promoted",
        JobAnswer::Conflict { .. } => "conflict",
        JobAnswer::Cleaned { .. } => "cleaned",
        JobAnswer::Failed { .. } => "failed",
    };
    anyhow::anyhow!("the job answered `{name}`, which is no answer to what it was asked")
}

//! Job: what the server asks of a child process. This side loads the project and never sees a token.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::diagnostic::Diagnostic;
use crate::engine::EngineAdapter;
use crate::engine::EngineError;
use crate::environment::EnvironmentName;
use crate::ops;
use crate::ops::Applied;
use crate::ops::ApplyError;
use crate::ops::OpenError;
use crate::ops::PlanExtra;
use crate::ops::PlanRequest;
use crate::ops::Planned;
use crate::ops::Session;
use crate::ops::SessionOptions;
use crate::ops::ahead;
use crate::ops::brought::brought_statements;
use crate::ops::compare::compare_with_prod;
use crate::ops::read_files;
use crate::ops::waiting::sentences;
use crate::plan::Draft;
use crate::plan::JOB_VERSION;
use crate::plan::JobAnswer;
use crate::plan::JobRequest;
use crate::plan::JobTask;
use crate::plan::MergeMethod;
use crate::plan::Policy;
use crate::plan::Prepared;
use crate::plan::Promoted;
use crate::plan::Wishes;
use crate::project::BotMergeMethod;
use crate::project::LoadOptions;
use crate::project::load_config;
use crate::scheduler::Control;
use crate::scheduler::Reporter;
use crate::sql::TableName;

/// Longest wait for a warehouse that another process has open.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Between two looks whether it is free.
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// Does what `request` asks. Whatever goes wrong is an answer, too.
pub async fn answer(
    request: &JobRequest,
    gateway: Option<String>,
    environment: BTreeMap<String, String>,
    now: DateTime<Utc>,
    control: &Control,
    report: Reporter<'_>,
) -> JobAnswer {
    let job = Job {
        control,
        request,
        now: request.execution_time.unwrap_or(now),
        gateway,
        environment,
    };
    let result = match &request.task {
        _ if request.version != JOB_VERSION => Err(anyhow::anyhow!(
            "the server speaks version {} of the job protocol, this is {JOB_VERSION}",
            request.version
        )),
        JobTask::Policy => job.policy(),
        JobTask::Prepare { environment } => job.prepare(environment, report).await,
        JobTask::Promote {
            expected_prod_plan,
            expected_project,
            build,
        } => {
            job.promote(
                expected_prod_plan.as_deref(),
                expected_project.as_deref(),
                *build,
                report,
            )
            .await
        }
        JobTask::Cleanup { environment } => job.cleanup(environment).await,
    };
    let mut answer = result.unwrap_or_else(|error| failed(&error));
    if let JobAnswer::Failed { message, .. } | JobAnswer::Conflict { message } = &mut answer {
        *message = without_folders(message, request);
    }
    answer
}

/// `message` without the server's folders: what is answered here is read by whoever sees the pull request.
fn without_folders(message: &str, request: &JobRequest) -> String {
    let mut folders = [&request.project, &request.config, &request.data].map(|folder| {
        let folder = folder.to_string_lossy();
        folder.trim_end_matches('/').to_owned()
    });
    // One may lie in another.
    folders.sort_by_key(|folder| std::cmp::Reverse(folder.len()));
    let mut message = message.to_owned();
    for folder in folders.iter().filter(|folder| !folder.is_empty()) {
        message = message.replace(&format!("{folder}/"), "");
        message = message.replace(folder, ".");
    }
    message
}

fn failed(error: &anyhow::Error) -> JobAnswer {
    if let Some(open) = error.downcast_ref::<OpenError>() {
        let errors = open
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.is_error())
            .count();
        let message = if errors == 1 {
            "the project has 1 error".to_owned()
        } else {
            format!("the project has {errors} errors")
        };
        return JobAnswer::Failed {
            message,
            diagnostics: open.diagnostics.clone(),
        };
    }
    let message = if is_in_use(error) {
        // Which process has it is for the server's log.
        tracing::warn!("{error:#}");
        "the warehouse is in use by another process".to_owned()
    } else {
        format!("{error:#}")
    };
    JobAnswer::Failed {
        message,
        diagnostics: Vec::new(),
    }
}

struct Job<'a> {
    control: &'a Control,
    request: &'a JobRequest,
    now: DateTime<Utc>,
    gateway: Option<String>,
    environment: BTreeMap<String, String>,
}

impl Job<'_> {
    /// The configuration comes from the base branch; SQL of the pull request is kept to its own folder.
    fn session_options(&self) -> SessionOptions {
        SessionOptions {
            config: self.request.config.clone(),
            data: self.request.data.clone(),
            gateway: self.gateway.clone(),
            environment: self.environment.clone(),
            user: self.request.actor.clone(),
            sandboxed: true,
            ..SessionOptions::in_folder(&self.request.project)
        }
    }

    fn plan_request(&self, environment: EnvironmentName, session: &Session) -> PlanRequest {
        PlanRequest {
            start: None,
            end: None,
            execution_time: self.now,
            include_unmodified: session.config().plan.include_unmodified,
            against_prod: true,
            naming: session.naming(&environment),
            expires_at: session.expires_at(&environment, self.now),
            actor: self.request.actor.clone(),
            choices: session.choices(BTreeMap::new(), &self.request.actor),
            extra: PlanExtra {
                forward_only: session.config().plan.forward_only
                    || session.config().tables_carry_on(),
                by_mode: session.config().tables_carry_on(),
                finalized_only: session.config().plan.use_finalized_state,
                wishes: Wishes {
                    no_preview: session.config().plan.enable_preview == Some(false)
                        && !session.config().plan.forward_only
                        && !session.config().tables_carry_on(),
                    ..Wishes::default()
                },
                ..PlanExtra::default()
            },
            environment,
        }
    }

    async fn apply(
        &self,
        planned: &Planned,
        engine: &dyn EngineAdapter,
        session: &Session,
        report: Reporter<'_>,
    ) -> Result<Applied, ApplyError> {
        let state = session.state();
        ops::apply(planned, engine, state, self.now, self.control, report).await
    }

    fn policy(&self) -> anyhow::Result<JobAnswer> {
        let files = read_files(&self.request.config)?;
        let options = LoadOptions {
            gateway: self.gateway.clone(),
            environment: self.environment.clone(),
            user: self.request.actor.clone(),
        };
        let (config, diagnostics) = load_config(&files, &options);
        let Some(config) = config.filter(|_| !diagnostics.iter().any(Diagnostic::is_error)) else {
            return Err(OpenError { diagnostics, files }.into());
        };
        let bot = config.bot.clone().unwrap_or_default();
        Ok(JobAnswer::Policy(Policy {
            enable_deploy_command: bot.enable_deploy_command,
            merge_method: bot.merge_method.map(merge_method),
            command_namespace: bot.command_namespace.clone(),
            pr_environment_name: bot.pr_environment_name.clone(),
            prod_branches: bot.prod_branches.clone(),
            invalidate_environment_after_deploy: bot.invalidate_environment_after_deploy,
            required_approvers: config.required_approvers(),
        }))
    }

    async fn prepare(&self, name: &str, report: Reporter<'_>) -> anyhow::Result<JobAnswer> {
        let started = Instant::now();
        let session = Session::open(&self.session_options()).await?;
        let name = EnvironmentName::from(name.to_owned());
        anyhow::ensure!(
            !name.is_prod(),
            "a pull request's environment cannot be `prod`"
        );
        let request = self.plan_request(name.clone(), &session);
        let mut planned = ops::plan(
            session.models(),
            session.candidates(),
            session.state(),
            &request,
            session.warnings().to_vec(),
        )
        .await?;
        let brought = brought_statements(&planned.plan.draft);
        planned.summary.diagnostics.extend(brought);
        ops::locate(&mut planned.summary.diagnostics, session.files());
        let stored = |table: &TableName| ops::stored(session.config(), table);
        planned.summary.name_tables(&planned.plan, &stored);
        if let Some(answer) = refused(&planned) {
            return Ok(answer);
        }
        let engine = open_warehouse_for(&session, Some((&name, self.now))).await?;
        if !planned.plan.work.is_empty() {
            let (state, engine) = (session.state(), Some(engine.as_ref()));
            let estimate = ops::estimate(&planned, state, engine, &session.prices()).await?;
            planned.summary.estimate = Some(estimate);
        }
        let applied = self
            .apply(&planned, engine.as_ref(), &session, report)
            .await;
        let applied = match applied {
            Ok(applied) => applied,
            Err(error) => return Ok(apply_failed(error)),
        };
        let in_prod = planned.current.prod.as_ref();
        let in_prod = in_prod.map(|prod| prod.naming.clone()).unwrap_or_default();
        let comparisons = compare_with_prod(engine.as_ref(), &planned.plan, &in_prod).await?;
        let mut warnings = applied.warnings;
        warnings.extend(sentences(&applied.waiting));
        let mut prod = self.plan_for_prod(&session).await?;
        if ahead::is_needed(&prod) && prod.errors().next().is_none() {
            let engine = engine.as_ref();
            let state = session.state();
            match ahead::build_ahead(&prod, engine, state, self.now, self.control, report).await {
                Ok(more) => warnings.extend(more),
                Err(error) => return Ok(apply_failed(error)),
            }
            prod = self.plan_for_prod(&session).await?;
        }
        let missing = prod.plan.work.iter().map(|work| {
            let ranges = work
                .ranges
                .iter()
                .map(|range| (range.start(), range.end()))
                .collect();
            (work.name.to_string(), ranges)
        });
        Ok(JobAnswer::Prepared(Box::new(Prepared {
            environment: name.to_string(),
            comparisons,
            project_digest: digest(&planned.plan.draft),
            prod_plan: planned
                .current
                .prod
                .as_ref()
                .map(|prod| prod.plan_id.clone()),
            missing_for_prod: missing.collect(),
            warnings,
            seconds: started.elapsed().as_secs_f64(),
            plan: planned.summary,
        })))
    }

    /// What deploying this project would take.
    async fn plan_for_prod(&self, session: &Session) -> anyhow::Result<Planned> {
        let request = PlanRequest {
            against_prod: false,
            ..self.plan_request(EnvironmentName::prod(), session)
        };
        ops::plan(
            session.models(),
            session.candidates(),
            session.state(),
            &request,
            Vec::new(),
        )
        .await
    }

    async fn promote(
        &self,
        expected_plan: Option<&str>,
        expected_project: Option<&str>,
        build: bool,
        report: Reporter<'_>,
    ) -> anyhow::Result<JobAnswer> {
        let session = Session::open(&self.session_options()).await?;
        let request = self.plan_request(EnvironmentName::prod(), &session);
        let planned = ops::plan(
            session.models(),
            session.candidates(),
            session.state(),
            &request,
            session.warnings().to_vec(),
        )
        .await?;
        if let Some(answer) = refused(&planned) {
            return Ok(answer);
        }
        let current = planned.current.target.as_ref();
        if planned.plan.is_empty() {
            return Ok(already(
                current.map_or("", |target| target.plan_id.as_str()),
            ));
        }
        if let Some(expected) =
            expected_project.filter(|expected| *expected != digest(&planned.plan.draft))
        {
            let message =
                format!("the merged project is not the one that was prepared (digest {expected})");
            return Ok(JobAnswer::Conflict { message });
        }
        let found = current.map(|target| target.plan_id.as_str());
        // A switch to the same tables that was recorded but not finished is ours to finish.
        let is_ours = planned.plan.unfinished
            && current.is_some_and(|target| target.snapshots == planned.plan.promoted.snapshots);
        if expected_plan.is_some() && found != expected_plan && !is_ours {
            let message =
                "production was changed by another plan after this one was prepared".to_owned();
            return Ok(JobAnswer::Conflict { message });
        }
        if !build && !planned.plan.work.is_empty() {
            let names: Vec<String> = planned
                .plan
                .work
                .iter()
                .map(|work| format!("`{}`", work.name))
                .collect();
            let message = format!("{} must be built before the switch", names.join(", "));
            return Ok(JobAnswer::Conflict { message });
        }
        let engine = open_warehouse(&session).await?;
        let applied = if build {
            let (engine, session) = (engine.as_ref(), &session);
            self.apply(&planned, engine, session, report).await
        } else {
            let (engine, state, now) = (engine.as_ref(), session.state(), self.now);
            ops::switch_only(&planned, engine, state, now, self.control, report).await
        };
        let applied = match applied {
            Ok(applied) => applied,
            Err(error) => return Ok(apply_failed(error)),
        };
        let switched = applied.switched.unwrap_or_default();
        let shown = planned
            .plan
            .views
            .create
            .iter()
            .map(|(_, table)| table.plain());
        let built: Vec<String> = planned
            .plan
            .work
            .iter()
            .map(|work| work.table.plain())
            .collect();
        Ok(JobAnswer::Promoted(Promoted {
            plan_id: planned.plan.id.clone(),
            already: false,
            views_switched: u32::try_from(switched.created).context("counting views")?,
            views_dropped: u32::try_from(switched.dropped).context("counting views")?,
            tables_reused: shown.filter(|table| !built.contains(table)).collect(),
            models_executed: applied.executed.iter().map(ToString::to_string).collect(),
            switch_milliseconds: switched.took.as_secs_f64() * 1000.0,
        }))
    }

    async fn cleanup(&self, name: &str) -> anyhow::Result<JobAnswer> {
        let options = SessionOptions {
            project: self.request.config.clone(),
            ..self.session_options()
        };
        let session = Session::open_config(&options).await?;
        let engine = open_warehouse(&session).await?;
        let name = EnvironmentName::from(name.to_owned());
        let views = ops::drop_environment(
            engine.as_ref(),
            session.state(),
            &name,
            self.now,
            self.control,
            &|_| {},
        )
        .await?;
        Ok(JobAnswer::Cleaned {
            views: views.iter().map(crate::sql::TableName::plain).collect(),
        })
    }
}

/// Whether another process has the warehouse open.
fn is_in_use(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let engine = cause.downcast_ref::<EngineError>();
        matches!(engine, Some(EngineError::Locked { .. }))
    })
}

/// Opens the warehouse; while another process has it, waits a while: a scheduled run is soon over.
async fn open_warehouse(session: &Session) -> anyhow::Result<Arc<dyn EngineAdapter>> {
    open_warehouse_for(session, None).await
}

/// The same, to make views of an environment.
async fn open_warehouse_for(
    session: &Session,
    environment: Option<(&EnvironmentName, DateTime<Utc>)>,
) -> anyhow::Result<Arc<dyn EngineAdapter>> {
    let since = Instant::now();
    loop {
        let opened = match environment {
            Some((name, now)) => session.engine_for(name, now).await,
            None => session.engine().await,
        };
        match opened {
            Err(error) if since.elapsed() < LONGEST_WAIT && is_in_use(&error) => {
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
            other => return other,
        }
    }
}

/// The answer when the plan itself says no.
fn refused(planned: &Planned) -> Option<JobAnswer> {
    let errors: Vec<&Diagnostic> = planned.errors().collect();
    let first = errors.first()?;
    Some(JobAnswer::Failed {
        message: first.message.clone(),
        diagnostics: planned.summary.diagnostics.clone(),
    })
}

fn apply_failed(error: ApplyError) -> JobAnswer {
    match error {
        ApplyError::Conflict { .. } | ApplyError::Behind { .. } => JobAnswer::Conflict {
            message: error.to_string(),
        },
        ApplyError::Failed { .. } | ApplyError::Stopped { .. } | ApplyError::After { .. } => {
            JobAnswer::Failed {
                message: error.to_string(),
                diagnostics: Vec::new(),
            }
        }
        ApplyError::Other(error) => failed(&error),
    }
}

fn already(plan_id: &str) -> JobAnswer {
    JobAnswer::Promoted(Promoted {
        plan_id: plan_id.to_owned(),
        already: true,
        views_switched: 0,
        views_dropped: 0,
        tables_reused: Vec::new(),
        models_executed: Vec::new(),
        switch_milliseconds: 0.0,
    })
}

/// Equal digests mean equal snapshots, so equal tables behind equal views.
fn digest(draft: &Draft) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, snapshot) in &draft.snapshots {
        hasher.update(format!("{name} {}\n", snapshot.id.identifier).as_bytes());
    }
    hex::encode(&hasher.finalize().as_bytes()[..16])
}

fn merge_method(method: BotMergeMethod) -> MergeMethod {
    match method {
        BotMergeMethod::Merge => MergeMethod::Merge,
        BotMergeMethod::Squash => MergeMethod::Squash,
        BotMergeMethod::Rebase => MergeMethod::Rebase,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> JobRequest {
        JobRequest {
            version: JOB_VERSION,
            project: "/srv/siding/checkouts/1".into(),
            config: "/srv/siding/checkouts/2/".into(),
            data: "/srv".into(),
            actor: "github:eve#1".to_owned(),
            execution_time: None,
            task: JobTask::Policy,
        }
    }

    #[test]
    fn an_answer_names_no_folder_of_the_server() {
        for (message, wanted) in [
            (
                "`/srv/state.db` is no database",
                "`state.db` is no database",
            ),
            (
                "reading `/srv/siding/checkouts/1/models/a.sql` of `/srv/siding/checkouts/2`",
                "reading `models/a.sql` of `.`",
            ),
            ("nothing to hide", "nothing to hide"),
        ] {
            assert_eq!(without_folders(message, &request()), wanted);
        }
    }

    #[test]
    fn an_answer_names_no_process_of_the_server() {
        let locked = EngineError::Locked {
            database: "/srv/wh.db".to_owned(),
            holder: Some("/usr/bin/other (PID 12)".to_owned()),
        };
        let error = anyhow::Error::from(locked).context("opening the warehouse");
        let JobAnswer::Failed { message, .. } = failed(&error) else {
            panic!("an answer that failed")
        };
        assert_eq!(message, "the warehouse is in use by another process");
    }
}

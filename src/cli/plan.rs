//! `siding plan`

use std::collections::BTreeSet;
use std::mem::ManuallyDrop;

use anyhow::Context;
use chrono::DateTime;
use chrono::Utc;

use crate::cli::Ending;
use crate::cli::Usage;
use crate::cli::control::Interrupts;
use crate::cli::diagnostics;
use crate::cli::plan_options::Options;
use crate::cli::plan_text;
use crate::cli::plan_text::Show;
use crate::cli::printer::Printer;
use crate::cli::printer::Tone;
use crate::cli::progress::Display;
use crate::cli::prompt::confirm;
use crate::cli::settings::Format;
use crate::cli::settings::Settings;
use crate::cli::settings::execution_time;
use crate::cli::settings::moment;
use crate::cli::settings::now;
use crate::cli::settings::user;
use crate::diagnostic::Diagnostic;
use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::model::Moment;
use crate::ops;
use crate::ops::ApplyError;
use crate::ops::OpenError;
use crate::ops::Opened;
use crate::ops::PlanRequest;
use crate::ops::Planned;
use crate::ops::Session;
use crate::plan::Ask;
use crate::plan::PlanEstimate;
use crate::plan::PlanSummary;
use crate::plan::SUMMARY_VERSION;
use crate::project::Connection;
use crate::project::NO_MODELS;
use crate::snapshot::ChangeCategory;
use crate::sql::TableName;

/// Compare the project with an environment; show what would change, and apply it on request
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Environment to change; `prod` unless the project says otherwise
    #[arg(value_parser = str::parse::<EnvironmentName>)]
    environment: Option<EnvironmentName>,
    /// First day to fill in a development environment, or of a restatement
    #[arg(short, long, value_name = "DATE")]
    start: Option<String>,
    /// Last day to fill in a development environment, or of a restatement (a date counts whole)
    #[arg(short, long, value_name = "DATE")]
    end: Option<String>,
    /// Take this as the current time
    #[arg(long, value_name = "TIME")]
    execution_time: Option<String>,
    /// Show every model in a development environment, not only those that differ
    #[arg(long)]
    include_unmodified: bool,
    /// Never ask; without --auto-apply, only show the plan
    #[arg(long)]
    no_prompts: bool,
    /// Apply without asking
    #[arg(long)]
    auto_apply: bool,
    /// Say what the change of an edited model means: `breaking` or `non-breaking`; may be repeated
    #[arg(long = "category", value_name = "MODEL=CATEGORY", value_parser = category)]
    categories: Vec<(ModelName, ChangeCategory)>,
    /// Do not show text diffs
    #[arg(long)]
    no_diff: bool,
    #[command(flatten)]
    more: Options,
}

/// `sales.orders=breaking`.
fn category(text: &str) -> Result<(ModelName, ChangeCategory), String> {
    let (name, category) = text
        .rsplit_once('=')
        .ok_or("expected MODEL=breaking or MODEL=non-breaking")?;
    let name = name.parse().map_err(|error| format!("{error}"))?;
    let category = match category {
        "breaking" => ChangeCategory::Breaking,
        "non-breaking" | "non_breaking" => ChangeCategory::NonBreaking,
        other => {
            return Err(format!(
                "`{other}` is neither `breaking` nor `non-breaking`"
            ));
        }
    };
    Ok((name, category))
}

pub(super) async fn run(
    settings: &Settings,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let now = execution_time(args.execution_time.as_deref())?;
    let session = match open(settings, args).await {
        Ok(Opened::Read(session)) => session,
        Ok(Opened::Unread(unread)) => {
            let request = request(args, unread.session(), now)?;
            let form = form(args, unread.session(), printer);
            if let Some((answer, warnings)) = unread.answer(&request, &form).await? {
                diagnostics::show_of(&warnings, unread.session().files(), printer);
                printer.text(answer);
                unread.session().state().close().await;
                return Ok(Ending::Fine);
            }
            match unread.read() {
                Ok(session) => session,
                Err(error) => return refused(error, args, printer),
            }
        }
        Err(error) => return refused(error, args, printer),
    };
    // The process ends with the command: to give back what a large project takes, piece by piece, would be a tenth of it.
    let session = ManuallyDrop::new(session);
    let ending = plan(&session, args, now, printer).await;
    session.state().close().await;
    ending
}

/// Plans, shows the plan, and applies it if that is wanted.
async fn plan(
    session: &Session,
    args: &Args,
    now: DateTime<Utc>,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    diagnostics::show_warnings(session, printer);
    let config = session.config();
    let request = request(args, session, now)?;
    let stamp = session.state().stamp().await?;
    let planned = ops::plan(
        session.models(),
        session.candidates(),
        session.state(),
        &request,
        session.warnings().to_vec(),
    );
    let mut planned = ManuallyDrop::new(planned.await?);
    ops::locate(&mut planned.summary.diagnostics, session.files());
    let stored = |table: &TableName| ops::stored(config, table);
    let Planned { plan, summary, .. } = &mut *planned;
    summary.name_tables(plan, &stored);
    let auto_apply = args.auto_apply || (config.plan.auto_apply && printer.format == Format::Text);
    if planned.errors().next().is_none() && !planned.plan.work.is_empty() {
        let will_open = auto_apply || (printer.is_interactive() && !args.no_prompts);
        planned.summary.estimate = Some(estimate(&planned, session, will_open).await?);
    }
    if args.more.explain {
        planned.summary.stages = planned.plan.stages(&stored);
    }
    let mut text = shown(&planned.summary, shows_diff(args, session), printer)?;
    if planned.errors().next().is_some() {
        printer.text(&text);
        printer.note(&diagnostics::in_files(
            found(&planned, session),
            session.files(),
            printer,
        ));
        return Ok(Ending::Failed);
    }
    if planned.plan.is_empty() {
        if printer.format == Format::Text {
            let nothing = nothing_to_do(&planned, &request);
            text = format!("{}\n{nothing}", text.trim_end());
        }
        printer.text(&text);
        diagnostics::show_of(found(&planned, session), session.files(), printer);
        let form = form(args, session, printer);
        session
            .remember(&request, &form, &planned, &stamp, &text)
            .await;
        return Ok(Ending::Fine);
    }
    printer.text(&text);
    diagnostics::show_of(found(&planned, session), session.files(), printer);
    if args.more.explain {
        return Ok(Ending::Fine);
    }
    if let Some(ending) = unwanted(&planned, auto_apply, args, printer)? {
        return Ok(ending);
    }
    apply(session, &planned, &request, now_or(args, now), printer).await
}

/// What planning found; what loading did has been shown.
fn found<'a>(planned: &'a Planned, session: &Session) -> &'a [Diagnostic] {
    let diagnostics = &planned.summary.diagnostics;
    let loaded = session.warnings().len().min(diagnostics.len());
    &diagnostics[loaded..]
}

/// How the command ends if the plan is not to be applied.
fn unwanted(
    planned: &Planned,
    auto_apply: bool,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<Option<Ending>> {
    let environment = &planned.plan.promoted.name;
    let removed = all_removed(planned);
    if auto_apply && removed.is_some() && !args.more.remove_all {
        anyhow::bail!(
            "this plan removes every view that `{environment}` has; add --remove-all if that is meant"
        );
    }
    if !auto_apply {
        if args.no_prompts || !printer.is_interactive() {
            if printer.format == Format::Text {
                printer.note("Not applied. Run again with --auto-apply to apply this plan.");
            }
            return Ok(Some(Ending::Fine));
        }
        let question = match removed {
            Some(views) => {
                format!("Remove every view of `{environment}` ({views})")
            }
            None if planned.plan.work.is_empty() => "Apply - Virtual Update".to_owned(),
            None => "Apply - Backfill Tables".to_owned(),
        };
        if !confirm(printer, &question) {
            printer.note("Not applied.");
            return Ok(Some(Ending::Failed));
        }
    }
    Ok(None)
}

/// Carries the plan out and says what was done.
async fn apply(
    session: &Session,
    planned: &Planned,
    request: &PlanRequest,
    now: DateTime<Utc>,
    printer: &Printer,
) -> anyhow::Result<Ending> {
    let engine = session.engine_for(&request.environment, now).await?;
    let interrupts = Interrupts::watch(printer);
    let command = format!("siding plan {}", request.environment);
    let control = interrupts.control(&command, session.config());
    let display = Display::new(printer);
    let applied = ops::apply(
        planned,
        engine.as_ref(),
        session.state(),
        now,
        &control,
        &|progress| display.show(&progress),
    )
    .await;
    drop(display);
    let applied = match applied {
        Err(stopped @ ApplyError::Stopped { .. }) => {
            printer.note(&stopped.to_string());
            return Ok(interrupts.ending());
        }
        // Why it failed has been said when it did.
        Err(error) => {
            let is_done = matches!(error, ApplyError::After { .. });
            let error = match error {
                ApplyError::Failed { failed, skipped } => {
                    printer.help(failed.iter().map(|(_, error)| error));
                    anyhow::anyhow!(failures(&failed, &skipped))
                }
                other => anyhow::Error::from(other),
            };
            // It may have ended before anything was cleared.
            let cleared = session.state().is_restating(&planned.plan.id).await;
            if is_done || !cleared.unwrap_or(false) {
                return Err(error);
            }
            let left = "what was to be filled again and is not is missing now; the next `siding plan` or `siding run` fills it";
            return Err(error.context(left));
        }
        Ok(applied) => applied,
    };
    if !applied.cleared.is_empty() {
        let names: Vec<&str> = applied.cleared.iter().map(String::as_str).collect();
        printer.note(&format!(
            "Environments with tables made of what was restated, which their next plan or run fills again: {}.",
            names.join(", ")
        ));
    }
    if printer.format == Format::Text {
        let done = printer.paint().tone(Tone::Good, "Done.");
        let models = match applied.executed.len() {
            0 => "no model was executed".to_owned(),
            1 => "1 model was executed".to_owned(),
            executed => format!("{executed} models were executed"),
        };
        let name = &request.environment;
        let waiting: BTreeSet<_> = applied.waiting.iter().map(|(name, _)| name).collect();
        printer.text(&match waiting.len() {
            0 => format!("{done} `{name}` is up to date; {models}."),
            1 => format!(
                "{done} {models} in `{name}`; 1 model waits for a signal, and the next run asks again."
            ),
            more => format!(
                "{done} {models} in `{name}`; {more} models wait for signals, and the next run asks again."
            ),
        });
    }
    Ok(Ending::Fine)
}

/// Which models failed and which were not tried, by name.
fn failures(failed: &[(ModelName, anyhow::Error)], skipped: &[(ModelName, ModelName)]) -> String {
    let listed = |names: Vec<&ModelName>| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    };
    let mut text = format!(
        "{} failed",
        listed(failed.iter().map(|(name, _)| name).collect())
    );
    if !skipped.is_empty() {
        let names = listed(skipped.iter().map(|(name, _)| name).collect());
        text = format!("{text}, {names} not tried");
    }
    format!("{text}; readers see what they saw before, and the next plan uses what was filled")
}

/// What is asked of the plan.
fn request(args: &Args, session: &Session, now: DateTime<Utc>) -> anyhow::Result<PlanRequest> {
    let config = session.config();
    let range = |option: &str, text: &Option<String>| -> anyhow::Result<Option<Moment>> {
        text.as_deref()
            .map(|text| moment(option, text, now))
            .transpose()
    };
    let environment = target(args, session);
    let mut choices = session.choices(args.categories.iter().cloned().collect(), &user());
    if args.more.no_auto_categorization {
        (choices.sql, choices.seed, choices.external) = (Ask::Always, Ask::Always, Ask::Always);
    }
    Ok(PlanRequest {
        start: range("--start", &args.start)?,
        end: range("--end", &args.end)?,
        execution_time: now,
        include_unmodified: args.include_unmodified || config.plan.include_unmodified,
        against_prod: config.plan.always_recreate_environment && !environment.is_prod(),
        naming: session.naming(&environment),
        expires_at: session.expires_at(&environment, now),
        choices,
        extra: args.more.extra(
            &config.plan,
            config.tables_carry_on(),
            session.folder(),
            now,
        )?,
        actor: user(),
        environment,
    })
}

/// The project, with its models unless an earlier answer may do. One that has lost its last model is opened as well,
/// where that leaves something to remove.
async fn open(settings: &Settings, args: &Args) -> anyhow::Result<Opened> {
    let opened = Opened::open(&settings.session()).await;
    let error = match opened {
        Ok(opened) => return Ok(opened),
        Err(error) => error,
    };
    let lacks_models = error.downcast_ref::<OpenError>().is_some_and(|open| {
        let mut errors = open.diagnostics.iter().filter(|found| found.is_error());
        errors.all(|found| found.rule == NO_MODELS)
    });
    if !lacks_models {
        return Err(error);
    }
    let session = Session::open_config(&settings.session()).await?;
    let environment = session
        .state()
        .environment(&target(args, &session))
        .await
        .context("reading the environment")?;
    let has_models = environment.is_some_and(|environment| !environment.snapshots.is_empty());
    if has_models {
        Ok(Opened::Read(session))
    } else {
        Err(error)
    }
}

/// The environment to change.
fn target(args: &Args, session: &Session) -> EnvironmentName {
    let named = args.environment.clone();
    named.unwrap_or_else(|| session.default_environment())
}

/// How many views the environment has, if the plan leaves none of them.
fn all_removed(planned: &Planned) -> Option<usize> {
    let target = planned.current.target.as_ref()?;
    let before = target.snapshots.iter().filter(|entry| entry.view).count();
    let left = planned.plan.promoted.snapshots.iter();
    let is_left = left.into_iter().any(|entry| entry.view);
    (before > 0 && !is_left).then_some(before)
}

/// What applying takes. The warehouse is asked about models without a past, where it is there and this process would
/// open it anyway: to look at a plan must not keep anybody out of a DuckDB file.
async fn estimate(
    planned: &Planned,
    session: &Session,
    will_open: bool,
) -> anyhow::Result<PlanEstimate> {
    let prices = &session.prices();
    let state = session.state();
    let estimate = ops::estimate(planned, state, None, prices).await?;
    let is_server = matches!(
        session
            .config()
            .gateway()
            .map(|gateway| &gateway.connection),
        Some(Connection::Postgres(_))
    );
    let may_ask = planned.current.prod.is_some() && (will_open || is_server);
    if !may_ask || estimate.models.values().all(|model| model.runs > 0) {
        return Ok(estimate);
    }
    match session.engine().await {
        Ok(engine) => ops::estimate(planned, state, Some(engine.as_ref()), prices).await,
        Err(_) => Ok(estimate),
    }
}

/// A project that cannot be opened: programs get the diagnostics in a plan without models.
fn refused(error: anyhow::Error, args: &Args, printer: &Printer) -> anyhow::Result<Ending> {
    let Some(open) = error
        .downcast_ref::<OpenError>()
        .filter(|_| printer.format == Format::Json)
    else {
        return Err(error);
    };
    printer.json(&PlanSummary {
        version: SUMMARY_VERSION,
        environment: args
            .environment
            .clone()
            .unwrap_or_else(EnvironmentName::prod)
            .to_string(),
        compared_with: EnvironmentName::prod().to_string(),
        plan_id: String::new(),
        virtual_update_only: false,
        models: Vec::new(),
        estimate: None,
        restated: Vec::new(),
        stages: Vec::new(),
        diagnostics: open.diagnostics.clone(),
    })?;
    Ok(Ending::Failed)
}

/// What the state's own times are taken from: the clock, unless the caller set it.
fn now_or(args: &Args, execution_time: DateTime<Utc>) -> DateTime<Utc> {
    if args.execution_time.is_some() {
        execution_time
    } else {
        now()
    }
}

/// The plan as it is printed.
fn shown(summary: &PlanSummary, diff: bool, printer: &Printer) -> anyhow::Result<String> {
    let show = Show {
        diff,
        paint: printer.paint(),
    };
    Ok(match printer.format {
        Format::Json => serde_json::to_string_pretty(summary)?,
        Format::Markdown => {
            let text = plan_text::render(summary, show);
            format!("```\n{}\n```", text.replace("```", "` ` `"))
        }
        Format::Text | Format::Mermaid => plan_text::render(summary, show),
    })
}

fn shows_diff(args: &Args, session: &Session) -> bool {
    !(args.no_diff || session.config().plan.no_diff)
}

/// What decides how a plan is printed, besides what it says.
fn form(args: &Args, session: &Session, printer: &Printer) -> String {
    let diff = shows_diff(args, session);
    let (format, paint) = (printer.format, printer.paint());
    format!("{format:?} {paint:?} {diff} {}", args.more.explain)
}

fn nothing_to_do(planned: &Planned, request: &PlanRequest) -> String {
    let name = &planned.plan.promoted.name;
    if !request.extra.restate.is_empty() {
        return format!("Nothing of `{name}` is filled again.");
    }
    if planned.current.target.is_none() && !name.is_prod() {
        return format!(
            "No changes to plan: `{name}` would show nothing that `{}` does not. --include-unmodified makes it all the same.",
            planned.summary.compared_with
        );
    }
    format!("No changes to plan: the project matches `{name}`.")
}

/// A time range makes no sense without an order.
pub(super) fn check_order(start: Option<&Moment>, end: Option<&Moment>) -> Result<(), Usage> {
    match (start, end) {
        (Some(start), Some(end)) if start.as_start() >= end.as_end() => Err(Usage(format!(
            "--end {} is before --start {}; give a later end or an earlier start",
            end.as_start().format("%Y-%m-%d %H:%M"),
            start.as_start().format("%Y-%m-%d %H:%M")
        ))),
        _ => Ok(()),
    }
}

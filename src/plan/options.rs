//! What a caller wants of a plan, and why there can be none.

use std::collections::BTreeSet;

use chrono::DateTime;
use chrono::Utc;

use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::model::Moment;

/// What the caller wants of a plan.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// The environment to change.
    pub environment: EnvironmentName,
    /// First moment to fill: for a development environment, or of a restatement.
    pub start: Option<Moment>,
    /// Last moment to fill (a date counts whole): for a development environment, or of a restatement.
    pub end: Option<Moment>,
    /// "Now".
    pub execution_time: DateTime<Utc>,
    /// Whether a development environment shows every model, not only those that differ.
    pub include_unmodified: bool,
    /// Who asks.
    pub actor: String,
    /// When a development environment may be removed; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// What else is asked.
    pub wishes: Wishes,
}

/// What most plans are not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The only models to build and to show, with all that they read; `None` means all that differ.
    pub backfill: Option<BTreeSet<ModelName>>,
    /// Whether a table that takes another's place must cover all that the other one has.
    pub no_gaps: bool,
    /// Whether tables are made but not filled.
    pub skip_backfill: bool,
    /// Whether tables are made empty and count as filled, in this environment alone.
    pub empty_backfill: bool,
    /// Whether everything that is due is filled as well, as by a run.
    pub run: bool,
    /// Whether intervals that are over count as due before the cron fires; only with `run`.
    pub ignore_cron: bool,
    /// How many intervals of each model are filled at least, whatever the start.
    pub min_intervals: u32,
    /// Whether what a forward-only model would compute is left out of development environments: they show the rows that
    /// production has.
    pub no_preview: bool,
    /// Models whose tables may lose columns.
    pub allow_destructive: BTreeSet<ModelName>,
    /// Models whose tables may gain columns.
    pub allow_additive: BTreeSet<ModelName>,
}

/// Why there can be no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// `--start` or `--end` for production.
    #[error(
        "a start or an end cannot be given for `prod`: production is filled from each model's own start; \
         only with --restate-model does a range make sense there"
    )]
    RangeInProduction,
    /// `--end` before `--start`.
    #[error(
        "--end: the end {end} is not after the start {start}; give a later --end or an earlier --start"
    )]
    EmptyRange {
        /// As given.
        start: DateTime<Utc>,
        /// As given, exclusive.
        end: DateTime<Utc>,
    },
    /// `--end` after now.
    #[error("the end {end} is after the execution time {now}")]
    EndInTheFuture {
        /// As given, exclusive.
        end: DateTime<Utc>,
        /// The execution time.
        now: DateTime<Utc>,
    },
    /// An option that would let production show what it does not have.
    #[error("{option} is for development environments only: {why}")]
    OnlyInDevelopment {
        /// As on the command line.
        option: &'static str,
        /// In words.
        why: &'static str,
    },
    /// Two options that contradict each other, or one that needs another.
    #[error("{0}")]
    Contradiction(String),
    /// A selector that cannot be read, or that means nothing.
    #[error("{option}: {reason}")]
    Selection {
        /// As on the command line.
        option: &'static str,
        /// In words.
        reason: String,
    },
    /// A restatement or a selection in an environment that is not there.
    #[error("there is no environment `{0}` to restate; plan and apply it first")]
    NoEnvironment(EnvironmentName),
    /// `--no-gaps` and a gap.
    #[error(
        "`{model}` would have a gap: its new table lacks {missing}, which the one that is shown has; \
         plan without --no-gaps, or fill it first"
    )]
    Gap {
        /// Whose table.
        model: ModelName,
        /// What it lacks, in words.
        missing: String,
    },
}

/// Fails when the options contradict each other or the environment.
///
/// # Errors
/// [`PlanError`] with what contradicts what.
pub(super) fn check(options: &PlanOptions, restates: bool) -> Result<(), PlanError> {
    check_wishes(options)?;
    let has_range = options.start.is_some() || options.end.is_some();
    if options.environment.is_prod() && has_range && !restates {
        return Err(PlanError::RangeInProduction);
    }
    let end = options.end.map(Moment::as_end);
    if let Some(end) = end
        && end > options.execution_time
        // A date counts whole; today is as far as today goes.
        && options.end.is_some_and(|moment| moment.as_start() > options.execution_time || !moment.is_date)
    {
        return Err(PlanError::EndInTheFuture {
            end,
            now: options.execution_time,
        });
    }
    let start = options.start.map(Moment::as_start);
    let until = end.unwrap_or(options.execution_time);
    if let Some(start) = start.filter(|start| *start >= until) {
        return Err(PlanError::EmptyRange { start, end: until });
    }
    Ok(())
}

fn check_wishes(options: &PlanOptions) -> Result<(), PlanError> {
    let wishes = &options.wishes;
    let in_production = [
        (
            wishes.backfill.is_some(),
            "--backfill-model",
            "production never shows a table that is not filled",
        ),
        (
            wishes.skip_backfill,
            "--skip-backfill",
            "production never shows a table that is not filled",
        ),
        (
            wishes.empty_backfill,
            "--empty-backfill",
            "production never shows a table as filled that is empty",
        ),
    ];
    if options.environment.is_prod()
        && let Some((_, option, why)) = in_production.into_iter().find(|(asked, _, _)| *asked)
    {
        return Err(PlanError::OnlyInDevelopment { option, why });
    }
    let contradiction = |text: &str| Err(PlanError::Contradiction(text.to_owned()));
    if wishes.ignore_cron && !wishes.run {
        return contradiction("--ignore-cron needs --run: a plan by itself fills nothing new");
    }
    if wishes.skip_backfill && wishes.empty_backfill {
        return contradiction("--skip-backfill and --empty-backfill exclude each other");
    }
    if (wishes.skip_backfill || wishes.empty_backfill) && wishes.run {
        return contradiction(
            "--run fills what is due; it excludes --skip-backfill and --empty-backfill",
        );
    }
    if wishes.skip_backfill && wishes.no_gaps {
        return contradiction("--no-gaps asks for what --skip-backfill leaves out");
    }
    Ok(())
}

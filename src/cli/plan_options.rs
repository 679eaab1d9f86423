//! The options of `siding plan` that most plans do without.

use std::path::Path;

use chrono::DateTime;
use chrono::Utc;

use crate::cli::Usage;
use crate::cli::settings::changed;
use crate::cli::settings::moment;
use crate::environment::EnvironmentName;
use crate::model::Selector;
use crate::ops::PlanExtra;
use crate::plan::Wishes;
use crate::project::PlanConfig;

/// What to build of a plan, and what of the tables that are there to keep.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Fill these models and all that reads them again, with the definitions that the environment has; may be repeated
    #[arg(short = 'r', long = "restate-model", value_name = "SELECTOR")]
    restate_models: Vec<String>,
    /// Take only these models from the project, all others as the environment has them; may be repeated
    #[arg(short = 'm', long = "select-model", value_name = "SELECTOR")]
    select_models: Vec<String>,
    /// Build and show only these models in a development environment; may be repeated
    #[arg(short = 'b', long = "backfill-model", value_name = "SELECTOR")]
    backfill_models: Vec<String>,
    /// Environment that a new one is compared with instead of production
    #[arg(long, value_name = "ENV", value_parser = str::parse::<EnvironmentName>)]
    create_from: Option<EnvironmentName>,
    /// Keep the rows that are there: new definitions are for rows to come
    #[arg(long)]
    forward_only: bool,
    /// From when on rows of forward-only changes are computed again
    #[arg(long, value_name = "DATE", requires = "forward_only")]
    effective_from: Option<String>,
    /// Show in a development environment what forward-only models would compute, whatever the project says
    #[arg(long)]
    enable_preview: bool,
    /// Let forward-only changes of these models drop columns; may be repeated
    #[arg(long = "allow-destructive-model", value_name = "SELECTOR")]
    allow_destructive_models: Vec<String>,
    /// Let forward-only changes of these models add columns; may be repeated
    #[arg(long = "allow-additive-model", value_name = "SELECTOR")]
    allow_additive_models: Vec<String>,
    /// Refuse to show a table that has less than the one in whose place it comes
    #[arg(long)]
    no_gaps: bool,
    /// Make the tables of a development environment, but leave them empty
    #[arg(long, visible_alias = "dry-run")]
    skip_backfill: bool,
    /// The same, and count them as filled in this environment
    #[arg(long)]
    empty_backfill: bool,
    /// Fill everything that is due as well, as `siding run` does
    #[arg(long)]
    run: bool,
    /// With --run: fill whole intervals that are over, even if their cron has not fired yet
    #[arg(long, requires = "run")]
    ignore_cron: bool,
    /// With --start: fill at least this many intervals of each model
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 0,
        requires = "start",
        hide_default_value = true
    )]
    min_intervals: u32,
    /// With --auto-apply: let the plan remove every view that the environment has
    #[arg(long)]
    pub(super) remove_all: bool,
    /// Let people decide about every edited model, whatever the project says
    #[arg(long)]
    pub(super) no_auto_categorization: bool,
    /// Say step by step what applying would do; nothing is done
    #[arg(long, conflicts_with = "auto_apply")]
    pub(super) explain: bool,
}

impl Options {
    /// The options as a request; `config` is what the project in the folder `project` says, `now` what dates are
    /// relative to. `carries_on` says that tables carry on whatever changes.
    ///
    /// # Errors
    /// When a date cannot be read, or Git does not know a branch.
    pub(super) fn extra(
        &self,
        config: &PlanConfig,
        carries_on: bool,
        project: &Path,
        now: DateTime<Utc>,
    ) -> anyhow::Result<PlanExtra> {
        if self.min_intervals > 100_000 {
            let message = format!(
                "--min-intervals: {} is more than 100000",
                self.min_intervals
            );
            return Err(Usage(message).into());
        }
        let effective_from = self.effective_from.as_deref();
        let restates = !self.restate_models.is_empty();
        let by_config = (config.forward_only || carries_on) && !restates;
        let forward_only = self.forward_only || by_config;
        let previews = self.enable_preview || config.enable_preview != Some(false);
        Ok(PlanExtra {
            create_from: self.create_from.clone(),
            restate: self.restate_models.clone(),
            select: self.select_models.clone(),
            backfill: self.backfill_models.clone(),
            forward_only,
            by_mode: carries_on && !self.forward_only,
            finalized_only: config.use_finalized_state,
            effective_from: effective_from
                .map(|text| moment("--effective-from", text, now))
                .transpose()?,
            allow_destructive: self.allow_destructive_models.clone(),
            allow_additive: self.allow_additive_models.clone(),
            changed: changed(project, &self.selectors())?,
            wishes: Wishes {
                no_gaps: self.no_gaps,
                skip_backfill: self.skip_backfill,
                empty_backfill: self.empty_backfill,
                run: self.run,
                ignore_cron: self.ignore_cron,
                min_intervals: self.min_intervals,
                // Who asks for forward-only changes asks what they would compute.
                no_preview: !previews && !forward_only,
                ..Wishes::default()
            },
        })
    }

    /// All selectors that can be read; planning says what is wrong with the others.
    fn selectors(&self) -> Vec<Selector> {
        let texts = self.restate_models.iter().chain(&self.select_models);
        let texts = texts.chain(&self.backfill_models);
        let texts = texts.chain(&self.allow_destructive_models);
        let texts = texts.chain(&self.allow_additive_models);
        texts
            .filter_map(|text| Selector::parse(text).ok())
            .collect()
    }
}

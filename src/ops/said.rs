//! What whoever reads a plan must know about tables that do not hold what their definition says.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::plan::Current;
use crate::plan::Plan;
use crate::plan::PlanOptions;
use crate::plan::Work;
use crate::snapshot::Intervals;

/// How many names a sentence lists.
const MOST_NAMES: usize = 8;

/// Tables that the plan shows and leaves empty, one warning for each reason.
pub(super) fn empty_tables(
    plan: &Plan,
    current: &Current,
    options: &PlanOptions,
) -> Vec<Diagnostic> {
    let environment = &options.environment;
    let work: BTreeMap<&ModelName, &Work> =
        plan.work.iter().map(|work| (&work.name, work)).collect();
    let is_empty = |entry: &&PromotedSnapshot| {
        let snapshot = &plan.draft.snapshots[&entry.id.name];
        let key = (entry.id.name.clone(), entry.version.clone());
        let filled = current.filled.get(&key);
        let work = work.get(&entry.id.name);
        let gets = work.is_some_and(|work| !work.batches.is_empty() || work.base.is_some());
        snapshot.model.kind.is_materialized() && filled.is_none_or(Intervals::is_empty) && !gets
    };
    let shown = plan.promoted.snapshots.iter().filter(|entry| entry.view);
    let empty: Vec<&PromotedSnapshot> = shown.filter(is_empty).collect();
    let (hollow, bare): (Vec<_>, Vec<_>) = empty
        .into_iter()
        .map(|entry| &entry.id.name)
        .partition(|name| work.get(name).is_some_and(|work| work.hollow));
    let mut told = Vec::new();
    let mut tell = |message: String, help: &str| {
        told.push(Diagnostic::warning("empty-tables", message).help(help));
    };
    if options.wishes.skip_backfill {
        let tables = if bare.is_empty() {
            "what is missing of tables is not filled".to_owned()
        } else {
            let names = listed(&bare);
            format!("tables that are new stay empty, with all that reads them: {names}")
        };
        let message = format!("--skip-backfill: in `{environment}`, {tables}");
        tell(message, "The next plan without it fills them.");
    } else if !bare.is_empty() {
        let names = listed(&bare);
        let message = format!("tables that `{environment}` shows stay empty: {names}");
        let help = if options.start.is_some() || options.end.is_some() {
            "No interval of theirs is whole between --start and --end; give more time, or --min-intervals 1."
        } else {
            "No interval of theirs is over; `siding run` fills them when one is."
        };
        tell(message, help);
    }
    if !hollow.is_empty() {
        let names = listed(&hollow);
        let message = format!(
            "--empty-backfill: tables that are new stay empty in `{environment}` and count as filled there: {names}"
        );
        let help = "They are never promoted; a plan without it builds the real ones.";
        tell(message, help);
    }
    told
}

pub(super) fn listed(names: &[&ModelName]) -> String {
    let shown = names.iter().take(MOST_NAMES);
    let shown: Vec<String> = shown.map(|name| format!("`{name}`")).collect();
    let more = match names.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}

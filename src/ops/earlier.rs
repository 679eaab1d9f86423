//! What whoever reads a plan must know about a "now" that lies before what is filled.

use std::collections::BTreeMap;

use chrono::DateTime;
use chrono::Utc;

use crate::diagnostic::Diagnostic;
use crate::environment::PromotedSnapshot;
use crate::model::ModelName;
use crate::plan::Current;
use crate::plan::Plan;
use crate::plan::PlanOptions;
use crate::plan::Work;
use crate::snapshot::Intervals;
use crate::snapshot::Version;

/// How many models the sentence names.
const MOST_NAMES: usize = 4;

/// The warning that new tables end before those that they replace, because the plan's "now" lies before the end of these.
pub(super) fn ends_earlier(
    plan: &Plan,
    current: &Current,
    options: &PlanOptions,
) -> Option<Diagnostic> {
    let before = current.target.as_ref().or(current.prod.as_ref())?;
    // Whoever says --end wants the end.
    if options.end.is_some() {
        return None;
    }
    let shown = before.snapshots.iter().filter(|entry| entry.view);
    let shown: BTreeMap<&ModelName, &PromotedSnapshot> =
        shown.map(|entry| (&entry.id.name, entry)).collect();
    let work: BTreeMap<&ModelName, &Work> =
        plan.work.iter().map(|work| (&work.name, work)).collect();
    let earlier = plan.promoted.snapshots.iter().filter_map(|entry| {
        let name = &entry.id.name;
        let replaced = shown.get(name)?;
        let snapshot = plan.draft.snapshots.get(name)?;
        if !entry.view || replaced.version == entry.version || !snapshot.model.kind.is_incremental()
        {
            return None;
        }
        let there = end(current.filled.get(&key(replaced))?)?;
        let filled = current.filled.get(&key(entry)).and_then(end);
        let work = work.get(name);
        let ranges = work.into_iter().flat_map(|work| &work.ranges);
        let bases = work.into_iter().filter_map(|work| work.base.as_ref());
        let ranges = ranges.chain(bases.flat_map(|base| &base.keep));
        let new = ranges.map(|range| range.end()).chain(filled).max()?;
        (new < there && options.execution_time < there).then_some((name, new, there))
    });
    let earlier: Vec<(&ModelName, DateTime<Utc>, DateTime<Utc>)> = earlier.collect();
    let latest = earlier.iter().map(|(_, _, there)| *there).max()?;
    let named = earlier.iter().take(MOST_NAMES).map(|(name, new, there)| {
        format!(
            "`{name}` at {} instead of {}",
            written(*new),
            written(*there)
        )
    });
    let named: Vec<String> = named.collect();
    let more = match earlier.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let message = format!(
        "at {} tables of `{}` end before what `{}` shows: {}{more}",
        written(options.execution_time),
        options.environment,
        before.name,
        named.join(", ")
    );
    let latest = written(latest);
    let help = if options.environment.is_prod() {
        format!(
            "Readers miss the rest until a run fills it: plan without --execution-time, or with {latest}; --no-gaps refuses such plans."
        )
    } else {
        format!("Plan without --execution-time, or with {latest}, to fill as much.")
    };
    Some(Diagnostic::warning("ends-earlier", message).help(help))
}

fn key(entry: &PromotedSnapshot) -> (ModelName, Version) {
    (entry.id.name.clone(), entry.version.clone())
}

fn end(filled: &Intervals) -> Option<DateTime<Utc>> {
    filled.as_slice().last().map(|last| last.end())
}

/// A day alone where it begins then.
fn written(time: DateTime<Utc>) -> String {
    let text = time.format("%Y-%m-%d %H:%M").to_string();
    text.strip_suffix(" 00:00")
        .map_or(text.clone(), str::to_owned)
}

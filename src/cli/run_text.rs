//! What a run did, for people and programs.

use std::collections::BTreeSet;

use chrono::DateTime;
use chrono::SecondsFormat;
use chrono::Utc;
use serde_json::Value;
use serde_json::json;

use crate::cli::plan_text::range;
use crate::environment::EnvironmentName;
use crate::model::ModelName;
use crate::ops;
use crate::ops::RunReport;
use crate::project::Config;
use crate::scheduler::CutShort;
use crate::scheduler::ModelOutcome;
use crate::scheduler::Outcome;
use crate::scheduler::Wait;
use crate::scheduler::WaitsFor;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;

/// The columns of [`rows`].
pub(super) const HEADER: [&str; 6] = ["MODEL", "INTERVALS", "ROWS", "SECONDS", "AUDITS", "STATUS"];

/// Most ranges of one model that are listed.
const MOST_RANGES: usize = 3;

/// One row a model: those that were tried in the order they ended, then those that were not.
pub(super) fn rows(outcome: &Outcome) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = outcome.models.iter().map(tried).collect();
    let not_tried = |name: &dyn std::fmt::Display, status: String| {
        let mut row = vec![name.to_string()];
        row.extend(["", "", "", ""].map(str::to_owned));
        row.push(status);
        row
    };
    for (name, because) in &outcome.skipped {
        rows.push(not_tried(
            name,
            format!("skipped, because {because} failed"),
        ));
    }
    let tried: BTreeSet<_> = outcome.models.iter().map(|model| &model.name).collect();
    for name in outcome.left.iter().filter(|name| !tried.contains(name)) {
        rows.push(not_tried(name, "not tried".to_owned()));
    }
    rows
}

fn tried(model: &ModelOutcome) -> Vec<String> {
    let audits = match (model.audits_passed, model.warnings.len()) {
        (0, 0) => String::new(),
        (passed, 0) => format!("{passed} passed"),
        (passed, warned) => format!("{passed} passed, {warned} warned"),
    };
    let status = match model.elsewhere {
        0 if !model.waits.is_empty() => waits(model),
        0 => model.status.name().to_owned(),
        some => format!("{}, {some} by another process", model.status.name()),
    };
    vec![
        model.name.to_string(),
        intervals(&model.batches),
        model.rows.map_or_else(String::new, |rows| rows.to_string()),
        format!("{:.2}", model.took.as_secs_f64()),
        audits,
        status,
    ]
}

/// `waits for the signal landed()`, and for what else.
fn waits(model: &ModelOutcome) -> String {
    let on: BTreeSet<String> = model.waits.iter().map(|wait| wait.on.to_string()).collect();
    let on: Vec<String> = on.into_iter().map(|on| on.replace('`', "")).collect();
    format!("waits for {}", on.join(", "))
}

/// The batches as ranges that neither overlap nor touch.
fn intervals(batches: &[Interval]) -> String {
    let merged: Intervals = batches.iter().copied().collect();
    ranges(merged.as_slice())
}

/// Ranges, the first few of them.
pub(super) fn ranges(merged: &[Interval]) -> String {
    let mut shown: Vec<String> = merged
        .iter()
        .take(MOST_RANGES)
        .map(|merged| range(merged.start(), merged.end()))
        .collect();
    let rest = merged.len().saturating_sub(MOST_RANGES);
    if rest > 0 {
        shown.push(format!("and {rest} more"));
    }
    shown.join(", ")
}

/// What came of it, in sentences.
pub(super) fn summary(environment: &EnvironmentName, report: &RunReport) -> String {
    let outcome = &report.outcome;
    match outcome.cut_short {
        Some(CutShort::Stopped) => format!(
            "Stopped. Filled {}; {} left. What was filled is recorded, what ran was taken back; run again for the rest.",
            count(filled_here(outcome)),
            count(outcome.left.len()),
        ),
        Some(CutShort::EnvironmentChanged) => format!(
            "Another plan has changed `{environment}`. Filled {}; {} left. What was filled is recorded; run again.",
            count(filled_here(outcome)),
            count(outcome.left.len()),
        ),
        None if report.work.is_empty() => match report.next {
            Some(next) => format!(
                "Nothing is due in `{environment}`. The next interval is due at {}.",
                instant(next)
            ),
            None => format!("Nothing is due in `{environment}`, and nothing ever will be."),
        },
        None if outcome.is_complete() && waiting(outcome) > 0 && filled_here(outcome) == 0 => {
            format!(
                "Nothing is filled: what is due in `{environment}` waits for signals, in {}. The next run asks again.",
                count(waiting(outcome)),
            )
        }
        None if outcome.is_complete() => format!(
            "Done. Filled {} of `{environment}`{}{}.",
            count(filled_here(outcome)),
            by_others(outcome),
            match waiting(outcome) {
                0 => String::new(),
                1 => "; 1 model waits for a signal".to_owned(),
                more => format!("; {more} models wait for signals"),
            }
        ),
        None => format!(
            "Filled {}, {} failed, {} skipped. What was filled is recorded; run again for the rest.",
            count(filled_here(outcome)),
            outcome.failed.len(),
            outcome.skipped.len()
        ),
    }
}

/// How many of the filled models this process has filled, at least in part.
fn filled_here(outcome: &Outcome) -> usize {
    let here = outcome
        .models
        .iter()
        .filter(|model| !model.batches.is_empty());
    here.filter(|model| outcome.filled.contains(&model.name))
        .count()
}

/// How many models have something that waits.
fn waiting(outcome: &Outcome) -> usize {
    let models = outcome.models.iter();
    models.filter(|model| !model.waits.is_empty()).count()
}

/// `; another process filled 2 models`; nothing where none did.
fn by_others(outcome: &Outcome) -> String {
    let others = outcome.models.iter();
    let others = others.filter(|model| model.batches.is_empty() && model.elsewhere > 0);
    match others.count() {
        0 => String::new(),
        others => format!("; another process filled {}", count(others)),
    }
}

/// The same for programs.
pub(super) fn json(config: &Config, environment: &EnvironmentName, report: &RunReport) -> Value {
    let outcome = &report.outcome;
    let due = report.work.iter().map(|work| {
        json!({
            "name": work.name,
            "table": ops::plain_name(config, &work.table),
            "intervals": work.ranges.iter().map(pair).collect::<Vec<_>>(),
            "batches": work.batches.len(),
        })
    });
    let models = outcome.models.iter().map(|model| {
        json!({
            "name": model.name,
            "status": model.status.name(),
            "batches": model.batches.iter().map(pair).collect::<Vec<_>>(),
            "by_another_process": model.elsewhere,
            "rows": model.rows,
            "seconds": model.took.as_secs_f64(),
            "audits_passed": model.audits_passed,
            "warnings": model.warnings,
        })
    });
    let failed = outcome
        .failed
        .iter()
        .map(|(name, error)| json!({"name": name, "error": format!("{error:#}")}));
    let skipped = outcome
        .skipped
        .iter()
        .map(|(name, because)| json!({"name": name, "because": because}));
    let waiting = outcome.waiting();
    let mut waiting: Vec<_> = waiting
        .map(|(name, wait)| (name.clone(), wait.clone()))
        .collect();
    waiting.sort_by(|(a, _), (b, _)| a.cmp(b));
    json!({
        "version": 1,
        "environment": environment,
        "due": due.collect::<Vec<_>>(),
        "models": models.collect::<Vec<_>>(),
        "filled": outcome.filled,
        "failed": failed.collect::<Vec<_>>(),
        "skipped": skipped.collect::<Vec<_>>(),
        "left": outcome.left,
        "waiting": waiting.iter().map(waits_json).collect::<Vec<_>>(),
        "ended": match outcome.cut_short {
            None => "done",
            Some(CutShort::Stopped) => "stopped",
            Some(CutShort::EnvironmentChanged) => "environment_changed",
        },
        "restarts": report.restarts,
        "finished_switch": report.finished_switch,
        "next": report.next,
        "warnings": outcome.warnings,
    })
}

/// What waits: for a signal of the model's own, or for another model.
pub(super) fn waits_json((name, wait): &(ModelName, Wait)) -> Value {
    let intervals: Vec<_> = wait.ranges.iter().map(pair).collect();
    match &wait.on {
        WaitsFor::Signal(call) => json!({"name": name, "intervals": intervals, "signal": call}),
        WaitsFor::Model(because) => {
            json!({"name": name, "intervals": intervals, "because": because})
        }
    }
}

fn pair(range: &Interval) -> (DateTime<Utc>, DateTime<Utc>) {
    (range.start(), range.end())
}

fn instant(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn count(models: usize) -> String {
    if models == 1 {
        "1 model".to_owned()
    } else {
        format!("{models} models")
    }
}

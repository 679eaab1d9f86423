//! A plan for people: a tree of what differs, the text diff of each changed model, what is filled.

use chrono::DateTime;
use chrono::NaiveTime;
use chrono::Utc;

use crate::cli::printer::Paint;
use crate::cli::printer::Tone;
use crate::plan::Estimate;
use crate::plan::ModelChange;
use crate::plan::ModelSummary;
use crate::plan::PlanSummary;
use crate::plan::seconds;

/// Which parts to show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Show {
    /// The text diff of each changed model.
    pub(super) diff: bool,
    /// Colours.
    pub(super) paint: Paint,
}

const GROUPS: [(ModelChange, &str, Tone); 5] = [
    (ModelChange::Added, "Added", Tone::Good),
    (ModelChange::Removed, "Removed", Tone::Bad),
    (ModelChange::Direct, "Directly Modified", Tone::Caution),
    (ModelChange::Indirect, "Indirectly Modified", Tone::Caution),
    (ModelChange::Metadata, "Metadata Updated", Tone::Faint),
];

/// The whole plan as text.
pub(super) fn render(plan: &PlanSummary, show: Show) -> String {
    let paint = show.paint;
    let mut lines = Vec::new();
    let heading = if plan.environment == plan.compared_with {
        format!("Differences from `{}`:", plan.compared_with)
    } else {
        format!(
            "Environment `{}`, differences from `{}`:",
            plan.environment, plan.compared_with
        )
    };
    lines.push(paint.tone(Tone::Strong, &heading));
    if plan.changed().next().is_none() && plan.restated.is_empty() {
        lines.push("  the project's models match".to_owned());
    }
    for (change, title, tone) in GROUPS {
        let models: Vec<&ModelSummary> = plan
            .models
            .iter()
            .filter(|model| model.change == change)
            .collect();
        if models.is_empty() {
            continue;
        }
        lines.push(format!("{}:", paint.tone(tone, title)));
        for (index, model) in models.iter().enumerate() {
            let last = index + 1 == models.len();
            push_model(&mut lines, model, last, show);
        }
    }
    push_restated(&mut lines, plan, paint);
    push_backfill(&mut lines, plan, paint);
    push_stages(&mut lines, plan, paint);
    lines.join("\n")
}

fn push_model(lines: &mut Vec<String>, model: &ModelSummary, last: bool, show: Show) {
    let (branch, stem) = if last {
        ("└── ", "    ")
    } else {
        ("├── ", "│   ")
    };
    let category = model
        .category
        .filter(|_| model.change != ModelChange::Added);
    let category = category.map_or_else(String::new, |category| format!(" ({category})"));
    let has_table = !matches!(model.kind.as_str(), "EXTERNAL" | "EMBEDDED");
    let reused = if model.reused && has_table && model.change != ModelChange::Metadata {
        ", table reused"
    } else {
        ""
    };
    lines.push(format!(
        "{branch}{}{category}{}",
        model.name,
        show.paint.tone(Tone::Faint, reused)
    ));
    if !matches!(model.change, ModelChange::Added | ModelChange::Removed) {
        for reason in &model.reasons {
            lines.push(format!("{stem}{}", show.paint.tone(Tone::Faint, reason)));
        }
        for column in &model.columns.added {
            let column = format!("+ {}", model.typed(column));
            lines.push(format!("{stem}{}", show.paint.tone(Tone::Good, &column)));
        }
    }
    if !show.diff || matches!(model.change, ModelChange::Added | ModelChange::Removed) {
        return;
    }
    for line in model.diff.iter().flat_map(|diff| diff.lines()) {
        let tone = match line.as_bytes().first() {
            Some(b'+') => Some(Tone::Good),
            Some(b'-') => Some(Tone::Bad),
            Some(b'@') => Some(Tone::Faint),
            _ => None,
        };
        let line = tone.map_or_else(|| line.to_owned(), |tone| show.paint.tone(tone, line));
        lines.push(format!("{stem}{line}"));
    }
}

fn push_backfill(lines: &mut Vec<String>, plan: &PlanSummary, paint: Paint) {
    let missing: Vec<&ModelSummary> = plan
        .models
        .iter()
        .filter(|model| !model.backfill.is_empty() || model.copied_from.is_some())
        .collect();
    if missing.is_empty() {
        if plan.virtual_update_only && !plan.restated.is_empty() {
            lines.push("No model runs; what other environments made of it is cleared.".to_owned());
        } else if plan.virtual_update_only {
            lines.push("Virtual update only: no model runs, views are switched.".to_owned());
        }
        return;
    }
    lines.push(paint.tone(Tone::Strong, "Models needing backfill:"));
    for (index, model) in missing.iter().enumerate() {
        let branch = if index + 1 == missing.len() {
            "└── "
        } else {
            "├── "
        };
        let takes = plan
            .estimate
            .as_ref()
            .and_then(|plan| plan.models.get(&model.name));
        let takes = takes.and_then(takes_text).unwrap_or_default();
        lines.push(format!(
            "{branch}{}: {}{}{}",
            model.name,
            backfill(model),
            beginning(model),
            paint.tone(Tone::Faint, &takes)
        ));
    }
    if let Some(estimate) = &plan.estimate {
        lines.extend(estimate.in_words().or_else(|| estimate.unknown_in_words()));
    }
}

/// `, about 2.1 min (31 days × 4.1 s, from 12 runs)`; `None` where nothing is known.
fn takes_text(estimate: &Estimate) -> Option<String> {
    let time = estimate.milliseconds?;
    let about = if time.likely < 100 { "" } else { "about " };
    Some(format!(
        ", {about}{} ({})",
        seconds(time.likely),
        estimate.basis
    ))
}

/// What the table of `model` begins with, and what it is for, where that is not the usual.
fn beginning(model: &ModelSummary) -> String {
    let mut said = String::new();
    if let Some(table) = &model.copied_from {
        said = format!(" after a copy of `{table}`");
    }
    if model.hollow {
        said.push_str(" (declared filled, stays empty)");
    }
    if model.preview {
        said.push_str(" (preview)");
    }
    if !model.signals.is_empty() && !model.backfill.is_empty() {
        let calls: Vec<String> = model
            .signals
            .iter()
            .map(|call| format!("`{call}`"))
            .collect();
        said.push_str(&format!(
            ", as far as {} says it is ready",
            calls.join(" and ")
        ));
    }
    said
}

fn push_restated(lines: &mut Vec<String>, plan: &PlanSummary, paint: Paint) {
    if plan.restated.is_empty() {
        return;
    }
    lines.push(paint.tone(
        Tone::Strong,
        "Models selected for restatement, with what reads them:",
    ));
    for (index, name) in plan.restated.iter().enumerate() {
        let last = index + 1 == plan.restated.len();
        let branch = if last { "└── " } else { "├── " };
        lines.push(format!("{branch}{name}"));
    }
}

fn push_stages(lines: &mut Vec<String>, plan: &PlanSummary, paint: Paint) {
    for (number, stage) in plan.stages.iter().enumerate() {
        let title = format!("{}. {}", number + 1, stage.title);
        lines.push(paint.tone(Tone::Strong, &title));
        for (index, step) in stage.steps.iter().enumerate() {
            let last = index + 1 == stage.steps.len();
            let branch = if last { "└── " } else { "├── " };
            lines.push(format!("{branch}{step}"));
        }
    }
}

/// What filling `model` means: ranges for incremental models, else what is rebuilt.
pub(super) fn backfill(model: &ModelSummary) -> String {
    match model.kind.as_str() {
        _ if model.backfill.is_empty() => "[nothing to compute]".to_owned(),
        "INCREMENTAL_BY_TIME_RANGE" => {
            let ranges: Vec<String> = model
                .backfill
                .iter()
                .map(|(start, end)| range(*start, *end))
                .collect();
            let batches = if model.batches > 1 {
                format!(" in {} batches", model.batches)
            } else {
                String::new()
            };
            format!("[{}]{batches}", ranges.join(", "))
        }
        "VIEW" => "[recreate view]".to_owned(),
        "SEED" => "[load seed]".to_owned(),
        _ => "[full refresh]".to_owned(),
    }
}

/// `[start, end)` as people read it: whole days by their dates, both included.
pub(super) fn range(start: DateTime<Utc>, end: DateTime<Utc>) -> String {
    let midnight = |time: DateTime<Utc>| time.time() == NaiveTime::MIN;
    if midnight(start) && midnight(end) {
        let last = end - chrono::TimeDelta::days(1);
        if last == start {
            return start.format("%Y-%m-%d").to_string();
        }
        return format!("{} - {}", start.format("%Y-%m-%d"), last.format("%Y-%m-%d"));
    }
    format!(
        "{} - {}",
        start.format("%Y-%m-%d %H:%M"),
        end.format("%Y-%m-%d %H:%M")
    )
}

//! The table of models.

use std::fmt::Write;

use chrono::DateTime;
use chrono::SecondsFormat;
use chrono::Timelike;
use chrono::Utc;

use crate::bot::markdown::code;
use crate::plan::ModelChange;
use crate::plan::ModelComparison;
use crate::plan::ModelSummary;
use crate::plan::PlanSummary;
use crate::plan::Prepared;

/// Most intervals that one cell names.
const MAX_INTERVALS: usize = 3;

/// The order in which reviewers look at changes.
const ORDER: [(ModelChange, &str); 5] = [
    (ModelChange::Direct, "changed"),
    (ModelChange::Added, "added"),
    (ModelChange::Removed, "removed"),
    (ModelChange::Indirect, "affected"),
    (ModelChange::Metadata, "metadata only"),
];

/// `2 changed, 1 added, 3 affected`; empty when nothing differs.
pub(crate) fn counts(plan: &PlanSummary) -> String {
    let parts: Vec<String> = ORDER
        .iter()
        .filter_map(|(change, word)| {
            let count = plan
                .models
                .iter()
                .filter(|model| model.change == *change)
                .count();
            (count > 0).then(|| format!("{count} {word}"))
        })
        .collect();
    parts.join(", ")
}

/// The changed models as a table of at most `most` rows; `None` when nothing differs.
pub(crate) fn models(prepared: &Prepared, most: usize) -> Option<String> {
    let mut rows: Vec<&ModelSummary> = Vec::new();
    for (change, _) in ORDER {
        rows.extend(
            prepared
                .plan
                .models
                .iter()
                .filter(|model| model.change == change),
        );
    }
    if rows.is_empty() {
        return None;
    }
    let mut table = String::from(
        "| Model | Change | Rows prod → PR | Schema | Missing intervals |\n|---|---|---|---|---|\n",
    );
    for model in rows.iter().take(most) {
        let comparison = prepared
            .comparisons
            .iter()
            .find(|comparison| comparison.name == model.name);
        writeln!(
            table,
            "| {} | {} | {} | {} | {} |",
            code(&model.name),
            change(model),
            comparison.map_or_else(|| "–".to_owned(), row_counts),
            schema(model, comparison),
            backfill(model)
        )
        .expect("a string takes all text");
    }
    if rows.len() > most {
        write!(
            table,
            "\nand {} more: the check `Siding / plan` lists them.\n",
            rows.len() - most
        )
        .expect("a string takes all text");
    }
    Some(table)
}

fn change(model: &ModelSummary) -> String {
    let word = ORDER
        .iter()
        .find(|(change, _)| *change == model.change)
        .map_or("unchanged", |(_, word)| word);
    match model.category {
        // The word says it already.
        Some(_) if model.change == ModelChange::Metadata => word.to_owned(),
        Some(category) => format!("{word}, {category}"),
        None => word.to_owned(),
    }
}

fn row_counts(comparison: &ModelComparison) -> String {
    let shown = |rows: Option<u64>| rows.map_or_else(|| "–".to_owned(), grouped);
    let difference = match (comparison.rows_prod, comparison.rows_environment) {
        (Some(prod), Some(environment)) if environment > prod => {
            format!(" (+{})", grouped(environment - prod))
        }
        (Some(prod), Some(environment)) if environment < prod => {
            format!(" (−{})", grouped(prod - environment))
        }
        (Some(_), Some(_)) => " (=)".to_owned(),
        (None, _) | (_, None) => String::new(),
    };
    format!(
        "{} → {}{difference}",
        shown(comparison.rows_prod),
        shown(comparison.rows_environment)
    )
}

/// `1234567` as `1,234,567`.
fn grouped(rows: u64) -> String {
    let digits = rows.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What the warehouse says about the columns where it was asked, else what the queries say.
fn schema(model: &ModelSummary, comparison: Option<&ModelComparison>) -> String {
    let added = model.columns.added.iter();
    let added_with_types: Vec<String> = added.map(|column| model.typed(column)).collect();
    let (added, removed, changed) = match comparison {
        Some(comparison)
            if comparison.rows_prod.is_some() && comparison.rows_environment.is_some() =>
        {
            (
                &comparison.columns_added,
                &comparison.columns_removed,
                &comparison.columns_changed,
            )
        }
        Some(_) => return "–".to_owned(),
        None => (
            &added_with_types,
            &model.columns.removed,
            &model.columns.changed,
        ),
    };
    let mut parts = Vec::new();
    for (sign, columns) in [("+", added), ("−", removed), ("±", changed)] {
        parts.extend(
            columns
                .iter()
                .take(6)
                .map(|column| format!("{sign}{}", code(column))),
        );
        if columns.len() > 6 {
            parts.push(format!("{sign}{} more", columns.len() - 6));
        }
    }
    if parts.is_empty() {
        return "=".to_owned();
    }
    parts.join(" ")
}

fn backfill(model: &ModelSummary) -> String {
    if model.backfill.is_empty() {
        return if model.reused {
            "none, table reused"
        } else {
            "none"
        }
        .to_owned();
    }
    format!("{}, now filled", intervals(&model.backfill))
}

/// `2024-01-01 → 2024-01-03` each; ends are exclusive.
pub(super) fn intervals(intervals: &[(DateTime<Utc>, DateTime<Utc>)]) -> String {
    let mut parts: Vec<String> = intervals
        .iter()
        .take(MAX_INTERVALS)
        .map(|(start, end)| format!("{} → {}", moment(*start), moment(*end)))
        .collect();
    if intervals.len() > MAX_INTERVALS {
        parts.push(format!("{} more", intervals.len() - MAX_INTERVALS));
    }
    parts.join(", ")
}

fn moment(time: DateTime<Utc>) -> String {
    if time.num_seconds_from_midnight() == 0 {
        time.format("%Y-%m-%d").to_string()
    } else {
        time.to_rfc3339_opts(SecondsFormat::Secs, true)
    }
}

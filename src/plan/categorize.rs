//! Judge one changed model: what the change means for its table and for its readers.
//!
//! Everything follows from the two surfaces: whether the table is another one, and what of it readers would see
//! differently. The rest of this file finds words for it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::model::Model;
use crate::model::ModelKind;
use crate::model::parse;
use crate::plan::diff::Sides;
use crate::plan::properties::described;
use crate::snapshot::Candidate;
use crate::snapshot::ChangeCategory;
use crate::snapshot::Snapshot;
use crate::snapshot::SurfaceChange;
use crate::snapshot::audits_key;
use crate::snapshot::interval_unit;
use crate::sql::Edit;
use crate::sql::Meaning;
use crate::sql::differences;

/// The most reasons that are given for one model.
const MOST_REASONS: usize = 12;

/// A change of one model, judged.
pub(super) struct Judgement {
    /// For its own table.
    pub(super) category: ChangeCategory,
    /// Why, one sentence each.
    pub(super) reasons: Vec<String>,
}

/// Judges a model whose own definition changed what its rows depend on.
pub(super) fn direct(
    previous: &Snapshot,
    candidate: &Candidate,
    change: &SurfaceChange,
    sides: &Sides<'_>,
) -> Judgement {
    let (was, is) = (&previous.model.kind, &candidate.model.kind);
    let is_other_kind =
        std::mem::discriminant(was) != std::mem::discriminant(is) || was.name() != is.name();
    let category = if is_other_kind || change.breaks_readers() {
        ChangeCategory::Breaking
    } else {
        ChangeCategory::NonBreaking
    };
    if previous.surface.is_unknown() {
        return Judgement {
            category,
            reasons: vec!["an older release of Siding planned it: it is built again".to_owned()],
        };
    }
    let mut reasons = property_changes(&previous.model, &candidate.model);
    match (&candidate.model.kind, &candidate.meaning) {
        (_, Some(meaning)) => {
            reasons.extend(query_changes(previous, candidate, change));
            reasons.extend(inherited(candidate, meaning, sides));
        }
        (ModelKind::Seed(_), None) => reasons.extend(column_changes(change, "content")),
        (_, None) => reasons.extend(column_changes(change, "type")),
    }
    if reasons.is_empty() {
        reasons.push(if change.breaks_readers() {
            "the query changed".to_owned()
        } else {
            "the query changed, but neither its rows nor their values".to_owned()
        });
    }
    Judgement { category, reasons }
}

/// Judges a model that was not edited, but that reads something that changed.
pub(super) fn indirect(candidate: &Candidate, is_same_table: bool, sides: &Sides<'_>) -> Judgement {
    if is_same_table {
        return Judgement {
            category: ChangeCategory::IndirectNonBreaking,
            reasons: vec!["it reads nothing that changed".to_owned()],
        };
    }
    let mut reasons: Vec<String> = candidate
        .meaning
        .iter()
        .flat_map(|meaning| inherited(candidate, meaning, sides))
        .collect();
    if reasons.is_empty() {
        reasons.push("what it reads changed".to_owned());
    }
    Judgement {
        category: ChangeCategory::IndirectBreaking,
        reasons,
    }
}

/// Judges a model whose rows cannot have changed.
pub(super) fn metadata(previous: &Snapshot, candidate: &Candidate) -> Judgement {
    let own = previous.fingerprint.metadata != candidate.fingerprint.metadata;
    let reason = if !own {
        "only the metadata of what it reads changed"
    } else if audits_key(&previous.model) != audits_key(&candidate.model) {
        "its audits changed"
    } else {
        "only its metadata changed"
    };
    Judgement {
        category: ChangeCategory::Metadata,
        reasons: vec![reason.to_owned()],
    }
}

/// What of the changes above a model reaches it, in words.
fn inherited(candidate: &Candidate, meaning: &Meaning, sides: &Sides<'_>) -> Vec<String> {
    let changes: Vec<_> = meaning
        .tables
        .iter()
        .map(|table| {
            let name = candidate.model.resolve(table);
            sides.changes.get(&name).map(|change| (name, change))
        })
        .collect();
    let mut reasons = Vec::new();
    if let Some(reason) = &meaning.coarse
        && changes
            .iter()
            .flatten()
            .any(|(_, change)| change.surface != SurfaceChange::default())
    {
        reasons.push(format!(
            "it reads something that changed, and its own query cannot be taken apart: {reason}"
        ));
        return reasons;
    }
    let columns = meaning.columns.iter().flatten();
    let values = columns.map(|column| &column.value);
    let parts: Vec<_> = values.chain([&meaning.rows, &meaning.whole]).collect();
    let rows: BTreeSet<u32> = parts
        .iter()
        .flat_map(|part| part.tables.iter().copied())
        .collect();
    for place in rows {
        if let Some((name, change)) = &changes[place as usize]
            && change.surface.rows
        {
            reasons.push(format!("it reads `{name}`, whose rows change"));
        }
    }
    let read: BTreeSet<u32> = parts
        .iter()
        .flat_map(|part| part.columns.iter().copied())
        .collect();
    let mut by_parent: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for place in read {
        let source = &meaning.sources[place as usize];
        let Some((name, change)) = &changes[source.table as usize] else {
            continue;
        };
        if change.surface.rows {
            continue;
        }
        let surface = &change.surface;
        let reads = match &source.column {
            Some(column) if surface.changed.contains(column) => format!("`{column}`"),
            Some(column) if surface.removed.contains(column) => {
                reasons.push(format!("it reads `{column}` of `{name}`, which is gone"));
                continue;
            }
            None | Some(_) if surface.unknown => "columns that are not known".to_owned(),
            None if *surface != SurfaceChange::default() => "all columns".to_owned(),
            _ => continue,
        };
        by_parent.entry(source.table).or_default().push(reads);
    }
    for (table, columns) in by_parent {
        if let Some((name, _)) = &changes[table as usize] {
            let what = if columns.len() == 1 {
                "changes"
            } else {
                "change"
            };
            reasons.push(format!(
                "it reads {} of `{name}`, which {what}",
                listed(&columns)
            ));
        }
    }
    reasons.dedup();
    reasons.truncate(MOST_REASONS);
    reasons
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What was edited in the query, in words.
fn query_changes(
    previous: &Snapshot,
    candidate: &Candidate,
    change: &SurfaceChange,
) -> Vec<String> {
    let (Some(old), Some(new)) = (parse(&previous.model), parse(&candidate.model)) else {
        return Vec::new();
    };
    let renamed = renamed(previous, change);
    let edit = Edit {
        rows: change.rows,
        added: &change.added,
        removed: &change.removed,
        changed: &change.changed,
        renamed: &renamed,
        reordered: change.reordered,
    };
    let mut reasons = differences(&old, &new, &edit);
    if let Some(reason) = candidate
        .meaning
        .as_ref()
        .and_then(|meaning| meaning.coarse.as_ref())
    {
        reasons.push(format!("the query cannot be taken apart: {reason}"));
    }
    reasons.truncate(MOST_REASONS);
    reasons
}

/// Columns that went while another one with the same value came.
fn renamed(previous: &Snapshot, change: &SurfaceChange) -> Vec<(String, String)> {
    let was = previous.surface.columns.iter().flatten();
    let mut pairs = Vec::new();
    for (name, digest) in was.filter(|(name, _)| change.removed.contains(name)) {
        let other = change.added_values.iter().find(|(other, value)| {
            value == digest && !pairs.iter().any(|(_, taken)| taken == other)
        });
        if let Some((other, _)) = other {
            pairs.push((name.clone(), other.clone()));
        }
    }
    pairs
}

fn column_changes(change: &SurfaceChange, what: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    for name in &change.removed {
        reasons.push(format!("column `{name}` was removed"));
    }
    for name in &change.changed {
        reasons.push(format!("the {what} of column `{name}` changed"));
    }
    for name in &change.added {
        reasons.push(format!("column `{name}` was added"));
    }
    if change.rows {
        reasons.push("the number of its rows changed".to_owned());
    }
    if reasons.is_empty() && change.reordered {
        reasons.push("the order of its columns changed".to_owned());
    }
    reasons.truncate(MOST_REASONS);
    reasons
}

/// Changed properties that rows depend on, besides the query and a seed's content.
fn property_changes(before: &Model, after: &Model) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut compare = |what: &str, old: String, new: String| {
        if old != new {
            reasons.push(format!("{what} changed: `{old}` → `{new}`"));
        }
    };
    compare(
        "the kind",
        before.kind.name().to_owned(),
        after.kind.name().to_owned(),
    );
    if let (
        ModelKind::IncrementalByTimeRange {
            time_column: old_column,
            lookback_intervals: old_lookback,
            ..
        },
        ModelKind::IncrementalByTimeRange {
            time_column: new_column,
            lookback_intervals: new_lookback,
            ..
        },
    ) = (&before.kind, &after.kind)
    {
        compare(
            "the time column",
            old_column.column.clone(),
            new_column.column.clone(),
        );
        compare(
            "the time column's format",
            old_column.format.clone(),
            new_column.format.clone(),
        );
        compare(
            "the lookback",
            old_lookback.to_string(),
            new_lookback.to_string(),
        );
    }
    if before.kind.name() == after.kind.name() {
        let (old, new) = (described(before), described(after));
        let names: BTreeSet<&str> = old.iter().chain(&new).map(|(name, _)| *name).collect();
        let all = |properties: &[(&str, String)], name: &str| -> String {
            let values = properties.iter().filter(|(known, _)| *known == name);
            let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
            values.join("; ")
        };
        for name in names {
            let (was, is) = (all(&old, name), all(&new, name));
            let what = match name.strip_prefix("the ") {
                Some(_) => name.to_owned(),
                None => format!("`{name}`"),
            };
            compare(&what, was, is);
        }
    }
    if let (ModelKind::Seed(old), ModelKind::Seed(new)) = (&before.kind, &after.kind)
        && old.csv != new.csv
    {
        reasons.push("the CSV settings changed".to_owned());
        return reasons;
    }
    compare(
        "the dialect",
        before.dialect.to_string(),
        after.dialect.to_string(),
    );
    compare(
        "the interval unit",
        interval_unit(before),
        interval_unit(after),
    );
    compare(
        "the stamp",
        before.stamp.clone().unwrap_or_default(),
        after.stamp.clone().unwrap_or_default(),
    );
    let declared = |model: &Model| -> BTreeMap<String, Option<String>> {
        let columns = model.columns.iter().flatten();
        columns
            .map(|column| (column.name.clone(), column.data_type.clone()))
            .collect()
    };
    let (old, new) = (declared(before), declared(after));
    for (name, data_type) in &new {
        if let Some(known) = old.get(name).filter(|known| *known != data_type) {
            let text = |data_type: &Option<String>| data_type.clone().unwrap_or_default();
            reasons.push(format!(
                "the type of column `{name}` changed: `{}` → `{}`",
                text(known),
                text(data_type)
            ));
        }
    }
    let is_declared = !matches!(after.kind, ModelKind::Seed(_) | ModelKind::External);
    if is_declared && old.keys().ne(new.keys()) {
        reasons.push("the declared columns changed".to_owned());
    }
    reasons
}

//! Judge one changed model: what the change means for its table and for its readers.
//!
//! Sound before precise: whatever is not proven harmless is breaking.

use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::ColumnChanges;
use crate::plan::Effect;
use crate::plan::Judgement;
use crate::plan::diff::Sides;
use crate::snapshot::Candidate;
use crate::snapshot::ChangeCategory;
use crate::snapshot::Snapshot;
use crate::snapshot::audits_key;
use crate::snapshot::interval_unit;
use crate::snapshot::parse;
use crate::sql::Query;
use crate::sql::QueryChange;
use crate::sql::TableName;
use crate::sql::compare;

/// Judges a model whose own data fingerprint moved.
pub(super) fn direct(
    previous: &Snapshot,
    candidate: &Candidate,
    sides: &Sides<'_>,
) -> (Judgement, ColumnChanges) {
    let (own, columns) = own_change(previous, candidate, sides);
    let inherited = inherited(candidate, written_out(previous, sides).as_ref(), sides);
    let judgement = match (own, inherited) {
        (Own::Breaking(mut reasons), inherited) => {
            reasons.extend(inherited.err());
            Judgement {
                category: ChangeCategory::Breaking,
                effect: Effect::Breaking,
                reasons,
            }
        }
        (Own::Added { reasons, added }, Ok(())) => Judgement {
            category: ChangeCategory::NonBreaking,
            effect: Effect::Added(added),
            reasons,
        },
        // The edit itself is harmless, but a parent's is not: the readers must be rebuilt (L1).
        (Own::Added { mut reasons, .. }, Err(reason)) => {
            reasons.push(reason);
            Judgement {
                category: ChangeCategory::Breaking,
                effect: Effect::Breaking,
                reasons,
            }
        }
    };
    (judgement, columns)
}

/// Judges a model whose own data did not change but whose parents' did.
pub(super) fn indirect(candidate: &Candidate, sides: &Sides<'_>) -> Judgement {
    match inherited(candidate, parse(&candidate.model).as_ref(), sides) {
        Ok(()) => Judgement {
            category: ChangeCategory::IndirectNonBreaking,
            effect: Effect::None,
            reasons: vec!["it reads nothing that changed".to_owned()],
        },
        Err(reason) => Judgement {
            category: ChangeCategory::IndirectBreaking,
            effect: Effect::Breaking,
            reasons: vec![reason],
        },
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
        "only its layout, comments or metadata changed"
    };
    Judgement {
        category: ChangeCategory::Metadata,
        effect: Effect::None,
        reasons: vec![reason.to_owned()],
    }
}

/// What the model's own edit does, whatever its parents do.
enum Own {
    Added {
        added: Vec<String>,
        reasons: Vec<String>,
    },
    Breaking(Vec<String>),
}

fn own_change(
    previous: &Snapshot,
    candidate: &Candidate,
    sides: &Sides<'_>,
) -> (Own, ColumnChanges) {
    let (before, after) = (&*previous.model, &*candidate.model);
    let mut reasons = property_changes(before, after);
    match (&before.kind, &after.kind) {
        (ModelKind::Seed(old), ModelKind::Seed(new)) => {
            let (own, columns) =
                keyed_columns_change(&old.column_hashes, &new.column_hashes, "content");
            return (own.with(reasons), columns);
        }
        (ModelKind::External, ModelKind::External) => {
            let (own, columns) = keyed_columns_change(&declared(before), &declared(after), "type");
            // The declared columns are what was just compared.
            return (own.with(Vec::new()), columns);
        }
        _ => {}
    }
    let (Some(old), Some(new)) = (parse(before), parse(after)) else {
        return (Own::Breaking(reasons), ColumnChanges::default());
    };
    let old_columns = |table: &TableName| {
        let name = before.resolve(table);
        sides
            .old
            .get(&name)
            .and_then(|parent| parent.columns.clone())
    };
    let new_columns = |table: &TableName| {
        let name = after.resolve(table);
        sides
            .new
            .get(&name)
            .and_then(|parent| parent.columns.clone())
    };
    match compare(&old, &old_columns, &new, &new_columns) {
        QueryChange::Same => {
            if reasons.is_empty() {
                reasons.push("its fingerprint changed".to_owned());
            }
            (Own::Breaking(reasons), ColumnChanges::default())
        }
        QueryChange::Additive { added, reason } => {
            let columns = ColumnChanges {
                added: added.clone(),
                ..ColumnChanges::default()
            };
            (
                Own::Added {
                    added,
                    reasons: vec![reason],
                }
                .with(reasons),
                columns,
            )
        }
        QueryChange::Different {
            reasons: found,
            columns,
        } => {
            reasons.extend(found);
            let columns = ColumnChanges {
                added: columns.added,
                removed: columns.removed,
                changed: columns.changed,
            };
            (Own::Breaking(reasons), columns)
        }
    }
}

impl Own {
    /// The same, breaking if any property changed besides.
    fn with(self, properties: Vec<String>) -> Self {
        match self {
            Self::Added { added, reasons } if properties.is_empty() => {
                Self::Added { added, reasons }
            }
            Self::Added { reasons, .. } | Self::Breaking(reasons) => {
                Self::Breaking(properties.into_iter().chain(reasons).collect())
            }
        }
    }
}

/// Compares columns that carry a key (content hash, type): more columns are harmless, anything else is not.
fn keyed_columns_change(
    old: &[(String, String)],
    new: &[(String, String)],
    what: &str,
) -> (Own, ColumnChanges) {
    let names = |columns: &[(String, String)], other: &[(String, String)]| -> Vec<String> {
        columns
            .iter()
            .filter(|(name, _)| !other.iter().any(|(known, _)| known == name))
            .map(|(name, _)| name.clone())
            .collect()
    };
    let changes = ColumnChanges {
        added: names(new, old),
        removed: names(old, new),
        changed: new
            .iter()
            .filter(|(name, key)| {
                old.iter()
                    .any(|(known, before)| known == name && before != key)
            })
            .map(|(name, _)| name.clone())
            .collect(),
    };
    let mut reasons: Vec<String> = Vec::new();
    reasons.extend(
        changes
            .removed
            .iter()
            .map(|name| format!("column `{name}` was removed")),
    );
    reasons.extend(
        changes
            .changed
            .iter()
            .map(|name| format!("the {what} of column `{name}` changed")),
    );
    let kept: Vec<_> = new
        .iter()
        .filter(|(name, _)| !changes.added.contains(name))
        .map(|(name, _)| name)
        .collect();
    if reasons.is_empty() && kept != old.iter().map(|(name, _)| name).collect::<Vec<_>>() {
        reasons.push("the order of its columns changed".to_owned());
    }
    if reasons.is_empty() && !changes.added.is_empty() {
        let reasons = changes
            .added
            .iter()
            .map(|name| format!("column `{name}` was added"))
            .collect();
        return (
            Own::Added {
                added: changes.added.clone(),
                reasons,
            },
            changes,
        );
    }
    (Own::Breaking(reasons), changes)
}

fn declared(model: &Model) -> Vec<(String, String)> {
    let columns = model.columns.iter().flatten();
    columns
        .map(|column| {
            (
                column.name.clone(),
                column.data_type.clone().unwrap_or_default(),
            )
        })
        .collect()
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
    if let (ModelKind::Seed(_), ModelKind::Seed(_)) = (&before.kind, &after.kind) {
        // Which columns there are shows in the file; here only their types matter.
        let (old, new) = (declared(before), declared(after));
        for (name, data_type) in new {
            if let Some((_, known)) = old
                .iter()
                .find(|(known, _)| *known == name)
                .filter(|(_, known)| *known != data_type)
            {
                reasons.push(format!(
                    "the type of column `{name}` changed: `{known}` → `{data_type}`"
                ));
            }
        }
    } else if before.columns != after.columns {
        reasons.push("the declared columns changed".to_owned());
    }
    reasons
}

/// `Ok` when no change of a parent reaches the rows of `query`, which `candidate` has or stands for; otherwise
/// why one does.
fn inherited(
    candidate: &Candidate,
    query: Option<&Query>,
    sides: &Sides<'_>,
) -> Result<(), String> {
    for parent in &candidate.model.depends_on {
        let Some(change) = sides.changes.get(parent) else {
            continue;
        };
        match &change.effect {
            Effect::None => {}
            Effect::Breaking => return Err(format!("it reads `{parent}`, whose rows change")),
            Effect::Added(added) => shielded(candidate, query, parent, added, sides)?,
        }
    }
    Ok(())
}

fn shielded(
    candidate: &Candidate,
    query: Option<&Query>,
    parent: &ModelName,
    added: &[String],
    sides: &Sides<'_>,
) -> Result<(), String> {
    let Some(query) = query else {
        return Err(format!("it reads `{parent}`, which gains columns"));
    };
    let model = &candidate.model;
    let columns_of = |table: &TableName| {
        let name = model.resolve(table);
        sides
            .new
            .get(&name)
            .and_then(|parent| parent.columns.clone())
    };
    for table in query
        .tables()
        .iter()
        .filter(|table| model.resolve(table) == *parent)
    {
        query
            .shields_from_added(table, added, &columns_of)
            .map_err(|reason| format!("it reads `{parent}`, which gains columns: {reason}"))?;
    }
    Ok(())
}

/// The previous query with every `*` written out over the parents' previous columns.
///
/// An additive edit may come from a `*` alone: the parent gained a column. The comparison has shown that the
/// new query, written out, is the previous one with columns more; what is left to ask is whether the
/// previous one, written out, takes notice of what its parents gained.
fn written_out(previous: &Snapshot, sides: &Sides<'_>) -> Option<Query> {
    let model = &previous.model;
    let columns_of = |table: &TableName| {
        let name = model.resolve(table);
        sides
            .old
            .get(&name)
            .and_then(|parent| parent.columns.clone())
    };
    let query = parse(model)?;
    Some(Query::parse(&query.canonical(&columns_of), model.dialect))
}

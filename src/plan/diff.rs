//! Compare the models of a project with those of an environment.

use std::collections::BTreeMap;
use std::sync::Arc;

use similar::TextDiff;

use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::ColumnChanges;
use crate::plan::ModelChange;
use crate::plan::categorize;
use crate::plan::properties::described;
use crate::snapshot::Candidate;
use crate::snapshot::ChangeCategory;
use crate::snapshot::Snapshot;
use crate::snapshot::Surface;
use crate::snapshot::SurfaceChange;
use crate::sql::Schema;

/// How one model differs.
#[derive(Clone, Debug)]
pub struct Change {
    /// In what way.
    pub change: ModelChange,
    /// What it means for its own table; `None` when unchanged or removed.
    pub category: Option<ChangeCategory>,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
    /// Which columns differ.
    pub columns: ColumnChanges,
    /// What readers notice.
    pub surface: SurfaceChange,
    /// The columns of the new version with their types, when it differs and they are known.
    pub schema: Option<Arc<Schema>>,
    /// Unified text diff of the definition, when it differs.
    pub diff: Option<String>,
}

/// What the environment has, and the changes of everything above the model in question.
pub(super) struct Sides<'a> {
    pub(super) old: &'a BTreeMap<ModelName, Snapshot>,
    pub(super) changes: &'a BTreeMap<ModelName, Change>,
}

/// How `candidate`, whose readers see `surface`, differs from what the environment has.
pub(super) fn change(candidate: &Candidate, surface: &Surface, sides: &Sides<'_>) -> Change {
    match sides.old.get(&candidate.id.name) {
        None => added(candidate, surface),
        Some(previous) if previous.id == candidate.id && *previous.surface == *surface => {
            unchanged()
        }
        Some(previous) => modified(previous, candidate, surface, sides),
    }
}

pub(super) fn unchanged() -> Change {
    Change {
        change: ModelChange::Unchanged,
        category: None,
        reasons: Vec::new(),
        columns: ColumnChanges::default(),
        surface: SurfaceChange::default(),
        schema: None,
        diff: None,
    }
}

fn added(candidate: &Candidate, surface: &Surface) -> Change {
    // Declaring an external table does not change the table: what its columns mean for a reader's `*`
    // shows in what the reader's query means.
    let seen = match candidate.model.kind {
        ModelKind::External => SurfaceChange::default(),
        ModelKind::View
        | ModelKind::MaterializedView
        | ModelKind::Full
        | ModelKind::IncrementalByTimeRange { .. }
        | ModelKind::IncrementalByUniqueKey(_)
        | ModelKind::IncrementalByPartition
        | ModelKind::IncrementalUnmanaged { .. }
        | ModelKind::ScdType2(_)
        | ModelKind::Seed(_)
        | ModelKind::Embedded => SurfaceChange {
            rows: true,
            ..SurfaceChange::default()
        },
    };
    let columns = surface.columns.iter().flatten();
    Change {
        change: ModelChange::Added,
        category: Some(ChangeCategory::Breaking),
        reasons: vec!["the model is new".to_owned()],
        columns: ColumnChanges {
            added: columns.map(|(name, _)| name.clone()).collect(),
            ..ColumnChanges::default()
        },
        surface: seen,
        schema: candidate.schema.clone(),
        diff: Some(text_diff("", &definition(&candidate.model))),
    }
}

/// A model that only the environment has.
pub(super) fn removed(previous: &Snapshot) -> Change {
    Change {
        change: ModelChange::Removed,
        category: None,
        reasons: vec!["the model is no longer in the project".to_owned()],
        columns: ColumnChanges {
            removed: previous.columns.clone().unwrap_or_default(),
            ..ColumnChanges::default()
        },
        surface: SurfaceChange {
            rows: true,
            ..SurfaceChange::default()
        },
        schema: None,
        diff: Some(text_diff(&definition(&previous.model), "")),
    }
}

fn modified(
    previous: &Snapshot,
    candidate: &Candidate,
    surface: &Surface,
    sides: &Sides<'_>,
) -> Change {
    let direct = previous.fingerprint.data != candidate.fingerprint.data;
    let is_same_table = previous.surface.table == surface.table;
    let indirect =
        previous.fingerprint.parent_data != candidate.fingerprint.parent_data || !is_same_table;
    let seen = SurfaceChange::between(&previous.surface, surface);
    let judgement = if direct {
        categorize::direct(previous, candidate, &seen, sides)
    } else if indirect {
        categorize::indirect(candidate, is_same_table, sides)
    } else {
        categorize::metadata(previous, candidate)
    };
    let change = match judgement.category {
        _ if direct => ModelChange::Direct,
        ChangeCategory::Metadata => ModelChange::Metadata,
        ChangeCategory::Breaking
        | ChangeCategory::NonBreaking
        | ChangeCategory::ForwardOnly
        | ChangeCategory::IndirectBreaking
        | ChangeCategory::IndirectNonBreaking => ModelChange::Indirect,
    };
    // Most models of a plan differ only by what they read.
    let diff = (previous.model != candidate.model)
        .then(|| (definition(&previous.model), definition(&candidate.model)))
        .filter(|(before, after)| before != after)
        .map(|(before, after)| text_diff(&before, &after));
    Change {
        change,
        category: Some(judgement.category),
        reasons: judgement.reasons,
        columns: ColumnChanges {
            added: seen.added.clone(),
            removed: seen.removed.clone(),
            changed: seen.changed.clone(),
        },
        surface: seen,
        schema: candidate.schema.clone(),
        diff,
    }
}

fn text_diff(before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(2)
        .to_string()
}

/// The model as text for a diff: its properties, one a line, then its query.
fn definition(model: &Model) -> String {
    let mut lines = vec![format!("MODEL {} {}", model.name, model.kind.name())];
    let mut property = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("  {name} {value}"));
        }
    };
    match &model.kind {
        ModelKind::IncrementalByTimeRange {
            time_column,
            lookback_intervals,
            batch_size_intervals,
            batch_concurrency,
        } => {
            property(
                "batch_concurrency",
                batch_concurrency.map(|batches| batches.to_string()),
            );
            property(
                "time_column",
                Some(format!(
                    "({}, '{}')",
                    time_column.column, time_column.format
                )),
            );
            property(
                "lookback",
                (*lookback_intervals > 0).then(|| lookback_intervals.to_string()),
            );
            property(
                "batch_size",
                batch_size_intervals.map(|size| size.to_string()),
            );
        }
        ModelKind::Seed(seed) => {
            property("path", Some(seed.path.clone()));
            for (column, hash) in &seed.column_hashes {
                property(
                    "content",
                    Some(format!("{column} {}", &hash[..hash.len().min(12)])),
                );
            }
        }
        ModelKind::MaterializedView => property("materialized", Some("true".to_owned())),
        ModelKind::IncrementalByUniqueKey(_)
        | ModelKind::IncrementalUnmanaged { .. }
        | ModelKind::ScdType2(_)
        | ModelKind::View
        | ModelKind::Full
        | ModelKind::IncrementalByPartition
        | ModelKind::Embedded
        | ModelKind::External => {}
    }
    for (name, value) in described(model) {
        property(name, Some(value));
    }
    property("dialect", Some(model.dialect.to_string()));
    property("description", model.description.clone());
    property("owner", model.owner.clone());
    property(
        "tags",
        (!model.tags.is_empty()).then(|| model.tags.iter().cloned().collect::<Vec<_>>().join(", ")),
    );
    property("cron", Some(model.cron.clone()));
    property("cron_tz", model.cron_tz.clone());
    property("interval_unit", model.interval_unit.clone());
    property("start", model.start.clone());
    property("end", model.end.clone());
    property("stamp", model.stamp.clone());
    for grain in &model.grains {
        property("grain", Some(grain.join(", ")));
    }
    for column in model.columns.iter().flatten() {
        property(
            "column",
            Some(format!(
                "{} {}",
                column.name,
                column.data_type.as_deref().unwrap_or("?")
            )),
        );
    }
    for (column, text) in &model.column_descriptions {
        property("column description", Some(format!("{column}: {text}")));
    }
    for audit in &model.audits {
        let arguments: Vec<_> = audit
            .arguments
            .iter()
            .map(|(name, value)| format!("{name} := {value}"))
            .collect();
        let blocking = if audit.blocking {
            ""
        } else {
            " (not blocking)"
        };
        property(
            "audit",
            Some(format!(
                "{}({}){blocking}",
                audit.name,
                arguments.join(", ")
            )),
        );
    }
    for signal in &model.signals {
        property("signal", Some(signal.call()));
    }
    let mut text = lines.join("\n");
    text.push('\n');
    if let Some(query) = &model.query {
        text.push_str(query.text().trim());
        text.push('\n');
    }
    text
}

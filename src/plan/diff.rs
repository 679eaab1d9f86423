//! Compare the models of a project with those of an environment.

use std::collections::BTreeMap;

use similar::TextDiff;

use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::ColumnChanges;
use crate::plan::Effect;
use crate::plan::ModelChange;
use crate::plan::categorize;
use crate::snapshot::Candidate;
use crate::snapshot::ChangeCategory;
use crate::snapshot::Snapshot;

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
    pub effect: Effect,
    /// Unified text diff of the definition, when it differs.
    pub diff: Option<String>,
}

/// How each model of either side differs, by name.
///
/// `old` is what the environment has, `new` the project; `order` lists the names of `new`, parents first.
pub fn changes(
    old: &BTreeMap<ModelName, Snapshot>,
    new: &BTreeMap<ModelName, Candidate>,
    order: &[ModelName],
) -> BTreeMap<ModelName, Change> {
    let mut changes: BTreeMap<ModelName, Change> = BTreeMap::new();
    for name in order {
        let Some(candidate) = new.get(name) else {
            continue;
        };
        let change = match old.get(name) {
            None => added(candidate),
            Some(previous) if previous.id == candidate.id => unchanged(),
            Some(previous) => modified(
                previous,
                candidate,
                &Sides {
                    old,
                    new,
                    changes: &changes,
                },
            ),
        };
        changes.insert(name.clone(), change);
    }
    for (name, previous) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
        changes.insert(name.clone(), removed(previous));
    }
    changes
}

/// Both projects, and the changes of everything above the model in question.
pub(super) struct Sides<'a> {
    pub(super) old: &'a BTreeMap<ModelName, Snapshot>,
    pub(super) new: &'a BTreeMap<ModelName, Candidate>,
    pub(super) changes: &'a BTreeMap<ModelName, Change>,
}

fn unchanged() -> Change {
    Change {
        change: ModelChange::Unchanged,
        category: None,
        reasons: Vec::new(),
        columns: ColumnChanges::default(),
        effect: Effect::None,
        diff: None,
    }
}

fn added(candidate: &Candidate) -> Change {
    // Declaring an external table does not change the table: what its columns mean for a reader's `*`
    // shows in the reader's own canonical form.
    let effect = match candidate.model.kind {
        ModelKind::External => Effect::None,
        ModelKind::View
        | ModelKind::Full
        | ModelKind::IncrementalByTimeRange { .. }
        | ModelKind::Seed(_)
        | ModelKind::Embedded => Effect::Breaking,
    };
    Change {
        change: ModelChange::Added,
        category: Some(ChangeCategory::Breaking),
        reasons: vec!["the model is new".to_owned()],
        columns: ColumnChanges {
            added: candidate.columns.clone().unwrap_or_default(),
            ..ColumnChanges::default()
        },
        effect,
        diff: Some(text_diff("", &definition(&candidate.model))),
    }
}

fn removed(previous: &Snapshot) -> Change {
    Change {
        change: ModelChange::Removed,
        category: None,
        reasons: vec!["the model is no longer in the project".to_owned()],
        columns: ColumnChanges {
            removed: previous.columns.clone().unwrap_or_default(),
            ..ColumnChanges::default()
        },
        effect: Effect::Breaking,
        diff: Some(text_diff(&definition(&previous.model), "")),
    }
}

fn modified(previous: &Snapshot, candidate: &Candidate, sides: &Sides<'_>) -> Change {
    let direct = previous.fingerprint.data != candidate.fingerprint.data;
    let indirect = previous.fingerprint.parent_data != candidate.fingerprint.parent_data;
    let (judgement, columns) = if direct {
        categorize::direct(previous, candidate, sides)
    } else if indirect {
        (
            categorize::indirect(candidate, sides),
            ColumnChanges::default(),
        )
    } else {
        (
            categorize::metadata(previous, candidate),
            ColumnChanges::default(),
        )
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
    let (before, after) = (definition(&previous.model), definition(&candidate.model));
    Change {
        change,
        category: Some(judgement.category),
        reasons: judgement.reasons,
        columns,
        effect: judgement.effect,
        diff: (before != after).then(|| text_diff(&before, &after)),
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
        } => {
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
        ModelKind::View | ModelKind::Full | ModelKind::Embedded | ModelKind::External => {}
    }
    property("dialect", Some(model.dialect.to_string()));
    property("description", model.description.clone());
    property("owner", model.owner.clone());
    property(
        "tags",
        (!model.tags.is_empty()).then(|| model.tags.iter().cloned().collect::<Vec<_>>().join(", ")),
    );
    property("cron", Some(model.cron.clone()));
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
    let mut text = lines.join("\n");
    text.push('\n');
    if let Some(query) = &model.query {
        text.push_str(query.text().trim());
        text.push('\n');
    }
    text
}

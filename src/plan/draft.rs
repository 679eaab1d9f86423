//! The first half of a plan: how the models differ, and which version each gets.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use chrono::DateTime;
use chrono::Utc;

use crate::diagnostic::Diagnostic;
use crate::environment::EnvironmentName;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::Change;
use crate::plan::changes;
use crate::snapshot::Candidate;
use crate::snapshot::ChangeCategory;
use crate::snapshot::Snapshot;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;

/// The project's models with their versions, beside what they were compared with.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The environment that the project was compared with.
    pub compared_with: EnvironmentName,
    /// The models' names, each after everything that it reads.
    pub order: Vec<ModelName>,
    /// How each model of either side differs.
    pub changes: BTreeMap<ModelName, Change>,
    /// The project's snapshots.
    pub snapshots: BTreeMap<ModelName, Snapshot>,
    /// The compared environment's snapshots.
    pub previous: BTreeMap<ModelName, Snapshot>,
    /// The snapshots that the state does not hold yet.
    pub new: BTreeSet<ModelName>,
}

/// The draft of a plan, and what the user should fix.
///
/// `previous` is what the compared environment has; `stored` are the candidates that the state knows already:
/// they keep the version that they have, and with it their tables.
pub fn draft(
    mut candidates: BTreeMap<ModelName, Candidate>,
    order: Vec<ModelName>,
    previous: BTreeMap<ModelName, Snapshot>,
    stored: &BTreeMap<SnapshotId, Snapshot>,
    compared_with: EnvironmentName,
    now: DateTime<Utc>,
) -> (Draft, Vec<Diagnostic>) {
    let changes = changes(&previous, &candidates, &order);
    let diagnostics = broken_references(&previous, &candidates);
    let mut snapshots: BTreeMap<ModelName, Snapshot> = BTreeMap::new();
    let mut new = BTreeSet::new();
    for name in &order {
        // Models on a cycle have none; loading has reported them.
        let Some(candidate) = candidates.remove(name) else {
            continue;
        };
        let known = stored.get(&candidate.id);
        let category = changes[name].category.unwrap_or(ChangeCategory::Breaking);
        let version = version(&candidate, category, previous.get(name), known, &snapshots);
        let name = name.clone();
        if let Some(known) = known {
            // Seeds keep their rows out of the state, and the file may have moved: take the model as it is now.
            let snapshot = Snapshot {
                model: candidate.model,
                version,
                ..known.clone()
            };
            snapshots.insert(name, snapshot);
            continue;
        }
        new.insert(name.clone());
        let snapshot = Snapshot {
            id: candidate.id,
            fingerprint: candidate.fingerprint,
            version,
            category,
            model: candidate.model,
            parents: candidate.parents,
            columns: candidate.columns,
            created_at: now,
        };
        snapshots.insert(name, snapshot);
    }
    (
        Draft {
            compared_with,
            order,
            changes,
            snapshots,
            previous,
            new,
        },
        diagnostics,
    )
}

/// The version of a snapshot: the one that it has, or that of the previous one when its rows are right for
/// this one too, or one of its own.
///
/// A view holds no rows, so it gets an object for every set of tables that it can stand on: views that
/// production shows are never edited in place before the switch, and one that was made over another
/// environment's tables is never shown over these.
fn version(
    candidate: &Candidate,
    category: ChangeCategory,
    previous: Option<&Snapshot>,
    known: Option<&Snapshot>,
    snapshots: &BTreeMap<ModelName, Snapshot>,
) -> Version {
    if let ModelKind::View | ModelKind::Embedded = candidate.model.kind {
        let parents = candidate.parents.iter().filter_map(|parent| {
            let snapshot = snapshots.get(&parent.name)?;
            Some((&parent.name, &snapshot.version))
        });
        return candidate.fingerprint.version_over(parents);
    }
    if let Some(known) = known {
        return known.version.clone();
    }
    let own = candidate.fingerprint.version();
    let Some(previous) = previous else { return own };
    match category {
        ChangeCategory::Metadata => previous.version.clone(),
        ChangeCategory::IndirectNonBreaking => match candidate.model.kind {
            ModelKind::View | ModelKind::Embedded | ModelKind::External => own,
            ModelKind::Full | ModelKind::IncrementalByTimeRange { .. } | ModelKind::Seed(_) => {
                previous.version.clone()
            }
        },
        ChangeCategory::Breaking
        | ChangeCategory::NonBreaking
        | ChangeCategory::ForwardOnly
        | ChangeCategory::IndirectBreaking => own,
    }
}

/// Models that read one which the environment had and the project has no longer.
fn broken_references(
    previous: &BTreeMap<ModelName, Snapshot>,
    candidates: &BTreeMap<ModelName, Candidate>,
) -> Vec<Diagnostic> {
    let removed = |name: &ModelName| {
        previous
            .get(name)
            .is_some_and(|snapshot| !matches!(snapshot.model.kind, ModelKind::External))
            && !candidates.contains_key(name)
    };
    let mut diagnostics = Vec::new();
    for candidate in candidates.values() {
        for parent in candidate
            .model
            .depends_on
            .iter()
            .filter(|parent| removed(parent))
        {
            let message = format!(
                "`{}` reads `{parent}`, which is no longer in the project",
                candidate.id.name
            );
            diagnostics.push(
                Diagnostic::error("removed-model-in-use", message)
                    .in_file(&candidate.model.file)
                    .help("Remove the reference, or keep the model."),
            );
        }
    }
    diagnostics
}

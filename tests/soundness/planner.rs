//! Asks Siding, as the program does: files → models → candidates → draft.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;
use chrono::Utc;
use siding::diagnostic::Diagnostic;
use siding::environment::EnvironmentName;
use siding::model::ModelKind;
use siding::model::ModelName;
use siding::model::topological;
use siding::plan::Choices;
use siding::plan::ModelChange;
use siding::plan::draft;
use siding::project::FileTree;
use siding::project::LoadOptions;
use siding::project::load;
use siding::snapshot::ChangeCategory;
use siding::snapshot::Snapshot;
use siding::snapshot::SnapshotId;
use siding::snapshot::candidates;

use crate::project::Project;
use crate::remembered::Remembered;

/// A project as Siding sees it after those before it: every model with its version.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Parents first; without external models.
    pub(crate) order: Vec<ModelName>,
    pub(crate) snapshots: BTreeMap<ModelName, Snapshot>,
    pub(crate) answers: BTreeMap<ModelName, Answer>,
}

/// What Siding says of one model.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) change: ModelChange,
    pub(crate) category: Option<ChangeCategory>,
    pub(crate) reasons: Vec<String>,
}

impl Step {
    /// The views that Siding says show the same rows as before.
    pub(crate) fn same_views(&self) -> BTreeSet<ModelName> {
        let same = |name: &ModelName| {
            let answer = &self.answers[name];
            match answer.category {
                None => answer.change == ModelChange::Unchanged,
                Some(ChangeCategory::Metadata | ChangeCategory::IndirectNonBreaking) => true,
                Some(_) => false,
            }
        };
        let views = self.order.iter().filter(|name| {
            matches!(self.snapshots[*name].model.kind, ModelKind::View) && same(name)
        });
        views.cloned().collect()
    }
}

/// "Now" in every plan.
pub(crate) fn now() -> DateTime<Utc> {
    "2024-01-08T00:05:00Z".parse().expect("a time")
}

/// Path and text of every file of a project.
type Files = Vec<(String, String)>;

/// Plans each project over the one before it, in production; `Err` says what the first one to be refused lacks.
pub(crate) fn plan(projects: &[Project]) -> Result<Vec<Step>, String> {
    let files: Vec<Files> = projects.iter().map(Project::files).collect();
    plan_files(&files)
}

/// The same for projects that are given as files.
pub(crate) fn plan_files(projects: &[Files]) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut stored: BTreeMap<SnapshotId, Snapshot> = BTreeMap::new();
    let mut previous: BTreeMap<ModelName, Snapshot> = BTreeMap::new();
    let mut remembered = Remembered::default();
    for project in projects {
        let tree: FileTree = project
            .iter()
            .map(|(path, text)| (path.clone(), Arc::<str>::from(text.as_str())))
            .collect();
        let (loaded, diagnostics) = load(&tree, &LoadOptions::default());
        refuse(&diagnostics)?;
        let order = topological(&loaded.models);
        let candidates = candidates(&loaded.models, &loaded.readings);
        remembered.check(&tree, &loaded, &candidates);
        let (draft, diagnostics) = draft(
            &candidates,
            order,
            previous.clone(),
            &stored,
            EnvironmentName::prod(),
            &Choices::default(),
            now(),
        );
        refuse(&diagnostics)?;
        let answers = draft
            .changes
            .iter()
            .map(|(name, change)| {
                let answer = Answer {
                    change: change.change,
                    category: change.category,
                    reasons: change.reasons.clone(),
                };
                (name.clone(), answer)
            })
            .collect();
        for snapshot in draft.snapshots.values() {
            stored.insert(snapshot.id.clone(), snapshot.clone());
        }
        previous = draft.snapshots.clone();
        let order = draft
            .order
            .into_iter()
            .filter(|name| draft.snapshots[name].model.kind.name() != "EXTERNAL");
        steps.push(Step {
            order: order.collect(),
            snapshots: draft.snapshots.clone(),
            answers,
        });
    }
    Ok(steps)
}

fn refuse(diagnostics: &[Diagnostic]) -> Result<(), String> {
    let errors: Vec<String> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.is_error())
        .map(|diagnostic| format!("{}: {}", diagnostic.rule, diagnostic.message))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("; "))
    }
}

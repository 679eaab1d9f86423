//! The first half of a plan: how the models differ, and which version each gets.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::DateTime;
use chrono::Utc;

use crate::diagnostic::Diagnostic;
use crate::environment::EnvironmentName;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::Ask;
use crate::plan::Change;
use crate::plan::Choices;
use crate::plan::ModelChange;
use crate::plan::diff;
use crate::plan::diff::Sides;
use crate::plan::forward;
use crate::plan::forward::Forward;
use crate::plan::forward::ForwardWishes;
use crate::plan::forward::Kept;
use crate::plan::types::TypesBefore;
use crate::snapshot::Candidate;
use crate::snapshot::ChangeCategory;
use crate::snapshot::Choice;
use crate::snapshot::Snapshot;
use crate::snapshot::SnapshotId;
use crate::snapshot::Surface;
use crate::snapshot::SurfaceChange;
use crate::snapshot::Version;
use crate::sql::Digest;

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
/// `previous` is what the compared environment has; `stored` are the other candidates that the state knows already:
/// those keep what was decided about them, and the version that they have, and with it their tables.
pub fn draft(
    candidates: &BTreeMap<ModelName, Candidate>,
    order: Vec<ModelName>,
    previous: BTreeMap<ModelName, Snapshot>,
    stored: &BTreeMap<SnapshotId, Snapshot>,
    compared_with: EnvironmentName,
    choices: &Choices,
    now: DateTime<Utc>,
) -> (Draft, Vec<Diagnostic>) {
    let forward = ForwardWishes::default();
    let compared = Compared {
        previous,
        compared_with,
    };
    draft_forward(candidates, order, compared, stored, choices, &forward, now)
}

/// What a project is compared with.
pub struct Compared {
    /// What that environment has.
    pub previous: BTreeMap<ModelName, Snapshot>,
    /// Which one it is.
    pub compared_with: EnvironmentName,
}

/// As [`draft`], where changes may be forward-only.
pub fn draft_forward(
    candidates: &BTreeMap<ModelName, Candidate>,
    order: Vec<ModelName>,
    compared: Compared,
    stored: &BTreeMap<SnapshotId, Snapshot>,
    choices: &Choices,
    wishes: &ForwardWishes,
    now: DateTime<Utc>,
) -> (Draft, Vec<Diagnostic>) {
    let Compared {
        previous,
        compared_with,
    } = compared;
    let mut drafting = Drafting {
        forward: Forward::new(wishes, &previous, stored),
        previous: &previous,
        choices,
        now,
        cone: BTreeSet::new(),
        types: TypesBefore::default(),
        changes: BTreeMap::new(),
        snapshots: BTreeMap::new(),
        new: BTreeSet::new(),
        diagnostics: broken_references(&previous, candidates),
    };
    // Models on a cycle have no candidate; loading has reported them.
    for candidate in order.iter().filter_map(|name| candidates.get(name)) {
        drafting.add(candidate.clone());
    }
    drafting.finish();
    let Drafting {
        changes,
        snapshots,
        new,
        diagnostics,
        ..
    } = drafting;
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

/// A draft of which some models are done, each after everything that it reads.
struct Drafting<'a> {
    forward: Forward<'a>,
    previous: &'a BTreeMap<ModelName, Snapshot>,
    choices: &'a Choices,
    now: DateTime<Utc>,
    /// Forward-only changes, and what differs because of them only.
    cone: BTreeSet<ModelName>,
    types: TypesBefore,
    changes: BTreeMap<ModelName, Change>,
    snapshots: BTreeMap<ModelName, Snapshot>,
    new: BTreeSet<ModelName>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Drafting<'a> {
    fn add(&mut self, mut candidate: Candidate) {
        let name = candidate.id.name.clone();
        forward::settle(&mut candidate, &self.snapshots);
        let in_cone = forward::follows(&candidate, &self.changes, &self.cone);
        let kept = self
            .forward
            .kept(&candidate, in_cone, &|| self.pure_surface(&candidate));
        match &kept {
            Kept::As(snapshot) => candidate.id = snapshot.id.clone(),
            Kept::On(base, forward_only) => {
                candidate.id.identifier = forward_only.identifier(&candidate.id.identifier);
                debug_assert_eq!(base.id, forward_only.base, "the base is the base");
            }
            Kept::No => {}
        }
        let known = self.forward.stored(&candidate.id);
        let built = self.surface(&candidate, known, &kept);
        let mut change = self.change(&candidate, &built, &kept, in_cone);
        let chosen = choose(
            &candidate,
            known,
            &change,
            self.choices,
            &mut self.diagnostics,
        );
        let surface = self.decided(&built, chosen.as_ref(), known, &name, &mut change);
        let category = change.category.unwrap_or(ChangeCategory::Breaking);
        let before = self.previous.get(&name);
        let version = version(&candidate, built.table, before, known, &self.snapshots);
        self.changes.insert(name.clone(), change);
        let snapshot = match known {
            // Seeds keep their rows out of the state, and the file may have moved: take the model as it is now.
            Some(known) => Snapshot {
                model: candidate.model,
                version,
                ..known.clone()
            },
            None => {
                self.new.insert(name.clone());
                Snapshot {
                    columns: candidate.columns(),
                    id: candidate.id,
                    fingerprint: candidate.fingerprint,
                    version,
                    category,
                    model: candidate.model,
                    parents: candidate.parents,
                    surface,
                    choice: chosen,
                    forward_only: match kept {
                        Kept::On(_, forward_only) => Some(forward_only),
                        Kept::As(_) | Kept::No => None,
                    },
                    created_at: self.now,
                }
            }
        };
        self.snapshots.insert(name, snapshot);
    }

    /// What readers of `candidate` would see if it were built from its start.
    fn pure_surface(&self, candidate: &Candidate) -> Surface {
        candidate.surface(&|parent| Some(&self.snapshots.get(parent)?.surface))
    }

    /// What readers of its table see.
    fn surface(
        &self,
        candidate: &Candidate,
        known: Option<&Snapshot>,
        kept: &Kept<'a>,
    ) -> Arc<Surface> {
        match (known, kept) {
            (Some(known), _) => Arc::clone(&known.surface),
            (None, Kept::On(base, forward_only)) => {
                let since = format!("{} {:?}", self.now, forward_only.effective_from);
                let pure = self.pure_surface(candidate);
                Arc::new(pure.on_top_of(&base.surface, &since))
            }
            (None, Kept::As(_) | Kept::No) => Arc::new(self.pure_surface(candidate)),
        }
    }

    /// How `candidate` differs, before people have a say.
    fn change(
        &mut self,
        candidate: &Candidate,
        surface: &Surface,
        kept: &Kept<'a>,
        in_cone: bool,
    ) -> Change {
        let name = &candidate.id.name;
        let sides = Sides {
            old: self.previous,
            changes: &self.changes,
        };
        let mut change = diff::change(candidate, surface, &sides);
        let before = self.previous.get(name);
        let retyped = self.types.changes(candidate, before);
        if let ModelChange::Direct | ModelChange::Indirect = change.change {
            change.reasons.extend(retyped);
        }
        if let Kept::On(base, forward_only) = kept {
            self.cone.insert(name.clone());
            forward::say(&mut change, base, forward_only);
            let same_base = before.is_some_and(|before| before.id == base.id);
            let old = same_base.then(|| self.types.schema(name)).flatten();
            let altered = self.forward.altered(candidate, base, old.as_deref());
            self.diagnostics.extend(altered);
        } else if in_cone && change.change == ModelChange::Indirect {
            self.cone.insert(name.clone());
        }
        change
    }

    /// What readers are taken to see after what people decided, now or when the snapshot was made; the change says so.
    fn decided(
        &self,
        built: &Arc<Surface>,
        chosen: Option<&Choice>,
        known: Option<&Snapshot>,
        name: &ModelName,
        change: &mut Change,
    ) -> Arc<Surface> {
        let before = self.previous.get(name);
        let mut surface = Arc::clone(built);
        if let Some(choice) = chosen {
            surface = match (choice.category, before) {
                (ChangeCategory::NonBreaking, Some(before)) => {
                    Arc::new(Surface::clone(built).shown_as(&before.surface))
                }
                (ChangeCategory::Breaking, _) => Arc::new(Surface::clone(built).shown_as_new()),
                _ => surface,
            };
            if let Some(before) = before {
                change.surface = SurfaceChange::between(&before.surface, &surface);
            }
        }
        let decided = chosen.or(known.and_then(|known| known.choice.as_ref()));
        if let (Some(choice), ModelChange::Direct) = (decided, change.change) {
            if change.category != Some(ChangeCategory::ForwardOnly) {
                change.category = Some(choice.category);
            }
            let reason = format!("{} says that this is {}", choice.by, choice.category);
            change.reasons.insert(0, reason);
        }
        surface
    }

    /// Adds what the project has no longer, and says what was asked for in vain.
    fn finish(&mut self) {
        for (name, gone) in self.previous {
            if !self.changes.contains_key(name) {
                self.changes.insert(name.clone(), diff::removed(gone));
            }
        }
        self.diagnostics
            .extend(self.forward.useless(&self.snapshots));
        for name in self.choices.chosen.keys() {
            if !self.snapshots.contains_key(name) {
                self.diagnostics.push(Diagnostic::error(
                    "unknown-model",
                    format!("a category was given for `{name}`, which is no model of the project"),
                ));
            }
        }
    }
}

/// What a person decided about a model; says so when somebody has to.
fn choose(
    candidate: &Candidate,
    known: Option<&Snapshot>,
    change: &Change,
    choices: &Choices,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Choice> {
    let name = &candidate.id.name;
    let in_file = |diagnostic: Diagnostic| diagnostic.in_file(&candidate.model.file);
    if let Some(category) = choices.chosen.get(name) {
        if change.change != ModelChange::Direct {
            let message = format!(
                "a category was given for `{name}`, which was not edited: there is nothing to decide"
            );
            diagnostics.push(in_file(Diagnostic::error("no-choice", message)));
            return None;
        }
        if let Some(known) = known {
            if known.category != *category {
                let message = format!(
                    "`{name}` was planned as {} before, so it cannot become {category} now",
                    known.category
                );
                diagnostics.push(
                    in_file(Diagnostic::error("choice-made", message))
                        .help("Change the model (a `stamp` is enough) to decide again."),
                );
            }
            return None;
        }
        return Some(Choice {
            category: *category,
            by: choices.by.clone(),
        });
    }
    let is_open = known.is_none()
        && change.change == ModelChange::Direct
        && match choices.ask(&candidate.model.kind) {
            Ask::Never => false,
            Ask::WhenBreaking => change.category == Some(ChangeCategory::Breaking),
            Ask::Always => true,
        };
    if is_open {
        let message = format!("somebody has to say what the change of `{name}` means");
        let help = format!(
            "Plan again with `--category {name}=breaking` or `--category {name}=non-breaking`."
        );
        diagnostics.push(in_file(Diagnostic::error("category-needed", message)).help(help));
    }
    None
}

/// The version of a snapshot: the one that it has, or that of the previous one when its rows are right for
/// this one too, or one of its own.
///
/// A view holds no rows, so it gets an object for every set of tables that it can stand on: views that
/// production shows are never edited in place before the switch, and one that was made over another
/// environment's tables is never shown over these.
fn version(
    candidate: &Candidate,
    table: Digest,
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
    match previous {
        Some(previous) if previous.surface.table == table => previous.version.clone(),
        _ => Version::of_table(table),
    }
}

/// The draft that changes nothing: an environment as it is.
pub fn unchanged(
    snapshots: BTreeMap<ModelName, Snapshot>,
    order: Vec<ModelName>,
    environment: EnvironmentName,
) -> Draft {
    let names = snapshots.keys();
    Draft {
        compared_with: environment,
        changes: names
            .map(|name| (name.clone(), diff::unchanged()))
            .collect(),
        order,
        previous: snapshots.clone(),
        snapshots,
        new: BTreeSet::new(),
    }
}

/// Models that read one which the environment had and the project has no longer.
fn broken_references(
    previous: &BTreeMap<ModelName, Snapshot>,
    candidates: &BTreeMap<ModelName, Candidate>,
) -> Vec<Diagnostic> {
    let removed: BTreeSet<&ModelName> = previous
        .values()
        .filter(|snapshot| !matches!(snapshot.model.kind, ModelKind::External))
        .map(|snapshot| &snapshot.id.name)
        .filter(|name| !candidates.contains_key(*name))
        .collect();
    if removed.is_empty() {
        return Vec::new();
    }
    let mut diagnostics = Vec::new();
    for candidate in candidates.values() {
        let parents = candidate.model.depends_on.iter();
        for parent in parents.filter(|parent| removed.contains(parent)) {
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

//! Forward-only changes: the rows that are there stay, the new definition is for those to come.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use chrono::DateTime;
use chrono::Utc;

use crate::diagnostic::Diagnostic;
use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::model::OnChange;
use crate::plan::AlterRules;
use crate::plan::Change;
use crate::plan::ModelChange;
use crate::plan::Wishes;
use crate::snapshot::Alteration;
use crate::snapshot::Candidate;
use crate::snapshot::ChangeCategory;
use crate::snapshot::ForwardOnly;
use crate::snapshot::Snapshot;
use crate::snapshot::SnapshotId;
use crate::snapshot::Surface;
use crate::snapshot::alterations;
use crate::snapshot::interval_unit;
use crate::sql::Node;
use crate::sql::Schema;

/// What is asked of forward-only changes.
#[derive(Clone, Debug, Default)]
pub struct ForwardWishes {
    /// Whether every change is to be forward-only that can be.
    pub all: bool,
    /// Whether that is how the project is, not what somebody asks of this plan.
    pub by_mode: bool,
    /// From when on rows are computed again.
    pub effective_from: Option<DateTime<Utc>>,
    /// What production has, when something else is compared with; rows are kept of nothing else.
    pub prod: Option<BTreeMap<ModelName, Snapshot>>,
    /// Models whose tables may lose columns.
    pub allow_destructive: BTreeSet<ModelName>,
    /// Models whose tables may gain columns.
    pub allow_additive: BTreeSet<ModelName>,
}

/// What of the rows that are there a model keeps.
pub(super) enum Kept<'a> {
    /// It is a snapshot that is there, with all that was decided about it.
    As(&'a Snapshot),
    /// Its table goes on from that of this snapshot.
    On(&'a Snapshot, ForwardOnly),
    /// Nothing.
    No,
}

/// The forward-only side of a draft.
pub(super) struct Forward<'a> {
    wishes: &'a ForwardWishes,
    previous: &'a BTreeMap<ModelName, Snapshot>,
    prod: &'a BTreeMap<ModelName, Snapshot>,
    stored: &'a BTreeMap<SnapshotId, Snapshot>,
    /// The stored snapshots that go on from another one, by name.
    decided: BTreeMap<&'a ModelName, Vec<&'a Snapshot>>,
}

impl<'a> Forward<'a> {
    pub(super) fn new(
        wishes: &'a ForwardWishes,
        previous: &'a BTreeMap<ModelName, Snapshot>,
        stored: &'a BTreeMap<SnapshotId, Snapshot>,
    ) -> Self {
        let mut decided: BTreeMap<&ModelName, Vec<&Snapshot>> = BTreeMap::new();
        let prod = wishes.prod.as_ref().unwrap_or(previous);
        let all = stored.values().chain(previous.values());
        for snapshot in all.chain(prod.values()) {
            if snapshot.forward_only.is_some() {
                decided.entry(&snapshot.id.name).or_default().push(snapshot);
            }
        }
        Self {
            wishes,
            previous,
            prod,
            stored,
            decided,
        }
    }

    /// The snapshot with this id, if the state has it.
    pub(super) fn stored(&self, id: &SnapshotId) -> Option<&'a Snapshot> {
        let same = self.sides(&id.name).find(|snapshot| snapshot.id == *id);
        same.or_else(|| self.stored.get(id))
    }

    /// What there is of a model, in what is compared with and in production.
    fn sides(&self, name: &ModelName) -> impl Iterator<Item = &'a Snapshot> {
        let prod = self.wishes.prod.as_ref();
        let sides = [Some(self.previous), prod].into_iter().flatten();
        sides.filter_map(|side| side.get(name))
    }

    /// What of the rows that are there `candidate` keeps; `in_cone` says whether all that it reads anew is
    /// forward-only, `pure` what its readers would see if it were built from its start.
    pub(super) fn kept(
        &self,
        candidate: &Candidate,
        in_cone: bool,
        pure: &dyn Fn() -> Surface,
    ) -> Kept<'a> {
        let name = &candidate.id.name;
        let same = self.sides(name).find(|side| {
            side.fingerprint == candidate.fingerprint && side.parents == candidate.parents
        });
        if let Some(same) = same {
            return Kept::As(same);
        }
        let Some(base) = self.prod.get(name) else {
            return Kept::No;
        };
        if !keeps_rows(base, candidate) {
            return Kept::No;
        }
        let decided = self.decided.get(name).into_iter().flatten();
        let decided = decided
            .filter(|known| {
                known.fingerprint == candidate.fingerprint
                    && known.parents == candidate.parents
                    && known
                        .forward_only
                        .as_ref()
                        .is_some_and(|forward_only| forward_only.base == base.id)
            })
            .max_by_key(|known| known.created_at);
        let by_model = candidate.model.is_forward_only();
        let anew = ForwardOnly {
            base: base.id.clone(),
            base_version: base.version.clone(),
            // Only rows that say when they are of can be told apart by a date.
            effective_from: self
                .wishes
                .effective_from
                .filter(|_| candidate.model.kind.time_column().is_some()),
        };
        let forward_only = match decided.and_then(|known| known.forward_only.clone()) {
            _ if self.wishes.all => anew,
            // Going back to what was there, with the table that it had.
            _ if self.stored(&candidate.id).is_some() => return Kept::No,
            Some(decided) => decided,
            _ if by_model || in_cone => anew,
            _ => return Kept::No,
        };
        if pure().table == base.surface.table {
            return Kept::No;
        }
        Kept::On(base, forward_only)
    }

    /// What the change does to the columns of a table that keeps its rows, where the model does not allow it.
    pub(super) fn altered(
        &self,
        candidate: &Candidate,
        base: &Snapshot,
        old: Option<&Schema>,
    ) -> Vec<Diagnostic> {
        let Some(new) = &candidate.schema else {
            return Vec::new();
        };
        let text = |schema: &Schema| -> Vec<(String, Option<String>)> {
            let columns = schema.columns().iter();
            let columns =
                columns.map(|(name, kind)| (name.clone(), kind.as_ref().map(ToString::to_string)));
            columns.collect()
        };
        let old = match (old, &base.columns) {
            (Some(old), _) => text(old),
            (None, Some(names)) => names.iter().map(|name| (name.clone(), None)).collect(),
            (None, None) => return Vec::new(),
        };
        let wishes = Wishes {
            allow_destructive: self.wishes.allow_destructive.clone(),
            allow_additive: self.wishes.allow_additive.clone(),
            ..Wishes::default()
        };
        let name = &candidate.id.name;
        let rules = AlterRules::of(&candidate.model.policy, name, &wishes);
        let found = alterations(&old, &text(new));
        found
            .iter()
            .filter_map(|alteration| judged(name, alteration, rules))
            .map(|diagnostic| diagnostic.in_file(&candidate.model.file))
            .collect()
    }

    /// Says where `--forward-only` was asked for and nothing is forward-only.
    pub(super) fn useless(&self, snapshots: &BTreeMap<ModelName, Snapshot>) -> Vec<Diagnostic> {
        let any = || {
            let mut all = snapshots.values();
            all.any(|snapshot| snapshot.forward_only.is_some())
        };
        if !self.wishes.all || self.wishes.by_mode || self.prod.is_empty() || any() {
            return Vec::new();
        }
        let message = "--forward-only changes nothing here: no table that is filled one interval after the other differs \
             from production's";
        vec![Diagnostic::warning("not-forward-only", message).help(
            "FULL tables, views and seeds are always built whole, so they have no rows to keep.",
        )]
    }
}

/// A column that comes or goes, judged by what the model allows; `None` where there is nothing to say.
pub(crate) fn judged(
    name: &ModelName,
    alteration: &Alteration,
    rules: AlterRules,
) -> Option<Diagnostic> {
    let (rule, what, policy, option) = if alteration.is_destructive() {
        let option = "--allow-destructive-model";
        (
            "destructive-change",
            "on_destructive_change",
            rules.destructive,
            option,
        )
    } else {
        let option = "--allow-additive-model";
        (
            "additive-change",
            "on_additive_change",
            rules.additive,
            option,
        )
    };
    let message =
        format!("the forward-only change of `{name}` {alteration} in a table that keeps its rows");
    match policy {
        OnChange::Error => Some(Diagnostic::error(rule, message).help(format!(
            "Plan with `{option} {name}`, or write `{what} allow` into the model; without forward-only the table is \
             built anew."
        ))),
        OnChange::Warn => Some(Diagnostic::warning(rule, message)),
        OnChange::Allow | OnChange::Ignore => None,
    }
}

/// Whether intervals are as long as they were. To read a cron takes longer than all else that is compared.
fn has_same_unit(old: &Model, candidate: &Candidate) -> bool {
    let new = &candidate.model;
    let is_same = old.cron == new.cron && old.interval_unit == new.interval_unit;
    is_same || interval_unit(old) == candidate.interval_unit
}

/// Whether rows of `base` may stay in a table of `candidate`: both are filled one interval after the other, and a row
/// belongs to the same interval in both.
fn keeps_rows(base: &Snapshot, candidate: &Candidate) -> bool {
    let (old, new) = (&base.model, &candidate.model);
    if old.kind.name() != new.kind.name() || !has_same_unit(old, candidate) {
        return false;
    }
    // A batch that is written but not recorded would come along with the copy, and be added again.
    if new.kind.adds_to_its_rows() && !old.kind.adds_to_its_rows() {
        return false;
    }
    match (&old.kind, &new.kind) {
        (
            ModelKind::IncrementalByTimeRange {
                time_column: old, ..
            },
            ModelKind::IncrementalByTimeRange {
                time_column: new, ..
            },
        ) => old == new,
        (ModelKind::IncrementalByUniqueKey(old), ModelKind::IncrementalByUniqueKey(new)) => {
            old.unique_key == new.unique_key
        }
        (ModelKind::ScdType2(old), ModelKind::ScdType2(new)) => {
            old.unique_key == new.unique_key
                && old.valid_from == new.valid_from
                && old.valid_to == new.valid_to
                && old.time_data_type == new.time_data_type
                && old.change == new.change
        }
        (old, new) => old == new && new.is_incremental(),
    }
}

/// Gives `candidate` the parents that it has here; other parents, another snapshot.
///
/// A definition alone does not say what it reads once tables keep rows of definitions before it.
pub(super) fn settle(candidate: &mut Candidate, snapshots: &BTreeMap<ModelName, Snapshot>) {
    let here = |parent: &SnapshotId| snapshots.get(&parent.name).map(|here| &here.id);
    let mut parents = candidate.parents.iter();
    if parents.all(|parent| here(parent).is_none_or(|here| here == parent)) {
        return;
    }
    let parents: Vec<SnapshotId> = candidate
        .parents
        .iter()
        .map(|parent| here(parent).unwrap_or(parent).clone())
        .collect();
    let mut node = Node::new("snapshot over").text(&candidate.id.identifier);
    for parent in &parents {
        node = node.text(&parent.name.to_string()).text(&parent.identifier);
    }
    candidate.id.identifier = node.finish().to_string();
    candidate.parents = parents;
}

/// Whether `candidate` was not edited and all that it reads anew follows from forward-only changes.
pub(super) fn follows(
    candidate: &Candidate,
    changes: &BTreeMap<ModelName, Change>,
    cone: &BTreeSet<ModelName>,
) -> bool {
    let mut changed = candidate
        .model
        .depends_on
        .iter()
        .filter(|parent| {
            changes.get(*parent).is_some_and(|change| {
                !matches!(
                    change.change,
                    ModelChange::Unchanged | ModelChange::Metadata
                )
            })
        })
        .peekable();
    changed.peek().is_some() && changed.all(|parent| cone.contains(parent))
}

/// Puts into words that a change is forward-only.
pub(super) fn say(change: &mut Change, base: &Snapshot, forward_only: &ForwardOnly) {
    if let ModelChange::Unchanged | ModelChange::Metadata = change.change {
        return;
    }
    change.category = Some(ChangeCategory::ForwardOnly);
    let what = match forward_only.effective_from {
        Some(from) => format!(
            "forward-only: rows before {} stay as `{}` computed them, all later ones are computed by the new definition",
            from.format("%Y-%m-%d %H:%M"),
            base.version
        ),
        None => format!(
            "forward-only: the rows up to now stay as `{}` computed them, the new definition is for those to come",
            base.version
        ),
    };
    change.reasons.insert(0, what);
}

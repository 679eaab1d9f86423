//! Which table a model gets in a plan, what that table starts from, and what of it is left to fill.
//!
//! Most models get the table of their version. A table *aside* belongs to one development environment and is never
//! promoted: its version ends in `__dev`. It is for rows that stand on half a history, for previews of forward-only
//! changes, and for tables that were declared filled.

use std::collections::BTreeMap;

use crate::environment::PromotedSnapshot;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::AlterRules;
use crate::plan::Base;
use crate::plan::Current;
use crate::plan::PlanOptions;
use crate::plan::missing::Times;
use crate::snapshot::Interval;
use crate::snapshot::Intervals;
use crate::snapshot::Snapshot;
use crate::snapshot::Version;

/// Ends the version of every table aside.
const ASIDE: &str = "__dev";

/// Comes before that where the table was declared filled.
const HOLLOW: &str = "_empty";

/// Whether the table of this version belongs to one development environment alone.
pub(super) fn is_aside(version: &Version) -> bool {
    version.0.ends_with(ASIDE)
}

/// Whether the table of this version was declared filled and is empty.
pub(super) fn is_hollow(version: &Version) -> bool {
    version.0.ends_with(&format!("{HOLLOW}{ASIDE}"))
}

/// The versions that a plan may ask the state about besides the snapshot's own.
pub fn possible_versions(snapshot: &Snapshot, options: &PlanOptions) -> Vec<Version> {
    let base = snapshot.forward_only.iter();
    let mut versions = vec![snapshot.version.clone()];
    if !options.environment.is_prod() {
        versions.push(aside(&snapshot.version));
        versions.push(preview(&snapshot.version, options));
        versions.push(hollow(&snapshot.version));
    }
    versions.extend(base.map(|forward_only| forward_only.base_version.clone()));
    versions
}

fn aside(version: &Version) -> Version {
    Version(format!("{version}{ASIDE}"))
}

/// One that shows another range of a forward-only change is another table.
fn preview(version: &Version, options: &PlanOptions) -> Version {
    if options.wishes.no_preview {
        return Version(format!("{version}_kept{ASIDE}"));
    }
    if options.start.is_none() && options.end.is_none() {
        return aside(version);
    }
    let range = format!("{:?} {:?}", options.start, options.end);
    let hash = blake3::hash(range.as_bytes());
    Version(format!(
        "{version}_{}{ASIDE}",
        hex::encode(&hash.as_bytes()[..4])
    ))
}

fn hollow(version: &Version) -> Version {
    Version(format!("{version}{HOLLOW}{ASIDE}"))
}

/// What a model gets.
pub(super) struct Place {
    /// The version of its table here.
    pub(super) version: Version,
    /// What is left to fill; earliest first.
    pub(super) missing: Vec<Interval>,
    /// What the table starts from.
    pub(super) base: Option<Base>,
    /// Whether it holds all that production's would.
    pub(super) complete: bool,
    /// Whether it covers all of the time that production's would, though some rows may be of a preview.
    pub(super) covers: bool,
    /// Whether it shows a preview of a forward-only change.
    pub(super) preview: bool,
    /// Whether the ranges are declared filled instead of being filled.
    pub(super) hollow: bool,
}

/// What everything that a model reads holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parents {
    /// All that production's would.
    Complete,
    /// All of the time, though some rows may be of a preview.
    Cover,
    /// A part.
    Part,
}

/// What places are found from.
pub(super) struct Places<'a> {
    pub(super) times: &'a Times<'a>,
    pub(super) current: &'a Current,
    pub(super) options: &'a PlanOptions,
}

impl Places<'_> {
    fn filled(&self, name: &ModelName, version: &Version) -> Option<&Intervals> {
        let filled = self.current.filled.get(&(name.clone(), version.clone()))?;
        (!filled.is_empty()).then_some(filled)
    }

    /// Whether production shows the table of this very version.
    fn is_in_production(&self, snapshot: &Snapshot) -> bool {
        let prod = self.current.prod.iter().flat_map(|prod| &prod.snapshots);
        let mut same = prod.filter(|entry| entry.id.name == snapshot.id.name);
        same.any(|entry| entry.version == snapshot.version)
    }

    /// The place of `snapshot`; `parents` says what all that it reads holds, `targets` what that is.
    pub(super) fn of(
        &self,
        snapshot: &Snapshot,
        wanted: bool,
        parents: Parents,
        targets: &BTreeMap<ModelName, PromotedSnapshot>,
    ) -> Place {
        let is_dev = !self.options.environment.is_prod();
        let name = &snapshot.id.name;
        let own = self.filled(name, &snapshot.version);
        if is_dev && snapshot.forward_only.is_some() && !self.is_in_production(snapshot) {
            return self.previewed(snapshot, wanted);
        }
        if parents != Parents::Complete {
            return self.beside(snapshot, wanted, parents, targets);
        }
        let hollow_here = is_dev && self.options.wishes.empty_backfill && own.is_none();
        if hollow_here && snapshot.model.kind.is_materialized() {
            let version = hollow(&snapshot.version);
            let filled = self.filled(name, &version);
            return Place {
                missing: self.missing(snapshot, filled, wanted),
                hollow: true,
                ..Place::plain(version, Vec::new(), false)
            };
        }
        let base = own.is_none().then(|| self.kept(snapshot)).flatten();
        let Some((base, kept)) = base.filter(|_| wanted) else {
            let missing = self.missing(snapshot, own, wanted);
            let complete = self.times.is_complete(snapshot, own, &missing);
            return Place::plain(snapshot.version.clone(), missing, complete);
        };
        // Rows that are kept are never computed again, however far back the lookback reaches.
        let missing = self.missing(snapshot, Some(&kept), wanted);
        let missing: Intervals = missing.into_iter().collect();
        let missing: Vec<Interval> = missing.difference(&kept).into_iter().collect();
        Place {
            base: Some(base),
            ..Place::plain(snapshot.version.clone(), missing, true)
        }
    }

    fn missing(
        &self,
        snapshot: &Snapshot,
        filled: Option<&Intervals>,
        wanted: bool,
    ) -> Vec<Interval> {
        if !wanted {
            return Vec::new();
        }
        self.times.missing(snapshot, filled)
    }

    /// A table aside because what it reads is aside, or not whole. What cannot have changed is production's own table,
    /// or begins as a copy of it.
    fn beside(
        &self,
        snapshot: &Snapshot,
        wanted: bool,
        parents: Parents,
        targets: &BTreeMap<ModelName, PromotedSnapshot>,
    ) -> Place {
        let name = &snapshot.id.name;
        let stored = snapshot.model.kind.is_materialized()
            && !matches!(snapshot.model.kind, ModelKind::Seed(_));
        // Over half a history it is another table, even where its rows are made in the same way.
        let may_share = stored && parents == Parents::Cover;
        let shared = self.filled(name, &snapshot.version).filter(|_| may_share);
        if let Some(shared) = shared
            && self.times.missing_of_all(snapshot, shared).is_empty()
        {
            return Place::plain(snapshot.version.clone(), Vec::new(), true);
        }
        let version = match snapshot.model.kind {
            ModelKind::View | ModelKind::Embedded => {
                let parents = snapshot.parents.iter().filter_map(|parent| {
                    let target = targets.get(&parent.name)?;
                    Some((&parent.name, &target.version))
                });
                snapshot.fingerprint.version_over(parents)
            }
            _ => snapshot.version.clone(),
        };
        let hollow_here = self.options.wishes.empty_backfill && stored;
        let version = if hollow_here {
            hollow(&version)
        } else {
            aside(&version)
        };
        let filled = self.filled(name, &version);
        if let (Some(shared), None, true) = (shared, filled, wanted) {
            return Place {
                base: Some(Base {
                    table: self.current.table_of(&snapshot.model, &snapshot.version),
                    version: snapshot.version.clone(),
                    keep: shared.iter().collect(),
                    cut: None,
                    alter: None,
                }),
                covers: true,
                ..Place::plain(version, self.missing(snapshot, Some(shared), wanted), false)
            };
        }
        let missing = self.missing(snapshot, filled, wanted);
        Place {
            hollow: hollow_here,
            covers: parents == Parents::Cover
                && !hollow_here
                && self.times.is_complete(snapshot, filled, &missing),
            ..Place::plain(version, missing, false)
        }
    }

    /// A preview: production's rows, of which some are computed by the new definition.
    fn previewed(&self, snapshot: &Snapshot, wanted: bool) -> Place {
        let name = &snapshot.id.name;
        let version = preview(&snapshot.version, self.options);
        let filled = self.filled(name, &version);
        let mut place = Place {
            preview: true,
            covers: true,
            ..Place::plain(version, Vec::new(), false)
        };
        if !wanted {
            return place;
        }
        let no_preview = self.options.wishes.no_preview;
        if no_preview && filled.is_some() {
            return place;
        }
        let all = self.base_filled(snapshot).cloned().unwrap_or_default();
        let has_time = snapshot.model.kind.time_column().is_some();
        let cut = self.times.preview(snapshot, &all).filter(|_| has_time);
        let base = filled.is_none().then(|| self.kept(snapshot)).flatten();
        let Some((mut base, kept)) = base else {
            place.missing = self.times.missing(snapshot, filled);
            // Whoever copied the rows may have died before the rest: then that is what it would have been.
            let missing: Intervals = place.missing.iter().copied().collect();
            let rest = missing.difference(filled.unwrap_or(&Intervals::default()));
            if cut.is_some_and(|cut| rest.iter().all(|part| part.intersect(cut) == Some(part))) {
                place.missing = rest.into_iter().collect();
            }
            place.covers = self.times.is_complete(snapshot, filled, &place.missing);
            return place;
        };
        if no_preview {
            base.keep = all.iter().collect();
            base.cut = None;
            place.base = Some(base);
            return place;
        }
        // What builds on its own past is computed again up to the end.
        let cut = match (cut, all.span()) {
            (Some(cut), Some(span)) if snapshot.model.reads_itself => {
                Interval::new(cut.start(), cut.end().max(span.end()))
            }
            (cut, _) => cut,
        };
        let kept = match cut {
            Some(cut) => {
                base.cut = Some(cut);
                let mut kept = all;
                kept.remove(cut);
                kept
            }
            None => kept,
        };
        let missing: Intervals = self
            .times
            .missing_of_all(snapshot, &kept)
            .into_iter()
            .collect();
        let missing = missing.difference(&kept);
        place.missing = match cut {
            Some(cut) => missing
                .iter()
                .filter_map(|part| part.intersect(cut))
                .collect(),
            None => missing.into_iter().collect(),
        };
        base.keep = kept.iter().collect();
        place.base = Some(base);
        place
    }

    fn base_filled(&self, snapshot: &Snapshot) -> Option<&Intervals> {
        let forward_only = snapshot.forward_only.as_ref()?;
        self.filled(&snapshot.id.name, &forward_only.base_version)
    }

    /// What a forward-only snapshot's table starts from, and which intervals come with it; `None` for any other.
    fn kept(&self, snapshot: &Snapshot) -> Option<(Base, Intervals)> {
        let forward_only = snapshot.forward_only.as_ref()?;
        let mut kept = self.base_filled(snapshot)?.clone();
        let cut = forward_only.effective_from.and_then(|from| {
            let from = self.times.floor(snapshot, from);
            Interval::new(from, kept.span()?.end())
        });
        if let Some(cut) = cut {
            kept.remove(cut);
        }
        let policy = &snapshot.model.policy;
        let name = &snapshot.id.name;
        let wishes = &self.options.wishes;
        let base = Base {
            table: self
                .current
                .table_of(&snapshot.model, &forward_only.base_version),
            version: forward_only.base_version.clone(),
            keep: kept.iter().collect(),
            cut,
            alter: Some(AlterRules::of(policy, name, wishes)),
        };
        Some((base, kept))
    }
}

impl Place {
    fn plain(version: Version, missing: Vec<Interval>, complete: bool) -> Self {
        Self {
            version,
            missing,
            base: None,
            complete,
            covers: complete,
            preview: false,
            hollow: false,
        }
    }
}

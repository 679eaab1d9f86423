//! Which tables are made of which.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::environment::Environment;
use crate::model::ModelName;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::state::Descent;

/// A table: whose, and at which version.
pub(super) type Table = (ModelName, Version);

/// What every snapshot and environment says of that.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) of_snapshot: BTreeMap<SnapshotId, BTreeSet<Version>>,
    pub(super) snapshots: BTreeMap<Table, BTreeSet<SnapshotId>>,
    pub(super) readers: BTreeMap<SnapshotId, BTreeSet<SnapshotId>>,
    by_model: BTreeMap<ModelName, BTreeSet<Version>>,
}

impl Tables {
    /// Those of all snapshots and environments.
    pub(super) fn of(descent: &[Descent], environments: &[Environment]) -> Self {
        let mut tables = Self::default();
        for snapshot in descent {
            tables.add(&snapshot.id, &snapshot.version, &snapshot.parents);
        }
        let entries = environments.iter();
        for entry in entries.flat_map(|environment| &environment.snapshots) {
            // A table aside has the snapshot of another one.
            tables.also(&entry.id, &entry.version);
        }
        tables
    }

    fn add(&mut self, id: &SnapshotId, version: &Version, parents: &[SnapshotId]) {
        self.also(id, version);
        for parent in parents {
            self.readers
                .entry(parent.clone())
                .or_default()
                .insert(id.clone());
        }
    }

    fn also(&mut self, id: &SnapshotId, version: &Version) {
        let table = (id.name.clone(), version.clone());
        self.snapshots.entry(table).or_default().insert(id.clone());
        let versions = self.of_snapshot.entry(id.clone()).or_default();
        versions.insert(version.clone());
        let versions = self.by_model.entry(id.name.clone()).or_default();
        versions.insert(version.clone());
    }

    pub(super) fn of_model(&self, name: &ModelName) -> Vec<Table> {
        let versions = self.by_model.get(name).into_iter().flatten();
        versions
            .map(|version| (name.clone(), version.clone()))
            .collect()
    }

    /// The tables of all snapshots that read one that has `table`.
    pub(super) fn readers(&self, table: &Table) -> BTreeSet<Table> {
        let snapshots = self.snapshots.get(table).into_iter().flatten();
        let readers = snapshots.flat_map(|id| self.readers.get(id).into_iter().flatten());
        readers
            .flat_map(|id| {
                let versions = self.of_snapshot.get(id).into_iter().flatten();
                versions.map(|version| (id.name.clone(), version.clone()))
            })
            .collect()
    }
}

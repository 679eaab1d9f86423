//! How far the tables below a restatement look, each by the definition that it was filled with.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;

use crate::model::ModelKind;
use crate::model::ModelName;
use crate::plan::Changed;
use crate::plan::Plan;
use crate::plan::Reach;
use crate::snapshot::Snapshot;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::state::StateStore;

/// What reads a table slice by slice, each made of the same slice of what it reads, and what reads it in another way.
pub(super) struct Reached {
    /// What may be made of any slice stands here as well, as far; nothing else than slices does not.
    reaches: BTreeMap<(ModelName, Version), Reach>,
    /// What is never filled again, and so changes nothing below it.
    stays: BTreeSet<(ModelName, Version)>,
}

impl Reached {
    /// That of what the snapshots `below` a restatement say; `ids` has each after what it reads.
    pub(super) async fn of(
        plan: &Plan,
        ids: &[SnapshotId],
        state: &StateStore,
    ) -> anyhow::Result<Self> {
        let planned = |id: &SnapshotId| {
            let snapshot = plan.draft.snapshots.get(&id.name);
            snapshot.filter(|snapshot| snapshot.id == *id)
        };
        let others: Vec<SnapshotId> = ids
            .iter()
            .filter(|id| planned(id).is_none())
            .cloned()
            .collect();
        let others = state.snapshots(&others).await;
        let others = others.context("reading the snapshots")?;
        let others: BTreeMap<&SnapshotId, &Snapshot> = others
            .iter()
            .map(|snapshot| (&snapshot.id, snapshot))
            .collect();
        let find = |id: &SnapshotId| planned(id).or_else(|| others.get(id).copied());
        let mut changed = Changed::default();
        let mut reached = Self {
            reaches: BTreeMap::new(),
            stays: BTreeSet::new(),
        };
        for snapshot in ids.iter().filter_map(find) {
            let columns = |name: &ModelName| {
                if *name == snapshot.id.name {
                    return snapshot.output_columns();
                }
                let parent = snapshot.parents.iter().find(|parent| parent.name == *name);
                find(parent?)?.output_columns()
            };
            if snapshot.model.is_never_restated()
                || matches!(snapshot.model.kind, ModelKind::Seed(_))
            {
                let table = (snapshot.id.name.clone(), snapshot.version.clone());
                reached.stays.insert(table);
                continue;
            }
            if let ModelKind::IncrementalByTimeRange { .. } = snapshot.model.kind {
                reached.add(snapshot, changed.reach(&snapshot.model, &columns));
            }
            changed.add(&snapshot.model, &columns);
        }
        Ok(reached)
    }

    /// A table may be of several snapshots, which say the same in other words.
    fn add(&mut self, snapshot: &Snapshot, mut reach: Reach) {
        // What builds on its own past goes on from any change.
        reach.back |= snapshot.model.reads_itself;
        let table = (snapshot.id.name.clone(), snapshot.version.clone());
        self.reaches
            .entry(table)
            .and_modify(|known| {
                known.back |= reach.back;
                known.ahead |= reach.ahead;
                known.day |= reach.day;
            })
            .or_insert(reach);
    }

    /// Whether the table is never filled again, by the definition that it has.
    pub(super) fn stays(&self, table: &(ModelName, Version)) -> bool {
        self.stays.contains(table)
    }

    /// How far the table looks; `None` if it is not filled by slices, or nobody knows how.
    pub(super) fn get(&self, table: &(ModelName, Version)) -> Option<Reach> {
        self.reaches.get(table).copied()
    }
}

/// `start` and what reads it, directly or not, each after what it reads.
pub(super) fn below(
    start: &BTreeSet<SnapshotId>,
    readers: &BTreeMap<SnapshotId, BTreeSet<SnapshotId>>,
) -> Vec<SnapshotId> {
    let mut open: Vec<&SnapshotId> = start.iter().collect();
    let mut waits: BTreeMap<&SnapshotId, usize> = start.iter().map(|id| (id, 0)).collect();
    while let Some(id) = open.pop() {
        for reader in readers.get(id).into_iter().flatten() {
            let count = waits.entry(reader).or_insert_with(|| {
                open.push(reader);
                0
            });
            *count += 1;
        }
    }
    let mut ready: Vec<&SnapshotId> = waits
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(id, _)| *id)
        .collect();
    let mut order = Vec::new();
    while let Some(id) = ready.pop() {
        order.push(id.clone());
        for reader in readers.get(id).into_iter().flatten() {
            let count = waits.get_mut(reader).expect("it was counted");
            *count -= 1;
            if *count == 0 {
                ready.push(reader);
            }
        }
    }
    order
}

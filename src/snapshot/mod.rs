//! A model at one version: what identifies it, which table it has, which intervals are filled.
#![warn(missing_docs)]

mod alter;
mod candidate;
mod category;
#[cfg(test)]
mod conformance;
mod contents;
mod fingerprint;
mod forward_only;
mod interval;
mod missing;
mod physical;
mod surface;

use std::fmt;
use std::sync::Arc;

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

pub use alter::Alteration;
pub use alter::alterations;
pub use candidate::Candidate;
pub use candidate::Identities;
pub use candidate::Identity;
pub use candidate::candidates;
pub use candidate::candidates_knowing;
pub use candidate::interval_unit;
pub use category::ChangeCategory;
pub use fingerprint::Fingerprint;
pub use fingerprint::audits_key;
pub use forward_only::ForwardOnly;
pub use interval::Interval;
pub use interval::Intervals;
pub use missing::IntervalRequest;
pub use missing::batches;
pub use missing::missing_intervals;
pub use missing::model_start;
pub use physical::physical_table;
pub use physical::placed_table;
pub use surface::Surface;
pub use surface::SurfaceChange;

use crate::model::Model;
use crate::model::ModelKind;
use crate::model::ModelName;
use crate::sql::Digest;
use crate::sql::TableName;

/// A snapshot's key: the model's name and the hash of its whole fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SnapshotId {
    /// Whose snapshot.
    pub name: ModelName,
    /// Hex hash over all four parts of the fingerprint.
    pub identifier: String,
}

/// Names the physical table of a snapshot; snapshots of one model may share one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub String);

impl Version {
    /// The version that a table of this digest has: 64 bits of it, in hex.
    pub fn of_table(table: Digest) -> Self {
        let mut text = table.to_string();
        text.truncate(16);
        Self(text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A category that a person chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The category.
    pub category: ChangeCategory,
    /// Who chose it.
    pub by: String,
}

/// A model at one version. Never changes once it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its key.
    pub id: SnapshotId,
    /// What makes it this version.
    pub fingerprint: Arc<Fingerprint>,
    /// Names its table.
    pub version: Version,
    /// What the change that made it meant, when it was first planned.
    pub category: ChangeCategory,
    /// The definition.
    pub model: Arc<Model>,
    /// Direct parents in the project at that time, sorted by name.
    pub parents: Vec<SnapshotId>,
    /// Output columns in order, as far as the query tells; `None` means unknown.
    pub columns: Option<Vec<String>>,
    /// What its readers see.
    pub surface: Arc<Surface>,
    /// The category that somebody chose instead of the one that was found, and who.
    pub choice: Option<Choice>,
    /// What its table keeps of the one before, when the change that made it was forward-only.
    #[serde(default)]
    pub forward_only: Option<ForwardOnly>,
    /// When it was first planned.
    pub created_at: DateTime<Utc>,
}

impl Snapshot {
    /// From when on its rows are of its own definition, when somebody has said so.
    pub fn effective_from(&self) -> Option<DateTime<Utc>> {
        self.forward_only.as_ref()?.effective_from
    }

    /// The names of its columns in order: declared, else as far as the query tells; `None` means unknown.
    pub fn output_columns(&self) -> Option<Vec<String>> {
        match &self.model.columns {
            Some(columns) => Some(columns.iter().map(|column| column.name.clone()).collect()),
            None => self.columns.clone(),
        }
    }

    /// The object that holds its rows: a versioned table or view for what we build, the model's own
    /// name for an external model, `None` for an embedded one.
    pub fn table(&self) -> Option<TableName> {
        let name = &self.id.name;
        match self.model.kind {
            ModelKind::Embedded => None,
            ModelKind::External => Some(name.table_name()),
            ModelKind::View
            | ModelKind::MaterializedView
            | ModelKind::Full
            | ModelKind::IncrementalByTimeRange { .. }
            | ModelKind::IncrementalByUniqueKey(_)
            | ModelKind::IncrementalByPartition
            | ModelKind::IncrementalUnmanaged { .. }
            | ModelKind::ScdType2(_)
            | ModelKind::Seed(_) => Some(placed_table(name, &self.version, &self.model.placement)),
        }
    }
}

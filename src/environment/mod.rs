//! The virtual layer: which snapshot each name points at.
#![warn(missing_docs)]

mod name;
mod naming;

use chrono::DateTime;
use chrono::Utc;
use serde::Deserialize;
use serde::Serialize;

pub use name::EnvironmentName;
pub use name::NoName;
pub use naming::Naming;
pub use naming::Suffix;
pub use naming::UnknownNaming;

use crate::model::ModelName;
use crate::snapshot::SnapshotId;
use crate::snapshot::Version;
use crate::sql::TableName;

/// One model of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotedSnapshot {
    /// Which snapshot the environment has for this model.
    pub id: SnapshotId,
    /// Its version.
    pub version: Version,
    /// What a view of it selects from; `None` for embedded models.
    pub table: Option<TableName>,
    /// Whether the environment has a view for it. Never for embedded and external models; in a
    /// development environment only for models that differ from production.
    pub view: bool,
}

/// A named set of snapshots. `prod` is the one without a suffix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// The plan that made it as it is.
    pub plan_id: String,
    /// The plan before that one; `None` for a new environment.
    pub previous_plan_id: Option<String>,
    /// One per model, sorted by name.
    pub snapshots: Vec<PromotedSnapshot>,
    /// Who applied the plan.
    pub promoted_by: String,
    /// When the record was written.
    pub promoted_at: DateTime<Utc>,
    /// When its views were switched; `None` while that is not known to be done.
    pub finalized_at: Option<DateTime<Utc>>,
    /// When it may be removed; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// What its views are called.
    #[serde(default)]
    pub naming: Naming,
}

impl Environment {
    /// The view that shows `model` here.
    pub fn view(&self, model: &ModelName) -> TableName {
        self.naming.view(model, &self.name)
    }
}

/// The view that shows `model` in `environment` by the usual naming: `schema__env.table`, or the model's own name in
/// `prod`. What is recorded may be named otherwise: see [`Environment::view`].
pub fn view_name(model: &ModelName, environment: &EnvironmentName) -> TableName {
    Naming::default().view(model, environment)
}

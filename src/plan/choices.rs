//! What people decide about categories instead of the program.

use std::collections::BTreeMap;

use crate::model::ModelKind;
use crate::model::ModelName;
use crate::snapshot::ChangeCategory;

/// When a person has to decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ask {
    /// Never: what is not proven harmless is breaking.
    #[default]
    Never,
    /// When a change is not proven harmless.
    WhenBreaking,
    /// Whenever a model is edited.
    Always,
}

/// What people decided, and when they want to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// Who decides in this plan.
    pub by: String,
    /// Breaking or non-breaking, by model.
    pub chosen: BTreeMap<ModelName, ChangeCategory>,
    /// For models with a query.
    pub sql: Ask,
    /// For seeds.
    pub seed: Ask,
    /// For external models.
    pub external: Ask,
}

impl Choices {
    /// When to ask about a model of this kind.
    pub fn ask(&self, kind: &ModelKind) -> Ask {
        match kind {
            ModelKind::Seed(_) => self.seed,
            ModelKind::External => self.external,
            ModelKind::View
            | ModelKind::MaterializedView
            | ModelKind::Full
            | ModelKind::IncrementalByTimeRange { .. }
            | ModelKind::IncrementalByUniqueKey(_)
            | ModelKind::IncrementalByPartition
            | ModelKind::IncrementalUnmanaged { .. }
            | ModelKind::ScdType2(_)
            | ModelKind::Embedded => self.sql,
        }
    }
}

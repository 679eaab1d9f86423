//! Compare a project with an environment; list what makes the environment match.
//!
//! [`draft`] compares and gives versions; [`build`] adds what the state knows of intervals; the scheduler
//! carries the [`Plan`] out; [`PlanSummary`] is how people, programs and GitHub read it.
#![warn(missing_docs)]

mod build;
mod categorize;
mod choices;
mod diff;
mod draft;
mod dressing;
mod estimate;
mod job;
mod missing;
mod properties;
mod summary;
mod types;
mod units;

use chrono::DateTime;
use chrono::Utc;

pub use build::*;
pub use choices::Ask;
pub use choices::Choices;
pub use diff::Change;
pub use draft::*;
pub use dressing::Dressing;
pub use dressing::Shown;
pub use estimate::*;
pub use job::*;
pub use missing::RunRange;
pub use missing::due;
pub use summary::*;
pub use units::interval_unit;
pub use units::units_in;

use crate::environment::Environment;
use crate::model::ModelName;
use crate::snapshot::Interval;
use crate::snapshot::Version;
use crate::sql::TableName;

/// What makes an environment match a project: everything is decided, nothing is done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Same project, same state, same arguments: same id.
    pub id: String,
    /// The models, their versions and how they differ.
    pub draft: Draft,
    /// What to fill, parents first.
    pub work: Vec<Work>,
    /// Models whose audits run on the rows that are there.
    pub audits: Vec<ModelName>,
    /// What the switch does.
    pub views: ViewSwitch,
    /// The record that the switch leaves.
    pub promoted: Environment,
    /// Whether an earlier switch of this environment is not known to be done.
    pub unfinished: bool,
    /// "Now".
    pub execution_time: DateTime<Utc>,
}

/// The missing intervals of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Whose.
    pub name: ModelName,
    /// Which table's.
    pub version: Version,
    /// The table, or the view of a VIEW model.
    pub table: TableName,
    /// What is missing: merged, earliest first. Empty when nothing is due yet and only the empty table is to be made.
    pub ranges: Vec<Interval>,
    /// The statements that fill it, earliest first.
    pub batches: Vec<Interval>,
}

/// What a switch does to an environment's views.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewSwitch {
    /// Views to create or replace with the tables they select from, in order of name.
    pub create: Vec<(TableName, TableName)>,
    /// Views to drop, in order of name.
    pub drop: Vec<TableName>,
    /// How many views stay as they are.
    pub unchanged: usize,
    /// What views get besides rows: those that are created, and those whose model says something else now.
    pub dressed: Vec<(TableName, Dressing)>,
}

impl Plan {
    /// Whether applying would change nothing at all.
    pub fn is_empty(&self) -> bool {
        let differs = self
            .draft
            .changes
            .values()
            .any(|change| change.change != ModelChange::Unchanged);
        !differs
            && !self.unfinished
            && self.work.is_empty()
            && self.views.create.is_empty()
            && self.views.drop.is_empty()
    }
}

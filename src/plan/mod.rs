//! Compare a project with an environment; list what makes the environment match.
//!
//! [`draft`] compares and gives versions; [`build`] adds what the state knows of intervals; the scheduler
//! carries the [`Plan`] out; [`PlanSummary`] is how people, programs and GitHub read it.
#![warn(missing_docs)]

mod arrivals;
mod behind;
mod build;
mod categorize;
mod choices;
mod diff;
mod draft;
mod dressing;
mod estimate;
mod explain;
mod forward;
mod gaps;
mod held;
mod job;
mod missing;
mod options;
mod place;
mod properties;
mod reach;
mod restate;
mod summary;
mod types;
mod units;

use std::collections::BTreeSet;

use chrono::DateTime;
use chrono::Utc;

pub use arrivals::Late;
pub use arrivals::late_without;
pub use behind::Behind;
pub use behind::behind;
pub use behind::check_gaps;
pub use behind::compared_tables;
pub use build::*;
pub use choices::Ask;
pub use choices::Choices;
pub use diff::Change;
pub use draft::*;
pub use dressing::Dressing;
pub use dressing::Shown;
pub use estimate::*;
pub use explain::Stage;
pub use forward::ForwardWishes;
pub use held::Asking;
pub use held::HeldBack;
pub use held::Unready;
pub use job::*;
pub use missing::RunRange;
pub use missing::due;
pub use missing::same_until;
pub use options::PlanError;
pub use options::PlanOptions;
pub use options::Wishes;
pub use place::possible_versions;
pub use reach::Changed;
pub use reach::ColumnsOf;
pub use reach::Reach;
pub use restate::Asked;
pub use restate::Restated;
pub use restate::restate;
pub use summary::*;
pub use units::interval_unit;
pub use units::unit_counter;

use crate::environment::Environment;
use crate::model::ChangePolicy;
use crate::model::ModelName;
use crate::model::OnChange;
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
    /// Models whose tables show a preview of a forward-only change.
    pub previews: BTreeSet<ModelName>,
    /// What is filled again although it was filled; nothing for most plans.
    pub restated: Vec<Restated>,
    /// What comes after what reads it was made, and what that is.
    pub late: Late,
    /// What somebody asked to be filled again; nothing for most plans.
    pub asked: Vec<Asked>,
    /// Whether a table that takes another's place must cover all that the other one has by the time of the switch.
    pub no_gaps: bool,
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
    /// Rows that the table starts from, instead of being empty.
    pub base: Option<Base>,
    /// Whether the ranges are declared filled instead of being filled: the table stays empty.
    pub hollow: bool,
}

/// What a new table starts from: rows of another one, with the columns brought up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Whose rows.
    pub table: TableName,
    /// The version of that table.
    pub version: Version,
    /// The intervals that come with them, earliest first.
    pub keep: Vec<Interval>,
    /// The rows that do not: those of this time.
    pub cut: Option<Interval>,
    /// How far its columns may be altered; `None` when they are the same by construction.
    pub alter: Option<AlterRules>,
}

/// How far the columns of a table that keeps its rows may be altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlterRules {
    /// When a column goes, or gets a type that its values do not fit.
    pub destructive: OnChange,
    /// When a column comes, or gets a type that holds more.
    pub additive: OnChange,
}

impl AlterRules {
    /// What the model says, unless somebody allows more in this plan.
    pub(crate) fn of(policy: &ChangePolicy, name: &ModelName, wishes: &Wishes) -> Self {
        let allowed = |list: &BTreeSet<ModelName>, otherwise| {
            if list.contains(name) {
                OnChange::Allow
            } else {
                otherwise
            }
        };
        Self {
            destructive: allowed(&wishes.allow_destructive, policy.on_destructive_change),
            additive: allowed(&wishes.allow_additive, policy.on_additive_change),
        }
    }
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
            && self.asked.is_empty()
            && self.views.create.is_empty()
            && self.views.drop.is_empty()
    }
}

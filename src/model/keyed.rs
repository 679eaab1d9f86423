//! The kinds whose rows have a key.

use std::num::NonZeroU32;

use serde::Deserialize;
use serde::Serialize;

/// Options of INCREMENTAL_BY_UNIQUE_KEY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueKey {
    /// The parts of the key, each a quoted column or an expression over columns. At least one.
    pub unique_key: Vec<String>,
    /// `WHEN MATCHED …` clauses over the aliases `source` and `target`; `None` replaces the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_matched: Option<String>,
    /// A condition over `source` and `target` that rows must meet, besides their key, to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_filter: Option<String>,
    /// How many past intervals each run repeats, in units of the model's interval.
    #[serde(default)]
    pub lookback_intervals: u32,
    /// Most intervals that one batch may cover; `None` means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size_intervals: Option<NonZeroU32>,
}

/// Options of both SCD_TYPE_2 kinds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScdType2 {
    /// The parts of the key, each a quoted column or an expression over columns. At least one.
    pub unique_key: Vec<String>,
    /// Column that a version is valid from.
    pub valid_from: String,
    /// Column that a version is valid to, exclusive; NULL for the version that is.
    pub valid_to: String,
    /// Whether a key that the query no longer gives ends its version.
    #[serde(default)]
    pub invalidate_hard_deletes: bool,
    /// Type of both columns, and of the one that says when a row was updated.
    pub time_data_type: String,
    /// Most intervals that one batch may cover; `None` means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size_intervals: Option<NonZeroU32>,
    /// What makes a new version.
    pub change: ScdChange,
}

/// What makes a new version of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScdChange {
    /// A later time in a column.
    Time {
        /// The column.
        updated_at: String,
        /// Whether the first version of a key is valid from that time, not from 1970.
        #[serde(default)]
        updated_at_as_valid_from: bool,
    },
    /// Another value in a column.
    Column {
        /// The columns that count; `None` means all.
        columns: Option<Vec<String>>,
        /// Whether the first version of a key is valid from the execution time, not from 1970.
        #[serde(default)]
        execution_time_as_valid_from: bool,
        /// Column whose time counts instead of the execution time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        updated_at: Option<String>,
    },
}

impl ScdType2 {
    /// The kind's name in a `MODEL` block.
    pub fn kind_name(&self) -> &'static str {
        match self.change {
            ScdChange::Time { .. } => "SCD_TYPE_2_BY_TIME",
            ScdChange::Column { .. } => "SCD_TYPE_2_BY_COLUMN",
        }
    }

    /// The column that says when a row was updated, where there is one.
    pub fn updated_at(&self) -> Option<&str> {
        match &self.change {
            ScdChange::Time { updated_at, .. } => Some(updated_at),
            ScdChange::Column { updated_at, .. } => updated_at.as_deref(),
        }
    }
}

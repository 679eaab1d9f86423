//! What a change means for the tables that exist.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// What a change means for a model's own table and for those of its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeCategory {
    /// Edited or added; its table and those below must be built.
    Breaking,
    /// Edited; its table must be built, those below stay right.
    NonBreaking,
    /// Applies to new intervals only.
    ForwardOnly,
    /// Not edited, but what it reads changed; its table must be built.
    IndirectBreaking,
    /// Not edited, and what it reads of the change does not matter; its table stays.
    IndirectNonBreaking,
    /// Nothing that the rows depend on.
    Metadata,
}

impl ChangeCategory {
    /// Whether children read other rows or columns than before.
    pub fn reaches_downstream(self) -> bool {
        match self {
            Self::Breaking | Self::IndirectBreaking => true,
            Self::NonBreaking | Self::ForwardOnly | Self::IndirectNonBreaking | Self::Metadata => {
                false
            }
        }
    }
}

impl fmt::Display for ChangeCategory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Breaking => "Breaking",
            Self::NonBreaking => "Non-breaking",
            Self::ForwardOnly => "Forward-only",
            Self::IndirectBreaking => "Indirect Breaking",
            Self::IndirectNonBreaking => "Indirect Non-breaking",
            Self::Metadata => "Metadata",
        })
    }
}

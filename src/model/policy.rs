//! How a model wants its rows to be treated when its definition changes.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

/// What happens when a change would alter the columns of a table that keeps its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// The plan is refused.
    Error,
    /// The plan says so and goes on.
    Warn,
    /// It is done.
    Allow,
    /// The table keeps the columns that it has.
    Ignore,
}

/// How a model wants its rows to be treated when its definition changes, and when they are to be filled again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChangePolicy {
    /// Whether every change leaves the rows that are there as they are; `None` means as the kind has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_only: Option<bool>,
    /// Whether it is never restated; `None` means as the kind has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_restatement: Option<bool>,
    /// When a column goes, or gets a type that its values do not fit.
    pub on_destructive_change: OnChange,
    /// When a column comes, or gets a type that holds more.
    pub on_additive_change: OnChange,
    /// When production fills it again by itself; `None` means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_restatement_cron: Option<String>,
    /// How many of the last intervals are filled again then; `None` means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_restatement_intervals: Option<NonZeroU32>,
}

impl Default for ChangePolicy {
    fn default() -> Self {
        Self {
            forward_only: None,
            disable_restatement: None,
            on_destructive_change: OnChange::Error,
            on_additive_change: OnChange::Allow,
            auto_restatement_cron: None,
            auto_restatement_intervals: None,
        }
    }
}

impl ChangePolicy {
    /// Whether nothing is said that is not so by itself.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl OnChange {
    /// As in a `MODEL` block.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Allow => "allow",
            Self::Ignore => "ignore",
        }
    }
}

impl fmt::Display for OnChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// None of the four words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `error`, `warn`, `allow` or `ignore`")]
pub struct UnknownOnChange;

impl FromStr for OnChange {
    type Err = UnknownOnChange;

    fn from_str(text: &str) -> Result<Self, UnknownOnChange> {
        let all = [Self::Error, Self::Warn, Self::Allow, Self::Ignore];
        all.into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(text))
            .ok_or(UnknownOnChange)
    }
}

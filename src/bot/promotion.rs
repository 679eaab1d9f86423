//! How far a promotion is.
//!
//! Each state is written before its side effect, and each side effect can be found again, so a promotion goes on
//! after a crash at any point:
//!
//! ```text
//! requested → gated → prepared → merging → merged → swapping → swapped → finalised
//!      ↘ refused                   ↘ refused          ↘ swap_failed
//! ```
//!
//! A merge by a person starts at `merged`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::bot::store::PullKey;
use crate::github::CommitSha;
use crate::plan::Promoted;

/// What was last decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PromotionState {
    /// Someone asked for it.
    Requested,
    /// Whoever asked may, and the gate passes.
    Gated,
    /// Everything is built against production as it is now.
    Prepared,
    /// The merge may have been asked for.
    Merging,
    /// It is merged; production does not show it yet.
    Merged,
    /// The switch may have been asked for.
    Swapping,
    /// Production shows it.
    Swapped,
    /// Everybody was told.
    Finalised,
    /// It was not merged.
    Refused,
    /// It is merged, and production could not be switched. `/deploy` tries again.
    SwapFailed,
}

const STATES: [(PromotionState, &str); 10] = [
    (PromotionState::Requested, "requested"),
    (PromotionState::Gated, "gated"),
    (PromotionState::Prepared, "prepared"),
    (PromotionState::Merging, "merging"),
    (PromotionState::Merged, "merged"),
    (PromotionState::Swapping, "swapping"),
    (PromotionState::Swapped, "swapped"),
    (PromotionState::Finalised, "finalised"),
    (PromotionState::Refused, "refused"),
    (PromotionState::SwapFailed, "swap_failed"),
];

impl PromotionState {
    /// Whether nothing follows by itself.
    pub(crate) fn is_final(self) -> bool {
        match self {
            Self::Finalised | Self::Refused | Self::SwapFailed => true,
            Self::Requested
            | Self::Gated
            | Self::Prepared
            | Self::Merging
            | Self::Merged
            | Self::Swapping
            | Self::Swapped => false,
        }
    }
}

impl fmt::Display for PromotionState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) = STATES
            .iter()
            .find(|(state, _)| state == self)
            .expect("every state has a name");
        formatter.write_str(name)
    }
}

/// A word that names no state.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no state of a promotion")]
pub(crate) struct UnknownState(String);

impl FromStr for PromotionState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        STATES
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(state, _)| *state)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// A pull request on its way into production.
#[derive(Clone, Debug)]
pub(crate) struct Promotion {
    /// Its row.
    pub id: i64,
    /// Whose.
    pub pull: PullKey,
    /// The commit that was asked for.
    pub head: CommitSha,
    /// How far it is.
    pub state: PromotionState,
    /// Login of who asked, or who merged.
    pub requested_by: String,
    /// The comment that asked and which of its commands; `None` after a merge by a person.
    pub command: Option<(u64, u32)>,
    /// The commit that the merge made.
    pub merge: Option<CommitSha>,
    /// What else is known.
    pub detail: Detail,
}

/// What is known about a promotion beside its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Detail {
    /// Why it was refused or could not be switched.
    pub message: Option<String>,
    /// What the switch did.
    pub promoted: Option<Promoted>,
    /// Whether the prepared plan no longer fits, so that the newest base branch is promoted as it is.
    pub newest: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back() {
        for (state, _) in STATES {
            assert_eq!(state.to_string().parse::<PromotionState>().unwrap(), state);
        }
    }
}
